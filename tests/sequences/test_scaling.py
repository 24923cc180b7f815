"""Counts that change while a rollout moves: by the user, by an autoscaler, to zero and back."""

import random

import pytest

from modelway import kinds
from modelway.cluster.api import Invalid
from simulation import models
from simulation.selectors import contains, labels
from simulation.server import always
from simulation.stories import TWO_STEPS, installed, reach, rest, serves_alone, upgrade
from simulation.world import World

HALF = models.canary({"weight": 50, "hold": "10m"}, bake="0s")
AUTOSCALED = {"minReplicas": 2, "maxReplicas": 6}


@pytest.mark.parametrize("gateway", [True, False], ids=["gateway", "service-only"])
@pytest.mark.parametrize("pods", [1, 2, 5, 8])
def test_21_an_edit_of_replicas_is_no_new_revision_and_scales_both(pods: int, gateway: bool) -> None:
    world = installed(HALF, replicas=4, gateway=gateway)
    upgrade(world, "v2")
    reach(world, 0, "Holding")
    world.edit(replicas=pods)
    world.run_for(0.5)
    assert world.replicas("v1") == pods
    half = -(-pods // 2) if gateway else pods
    # Without a gateway more candidate pods wait for stable's, beside which their share is counted.
    assert world.replicas("v2") in ((half,) if gateway else (min(half, 4), half))
    world.run_for(120)
    assert world.replicas("v2") == half
    assert (world.rollout()["id"], world.rollout()["stepIndex"]) == (2, 0)
    assert len(world.store.all(kinds.CONTROLLER_REVISION)) == 2
    assert len(world.pods("v1", ready=True)) == pods
    assert world.selected() == ({"v1"} if gateway else {"v1", "v2"})
    world.run_to_phase("Healthy", within=1200)
    world.run_for(60)
    serves_alone(world, "v2", pods)


@pytest.mark.parametrize("pods", [4, 8, 16])
def test_21_an_edit_of_replicas_in_a_rolling_update_leaves_stable_what_it_can_take(pods: int) -> None:
    world = installed(models.rolling(), replicas=8)
    world.script("v2", load=20)
    upgrade(world, "v2")
    world.run_until(lambda: world.weights().get("v2", 0) >= 50)
    world.edit(replicas=pods)
    world.run_for(1)
    assert world.weights().get("v1", 0) <= 50
    world.run_to_phase("Healthy", within=1200)
    world.run_for(60)
    serves_alone(world, "v2", pods)


@pytest.mark.parametrize("pods", [1, 3, 6])
def test_21_an_edit_of_replicas_between_rollouts_scales_the_stable_one(pods: int) -> None:
    world = installed(TWO_STEPS)
    world.edit(replicas=pods)
    world.run_for(60)
    serves_alone(world, "v1", pods)
    assert world.rollout()["id"] == 1
    assert rest(world, 600) == 0


@pytest.mark.parametrize("gateway", [True, False], ids=["gateway", "service-only"])
def test_22_a_suspended_model_has_no_pods_and_comes_back_as_it_was(gateway: bool) -> None:
    world = installed(TWO_STEPS, gateway=gateway)
    world.edit(replicas=0)
    world.run_to_phase("Suspended")
    world.run_for(60)
    assert world.pods() == []
    assert world.condition("Ready")["reason"] == "ScaledToZero"
    assert world.condition("Ready")["status"] == "True"
    world.edit(replicas=2)
    world.run_to_phase("Healthy")
    world.run_for(30)
    serves_alone(world, "v1")
    assert world.rollout()["id"] == 1


@pytest.mark.parametrize("gateway", [True, False], ids=["gateway", "service-only"])
@pytest.mark.parametrize("where", [(0, "Scaling"), (0, "Holding"), (1, "Settling")], ids=lambda w: w[1])
def test_22_a_rollout_that_is_suspended_goes_on_at_the_same_step(where: tuple[int, str], gateway: bool) -> None:
    rollout = models.canary({"weight": 50, "hold": "5m"}, {"weight": 60, "hold": "1m"}, bake="0s")
    world = installed(rollout, replicas=3, gateway=gateway)
    upgrade(world, "v2")
    reach(world, *where)
    world.edit(replicas=0)
    world.run_to_phase("Suspended")
    world.run_for(600)
    assert world.pods() == []
    assert (world.rollout()["id"], world.rollout()["stepIndex"]) == (2, where[0])
    world.edit(replicas=3)
    world.run_for(60)
    assert world.rollout()["id"] == 2
    world.run_to_phase("Healthy", within=1200)
    world.run_for(60)
    serves_alone(world, "v2", 3)


def test_22_a_new_version_of_a_suspended_model_starts_when_it_comes_back() -> None:
    world = installed(TWO_STEPS, replicas=0)
    upgrade(world, "v2")
    world.run_for(120)
    assert world.pods() == []
    world.edit(replicas=2)
    world.run_to_phase("Healthy", within=1200)
    world.run_for(120)
    serves_alone(world, "v2")


def test_an_absent_count_is_one_pod() -> None:
    world = installed(TWO_STEPS, replicas=None)
    serves_alone(world, "v1", 1)


def autoscaled(seed: int | None = None) -> World:
    world = installed(HALF, seed=seed, replicas=None, autoscaling=AUTOSCALED)
    world.run_for(30)
    return world


def test_20_an_autoscaler_decides_the_count_of_a_revision_with_traffic() -> None:
    world = autoscaled()
    (hpa,) = world.store.all(kinds.HORIZONTAL_POD_AUTOSCALER)
    assert hpa["metadata"]["name"] == world.revision_of("v1")
    assert (hpa["spec"]["minReplicas"], hpa["spec"]["maxReplicas"]) == (2, 6)
    world.autoscaler.targets[world.revision_of("v1")] = 5
    world.process.add({(models.NAMESPACE, "fraud")})
    world.kubelet.look_again()
    world.change(kinds.HORIZONTAL_POD_AUTOSCALER, world.revision_of("v1"), lambda item: item.update(status={}))
    world.run_for(60)
    serves_alone(world, "v1", 5)
    assert rest(world, 600) == 0


def test_23_promotion_keeps_the_size_that_the_autoscaler_had_found() -> None:
    world = autoscaled()
    world.autoscaler.targets[world.revision_of("v1")] = 5
    world.change(kinds.HORIZONTAL_POD_AUTOSCALER, world.revision_of("v1"), lambda item: item.update(status={}))
    world.run_for(60)
    upgrade(world, "v2")
    world.run_until(lambda: world.weights() == {"v2": 100}, within=1200)
    assert len(world.pods("v2", ready=True)) >= 5
    floor = world.store.find(kinds.HORIZONTAL_POD_AUTOSCALER, models.NAMESPACE, world.revision_of("v2"))
    assert floor is not None
    assert floor["spec"]["minReplicas"] >= 5
    world.run_to_phase("Healthy")
    world.run_for(60)
    names = [item["metadata"]["name"] for item in world.store.all(kinds.HORIZONTAL_POD_AUTOSCALER)]
    assert names == [world.revision_of("v2")]


def test_20_each_autoscaler_reads_the_pods_of_its_revision_and_no_others() -> None:
    world = autoscaled()
    upgrade(world, "v2")
    reach(world, 0, "Holding")
    read: dict[str, set[str]] = {}
    for hpa in world.store.all(kinds.HORIZONTAL_POD_AUTOSCALER):
        name = hpa["spec"]["scaleTargetRef"]["name"]
        target = world.store.find(kinds.DEPLOYMENT, models.NAMESPACE, name)
        assert target is not None
        wanted = target["spec"]["selector"]["matchLabels"]
        pods = [pod for pod in world.pods() if contains(labels(pod), wanted)]
        read[world.version_of(name)] = {pod["metadata"]["name"] for pod in pods}
    assert read == {v: {pod["metadata"]["name"] for pod in world.pods(v)} for v in ("v1", "v2")}


@pytest.mark.parametrize("seed", range(6))
def test_20_random_targets_disturb_neither_step_nor_clock(seed: int) -> None:
    world = autoscaled(seed)
    world.autoscaler.random = random.Random(seed)
    upgrade(world, "v2")
    world.run_until(lambda: world.rollout()["id"] == 2)
    begun = world.clock.elapsed
    while world.status()["phase"] != "Healthy" or world.rollout()["id"] != 2 or not world.is_observed():
        world.autoscaler.shuffle()
        world.run_for(5)
        assert world.clock.elapsed - begun < 1500, world.picture()
    world.run_for(60)
    assert world.weights() == {"v2": 100}
    assert world.clock.elapsed - begun >= 600


def test_21_from_a_fixed_count_to_an_autoscaler_and_back() -> None:
    world = installed(TWO_STEPS)
    world.edit(replicas=None, autoscaling=AUTOSCALED)
    world.run_for(60)
    assert len(world.store.all(kinds.HORIZONTAL_POD_AUTOSCALER)) == 1
    serves_alone(world, "v1")
    world.edit(replicas=3, autoscaling=None)
    world.run_for(60)
    assert world.store.all(kinds.HORIZONTAL_POD_AUTOSCALER) == []
    serves_alone(world, "v1", 3)


def test_21_the_bounds_of_the_autoscaler_can_change_in_mid_rollout() -> None:
    world = autoscaled()
    upgrade(world, "v2")
    reach(world, 0, "Holding")
    world.edit(autoscaling={"minReplicas": 3, "maxReplicas": 9})
    world.run_for(60)
    found = {item["spec"]["maxReplicas"] for item in world.store.all(kinds.HORIZONTAL_POD_AUTOSCALER)}
    assert found == {9}
    assert (world.rollout()["id"], world.rollout()["stepIndex"]) == (2, 0)
    world.run_to_phase("Healthy", within=1200)


def test_49_an_abort_does_not_wait_for_an_autoscaler_that_the_api_server_refuses() -> None:
    world = autoscaled()
    upgrade(world, "v2")
    reach(world, 0, "Holding")
    refusal = Invalid(422, "Invalid", "HorizontalPodAutoscaler is invalid", (("spec.metrics[0].resource", "required"),))
    world.server.faults.rules.append(always(refusal, ["apply", "create"], kinds.HORIZONTAL_POD_AUTOSCALER))
    world.edit(autoscaling=AUTOSCALED | {"metrics": [{"type": "Resource"}]})
    world.run_for(5)
    assert "spec.metrics[0].resource" in world.condition("Stalled")["message"]
    world.command("abort")
    world.run_for(60)
    assert world.weights() == {"v1": 100}
    assert world.rollout()["outcome"] == "Aborted"
    assert world.replicas("v2") == 0
    world.server.faults.rules.clear()
    world.edit(autoscaling=AUTOSCALED)
    world.run_to_phase("RolledBack")
