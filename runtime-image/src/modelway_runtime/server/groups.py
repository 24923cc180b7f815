"""Requests counted by a value of theirs, such as a language, while somebody asks for it: figures of each group.

Who asks names an input of the model, the values that get a count of their own, and how many further ones may have one,
as they come. All others are counted together. Nothing else is kept of a value.

Counts are told in slots of time that have passed, each with a number that only grows. Who has read up to a slot asks
for what came after it, so that it need not remember every count of every process to take a difference.
"""

from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Mapping

from modelway_runtime.protocol.tensors import Array, Arrays
from modelway_runtime.server.metrics import LATENCIES
from modelway_runtime.server.question import MOST_LETTERS, Question, printable

OTHER, NONE = "(other)", "(none)"
SLOTS = 16
"""Slots that are kept; who asks less often than that loses what is older."""
PATIENCE_SECONDS = 300.0
"""How long counting goes on after a question, and for as long as the slots last where that is longer."""


class Group:
    """The counts of one group in one slot; the same fields as those of all requests."""

    __slots__ = ("errors", "latency", "requests")

    def __init__(self) -> None:
        self.requests = 0
        self.errors = 0
        self.latency: Counter[int] = Counter()

    def add(self, other: "Group") -> None:
        """What another slot has of the same group."""
        self.requests += other.requests
        self.errors += other.errors
        self.latency.update(other.latency)

    def told(self) -> dict[str, object]:
        """As JSON."""
        latency = {str(bucket): count for bucket, count in sorted(self.latency.items())}
        return {"requests": self.requests, "errors": self.errors, "latency": latency}


_Slot = dict[str, Group]


class Groups:
    """The groups of one process. `now` is `perf_counter`; the event loop's thread is the only one that calls."""

    def __init__(self, *, request_timeout: float) -> None:
        self._request_timeout = request_timeout
        self._input = ""
        self._asked: tuple[str, ...] = ()
        self._names: set[str] = set()
        """Those that were asked for, and the first others that came."""
        self._most_names = 0
        self._slot_seconds = 0.0
        self._open: _Slot = {}
        self._ends = 0.0
        self._closed: deque[tuple[int, _Slot]] = deque(maxlen=SLOTS)
        self._last = 0
        """Number of the last slot that was closed."""
        self._expires = 0.0
        self._has_latency = False
        self.unread: Arrays | None = None
        """The inputs of a request that has not been read yet; None while nobody asks."""

    def of(self, inputs: Arrays) -> str:
        """The group of a request; raises nothing, whatever a caller sends."""
        text = _text(inputs.get(self._input))
        if not text:
            return NONE
        if len(text) <= MOST_LETTERS and text in self._names:
            return text
        name = printable(text)
        if name in self._names or name in (NONE, OTHER):
            return name
        if len(self._names) >= self._most_names:
            return OTHER
        self._names.add(name)
        return name

    def answered(self, inputs: Arrays, seconds: float, now: float) -> None:
        """A request had its answer after so many seconds; one after the limit is an error, too."""
        group = self._group(inputs, now)
        if group is not None:
            group.requests += 1
            group.errors += seconds > self._request_timeout
            if self._has_latency:
                group.latency[bisect_left(LATENCIES, seconds)] += 1

    def failed(self, inputs: Arrays, now: float) -> None:
        """A request ended in an error that is not the caller's."""
        group = self._group(inputs, now)
        if group is not None:
            group.requests += 1
            group.errors += 1

    def _group(self, inputs: Arrays, now: float) -> Group | None:
        """None where nobody asks any more. By the names of this moment: they may have changed since it came."""
        if now >= self._ends:
            self._turn(now)
        if self.unread is None:
            return None
        name = self.of(inputs)
        group = self._open.get(name)
        if group is None:
            group = self._open[name] = Group()
        return group

    def figures(self, asked: Question, run: str, now: float) -> dict[str, object]:
        """What an answer says of groups; counting goes on, or begins, for a while."""
        if now >= self._ends:
            self._turn(now)
        if asked.input != self._input:
            self._forget()
        if asked.names != self._asked:
            self._rename(asked.names)
        self._input, self._most_names = asked.input, len(asked.names) + asked.more
        self._slot_seconds, self._has_latency = asked.slot_seconds, asked.has_latency
        self._expires = now + max(PATIENCE_SECONDS, SLOTS * asked.slot_seconds)
        if self.unread is None:
            self.unread, self._ends = {}, now + asked.slot_seconds
        after = asked.after if asked.run == run else None
        found = self._after(-1 if after is None else after)
        return {
            "by": asked.input,
            "after": after,
            "upTo": self._last,
            "counts": {name: group.told() for name, group in found.items()},
        }

    def _turn(self, now: float) -> None:
        """Closes the slot, if anything is in it, and ends the counting when nobody has asked for long."""
        if self.unread is None:
            return
        if now >= self._expires:
            self._forget()
            self.unread = None
            return
        self._ends = now + self._slot_seconds
        if self._open:
            self._last += 1
            self._closed.append((self._last, self._open))
            self._open = {}

    def _forget(self) -> None:
        self._open = {}
        self._closed.clear()
        self._input = ""
        self._rename(())

    def _rename(self, names: tuple[str, ...]) -> None:
        """Other names: what was counted together is not what will be, so it is not told any more."""
        self._asked, self._names = names, set(names)
        for slot in (self._open, *(slot for _, slot in self._closed)):
            for name in slot.keys() - self._names - {NONE}:
                del slot[name]

    def _after(self, number: int) -> Mapping[str, Group]:
        """The sums of the slots that came later."""
        found: dict[str, Group] = {}
        for name, group in (item for last, slot in self._closed if last > number for item in slot.items()):
            found.setdefault(name, Group()).add(group)
        return found


def _text(array: Array | None) -> str:
    """The first value of an input; empty where it has none that can be a group."""
    value = None if array is None or not array.size else array.item(0)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    return value if isinstance(value, str) else ""
