"""Keeps every inquiry going: each at its own pace, none waiting for another's provider."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from contextvars import Context
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol, TypeAlias

from modelway import logs
from modelway.analysis.figures import Readings
from modelway.analysis.inquiry import Inquiry
from modelway.stop import cancelled

AT_ONCE = 128
"""Inquiries that are reading at the same moment; more wait their turn."""
MOST_SECONDS = 60.0
"""No reading takes longer, whatever else bounds it."""
LEAST_PAUSE_SECONDS = 0.5

Key: TypeAlias = tuple[str, str]
"""Namespace and name of a ModelDeployment."""

log = logging.getLogger(__name__)


class Clock(Protocol):
    """Time, and waiting for it."""

    def now(self) -> datetime:
        """What is written beside readings."""
        ...

    def monotonic(self) -> float:
        """Seconds, by which pauses are measured."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


class SystemClock:
    """This machine's."""

    def now(self) -> datetime:
        """The time in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Unmoved by corrections of the clock."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)


class Read(Protocol):
    """Reads all that an inquiry asks for, once."""

    async def read(self, inquiry: Inquiry, now: datetime) -> Readings:
        """What is so now."""
        ...


@dataclass(slots=True)
class _Course:
    """One inquiry over time."""

    inquiry: Inquiry
    readings: Readings | None = None
    failures: int = 0
    problems: dict[str, str] = field(default_factory=dict)
    task: asyncio.Task[None] | None = None


class Inquirer:
    """Asked at each pass what is wanted now, it reads in the background and wakes the object when it has something."""

    def __init__(
        self,
        reader: Read,
        *,
        wake: Callable[[Key], None],
        clock: Clock,
        spread: Callable[[float], float],
        may_ask: Callable[[], bool] = lambda: True,
        at_once: int = AT_ONCE,
    ) -> None:
        """`spread` varies a pause, so that many inquiries drift apart; without `may_ask` a reading is left out."""
        self._reader = reader
        self._wake = wake
        self._clock = clock
        self._spread = spread
        self._may_ask = may_ask
        self._courses: dict[Key, _Course] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._turns = asyncio.Semaphore(at_once)
        self._is_stopped = False

    def ask(self, key: Key, inquiry: Inquiry | None) -> None:
        """Have this read from now on, at once and at each interval; None: nothing more. The same again changes nothing.

        Another id forgets what was read for the former one. The same id with other pods goes on at its pace.
        """
        course = self._courses.get(key)
        if course and inquiry and course.inquiry.id == inquiry.id and course.inquiry.interval == inquiry.interval:
            course.inquiry = inquiry
            return
        if course and course.task:
            course.task.cancel()
            del self._courses[key]
        if inquiry and not self._is_stopped:
            self._begin(key, inquiry)

    def readings(self, key: Key) -> Readings | None:
        """The newest for the present inquiry."""
        course = self._courses.get(key)
        return course.readings if course else None

    @property
    def failures(self) -> Mapping[Key, int]:
        """How often in a row reading itself failed, which no provider can bring about; only where it did."""
        return {key: course.failures for key, course in self._courses.items() if course.failures}

    async def stop(self) -> None:
        """Read nothing more; returns when all connections are closed."""
        self._is_stopped = True
        self._courses.clear()
        await cancelled(*self._tasks)

    def _begin(self, key: Key, inquiry: Inquiry) -> None:
        course = self._courses[key] = _Course(inquiry)
        # The pass that asks has a log context of its own, which ends with it.
        course.task = asyncio.get_running_loop().create_task(self._follow(key, course), context=Context())
        self._tasks.add(course.task)
        course.task.add_done_callback(self._tasks.discard)

    async def _follow(self, key: Key, course: _Course) -> None:
        with logs.context(namespace=key[0], name=key[1]):
            while True:
                began, interval = self._clock.monotonic(), course.inquiry.interval / timedelta(seconds=1)
                async with self._turns:
                    await self._turn(key, course)
                taken = self._clock.monotonic() - began
                await self._clock.sleep(max(LEAST_PAUSE_SECONDS, self._spread(interval) - taken))

    async def _turn(self, key: Key, course: _Course) -> None:
        if not self._may_ask():
            return
        (outcome,) = await asyncio.gather(self._read(course.inquiry), return_exceptions=True)
        if isinstance(outcome, BaseException):
            course.failures += 1
            if course.failures == 1:
                log.error("Failed to read figures", exc_info=outcome)
            return
        course.failures = 0
        _tell(course.problems, outcome)
        course.readings = outcome
        self._wake(key)

    async def _read(self, inquiry: Inquiry) -> Readings:
        async with asyncio.timeout(MOST_SECONDS):
            return await self._reader.read(inquiry, self._clock.now())


def _tell(told: dict[str, str], readings: Readings) -> None:
    """Log a provider that does not answer when it begins and when it ends, and not at each interval."""
    for answer in readings.answers:
        extra = {"metric": answer.metric}
        if answer.problem and answer.metric not in told:
            log.warning("Provider gave no answer: %s", answer.problem, extra=extra)
        if not answer.problem and answer.metric in told:
            log.info("Provider answers again", extra=extra)
        told.pop(answer.metric, None)
        if answer.problem:
            told[answer.metric] = answer.problem
