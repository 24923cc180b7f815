"""A stable revision that has lost its pods blocks neither a fix nor the way back, and takes no traffic from others."""

import pytest

from simulation import models
from simulation.notes import place
from simulation.stories import installed, reach, serves_alone, upgrade
from simulation.world import World

APPROVED = models.canary({"weight": 50, "approval": "Required"}, bake="0s")
EITHER = pytest.mark.parametrize("gateway", [True, False], ids=["gateway", "service-only"])


def breaks(world: World, version: str = "v1") -> None:
    """The pods of a version turn unready and stay so, new ones too."""
    world.script(version, is_never_ready=True)
    world.kubelet.unready |= {pod["metadata"]["uid"] for pod in world.pods(version)}
    world.run_for(5)


def broken(rollout: dict[str, object] = APPROVED, *, gateway: bool) -> World:
    """Stable has lost its pods in mid-rollout, so that the candidate has all of the traffic."""
    world = installed(rollout, gateway=gateway)
    upgrade(world, "v2")
    reach(world, 0, "Holding")
    breaks(world)
    assert answers(world, "v2")
    return world


def answers(world: World, *versions: str) -> bool:
    """Whether those versions have the traffic, through the gateway where there is one."""
    has_gateway = "traffic" in world.model()["spec"]
    return (world.weights().keys() if has_gateway else world.selected()) == set(versions)


@EITHER
def test_42_a_superseded_candidate_answers_until_the_next_one_is_promoted(gateway: bool) -> None:
    world = broken(gateway=gateway)
    world.script("v3", load=60)
    upgrade(world, "v3")
    world.run_for(30)
    assert answers(world, "v2"), world.picture()
    assert world.condition("Available")["status"] == "True"
    reach(world, 0, "Holding", rollout=3)
    assert answers(world, "v2", "v3"), world.picture()
    world.command("promote")
    world.run_to_phase("Healthy")
    world.run_for(60)
    serves_alone(world, "v3")


@pytest.mark.parametrize(
    "rollout",
    [
        models.canary({"weight": 100, "approval": "Required"}, bake="0s"),
        models.canary({"weight": 100, "approval": "Required"}, bake="0s", maxSurge="50%"),
    ],
    ids=["surge", "little-surge"],
)
@EITHER
def test_42_a_superseded_candidate_with_every_pod_makes_room(rollout: dict[str, object], gateway: bool) -> None:
    world = broken(rollout, gateway=gateway)
    upgrade(world, "v3")
    reach(world, 0, "Holding", rollout=3)
    assert answers(world, "v3"), world.picture()


def test_37_stable_takes_its_traffic_back_when_its_pods_recover() -> None:
    world = broken(gateway=True)
    world.script("v3", is_never_ready=True)
    upgrade(world, "v3")
    world.run_for(30)
    world.script("v1")
    world.kubelet.unready.clear()
    world.run_for(30)
    assert answers(world, "v1"), world.picture()
    world.run_for(60)
    assert world.replicas("v2") == 0


@EITHER
def test_42_a_newer_version_does_not_wait_for_a_way_back_that_never_ends(gateway: bool) -> None:
    world = broken(gateway=gateway)
    world.command("abort")
    world.run_for(60)
    assert world.status()["phase"] == "RollingBack"
    assert answers(world, "v2")
    upgrade(world, "v3")
    reach(world, 0, "Holding", rollout=3)
    assert [line["outcome"] for line in world.status()["history"]] == ["Promoted", "Aborted"]
    world.command("promote")
    world.run_to_phase("Healthy")
    upgrade(world, "v2")
    world.run_to_phase("RolledBack")
    world.run_for(60)
    serves_alone(world, "v3")


@pytest.mark.parametrize("rollout", [APPROVED, models.rolling()], ids=["canary", "rolling"])
@EITHER
def test_42_a_new_version_starts_beside_a_stable_one_without_pods(rollout: dict[str, object], gateway: bool) -> None:
    world = installed(rollout, gateway=gateway)
    breaks(world)
    upgrade(world, "v2")
    world.run_for(120)
    assert answers(world, "v2"), world.picture()


@EITHER
def test_42_a_rolling_update_replaces_a_superseded_one_that_answers_alone(gateway: bool) -> None:
    world = installed(models.rolling(), gateway=gateway, replicas=4)
    world.script("v2", load=20)
    upgrade(world, "v2")
    world.run_until(lambda: len(world.pods("v2", ready=True)) == 3)
    breaks(world)
    upgrade(world, "v3")
    world.run_to_phase("Healthy", within=1200)
    world.run_for(60)
    serves_alone(world, "v3", 4)
    assert place(world.rollout())[0] == 3
