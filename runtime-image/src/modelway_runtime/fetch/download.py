"""Copies the files of a source to the model volume, with hashes, limits, progress and retries."""

import errno
import functools
import hashlib
import shutil
import time
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import TypeVar

from modelway_runtime import digest, logs, units
from modelway_runtime.digest import File
from modelway_runtime.fetch.source import Entry, Source, Transient
from modelway_runtime.reasons import Failure, Reason

T = TypeVar("T")

MAX_FILES = 10_000
# A store may hold names that no folder can hold, such as `a` beside `a/b`.
_NAME_ERRORS = (errno.EEXIST, errno.EISDIR, errno.ENOTDIR, errno.ENAMETOOLONG)
_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 10.0
_PROGRESS_SECONDS = 2.0


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


def copy(
    source: Source, entries: tuple[Entry, ...], folder: Path, patience: "Patience", *, max_bytes: int
) -> tuple[File, ...]:
    """All files, one after the other."""
    files: list[File] = []
    for entry in entries:
        before = sum(file.size for file in files)
        progress = functools.partial(Progress, entry, patience, before, max_bytes)
        files.append(patience.tried(functools.partial(_copy_file, source, entry, folder, progress)))
    return tuple(files)


class Patience:
    """Tries again with growing pauses until nothing new came for a while.

    Only bytes beyond the furthest so far count: a connection that always breaks at the same place ends it.
    """

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._last_progress = time.monotonic()
        self._pause = _FIRST_PAUSE
        self._furthest = 0

    def renew(self, reached: int) -> None:
        """So many bytes of the model are there."""
        if reached <= self._furthest:
            return
        self._furthest = reached
        self._last_progress = time.monotonic()
        self._pause = _FIRST_PAUSE

    def tried(self, action: Callable[[], T]) -> T:
        """The result of the first try that works."""
        while True:
            try:
                return action()
            except Transient as error:
                waited = time.monotonic() - self._last_progress
                if waited + self._pause > self._limit:
                    message = f"Gave up after {waited:.0f} s without progress: {error}"
                    raise Failure(Reason.DOWNLOAD_TIMEOUT, message) from error
                logs.write("Store did not answer, trying again", error=str(error), pause=self._pause)
                time.sleep(self._pause)
                self._pause = min(self._pause * 2, _LONGEST_PAUSE)


class Progress:
    """Counts the bytes of a file, holds the limit and logs now and then."""

    def __init__(self, entry: Entry, patience: Patience, before: int, max_bytes: int) -> None:
        self._entry = entry
        self._patience = patience
        self._before = before
        self._max_bytes = max_bytes
        self._logged = time.monotonic()
        self.size = 0

    def add(self, count: int) -> None:
        """More bytes came."""
        self.size += count
        check_size(self._before + self.size, self._max_bytes)
        self._patience.renew(self._before + self.size)
        if time.monotonic() - self._logged > _PROGRESS_SECONDS:
            self._logged = time.monotonic()
            logs.write("Fetching", file=self._entry.path, bytes=self.size, of=self._entry.size)


def _copy_file(source: Source, entry: Entry, folder: Path, begin: Callable[[], Progress]) -> File:
    progress = begin()
    target = folder / entry.path
    hashing = hashlib.sha256()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as stream:
            for piece in source.read(entry):
                progress.add(len(piece))
                hashing.update(piece)
                stream.write(piece)
    except OSError as error:
        if error.errno in _NAME_ERRORS:
            raise Failure(Reason.FORMAT_MISMATCH, f"{entry.path[:200]} cannot be a file: {error.strerror}") from error
        raise local_failure(target, error) from error
    if entry.size is not None and progress.size != entry.size:
        raise Transient(f"{entry.path} ended after {progress.size} of {entry.size} bytes")
    logs.write("Fetched", file=entry.path, bytes=progress.size)
    return File(path=entry.path, sha256=hashing.hexdigest(), size=progress.size)


def local_failure(target: Path, error: OSError) -> Failure:
    """A file or folder of ours that cannot be written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return Failure(Reason.DISK_FULL, f"No space left while writing {target}")
    return Failure(Reason.DISK_FULL, f"{target} cannot be written: {error.strerror}")


def check_size(count: int, max_bytes: int) -> None:
    """Refuses more bytes than the limit."""
    if count > max_bytes:
        message = f"The model has at least {units.text(count)}; the limit is {units.text(max_bytes)}"
        raise Failure(Reason.ARTIFACT_TOO_LARGE, message)
