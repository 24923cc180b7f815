"""How much a comparator takes on: so many requests a second, so many at once, so many bytes. Pure."""

from enum import StrEnum


class Overload(StrEnum):
    """Why a request is dropped: three limits, or the process ends."""

    RATE = "rate"
    QUEUE = "queue"
    MEMORY = "memory"
    END = "end"


class Backlog:
    """The requests that are read, wait or are compared. Room is taken before a body is read, so memory is bounded."""

    def __init__(self, *, requests: int, size: int, per_second: float, now: float) -> None:
        self._most_requests = requests
        self._most_bytes = size
        self._per_second = per_second
        self._burst = max(1.0, per_second)
        self._tokens = self._burst
        self._seen = now
        self.requests = 0
        self.size = 0

    def enter(self, size: int, now: float) -> Overload | None:
        """Takes room for a request of at most so many bytes, or says why there is none; `now` in seconds, rising."""
        self._tokens = min(self._burst, self._tokens + (now - self._seen) * self._per_second)
        self._seen = now
        if self.requests >= self._most_requests:
            return Overload.QUEUE
        if self.size + size > self._most_bytes:
            return Overload.MEMORY
        if self._tokens < 1:
            return Overload.RATE
        self._tokens -= 1
        self.requests += 1
        self.size += size
        return None

    def leave(self, size: int) -> None:
        """Gives the room back."""
        self.requests -= 1
        self.size -= size
