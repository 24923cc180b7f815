"""Evidence before promotion: steps that are judged, verdicts that take a candidate back, and a bake that judges on."""

from typing import Any

import pytest

from modelway.analysis.figures import Answer
from modelway.cli import view
from modelway.cli.objects import Model
from simulation.stories import compare, evidence, installed, judged, reach, rest, serves_alone, upgrade
from simulation.world import World

ERRORS = {"name": "errors", "builtin": "ErrorRate", "max": 0.01}
SLOW = {"name": "slow", "builtin": "LatencyP95", "maxIncreasePercent": 20}
SCORE = {"name": "score", "prometheus": {"address": "http://prometheus:9090", "query": "score"}, "max": 0.5}
ALERT = {"name": "alert", "alertmanager": {"address": "http://alerts:9093", "matchers": ['alertname="Bad"']}}


def serving(rollout: Any, rate: float = 100.0, **fields: Any) -> World:
    """A cluster in which v1 serves and callers send requests."""
    world = installed(rollout, **fields)
    world.oracle.expects_no_outage = True
    world.callers.rate = rate
    world.run_for(60)
    return world


def verdict(world: World) -> tuple[str, str]:
    condition = world.condition("AnalysisPassing")
    return condition.get("status", ""), condition.get("reason", "")


def test_a_good_candidate_is_promoted_on_evidence() -> None:
    world = serving(judged(ERRORS, SLOW))
    upgrade(world, "v2")
    world.run_to_phase("Healthy", within=3600)
    world.run_for(700)
    serves_alone(world, "v2")
    decisions = evidence(world, 2)["decisions"]
    assert [item.get("step", 0) for item in decisions] == [0, 1, 2]
    assert {found["verdict"] for item in decisions for found in item["judgements"]} == {"Pass"}
    compare(world, "canary-with-analysis")


def test_a_candidate_that_fails_requests_is_taken_back_at_its_first_step() -> None:
    world = serving(judged(ERRORS, SLOW))
    world.script("v2", errors=0.05)
    upgrade(world, "v2")
    world.run_to_phase("RolledBack")
    world.run_for(60)
    serves_alone(world, "v1")
    assert (world.rollout()["outcome"], world.rollout()["reason"]) == ("Failed", "AnalysisFailed")
    assert verdict(world) == ("False", "Fail")
    assert world.condition("RevisionFailed")["message"].startswith("errors:")
    assert evidence(world, 2)["decisions"][0]["judgements"][0]["verdict"] == "Fail"
    assert rest(world, 4 * 3600) == 0
    compare(world, "analysis-fails")


def test_a_slow_candidate_is_taken_back() -> None:
    world = serving(judged(SLOW))
    world.script("v2", latency=0.04)
    upgrade(world, "v2")
    world.run_to_phase("RolledBack", within=1800)
    assert world.rollout()["reason"] == "AnalysisFailed"
    serves_alone(world, "v1")


TRUE = {"name": "true", "builtin": "Accuracy", "min": 0.5, "maxDecreasePercent": 5}


@pytest.mark.parametrize(
    ("accuracy", "told", "phase"),
    [(0.9, 0.1, "Healthy"), (0.3, 0.1, "RolledBack"), (0.7, 0.5, "RolledBack")],
    ids=["as-often", "below-the-least", "less-than-stable"],
)
def test_a_candidate_whose_predictions_come_true_less_often_is_taken_back(
    accuracy: float, told: float, phase: str
) -> None:
    world = serving(judged(TRUE))
    world.callers.told = told
    world.script("v2", accuracy=accuracy)
    upgrade(world, "v2")
    world.run_to_phase(phase, within=7200)
    serves_alone(world, "v2" if phase == "Healthy" else "v1")


def test_without_feedback_accuracy_says_nothing() -> None:
    world = serving(judged(TRUE))
    upgrade(world, "v2")
    reach(world, 0, "Analyzing")
    world.run_for(1800)
    assert world.rollout()["stepState"] == "Analyzing"
    assert verdict(world) == ("Unknown", "NoData")
    assert "labelled answers" in world.condition("AnalysisPassing")["message"]


OFF = {"name": "off", "builtin": "MeanAbsoluteError", "max": 2, "maxIncreasePercent": 10, "clip": 10}


@pytest.mark.parametrize(
    ("off", "phase"),
    [(1.0, "Healthy"), (1.05, "Healthy"), (3.0, "RolledBack"), (1.4, "RolledBack")],
    ids=["as-near", "a-little-further", "beyond-the-most", "further-than-stable"],
)
def test_a_candidate_whose_predictions_are_further_off_is_taken_back(off: float, phase: str) -> None:
    world = serving(judged(OFF))
    world.callers.told = 0.5
    world.script("v2", off=off)
    upgrade(world, "v2")
    world.run_to_phase(phase, within=7200)
    serves_alone(world, "v2" if phase == "Healthy" else "v1")


@pytest.mark.parametrize(("off", "verdict"), [(1.0, "Pass"), (3.0, "Fail")])
def test_errors_without_a_bound_are_held_against_a_most(off: float, verdict: str) -> None:
    world = serving(judged({"name": "off", "builtin": "MeanAbsoluteError", "max": 2}))
    world.callers.told = 0.5
    world.script("v2", off=off)
    upgrade(world, "v2")
    world.run_to_phase("Healthy" if verdict == "Pass" else "RolledBack", within=7200)
    assert evidence(world, 2)["decisions"][0]["judgements"][0]["verdict"] == verdict


@pytest.mark.parametrize(("told", "reason"), [(0.0, "NoData"), (0.01, "InsufficientSamples")])
def test_56_too_few_outcomes_hold_the_step(told: float, reason: str) -> None:
    world = serving(judged(OFF))
    world.callers.told = told
    world.script("v2", off=1.2)
    upgrade(world, "v2")
    reach(world, 0, "Analyzing")
    world.run_for(1200)
    assert world.rollout()["stepState"] == "Analyzing"
    assert verdict(world) == ("Unknown", reason)
    assert "numeric outcomes" in world.condition("AnalysisPassing")["message"]


DRIFT = {"name": "drift", "builtin": "Drift"}


@pytest.mark.parametrize("method", ["PSI", "KS"])
@pytest.mark.parametrize(("shifted", "phase"), [(0.0, "Healthy"), (0.3, "Healthy"), (1.2, "RolledBack")])
def test_a_candidate_whose_requests_are_not_those_it_was_made_for_is_taken_back(
    shifted: float, phase: str, method: str
) -> None:
    world = serving(judged({**DRIFT, "method": method}))
    world.script("v1", shifted=shifted)
    world.script("v2", shifted=shifted)
    upgrade(world, "v2")
    world.run_to_phase(phase, within=7200)
    serves_alone(world, "v2" if phase == "Healthy" else "v1")
    if phase == "RolledBack":
        assert f"amount has drifted most, {method} " in world.condition("RevisionFailed")["message"]
        (found,) = evidence(world, 2)["decisions"][0]["judgements"]
        assert "amount has drifted most" in found["message"]
        assert found["low"] > found["limit"] == 0.2


def test_only_the_features_that_are_named_are_judged() -> None:
    world = serving(judged({**DRIFT, "features": ["country"]}))
    world.script("v2", shifted=1.2)
    upgrade(world, "v2")
    world.run_to_phase("Healthy", within=7200)


@pytest.mark.parametrize(
    ("has_reference", "features", "says"),
    [
        (False, [], "no rows to hold against a reference.json"),
        (True, ["age"], "no rows of age, which its reference.json does not have"),
    ],
)
def test_56_without_a_reference_drift_says_nothing(*, has_reference: bool, features: list[str], says: str) -> None:
    world = serving(judged({**DRIFT, **({"features": features} if features else {})}))
    world.script("v2", shifted=1.2, has_reference=has_reference)
    upgrade(world, "v2")
    reach(world, 0, "Analyzing")
    world.run_for(1200)
    assert (world.rollout()["stepState"], verdict(world)) == ("Analyzing", ("Unknown", "NoData"))
    assert says in world.condition("AnalysisPassing")["message"]


def test_56_too_few_rows_are_no_drift() -> None:
    world = serving(judged(DRIFT, minSamples=1), rate=0.2)
    world.script("v2", shifted=0.5)
    upgrade(world, "v2")
    reach(world, 0, "Analyzing")
    world.run_for(900)
    assert verdict(world) == ("Unknown", "InsufficientSamples")


def test_56_without_requests_a_step_neither_passes_nor_fails() -> None:
    world = serving(judged(ERRORS), rate=0)
    upgrade(world, "v2")
    reach(world, 0, "Analyzing")
    world.run_for(1800)
    assert world.rollout()["stepState"] == "Analyzing"
    assert verdict(world) == ("Unknown", "NoData")
    assert world.weights() == {"v1": 90, "v2": 10}
    world.callers.rate = 100
    world.run_to_phase("Healthy", within=3600)


def test_56_too_few_requests_hold_the_step_and_the_message_says_how_many_are_missing() -> None:
    world = serving(judged(ERRORS), rate=1)
    upgrade(world, "v2")
    reach(world, 0, "Analyzing")
    world.run_for(60)
    assert verdict(world) == ("Unknown", "InsufficientSamples")
    assert world.rollout()["analysis"]["metrics"][0]["needed"] > 0


@pytest.mark.parametrize(
    ("choice", "phase", "weights"),
    [
        ("Hold", "Paused", {"v1": 90, "v2": 10}),
        ("Proceed", "Healthy", {"v2": 100}),
        ("Abort", "RolledBack", {"v1": 100}),
    ],
)
def test_55_an_outage_of_a_provider_is_no_failure(choice: str, phase: str, weights: Any) -> None:
    world = serving(judged(SCORE, onUndecided=choice, holdDeadline="20m"))
    upgrade(world, "v2")
    reach(world, 0, "Analyzing")
    world.run_for(1000)
    assert (world.rollout()["stepState"], verdict(world)) == ("Analyzing", ("Unknown", "ProviderError"))
    assert world.weights() == {"v1": 90, "v2": 10}
    world.run_for(4 * 3600)
    assert world.status()["phase"] == phase
    assert world.weights() == weights
    if choice == "Hold":
        assert world.condition("Paused")["reason"] == "HoldOnProviderError"
        world.providers["score"] = lambda name: Answer(metric=name, value=0.1)
        world.run_to_phase("Healthy", within=3600)


def test_a_number_of_a_provider_beyond_its_limit_takes_the_candidate_back() -> None:
    world = serving(judged(SCORE))
    world.providers["score"] = lambda name: Answer(metric=name, value=0.9)
    upgrade(world, "v2")
    world.run_to_phase("RolledBack")
    assert "score" in world.rollout()["message"]


def test_an_alert_is_a_veto_at_once() -> None:
    world = serving(judged(ALERT, steps=({"weight": 10, "hold": "1h"},)))
    world.providers["alert"] = lambda name: Answer(metric=name, verdict="Pass")
    upgrade(world, "v2")
    reach(world, 0, "Holding")
    world.run_for(600)
    assert told(world) == ["alert: no alert is firing"]
    world.providers["alert"] = lambda name: Answer(metric=name, verdict="Fail", note="Bad, Worse and 2 more")
    world.run_for(31)
    assert world.weights() == {"v1": 100}
    assert world.rollout()["reason"] == "AnalysisFailed"
    assert told(world) == ["alert: firing: Bad, Worse and 2 more"]
    assert "firing: Bad, Worse and 2 more" in world.rollout()["message"]
    assert "firing: Bad, Worse and 2 more" in world.condition("AnalysisPassing")["message"]

    page = view.page(Model.parse(world.model()), world.clock())
    assert "✘ Fail  alert: firing: Bad, Worse and 2 more" in page


def told(world: World) -> list[str]:
    """What the status says of each metric."""
    return [metric["message"] for metric in world.rollout()["analysis"]["metrics"]]


def test_60_requests_that_are_not_divided_by_the_weights_prove_nothing() -> None:
    world = serving(judged(SLOW, steps=({"weight": 10, "hold": "1h"},)))
    upgrade(world, "v2")
    reach(world, 0, "Holding")
    world.callers.split = {world.revision_of("v1"): 70, world.revision_of("v2"): 30}
    world.script("v2", latency=0.04)
    world.run_for(600)
    assert verdict(world) == ("Unknown", "Inconclusive")
    assert "cannot be compared" in world.condition("AnalysisPassing")["message"]
    assert world.weights() == {"v1": 90, "v2": 10}


def test_57_what_happened_before_the_step_had_settled_counts_for_nothing() -> None:
    world = serving(judged(ERRORS, steps=({"weight": 10, "hold": "10m"},)))
    world.script("v2", errors=0.5)
    upgrade(world, "v2")
    reach(world, 0, "Holding")
    world.script("v2")
    world.run_to_phase("Healthy", within=3600)
    assert all(item["judgements"][0]["verdict"] == "Pass" for item in evidence(world, 2)["decisions"])


def test_57_what_is_still_read_for_the_step_before_is_not_taken() -> None:
    world = serving(judged(ERRORS))
    upgrade(world, "v2")
    reach(world, 0, "Holding")
    world.process.asker.is_behind = True
    reach(world, 1, "Holding")
    world.script("v2", errors=0.9)
    world.run_for(600)
    assert (world.rollout()["stepState"], verdict(world)) == ("Analyzing", ("Unknown", "NoData"))
    world.process.asker.is_behind = False
    world.run_for(61)
    assert world.rollout()["reason"] == "AnalysisFailed"


def test_57_a_gap_counts_for_nothing_and_what_was_seen_before_stays() -> None:
    world = serving(judged(ERRORS, steps=({"weight": 10, "hold": "20m"},)))
    upgrade(world, "v2")
    reach(world, 0, "Holding")
    world.run_for(120)
    world.oracle.expects_no_outage = False
    before = world.rollout()["analysis"]["metrics"][0]["samples"]
    for pod in world.pods("v2"):
        world.evict(pod)
    world.run_for(300)
    assert world.rollout()["stepState"] == "Holding"
    assert world.rollout()["analysis"]["metrics"][0]["samples"] > before
    world.run_to_phase("Healthy", within=3600)


@pytest.mark.parametrize("step", [0, 1, 2])
def test_58_a_candidate_that_goes_bad_at_any_step_is_taken_back_within_one_interval(step: int) -> None:
    steps = ({"weight": 10, "hold": "1h"}, {"weight": 50, "hold": "1h"}, {"weight": 100, "hold": "1h"})
    world = serving(judged(ERRORS, steps=steps))
    upgrade(world, "v2")
    reach(world, step, "Holding", within=4 * 3600)
    world.run_for(300)
    world.script("v2", errors=0.9)
    world.run_for(61)
    assert world.rollout()["reason"] == "AnalysisFailed", world.picture()
    world.run_for(30)
    assert world.weights() == {"v1": 100}


def test_58_a_step_does_not_end_before_its_analysis_and_promote_does_not_end_it() -> None:
    world = serving(judged(ERRORS, steps=({"weight": 10},)), rate=1)
    upgrade(world, "v2")
    reach(world, 0, "Analyzing")
    world.command("promote")
    world.run_for(120)
    assert (world.rollout()["stepIndex"], world.rollout()["stepState"]) == (0, "Analyzing")
    assert world.rollout()["lastCommand"]["result"] == "Accepted"


def test_51_promote_full_skips_the_analysis() -> None:
    world = serving(judged(ERRORS), rate=0)
    upgrade(world, "v2")
    reach(world, 0, "Analyzing")
    world.command("promote-full")
    world.run_to_phase("Healthy")
    assert world.rollout()["outcome"] == "FastPromoted"


@pytest.mark.parametrize("answer", ["pass", "fail", "error"])
def test_59_a_dry_run_has_no_consequence(answer: str) -> None:
    found = {"pass": {"value": 0.1}, "fail": {"value": 0.9}, "error": {"problem": "no route to host"}}[answer]
    world = serving(judged(ERRORS, SCORE | {"dryRun": True}))
    world.providers["score"] = lambda name: Answer(metric=name, **found)
    upgrade(world, "v2")
    world.run_to_phase("Healthy", within=3600)
    assert [place for place in world.trace() if place[0] == 2] == [
        place for place in traced(judged(ERRORS)) if place[0] == 2
    ]


def traced(rollout: Any) -> list[tuple[Any, ...]]:
    world = serving(rollout)
    upgrade(world, "v2")
    world.run_to_phase("Healthy", within=3600)
    return world.trace()


def test_53_harm_is_answered_also_while_the_rollout_is_paused() -> None:
    world = serving(judged(ERRORS, steps=({"weight": 10, "hold": "1h"},)))
    upgrade(world, "v2")
    reach(world, 0, "Holding")
    world.command("pause")
    world.run_for(300)
    assert world.status()["phase"] == "Paused"
    world.script("v2", errors=0.9)
    world.run_for(90)
    assert world.weights() == {"v1": 100}


def test_a_promoted_revision_that_goes_bad_during_its_bake_is_taken_back_without_a_new_pod() -> None:
    world = serving(judged(ERRORS))
    upgrade(world, "v2")
    world.run_to_phase("Healthy", within=3600)
    fetched = world.kubelet.fetched
    world.run_for(120)
    world.script("v2", errors=0.5)
    world.run_until(lambda: world.weights() == {"v1": 100}, within=65)
    world.run_to_phase("RolledBack", within=60)
    assert world.kubelet.fetched == fetched
    assert world.condition("RolledBack")["reason"] == "AnalysisFailed"
    assert world.status()["lastFailedRevision"]["reason"] == "AnalysisFailed"
    world.run_for(120)
    serves_alone(world, "v1")
    assert rest(world, 4 * 3600) == 0
    world.crash()
    world.run_for(60)
    serves_alone(world, "v1")
    compare(world, "bake-fails")


def test_a_container_that_ends_while_it_serves_is_a_verdict() -> None:
    world = serving(judged(ERRORS, steps=({"weight": 10, "hold": "1h"},)))
    upgrade(world, "v2")
    reach(world, 0, "Holding")
    world.run_for(30)
    world.oracle.expects_no_outage = False
    world.kubelet.kill(world.pods("v2")[0])
    world.run_for(30)
    assert world.rollout()["reason"] == "CandidateUnhealthy"
    assert world.weights() == {"v1": 100}


def test_a_container_that_ends_during_the_bake_is_a_verdict_too() -> None:
    world = serving(judged(ERRORS))
    upgrade(world, "v2")
    world.run_to_phase("Healthy", within=3600)
    world.run_for(30)
    world.kubelet.kill(world.pods("v2")[0])
    world.run_to_phase("RolledBack", within=60)
    assert world.condition("RolledBack")["reason"] == "CandidateUnhealthy"


def test_a_container_that_hangs_until_its_liveness_probe_ends_it_is_a_verdict() -> None:
    world = serving(judged(ERRORS))
    upgrade(world, "v2")
    world.run_to_phase("Healthy", within=3600)
    world.run_for(30)
    world.kubelet.unready.add(world.pods("v2")[0]["metadata"]["uid"])
    world.run_for(95)
    world.kubelet.kill(world.pods("v2")[0])
    world.run_to_phase("RolledBack", within=60)
    assert world.condition("RolledBack")["reason"] == "CandidateUnhealthy"


def test_61_between_two_readings_nothing_is_written() -> None:
    world = serving(judged(ERRORS, interval="1m", steps=({"weight": 10, "hold": "1h"},)))
    upgrade(world, "v2")
    reach(world, 0, "Holding")
    world.run_for(61)
    assert rest(world, 50) == 0
