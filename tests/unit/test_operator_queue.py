"""The work queue, with a clock that is turned by hand."""

import asyncio
import sys
import threading

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from modelway.cluster import queue
from modelway.cluster.lanes import Lane
from modelway.cluster.queue import WorkQueue
from modelway.cluster.snapshot import Key

A, B, C = ("ns", "a"), ("ns", "b"), ("ns", "c")


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def work(clock: Clock) -> WorkQueue:
    return WorkQueue(clock=clock, jitter=lambda seconds, _: seconds)


def test_a_key_added_twice_is_taken_once(work: WorkQueue) -> None:
    work.add(A)
    work.add(A)
    assert (work.take(), work.take()) == (A, None)


def test_a_key_is_not_taken_again_while_it_is_processed_but_is_afterwards(work: WorkQueue) -> None:
    work.add(A)
    work.take()
    work.add(A)
    assert work.take() is None
    work.done(A)
    assert work.take() == A
    work.done(A)
    assert work.take() is None


def test_66_the_high_lane_goes_first_and_each_lane_in_order(work: WorkQueue) -> None:
    work.add(A, Lane.LOW)
    work.add(B, Lane.HIGH)
    work.add(C, Lane.HIGH)
    assert [work.take(), work.take(), work.take()] == [B, C, A]


def test_a_low_key_becomes_high_when_it_is_added_so_and_keeps_its_age(work: WorkQueue, clock: Clock) -> None:
    work.add(A, Lane.LOW)
    work.add(B, Lane.LOW)
    clock.now += 5
    work.add(B, Lane.HIGH)
    work.add(B, Lane.LOW)
    assert (work.depth(Lane.HIGH), work.depth(Lane.LOW)) == (1, 1)
    assert work.oldest_seconds() == 5
    assert [work.take(), work.take(), work.take()] == [B, A, None]


def test_a_delayed_key_comes_when_it_is_due(work: WorkQueue, clock: Clock) -> None:
    work.add_after(A, 10)
    clock.now += 9.9
    assert work.take() is None
    clock.now += 0.2
    assert work.take() == A


@pytest.mark.parametrize("delays", [(10, 600), (600, 10), (600, 10, 30)], ids=str)
def test_of_several_deadlines_the_earliest_counts_and_the_key_comes_once(
    work: WorkQueue, clock: Clock, delays: tuple[int, ...]
) -> None:
    for delay in delays:
        work.add_after(A, delay)
    assert work.next_deadline() == clock.now + 10
    clock.now += 10
    assert work.take() == A
    work.done(A)
    clock.now += 1000
    assert work.take() is None


def test_a_burst_within_the_debounce_time_is_one_reconciliation(work: WorkQueue, clock: Clock) -> None:
    for _ in range(20):
        work.add_after(A, 0.05)
        clock.now += 0.002
    clock.now += 0.05
    assert (work.take(), work.take()) == (A, None)


def test_a_delay_that_ends_during_processing_brings_the_key_again(work: WorkQueue, clock: Clock) -> None:
    work.add(A)
    work.take()
    work.add_after(A, 1)
    clock.now += 2
    assert work.take() is None
    work.done(A)
    assert work.take() == A


def test_66_the_pause_after_a_failure_doubles_up_to_five_minutes_and_begins_anew_after_success(
    work: WorkQueue, clock: Clock
) -> None:
    pauses = [work.retry(A) for _ in range(13)]
    assert pauses[:4] == [0.2, 0.4, 0.8, 1.6]
    assert pauses[-1] == queue.LARGEST_BACKOFF_SECONDS
    assert work.retry(B) == 0.2
    work.forget(A)
    assert work.retry(A) == 0.2
    assert work.retry(A, at_least=7) == 7


def test_superseded_deadlines_do_not_pile_up(work: WorkQueue, clock: Clock) -> None:
    for _ in range(5000):
        work.add_after(A, 3600)
        work.add_after(A, 0.05)
        clock.now += 0.1
        assert work.take() == A
        work.done(A)
    assert len(work._heap) < 2 * queue.STALE_DEADLINES


async def test_a_waiting_worker_gets_a_key_that_is_added_later() -> None:
    work = WorkQueue()
    waiting = asyncio.create_task(work.get())
    await asyncio.sleep(0)
    work.add(A)
    assert await waiting == A


async def test_a_waiting_worker_gets_a_key_when_its_delay_ends() -> None:
    work = WorkQueue()
    waiting = asyncio.create_task(work.get())
    await asyncio.sleep(0)
    work.add_after(A, 0.01)
    assert await waiting == A


async def test_a_key_is_not_lost_when_the_worker_that_was_woken_for_it_is_cancelled() -> None:
    work = WorkQueue()
    first, second = asyncio.create_task(work.get()), asyncio.create_task(work.get())
    await asyncio.sleep(0)
    work.add(A)
    first.cancel()
    assert await second == A


class QueueMachine(RuleBasedStateMachine):
    """Whatever the order, no key is lost, and none is processed twice at once."""

    keys = st.sampled_from([A, B, C])

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.work = WorkQueue(clock=self.clock)
        self.owed: set[Key] = set()
        self.due: dict[Key, float] = {}
        self.busy: set[Key] = set()

    @rule(key=keys, lane=st.sampled_from(Lane))
    def add(self, key: Key, lane: Lane) -> None:
        self.work.add(key, lane)
        self.owed.add(key)

    @rule(key=keys, delay=st.floats(0.01, 100), lane=st.sampled_from(Lane))
    def add_after(self, key: Key, delay: float, lane: Lane) -> None:
        self.work.add_after(key, delay, lane)
        deadline = self.clock.now + delay
        self.due[key] = min(deadline, self.due.get(key, deadline))

    @rule(seconds=st.floats(0.01, 60))
    def wait(self, seconds: float) -> None:
        self.clock.now += seconds

    @rule()
    def take(self) -> None:
        self._fall_due()
        key = self.work.take()
        if key is None:
            assert not self.owed - self.busy
            return
        assert key in self.owed
        assert key not in self.busy
        self.owed.discard(key)
        self.busy.add(key)

    @rule(key=keys)
    def done(self, key: Key) -> None:
        if key in self.busy:
            self.busy.discard(key)
            self.work.done(key)

    @invariant()
    def nothing_is_forgotten(self) -> None:
        assert (self.work.next_deadline() is None) == (not self.due)

    def _fall_due(self) -> None:
        for key in [key for key, deadline in self.due.items() if deadline <= self.clock.now]:
            del self.due[key]
            self.owed.add(key)


TestQueueMachine = QueueMachine.TestCase


def test_a_scrape_in_another_thread_is_not_disturbed_by_the_moving_queue(work: WorkQueue) -> None:
    for number in range(500):
        work.add(("ns", str(number)))
    failures: list[Exception] = []
    is_over = threading.Event()

    def scrape() -> None:
        while not is_over.is_set():
            try:
                work.depth(Lane.HIGH)
                work.oldest_seconds()
            except RuntimeError as failure:
                failures.append(failure)
                return

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        thread = threading.Thread(target=scrape)
        thread.start()
        for number in range(5000):
            work.add(("ns", f"more-{number}"))
            work.done(work.take() or ("", ""))
    finally:
        is_over.set()
        thread.join()
        sys.setswitchinterval(interval)
    assert failures == []
