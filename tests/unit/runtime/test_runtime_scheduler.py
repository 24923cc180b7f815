"""Batching: who runs together, who waits, and what becomes of errors and of those who left."""

import asyncio
import threading
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelway_runtime.protocol.tensors import Array, Arrays, TensorSpec
from modelway_runtime.server.instances import ThreadInstance
from modelway_runtime.server.jobs import Batch, NoWorker, QueueFull
from modelway_runtime.server.metrics import Metrics
from modelway_runtime.server.scheduler import Scheduler

BAD = 13.0


class Doubling:
    """Doubles; refuses 13; keeps each call's rows; waits at its gate."""

    platform = "test"
    inputs = (TensorSpec(name="x", datatype="FP64", shape=(-1,)),)
    outputs = (TensorSpec(name="y", datatype="FP64", shape=(-1,)),)

    def __init__(self, *, is_batchable: bool = True) -> None:
        self.is_batchable = is_batchable
        self.calls: list[list[Any]] = []
        self.gate = threading.Event()
        self.gate.set()

    def predict(self, inputs: Mapping[str, Array]) -> Arrays:
        (array,) = inputs.values()
        self.calls.append(array.tolist())
        self.gate.wait()
        if BAD in array:
            raise ValueError("thirteen")
        return {"y": array * 2}


def _scheduler(
    model: Any, *, count: int = 1, max_rows: int = 8, max_queue: int = 100, max_delay: float = 0.0
) -> tuple[Scheduler, Metrics]:
    metrics = Metrics("m", "1")
    instances = [ThreadInstance(model) for _ in range(count)]
    scheduler = Scheduler(
        instances, metrics, is_batchable=model.is_batchable, max_rows=max_rows, max_queue=max_queue, max_delay=max_delay
    )
    return scheduler, metrics


async def _answers(scheduler: Scheduler, arrays: list[Array], name: str = "x") -> list[Any]:
    jobs = [scheduler.submit({name: array}) for array in arrays]
    results = await asyncio.gather(*(job.future for job in jobs), return_exceptions=True)
    return [result["y"].tolist() if isinstance(result, dict) else result for result in results]


@given(
    st.lists(st.lists(st.sampled_from([1.0, 2.0, 3.0, BAD]), min_size=1, max_size=5), max_size=20),
    st.integers(1, 10),
    st.integers(1, 3),
)
def test_each_request_gets_its_own_rows_or_its_own_error(
    requests: list[list[float]], max_rows: int, instances: int
) -> None:
    async def scenario() -> None:
        model = Doubling()
        scheduler, metrics = _scheduler(model, count=instances, max_rows=max_rows)
        answers = await _answers(scheduler, [np.array(rows) for rows in requests])
        for rows, answer in zip(requests, answers, strict=True):
            if BAD in rows:
                assert isinstance(answer, ValueError)
            else:
                assert answer == [row * 2 for row in rows]
        longest = max(map(len, requests), default=0)
        assert all(len(call) <= max(max_rows, longest) for call in model.calls)
        assert metrics.rows.value == sum(map(len, requests))
        assert metrics.queue_depth() == 0
        scheduler.close()

    asyncio.run(scenario())


async def test_requests_of_one_turn_of_the_loop_run_together() -> None:
    model = Doubling()
    scheduler, _ = _scheduler(model)
    assert await _answers(scheduler, [np.array([1.0]), np.array([2.0, 3.0])]) == [[2.0], [4.0, 6.0]]
    assert model.calls == [[1.0, 2.0, 3.0]]


async def test_requests_that_come_while_the_model_is_busy_run_together_next() -> None:
    model = Doubling()
    model.gate.clear()
    scheduler, _ = _scheduler(model)
    first = scheduler.submit({"x": np.array([1.0])})
    while not model.calls:
        await asyncio.sleep(0)
    later = [scheduler.submit({"x": np.array([float(number)])}) for number in (2, 3, 4)]
    assert first.is_running
    assert not later[0].is_running
    model.gate.set()
    await asyncio.gather(first.future, *(job.future for job in later))
    assert model.calls == [[1.0], [2.0, 3.0, 4.0]]


async def test_a_second_instance_takes_what_comes_while_the_first_is_busy() -> None:
    model = Doubling()
    model.gate.clear()
    scheduler, _ = _scheduler(model, count=2)
    jobs = []
    for number in (1, 2):
        jobs.append(scheduler.submit({"x": np.array([float(number)])}))
        while len(model.calls) < number:
            await asyncio.sleep(0)
    jobs += [scheduler.submit({"x": np.array([float(number)])}) for number in (3, 4)]
    await asyncio.sleep(0)
    assert [job.is_running for job in jobs] == [True, True, False, False]
    model.gate.set()
    await asyncio.gather(*(job.future for job in jobs))
    assert model.calls == [[1.0], [2.0], [3.0, 4.0]]


async def test_more_than_a_batch_of_one_turn_is_shared_out_among_instances() -> None:
    model = Doubling()
    model.gate.clear()
    scheduler, _ = _scheduler(model, count=2, max_rows=2)
    jobs = [scheduler.submit({"x": np.array([float(number)])}) for number in (1, 2, 3, 4, 5)]
    while len(model.calls) < 2:
        await asyncio.sleep(0)
    assert sorted(model.calls) == [[1.0, 2.0], [3.0, 4.0]]
    model.gate.set()
    await asyncio.gather(*(job.future for job in jobs))
    assert model.calls[-1] == [5.0]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(np.zeros((1, 2)), np.zeros((1, 3)), id="widths"),
        pytest.param(np.zeros(1), np.zeros((1, 1)), id="ranks"),
        pytest.param(np.zeros(1), np.zeros(1, dtype=np.float32), id="datatypes"),
    ],
)
async def test_unlike_requests_do_not_run_together(one: Array, other: Array) -> None:
    model = Doubling()
    scheduler, _ = _scheduler(model)
    await _answers(scheduler, [one, other, one])
    assert len(model.calls) == 2


async def test_a_model_that_is_not_batchable_gets_one_request_at_a_time() -> None:
    model = Doubling(is_batchable=False)
    scheduler, _ = _scheduler(model)
    await _answers(scheduler, [np.array([1.0]), np.array([2.0])])
    assert model.calls == [[1.0], [2.0]]


async def test_outputs_that_do_not_add_up_are_asked_for_one_by_one() -> None:
    class Summing(Doubling):
        def predict(self, inputs: Mapping[str, Array]) -> Arrays:
            self.calls.append(inputs["x"].tolist())
            return {"y": inputs["x"].sum(keepdims=True)}

    model = Summing()
    scheduler, _ = _scheduler(model)
    assert await _answers(scheduler, [np.array([1.0, 2.0]), np.array([3.0, 4.0])]) == [[3.0], [7.0]]
    assert model.calls == [[1.0, 2.0, 3.0, 4.0], [1.0, 2.0], [3.0, 4.0]]


async def test_a_bad_request_does_not_fail_its_neighbours() -> None:
    model = Doubling()
    scheduler, metrics = _scheduler(model)
    good, bad, other = await _answers(scheduler, [np.array([1.0]), np.array([BAD]), np.array([2.0])])
    assert (good, other) == ([2.0], [4.0])
    assert isinstance(bad, ValueError)
    assert metrics.executions.value == 4


async def test_a_full_queue_refuses() -> None:
    model = Doubling()
    model.gate.clear()
    scheduler, _ = _scheduler(model, max_queue=2)
    running = scheduler.submit({"x": np.array([1.0])})
    while not model.calls:
        await asyncio.sleep(0)
    waiting = [scheduler.submit({"x": np.array([1.0])}) for _ in range(2)]
    with pytest.raises(QueueFull):
        scheduler.submit({"x": np.array([1.0])})
    model.gate.set()
    await asyncio.gather(running.future, *(job.future for job in waiting))


async def test_requests_that_nobody_waits_for_are_not_run() -> None:
    model = Doubling()
    model.gate.clear()
    scheduler, metrics = _scheduler(model)
    first = scheduler.submit({"x": np.array([1.0])})
    while not model.calls:
        await asyncio.sleep(0)
    gone = scheduler.submit({"x": np.array([2.0])})
    kept = scheduler.submit({"x": np.array([3.0])})
    gone.future.cancel()
    model.gate.set()
    await asyncio.gather(first.future, kept.future)
    assert model.calls == [[1.0], [3.0]]
    assert metrics.queue_depth() == 0


async def test_one_group_does_not_starve_another() -> None:
    model = Doubling()
    model.gate.clear()
    scheduler, _ = _scheduler(model, max_rows=1)
    jobs = [scheduler.submit({"x": np.array([1.0])})]
    while not model.calls:
        await asyncio.sleep(0)
    jobs += [scheduler.submit({"x": np.array([2.0])}) for _ in range(3)]
    jobs.append(scheduler.submit({"x": np.array([[3.0]])}))
    model.gate.set()
    await asyncio.gather(*(job.future for job in jobs))
    assert model.calls == [[1.0], [2.0], [[3.0]], [2.0], [2.0]]


@pytest.mark.parametrize("error", [StopIteration, SystemExit, KeyboardInterrupt, MemoryError])
async def test_whatever_a_model_raises_it_serves_on(error: type[BaseException]) -> None:
    class Raising(Doubling):
        def predict(self, inputs: Mapping[str, Array]) -> Arrays:
            if BAD in inputs["x"]:
                raise error
            return {"y": inputs["x"] * 2}

    scheduler, _ = _scheduler(Raising())
    good, bad, other = await _answers(scheduler, [np.array([1.0]), np.array([BAD]), np.array([2.0])])
    assert (good, other) == ([2.0], [4.0])
    assert error.__name__ in repr(bad)
    assert await _answers(scheduler, [np.array([3.0])]) == [[6.0]]


async def test_a_full_batch_waits_for_nobody() -> None:
    model = Doubling()
    scheduler, _ = _scheduler(model, max_rows=2, max_delay=3600.0)
    first = scheduler.submit({"x": np.array([1.0])})
    for _ in range(10):
        await asyncio.sleep(0)
    assert model.calls == []
    later = [scheduler.submit({"x": np.array([float(number)])}) for number in (2, 3, 4, 5, 6)]
    await asyncio.gather(first.future, *(job.future for job in later))
    assert model.calls == [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]


class Mortal:
    """An instance that does nothing by itself: the test says when it has finished, died or come up."""

    def __init__(self) -> None:
        self.events: Any = None
        self.given: list[Batch] = []
        self.begun = 0

    def attach(self, events: Any) -> None:
        self.events = events

    def run(self, batch: Batch) -> None:
        self.given.append(batch)

    def begin(self) -> Batch:
        """Takes the batch that was given last."""
        self.begun = len(self.given)
        self.given[-1].in_call = self.given[-1].jobs
        return self.given[-1]

    def take_back(self) -> Batch | None:
        return self.given.pop() if len(self.given) > self.begun else None

    def close(self) -> None:
        """Nothing runs."""

    def join(self) -> None:
        """Nothing runs."""


def _mortal(count: int) -> tuple[Scheduler, list[Mortal], list[bool]]:
    changes: list[bool] = []
    mortals = [Mortal() for _ in range(count)]
    metrics = Metrics("m", "1")
    scheduler = Scheduler(mortals, metrics, is_batchable=True, max_rows=8, max_queue=9, changed=changes.append)
    return scheduler, mortals, changes


async def _turns() -> None:
    """Lets the loop do all that is due."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_requests_of_a_dead_instance_run_again_one_by_one_and_before_all_others() -> None:
    scheduler, (mortal,), changes = _mortal(1)
    jobs = [scheduler.submit({"x": np.array([float(number)])}) for number in (1, 2)]
    await _turns()
    batch = mortal.begin()
    jobs.append(scheduler.submit({"x": np.array([3.0])}))
    mortal.events.lost(mortal, "fell", batch, 0.0)
    await _turns()
    assert (changes, scheduler.alive, [job.is_running for job in jobs]) == ([False], 0, [False] * 3)
    mortal.events.came_up(mortal)
    for job in jobs:
        await _turns()
        batch = mortal.begin()
        assert batch.jobs == [job]
        batch.results = [{"y": job.inputs["x"]}]
        mortal.events.finished(mortal, batch)
    assert [(await job.future)["y"].tolist() for job in jobs] == [[1.0], [2.0], [3.0]]
    assert changes == [False, True]


async def test_a_request_at_which_two_instances_died_is_refused() -> None:
    scheduler, mortals, changes = _mortal(3)
    job = scheduler.submit({"x": np.array([1.0])})
    for _ in range(2):
        await _turns()
        (mortal,) = (one for one in mortals if len(one.given) > one.begun)
        mortal.events.lost(mortal, "fell", mortal.begin(), 0.0)
    with pytest.raises(NoWorker, match="fell, twice"):
        await job.future
    assert (changes, scheduler.alive) == ([], 1)


async def test_answers_from_before_the_death_are_kept() -> None:
    scheduler, (mortal,), _ = _mortal(1)
    jobs = [scheduler.submit({"x": np.array([float(number)])}) for number in (1, 2, 3)]
    await _turns()
    batch = mortal.begin()
    batch.results, batch.in_call = [{"y": np.array([2.0])}], [jobs[1]]
    mortal.events.lost(mortal, "fell", batch, 0.0)
    await _turns()
    assert (await jobs[0].future)["y"].tolist() == [2.0]
    assert [job.deaths for job in jobs] == [0, 1, 0]
    assert not jobs[1].future.done()


async def test_a_batch_that_a_dead_instance_has_not_begun_goes_to_another_one() -> None:
    scheduler, (first, second), _ = _mortal(2)
    job = scheduler.submit({"x": np.array([1.0])})
    await _turns()
    given, other = (first, second) if first.given else (second, first)
    given.events.lost(given, "fell", None, 1.0)
    await _turns()
    assert other.given[0].jobs == [job]
    assert job.deaths == 0


async def test_while_no_instance_is_likely_to_live_soon_requests_are_refused() -> None:
    scheduler, (mortal,), _ = _mortal(1)
    waiting = scheduler.submit({"x": np.array([1.0])})
    await _turns()
    mortal.events.lost(mortal, "fell", mortal.begin(), 4.0)
    await _turns()
    with pytest.raises(NoWorker, match="the last one fell"):
        await waiting.future
    with pytest.raises(NoWorker) as refused:
        scheduler.submit({"x": np.array([1.0])})
    assert refused.value.seconds == 4.0
    mortal.events.came_up(mortal)
    await _turns()
    scheduler.submit({"x": np.array([2.0])})
    await _turns()
    assert mortal.begin().jobs[0].inputs["x"].tolist() == [2.0]
