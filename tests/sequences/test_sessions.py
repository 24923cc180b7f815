"""Sessions stay with a revision, and obey an abort."""

import pytest

from simulation import models
from simulation.stories import TWO_STEPS, upgrade
from simulation.ways_in import (
    BETA,
    MATCHED,
    STICKY,
    at,
    held,
    route,
    sticky,
)
from simulation.world import World


def test_a_session_stays_with_its_revision_while_that_has_a_share() -> None:
    world = sticky(TWO_STEPS)
    assert held(world, "v1") == {"v1"}
    assert held(world, "v2") == {"v2"}
    assert world.answers() == {"v1", "v2"}
    assert route(world)["rules"][-1]["sessionPersistence"] == STICKY["sessionPersistence"]
    world.run_to_phase("Healthy")
    assert held(world, "v1") == {"v2"}


@pytest.mark.parametrize("step", [0, 1])
def test_14_an_abort_is_obeyed_by_clients_that_hold_the_candidates_cookie(step: int) -> None:
    world = sticky(TWO_STEPS | {"candidateMatches": models.BETA}, step)
    assert held(world, "v2") == {"v2"}
    world.command("abort")
    world.run_for(2)
    assert held(world, "v2") == {"v1"}
    assert world.answers(session=world.revision_of("v2"), headers=BETA) == {"v1"}
    assert world.revision_of("v2") not in str(route(world))
    world.run_to_phase("RolledBack")
    world.run_for(60)
    assert world.pods("v2") == []


def test_14_also_where_stable_gave_up_pods_and_takes_its_share_back_by_and_by() -> None:
    world = sticky(TWO_STEPS | {"maxSurge": "50%"}, 1)
    world.command("abort")
    world.run_to_phase("RolledBack")
    assert held(world, "v2") == {"v1"}
    world.run_for(60)
    assert world.pods("v2") == []


@pytest.mark.parametrize("version", ["v1", "v3"])
def test_14_sessions_do_not_outlive_a_candidate_that_another_spec_ends(version: str) -> None:
    world = sticky(TWO_STEPS)
    gone = world.revision_of("v2")
    upgrade(world, version)
    world.run_for(5)
    assert world.answers(session=gone) == {"v1"}


def test_a_request_that_matches_gets_no_session() -> None:
    world = sticky(MATCHED)
    assert ["sessionPersistence" in rule for rule in route(world)["rules"]] == [True, False]
    assert world.answers(session=world.revision_of("v1"), headers=BETA) == {"v2"}


def test_a_session_that_the_user_takes_back_leaves_the_route() -> None:
    world = sticky(TWO_STEPS)
    world.edit(traffic=models.GATEWAY)
    world.run_for(5)
    assert all("sessionPersistence" not in rule for rule in route(world)["rules"])


def test_sessions_without_the_field_in_the_cluster_start_nothing_and_are_named() -> None:
    world = World()
    world.apply(models.spec("v1", traffic=STICKY))
    world.run_for(60)
    assert world.condition("Stalled")["reason"] == "FeatureNotSupported"
    assert "sessionPersistence" in world.condition("Stalled")["message"]
    assert world.revision_of("v1") == ""
    world.edit(traffic=models.GATEWAY)
    world.run_to_phase("Healthy")


def test_41_sessions_that_the_cluster_does_not_have_stop_neither_serving_nor_an_abort() -> None:
    world = at(TWO_STEPS, 1)
    world.edit(traffic=STICKY)
    world.run_for(10)
    assert world.condition("Stalled")["reason"] == "FeatureNotSupported"
    assert world.condition("TrafficProgrammed")["reason"] == "FeatureNotSupported"
    assert all("sessionPersistence" not in rule for rule in route(world)["rules"])
    world.command("abort")
    world.run_until(lambda: world.weights() == {"v1": 100}, within=5)
