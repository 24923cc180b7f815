"""Whole rollouts that go well: first install, Rolling and Canary, with their golden logs."""

import pytest

from simulation import models
from simulation.stories import GATED, TWO_STEPS, compare, installed, reach, rest, serves_alone, upgrade
from simulation.world import World

SEEDS = range(5)


def quiet_world(world: World) -> World:
    world.oracle.expects_no_outage = True
    return world


def test_a_first_install_has_no_steps_and_is_ready_only_when_it_serves() -> None:
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


def test_a_pod_that_starts_beside_the_first_one_must_have_the_same_bytes() -> None:
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


def test_an_edit_of_the_steps_counts_from_the_next_rollout() -> None:
    world = quiet_world(installed(TWO_STEPS))
    upgrade(world, "v2")
    reach(world, 0, "Holding")
    world.edit(rollout=models.canary({"weight": 1, "hold": "1h"}))
    reach(world, 1, "Holding")
    assert world.weights() == {"v1": 50, "v2": 50}
    world.run_to_phase("Healthy")


def test_the_stable_pods_stay_warm_while_it_bakes() -> None:
    world = quiet_world(installed(models.canary({"weight": 50, "hold": "1m"}, bake="10m")))
    upgrade(world, "v2")
    world.run_to_phase("Healthy")
    world.run_for(300)
    assert world.replicas("v1") == 2
    world.run_for(400)
    assert world.replicas("v1") == 0


@pytest.mark.parametrize("surge", ["0%", "50%", "100%"])
@pytest.mark.parametrize("pods", [1, 2, 3, 5])
@pytest.mark.parametrize("strategy", [TWO_STEPS, models.rolling()], ids=["canary", "rolling"])
def test_every_size_and_surge_ends_well(pods: int, surge: str, strategy: dict[str, object]) -> None:
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
