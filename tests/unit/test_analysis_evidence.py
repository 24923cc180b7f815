"""Evidence: what counts between two readings, what does not, and that it survives being written down."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from modelway.analysis import archive as archives
from modelway.analysis.archive import Archive, Decision
from modelway.analysis.deviations import Moments
from modelway.analysis.drifts import Binned
from modelway.analysis.evidence import Evidence
from modelway.analysis.figures import Answer, Pairs, Reading, Readings, Sums, bucket, upper
from modelway.analysis.verdicts import Judgement, Verdict, combined
from modelway.api.analysis import Metric, PrometheusQuery

SETTLED = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
SCORE = Metric(name="score", prometheus=PrometheusQuery(address="http://p:9090", query="q"), max=1)


def reading(requests: int, errors: int = 0, *, pod: str = "a", run: str = "1", uptime: float = 1e6) -> Reading:
    latency = {bucket(0.01): requests - errors}
    sums = Sums(requests=requests, errors=errors, latency=latency)
    return Reading(pod=pod, run=run, revision="fraud-1", uptime_seconds=uptime, sums=sums)


def readings(*pods: Reading, after: int, answers: tuple[Answer, ...] = ()) -> Readings:
    return Readings(inquiry="1/0", at=SETTLED + timedelta(seconds=after), pods=pods, answers=answers)


def gathered(*rounds: Readings) -> Evidence:
    evidence = Evidence(step=0, since=SETTLED, settled=SETTLED)
    for found in rounds:
        evidence = evidence.with_readings(found, {"score": SCORE})
    return evidence


def requests(evidence: Evidence) -> int:
    return evidence.sums.get("fraud-1", Sums()).requests


def test_57_what_a_process_counted_before_the_step_settled_is_not_counted() -> None:
    evidence = gathered(readings(reading(1000, 900), after=0), readings(reading(1100, 901), after=30))
    assert evidence.sums["fraud-1"] == Sums(requests=100, errors=1, latency={bucket(0.01): 99})
    assert evidence.seconds == 30


def test_a_process_that_started_within_the_step_counts_whole() -> None:
    assert requests(gathered(readings(reading(40, uptime=20), after=30))) == 40


def test_a_restarted_process_begins_anew_and_nothing_is_counted_twice() -> None:
    first, second = reading(500), reading(700)
    restarted = reading(30, run="2", uptime=10)
    rounds = [readings(found, after=30 * index) for index, found in enumerate((first, second, restarted))]
    assert requests(gathered(*rounds)) == 230


def test_two_processes_add_up() -> None:
    rounds = [readings(reading(n), reading(2 * n, pod="b"), after=n) for n in (0, 10, 30)]
    assert requests(gathered(*rounds)) == 90


def test_readings_that_are_not_newer_change_nothing() -> None:
    once = gathered(readings(reading(0), after=0), readings(reading(50), after=30))
    assert once.with_readings(readings(reading(90), after=30), {}) is once


def test_57_a_gap_is_left_out() -> None:
    before = gathered(readings(reading(0), after=0), readings(reading(50), after=30))
    after = before.resumed(SETTLED + timedelta(seconds=100)).with_readings(readings(reading(500), after=100), {})
    assert requests(after) == 50
    assert requests(after.with_readings(readings(reading(520), after=130), {})) == 70


def test_answers_for_metrics_that_nobody_asked_for_are_dropped() -> None:
    found = gathered(readings(after=0, answers=(Answer(metric="other", value=3), Answer(metric="score", value=0.5))))
    assert found.tallies.keys() == {"score"}


def test_evidence_survives_being_written_down_and_goes_on_from_there() -> None:
    first = readings(reading(10), after=0)
    answers = (Answer(metric="score", value=0.5),)
    second, third = readings(reading(60), after=30, answers=answers), readings(reading(90, 5), after=60)
    kept = archives.parse(Archive(rollout=3, current=gathered(first, second)).text())
    assert kept.rollout == 3
    assert kept.current is not None
    assert kept.current.with_readings(third, {"score": SCORE}) == gathered(first, second, third)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"current": {"step": "many"}}', '{"decisions": 3}', "null"])
def test_what_cannot_be_read_counts_as_lost(text: str) -> None:
    assert archives.parse(text) == Archive()


def test_a_decision_closes_the_step_and_keeps_what_stable_had() -> None:
    judgement = Judgement(metric="errors", verdict=Verdict.PASS, message="errors: 0 %")
    decision = Decision(step=0, since=SETTLED, until=SETTLED, judgements=(judgement,))
    evidence = gathered(readings(reading(0), after=0), readings(reading(50), after=30))
    found = Archive(rollout=1, current=evidence).decided(decision, "fraud-1")
    assert (found.current, found.reference) == (None, evidence.sums["fraud-1"])
    assert archives.parse(found.text()) == found


def test_pairs_of_the_comparator_add_up_and_belong_to_no_revision() -> None:
    def compared(pairs: int, after: int) -> Readings:
        found = Reading(pod="comparator", run="1", revision="", uptime_seconds=after, pairs=Pairs(pairs=pairs))
        return readings(found, after=after)

    found = gathered(compared(0, 0), compared(30, 30))
    assert (found.pairs.pairs, found.sums) == (30, {})


@pytest.mark.parametrize("seconds", [1e-6, 3e-5, 0.001, 0.25, 1, 59.9])
def test_a_bucket_holds_what_falls_into_it_to_within_five_percent(seconds: float) -> None:
    assert seconds <= upper(bucket(seconds)) * 1.000001
    assert upper(bucket(seconds)) < seconds * 1.0501


def test_the_worst_verdict_that_counts_is_the_one() -> None:
    def judgement(verdict: Verdict, *, is_dry_run: bool = False) -> Judgement:
        return Judgement(metric="m", verdict=verdict, message="", is_dry_run=is_dry_run)

    found = combined([judgement(Verdict.PASS), judgement(Verdict.FAIL, is_dry_run=True), judgement(Verdict.NO_DATA)])
    assert found is not None
    assert found.verdict is Verdict.NO_DATA
    assert combined([judgement(Verdict.FAIL, is_dry_run=True)]) is None


def test_errors_count_from_reading_to_reading_and_survive_being_written_down() -> None:
    def told(after: int, *moments: Moments, run: str = "1") -> Readings:
        sums = Sums(labels=sum(item.number for item in moments), deviations=dict(enumerate(moments, 28)))
        return readings(replace(reading(1000), run=run, feedback={"1": sums}), after=after)

    first, second = told(0, Moments(9, 13.5, 20.3)), told(30, Moments(11, 16.5, 24.9), Moments(1, 3.0, 9.0))
    archived = archives.parse(Archive(rollout=3, current=gathered(first, second)).text())
    assert archived.current == gathered(first, second)
    seen = archived.current.sums["fraud-1"].deviations
    assert seen == {28: pytest.approx((2, 3.0, 4.6)), 29: (1, 3.0, 9.0)}
    restarted = archived.current.with_readings(told(60, Moments(1, 1.5, 2.25), run="2"), {})
    assert restarted.sums["fraud-1"].deviations == {28: pytest.approx((2, 3.0, 4.6)), 29: (1, 3.0, 9.0)}


def test_drift_counts_from_reading_to_reading_and_survives_being_written_down() -> None:
    def counted(after: int, *counts: int) -> Readings:
        found = reading(1000)
        drifts = {"amount": Binned("Numbers", (5, 5, 0), counts)}
        return readings(replace(found, sums=replace(found.sums, drifts=drifts)), after=after)

    archived = archives.parse(Archive(rollout=3, current=gathered(counted(0, 9, 9, 9), counted(30, 10, 12, 9))).text())
    assert archived.current is not None
    assert archived.current.sums["fraud-1"].drifts == {"amount": Binned("Numbers", (5, 5, 0), (1, 3, 0))}
    then = archived.current.with_readings(counted(60, 11, 12, 9), {})
    assert then.sums["fraud-1"].drifts["amount"].counts == (2, 3, 0)


def test_labels_count_for_the_revision_that_predicted_whoever_was_told() -> None:
    def told(found: Reading, **labels: tuple[int, int]) -> Reading:
        feedback = {name[1:]: Sums(labels=count, right=right) for name, (count, right) in labels.items()}
        return replace(found, feedback=feedback)

    old, new = reading(1000), replace(reading(10, pod="b", uptime=5), revision="fraud-2")
    first = readings(told(old, r1=(50, 40)), told(new, r1=(3, 3), r2=(4, 1)), after=10)
    sums = gathered(first).sums
    assert [(sums[name].labels, sums[name].right) for name in ("fraud-1", "fraud-2")] == [(3, 3), (4, 1)]
    then = readings(told(old, r1=(60, 45), r2=(10, 9), r9=(5, 5)), told(new, r1=(3, 3), r2=(4, 1)), after=20)
    sums = gathered(first, then).sums
    assert [(sums[name].labels, sums[name].right) for name in ("fraud-1", "fraud-2")] == [(13, 8), (14, 10)]
    assert set(sums) == {"fraud-1", "fraud-2"}
