"""How long a fetch goes on without progress, and what it says about its progress."""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from modelway_runtime import logs, units
from modelway_runtime.fetch.source import Entry, Transient
from modelway_runtime.reasons import Failure, Reason

T = TypeVar("T")

FIRST_PAUSE = 0.5
"""Seconds before the second try; each further pause is twice as long."""

_LONGEST_PAUSE = 10.0
PROGRESS_SECONDS = 2.0


class Patience:
    """Tries again with growing pauses until nothing new came for a while; several threads may share it.

    Only bytes beyond the furthest so far count: a connection that always breaks at the same place ends it.
    """

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._last_progress = time.monotonic()
        self._pause = FIRST_PAUSE
        self._furthest = 0
        self._is_over = threading.Event()

    def renew(self, reached: int) -> None:
        """So many bytes of the model are there."""
        if reached <= self._furthest:
            return
        self._furthest = reached
        self._last_progress = time.monotonic()
        self._pause = FIRST_PAUSE

    def tried(self, action: Callable[[], T]) -> T:
        """The result of the first try that works."""
        while True:
            try:
                return action()
            except Transient as error:
                self.wait(error)

    def wait(self, error: Exception) -> None:
        """A pause before the next try; raises Failure when the patience is at its end."""
        waited = time.monotonic() - self._last_progress
        if waited + self._pause > self._limit:
            self._is_over.set()
        if self._is_over.is_set():
            message = f"Gave up after {waited:.0f} s without progress: {error}"
            raise Failure(Reason.DOWNLOAD_TIMEOUT, message) from error
        logs.write("Store did not answer, trying again", error=str(error), pause=self._pause)
        pause = self._pause
        self._pause = min(pause * 2, _LONGEST_PAUSE)
        # Another thread that gives up ends the pause.
        self._is_over.wait(pause)


class Progress:
    """Counts the bytes of a file that are there, holds the limit and logs now and then."""

    def __init__(self, entry: Entry, patience: Patience, before: int, max_bytes: int) -> None:
        self._entry = entry
        self._patience = patience
        self._before = before
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._logged = (time.monotonic(), 0)
        self.of = entry.size
        self.size = 0

    def add(self, count: int) -> None:
        """More bytes came; a negative count takes back what came."""
        with self._lock:
            self.size += count
            check_size(self._before + self.size, self._max_bytes)
            self._patience.renew(self._before + self.size)
            now = time.monotonic()
            if now - self._logged[0] > PROGRESS_SECONDS:
                self._log(now)

    def _log(self, now: float) -> None:
        then, before = self._logged
        self._logged = (now, self.size)
        speed = f"{units.text(max(0, self.size - before) / (now - then))}/s"
        share = f"{100 * self.size // self.of} %" if self.of else units.text(self.size)
        logs.write(f"Fetching {self._entry.path}: {share}, {speed}", bytes=self.size, of=self.of)


def check_size(count: int, max_bytes: int) -> None:
    """Refuses more bytes than the limit."""
    if count > max_bytes:
        message = f"The model has at least {units.text(count)}; the limit is {units.text(max_bytes)}"
        raise Failure(Reason.ARTIFACT_TOO_LARGE, message)
