"""Work queue of keys: no key twice, no key by two workers at once, delays, back-off, two lanes.

The rules are those of client-go's work queue. All but `get` is synchronous and takes its time from a clock,
so that tests turn the clock by hand.
"""

import asyncio
import heapq
import time
from collections import deque
from collections.abc import Callable

from modelway.cluster.jitter import spread
from modelway.cluster.lanes import Lane
from modelway.cluster.snapshot import Key

FIRST_BACKOFF_SECONDS = 0.2
LARGEST_BACKOFF_SECONDS = 300.0
BACKOFF_JITTER = 0.2

STALE_DEADLINES = 256
"""Superseded deadlines that may lie in the heap beside as many as there are live ones."""


class WorkQueue:
    """Keys wait (now or until a deadline), are processed, and wait again when they were added meanwhile."""

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[float, float], float] = spread,
    ) -> None:
        self._clock = clock
        self._jitter = jitter
        self._waiting: dict[Key, tuple[Lane, float]] = {}
        """Keys to be taken now, with lane and since when. What the lanes hold beside is out of date."""
        self._lanes: dict[Lane, deque[Key]] = {lane: deque() for lane in Lane}
        self._processing: set[Key] = set()
        self._again: dict[Key, Lane] = {}
        self._deadlines: dict[Key, tuple[float, Lane]] = {}
        self._heap: list[tuple[float, int, Key]] = []
        self._sequence = 0
        self._failures: dict[Key, int] = {}
        self._getters: deque[asyncio.Future[None]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self.adds = dict.fromkeys(Lane, 0)
        self.retries = 0

    def add(self, key: Key, lane: Lane = Lane.HIGH) -> None:
        """Have the key processed soon; once more when it is being processed now."""
        self.adds[lane] += 1
        self._enqueue(key, lane)

    def _enqueue(self, key: Key, lane: Lane) -> None:
        if key in self._processing:
            self._again[key] = min(lane, self._again.get(key, lane))
            return
        present = self._waiting.get(key)
        if present is not None and present[0] <= lane:
            return
        self._waiting[key] = (lane, present[1] if present else self._clock())
        self._lanes[lane].append(key)
        self._wake_one()

    def add_after(self, key: Key, delay: float, lane: Lane = Lane.HIGH) -> None:
        """Have the key processed after `delay` seconds; of several deadlines the earliest counts."""
        if delay <= 0:
            self.add(key, lane)
            return
        deadline = self._clock() + delay
        present = self._deadlines.get(key)
        if present is not None and present[0] <= deadline:
            self._deadlines[key] = (present[0], min(lane, present[1]))
            return
        self._deadlines[key] = (deadline, lane)
        self._sequence += 1
        heapq.heappush(self._heap, (deadline, self._sequence, key))
        self._compact()
        self._arm()

    def retry(self, key: Key, *, at_least: float = 0.0) -> float:
        """Have a failed key processed again; the pause doubles with each failure. Returns it in seconds."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        pause = min(FIRST_BACKOFF_SECONDS * 2 ** min(failures, 32), LARGEST_BACKOFF_SECONDS)
        pause = max(self._jitter(pause, BACKOFF_JITTER), at_least)
        self.retries += 1
        self.add_after(key, pause)
        return pause

    def forget(self, key: Key) -> None:
        """Begin the back-off anew: the key succeeded."""
        self._failures.pop(key, None)

    def take(self) -> Key | None:
        """The next key, now being processed until `done`; None when none is due."""
        self._admit_due()
        for lane, keys in self._lanes.items():
            while keys:
                key = keys.popleft()
                if self._waiting.get(key, (None, 0.0))[0] is not lane:
                    continue
                del self._waiting[key]
                self._processing.add(key)
                return key
        return None

    def done(self, key: Key) -> None:
        """The key's processing has ended; it waits again if it was added meanwhile."""
        self._processing.discard(key)
        lane = self._again.pop(key, None)
        if lane is not None:
            self._enqueue(key, lane)

    async def get(self) -> Key:
        """Wait for the next key and take it."""
        while True:
            key = self.take()
            if key is not None:
                return key
            getter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._getters.append(getter)
            self._arm()
            try:
                await getter
            except asyncio.CancelledError:
                self._leave(getter)
                raise

    def depth(self, lane: Lane) -> int:
        """Keys of a lane that wait to be taken now."""
        return sum(1 for present, _ in self._now_waiting() if present is lane)

    def oldest_seconds(self) -> float:
        """How long the key that waits longest has waited."""
        since = min((since for _, since in self._now_waiting()), default=None)
        return 0.0 if since is None else self._clock() - since

    def _now_waiting(self) -> tuple[tuple[Lane, float], ...]:
        """A copy made in one step: metrics are rendered in a thread of their own, while the queue moves."""
        return tuple(self._waiting.values())

    def next_deadline(self) -> float | None:
        """When, on the clock, the next delayed key becomes due."""
        while self._heap and self._deadlines.get(self._heap[0][2], (None,))[0] != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def _admit_due(self) -> None:
        now = self._clock()
        while (deadline := self.next_deadline()) is not None and deadline <= now:
            key = heapq.heappop(self._heap)[2]
            _, lane = self._deadlines.pop(key)
            self.add(key, lane)

    def _compact(self) -> None:
        """Drop superseded deadlines: each event of an object that waits for an hour leaves one."""
        if len(self._heap) <= 2 * len(self._deadlines) + STALE_DEADLINES:
            return
        self._heap = [entry for entry in self._heap if self._deadlines.get(entry[2], (None,))[0] == entry[0]]
        heapq.heapify(self._heap)

    def _wake_one(self) -> None:
        while self._getters:
            getter = self._getters.popleft()
            if not getter.done():
                getter.set_result(None)
                return

    def _leave(self, getter: asyncio.Future[None]) -> None:
        """A cancelled getter passes on the wake-up that it had already got."""
        if getter in self._getters:
            self._getters.remove(getter)
        else:
            self._wake_one()
        self._arm()

    def _arm(self) -> None:
        """Wake a getter at the next deadline. Without getters nobody has to be woken."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        deadline = self.next_deadline()
        if deadline is not None and self._getters:
            delay = max(0.0, deadline - self._clock())
            self._timer = self._getters[0].get_loop().call_later(delay, self._ring)

    def _ring(self) -> None:
        self._timer = None
        self._admit_due()
        self._arm()
