"""Evidence for each group of requests: a candidate that is bad for some callers only, and groups that are small."""

import json
from typing import Any

import pytest

from simulation.stories import compare, evidence, installed, judged, reach, rest, serves_alone, upgrade
from simulation.world import World

ERRORS = {"name": "errors", "builtin": "ErrorRate", "max": 0.02, "by": {"input": "language"}}
MORE_ERRORS = {"name": "errors", "builtin": "ErrorRate", "maxIncreasePercent": 100, "by": {"input": "language"}}
LANGUAGES = {"en": 0.8, "de": 0.15, "fr": 0.048, "is": 0.002}
LONG = ({"weight": 10, "hold": "2h"},)


def speaking(rollout: Any, languages: Any = None) -> World:
    """A cluster in which v1 serves callers whose requests name a language."""
    world = installed(rollout)
    world.oracle.expects_no_outage = True
    world.callers.rate = 100.0
    world.callers.languages = languages or LANGUAGES
    world.run_for(60)
    return world


def segments(world: World) -> Any:
    (metric,) = world.rollout()["analysis"]["metrics"]
    return metric["segments"]


def counted(world: World, version: str) -> dict[str, int]:
    """Requests by group in the evidence of the present step."""
    groups = evidence(world, 2)["current"].get("groups", {}).get("sums", {}).get(world.revision_of(version), {})
    return {name: sums["requests"] for name, sums in groups.items()}


def test_a_candidate_that_is_bad_in_one_language_only_is_taken_back() -> None:
    world = speaking(judged(ERRORS, steps=LONG))
    world.script("v2", errors_of={"de": 0.08})  # 1.2 % of all requests
    upgrade(world, "v2")
    world.run_to_phase("RolledBack", within=3600)
    world.run_for(60)
    serves_alone(world, "v1")
    assert world.rollout()["reason"] == "AnalysisFailed"
    message = world.condition("RevisionFailed")["message"]
    assert message.startswith("errors of language=de: ")
    assert "above the limit of 2 %" in message
    assert (segments(world)["worst"], segments(world)["judged"], segments(world)["small"]) == ("de", 2, 2)
    compare(world, "analysis-fails-in-one-segment")
    assert rest(world, 4 * 3600) == 0


def test_the_same_candidate_passes_where_nobody_divides_its_requests() -> None:
    whole = {name: value for name, value in ERRORS.items() if name != "by"}
    world = speaking(judged(whole))
    world.script("v2", errors_of={"de": 0.08})
    upgrade(world, "v2")
    world.run_to_phase("Healthy", within=3600)


def test_a_rare_language_holds_nothing_and_the_status_counts_it() -> None:
    world = speaking(judged(ERRORS, steps=({"weight": 50, "hold": "10m"},)))
    world.script("v2", errors_of={"is": 0.05})
    upgrade(world, "v2")
    reach(world, 0, "Holding")
    world.run_for(590)
    assert (segments(world)["judged"], segments(world)["small"]) == (3, 1)
    world.run_to_phase("Healthy", within=3600)
    assert evidence(world, 2)["decisions"][0]["judgements"][0]["verdict"] == "Pass"


def test_a_language_that_fails_with_both_revisions_is_no_fault_and_one_that_fails_more_is() -> None:
    world = speaking(judged(MORE_ERRORS, steps=({"weight": 50, "hold": "20m"}, {"weight": 100, "hold": "20m"})))
    for version in ("v1", "v2"):
        world.script(version, errors_of={"de": 0.05, "fr": 0.3})
    upgrade(world, "v2")
    world.run_to_phase("Healthy", within=4 * 3600)
    # Also in the step in which stable has no traffic any more, against what it had before.
    assert [item["judgements"][0]["segments"]["judged"] for item in evidence(world, 2)["decisions"]] == [3, 3]
    world.script("v3", errors_of={"de": 0.15, "fr": 0.3})  # 70 % more of all requests
    upgrade(world, "v3")
    world.run_to_phase("RolledBack", within=4 * 3600)
    assert world.rollout()["message"].startswith("errors of language=de: 15 % of ")


@pytest.mark.parametrize("metric", [ERRORS, MORE_ERRORS], ids=["by itself", "against what stable had before"])
def test_a_promoted_revision_that_goes_bad_in_one_language_during_its_bake_is_taken_back(metric: Any) -> None:
    world = speaking(judged(metric, steps=({"weight": 50, "hold": "20m"},), bake="4h"))
    usual = {"de": 0.015, "fr": 0.015, "en": 0.015}
    for version in ("v1", "v2"):
        world.script(version, errors_of=usual)
    upgrade(world, "v2")
    world.run_to_phase("Healthy", within=3600)
    world.run_for(600)
    assert segments(world)["judged"] == 3
    world.script("v2", errors_of=usual | {"de": 0.06})
    world.run_to_phase("RolledBack", within=3600)
    assert world.status()["lastFailedRevision"]["message"].startswith("errors of language=de: ")


def test_more_languages_than_may_have_a_name_are_judged_together() -> None:
    many = {"en": 0.5, "de": 0.3} | {f"l{number:02}": 0.01 for number in range(20)}
    metric = ERRORS | {"by": {"input": "language", "maxGroups": 2}}
    world = speaking(judged(metric, steps=LONG), many)
    world.script("v2", errors_of={f"l{number:02}": 0.08 for number in range(20)})
    upgrade(world, "v2")
    world.run_to_phase("RolledBack", within=3600)
    assert world.rollout()["message"].startswith("errors of language=(other): ")
    assert segments(world)["judged"] + segments(world)["small"] == 3


def test_values_that_callers_make_up_fill_neither_status_nor_evidence() -> None:
    hostile = ["\x1b[2J", "d\0e", "x" * 100_000, "\u202e", "(other)", "ü" * 70, *(f"random {n}" for n in range(300))]
    metric = ERRORS | {"by": {"input": "language", "maxGroups": 20}}
    world = speaking(judged(metric, steps=({"weight": 50, "hold": "5m"},)), dict.fromkeys(hostile, 1 / len(hostile)))
    upgrade(world, "v2")
    reach(world, 0, "Holding")
    world.run_for(200)
    kept = evidence(world, 2)
    names = kept["current"]["groups"]["names"]
    assert len(names) == 20
    assert all(name.isprintable() and len(name) <= 64 for name in names)
    assert len(json.dumps(kept)) < 50_000
    assert len(json.dumps(segments(world))) < 1000
    assert segments(world)["judged"] + segments(world)["small"] <= 22
    world.run_to_phase("Healthy", within=3600)


def test_requests_without_a_value_are_a_group_of_their_own() -> None:
    world = speaking(judged(ERRORS, steps=LONG), {"": 0.1, "en": 0.9})
    world.script("v2", errors_of={"": 0.15})
    upgrade(world, "v2")
    world.run_to_phase("RolledBack", within=3600)
    assert world.rollout()["message"].startswith("errors of language=(none): ")


def test_26_what_was_counted_survives_the_operator_and_nothing_of_it_counts_twice() -> None:
    world = speaking(judged(ERRORS, steps=LONG))
    upgrade(world, "v2")
    reach(world, 0, "Holding")
    world.run_for(300)
    before, began = counted(world, "v2"), world.clock()
    for _ in range(10):
        world.crash()
        world.run_for(31)
    after, seconds = counted(world, "v2"), (world.clock() - began).total_seconds()
    # Ten requests per second reach the candidate; what it counts is told within a reading and a slot.
    for name in ("en", "de"):
        expected = 10 * LANGUAGES[name] * seconds
        assert abs(after[name] - before[name] - expected) < 10 * LANGUAGES[name] * 45, (before, after)


def test_pods_that_do_not_count_by_group_are_judged_as_a_whole() -> None:
    world = speaking(judged(ERRORS))
    world.callers.count_languages = False
    world.script("v2", errors_of={"de": 0.08})
    upgrade(world, "v2")
    world.run_to_phase("Healthy", within=3600)
    (item, *_) = evidence(world, 2)["decisions"]
    assert item["judgements"][0]["segments"] == {"input": "language", "judged": 0, "small": 0}


def test_31_asking_for_groups_starts_no_pod_and_makes_no_revision() -> None:
    world = speaking(judged({name: value for name, value in ERRORS.items() if name != "by"}))
    pods = [pod["metadata"]["name"] for pod in world.pods("v1")]
    world.edit(rollout=judged(ERRORS))
    world.run_for(300)
    assert [pod["metadata"]["name"] for pod in world.pods("v1")] == pods
    assert world.rollout()["id"] == 1


@pytest.mark.parametrize("by", [True, False])
def test_59_a_dry_run_by_group_has_no_consequence(*, by: bool) -> None:
    metric = {name: value for name, value in ERRORS.items() if by or name != "by"}
    world = speaking(judged(metric | {"dryRun": True}))
    world.script("v2", errors_of={"de": 0.5})
    upgrade(world, "v2")
    world.run_to_phase("Healthy", within=3600)


def test_61_between_two_readings_nothing_is_written() -> None:
    world = speaking(judged(ERRORS, interval="1m", steps=LONG))
    upgrade(world, "v2")
    reach(world, 0, "Holding")
    world.run_for(181)
    assert rest(world, 50) == 0
