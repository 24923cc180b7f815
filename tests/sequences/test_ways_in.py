"""The ways in beside the weights: requests that match, the mark of a comparator, and what is told of an edit."""

from datetime import timedelta
from typing import Any

import pytest

from modelway import kinds
from modelway.kinds import Manifest
from simulation import models, rules
from simulation.server import Write
from simulation.stories import TWO_STEPS, installed, reach, rest, serves_alone, upgrade
from simulation.ways_in import (
    BETA,
    LONG,
    MATCHED,
    PREVIEW,
    SHOWN,
    all_paths,
    at,
)

# Requests that match


@pytest.mark.parametrize("step", [0, 1])
def test_09_requests_that_match_go_to_the_candidate_whatever_its_weight(step: int) -> None:
    world = at(MATCHED, step)
    assert world.answers(headers=BETA) == {"v2"}
    assert world.answers(headers={"X-Cohort": "beta", "accept": "*/*"}) == {"v2"}
    assert world.answers(headers={"x-cohort": "alpha"}) == world.answers() == {"v1", "v2"}
    assert {share["revision"]: share.get("match") for share in world.status()["traffic"]} == {
        world.revision_of("v1"): None,
        world.revision_of("v2"): "candidateMatches",
    }
    world.run_to_phase("Healthy")
    world.run_for(120)
    assert world.matched() == set()
    serves_alone(world, "v2")


def test_requests_that_match_reach_the_first_ready_pod_before_any_weight_does() -> None:
    world = installed(models.canary({"weight": 0, "hold": "5m"}, candidateMatches=models.BETA), replicas=3)
    world.oracle.expects_no_outage = True
    upgrade(world, "v2")
    world.run_until(lambda: bool(world.pods("v2")))
    assert world.matched() == set()
    world.run_until(lambda: bool(world.pods("v2", ready=True)))
    world.run_for(2)
    assert world.answers(headers=BETA) == {"v2"}
    assert world.answers() == {"v1"}


def test_any_of_the_matches_is_enough_and_all_headers_of_one_are_needed() -> None:
    matches = [
        {"headers": [{"name": "x-team", "value": "risk"}, {"name": "x-cohort", "value": "beta"}]},
        {"headers": [{"name": "x-debug", "value": "1"}]},
    ]
    world = at(models.canary({"weight": 0, "hold": "5m"}, candidateMatches=matches), 0)
    assert world.answers(headers={"x-debug": "1"}) == {"v2"}
    assert world.answers(headers={"x-team": "risk", "x-cohort": "beta"}) == {"v2"}
    assert world.answers(headers=BETA) == {"v1"}


def test_a_rolling_update_and_a_blue_green_take_matches_too() -> None:
    world = installed(models.rolling(candidateMatches=models.BETA), replicas=4)
    upgrade(world, "v2")
    world.run_until(lambda: bool(world.pods("v2", ready=True)))
    world.run_for(1.5)
    assert world.answers(headers=BETA) == {"v2"}
    world = at(SHOWN, 0)
    assert world.answers(headers=BETA) == {"v2"}
    assert world.answers() == {"v1"}


def test_50_a_first_install_and_an_undo_lead_nobody_aside() -> None:
    world = installed(MATCHED)
    assert world.matched() == set()
    upgrade(world, "v2")
    world.run_to_phase("Healthy")
    world.run_for(120)
    world.command("undo")
    world.run_until(lambda: world.weights() == {"v1": 100}, within=60)
    assert world.matched() == set()


@pytest.mark.parametrize(
    ("rollout", "step"), [(LONG, 0), (LONG, 1), (SHOWN, 0)], ids=["canary-at-10", "canary-at-50", "blue-green"]
)
def test_13_a_candidate_without_a_ready_pod_is_led_to_by_no_rule(rollout: Manifest, step: int) -> None:
    world = at(rollout, step)
    weights = world.weights()
    for pod in world.pods("v2"):
        world.kubelet.unready.add(pod["metadata"]["uid"])
    world.run_for(2)
    assert world.matched() == world.previewed() == set()
    assert world.answers(headers=BETA) == {"v1"}
    assert world.answers(host=PREVIEW) == set()
    assert rest(world, 60) == 0
    world.kubelet.unready.clear()
    world.run_for(2)
    assert world.answers(headers=BETA) == {"v2"}
    assert world.previewed() == ({"v2"} if rollout is SHOWN else set())
    assert (world.weights(), world.rollout()["stepIndex"]) == (weights, step)


@pytest.mark.parametrize("rollout", [MATCHED, SHOWN], ids=["canary", "blue-green"])
def test_13_an_evicted_last_pod_takes_the_rules_with_it_until_another_is_ready(rollout: Manifest) -> None:
    world = at(rollout, 0)
    for pod in world.pods("v2"):
        world.evict(pod)
    world.run_for(1.5)
    assert world.matched() == world.previewed() == set()
    world.run_for(30)
    assert world.answers(headers=BETA) == {"v2"}


@pytest.mark.parametrize("rollout", [MATCHED, SHOWN], ids=["canary", "blue-green"])
def test_14_within_the_drain_of_an_abort_nobody_who_matches_gets_to_the_candidate(rollout: Manifest) -> None:
    world = at(rollout, 0)
    world.oracle.expects_no_outage = True
    world.command("abort")
    world.run_for(2)
    assert world.answers(headers=BETA) == {"v1"}
    assert world.answers(host=PREVIEW) == set()
    assert world.pods("v2")
    world.run_to_phase("RolledBack")
    world.run_for(60)
    assert world.pods("v2") == []
    serves_alone(world, "v1")


def test_05_pods_go_only_after_the_last_rule_that_led_to_them() -> None:
    """Checked at every write: here the gateway is slow to take the rule away."""
    world = at(models.canary({"weight": 0, "hold": "5m"}, candidateMatches=models.BETA), 0)
    world.gateway.is_frozen = True
    world.command("abort")
    world.run_for(300)
    assert world.pods("v2", ready=True)
    assert world.status()["phase"] == "RollingBack"
    world.gateway.is_frozen = False
    world.run_to_phase("RolledBack")
    world.run_for(60)
    assert world.pods("v2") == []


def test_30_an_edit_of_the_matches_counts_from_the_next_rollout() -> None:
    world = at(MATCHED, 0)
    world.edit(rollout=MATCHED | {"candidateMatches": [{"headers": [{"name": "x-other", "value": "1"}]}]})
    world.run_for(5)
    assert world.answers(headers=BETA) == {"v2"}
    world.run_to_phase("Healthy")
    upgrade(world, "v3")
    reach(world, 0, "Holding", rollout=3)
    assert world.answers(headers={"x-other": "1"}) == {"v3"}
    assert world.answers(headers=BETA) == {"v2", "v3"}


# The mark of a comparator


MARKED = {"modelway-shadow": "1"}


@pytest.mark.parametrize("rollout", [MATCHED, SHOWN], ids=["canary", "blue-green"])
def test_57_no_caller_drops_out_of_the_evidence_by_whatever_rule(rollout: Manifest) -> None:
    world = all_paths(grpc=True, rollout=rollout)
    upgrade(world, "v2")
    reach(world, 0, "Holding")
    world.run_for(2)
    routes = [found["spec"] for found in world.store.all(kinds.HTTP_ROUTE)]
    found = {rule["name"] for spec in routes for rule in spec["rules"]}
    assert found == {"candidate-grpc", "candidate", "grpc", "rest"}
    assert len(routes) == (2 if rollout is SHOWN else 1)
    assert all(rules.passed(rule, MARKED | BETA) == BETA for spec in routes for rule in spec["rules"])


# What is told of an edit


EDITS: list[Any] = [
    pytest.param({"timeouts": {"request": "9s"}}, id="time-outs"),
    pytest.param({"hostnames": ["fraud.example.com", "new.example.com"]}, id="host-names"),
    pytest.param({"parentRefs": [{"name": "public"}, {"name": "private"}]}, id="parents"),
]
MOMENTS: list[Any] = [
    pytest.param(MATCHED, 0, "Holding", id="canary"),
    pytest.param(LONG, 0, "Settling", id="settling"),
    pytest.param(SHOWN, 0, "Holding", id="previewed"),
    pytest.param(TWO_STEPS, None, "", id="between-rollouts"),
]


@pytest.mark.parametrize("seed", [None, 3])
@pytest.mark.parametrize("edit", EDITS)
@pytest.mark.parametrize(("rollout", "step", "state"), MOMENTS)
def test_65_an_edit_of_traffic_is_not_called_programmed_before_the_gateway_has_it(
    rollout: Manifest, step: int | None, state: str, edit: Manifest, seed: int | None
) -> None:
    world = installed(rollout, seed=seed) if step is None else at(rollout, step, state, seed=seed)
    world.gateway.delay = timedelta(seconds=3)
    before = len(world.server.writes)
    world.edit(traffic=models.GATEWAY | edit)
    generation = world.model()["metadata"]["generation"]
    world.run_until(lambda: world.condition("TrafficProgrammed")["status"] == "False", within=2)
    world.run_for(30)
    written = [write for write in world.server.writes[before:] if write.kind == kinds.HTTP_ROUTE]
    told = [write for write in world.server.writes[before:] if is_programmed(write, generation)]
    assert told[0].at >= written[-1].at + world.gateway.delay


def is_programmed(write: Write, generation: int) -> bool:
    """Whether it says so of that generation."""
    status = (write.after or {}).get("status") or {}
    found = [item for item in status.get("conditions", ()) if item["type"] == "TrafficProgrammed"]
    is_status = write.kind == kinds.MODEL_DEPLOYMENT and bool(found)
    return is_status and (found[0]["status"], found[0]["observedGeneration"]) == ("True", generation)
