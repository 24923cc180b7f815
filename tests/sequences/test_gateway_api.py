"""What of the Gateway API a cluster has, and what a model does without it."""

from modelway import kinds
from modelway.cluster.api import ApiError, Invalid
from modelway.kinds import Kind
from simulation import models
from simulation.stories import TWO_STEPS, installed, reach, serves_alone, upgrade
from simulation.ways_in import (
    BETA,
    LONG,
    MATCHED,
    STICKY,
    at,
    route,
)
from simulation.world import World


def test_names_of_rules_are_left_out_where_the_cluster_does_not_know_them() -> None:
    world = World(route_fields=frozenset())
    world.apply(models.spec("v1", rollout=MATCHED))
    world.run_to_phase("Healthy")
    assert all("name" not in rule for rule in route(world)["rules"])
    upgrade(world, "v2")
    reach(world, 0, "Holding")
    assert world.answers(headers=BETA) == {"v2"}


def test_11_a_gateway_api_that_goes_in_mid_rollout_freezes_it_and_heals() -> None:
    world = at(LONG, 0)
    world.server.absent.add(kinds.HTTP_ROUTE)
    for found in world.store.all(kinds.HTTP_ROUTE):
        world.store.remove(kinds.HTTP_ROUTE, found)
    world.run_for(300)
    assert world.rollout()["stepIndex"] == 0
    assert world.condition("TrafficProgrammed")["reason"] == "FeatureNotSupported"
    assert world.condition("Stalled")["reason"] == "FeatureNotSupported"
    assert len(world.pods("v1", ready=True)) == 2
    world.server.absent.clear()
    world.run_for(60)
    assert world.answers(headers=BETA) == {"v2"}
    world.run_to_phase("Healthy", within=1800)
    serves_alone(world, "v2")


def test_a_gateway_api_that_comes_lets_a_model_begin() -> None:
    world = World(has_gateway=False)
    world.apply(models.spec("v1"))
    world.run_for(60)
    assert world.condition("Stalled")["reason"] == "FeatureNotSupported"
    assert not [request for request in world.server.requests if request[:2] == ("create", kinds.HTTP_ROUTE)]
    world.gain_gateway()
    world.run_to_phase("Healthy")
    serves_alone(world, "v1")


def test_matches_that_the_gateway_api_refuses_are_found_before_a_candidate_starts() -> None:
    world = installed(TWO_STEPS)
    refusal = Invalid(422, "Invalid", "HTTPRoute is invalid", (("spec.rules[0].matches", "exactly one PathPrefix"),))

    def refuse(verb: str, kind: Kind, name: str) -> ApiError | None:
        is_matched = bool(world.model()["spec"]["rollout"].get("candidateMatches"))
        return refusal if (verb, kind) == ("verify", kinds.HTTP_ROUTE) and is_matched else None

    world.server.faults.rules.append(refuse)
    upgrade(world, "v2", rollout=MATCHED)
    world.run_for(60)
    assert world.condition("Stalled")["reason"] == "InvalidSpec"
    assert "spec.rules[0].matches" in world.condition("Stalled")["message"]
    assert world.revision_of("v2") == ""
    world.edit(rollout=TWO_STEPS)
    world.run_to_phase("Healthy")
    serves_alone(world, "v2")


def test_41_a_spec_that_goes_back_is_followed_whatever_is_missing() -> None:
    world = at(TWO_STEPS, 1)
    world.edit(traffic=STICKY)
    world.run_for(5)
    upgrade(world, "v1")
    world.run_until(lambda: world.weights() == {"v1": 100}, within=5)
    world.run_for(60)
    assert world.rollout()["outcome"] == "RolledBack"
    assert world.condition("Stalled")["reason"] == "FeatureNotSupported"
