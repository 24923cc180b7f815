"""What went through the proxy, as evidence: who asked what, what became of it, and what the server made of it."""

import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from faults.calls import Call
from faults.script import Effect

Manifest = dict[str, Any]


@dataclass(slots=True, kw_only=True)
class Entry:
    """One request. Filled in while it goes on."""

    call: Call
    at: float = field(default_factory=time.monotonic)
    sent: Manifest | None = None
    """What a write wanted, if JSON."""
    effect: Effect | None = None
    status: int = 0
    """What the API server answered; 0 as long as it did not, or was not asked."""
    told: int = 0
    """What the client was answered; 0: nothing."""
    answer: Manifest | None = None
    """The object that a write came back with."""

    @property
    def is_done(self) -> bool:
        """Whether it was a write that took effect."""
        return self.call.is_write and 200 <= self.status < 300

    @property
    def guard(self) -> str:
        """The resourceVersion that a write was decided from; empty when it named none."""
        return str(((self.sent or {}).get("metadata") or {}).get("resourceVersion") or "")


class Journal:
    """The last requests, oldest first, and counts of all."""

    def __init__(self, *, kept: int = 100_000) -> None:
        self._entries: deque[Entry] = deque(maxlen=kept)
        self.counts: Counter[str] = Counter()

    def begin(self, entry: Entry) -> Entry:
        """Note a request that arrived."""
        self._entries.append(entry)
        self.counts[f"{entry.call.verb} {entry.call.resource or entry.call.path}"] += 1
        return entry

    def since(self, moment: float) -> tuple[Entry, ...]:
        """What arrived from that moment (monotonic seconds) on."""
        return tuple(entry for entry in tuple(self._entries) if entry.at >= moment)

    def writes(self, *, is_wanted: Callable[[Call], bool] = lambda _: True) -> Iterator[Entry]:
        """The writes that took effect."""
        return (entry for entry in tuple(self._entries) if entry.is_done and is_wanted(entry.call))
