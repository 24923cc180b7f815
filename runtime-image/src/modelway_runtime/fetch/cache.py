"""Models that were fetched before, on a volume that only `fetch` mounts: an entry for each digest.

An entry appears by a rename and is never changed, so any number of pods may read and write at the same time. The files
are copied out and hashed again: the server may write to its own volume, and must not reach the cache through a link.
Nothing that goes wrong with the cache ends a fetch.
"""

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import IO

from modelway_runtime import digest, logs, manifest, units
from modelway_runtime.fetch import download
from modelway_runtime.manifest import Manifest
from modelway_runtime.reasons import Failure

_FILES = "files"
_UNFINISHED = ".unfinished-"
# `#define FICLONE _IOW(0x94, 9, int)`: both files share their blocks until one is written to.
_FICLONE = 0x40049409
_FORGOTTEN_SECONDS = 24 * 3600.0
_CHUNK = 4 << 20


class Cache:
    """The folder and how many bytes it may hold."""

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._folder = folder
        self._max_bytes = max_bytes

    def restored(self, wanted: str, folder: Path) -> Manifest | None:
        """The model of a digest, copied into a folder; None where it is not held, or not whole."""
        entry = self._entry(wanted)
        try:
            held = manifest.read(entry)
            if held.digest != wanted or not all(download.is_safe(file.path) for file in held.files):
                raise ValueError("the entry is of another model")
            for file in held.files:
                _copy(entry / _FILES / file.path, folder / file.path)
                if digest.of_file(folder / file.path) != file.sha256:
                    raise ValueError(f"{file.path} was changed in the cache")
            os.utime(entry)
        except Failure:
            return None
        except (FileNotFoundError, ValueError) as error:
            logs.write("Dropped an entry of the cache", digest=wanted, error=str(error))
            self._remove(entry)
            return None
        except OSError as error:
            # A full volume is not the entry's fault.
            logs.write("Cannot use the cache", digest=wanted, error=str(error))
            return None
        logs.write("Took the model from the cache", digest=wanted, bytes=held.size)
        return replace(held, root=folder)

    def keep(self, brought: Manifest) -> None:
        """Adds a model, and lets those go that were not used for the longest time."""
        entry = self._entry(brought.digest)
        if entry.exists() or brought.size > self._max_bytes:
            return
        with self._tolerant("add to"):
            self._folder.mkdir(parents=True, exist_ok=True)
            self._make_room(brought.size)
            made = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=self._folder))
            try:
                for file in brought.files:
                    _copy(brought.root / file.path, made / _FILES / file.path)
                manifest.write(made, replace(brought, root=Path(_FILES)))
                made.rename(entry)
            finally:
                shutil.rmtree(made, ignore_errors=True)
            logs.write("Kept the model in the cache", digest=brought.digest, bytes=brought.size)

    def _entry(self, wanted: str) -> Path:
        return self._folder / wanted.replace(":", "-")

    def _make_room(self, count: int) -> None:
        """Oldest use first. What another fetch left unfinished is nobody's after a day."""
        for left in self._folder.glob(f"{_UNFINISHED}*"):
            with suppress(OSError):
                if time.time() - left.stat().st_mtime > _FORGOTTEN_SECONDS:
                    shutil.rmtree(left, ignore_errors=True)
        sizes = {path: (path.stat().st_mtime, _size(path)) for path in self._folder.glob("sha256-*")}
        total = sum(size for _, size in sizes.values())
        for path, (_, size) in sorted(sizes.items(), key=lambda item: item[1]):
            if total + count <= self._max_bytes:
                return
            self._remove(path)
            total -= size
            logs.write("Let a model go from the cache", entry=path.name, size=units.text(size))

    def _remove(self, entry: Path) -> None:
        """First out of the way by a rename, so that nobody finds half of it."""
        gone = self._folder / f"{_UNFINISHED}gone-{os.getpid()}-{time.monotonic_ns()}"
        with suppress(OSError):
            entry.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)

    @contextmanager
    def _tolerant(self, what: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            logs.write(f"Cannot {what} the cache", error=str(error))


def _size(entry: Path) -> int:
    try:
        return manifest.read(entry).size
    except Failure:
        return 0


def _copy(source: Path, target: Path) -> None:
    """Shares the blocks where the file system can."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with source.open("rb") as reader, target.open("wb") as writer:
        if not _shared(reader, writer):
            shutil.copyfileobj(reader, writer, _CHUNK)


def _shared(reader: IO[bytes], writer: IO[bytes]) -> bool:
    try:
        fcntl.ioctl(writer.fileno(), _FICLONE, reader.fileno())
    except OSError:
        return False
    return True
