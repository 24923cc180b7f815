"""Workers, the way into the queue, and Kubernetes Events."""

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from modelway import kinds
from modelway.cluster.api import ApiError, Conflict, Fenced, Superseded, TooManyRequests
from modelway.cluster.cache import Cache
from modelway.cluster.events import BURST, Recorder
from modelway.cluster.intake import Intake
from modelway.cluster.lanes import Lane
from modelway.cluster.queue import WorkQueue
from modelway.cluster.snapshot import Key
from modelway.cluster.workers import Workers
from modelway.kinds import Kind, Manifest
from modelway.metrics import Metrics

KEY = ("ns", "iris")


def model(version: int = 1, **more: Any) -> Manifest:
    metadata = {"namespace": "ns", "name": "iris", "uid": "u1", "resourceVersion": str(version)}
    return {"metadata": metadata, "spec": {}, **more}


class Leader:
    def __init__(self, epoch: int = 1) -> None:
        self.epoch: int | None = epoch

    async def leadership(self) -> int:
        assert self.epoch is not None
        return self.epoch


Pass = Callable[[Key, int], Any]


class Bench:
    """Workers over a queue, with every delay cut to nothing, until `expected` passes were made."""

    def __init__(self) -> None:
        self.now = 0.0
        self.queue = WorkQueue(clock=lambda: self.now, jitter=lambda seconds, _: seconds)
        self.metrics = Metrics()
        self.superseded: list[str] = []
        self.passes: list[tuple[Key, int]] = []

    async def work(self, outcomes: list[Any], *, workers: int = 1) -> None:
        finished = asyncio.Event()
        rest = iter(outcomes)

        async def reconcile(key: Key, epoch: int) -> datetime | None:
            self.passes.append((key, epoch))
            if len(self.passes) == len(outcomes):
                finished.set()
            outcome = next(rest)
            if isinstance(outcome, BaseException):
                raise outcome
            return outcome  # type: ignore[no-any-return]

        working = Workers(
            self.queue,
            reconcile,
            leadership=Leader(4),
            superseded=self.superseded.append,
            metrics=self.metrics,
            now=lambda: datetime(2026, 1, 1, tzinfo=UTC),
        )
        running = asyncio.create_task(working.run(workers))
        await finished.wait()
        working.close()
        await running

    def result(self, name: str) -> float | None:
        return self.metrics.registry.get_sample_value("modelway_reconciles_total", {"result": name})


async def test_a_pass_gets_key_and_epoch_and_comes_back_when_it_says() -> None:
    bench = Bench()
    bench.queue.add(KEY)
    await bench.work([datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=30)])
    assert bench.passes == [(KEY, 4)]
    assert bench.queue.next_deadline() == 30
    assert bench.result("done") == 1


@pytest.mark.parametrize(
    ("failure", "result", "pause"),
    [
        pytest.param(Conflict(409, "Conflict", "old"), "conflict", 0.2, id="conflict"),
        pytest.param(ApiError(418, "", "no"), "refused", 0.2, id="refused"),
        pytest.param(TooManyRequests("slow down", 17), "refused", 17, id="too many requests"),
        pytest.param(Fenced("no"), "fenced", 1, id="fenced"),
        pytest.param(RuntimeError("bug"), "error", 0.2, id="a bug"),
    ],
)
async def test_a_failed_pass_is_repeated_after_a_pause(
    failure: Exception, result: str, pause: float, caplog: pytest.LogCaptureFixture
) -> None:
    bench = Bench()
    bench.queue.add(KEY)
    await bench.work([failure])
    assert bench.result(result) == 1
    assert bench.queue.next_deadline() == pause
    assert sum(record.levelno >= logging.WARNING for record in caplog.records) <= 1


async def test_success_begins_the_back_off_anew() -> None:
    bench = Bench()
    for outcome, deadline in ((RuntimeError(), 0.2), (RuntimeError(), 0.4), (None, None), (RuntimeError(), 0.2)):
        bench.queue.add(KEY)
        bench.passes.clear()
        start = bench.now
        await bench.work([outcome])
        following = bench.queue.next_deadline()
        assert (None if following is None else round(following - start, 3)) == deadline
        bench.now += 1
        bench.queue.take()
        bench.queue.done(KEY)


async def test_63_a_process_that_was_superseded_ends() -> None:
    bench = Bench()
    bench.queue.add(KEY)
    await bench.work([Superseded("epoch 9")])
    assert bench.superseded == ["epoch 9"]


@pytest.mark.parametrize(
    ("kind", "event", "lane", "delay"),
    [
        (kinds.MODEL_DEPLOYMENT, "MODIFIED", Lane.HIGH, 0.0),
        (kinds.MODEL_DEPLOYMENT, None, Lane.LOW, 0.0),
        (kinds.POD, "MODIFIED", Lane.HIGH, 0.05),
        (kinds.CLUSTER_MODEL_RUNTIME, "MODIFIED", Lane.LOW, 0.05),
    ],
    ids=str,
)
def test_what_a_person_waits_for_goes_first(kind: Kind, event: str | None, lane: Lane, delay: float) -> None:
    now = 0.0
    cache, queue = Cache(), WorkQueue(clock=lambda: now)
    intake = Intake(cache, queue, Metrics())
    intake.wake(kind, event, (KEY,))
    assert queue.next_deadline() == (delay or None)
    now += 1
    assert queue.take() == KEY
    assert queue.adds[lane] == 1


def test_a_closed_intake_still_feeds_the_cache() -> None:
    cache, queue = Cache(), WorkQueue()
    intake = Intake(cache, queue, Metrics())
    intake.close()
    intake.observe(kinds.MODEL_DEPLOYMENT, "ADDED", model())
    assert cache.keys() == (KEY,)
    assert queue.take() is None


class Sink:
    """Takes Events; refuses the first ones."""

    def __init__(self, refusals: int = 0) -> None:
        self.refusals = refusals
        self.written: list[Manifest] = []

    async def create_event(self, manifest: Manifest) -> None:
        if self.refusals:
            self.refusals -= 1
            raise ApiError(403, "Forbidden", "no")
        self.written.append(manifest)


async def test_an_event_says_what_happened_to_which_object() -> None:
    sink: Any = Sink()
    recorder = Recorder(sink, instance="pod-1", metrics=Metrics())
    recorder.record(model(), "Warning", "OutOfMemory", "ü" * 2000)
    await recorder.drain()
    (event,) = sink.written
    assert (event["type"], event["reason"], event["regarding"]["uid"]) == ("Warning", "OutOfMemory", "u1")
    assert len(event["note"].encode()) <= 1024


async def test_events_about_one_object_are_limited_and_others_are_not() -> None:
    now, sink = 0.0, Sink()
    untyped: Any = sink
    recorder = Recorder(untyped, instance="pod-1", metrics=Metrics(), clock=lambda: now)
    for _ in range(BURST * 2):
        recorder.record(model(), "Normal", "X", "x")
    other = model()
    other["metadata"]["uid"] = "u2"
    recorder.record(other, "Normal", "X", "x")
    await recorder.drain()
    assert len(sink.written) == BURST + 1
    now += 30
    recorder.record(model(), "Normal", "X", "x")
    await recorder.drain()
    assert len(sink.written) == BURST + 2


async def test_a_refused_event_is_dropped_and_the_next_one_written() -> None:
    sink: Any = Sink(refusals=1)
    recorder, metrics = Recorder(sink, instance="p", metrics=Metrics()), Metrics()
    recorder = Recorder(sink, instance="p", metrics=metrics)
    recorder.record(model(), "Normal", "First", "x")
    recorder.record(model(), "Normal", "Second", "x")
    await recorder.drain()
    assert [event["reason"] for event in sink.written] == ["Second"]
    assert metrics.registry.get_sample_value("modelway_events_dropped_total", {"reason": "refused"}) == 1
