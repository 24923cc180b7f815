"""The evidence of a step as it is kept, and how answers of providers are folded into it."""

import json
import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelway.analysis.deviations import Moments
from modelway.analysis.drifts import Binned
from modelway.analysis.figures import Answer, Pairs, Sums
from modelway.analysis.window import Tally, Window, tally
from modelway.api.analysis import Metric

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
COUNTS = st.integers(0, 10**9)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
AUC = Metric.model_validate(
    {"name": "auc", "prometheus": {"address": "http://prometheus:9090", "query": "x"}, "min": 0.9}
)
JUDGE = Metric.model_validate({"name": "judge", "web": {"url": "http://judge/verdict"}})
ALERTS = Metric.model_validate(
    {"name": "alerts", "alertmanager": {"address": "http://alerts:9093", "matchers": ["alertname=x"]}}
)


@st.composite
def windows(draw: st.DrawFn) -> Window:
    return Window(
        candidate=draw(sums()),
        stable=draw(sums()),
        seconds=draw(st.floats(0, 1e6)),
        weight=draw(st.floats(0, 100)),
        pairs=draw(pairs()),
        has_baseline=draw(st.booleans()),
        tallies=draw(st.dictionaries(st.sampled_from(["auc", "judge"]), tallies())),
    )


def sums() -> st.SearchStrategy[Sums]:
    latency = st.dictionaries(st.integers(0, 500), st.integers(0, 10**6), max_size=20)
    amounts = st.floats(0, 1e30)
    deviations = st.dictionaries(st.integers(0, 72), st.builds(Moments, COUNTS, amounts, amounts), max_size=5)
    bins = st.lists(COUNTS, min_size=2, max_size=5).map(tuple)
    drifts = st.dictionaries(st.text(), st.builds(Binned, st.sampled_from(["Numbers", "Categories"]), bins, bins))
    return st.builds(Sums, requests=COUNTS, errors=COUNTS, latency=latency, deviations=deviations, drifts=drifts)


def pairs() -> st.SearchStrategy[Pairs]:
    return st.builds(
        Pairs,
        pairs=COUNTS,
        disagreements=COUNTS,
        baseline_pairs=COUNTS,
        baseline_disagreements=COUNTS,
        candidate_failures=COUNTS,
    )


def tallies() -> st.SearchStrategy[Tally]:
    return st.builds(
        Tally,
        answers=COUNTS,
        failures=COUNTS,
        value=st.none() | NUMBERS,
        verdict=st.sampled_from(["", "Pass", "Fail", "Inconclusive"]),
        problem=st.text(max_size=20),
        at=st.none() | st.datetimes(timezones=st.just(UTC)),
    )


@given(window=windows())
def test_a_window_comes_back_as_it_was_kept(window: Window) -> None:
    assert Window.from_json(json.loads(json.dumps(window.to_json()))) == window


def test_a_window_is_kept_in_plain_words() -> None:
    window = Window(
        candidate=Sums(requests=3, errors=1, latency={200: 2}),
        seconds=30.0,
        weight=5,
        tallies={
            "auc": Tally(answers=1, value=0.0, at=NOW),
            "alerts": Tally(answers=1, failures=1, verdict="Fail", note="Bad", at=NOW),
        },
    )
    assert window.to_json() == {
        "candidate": {"requests": 3, "errors": 1, "latency": {"200": 2}},
        "stable": {"requests": 0, "errors": 0, "latency": {}},
        "seconds": 30.0,
        "weight": 5,
        "pairs": {
            "pairs": 0,
            "disagreements": 0,
            "baselinePairs": 0,
            "baselineDisagreements": 0,
            "candidateFailures": 0,
        },
        "hasBaseline": True,
        "tallies": {
            "auc": {"answers": 1, "failures": 0, "value": 0.0, "at": "2026-11-25T12:00:00+00:00"},
            "alerts": {
                "answers": 1,
                "failures": 1,
                "verdict": "Fail",
                "note": "Bad",
                "at": "2026-11-25T12:00:00+00:00",
            },
        },
    }


def told(metric: Metric, *answers: Answer) -> Tally:
    known: Tally | None = None
    for number, answer in enumerate(answers):
        known = tally(known, answer, metric, at=NOW + timedelta(seconds=30 * number))
    assert known is not None
    return known


def number(value: float | None) -> Answer:
    return Answer(metric="auc", value=value)


def verdict(text: str) -> Answer:
    return Answer(metric="judge", verdict=text)


BAD, GOOD = number(0.8), number(0.95)
DOWN = Answer(metric="auc", problem="503 Service Unavailable")


@pytest.mark.parametrize(
    ("metric", "answers", "count", "failures"),
    [
        pytest.param(AUC, [BAD, BAD], 2, 2, id="failures in a row are counted"),
        pytest.param(AUC, [BAD, BAD, GOOD], 3, 0, id="a good answer ends the row"),
        pytest.param(AUC, [BAD, GOOD, BAD], 3, 1, id="and another one begins"),
        pytest.param(AUC, [BAD, DOWN, DOWN, BAD], 2, 2, id="an outage neither ends the row nor makes it longer"),
        pytest.param(AUC, [DOWN] * 50, 0, 0, id="nor is it an answer"),
        pytest.param(AUC, [BAD, number(math.nan), number(math.inf), number(None)], 1, 1, id="nor is what is no number"),
        pytest.param(AUC, [number(0.9)], 1, 0, id="the limit itself is within it"),
        pytest.param(JUDGE, [verdict("Fail")], 1, 1, id="a verdict counts itself"),
        pytest.param(JUDGE, [verdict("Fail"), verdict("Inconclusive")], 2, 0, id="no verdict but Fail is a failure"),
        pytest.param(JUDGE, [verdict("Perhaps")], 0, 0, id="no other word is a verdict"),
        pytest.param(JUDGE, [number(3.0)], 0, 0, id="a number without a limit says nothing"),
        pytest.param(ALERTS, [number(0.0), number(2.0)], 2, 1, id="an alert that fires is a failure"),
        pytest.param(ALERTS, [verdict("Fail"), verdict("Pass")], 2, 0, id="also as a verdict"),
    ],
)
def test_answers_are_counted(metric: Metric, answers: list[Answer], count: int, failures: int) -> None:
    known = told(metric, *answers)
    assert (known.answers, known.failures) == (count, failures)
    assert known.at == NOW + timedelta(seconds=30 * (len(answers) - 1))


def test_a_problem_is_remembered_until_the_next_answer() -> None:
    assert told(AUC, GOOD, DOWN).problem == "503 Service Unavailable"
    assert told(AUC, GOOD, DOWN).value == 0.95
    assert not told(AUC, DOWN, GOOD).problem
    assert not told(AUC, DOWN, number(math.nan)).problem
    assert "Pass, Fail, Inconclusive" in told(JUDGE, verdict("Perhaps")).problem
    assert "write min or max" in told(JUDGE, number(3.0)).problem
