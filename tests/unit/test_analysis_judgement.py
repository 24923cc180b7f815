"""Verdicts on metrics: which evidence is which verdict, what the messages say, and that every count has one."""

import math
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelway.analysis.deviations import BOUNDS, Moments
from modelway.analysis.drifts import Binned
from modelway.analysis.figures import Answer, Pairs, Sums, bucket
from modelway.analysis.judgement import judge, ratio_mismatch, spent
from modelway.analysis.verdicts import Judgement, Verdict, combined
from modelway.analysis.window import Tally, Window, tally
from modelway.api.analysis import Analysis, Metric

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
LEVEL = spent(95, metrics=3, steps=3)
NO_HARM = Analysis()
EVIDENCE = Analysis(decision="Evidence")
PROMETHEUS = {"address": "http://prometheus:9090", "query": "x"}

ERRORS = Metric(name="errors", builtin="ErrorRate", max=0.01)
MORE_ERRORS = Metric(name="errors", builtin="ErrorRate", max_increase_percent=50)
SLOW = Metric(name="slow", builtin="LatencyP99", max=0.25)
SLOWER = Metric(name="slow", builtin="LatencyP99", max_increase_percent=20)
SLOWER_HALF = Metric(name="slow", builtin="LatencyP50", max_increase_percent=20)
FLOW = Metric(name="flow", builtin="Throughput", max_decrease_percent=20)
LEAST_FLOW = Metric(name="flow", builtin="Throughput", min=40)
ANSWERS = Metric(name="answers", builtin="Disagreement", max=0.01)
LOST = Metric(name="lost", builtin="CandidateFailures", max=0.02)
TRUE = Metric(name="true", builtin="Accuracy", min=0.9)
AS_TRUE = Metric(name="true", builtin="Accuracy", max_decrease_percent=5)
OFF = Metric(name="off", builtin="MeanAbsoluteError", max=2)
NEAR = Metric(name="off", builtin="MeanAbsoluteError", max=2, clip=20)
AS_NEAR = Metric(name="off", builtin="MeanAbsoluteError", max_increase_percent=10, clip=20)
DRIFT = Metric(name="drift", builtin="Drift")
DRIFT_KS = Metric(name="drift", builtin="Drift", method="KS", features=("country",))
BUILTIN = (
    *(ERRORS, MORE_ERRORS, SLOW, SLOWER, SLOWER_HALF, FLOW, LEAST_FLOW),
    *(ANSWERS, LOST, TRUE, AS_TRUE, OFF, NEAR, AS_NEAR, DRIFT, DRIFT_KS),
)
AUC = Metric.model_validate({"name": "auc", "prometheus": PROMETHEUS, "min": 0.9})
JUDGE = Metric.model_validate({"name": "judge", "web": {"url": "http://judge/verdict"}})
ALERTS = Metric.model_validate(
    {"name": "alerts", "alertmanager": {"address": "http://alerts", "matchers": ['severity="page"']}}
)


def _name(metric: Metric) -> str:
    more = f"-{metric.method}" if metric.method else "-clipped" if metric.clip and not metric.is_relative else ""
    return f"{metric.builtin}-{'against stable' if metric.is_relative else 'alone'}{more}"


def sums(requests: int, errors: int = 0, p99: float = 0.2) -> Sums:
    """Latencies like those of a model: nine in ten at half the p99, 9 % below it, 1 % just above."""
    answered = requests - errors
    most, few = answered * 9 // 10, answered // 50
    latency = {bucket(p99 / 2): most, bucket(p99 * 0.9): answered - most - few, bucket(p99): few}
    return Sums(requests=requests, errors=errors, latency={index: count for index, count in latency.items() if count})


def window(candidate: Sums, stable: Sums | None = None, pairs: Pairs | None = None, **more: Any) -> Window:
    stable = sums(19 * candidate.requests, candidate.requests * 19 // 100) if stable is None else stable
    return Window(candidate=candidate, stable=stable, seconds=300.0, weight=5, pairs=pairs or Pairs(), **more)


def told(labels: int, right: int, stable: tuple[int, int] = (0, 0)) -> Window:
    """Of many answers those whose outcome is known."""
    others = replace(sums(190_000), labels=stable[0], right=stable[1])
    return window(replace(sums(10_000), labels=labels, right=right), others)


def off(mean: float, number: int, stable: tuple[float, int] = (0, 0), large: int = 0) -> Window:
    """Half of the errors are half as large as the mean, the others larger; some more are of 100."""

    def missed(mean: float, number: int, large: int = 0) -> Sums:
        halves = ((number // 2, error) for error in (0.5 * mean, 1.5 * mean))
        both = {bisect_left(BOUNDS, error): Moments(half, half * error, half * error**2) for half, error in halves}
        return Sums(deviations={**both, bisect_left(BOUNDS, 100): Moments(large, 1e2 * large, 1e4 * large)})

    return window(missed(mean, number, large), missed(*stable))


def drifted(rows: int, amounts: tuple[int, ...] = (10,) * 10, countries: tuple[int, ...] = (60, 40)) -> Window:
    """Of a hundred rows so many are in each bin; the reference has as many in each, or 60 and 40."""

    def counted(kind: str, reference: tuple[int, ...], parts: tuple[int, ...]) -> Binned:
        return Binned(kind, (*reference, 0), (*(part * rows // 100 for part in parts), 0))

    amount = counted("Numbers", (1000,) * 10, amounts)
    return window(
        replace(sums(rows), drifts={"amount": amount, "country": counted("Categories", (6000, 4000), countries)})
    )


MOVED = (2, 3, 4, 5, 6, 8, 11, 14, 18, 29)
"""A PSI of 0.6 in tenths."""


def paired(pairs: int, disagreements: int, baseline: int, noise: int) -> Window:
    counts = Pairs(pairs=pairs, disagreements=disagreements, baseline_pairs=baseline, baseline_disagreements=noise)
    return window(sums(pairs), pairs=counts)


def judged(metric: Metric, seen: Window, analysis: Analysis = NO_HARM) -> Judgement:
    return judge(metric, seen, analysis, LEVEL)


@pytest.mark.parametrize(
    ("metric", "seen", "no_harm", "evidence"),
    [
        pytest.param(ERRORS, window(sums(1204, 40)), "Fail", "Fail", id="errors that are proven"),
        pytest.param(ERRORS, window(sums(1204, 14)), "Pass", "Inconclusive", id="errors near the limit"),
        pytest.param(ERRORS, window(sums(20_000, 100)), "Pass", "Pass", id="few errors of many"),
        pytest.param(ERRORS, window(sums(400, 2)), "InsufficientSamples", "InsufficientSamples", id="few requests"),
        pytest.param(ERRORS, window(sums(60, 60)), "Fail", "Fail", id="proof from few requests is proof"),
        pytest.param(ERRORS, window(sums(3, 3)), "InsufficientSamples", "InsufficientSamples", id="not from three"),
        pytest.param(MORE_ERRORS, window(sums(3000, 90)), "Fail", "Fail", id="more errors than stable"),
        pytest.param(MORE_ERRORS, window(sums(3000, 35)), "Pass", "Inconclusive", id="about as many errors"),
        pytest.param(MORE_ERRORS, window(sums(50_000, 500)), "Pass", "Pass", id="as many errors"),
        pytest.param(SLOW, window(sums(5000, p99=0.5)), "Fail", "Fail", id="slower than the limit"),
        pytest.param(SLOW, window(sums(5000, p99=0.1)), "Pass", "Pass", id="faster than the limit"),
        pytest.param(SLOW, window(sums(1900, p99=0.1)), "InsufficientSamples", "InsufficientSamples", id="p99 of few"),
        pytest.param(SLOWER, window(sums(9000, p99=0.3)), "Fail", "Fail", id="slower than stable"),
        pytest.param(SLOWER, window(sums(9000, p99=0.2)), "Pass", "Pass", id="as fast as stable"),
        pytest.param(SLOWER_HALF, window(sums(600, p99=0.2)), "Pass", "Pass", id="p50 needs fewer requests"),
        pytest.param(FLOW, window(sums(500), sums(19_000)), "Fail", "Fail", id="half of the requests answered"),
        pytest.param(FLOW, window(sums(2000), sums(38_000)), "Pass", "Pass", id="all requests answered"),
        pytest.param(FLOW, window(sums(500), sums(11_500)), "Pass", "Inconclusive", id="a little fewer"),
        pytest.param(LEAST_FLOW, window(sums(500)), "Fail", "Fail", id="less than the least rate"),
        pytest.param(TRUE, told(5000, 4000), "Fail", "Fail", id="often wrong"),
        pytest.param(TRUE, told(5000, 4900), "Pass", "Pass", id="often right"),
        pytest.param(TRUE, told(5000, 4510), "Pass", "Inconclusive", id="about as often right as it must be"),
        pytest.param(AS_TRUE, told(5000, 4000, (9000, 8500)), "Fail", "Fail", id="less often right than stable"),
        pytest.param(AS_TRUE, told(9000, 8500, (9000, 8400)), "Pass", "Pass", id="as often right as stable"),
        pytest.param(OFF, off(3, 1000), "Fail", "Fail", id="far off"),
        pytest.param(OFF, off(1, 1000), "Pass", "Inconclusive", id="near, and it could be far off once"),
        pytest.param(OFF, off(1.9, 1000, large=3), "Pass", "Inconclusive", id="three large errors"),
        pytest.param(OFF, off(3, 300), "Fail", "Fail", id="proof from few outcomes is proof, too"),
        pytest.param(OFF, off(1, 300), "InsufficientSamples", "InsufficientSamples", id="few outcomes"),
        pytest.param(NEAR, off(1, 1000), "Pass", "Pass", id="near, and a large error counts as 20"),
        pytest.param(NEAR, off(1.9, 1000), "Pass", "Inconclusive", id="about as near as it must be"),
        pytest.param(NEAR, off(1.9, 1000, large=30), "Fail", "Fail", id="thirty errors that count as 20"),
        pytest.param(AS_NEAR, off(3, 2000, (2, 9000)), "Fail", "Fail", id="further off than stable"),
        pytest.param(AS_NEAR, off(2, 20_000, (2, 20_000)), "Pass", "Pass", id="as near as stable"),
        pytest.param(AS_NEAR, off(2.1, 1000, (2, 9000)), "Pass", "Inconclusive", id="about as near as stable"),
        pytest.param(DRIFT, drifted(5000, MOVED), "Fail", "Fail", id="one feature has moved"),
        pytest.param(DRIFT, drifted(5000), "Pass", "Inconclusive", id="all are as they were"),
        pytest.param(DRIFT, drifted(600, MOVED), "Pass", "Inconclusive", id="too few rows to prove it"),
        pytest.param(DRIFT, drifted(100, MOVED), "InsufficientSamples", "InsufficientSamples", id="few rows"),
        pytest.param(DRIFT_KS, drifted(2000, MOVED), "Pass", "Inconclusive", id="another feature has moved"),
        pytest.param(DRIFT_KS, drifted(2000, countries=(20, 80)), "Fail", "Fail", id="other countries"),
        pytest.param(LEAST_FLOW, window(sums(1000)), "Pass", "Pass", id="more than the least rate"),
        pytest.param(ANSWERS, paired(20_000, 1000, 2000, 20), "Fail", "Fail", id="other answers"),
        pytest.param(ANSWERS, paired(20_000, 1000, 2000, 100), "Pass", "Inconclusive", id="a noisy model"),
        pytest.param(ANSWERS, paired(20_000, 0, 2000, 0), "Pass", "Pass", id="the same answers"),
        pytest.param(
            ANSWERS, paired(600, 0, 10, 0), "InsufficientSamples", "InsufficientSamples", id="little baseline"
        ),
        pytest.param(
            ANSWERS,
            replace(paired(600, 30, 0, 0), has_baseline=False),
            "Fail",
            "Fail",
            id="without a baseline every difference counts",
        ),
        pytest.param(
            LOST, window(sums(1), pairs=Pairs(pairs=900, candidate_failures=100)), "Fail", "Fail", id="no answers"
        ),
        pytest.param(LOST, window(sums(1), pairs=Pairs(pairs=900)), "Pass", "Pass", id="every answer"),
    ],
)
def test_evidence_amounts_to_a_verdict(metric: Metric, seen: Window, no_harm: str, evidence: str) -> None:
    assert judged(metric, seen).verdict.value == no_harm
    assert judged(metric, seen, EVIDENCE).verdict.value == evidence


@pytest.mark.parametrize("metric", BUILTIN, ids=_name)
@pytest.mark.parametrize("analysis", [NO_HARM, EVIDENCE], ids=lambda analysis: str(analysis.decision))
def test_56_nothing_counted_is_no_data(metric: Metric, analysis: Analysis) -> None:
    assert judged(metric, Window(seconds=600.0, weight=5), analysis).verdict is Verdict.NO_DATA


@pytest.mark.parametrize("metric", [MORE_ERRORS, SLOWER, FLOW], ids=_name)
def test_56_nothing_of_stable_is_no_data_where_both_are_compared(metric: Metric) -> None:
    alone = judged(metric, replace(window(sums(5000), Sums()), weight=100))
    assert alone.verdict is Verdict.NO_DATA
    assert "stable has had no" in alone.message


@pytest.mark.parametrize("value", [None, math.nan, math.inf, -math.inf])
def test_56_an_answer_without_a_number_is_no_data(value: float | None) -> None:
    known = tally(Tally(answers=5, value=0.95, at=NOW), Answer(metric="auc", value=value), AUC, at=NOW)
    assert judged(AUC, Window(tallies={"auc": known})).verdict is Verdict.NO_DATA


@pytest.mark.parametrize("requests", [1, 19, 499])
@pytest.mark.parametrize("decision", ["NoHarm", "Evidence"])
def test_56_too_few_requests_neither_promote_nor_abort(requests: int, decision: str) -> None:
    verdict = judged(ERRORS, window(sums(requests, requests // 100)), Analysis.model_validate({"decision": decision}))
    assert verdict.verdict is Verdict.INSUFFICIENT_SAMPLES
    assert verdict.needed == 500 - requests


@pytest.mark.parametrize(
    ("builtin", "asked", "needed"),
    [
        ("LatencyP99", 500, 2000),
        ("LatencyP99", 3000, 3000),
        ("LatencyP95", 1, 400),
        ("LatencyP50", 1, 100),
        ("ErrorRate", 1, 1),
    ],
)
def test_quantiles_ask_for_more_samples_than_the_least(builtin: str, asked: int, needed: int) -> None:
    metric = Metric.model_validate({"name": "m", "builtin": builtin, "max": 1.0})
    analysis = Analysis(min_samples=asked)
    assert judged(metric, window(sums(needed)), analysis).verdict is Verdict.PASS
    if needed > 1:
        short = judged(metric, window(sums(needed - 1)), analysis)
        assert (short.verdict, short.needed) == (Verdict.INSUFFICIENT_SAMPLES, 1)


@pytest.mark.parametrize(
    ("metric", "known", "verdict"),
    [
        pytest.param(AUC, None, "NoData", id="never asked"),
        pytest.param(AUC, Tally(answers=2, value=0.95, at=NOW), "InsufficientSamples", id="two good answers of three"),
        pytest.param(AUC, Tally(answers=3, value=0.95, at=NOW), "Pass", id="three good answers"),
        pytest.param(
            AUC, Tally(answers=9, failures=2, value=0.8, at=NOW), "Inconclusive", id="two bad answers of three"
        ),
        pytest.param(AUC, Tally(answers=3, failures=3, value=0.8, at=NOW), "Fail", id="three bad answers"),
        pytest.param(AUC, Tally(answers=9, value=0.95, problem="503", at=NOW), "ProviderError", id="an outage"),
        pytest.param(
            AUC, Tally(answers=9, failures=2, value=0.8, problem="503", at=NOW), "ProviderError", id="is no third one"
        ),
        pytest.param(
            AUC, Tally(answers=9, failures=3, value=0.8, problem="503", at=NOW), "Fail", id="and takes nothing back"
        ),
        pytest.param(JUDGE, Tally(answers=1, verdict="Pass", at=NOW), "Pass", id="a verdict"),
        pytest.param(JUDGE, Tally(answers=1, failures=1, verdict="Fail", at=NOW), "Fail", id="the other verdict"),
        pytest.param(JUDGE, Tally(answers=1, verdict="Inconclusive", at=NOW), "Inconclusive", id="the third verdict"),
    ],
)
def test_answers_of_providers_amount_to_a_verdict(metric: Metric, known: Tally | None, verdict: str) -> None:
    tallies: Mapping[str, Tally] = {metric.name: known} if known else {}
    assert judged(metric, Window(tallies=tallies)).verdict.value == verdict


@pytest.mark.parametrize(
    ("metric", "seen", "analysis", "message"),
    [
        (
            ERRORS,
            window(sums(1204, 40)),
            NO_HARM,
            "errors: 3.3 % [1.7 %, 5.6 %] of 1,204 requests, above the limit of 1 %",
        ),
        (
            ERRORS,
            window(sums(1204, 5)),
            NO_HARM,
            (
                "errors: 0.42 % [0.031 %, 1.5 %] of 1,204 requests, not proven to be above the limit of 1 % "
                "(2.2 % would have been)"
            ),
        ),
        (
            ERRORS,
            window(sums(20_000, 100)),
            EVIDENCE,
            "errors: 0.5 % [0.34 %, 0.71 %] of 20,000 requests, within the limit of 1 %",
        ),
        (
            ERRORS,
            window(sums(2000, 10)),
            EVIDENCE,
            (
                "errors: 0.5 % [0.1 %, 1.3 %] of 2,000 requests, not proven to be within the limit of 1 %; "
                "about 2,800 requests more, about 7 min at this rate"
            ),
        ),
        (
            ERRORS,
            window(sums(204, 1)),
            NO_HARM,
            (
                "errors: 0.49 % [0 %, 5.1 %] of 204 requests; the candidate needs 296 requests more, "
                "about 7 min at this rate"
            ),
        ),
        (
            MORE_ERRORS,
            window(sums(3000, 90)),
            NO_HARM,
            "errors: 3 % of 3,000 requests against 1 % of 57,000, +200 % [+83 %, +369 %], above the limit of +50 %",
        ),
        (
            SLOWER,
            window(sums(9000, p99=0.3)),
            NO_HARM,
            (
                "slow: p99 300 ms [293 ms, 308 ms] of 9,000 requests against p99 203 ms [198 ms, 208 ms] of 169,290, "
                "+47.7 % [+40.7 %, +55.1 %], above the limit of +20 %"
            ),
        ),
        (
            FLOW,
            window(sums(500), sums(19_000)),
            NO_HARM,
            "flow: 33.3/s against 66.7/s at the same weight, -50 % [-58 %, -41.1 %], below the limit of -20 %",
        ),
        (
            LEAST_FLOW,
            window(sums(500)),
            NO_HARM,
            "flow: 33.3/s [28/s, 39.2/s] at full weight, below the limit of 40/s",
        ),
        (
            TRUE,
            told(5000, 4000),
            NO_HARM,
            "true: 80 % [77.7 %, 82.1 %] of 5,000 labelled answers, below the limit of 90 %",
        ),
        (
            AS_TRUE,
            told(5000, 4000, (9000, 8500)),
            NO_HARM,
            (
                "true: 80 % of 5,000 labelled answers against 94.4 % of 9,000, -15.3 % [-18.2 %, -12.6 %], below the "
                "limit of -5 %"
            ),
        ),
        (OFF, off(3, 1000), NO_HARM, "off: 3 [2.8, no bound] of 1,000 numeric outcomes, above the limit of 2"),
        (
            OFF,
            off(1, 1000),
            NO_HARM,
            (
                "off: 1 [0.93, no bound] of 1,000 numeric outcomes, not proven to be above the limit of 2 "
                "(2.2 would have been)"
            ),
        ),
        (
            NEAR,
            off(1.9, 1000, large=30),
            NO_HARM,
            "off: 2.4 [2, 2.9] of 1,030 numeric outcomes, 30 of them counted as 20, above the limit of 2",
        ),
        (
            NEAR,
            off(1.9, 1000),
            EVIDENCE,
            "off: 1.9 [1.8, 2.2] of 1,000 numeric outcomes, not proven to be within the limit of 2",
        ),
        (
            AS_NEAR,
            off(3, 2000, (2, 9000)),
            NO_HARM,
            "off: 3 of 2,000 numeric outcomes against 2 of 9,000, +50 % [+38.7 %, +63.4 %], above the limit of +10 %",
        ),
        (
            AS_NEAR,
            off(2.1, 2000, (2, 9000)),
            NO_HARM,
            (
                "off: 2.1 of 2,000 numeric outcomes against 2 of 9,000, +5 % [-3 %, +15.9 %], not proven to be above "
                "the limit of +10 % (+19.1 % would have been)"
            ),
        ),
        (
            DRIFT,
            drifted(5000, MOVED),
            NO_HARM,
            (
                "drift: amount has drifted most, PSI 0.59 [0.29, no bound] of 5,000 rows against 10,000 of the "
                "reference, above the limit of 0.2"
            ),
        ),
        (
            DRIFT,
            drifted(5000),
            NO_HARM,
            (
                "drift: country has drifted most, PSI 0 [0, no bound] of 5,000 rows against 10,000 of the reference, "
                "not proven to be above the limit of 0.2 (0.34 would have been)"
            ),
        ),
        (
            DRIFT,
            drifted(100),
            NO_HARM,
            (
                "drift: country has drifted most, PSI 0.0022 [0, no bound] of 100 rows against 10,000 of the "
                "reference; the candidate needs 400 rows of amount more, about 20 min at this rate"
            ),
        ),
        (DRIFT, window(sums(500)), NO_HARM, "drift: the candidate has had no rows to hold against a reference.json"),
        (
            DRIFT_KS,
            drifted(2000, countries=(20, 80)),
            NO_HARM,
            (
                "drift: country has drifted most, KS 0.4 [0.34, 0.46] of 2,000 rows against 10,000 of the reference, "
                "above the limit of 0.2"
            ),
        ),
        (
            ANSWERS,
            paired(20_000, 1000, 2000, 20),
            NO_HARM,
            (
                "answers: 4 % [2.6 %, 5 %], being 5 % of 20,000 pairs of answers less 1 % of 2,000 of stable with "
                "itself, above the limit of 1 %"
            ),
        ),
        (ERRORS, Window(seconds=60.0, weight=5), NO_HARM, "errors: the candidate has had no requests"),
        (AUC, Window(), NO_HARM, "auc: not answered yet"),
        (
            AUC,
            Window(tallies={"auc": Tally(answers=3, failures=3, value=0.8125, at=NOW)}),
            NO_HARM,
            "auc: 0.81, below the limit of 0.9, 3 times in a row",
        ),
        (
            AUC,
            Window(tallies={"auc": Tally(answers=1, value=0.95, at=NOW)}),
            NO_HARM,
            "auc: 0.95, within the limit of 0.9; 2 answers more needed",
        ),
        (
            AUC,
            Window(tallies={"auc": Tally(problem="503 Service Unavailable", at=NOW)}),
            NO_HARM,
            "auc: no answer: 503 Service Unavailable",
        ),
        (
            JUDGE,
            Window(tallies={"judge": Tally(answers=1, failures=1, verdict="Fail", at=NOW)}),
            NO_HARM,
            "judge: the verdict of the service is Fail",
        ),
        (
            ALERTS,
            Window(tallies={"alerts": Tally(answers=1, failures=1, verdict="Fail", note="Bad and 2 more", at=NOW)}),
            NO_HARM,
            "alerts: firing: Bad and 2 more",
        ),
        (
            ALERTS,
            Window(tallies={"alerts": Tally(answers=1, verdict="Pass", at=NOW)}),
            NO_HARM,
            "alerts: no alert is firing",
        ),
    ],
)
def test_a_message_says_what_is_known(metric: Metric, seen: Window, analysis: Analysis, message: str) -> None:
    assert judged(metric, seen, analysis).message == message


@given(data=st.data())
def test_every_count_has_a_verdict_and_no_odd_number(data: st.DataObject) -> None:
    seen = data.draw(windows())
    metric = data.draw(st.sampled_from(BUILTIN))
    analysis = data.draw(st.sampled_from([NO_HARM, EVIDENCE]))
    verdict = judge(metric, seen, analysis, data.draw(st.floats(1e-6, 0.2)))
    for figure in (verdict.estimate, verdict.low, verdict.high, verdict.limit):
        assert figure is None or math.isfinite(figure)
    assert verdict.samples >= 0
    assert verdict.needed >= 0
    assert not any(odd in verdict.message for odd in ("nan", "inf", "None"))
    assert verdict.low is None or verdict.high is None or verdict.low <= verdict.high
    ratio_mismatch(seen)


@given(data=st.data())
def test_a_fail_is_a_sequence_wholly_beyond_the_limit(data: st.DataObject) -> None:
    verdict = judge(data.draw(st.sampled_from(BUILTIN)), data.draw(windows()), EVIDENCE, LEVEL)
    if verdict.limit is None or verdict.samples < 20:
        return
    is_least = verdict.metric in (FLOW.name, TRUE.name)
    beyond, within = (verdict.high, verdict.low) if is_least else (verdict.low, verdict.high)
    sign = -1 if is_least else 1
    slack = 1e-6 * (1 + abs(verdict.limit))
    is_beyond = beyond is not None and sign * (beyond - verdict.limit) >= -slack
    is_within = within is not None and sign * (verdict.limit - within) >= -slack
    if verdict.verdict is Verdict.FAIL:
        assert is_beyond
    if verdict.verdict is Verdict.PASS:
        assert is_within
    if verdict.verdict is Verdict.INCONCLUSIVE:
        assert beyond is None or sign * (beyond - verdict.limit) <= slack


@given(requests=st.integers(20, 100_000), errors=st.floats(0, 1), more=st.integers(1, 100))
def test_more_errors_never_make_a_verdict_better(requests: int, errors: float, more: int) -> None:
    order = [Verdict.FAIL, Verdict.INSUFFICIENT_SAMPLES, Verdict.INCONCLUSIVE, Verdict.PASS]
    few = int(errors * requests)
    stable = Sums(requests=10_000, errors=100)
    for metric in (ERRORS, MORE_ERRORS):
        better, worse = (
            order.index(judged(metric, window(Sums(requests=requests, errors=number), stable), EVIDENCE).verdict)
            for number in (few, min(requests, few + more))
        )
        assert worse <= better


@st.composite
def windows(draw: st.DrawFn) -> Window:
    counts = st.one_of(st.integers(0, 30), st.integers(0, 10**7))
    latencies = st.dictionaries(st.integers(0, 450), st.integers(0, 10**6), max_size=8)
    moments = st.builds(
        lambda number, part: Moments(number, number * part, number * part * part),
        st.integers(1, 10**6),
        st.floats(2, 5),
    )
    deviations = st.fixed_dictionaries({}, optional={bisect_left(BOUNDS, 5): moments})
    bins = st.tuples(counts, counts, counts)
    binned = st.builds(Binned, st.sampled_from(["Numbers", "Categories"]), st.just((50, 30, 0)), bins)
    every = st.builds(
        Sums,
        requests=counts,
        errors=counts,
        latency=latencies,
        labels=counts,
        right=counts,
        deviations=deviations,
        drifts=st.fixed_dictionaries({}, optional={"amount": binned, "country": binned}),
    )
    pairs = st.builds(
        Pairs,
        pairs=counts,
        disagreements=counts,
        baseline_pairs=counts,
        baseline_disagreements=counts,
        candidate_failures=counts,
    )
    return Window(
        candidate=draw(every),
        stable=draw(every),
        seconds=draw(st.just(0.0) | st.floats(1e-6, 1e6)),
        weight=draw(st.sampled_from([0, 1, 5, 50, 99, 100, 33.3])),
        pairs=draw(pairs),
        has_baseline=draw(st.booleans()),
    )


def test_of_two_limits_the_worse_verdict_counts() -> None:
    both = Metric(name="errors", builtin="ErrorRate", max=0.05, max_increase_percent=50)
    alone, against = judged(both, window(sums(1000, 100))), judged(both, window(sums(5000, 120)))
    assert (alone.verdict, alone.limit) == (Verdict.FAIL, 0.05)
    assert (against.verdict, against.limit) == (Verdict.FAIL, 50)
    assert judged(both, window(sums(5000, 50))).verdict is Verdict.PASS


def test_two_limits_share_the_level() -> None:
    """Just enough for one limit at the whole level is not enough where there is another limit."""
    errors = next(number for number in range(100) if judged(ERRORS, window(sums(1000, number))).verdict is Verdict.FAIL)
    both = Metric(name="errors", builtin="ErrorRate", max=0.01, max_increase_percent=10_000)
    assert judged(both, window(sums(1000, errors))).verdict is not Verdict.FAIL


def test_a_dry_run_is_judged_and_does_not_count() -> None:
    dry = ERRORS.model_copy(update={"dry_run": True})
    verdict = judged(dry, window(sums(1204, 40)))
    assert (verdict.verdict, verdict.is_dry_run) == (Verdict.FAIL, True)
    fine = judged(SLOW, window(sums(5000, p99=0.1)))
    assert combined([verdict, fine]) == fine


def test_what_cannot_be_compared_has_no_data() -> None:
    relative = Metric(name="answered", builtin="Throughput", max_decrease_percent=10)
    alone = Window(candidate=sums(1000), stable=sums(1000), seconds=300.0, weight=100)
    verdict = judged(relative, alone)
    assert (verdict.verdict, verdict.message) == (Verdict.NO_DATA, "answered: stable has nothing to compare with")


@pytest.mark.parametrize(
    ("confidence", "metrics", "steps", "level"),
    [(95, 3, 3, 0.05 / 9), (99, 1, 1, 0.01), (80, 0, 0, 0.2), (95, 16, 20, 0.05 / 320)],
)
def test_the_error_is_spent_over_metrics_and_steps(confidence: int, metrics: int, steps: int, level: float) -> None:
    assert spent(confidence, metrics, steps) == pytest.approx(level)


@pytest.mark.parametrize(
    ("candidate", "stable", "weight", "is_wrong"),
    [
        pytest.param(500, 9500, 5, False, id="as the weight says"),
        pytest.param(520, 9480, 5, False, id="nearly"),
        pytest.param(1000, 9000, 5, True, id="twice as many"),
        pytest.param(300, 9700, 5, True, id="fewer"),
        pytest.param(5_100_000, 94_900_000, 5, False, id="off by less than what counts"),
        pytest.param(10, 90, 5, False, id="too few to tell"),
        pytest.param(3, 10_000, 100, False, id="nothing to split"),
        pytest.param(0, 0, 5, False, id="nothing at all"),
    ],
)
def test_60_a_split_that_is_not_the_weight_is_found(candidate: int, stable: int, weight: int, is_wrong: bool) -> None:
    seen = Window(candidate=Sums(requests=candidate), stable=Sums(requests=stable), weight=weight)
    assert bool(ratio_mismatch(seen)) == is_wrong
    if is_wrong:
        share = f"{candidate / (candidate + stable):.0%}".replace("%", " %")
        assert ratio_mismatch(seen) == f"the candidate had {share} of 10,000 requests at a weight of 5 %"
