"""Wakes a thread that waits for files."""

import os
from contextlib import suppress


class Closed(Exception):
    """It is over: nothing more is wanted of the thread."""


class Bell:
    """One thread waits for it, others ring."""

    def __init__(self) -> None:
        self.number, self._rope = os.pipe()
        os.set_blocking(self.number, False)
        os.set_blocking(self._rope, False)
        self._is_last = False

    def ring(self) -> None:
        """There is something to look at."""
        with suppress(BlockingIOError):  # it has not heard the rings before
            os.write(self._rope, b"!")

    def ring_last(self) -> None:
        """The thread should end."""
        self._is_last = True
        self.ring()

    def silence(self) -> None:
        """All rings up to now have been heard."""
        with suppress(BlockingIOError):
            os.read(self.number, 4096)

    def check(self) -> None:
        """Raises Closed after the last ring."""
        if self._is_last:
            raise Closed

    def close(self) -> None:
        """Nobody rings or waits any more."""
        os.close(self.number)
        os.close(self._rope)
