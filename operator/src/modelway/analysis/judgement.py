"""The verdict on one metric of a step, from everything that was counted in it. Pure.

Fail is proof of harm beyond the limit, Pass with `Evidence` proof of being within it. Pass with `NoHarm` says that as
many samples as were asked for have not proven harm, and names the least harm that they would have proven. Proof holds
whenever one looks: judge after each reading, and the first Fail counts.
"""

import math
from dataclasses import replace

from modelway.analysis import answers, limits, phrases, samples, sequences
from modelway.analysis.finding import Finding
from modelway.analysis.limits import Limit
from modelway.analysis.samples import Samples
from modelway.analysis.sequences import Share
from modelway.analysis.verdicts import Judgement, Verdict
from modelway.analysis.window import Window
from modelway.api.analysis import Analysis, Metric

_FEW = 20
"""Samples of the candidate without which nothing fails: three errors in a row may be one pod that went."""
_SLIGHT = 0.1
"""With less of a proof than this there is no telling how much is missing."""
_MISMATCH_LEVEL = 0.001
_MISMATCH_ODDS = 1.05
"""By how much the odds of the split may be off: the counts of all pods are never read at the same moment."""


def spent(confidence_percent: int, metrics: int, steps: int) -> float:
    """The level of each metric in each step.

    Together they take a rollout without fault back with no more than the chance that confidence leaves: 95 %, three
    metrics and three steps make 0.0056. Dry runs take nothing back and do not count.
    """
    return (100 - confidence_percent) / 100 / (max(1, metrics) * max(1, steps))


def judge(metric: Metric, window: Window, analysis: Analysis, level: float) -> Judgement:
    """The verdict on a metric, at the level that `spent` gives it.

    Two limits are judged at half of it each, and the worse verdict counts.
    """
    if metric.builtin is None:
        judgement = answers.judge(metric, window.tallies.get(metric.name))
    else:
        bounds = limits.of(metric)
        judged = [_judged(metric, limit, window, analysis, level / len(bounds)) for limit in bounds]
        judgement = min(judged, key=lambda item: item.verdict.rank) if len(judged) > 1 else judged[0]
    return replace(judgement, is_dry_run=True) if metric.dry_run else judgement


def ratio_mismatch(window: Window) -> str:
    """What is wrong with the split of the requests; empty where it is as the weight says, or nothing is proven.

    Proof at 0.001 that the odds are off by more than 5 %. What sends requests elsewhere may choose them, too; then the
    two revisions are not compared on the same traffic.
    """
    weight = window.weight / 100
    if not 0 < weight < 1:
        return ""
    share = Share(window.candidate.requests, window.candidate.requests + window.stable.requests)
    proof, odds = sequences.price(_MISMATCH_LEVEL / 2), weight / (1 - weight)
    most, least = (times * odds / (1 + times * odds) for times in (_MISMATCH_ODDS, 1 / _MISMATCH_ODDS))
    if sequences.above(share, most) < proof and sequences.below(share, least) < proof:
        return ""
    return (
        f"the candidate had {phrases.percent(share.estimate)} of {phrases.count(share.trials, 'requests')} at a weight "
        f"of {phrases.percent(weight)}"
    )


def _judged(metric: Metric, limit: Limit, window: Window, analysis: Analysis, level: float) -> Judgement:
    parts = samples.needed(limit, window, analysis.min_samples)
    without = [part for part in parts if not part.count]
    finding = None if without else limits.finding(limit, window, level)
    if finding is None:
        said = f"{without[0].of} has had no {without[0].noun}" if without else "stable has nothing to compare with"
        return Judgement(
            metric=metric.name,
            verdict=Verdict.NO_DATA,
            message=f"{metric.name}: {said}",
            samples=min(part.count for part in parts),
            needed=max(part.missing for part in parts),
        )
    verdict, conclusion, missing = _conclusion(finding, parts, window.seconds, analysis)
    return Judgement(
        metric=metric.name,
        verdict=verdict,
        message=f"{metric.name}: {finding.text}{conclusion}",
        estimate=finding.estimate,
        low=finding.within.low,
        high=finding.within.high,
        limit=finding.limit,
        samples=min(part.count for part in parts if part.noun == parts[0].noun),
        needed=missing,
    )


def _conclusion(
    finding: Finding, parts: tuple[Samples, ...], seconds: float, analysis: Analysis
) -> tuple[Verdict, str, int]:
    """The verdict, the end of the sentence, and how many samples are missing."""
    limit = f"the limit of {finding.limit_text}"
    if finding.is_harm and parts[0].count >= min(_FEW, analysis.min_samples):
        return Verdict.FAIL, f", {finding.side} {limit}", 0
    if any(part.missing for part in parts):
        slowest = max(parts, key=lambda part: part.seconds(part.missing, seconds))
        missing = phrases.count(slowest.missing, slowest.noun)
        wait = _wait(slowest.seconds(slowest.missing, seconds))
        return Verdict.INSUFFICIENT_SAMPLES, f"; {slowest.of} needs {missing} more{wait}", slowest.missing
    if analysis.decision == "Evidence":
        safety = finding.safety()
        return (Verdict.PASS, f", within {limit}", 0) if safety >= 1 else _undecided(finding, safety, parts[0], seconds)
    smallest = finding.smallest()
    seen = f"{smallest} would have been" if smallest else "nothing would have been with so few"
    return Verdict.PASS, f", not proven to be {finding.side} {limit} ({seen})", 0


def _undecided(finding: Finding, safety: float, own: Samples, seconds: float) -> tuple[Verdict, str, int]:
    """Proof of neither yet. Evidence grows evenly with the samples, as long as the estimate stays what it is."""
    said = f", not proven to be within the limit of {finding.limit_text}"
    if safety < _SLIGHT:
        return Verdict.INCONCLUSIVE, said, 0
    more = math.ceil(own.count * (1 / safety - 1))
    wait = _wait(own.seconds(more, seconds))
    return Verdict.INCONCLUSIVE, f"{said}; {phrases.about(more, own.noun)} more{wait}", more


def _wait(seconds: float) -> str:
    return f", about {phrases.span(seconds)} at this rate" if 0 < seconds < math.inf else ""
