"""Leader election against a Lease in memory, with clocks that are turned by hand."""

import asyncio
import copy
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from modelway.cluster.api import AlreadyExists, Conflict, NotFound, Superseded, Unreachable
from modelway.cluster.lease import LEASE_SECONDS, RENEW_DEADLINE_SECONDS, Election
from modelway.kinds import Kind, Manifest
from modelway.metrics import Metrics


class LeaseServer:
    """Keeps one Lease with compare-and-swap by resourceVersion, as the API server does."""

    def __init__(self) -> None:
        self.lease: Manifest | None = None
        self.is_up = True
        self._version = 0

    async def get(self, kind: Kind, namespace: str | None, name: str) -> Manifest:
        self._answer()
        if self.lease is None:
            raise NotFound(404, "NotFound", name)
        return copy.deepcopy(self.lease)

    async def write(self, method: str, path: str, verb: str, kind: Kind, body: Any, *, fenced: bool) -> Manifest:
        self._answer()
        assert not fenced
        if method == "POST" and self.lease is not None:
            raise AlreadyExists(409, "AlreadyExists", path)
        if method == "PUT" and self.lease is None:
            raise NotFound(404, "NotFound", path)
        if self.lease is not None and body["metadata"]["resourceVersion"] != str(self._version):
            raise Conflict(409, "Conflict", path)
        self._version += 1
        self.lease = copy.deepcopy(body)
        self.lease["metadata"]["resourceVersion"] = str(self._version)
        return copy.deepcopy(self.lease)

    def _answer(self) -> None:
        if not self.is_up:
            raise Unreachable(0, "Unreachable", "down")


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def election(server: Any, clock: Clock, *, name: str = "one", floor: int = 0) -> Election:
    return Election(
        server, namespace="ns", name="lease", identity=name, metrics=Metrics(), clock=clock, floor=lambda: floor
    )


@pytest.fixture
def server() -> LeaseServer:
    return LeaseServer()


@pytest.fixture
def clock() -> Clock:
    return Clock()


async def test_the_first_process_leads_and_the_second_waits(server: LeaseServer, clock: Clock) -> None:
    one, two = election(server, clock), election(server, clock, name="two")
    await one.attempt()
    await two.attempt()
    assert (one.fence(), two.fence()) == (True, False)
    assert (one.epoch, two.epoch) == (1, None)
    assert await one.leadership() == 1


async def test_renewing_keeps_the_epoch(server: LeaseServer, clock: Clock) -> None:
    one = election(server, clock)
    for _ in range(5):
        await one.attempt()
        clock.now += 2
    assert one.epoch == 1


async def test_63_a_crashed_holder_is_followed_after_the_lease_has_expired(server: LeaseServer, clock: Clock) -> None:
    one, two = election(server, clock), election(server, clock, name="two")
    await one.attempt()
    await two.attempt()
    clock.now += LEASE_SECONDS - 0.1
    await two.attempt()
    assert not two.fence()
    clock.now += 0.2
    await two.attempt()
    assert (two.fence(), two.epoch) == (True, 2)


async def test_the_expiry_is_counted_from_when_a_renewal_was_first_seen(server: LeaseServer, clock: Clock) -> None:
    one, two = election(server, clock), election(server, clock, name="two")
    await one.attempt()
    await two.attempt()
    clock.now += 10
    await one.attempt()
    await two.attempt()
    clock.now += 10
    await two.attempt()
    assert not two.fence()


async def test_a_released_lease_is_taken_at_once(server: LeaseServer, clock: Clock) -> None:
    one, two = election(server, clock), election(server, clock, name="two")
    await one.attempt()
    await one.release()
    await two.attempt()
    assert (one.fence(), two.fence(), two.epoch) == (False, True, 2)


async def test_63_a_holder_that_cannot_renew_stops_writing_before_others_may_begin(
    server: LeaseServer, clock: Clock
) -> None:
    one = election(server, clock)
    await one.attempt()
    server.is_up = False
    clock.now += RENEW_DEADLINE_SECONDS
    with pytest.raises(Unreachable):
        await one.attempt()
    assert not one.fence()


async def test_a_holder_leads_on_in_its_epoch_when_nobody_took_over_meanwhile(
    server: LeaseServer, clock: Clock
) -> None:
    one = election(server, clock)
    await one.attempt()
    clock.now += 60
    assert not one.fence()
    await one.attempt()
    assert (one.fence(), one.epoch) == (True, 1)


async def test_the_time_of_leading_begins_anew_after_a_break(server: LeaseServer, clock: Clock) -> None:
    one, two = election(server, clock), election(server, clock, name="two")
    assert two.leading_seconds() == 0
    await one.attempt()
    clock.now += 5
    await one.attempt()
    assert one.leading_seconds() == 5
    clock.now += RENEW_DEADLINE_SECONDS
    assert one.leading_seconds() == 0
    await one.attempt()
    clock.now += 2
    assert one.leading_seconds() == 2


async def test_63_a_holder_that_was_followed_never_leads_again(server: LeaseServer, clock: Clock) -> None:
    one, two = election(server, clock), election(server, clock, name="two")
    await one.attempt()
    await two.attempt()
    clock.now += LEASE_SECONDS
    await two.attempt()
    await one.attempt()  # Its compare-and-swap fails, and it reads the lease next time.
    assert not one.fence()
    with pytest.raises(Superseded, match="epoch 2"):
        await one.attempt()
    await two.release()
    with pytest.raises(Superseded):
        await one.attempt()


async def test_63_a_deleted_lease_does_not_set_the_epoch_back(server: LeaseServer, clock: Clock) -> None:
    one = election(server, clock)
    await one.attempt()
    server.lease = None
    await one.attempt()
    await one.attempt()
    assert (one.fence(), one.epoch) == (True, 2)
    server.lease = None
    two = election(server, clock, name="two", floor=41)
    await two.attempt()
    assert two.epoch == 42


async def test_a_missing_namespace_is_an_error_and_no_lost_race(clock: Clock) -> None:
    class Nowhere(LeaseServer):
        async def write(self, *arguments: Any, **more: Any) -> Manifest:
            raise NotFound(404, "NotFound", 'namespaces "ns" not found')

    with pytest.raises(NotFound, match="namespaces"):
        await election(Nowhere(), clock).attempt()


class ElectionMachine(RuleBasedStateMachine):
    """However processes, clocks and the server behave, at most one may write, and epochs never repeat."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.server, self.clock = LeaseServer(), Clock()
        self.processes = [election(self.server, self.clock, name=str(number)) for number in range(3)]
        self.ended: set[int] = set()

    @rule(number=st.integers(0, 2))
    def attempt(self, number: int) -> None:
        if number in self.ended:
            return
        try:
            self.runner.run(self.processes[number].attempt())
        except Superseded:
            self.ended.add(number)
        except Unreachable:
            pass

    @rule(number=st.integers(0, 2))
    def release(self, number: int) -> None:
        if number not in self.ended:
            self.runner.run(self.processes[number].release())
            self.ended.add(number)

    @rule(seconds=st.floats(0.1, 20))
    def wait(self, seconds: float) -> None:
        self.clock.now += seconds

    @rule()
    def toggle_server(self) -> None:
        self.server.is_up = not self.server.is_up

    @invariant()
    def at_most_one_leads(self) -> None:
        assert sum(process.fence() for process in self.processes) <= 1

    @invariant()
    def epochs_never_repeat(self) -> None:
        epochs = [process.epoch for process in self.processes if process.epoch is not None]
        assert len(set(epochs)) == len(epochs)

    def teardown(self) -> None:
        self.runner.close()


TestElectionMachine = ElectionMachine.TestCase
