"""Temporary folders that are removed even when the one who made them was killed: by the next one who makes one."""

import fcntl
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LOCK = "in-use"


@contextmanager
def folder(prefix: str) -> Iterator[Path]:
    """A new folder; the lock in it is held as long as it is used, and freed by the kernel at the latest."""
    _sweep(prefix)
    made = Path(tempfile.mkdtemp(prefix=prefix))
    with (made / LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            yield made
        finally:
            shutil.rmtree(made)


def _sweep(prefix: str) -> None:
    for lock in Path(tempfile.gettempdir()).glob(f"{prefix}*/{LOCK}"):
        try:
            with lock.open("r") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(lock.parent, ignore_errors=True)
        except (BlockingIOError, FileNotFoundError, PermissionError):
            continue
