"""The pace of inquiries, with a clock that is turned by hand."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from modelway.analysis.figures import Answer, Readings
from modelway.analysis.inquiry import Inquiry, Target
from modelway.api.analysis import Metric
from modelway.metrics import Metrics
from modelway.providers.calls import Caller
from modelway.providers.inquirer import Inquirer, Key
from modelway.providers.pods import Pods
from modelway.providers.reader import Reader

FRAUD, IRIS, CHURN = ("payments", "fraud"), ("labs", "iris"), ("labs", "churn")
START = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


class TurnedClock:
    """Stands still until it is turned; then whoever's time has come wakes, and works as far as that goes."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._sleepers: list[tuple[float, asyncio.Future[None]]] = []

    def now(self) -> datetime:
        return START + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sleepers.append((self.seconds + seconds, future))
        await future

    async def turn(self, seconds: float) -> None:
        """Let so much time pass, waking sleepers in their order."""
        end = self.seconds + seconds
        await settled()
        while due := min((at for at, future in self._sleepers if at <= end and not future.done()), default=None):
            self.seconds = due
            for at, future in self._sleepers:
                if at <= due and not future.done():
                    future.set_result(None)
            await settled()
        self.seconds = end


async def settled() -> None:
    """Let everything run that can; what is played here needs few turns of the loop."""
    for _ in range(50):
        await asyncio.sleep(0)


class Source:
    """Plays the reader: answers at once, fails, or hangs for an inquiry's id."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, datetime]] = []
        self.hangs: dict[str, asyncio.Event] = {}
        self.fails: dict[str, Exception] = {}
        self.cancelled: list[str] = []
        self.problem = ""

    async def read(self, inquiry: Inquiry, now: datetime) -> Readings:
        self.asked.append((inquiry.id, now))
        if inquiry.id in self.fails:
            raise self.fails[inquiry.id]
        if inquiry.id in self.hangs:
            try:
                await self.hangs[inquiry.id].wait()
            except asyncio.CancelledError:
                self.cancelled.append(inquiry.id)
                raise
        return Readings(
            inquiry=inquiry.id,
            at=now,
            silent=tuple(target.pod for target in inquiry.targets),
            answers=(Answer(metric="auc", problem=self.problem),),
        )

    def names(self) -> list[str]:
        """Inquiries in the order in which they were read."""
        return [name for name, _ in self.asked]

    def times(self, name: str = "3/half/1") -> list[float]:
        """Seconds at which it was read."""
        return [(at - START).total_seconds() for asked, at in self.asked if asked == name]


class Place:
    """An inquirer, what it reads and whom it wakes."""

    def __init__(self, *, at_once: int = 128, spread: Callable[[float], float] = lambda seconds: seconds) -> None:
        self.clock, self.source, self.woken = TurnedClock(), Source(), list[Key]()
        self.is_leading = True
        self.inquirer = Inquirer(
            self.source,
            wake=self.woken.append,
            clock=self.clock,
            spread=spread,
            may_ask=lambda: self.is_leading,
            at_once=at_once,
        )


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    place = Place()
    yield place
    await place.inquirer.stop()


def inquiry(name: str = "3/half/1", *, seconds: float = 30, pods: tuple[str, ...] = (), **bindings: str) -> Inquiry:
    return Inquiry(
        id=name,
        interval=timedelta(seconds=seconds),
        targets=tuple(Target(pod=pod, address="10.0.0.7:8002", revision="fraud-1") for pod in pods),
        bindings=bindings,
    )


async def test_it_reads_at_once_and_then_at_each_interval_and_wakes_the_object_each_time(place: Place) -> None:
    place.inquirer.ask(FRAUD, inquiry())
    assert place.inquirer.readings(FRAUD) is None
    await place.clock.turn(95)
    assert place.source.times() == [0, 30, 60, 90]
    assert place.woken == [FRAUD] * 4
    readings = place.inquirer.readings(FRAUD)
    assert readings
    assert (readings.inquiry, readings.at) == ("3/half/1", START + timedelta(seconds=90))


async def test_asking_the_same_again_changes_nothing(place: Place) -> None:
    for _ in range(10):
        place.inquirer.ask(FRAUD, inquiry())
        await place.clock.turn(7)
    assert place.source.times() == [0, 30, 60]


async def test_57_another_inquiry_is_read_at_once_and_nothing_of_the_former_is_left(place: Place) -> None:
    place.inquirer.ask(FRAUD, inquiry())
    await place.clock.turn(10)
    place.inquirer.ask(FRAUD, inquiry("3/all/1"))
    assert place.inquirer.readings(FRAUD) is None
    await place.clock.turn(50)
    assert (place.source.times(), place.source.times("3/all/1")) == ([0], [10, 40])
    readings = place.inquirer.readings(FRAUD)
    assert readings
    assert readings.inquiry == "3/all/1"


async def test_57_what_a_former_inquiry_still_reads_is_dropped(place: Place) -> None:
    place.source.hangs["3/half/1"] = asyncio.Event()
    place.inquirer.ask(FRAUD, inquiry())
    await place.clock.turn(1)
    place.inquirer.ask(FRAUD, inquiry("3/all/1"))
    place.source.hangs["3/half/1"].set()
    await place.clock.turn(1)
    readings = place.inquirer.readings(FRAUD)
    assert readings
    assert readings.inquiry == "3/all/1"
    assert place.woken == [FRAUD]


async def test_other_pods_of_the_same_inquiry_are_read_at_its_pace(place: Place) -> None:
    place.inquirer.ask(FRAUD, inquiry(pods=("a",)))
    await place.clock.turn(10)
    place.inquirer.ask(FRAUD, inquiry(pods=("a", "b")))
    readings = place.inquirer.readings(FRAUD)
    assert readings
    assert readings.silent == ("a",)
    await place.clock.turn(20)
    readings = place.inquirer.readings(FRAUD)
    assert readings
    assert readings.silent == ("a", "b")
    assert place.source.times() == [0, 30]


async def test_another_interval_counts_at_once(place: Place) -> None:
    place.inquirer.ask(FRAUD, inquiry(seconds=3600))
    await place.clock.turn(10)
    place.inquirer.ask(FRAUD, inquiry(seconds=5))
    await place.clock.turn(10)
    assert place.source.times() == [0, 10, 15, 20]


async def test_nothing_is_read_once_nothing_is_asked(place: Place) -> None:
    place.source.hangs["hangs"] = asyncio.Event()
    place.inquirer.ask(FRAUD, inquiry())
    place.inquirer.ask(IRIS, inquiry("hangs"))
    await place.clock.turn(10)
    for key in (FRAUD, IRIS, CHURN):
        place.inquirer.ask(key, None)
    await place.clock.turn(100)
    assert (place.source.times(), place.source.cancelled) == ([0], ["hangs"])
    assert place.inquirer.readings(FRAUD) is None
    assert place.woken == [FRAUD]


async def test_a_reading_that_takes_longer_than_the_interval_is_followed_by_the_next(place: Place) -> None:
    place.source.hangs["3/half/1"] = is_over = asyncio.Event()
    place.inquirer.ask(FRAUD, inquiry(seconds=5))
    await place.clock.turn(12)
    assert place.source.times() == [0]
    del place.source.hangs["3/half/1"]
    is_over.set()
    await place.clock.turn(6)
    assert place.source.times() == [0, 12.5, 17.5]


async def test_58_one_that_hangs_delays_no_other(place: Place) -> None:
    for number in range(100):
        place.source.hangs[f"hangs {number}"] = asyncio.Event()
        place.inquirer.ask(("labs", f"hangs-{number}"), inquiry(f"hangs {number}"))
    place.inquirer.ask(FRAUD, inquiry())
    await place.clock.turn(60)
    assert place.source.times() == [0, 30, 60]
    assert set(place.woken) == {FRAUD}


async def test_beyond_the_limit_inquiries_wait_their_turn_in_order() -> None:
    place = Place(at_once=1)
    place.source.hangs["hangs"] = is_over = asyncio.Event()
    for key, name in ((IRIS, "hangs"), (FRAUD, "3/half/1"), (CHURN, "1/all/1")):
        place.inquirer.ask(key, inquiry(name))
    await place.clock.turn(10)
    assert place.source.names() == ["hangs"]
    is_over.set()
    await place.clock.turn(1)
    assert place.source.names() == ["hangs", "3/half/1", "1/all/1"]
    await place.inquirer.stop()


async def test_a_turn_that_is_not_waited_for_any_more_goes_to_the_next() -> None:
    place = Place(at_once=1)
    place.source.hangs["hangs"] = asyncio.Event()
    for key, name in ((IRIS, "hangs"), (CHURN, "1/all/1"), (FRAUD, "3/half/1")):
        place.inquirer.ask(key, inquiry(name))
    await place.clock.turn(1)
    place.inquirer.ask(CHURN, None)
    place.inquirer.ask(IRIS, None)
    await place.clock.turn(1)
    assert place.source.names() == ["hangs", "3/half/1"]
    await place.inquirer.stop()


async def test_many_inquiries_drift_apart() -> None:
    pauses = iter(range(27, 1000))
    place = Place(spread=lambda _: next(pauses))
    for number in range(5):
        place.inquirer.ask(("labs", f"model-{number}"), inquiry(f"{number}"))
    await place.clock.turn(40)
    assert [place.source.times(str(number))[1] for number in range(5)] == [27, 28, 29, 30, 31]
    await place.inquirer.stop()


async def test_who_does_not_lead_asks_nobody(place: Place) -> None:
    place.is_leading = False
    place.inquirer.ask(FRAUD, inquiry())
    await place.clock.turn(60)
    assert place.source.asked == []
    place.is_leading = True
    await place.clock.turn(30)
    assert place.source.times() == [90]


async def test_a_fault_is_logged_once_counted_and_survived(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    place.source.fails["3/half/1"] = KeyError("figures")
    place.inquirer.ask(FRAUD, inquiry())
    await place.clock.turn(65)
    assert place.inquirer.failures == {FRAUD: 3}
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert place.woken == []
    del place.source.fails["3/half/1"]
    await place.clock.turn(30)
    assert (place.inquirer.failures, place.woken) == ({}, [FRAUD])


async def test_a_provider_that_does_not_answer_is_told_when_it_begins_and_when_it_ends(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    place.inquirer.ask(FRAUD, inquiry())
    for place.source.problem in ("", "it answered 503", "it answered 504", ""):
        await place.clock.turn(30)
    assert [record.getMessage() for record in caplog.records] == [
        "Provider gave no answer: it answered 503",
        "Provider answers again",
    ]


async def test_after_the_end_nothing_is_read_or_begun(place: Place) -> None:
    place.source.hangs["hangs"] = asyncio.Event()
    place.inquirer.ask(FRAUD, inquiry())
    place.inquirer.ask(IRIS, inquiry("hangs"))
    await place.clock.turn(1)
    await place.inquirer.stop()
    assert place.source.cancelled == ["hangs"]
    place.inquirer.ask(CHURN, inquiry("1/all/1"))
    await place.clock.turn(100)
    assert len(place.source.asked) == 2
    assert place.inquirer.readings(FRAUD) is None


async def test_58_real_providers_that_hang_do_not_keep_another_object_from_its_figures(
    serve: Any, saying: Any, hanging: Any, caller: Caller
) -> None:
    """Nothing is played but the servers."""
    prompt = await serve(saying({"status": "success", "data": {"resultType": "scalar", "result": [1, "0.5"]}}))
    hung = await serve(hanging)
    clock, metrics, is_read = TurnedClock(), Metrics(), asyncio.Event()

    def wake(key: Key) -> None:
        if key == FRAUD:
            is_read.set()

    inquirer = Inquirer(
        Reader(Pods(caller, seconds=600), caller, metrics, seconds=600),
        wake=wake,
        clock=clock,
        spread=lambda seconds: seconds,
    )

    def of(url: str, name: str) -> Inquiry:
        query = {"address": url, "query": "up"}
        metrics = tuple(
            Metric.model_validate({"name": f"figure-{number}", "prometheus": query, "max": 1}) for number in range(2)
        )
        address = url.removeprefix("http://")
        targets = tuple(Target(pod=f"{number}", address=address, revision="r") for number in range(4))
        return Inquiry(id=name, interval=timedelta(hours=1), metrics=metrics, targets=targets, bindings={})

    for number in range(20):
        inquirer.ask(("labs", f"hangs-{number}"), of(hung.url, f"hangs {number}"))
    while len(hung.asked) < 20 * 6:
        await asyncio.sleep(0)
    inquirer.ask(FRAUD, of(prompt.url, "3/half/1"))
    await is_read.wait()
    readings = inquirer.readings(FRAUD)
    assert readings
    assert [answer.value for answer in readings.answers] == [0.5, 0.5]
    assert all(inquirer.readings(("labs", f"hangs-{number}")) is None for number in range(20))
    await inquirer.stop()
