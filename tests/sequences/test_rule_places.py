"""Rules keep their places in a route, and rest where they lead nobody."""

import pytest

from modelway import kinds
from simulation import rules
from simulation.stories import TWO_STEPS, reach, rest, upgrade
from simulation.ways_in import (
    BETA,
    LONG,
    all_paths,
    at,
    calls,
    route,
    speaking,
)


@pytest.mark.parametrize("end", ["abort", "promote-full"])
def test_16_a_rule_that_leads_nobody_any_more_rests_until_the_next_rollout(end: str) -> None:
    world = at(LONG, 0)
    assert [rules.purpose(rule) for rule in route(world)["rules"]] == ["all", "special all"]
    world.command(end)
    world.run_until(lambda: world.matched() == set(), within=60)
    world.run_for(7200)
    assert [rules.purpose(rule) for rule in route(world)["rules"]] == ["all", ""]
    shares, resting = (rule["backendRefs"] for rule in route(world)["rules"])
    assert resting == shares
    assert rest(world, 600) == 0
    upgrade(world, "v3", rollout=TWO_STEPS)
    reach(world, 0, "Holding", rollout=3)
    assert [rules.purpose(rule) for rule in route(world)["rules"]] == ["all"]


def test_16_a_rule_that_rests_leads_the_next_candidate() -> None:
    world = at(LONG, 0)
    world.command("abort")
    world.run_to_phase("RolledBack")
    upgrade(world, "v3")
    reach(world, 0, "Holding", rollout=3)
    assert [rules.purpose(rule) for rule in route(world)["rules"]] == ["all", "special all"]
    assert world.answers(headers=BETA) == {"v3"}


def test_another_order_of_the_rules_is_left_as_it_is() -> None:
    world = at(LONG, 0)
    writes = len(world.server.writes)
    world.change(kinds.HTTP_ROUTE, "fraud", lambda item: item["spec"]["rules"].reverse())
    world.run_for(5)
    assert [rules.purpose(rule) for rule in route(world)["rules"]] == ["special all", "all"]
    assert len([write for write in world.server.writes[writes:] if write.kind == kinds.HTTP_ROUTE]) <= 1
    assert rest(world, 60) == 0
    assert (world.answers(headers=BETA), world.answers()) == ({"v2"}, {"v1", "v2"})


def test_16_a_rule_for_grpc_takes_no_place_of_another() -> None:
    world = all_paths(grpc=False, rollout=LONG)
    speaking(world, grpc=True)
    upgrade(world, "v2", runtime={"refresh": "1"})
    reach(world, 0, "Holding")
    assert [rules.purpose(rule) for rule in route(world)["rules"]] == ["all", "special all", "special grpc"]
    world.run_to_phase("Healthy", within=7200)
    world.run_for(7200)
    assert [rules.purpose(rule) for rule in route(world)["rules"]] == ["all", "", "", "grpc"]
    assert calls(world) == {"v2"}
    assert rest(world, 600) == 0
