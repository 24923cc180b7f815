"""Copies the files of a source to the model volume, with hashes, limits, progress and retries."""

import errno
import os
import shutil
from pathlib import Path, PurePosixPath

from modelway_runtime import digest, logs, units
from modelway_runtime.digest import File
from modelway_runtime.fetch import journal
from modelway_runtime.fetch.patience import Patience, Progress, check_size
from modelway_runtime.fetch.source import Entry, Source
from modelway_runtime.fetch.transfer import Transfer
from modelway_runtime.reasons import Failure, Reason

MAX_FILES = 10_000
# A store may hold names that no folder can hold, such as `a` beside `a/b`.
_NAME_ERRORS = (errno.EEXIST, errno.EISDIR, errno.ENOTDIR, errno.ENAMETOOLONG)


def check(entries: tuple[Entry, ...], *, max_bytes: int) -> tuple[Entry, ...]:
    """The entries that are the model's: paths that stay inside the folder, and not too much of them."""
    kept = tuple(entry for entry in entries if entry.path.split("/", 1)[0] != digest.OWN_FOLDER)
    for entry in kept:
        if not is_safe(entry.path):
            message = f"{entry.path!r} is not a path inside a folder; the store holds an unsafe name"
            raise Failure(Reason.FORMAT_MISMATCH, message)
    check_count(len(kept))
    check_size(sum(entry.size or 0 for entry in kept), max_bytes)
    return kept


def check_count(count: int) -> None:
    """Refuses more files than the limit; a listing is stopped there, since it might go on for millions."""
    if count > MAX_FILES:
        raise Failure(Reason.ARTIFACT_TOO_LARGE, f"The model has at least {count} files; the limit is {MAX_FILES}")


def is_safe(path: str) -> bool:
    """Whether a path from a store stays below the folder that it is joined to."""
    pure = PurePosixPath(path)
    has_odd_part = any(part in ("", ".", "..") for part in path.split("/"))
    return bool(path) and not pure.is_absolute() and not has_odd_part and digest.is_name(path) and "\\" not in path


def check_space(folder: Path, entries: tuple[Entry, ...]) -> None:
    """Refuses before the first byte what the volume cannot hold; what an earlier try left is written over."""
    wanted = sum(entry.size or 0 for entry in entries)
    free = shutil.disk_usage(folder).free + sum(_size_left(folder / entry.path) for entry in entries)
    if wanted > free:
        message = f"The model needs {units.text(wanted)}, {folder} has {units.text(free)} free"
        raise Failure(Reason.DISK_FULL, message)


def _size_left(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:
        return 0


class Download:
    """All files of a listing, one after the other, each over several connections."""

    def __init__(self, source: Source, folder: Path, patience: Patience, *, max_bytes: int, connections: int) -> None:
        self._source = source
        self._folder = folder
        self._patience = patience
        self._max_bytes = max_bytes
        self._connections = connections
        self._size = 0

    def copy(self, entries: tuple[Entry, ...], uri: str) -> tuple[File, ...]:
        """The files. What came before a failure is kept, so that the next start of the container goes on there."""
        with journal.opened(self._folder, uri) as notes:
            return tuple(self._copy_file(entry, notes) for entry in entries)

    def _copy_file(self, entry: Entry, notes: journal.Journal) -> File:
        target = self._folder / entry.path
        progress = Progress(entry, self._patience, self._size, self._max_bytes)
        left = notes.left(entry)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(target, os.O_RDWR | os.O_CREAT | (0 if left else os.O_TRUNC), 0o666)
            try:
                transfer = Transfer(self._source, entry, descriptor, self._patience, progress)
                if left:
                    transfer.go_on(left)
                with notes.kept(entry, transfer):
                    found = transfer.run(self._connections)
            finally:
                os.close(descriptor)
        except OSError as error:
            if error.errno in _NAME_ERRORS:
                message = f"{entry.path[:200]} cannot be a file: {error.strerror}"
                raise Failure(Reason.FORMAT_MISMATCH, message) from error
            raise local_failure(target, error) from error
        if entry.sha256 and found != entry.sha256:
            message = f"{entry.path} has sha256 {found}, the store says {entry.sha256}"
            raise Failure(Reason.DIGEST_MISMATCH, message)
        self._size += progress.size
        logs.write("Fetched", file=entry.path, bytes=progress.size)
        return File(path=entry.path, sha256=found, size=progress.size)


def local_failure(target: Path, error: OSError) -> Failure:
    """A file or folder of ours that cannot be written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return Failure(Reason.DISK_FULL, f"No space left while writing {target}")
    return Failure(Reason.DISK_FULL, f"{target} cannot be written: {error.strerror}")
