"""Pods that are lost in mid-rollout: evicted, gone with their node, or unready just when it matters."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from modelway import kinds
from modelway.cluster.api import Forbidden, Unreachable
from simulation import models
from simulation.forks import at_writes
from simulation.server import always
from simulation.stories import TWO_STEPS, installed, reach, rest, serves_alone, upgrade
from simulation.world import World

HALF = models.canary({"weight": 50, "hold": "1m"}, bake="0s")
LONG = models.canary({"weight": 50, "hold": "1h"}, bake="0s")
EITHER = pytest.mark.parametrize("gateway", [True, False], ids=["gateway", "service-only"])


def turn_unready(world: World, version: str) -> None:
    world.kubelet.unready |= {pod["metadata"]["uid"] for pod in world.pods(version)}


@EITHER
@pytest.mark.parametrize("where", [(2, "Settling"), (2, "Promoting")], ids=lambda where: where[1])
def test_47_a_candidate_without_a_ready_pod_is_not_promoted(where: tuple[int, str], gateway: bool) -> None:
    if not gateway and where[1] == "Promoting":
        return
    world = installed(TWO_STEPS | {"coarseWeights": "Allow"}, gateway=gateway)
    upgrade(world, "v2")
    reach(world, *where)
    turn_unready(world, "v2")
    world.run_for(300)
    assert world.selected() == {"v1"}
    assert world.weights() == ({"v1": 100} if gateway else {})
    assert (world.status()["phase"], world.rollout()["stepIndex"]) == ("Progressing", 2)
    world.kubelet.unready.clear()
    world.run_to_phase("Healthy")
    world.run_for(120)
    serves_alone(world, "v2")


def test_47_a_candidate_that_never_comes_back_before_its_promotion_is_given_up() -> None:
    world = installed(TWO_STEPS)
    upgrade(world, "v2")
    reach(world, 2, "Settling")
    turn_unready(world, "v2")
    world.run_for(660)
    assert world.condition("Stalled")["reason"] == "ProgressDeadlineExceeded"
    assert world.replicas("v2") == 0
    serves_alone(world, "v1")


class Relief:
    """An actor that ends a fault at its time."""

    def __init__(self, world: World, seconds: float, act: Callable[[], None]) -> None:
        self._clock, self._at, self._act = world.clock, world.clock() + timedelta(seconds=seconds), act
        self._is_over = False

    def step(self) -> bool:
        if self._is_over or self._clock() < self._at:
            return False
        self._act()
        self._is_over = True
        return True

    def next_due(self) -> datetime | None:
        return None if self._is_over else self._at


def api_is_away(world: World) -> None:
    world.server.faults.rules.append(lambda *_: Unreachable(0, "Unreachable", "connection refused"))
    world.actors.insert(0, Relief(world, 60, world.server.faults.rules.clear))


def gateway_is_frozen(world: World) -> None:
    def thaw() -> None:
        world.gateway.is_frozen = False

    world.gateway.is_frozen = True
    world.actors.insert(0, Relief(world, 60, thaw))


def candidate_is_unready(world: World) -> None:
    turn_unready(world, "v2")
    world.actors.insert(0, Relief(world, 20, world.kubelet.unready.clear))


def routes_are_refused(world: World) -> None:
    refusal = Forbidden(403, "Forbidden", "admission webhook denied it")
    for kind in (kinds.HTTP_ROUTE, kinds.SERVICE):
        world.server.faults.rules.append(always(refusal, ["apply"], kind))
    world.actors.insert(0, Relief(world, 60, world.server.faults.rules.clear))


@EITHER
@pytest.mark.parametrize(
    "fault",
    [api_is_away, gateway_is_frozen, candidate_is_unready, routes_are_refused],
    ids=lambda fault: fault.__name__,
)
def test_47_a_fault_at_any_moment_of_the_promotion_leaves_the_traffic_with_ready_pods(
    fault: Callable[[World], None], gateway: bool
) -> None:
    world = installed(TWO_STEPS | {"coarseWeights": "Allow"}, gateway=gateway)
    upgrade(world, "v2")
    reach(world, 1, "Holding")
    world.run_for(58)
    world.oracle.expects_no_outage = fault is not candidate_is_unready

    def promoted(world: World) -> None:
        world.run_for(100)
        world.run_to_phase("Healthy")
        world.run_for(180)

    def judge(world: World) -> str:
        serves_alone(world, "v2")
        outcomes = [line["outcome"] for line in world.status()["history"]]
        return "" if outcomes == ["Promoted", "Promoted"] else f"{outcomes}: {world.picture()}"

    found = at_writes(world, promoted, lambda copy, _: fault(copy), judge)
    assert not found, f"{len(found)} of them went wrong; the first one {found[0]}"


def test_25_a_candidate_that_is_back_in_time_is_promoted_after_its_hold_and_not_later() -> None:
    world = installed(models.canary({"weight": 100, "hold": "5m"}, bake="0s"))
    upgrade(world, "v2")
    reach(world, 0, "Holding")
    world.run_for(200)
    turn_unready(world, "v2")
    world.run_for(30)
    world.kubelet.unready.clear()
    world.run_to_phase("Healthy", within=120)


def evicted(world: World, version: str, restarts: int = 2) -> None:
    """A pod that has been restarted a few times is evicted and stays as a record."""
    pod = world.pods(version)[0]["metadata"]["name"]
    for _ in range(restarts):
        world.kubelet.kill(next(item for item in world.pods(version) if item["metadata"]["name"] == pod))
        world.run_for(60)
    world.kubelet.evict(next(item for item in world.pods(version) if item["metadata"]["name"] == pod))
    world.run_for(60)


@EITHER
def test_25_an_evicted_pod_is_no_trouble_of_the_revision_and_holds_nothing_up(gateway: bool) -> None:
    world = installed(HALF, gateway=gateway)
    evicted(world, "v1")
    assert (world.status()["phase"], world.status()["replicas"]) == ("Healthy", 2)
    assert rest(world, 600) == 0
    for version in ("v2", "v3"):
        upgrade(world, version)
        world.run_to_phase("Healthy")
        world.run_for(60)
    serves_alone(world, "v3")


def test_25_an_evicted_pod_does_not_condemn_the_candidate() -> None:
    world = installed(LONG)
    upgrade(world, "v2")
    reach(world, 0, "Holding")
    evicted(world, "v2", restarts=0)
    assert world.rollout()["stepState"] == "Holding"
    assert world.weights() == {"v1": 50, "v2": 50}


def test_46_an_evicted_pod_does_not_keep_its_revision_beyond_the_limit() -> None:
    world = installed(HALF, revisionHistoryLimit=1)
    evicted(world, "v1")
    for version in ("v2", "v3"):
        upgrade(world, version)
        world.run_to_phase("Healthy")
        world.run_for(60)
    assert world.revision_of("v1") == ""


@EITHER
def test_25_a_pod_that_never_ends_on_a_lost_node_holds_no_later_rollout_up(gateway: bool) -> None:
    world = installed(HALF, gateway=gateway)
    upgrade(world, "v2")
    world.run_to_phase("Healthy")
    world.script("v1", ends=10**7)
    turn_unready(world, "v1")
    world.run_for(60)
    upgrade(world, "v3")
    world.run_to_phase("Healthy")
    assert world.version_of(world.status()["stableRevision"]["name"]) == "v3"
    assert [pod for pod in world.store.all(kinds.POD) if "deletionTimestamp" in pod["metadata"]]


def test_41_an_undo_survives_a_moment_of_unreadiness_of_a_pod_that_was_restarted_long_ago() -> None:
    world = installed(models.canary({"weight": 50, "hold": "1m"}, bake="1h"))
    for _ in range(3):
        world.kubelet.kill(world.pods("v1")[0])
        world.run_for(400)
    upgrade(world, "v2")
    world.run_to_phase("Healthy")
    world.kubelet.unready.add(world.pods("v1")[0]["metadata"]["uid"])
    world.run_for(1)
    world.command("undo")
    world.run_for(5)
    world.kubelet.unready.clear()
    world.run_for(60)
    serves_alone(world, "v1")
