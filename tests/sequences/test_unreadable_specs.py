"""Specs that went past the schema (an older CRD, a webhook): what runs stays, an abort is obeyed, a fix heals."""

from typing import Any

import pytest

from modelway import kinds
from modelway.kinds import Manifest
from simulation import models
from simulation.stories import GATED, TWO_STEPS, installed, reach, rest, serves_alone, upgrade
from simulation.world import World

GATEWAY = pytest.mark.parametrize("gateway", [True, False], ids=["gateway", "service-only"])
TIGHT = models.canary({"weight": 50, "hold": "1h"}, maxSurge="50%")

INVALID: list[Any] = [
    pytest.param({"replicas": -1}, "spec.replicas", id="a number that is none"),
    pytest.param({"replicas": "two"}, "spec.replicas", id="another type"),
    pytest.param({"model": {"format": "onnx"}}, "spec.model.uri", id="a field is missing"),
    pytest.param({"rolout": {}}, "spec.rolout", id="a field that nobody knows"),
    pytest.param({"rollout": models.canary({"weight": 50}, {"weight": 5})}, "spec.rollout", id="falling weights"),
    pytest.param({"rollout": {"drain": "soon"}}, "spec.rollout.drain", id="no duration"),
    pytest.param({"traffic": {"parentRefs": [{}]}}, "spec.traffic.parentRefs.0.name", id="inside a list"),
    pytest.param(
        {"autoscaling": {"maxReplicas": 3}}, "replicas and autoscaling exclude each other", id="contradiction"
    ),
]


def holding(rollout: Manifest = TWO_STEPS, *, gateway: bool = True, step: int = 0, **fields: Any) -> World:
    allowed: Manifest = {} if gateway else {"coarseWeights": "Allow"}
    world = installed(rollout | allowed, gateway=gateway, **fields)
    world.oracle.expects_no_outage = True
    upgrade(world, "v2")
    reach(world, step, "Holding")
    return world


def spoil(world: World, **fields: Any) -> Manifest:
    """Make the spec invalid; answers the one before."""
    good: Manifest = world.model()["spec"]
    world.apply(good | (fields or {"replicas": -1}))
    world.run_to_phase("Stalled", within=10)
    return good


@pytest.mark.parametrize(("fields", "path"), INVALID)
def test_54_an_invalid_spec_is_named_with_its_field_and_touches_no_traffic(fields: Manifest, path: str) -> None:
    world = holding()
    before, pods = world.weights(), world.pods()
    good = spoil(world, **fields)
    assert world.condition("Stalled")["reason"] == "InvalidSpec"
    assert path in world.condition("Stalled")["message"]
    assert world.condition("Available")["status"] == "True"
    assert rest(world, 7200) == 0
    assert (world.weights(), world.pods()) == (before, pods)
    assert (world.rollout()["stepIndex"], world.rollout()["stepState"]) == (0, "Holding")
    world.apply(good)
    world.run_to_phase("Healthy")
    serves_alone(world, "v2")


@GATEWAY
def test_54_a_model_at_rest_serves_on_and_heals(gateway: bool) -> None:
    world = installed(TWO_STEPS, gateway=gateway)
    world.oracle.expects_no_outage = True
    good = spoil(world)
    assert rest(world, 7200) == 0
    serves_alone(world, "v1")
    world.apply(good)
    world.run_to_phase("Healthy", within=5)


def test_54_a_first_install_starts_nothing_before_it_can_be_read() -> None:
    world = World()
    world.apply(models.spec("v1", replicas=-1))
    world.run_for(600)
    assert world.condition("Stalled")["reason"] == "InvalidSpec"
    assert world.store.all(kinds.DEPLOYMENT) == []
    world.edit(replicas=2)
    world.run_to_phase("Healthy")


@GATEWAY
@pytest.mark.parametrize("step", [0, 1])
@pytest.mark.parametrize("rollout", [TWO_STEPS, GATED], ids=["timed", "gated"])
def test_54_an_abort_is_obeyed_while_the_spec_is_invalid(gateway: bool, step: int, rollout: Manifest) -> None:
    world = holding(rollout, gateway=gateway, step=step, replicas=4)
    good = spoil(world)
    world.command("abort")
    world.run_for(60)
    serves_alone(world, "v1", 4)
    assert (world.rollout()["outcome"], world.rollout()["reason"]) == ("Aborted", "UserAbort")
    assert world.rollout()["lastCommand"]["result"] == "Accepted"
    assert world.replicas("v2") == 0
    assert world.condition("Stalled")["reason"] == "InvalidSpec"
    assert rest(world, 7200) == 0
    world.apply(good)
    world.run_to_phase("RolledBack")
    serves_alone(world, "v1", 4)


@GATEWAY
@pytest.mark.parametrize("rollout", [TIGHT, models.rolling(maxSurge=1)], ids=["canary", "rolling"])
def test_54_such_an_abort_gives_stable_its_pods_back_first(gateway: bool, rollout: Manifest) -> None:
    allowed: Manifest = {} if gateway else {"coarseWeights": "Allow"}
    world = installed(rollout | allowed, gateway=gateway, replicas=6)
    world.oracle.expects_no_outage = True
    upgrade(world, "v2")
    world.run_until(lambda: len(world.pods("v2", ready=True)) >= 3)
    spoil(world)
    world.command("abort")
    world.run_for(300)
    serves_alone(world, "v1", 6)
    assert world.replicas("v2") == 0


def test_54_a_way_back_goes_on() -> None:
    world = holding()
    world.gateway.is_frozen = True
    world.command("abort")
    world.run_to_phase("RollingBack")
    spoil(world)
    world.gateway.is_frozen = False
    world.run_for(60)
    serves_alone(world, "v1")
    assert world.rollout()["outcome"] == "Aborted"


def test_54_autoscalers_keep_what_they_gave() -> None:
    world = holding(replicas=None, autoscaling={"minReplicas": 2, "maxReplicas": 6})
    world.autoscaler.targets[world.revision_of("v1")] = 5
    world.run_for(30)
    spoil(world, autoscaling={"minReplicas": -1, "maxReplicas": 6})
    world.command("abort")
    world.run_for(120)
    serves_alone(world, "v1", 5)
    assert world.replicas("v2") == 0
    left = [item["metadata"]["name"] for item in world.store.all(kinds.HORIZONTAL_POD_AUTOSCALER)]
    assert left == [world.revision_of("v1")]


def test_54_other_commands_wait_until_the_spec_can_be_read() -> None:
    world = holding(GATED, step=1)
    good = spoil(world)
    world.command("promote")
    assert rest(world, 600) == 0
    assert world.weights() == {"v1": 50, "v2": 50}
    world.apply(good)
    world.run_to_phase("Healthy")
    serves_alone(world, "v2")


def test_54_an_abort_is_obeyed_once() -> None:
    world = holding()
    good = spoil(world)
    world.command("abort")
    world.run_for(60)
    world.apply(good)
    world.run_to_phase("RolledBack")
    world.command("retry")
    reach(world, 0, "Holding", rollout=3)
    assert rest(world, 30) == 0
    world.run_to_phase("Healthy")
