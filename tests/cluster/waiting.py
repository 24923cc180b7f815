"""Waiting for a condition, and for nothing longer once it cannot come true."""

import time
from collections.abc import Callable, Iterable

from cluster.processes import Started
from cluster.shell import ClusterError

PATIENCE = 120
"""Seconds; a machine that builds something beside is slow."""


def until(is_true: Callable[[], bool], started: Iterable[Started], what: str) -> None:
    """Return when it is true; raise as soon as one of the processes ended, or when patience is at its end."""
    end = time.monotonic() + PATIENCE
    while not is_true():
        for process in started:
            process.require_running()
        if time.monotonic() > end:
            raise ClusterError(f"Not so after {PATIENCE} s: {what}")
        time.sleep(0.05)
