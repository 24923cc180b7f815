"""Whole rollouts that go well: first install, Rolling and Canary, with their golden logs."""

import random
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from simulation import models
from simulation.clock import parse
from simulation.stories import GATED, TWO_STEPS, compare, installed, reach, rest, serves_alone, upgrade
from simulation.world import World

SEEDS = range(5)


def quiet_world(world: World) -> World:
    world.oracle.expects_no_outage = True
    return world


def test_08_a_first_install_has_no_steps_and_is_ready_only_when_it_serves() -> None:
    world = quiet_world(World())
    world.apply(models.spec("v1", rollout=TWO_STEPS))
    world.run_until(lambda: bool(world.pods()))
    assert world.condition("Ready")["status"] == "False"
    assert world.weights() == {}
    world.run_to_phase("Healthy")
    assert world.condition("Ready")["status"] == "True"
    assert world.clock.elapsed < 30
    world.run_for(60)
    serves_alone(world, "v1")
    compare(world, "first-install")


def test_45_a_pod_that_starts_beside_the_first_one_must_have_the_same_bytes() -> None:
    world = World()
    world.apply(models.spec("v1", replicas=3))
    world.run_until(lambda: len(world.pods()) == 3)
    world.script("v1", digest="sha256:" + "f" * 64)
    world.run_for(30)
    assert len(world.pods(ready=True)) == 1
    ended = [
        p["status"]["initContainerStatuses"][0]["lastState"] for p in world.pods() if p not in world.pods(ready=True)
    ]
    assert ended
    assert all("DigestMismatch" in str(state) for state in ended)


def test_a_rolling_rollout_moves_traffic_with_its_ready_pods() -> None:
    world = quiet_world(installed(models.rolling(), replicas=4))
    upgrade(world, "v2")
    world.run_to_phase("Healthy")
    world.run_for(120)
    serves_alone(world, "v2", 4)
    assert world.replicas("v1") == 0
    compare(world, "rolling")


def test_a_canary_climbs_its_steps_and_is_promoted() -> None:
    world = quiet_world(installed(TWO_STEPS))
    upgrade(world, "v2")
    reach(world, 0, "Holding")
    assert world.weights() == {"v1": 90, "v2": 10}
    reach(world, 1, "Holding")
    assert world.weights() == {"v1": 50, "v2": 50}
    world.run_to_phase("Healthy")
    world.run_for(120)
    serves_alone(world, "v2")
    assert world.replicas("v1") == 0
    assert world.rollout()["outcome"] == "Promoted"
    compare(world, "canary")


def test_a_hold_is_as_long_as_it_says() -> None:
    world = installed(models.canary({"weight": 20, "hold": "7m"}))
    upgrade(world, "v2")
    reach(world, 0, "Holding")
    begun = world.clock.elapsed
    reach(world, 1, "Scaling")
    assert 420 <= world.clock.elapsed - begun <= 422


def test_a_step_with_approval_waits_for_promote_and_says_so() -> None:
    world = quiet_world(installed(GATED))
    upgrade(world, "v2")
    reach(world, 1, "Holding")
    world.run_for(30)
    assert rest(world, 7200) == 0
    assert world.condition("Paused")["reason"] == "AwaitingApproval"
    assert world.status()["phase"] == "Paused"
    assert world.weights() == {"v1": 50, "v2": 50}
    world.command("promote")
    world.run_to_phase("Healthy")
    world.run_for(60)
    serves_alone(world, "v2")
    compare(world, "canary-approval")


def test_a_canary_without_steps_is_one_step_of_100() -> None:
    world = quiet_world(installed(models.canary()))
    upgrade(world, "v2")
    world.run_to_phase("Healthy")
    serves_alone(world, "v2")


def test_equal_weights_are_another_hold() -> None:
    steps = [{"weight": 30, "hold": "1m"}, {"weight": 30, "hold": "1m"}]
    world = quiet_world(installed(models.canary(*steps)))
    upgrade(world, "v2")
    reach(world, 0, "Holding")
    reach(world, 1, "Holding")
    assert world.weights() == {"v1": 70, "v2": 30}
    world.run_to_phase("Healthy")


def test_a_step_of_weight_0_starts_a_pod_without_traffic() -> None:
    world = quiet_world(installed(models.canary({"weight": 0, "hold": "1m"})))
    upgrade(world, "v2")
    reach(world, 0, "Holding")
    assert world.weights() == {"v1": 100}
    assert len(world.pods("v2", ready=True)) == 1
    world.run_to_phase("Healthy")


def test_30_an_edit_of_the_steps_counts_from_the_next_rollout_and_says_so_once() -> None:
    world = quiet_world(installed(TWO_STEPS))
    upgrade(world, "v2")
    reach(world, 0, "Holding")
    for weight in (1, 2, 3):
        world.edit(rollout=models.canary({"weight": weight, "hold": "1h"}))
        world.run_for(5)
        assert world.weights() == {"v1": 90, "v2": 10}
    reach(world, 1, "Holding")
    assert world.weights() == {"v1": 50, "v2": 50}
    told = [text for _, _, text in world.recorder.events if "keeps its plan" in text]
    assert told == ["Rollout 2 keeps its plan (fraud-rollout-2): the edit of spec.rollout counts from the next one"]
    world.run_to_phase("Healthy")
    upgrade(world, "v3")
    reach(world, 0, "Holding", rollout=3)
    assert world.weights() == {"v2": 97, "v3": 3}


@pytest.mark.parametrize("edit", [{"paused": True}, {"readyWhen": "Serving"}, {"capacityFallback": "Replace"}])
def test_30_an_edit_that_counts_at_once_is_no_edit_of_the_plan(edit: dict[str, object]) -> None:
    world = quiet_world(installed(TWO_STEPS))
    upgrade(world, "v2")
    reach(world, 0, "Holding")
    world.edit(rollout=TWO_STEPS | edit)
    world.run_for(5)
    assert "edited" not in world.rollout()


def test_the_stable_pods_stay_warm_while_it_bakes() -> None:
    world = quiet_world(installed(models.canary({"weight": 50, "hold": "1m"}, bake="10m")))
    upgrade(world, "v2")
    world.run_to_phase("Healthy")
    world.run_for(300)
    assert world.replicas("v1") == 2
    world.run_for(400)
    assert world.replicas("v1") == 0


def promoted(world: World) -> None:
    world.run_to_phase("Healthy")


def aborted(world: World) -> None:
    world.run_until(lambda: len(world.pods("v2", ready=True)) > 1)
    world.command("abort")
    world.run_to_phase("RolledBack")


def reverted(world: World) -> None:
    world.run_until(lambda: len(world.pods("v2", ready=True)) > 1)
    upgrade(world, "v1")
    world.run_to_phase("Healthy")


def superseded(world: World) -> None:
    world.run_until(lambda: len(world.pods("v2", ready=True)) > 1)
    upgrade(world, "v3")
    world.run_to_phase("Healthy")


def undone(world: World) -> None:
    world.run_to_phase("Healthy")
    world.run_for(300)
    world.command("undo")
    world.run_to_phase("RolledBack")


@pytest.mark.parametrize("gateway", [True, False], ids=["gateway", "service-only"])
@pytest.mark.parametrize("surge", [0, 1, "100%"])
@pytest.mark.parametrize("strategy", [TWO_STEPS, models.rolling()], ids=["canary", "rolling"])
@pytest.mark.parametrize("ending", [promoted, aborted, reverted, superseded, undone], ids=lambda story: story.__name__)
def test_16_every_request_finds_a_ready_pod(
    ending: Callable[[World], None], strategy: dict[str, object], surge: int | str, gateway: bool
) -> None:
    rollout = {**strategy, "maxSurge": surge, "coarseWeights": "Allow"}
    world = quiet_world(installed(rollout, seed=3, gateway=gateway, replicas=3))
    upgrade(world, "v2")
    ending(world)
    world.run_for(120)


def test_24_the_time_to_go_is_neither_shortened_nor_begun_again() -> None:
    autoscaling = {"minReplicas": 2, "maxReplicas": 4}
    rollout = models.canary({"weight": 50}, bake="10m")
    world = quiet_world(installed(rollout, replicas=None, autoscaling=autoscaling))
    world.autoscaler.random = random.Random(24)
    upgrade(world, "v2")
    world.run_until(lambda: world.rollout()["id"] == 2 and world.rollout().get("outcome") == "Promoted")
    world.run_for(1)
    promoted_at, until = world.clock(), time_to_go(world, "v1")
    assert timedelta(seconds=608) <= until - promoted_at <= timedelta(seconds=610)
    while world.clock() < until - timedelta(seconds=30):
        world.crash()
        world.autoscaler.shuffle()
        world.run_for(25)
        assert time_to_go(world, "v1") == until
        assert world.replicas("v1") >= 2
    world.run_until(lambda: world.replicas("v1") == 0, within=60)
    assert until <= world.clock() <= until + timedelta(seconds=2)


def time_to_go(world: World, version: str) -> datetime:
    shown = next(item for item in world.status()["revisions"] if item["name"] == world.revision_of(version))
    return parse(shown["retainUntil"])


@pytest.mark.parametrize("surge", ["0%", "50%", "100%"])
@pytest.mark.parametrize("pods", [1, 2, 3, 5])
@pytest.mark.parametrize("strategy", [TWO_STEPS, models.rolling()], ids=["canary", "rolling"])
def test_36_every_size_and_surge_ends_well(pods: int, surge: str, strategy: dict[str, object]) -> None:
    world = installed({**strategy, "maxSurge": surge, "coarseWeights": "Allow"}, replicas=pods)
    world.oracle.expects_no_outage = surge != "0%" or pods > 1
    upgrade(world, "v2")
    world.run_to_phase("Healthy", within=3600)
    world.run_for(120)
    serves_alone(world, "v2", pods)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("strategy", [TWO_STEPS, models.rolling()], ids=["canary", "rolling"])
def test_the_order_of_events_does_not_matter(seed: int, strategy: dict[str, object]) -> None:
    world = quiet_world(installed(strategy, seed=seed, replicas=3))
    upgrade(world, "v2")
    world.run_to_phase("Healthy")
    world.run_for(120)
    serves_alone(world, "v2", 3)


@pytest.mark.parametrize("pods", [1, 2, 3])
@pytest.mark.parametrize("weight", [1, 33, 34, 50, 51, 67, 99])
def test_19_small_counts_and_any_weight_terminate(pods: int, weight: int) -> None:
    world = quiet_world(installed(models.canary({"weight": weight, "hold": "10s"}), replicas=pods))
    upgrade(world, "v2")
    reach(world, 0, "Holding")
    assert world.weights()["v2"] == weight
    assert len(world.pods("v2", ready=True)) >= 1
    world.run_to_phase("Healthy")


@pytest.mark.parametrize("way", ["abort", "supersede"])
def test_05_a_fraction_of_a_second_cuts_no_drain_short(way: str) -> None:
    world = quiet_world(installed(TWO_STEPS | {"bake": "0s"}))
    upgrade(world, "v2")
    reach(world, 0, "Holding")
    world.run_for(0.6)
    if way == "abort":
        world.command("abort")
    else:
        upgrade(world, "v3")
    world.run_for(300)
    serves_alone(world, "v1" if way == "abort" else "v3")
