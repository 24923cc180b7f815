"""Which fault meets which request: drawn by a seed, bounded in number and time. No I/O."""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from faults.calls import Call


class Effect(StrEnum):
    """What becomes of a request."""

    CUT = "a watch ends in order"
    TORN = "a watch ends in order, in the middle of a line"
    SEVERED = "the connection of a watch is reset in the middle of a line"
    EXPIRED = "410"
    EXPIRED_EVENT = "an ERROR event of 410 ends a watch"
    ERROR_EVENT = "an ERROR event of 500 ends a watch"
    THROTTLED = "429"
    BROKEN = "500"
    UNAVAILABLE = "503"
    SLOW = "it arrives late"
    HELD = "it arrives when the faults are over"
    REFUSED = "the connection is reset before the request arrived"
    LOST = "the connection is reset in place of the answer"
    HALVED = "the answer ends in order, half way"
    MOVED = "somebody else writes the object just before"
    STALE = "a list of before the fault"


STREAMS = frozenset({Effect.CUT, Effect.TORN, Effect.SEVERED, Effect.EXPIRED_EVENT, Effect.ERROR_EVENT})


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What happens to a share of the requests, at most `count` times and for at most `seconds`."""

    effect: Effect
    share: float = 1.0
    count: int = 1_000
    seconds: float = 120.0
    verbs: frozenset[str] = frozenset()
    """Empty: all to which it can happen."""
    resources: frozenset[str] = frozenset()
    """Empty: all."""
    delay: tuple[float, float] = (0.0, 0.0)
    """Seconds, at least and at most, before a request goes on (SLOW) or before a watch ends without a line."""
    retry_after: str = "1"
    """The header of a 429; empty: none."""

    def concerns(self, call: Call) -> bool:
        """Whether it can happen to this request."""
        is_meant = not self.verbs or call.verb in self.verbs
        return is_meant and (not self.resources or call.resource in self.resources) and _can_happen(self.effect, call)


def _can_happen(effect: Effect, call: Call) -> bool:
    match effect:
        case Effect.EXPIRED:
            return call.verb in ("watch", "list")
        case Effect.LOST | Effect.HALVED:
            return call.verb != "watch"
        case Effect.MOVED:
            return call.is_write and bool(call.name)
        case Effect.STALE:
            return call.verb == "list"
        case _:
            return effect not in STREAMS or call.verb == "watch"


def mixed(share: float, *, seconds: float, spare: Iterable[Effect] = ()) -> tuple[Fault, ...]:
    """Every fault that passes, each for that share of the requests to which it can happen, but for those spared."""
    return tuple(
        Fault(effect=effect, share=share, seconds=seconds, count=10_000, delay=(0.05, 1.0))
        for effect in Effect
        if effect not in {Effect.HELD, *spare}
    )


@dataclass(slots=True)
class _Running:
    fault: Fault
    until: float
    left: int = field(init=False)

    def __post_init__(self) -> None:
        self.left = self.fault.count


class Script:
    """The faults that happen now. Thread-safe: tests begin and end them, the proxy asks."""

    def __init__(self, seed: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._random = random.Random(seed)
        self._clock = clock
        self._lock = threading.Lock()
        self._running: list[_Running] = []
        self.happened: Counter[Effect] = Counter()
        self.begun = 0
        """How often faults were begun: a watch that is open looks at it."""

    def begin(self, *faults: Fault) -> None:
        """Let these happen from now on, beside those that happen already."""
        with self._lock:
            self.begun += 1
            self._running += [_Running(fault, self._clock() + fault.seconds) for fault in faults]

    def end(self) -> None:
        """Fair weather from now on; a watch that was doomed already still ends."""
        with self._lock:
            self._running.clear()

    def is_over(self, fault: Fault) -> bool:
        """Whether a fault has ended, by its time or by hand."""
        with self._lock:
            return not any(running.fault is fault and running.until > self._clock() for running in self._running)

    def draw(self, call: Call) -> Fault | None:
        """What happens to this request: the first of the faults whose lot is drawn."""
        with self._lock:
            self._running = [running for running in self._running if running.until > self._clock()]
            for running in self._running:
                if running.left and running.fault.concerns(call) and self._random.random() < running.fault.share:
                    running.left -= 1
                    self.happened[running.fault.effect] += 1
                    return running.fault
            return None

    def between(self, least: float, most: float) -> float:
        """A length drawn from the same seed."""
        with self._lock:
            return self._random.uniform(least, most)
