"""Verdicts on a metric that is judged for each group of requests: who fails it, who holds it, and at which level."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelway.analysis import judgement, segments
from modelway.analysis.figures import Sums, bucket
from modelway.analysis.groups import NONE, OTHER
from modelway.analysis.verdicts import Judgement, Segments, Verdict
from modelway.analysis.window import Window
from modelway.api.analysis import Analysis, By, Metric

LEVEL = judgement.spent(95, metrics=3, steps=3)
BY = By(input="language")
ERRORS = Metric(name="errors", builtin="ErrorRate", max=0.01, by=BY)
MORE_ERRORS = Metric(name="errors", builtin="ErrorRate", max_increase_percent=50, by=BY)
SLOW = Metric(name="slow", builtin="LatencyP50", max=0.25, by=BY)
NO_HARM = Analysis()
EVIDENCE = Analysis(decision="Evidence")


def window(requests: int, errors: int = 0, *, stable: tuple[int, int] = (0, 0), seconds: float = 0.1) -> Window:
    def sums(requests: int, errors: int) -> Sums:
        return Sums(requests=requests, errors=errors, latency={bucket(seconds): requests - errors})

    return Window(candidate=sums(requests, errors), stable=sums(*stable), seconds=300.0, weight=50)


def judged(
    metric: Metric, groups: Mapping[str, Window], whole: Window | None = None, analysis: Analysis = NO_HARM
) -> Judgement:
    return segments.judge(metric, whole or window(20_000, 40), groups, analysis, LEVEL)


def test_a_group_beyond_the_limit_fails_the_metric_and_is_named() -> None:
    found = judged(ERRORS, {"en": window(18_000, 20), "de": window(1204, 60)})
    assert found == Judgement(
        metric="errors",
        verdict=Verdict.FAIL,
        message="errors of language=de: 5 % [2.7 %, 8.2 %] of 1,204 requests, above the limit of 1 %",
        estimate=60 / 1204,
        low=found.low,
        high=found.high,
        limit=0.01,
        samples=1204,
        segments=Segments(input="language", judged=2, small=0, worst="de", message=found.message),
    )


def test_the_same_group_is_no_matter_where_nobody_asks_for_it() -> None:
    metric = ERRORS.model_copy(update={"by": None})
    assert judged(metric, {"de": window(1204, 60)}) == judgement.judge(metric, window(20_000, 40), NO_HARM, LEVEL)


def test_where_no_group_is_beyond_it_the_verdict_is_that_on_all_requests_and_the_worst_group_is_told() -> None:
    found = judged(ERRORS, {"en": window(18_000, 20), "de": window(1204, 12), "is": window(30, 1)})
    assert (found.verdict, found.samples) == (Verdict.PASS, 20_000)
    assert found.message.startswith("errors: 0.2 % [")
    assert found.segments is not None
    assert (found.segments.judged, found.segments.small, found.segments.worst) == (2, 1, "de")
    assert found.segments.message.startswith("errors of language=de: 1 % [")
    assert "not proven to be above the limit of 1 %" in found.segments.message


@pytest.mark.parametrize(
    ("few", "verdict"),
    [
        pytest.param(window(499, 10), "Pass", id="fewer than minSamples"),
        pytest.param(window(19, 19), "Pass", id="too few to fail at all"),
        pytest.param(window(0), "Pass", id="none"),
        pytest.param(window(60, 60), "Fail", id="proof from few requests is proof"),
    ],
)
@pytest.mark.parametrize("analysis", [NO_HARM, EVIDENCE], ids=lambda analysis: str(analysis.decision))
def test_a_group_with_too_few_samples_neither_fails_nor_holds(few: Window, verdict: str, analysis: Analysis) -> None:
    found = judged(ERRORS, {"en": window(18_000, 20), "is": few}, analysis=analysis)
    assert found.verdict.value == verdict
    assert found.segments is not None
    assert found.segments.small == (verdict == "Pass")


def test_a_group_that_stable_has_not_had_says_nothing_against_stable() -> None:
    whole = window(20_000, 200, stable=(20_000, 200))
    found = judged(MORE_ERRORS, {"de": window(5000, 500), "en": window(9000, 90, stable=(9000, 90))}, whole)
    assert found.verdict is Verdict.PASS
    assert found.segments is not None
    assert (found.segments.judged, found.segments.small, found.segments.worst) == (1, 1, "en")


def test_a_group_is_compared_with_the_same_group_of_stable() -> None:
    whole = window(20_000, 900, stable=(20_000, 900))
    same = window(5000, 500, stable=(5000, 500))
    worse = window(5000, 500, stable=(5000, 100))
    assert judged(MORE_ERRORS, {"de": same}, whole).verdict is Verdict.PASS
    assert judged(MORE_ERRORS, {"de": worse}, whole).message.startswith("errors of language=de: 10 % of 5,000 requests")


def test_with_evidence_a_group_with_enough_samples_must_be_proven_too() -> None:
    whole = window(60_000, 120)
    found = judged(ERRORS, {"en": window(50_000, 100), "de": window(900, 8)}, whole, EVIDENCE)
    assert (found.verdict, found.message.split(":")[0]) == (Verdict.INCONCLUSIVE, "errors of language=de")
    assert judged(ERRORS, {"en": window(50_000, 100)}, whole, EVIDENCE).verdict is Verdict.PASS


def test_all_requests_count_as_before_beside_the_groups() -> None:
    assert judged(ERRORS, {}, window(20_000, 2000)).message.startswith("errors: 10 % [")
    assert judged(ERRORS, {"de": window(900, 2)}, window(40)).verdict is Verdict.INSUFFICIENT_SAMPLES
    both = judged(ERRORS, {"de": window(10_000, 1500)}, window(20_000, 2000))
    assert both.message.startswith("errors: 10 % [")
    assert both.segments is not None
    assert both.segments.worst == "de"


def test_latencies_are_judged_by_group() -> None:
    found = judged(SLOW, {"de": window(900, seconds=0.4)}, window(20_000, seconds=0.1))
    assert found.message.startswith("slow of language=de: p50 ")
    assert found.verdict is Verdict.FAIL


@pytest.mark.parametrize("name", [NONE, OTHER, "a: b", "errors", "größe 日本"])
def test_every_group_can_be_named(name: str) -> None:
    assert judged(ERRORS, {name: window(900, 90)}).message.startswith(f"errors of language={name}: 10 % [")


def test_all_requests_and_every_group_that_could_be_share_the_level() -> None:
    """Three steps and metrics at 95 %, ten groups, those without a name or a value, and all requests: 0.0056 / 13."""
    levels = []
    for most in (1, 10, 20):
        metric = ERRORS.model_copy(update={"by": By(input="language", max_groups=most)})
        found = judged(metric, {"de": window(1000, 1)}, window(1000, 1))
        assert found.segments is not None
        alone = judgement.judge(metric, window(1000, 1), NO_HARM, LEVEL / (most + 3))
        levels.append(found.high)
        assert (found.low, found.high) == (alone.low, alone.high)
        assert found.segments.message == f"errors of language=de{alone.message.removeprefix('errors')}"
    assert levels == sorted(levels)


COUNTS = st.tuples(st.integers(0, 3000), st.integers(0, 3000)).map(lambda pair: window(max(pair), min(pair)))


@given(st.dictionaries(st.sampled_from(["de", "en", "fr", NONE, OTHER]), COUNTS), COUNTS)
def test_the_metric_fails_exactly_where_a_part_of_it_does(groups: dict[str, Window], whole: Window) -> None:
    level = LEVEL / 13
    parts = [judgement.judge(ERRORS, part, NO_HARM, level).verdict for part in (whole, *groups.values())]
    found = judged(ERRORS, groups, whole)
    assert (found.verdict is Verdict.FAIL) == (Verdict.FAIL in parts)
    assert found.segments is not None
    assert found.segments.judged + found.segments.small == len(groups)
    if found.verdict is not Verdict.FAIL:
        assert found.verdict is parts[0]


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_dry_run_stays_one(dry_run: bool) -> None:
    metric = ERRORS.model_copy(update={"dry_run": dry_run})
    groups: dict[str, Any] = {"de": window(900, 90)}
    assert judged(metric, groups).is_dry_run is dry_run
