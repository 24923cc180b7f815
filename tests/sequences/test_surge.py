"""Rollouts where pods are scarce: no surge, as many devices as pods, and what is done when there is no room."""

from typing import Any

import pytest

from modelway import kinds
from modelway.kinds import Manifest
from simulation import models
from simulation.stories import installed, reach, rest, serves_alone, upgrade
from simulation.world import World

DEVICE: Manifest = {"resources": {"limits": {"nvidia.com/gpu": "1"}}}
STEPS = ({"weight": 20, "hold": "30s"}, {"weight": 60, "hold": "30s"})
COARSE = {"coarseWeights": "Allow"}
CANARY = models.canary(*STEPS, bake="0s") | COARSE
STRATEGIES = pytest.mark.parametrize("rollout", [CANARY, models.rolling()], ids=["canary", "rolling"])
EITHER = pytest.mark.parametrize("gateway", [True, False], ids=["gateway", "service-only"])


def scarce(rollout: Manifest, *, pods: int, gateway: bool = True, spare: int = 0, **fields: Any) -> World:
    """A cluster with one device for each pod of v1, and some to spare."""
    world = installed(rollout, gateway=gateway, replicas=pods, runtime=DEVICE, **fields)
    world.kubelet.devices = pods + spare
    return world


def ends_with(world: World, version: str, pods: int, *, phase: str = "Healthy") -> None:
    """The rollout comes to its end; no pod was started for which there was no device."""
    world.run_to_phase(phase, within=3600)
    world.run_for(120)
    serves_alone(world, version, pods)
    assert world.kubelet.unscheduled == 0
    assert rest(world) == 0


@EITHER
@STRATEGIES
@pytest.mark.parametrize("pods", [2, 3, 5])
def test_18_without_surge_a_rollout_takes_no_more_devices_than_pods_are_wanted(
    pods: int, rollout: Manifest, gateway: bool
) -> None:
    world = scarce(rollout | {"maxSurge": 0}, pods=pods, gateway=gateway)
    world.oracle.expects_no_outage = True
    upgrade(world, "v2")
    fewest = pods

    def is_over() -> bool:
        nonlocal fewest
        fewest = min(fewest, len(world.pods(ready=True)))
        return world.status()["phase"] == "Healthy" and world.rollout()["id"] == 2

    world.run_until(is_over, within=3600)
    assert fewest == pods - 1
    ends_with(world, "v2", pods)


@EITHER
def test_18_an_abort_without_surge_gives_the_devices_back(gateway: bool) -> None:
    world = scarce(CANARY | {"maxSurge": 0}, pods=4, gateway=gateway)
    world.oracle.expects_no_outage = True
    upgrade(world, "v2")
    reach(world, 1, "Holding")
    world.command("abort")
    ends_with(world, "v1", 4, phase="RolledBack")


@EITHER
def test_18_a_version_that_fails_without_surge_costs_stable_one_pod_for_a_while(gateway: bool) -> None:
    world = scarce(CANARY | {"maxSurge": 0}, pods=3, gateway=gateway)
    world.oracle.expects_no_outage = True
    world.script("v2", load_failure="ModelLoadFailed")
    upgrade(world, "v2")
    world.run_until(lambda: bool(world.pods("v2")))
    assert len(world.pods("v1", ready=True)) == 2
    assert "stable gives up a pod" in world.status()["message"]
    ends_with(world, "v1", 3, phase="RolledBack")


@EITHER
@STRATEGIES
@pytest.mark.parametrize("later", range(1, 40, 6))
def test_18_a_device_is_waited_for_until_the_pod_that_has_it_is_gone(
    later: int, rollout: Manifest, gateway: bool
) -> None:
    world = scarce(rollout | {"maxSurge": 1}, pods=3, gateway=gateway, spare=1)
    world.oracle.expects_no_outage = True
    for version in ("v1", "v2", "v3"):
        world.script(version, ends=20)
    upgrade(world, "v2")
    world.run_for(later)
    upgrade(world, "v3")
    ends_with(world, "v3", 3)


def test_18_a_pod_on_a_lost_node_holds_its_device_until_its_grace_is_over() -> None:
    world = scarce(models.rolling(maxSurge=0), pods=2, spare=2)
    world.script("v1", ends=10**6)
    upgrade(world, "v2")
    world.run_for(40)
    assert world.pods("v2") == []
    world.run_for(10)
    assert len(world.pods("v2")) == 1
    world.run_to_phase("Healthy")
    assert len(world.pods("v2", ready=True)) == 2


@EITHER
def test_18_an_undo_stays_within_the_surge(gateway: bool) -> None:
    world = scarce(models.rolling(maxSurge=1), pods=4, gateway=gateway, spare=1)
    world.oracle.expects_no_outage = True
    upgrade(world, "v2")
    world.run_to_phase("Healthy")
    world.run_for(120)
    world.command("undo")
    ends_with(world, "v1", 4, phase="RolledBack")


@pytest.mark.parametrize("seed", range(4))
def test_18_without_surge_an_autoscaler_is_held_to_the_counts_of_the_rollout(seed: int) -> None:
    autoscaling = {"minReplicas": 3, "maxReplicas": 6}
    world = installed(CANARY | {"maxSurge": 0}, seed=seed, replicas=None, autoscaling=autoscaling, runtime=DEVICE)
    world.run_for(30)
    world.kubelet.devices = 3
    upgrade(world, "v2")
    world.run_until(lambda: world.replicas("v1") == 2)
    world.autoscaler.targets[world.revision_of("v1")] = 6
    world.run_until(lambda: world.rollout()["id"] == 2 and world.status()["phase"] == "Healthy", within=3600)
    assert world.kubelet.unscheduled == 0
    world.run_for(60)
    bounds = [item["spec"] for item in world.store.all(kinds.HORIZONTAL_POD_AUTOSCALER)]
    assert [(item["minReplicas"], item["maxReplicas"]) for item in bounds] == [(3, 6)]


@EITHER
@STRATEGIES
def test_18_the_only_pod_is_replaced_and_the_status_says_that_nothing_answers(rollout: Manifest, gateway: bool) -> None:
    world = scarce(rollout | {"maxSurge": 0}, pods=1, gateway=gateway)
    upgrade(world, "v2")
    world.run_until(lambda: bool(world.pods("v2")))
    assert [pod for pod in world.store.all(kinds.POD) if pod not in world.pods("v2")] == []
    assert world.status()["message"].endswith("takes the place of the only pod, and nothing answers until it is ready")
    assert world.condition("Available")["status"] == "False"
    ends_with(world, "v2", 1)


@EITHER
def test_18_the_only_pod_comes_back_when_the_one_that_took_its_place_fails(gateway: bool) -> None:
    world = scarce(models.rolling(maxSurge=0), pods=1, gateway=gateway)
    world.script("v2", load_failure="ModelLoadFailed")
    upgrade(world, "v2")
    ends_with(world, "v1", 1, phase="RolledBack")


@EITHER
def test_18_the_only_pod_comes_back_when_the_spec_does(gateway: bool) -> None:
    world = scarce(CANARY | {"maxSurge": 0}, pods=1, gateway=gateway)
    upgrade(world, "v2")
    reach(world, 0, "Holding")
    upgrade(world, "v1")
    ends_with(world, "v1", 1)


@EITHER
def test_03_a_share_that_one_pod_in_place_of_another_cannot_have_is_refused_until_the_user_consents(
    gateway: bool,
) -> None:
    rollout = models.canary(*STEPS, bake="0s", maxSurge=0)
    world = scarce(rollout, pods=1, gateway=gateway)
    world.oracle.expects_no_outage = True
    upgrade(world, "v2")
    world.run_for(120)
    assert world.condition("Stalled")["reason"] == "WeightNotReachable"
    assert "takes the place of the only pod" in world.condition("Stalled")["message"]
    serves_alone(world, "v1", 1)
    world.oracle.expects_no_outage = False
    world.edit(rollout=rollout | COARSE)
    ends_with(world, "v2", 1)


@EITHER
@STRATEGIES
@pytest.mark.parametrize("pods", [1, 2, 4])
def test_18_where_no_node_has_room_stable_makes_it_if_the_user_consents(
    pods: int, rollout: Manifest, gateway: bool
) -> None:
    world = scarce(rollout | {"capacityFallback": "Replace"}, pods=pods, gateway=gateway)
    world.oracle.expects_no_outage = pods > 1
    upgrade(world, "v2")
    world.run_until(lambda: world.condition("Reconciling").get("reason") == "Unschedulable")
    assert len(world.pods("v1", ready=True)) == pods
    world.run_until(lambda: world.rollout().get("replacing") is True, within=90)
    assert len(world.pods("v1", ready=True)) == pods
    world.crash()
    world.run_to_phase("Healthy", within=3600)
    world.run_for(120)
    serves_alone(world, "v2", pods)
    assert world.rollout()["id"] == 2
    upgrade(world, "v3")
    world.run_until(lambda: world.rollout()["id"] == 3)
    assert "replacing" not in world.rollout()


def test_18_a_consent_in_mid_rollout_counts() -> None:
    world = scarce(CANARY, pods=2)
    upgrade(world, "v2")
    world.run_for(300)
    assert world.condition("Reconciling")["reason"] == "Unschedulable"
    assert "capacityFallback: Replace" in world.condition("Reconciling")["message"]
    world.edit(rollout=CANARY | {"capacityFallback": "Replace"})
    world.run_to_phase("Healthy", within=3600)
    world.run_for(60)
    serves_alone(world, "v2", 2)
    assert world.rollout()["id"] == 2


def test_34_without_consent_the_surge_is_waited_for_and_released_at_the_deadline() -> None:
    world = scarce(models.rolling(), pods=2)
    world.oracle.expects_no_outage = True
    upgrade(world, "v2")
    world.run_for(620)
    assert world.condition("Stalled")["reason"] == "ProgressDeadlineExceeded"
    assert "Unschedulable" in world.condition("Stalled")["message"]
    serves_alone(world, "v1")
    world.kubelet.devices = 3
    world.run_to_phase("Healthy", within=1800)
    serves_alone(world, "v2")


def test_18_room_that_comes_within_a_minute_is_taken_without_a_sacrifice() -> None:
    world = scarce(models.rolling(capacityFallback="Replace"), pods=2)
    upgrade(world, "v2")
    world.run_until(lambda: world.condition("Reconciling").get("reason") == "Unschedulable")
    world.run_for(45)
    world.kubelet.devices = 3
    world.run_to_phase("Healthy", within=600)
    assert "replacing" not in world.rollout()
