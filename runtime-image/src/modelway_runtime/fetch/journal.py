"""What a fetch that was given up left on the volume, so that the container's next start goes on there.

It is written when a fetch ends with a failure and after the bytes are on the disk; a fetch that was killed leaves none
and begins again. Whatever it says, the hash is taken over the whole file.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from modelway_runtime import digest
from modelway_runtime.fetch.source import Entry
from modelway_runtime.fetch.transfer import Reached, Transfer
from modelway_runtime.reasons import Failure, Reason

NAME = f"{digest.OWN_FOLDER}/partial.json"


class Journal:
    """What was reached of each file, by its path."""

    def __init__(self, files: dict[str, Reached]) -> None:
        self._left = files
        self.reached: dict[str, Reached] = {}

    def left(self, entry: Entry) -> Reached | None:
        """What an earlier fetch left of a file, if the store's version is not known to be another one."""
        left = self._left.get(entry.path)
        if left is None or (entry.version and (entry.version, entry.size) != (left.version, left.size)):
            return None
        return left

    @contextmanager
    def kept(self, entry: Entry, transfer: Transfer) -> Iterator[None]:
        """Notes what the transfer reached, however it ends."""
        try:
            yield
        finally:
            self.reached[entry.path] = transfer.reached


@contextmanager
def opened(folder: Path, uri: str) -> Iterator[Journal]:
    """The journal of one URI; it is gone when all went well, and when something else than time was the matter."""
    path = folder / NAME
    notes = Journal(_read(path, uri))
    path.unlink(missing_ok=True)
    try:
        yield notes
    except Failure as failure:
        if failure.reason is Reason.DOWNLOAD_TIMEOUT:
            _write(path, uri, notes.reached)
        raise


def _read(path: Path, uri: str) -> dict[str, Reached]:
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
        if body["uri"] != _named(uri):
            return {}
        return {
            name: Reached(left["size"], left["version"], {int(start): end for start, end in left["parts"].items()})
            for name, left in body["files"].items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _write(path: Path, uri: str, reached: dict[str, Reached]) -> None:
    files = {
        name: {"size": left.size, "version": left.version, "parts": left.parts}
        for name, left in reached.items()
        if left.version and left.parts
    }
    if not files:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for name in files:
            _flush(path.parent.parent / name)
        path.write_text(json.dumps({"uri": _named(uri), "files": files}), encoding="utf-8")
    except OSError:
        # Without it the next start begins again.
        path.unlink(missing_ok=True)


def _flush(path: Path) -> None:
    with path.open("rb") as stream:
        os.fsync(stream.fileno())


def _named(uri: str) -> str:
    """The URI without saying it: its query may hold a secret, and the server sees this volume."""
    return digest.of_text(uri)
