"""Rollouts without a gateway: the model's Service widens and narrows, weights are ceilings."""

import pytest

from modelway import kinds
from simulation import models
from simulation.stories import compare, installed, reach, rest, serves_alone, upgrade

HALF = models.canary({"weight": 50, "hold": "1m"}, bake="1m")


def test_07_the_service_widens_to_both_and_narrows_to_the_new_one() -> None:
    world = installed(HALF, gateway=False)
    world.oracle.expects_no_outage = True
    upgrade(world, "v2")
    reach(world, 0, "Holding")
    assert world.selected() == {"v1", "v2"}
    world.run_to_phase("Healthy")
    world.run_for(120)
    serves_alone(world, "v2")
    assert world.replicas("v1") == 0
    compare(world, "service-only-canary")


def test_03_the_share_stays_below_the_weight() -> None:
    world = installed(models.canary({"weight": 30, "hold": "1m"}), gateway=False, replicas=7)
    upgrade(world, "v2")
    reach(world, 0, "Holding")
    assert len(world.pods("v2", ready=True)) == 3
    world.run_to_phase("Healthy")


def test_03_a_weight_that_no_pod_count_reaches_is_refused_until_the_user_consents() -> None:
    steps = models.canary({"weight": 10, "hold": "1m"})
    world = installed(steps, gateway=False)
    upgrade(world, "v2")
    world.run_for(120)
    assert world.selected() == {"v1"}
    assert world.condition("TrafficProgrammed")["reason"] == "WeightNotReachable"
    assert world.condition("Stalled")["reason"] == "WeightNotReachable"
    assert "33 %" in world.condition("TrafficProgrammed")["message"]
    assert rest(world, 7200) == 0
    world.edit(rollout=steps | {"coarseWeights": "Allow"})
    world.run_to_phase("Healthy")
    serves_alone(world, "v2")


def test_42_a_pod_that_stable_lacks_makes_the_step_smaller_and_holds_nothing_up() -> None:
    world = installed(models.canary({"weight": 55, "hold": "1m"}, bake="0s"), gateway=False)
    world.oracle.expects_no_outage = True
    world.kubelet.unready.add(world.pods("v1")[0]["metadata"]["uid"])
    upgrade(world, "v2")
    reach(world, 0, "Holding")
    assert (len(world.pods("v1", ready=True)), len(world.pods("v2", ready=True))) == (1, 1)
    world.run_to_phase("Healthy")
    serves_alone(world, "v2")


def test_03_coarse_weights_widen_with_one_pod() -> None:
    world = installed(models.canary({"weight": 10, "hold": "1m"}, coarseWeights="Allow"), gateway=False)
    upgrade(world, "v2")
    reach(world, 0, "Holding")
    assert world.selected() == {"v1", "v2"}
    assert len(world.pods("v2")) == 1
    world.run_to_phase("Healthy")


def test_52_an_abort_narrows_and_then_ends_the_candidate() -> None:
    world = installed(HALF, gateway=False)
    upgrade(world, "v2")
    reach(world, 0, "Holding")
    world.command("abort")
    world.run_to_phase("RolledBack")
    world.run_for(60)
    serves_alone(world, "v1")
    assert world.pods("v2") == []
    assert world.rollout()["outcome"] == "Aborted"


@pytest.mark.parametrize("pods", [1, 2, 3, 5])
@pytest.mark.parametrize("surge", ["0%", "25%", "100%"])
def test_17_rolling_keeps_as_many_ready_pods_as_are_asked_for(pods: int, surge: str) -> None:
    world = installed(models.rolling(maxSurge=surge), gateway=False, replicas=pods)
    world.oracle.expects_no_outage = surge != "0%" or pods > 1
    upgrade(world, "v2")
    world.run_to_phase("Healthy", within=3600)
    world.run_for(120)
    serves_alone(world, "v2", pods)


def test_07_three_versions_never_share_the_service() -> None:
    world = installed(HALF, gateway=False)
    world.oracle.expects_no_outage = True
    upgrade(world, "v2")
    reach(world, 0, "Holding")
    upgrade(world, "v3")
    reach(world, 0, "Holding", rollout=3)
    assert world.selected() == {"v1", "v3"}
    world.run_to_phase("Healthy")
    serves_alone(world, "v3")


@pytest.mark.parametrize("seed", range(5))
def test_the_order_of_events_does_not_matter_without_a_gateway(seed: int) -> None:
    world = installed(HALF, seed=seed, gateway=False)
    world.oracle.expects_no_outage = True
    upgrade(world, "v2")
    world.run_to_phase("Healthy")
    serves_alone(world, "v2")


def test_54_a_gateway_asked_for_where_the_cluster_has_none_is_named() -> None:
    world = installed(HALF, gateway=False)
    world.edit(traffic=models.GATEWAY)
    world.run_for(60)
    assert world.condition("Stalled")["reason"] == "FeatureNotSupported"
    assert world.selected() == {"v1"}
    world.edit(traffic=None)
    world.run_to_phase("Healthy")


@pytest.mark.parametrize("asked", ["abort", "undo", "v1", "v3"])
@pytest.mark.parametrize("where", [(1, "Settling"), (1, "Holding")], ids=lambda where: where[1])
def test_07_the_way_back_from_the_candidate_alone_leads_through_both(asked: str, where: tuple[int, str]) -> None:
    steps = models.canary({"weight": 50, "hold": "1m"}, {"weight": 100, "hold": "1m"}, bake="1m")
    world = installed(steps, gateway=False)
    world.oracle.expects_no_outage = True
    upgrade(world, "v2")
    reach(world, *where)
    assert world.selected() == {"v2"}
    if asked in ("abort", "undo"):
        world.command(asked)
    else:
        upgrade(world, asked)
    world.run_for(600)
    serves_alone(world, "v3" if asked == "v3" else "v1")
    assert world.replicas("v2") == 0


def test_07_whoever_answers_again_is_led_to_before_anything_else_is_written() -> None:
    steps = models.canary({"weight": 10, "hold": "30s"}, bake="30s", coarseWeights="Allow")
    world = installed(steps, gateway=False, replicas=1)
    world.kubelet.unready.add(world.pods("v1")[0]["metadata"]["uid"])
    upgrade(world, "v2")
    reach(world, 1, "Settling")
    assert world.selected() == {"v2"}
    workload = world.store.find(kinds.DEPLOYMENT, models.NAMESPACE, world.rollout()["revision"])
    assert workload is not None
    world.kubelet.unready.clear()
    world.kubelet.unready.add(world.pods("v2")[0]["metadata"]["uid"])
    world.store.remove(kinds.DEPLOYMENT, workload)
    before = len(world.server.writes)
    world.run_until(lambda: world.selected() == {"v1"}, within=10)
    assert world.server.writes[before].kind == kinds.SERVICE
    world.run_for(600)
    serves_alone(world, "v2", 1)
