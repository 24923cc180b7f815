"""A `traffic` that the API server refuses stops what is new, never the way back: that goes by the route as it is."""

from typing import Any

import pytest

from modelway import kinds
from modelway.kinds import Manifest
from simulation import models, rules
from simulation.stories import GATED, TWO_STEPS, installed, reach, rest, serves_alone, upgrade
from simulation.world import World

GOOD = models.GATEWAY | {"timeouts": {"request": "9s"}}
REFUSED = models.GATEWAY | {"timeouts": {"request": "soon"}}
EXPECTED = 'timeouts.request: "soon" should match'
SLOW = models.canary({"weight": 10, "hold": "1m"}, {"weight": 50, "hold": "1h"}, bake="10m")


def edited(rollout: Manifest, step: int, traffic: Manifest = REFUSED) -> World:
    """v2 is at that step when the user writes a `traffic` that is refused."""
    world = installed(rollout, traffic=GOOD)
    world.oracle.expects_no_outage = True
    upgrade(world, "v2")
    reach(world, step, "Holding")
    world.edit(traffic=traffic)
    world.run_for(5)
    return world


def timeouts(world: World) -> set[str]:
    """Of every rule of the live route."""
    route = world.store.find(kinds.HTTP_ROUTE, models.NAMESPACE, "fraud")
    assert route is not None
    return {rule["timeouts"]["request"] for rule in route["spec"]["rules"]}


def is_told(world: World) -> None:
    """The conditions have the words of the API server."""
    found = world.condition("TrafficProgrammed")
    assert (found["status"], found["reason"]) == ("False", "WriteDenied")
    assert EXPECTED in found["message"]
    assert world.condition("Stalled")["reason"] == "InvalidSpec"
    assert EXPECTED in world.condition("Stalled")["message"]


@pytest.mark.parametrize("seed", [None, 5])
@pytest.mark.parametrize(("rollout", "step"), [(TWO_STEPS, 0), (SLOW, 1), (GATED, 1)])
def test_41_an_abort_moves_the_traffic_although_the_route_of_the_spec_is_refused(
    rollout: Manifest, step: int, seed: int | None
) -> None:
    world = edited(rollout, step)
    is_told(world)
    world.command("abort")
    world.run_until(lambda: world.weights() == {"v1": 100}, within=5)
    world.run_for(120)
    assert timeouts(world) == {"9s"}
    assert world.pods("v2") == []
    assert world.rollout()["outcome"] == "Aborted"
    is_told(world)
    assert rest(world) == 0
    world.edit(traffic=GOOD)
    world.run_for(60)
    assert world.condition("TrafficProgrammed")["status"] == "True"
    assert world.status()["phase"] == "RolledBack"


def test_11_what_is_refused_raises_nobody_and_the_rollout_goes_on_when_it_is_mended() -> None:
    world = edited(TWO_STEPS, 0)
    world.run_for(900)
    assert world.weights() == {"v1": 90, "v2": 10}
    is_told(world)
    world.edit(traffic=GOOD)
    world.run_to_phase("Healthy")
    assert timeouts(world) == {"9s"}


def test_41_the_old_spec_takes_the_weight_from_the_candidate_all_the_same() -> None:
    world = edited(SLOW, 1)
    upgrade(world, "v1")
    world.run_until(lambda: world.weights() == {"v1": 100}, within=5)
    world.run_for(120)
    assert world.pods("v2") == []
    is_told(world)


def test_25_a_candidate_that_loses_its_pods_loses_its_weight_all_the_same() -> None:
    world = edited(SLOW, 1)
    world.oracle.expects_no_outage = False
    for pod in world.pods("v2"):
        world.evict(pod)
    world.run_for(300)
    assert world.weights() == {"v1": 100}
    world.edit(traffic=GOOD)
    world.run_until(lambda: world.weights() == {"v1": 50, "v2": 50}, within=60)


def test_40_an_undo_while_the_former_revision_is_warm_needs_no_correct_route() -> None:
    world = edited(TWO_STEPS | {"bake": "1h"}, 0, GOOD)
    world.run_to_phase("Healthy")
    world.edit(traffic=REFUSED)
    world.run_for(30)
    world.command("undo")
    world.run_until(lambda: world.weights() == {"v1": 100}, within=30)
    is_told(world)


def test_42_a_broken_stable_gives_everything_to_the_candidate_all_the_same() -> None:
    world = edited(SLOW, 1)
    world.oracle.expects_no_outage = False
    world.script("v1", is_never_ready=True)
    for pod in world.pods("v1"):
        world.evict(pod)
    world.run_until(lambda: world.weights() == {"v2": 100}, within=60)


def test_grpc_that_the_refused_spec_no_longer_asks_for_goes_back_with_the_rest() -> None:
    ports = {"ports": {"http": 8000, "grpc": 8001, "metrics": 8002}}
    world = World()
    world.change(kinds.CLUSTER_MODEL_RUNTIME, "modelway", lambda item: item["spec"].update(ports))
    world.apply(models.spec("v1", rollout=SLOW, traffic=GOOD | {"paths": "All"}))
    world.run_to_phase("Healthy")
    upgrade(world, "v2")
    reach(world, 1, "Holding")
    world.edit(traffic=REFUSED)
    world.command("abort")
    world.run_for(30)
    assert world.answers(path=rules.GRPC) == world.answers() == {"v1"}
    world.edit(traffic=GOOD)
    world.run_for(30)
    assert world.answers(path=rules.GRPC) == set()


FIXED: list[Any] = [pytest.param({"traffic": GOOD}, id="mended"), pytest.param({"traffic": None}, id="taken-away")]


@pytest.mark.parametrize("mended", FIXED)
def test_a_route_that_is_refused_between_rollouts_keeps_serving_and_heals(mended: dict[str, Any]) -> None:
    world = installed(TWO_STEPS, traffic=GOOD)
    world.oracle.expects_no_outage = True
    world.edit(traffic=REFUSED, replicas=3)
    world.run_for(60)
    is_told(world)
    assert len(world.pods("v1", ready=True)) == 3
    assert timeouts(world) == {"9s"}
    assert rest(world) == 0
    world.edit(**mended)
    world.run_to_phase("Healthy")
    serves_alone(world, "v1", pods=3) if mended["traffic"] else None
