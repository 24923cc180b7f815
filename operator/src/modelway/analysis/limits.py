"""The limits of a built-in metric, and which figures of a window each is about. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from modelway.analysis import deviations, findings, measures
from modelway.analysis.drifts import NOT_COUNTED, Binned
from modelway.analysis.finding import Finding
from modelway.analysis.sequences import Share
from modelway.analysis.window import Window
from modelway.api.analysis import DRIFT, LATENCIES, Metric

DRIFTED = 0.2
"""The limit of Drift where none is given: what usage calls a large PSI."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """One limit of a metric."""

    builtin: str
    value: float
    """In the unit of the figure, or percent."""
    clip: float | None = None
    """The largest error that counts."""
    features: tuple[str, ...] = ()
    """Those whose drift counts; empty for all."""
    method: str = ""
    is_relative: bool
    """Whether it compares the candidate with stable; then `value` is a percentage."""


def of(metric: Metric) -> tuple[Limit, ...]:
    """All limits of a built-in metric."""
    absolute = (metric.max, metric.min)
    relative = (metric.max_increase_percent, metric.max_decrease_percent)
    if metric.builtin == DRIFT and metric.max is None:
        absolute = (DRIFTED, None)
    return tuple(
        Limit(
            builtin=metric.builtin or "",
            value=value,
            clip=metric.clip,
            features=metric.features,
            method=metric.method or "",
            is_relative=values is relative,
        )
        for values in (absolute, relative)
        for value in values
        if value is not None
    )


def finding(limit: Limit, window: Window, level: float) -> Finding | None:
    """What the window says about a limit; None where there is nothing to compare with."""
    return _FINDINGS[limit.builtin](limit, window, level)


def _errors(limit: Limit, window: Window, level: float) -> Finding:
    own = _share(window.candidate.errors, window.candidate.requests)
    if not limit.is_relative:
        return findings.share(own, limit.value, level, noun="requests")
    stable = _share(window.stable.errors, window.stable.requests)
    return findings.change(own, stable, limit.value, level, noun="requests")


def _latency(limit: Limit, window: Window, level: float) -> Finding:
    quantile, own = LATENCIES[limit.builtin], window.candidate_durations
    if not limit.is_relative:
        return measures.latency(own, quantile, limit.value, level)
    return measures.slowdown(own, window.stable_durations, quantile, limit.value, level)


def _throughput(limit: Limit, window: Window, level: float) -> Finding | None:
    weight, answered = window.weight / 100, window.candidate.answered
    if weight <= 0 or window.seconds <= 0 or (limit.is_relative and weight >= 1):
        return None
    if not limit.is_relative:
        return findings.throughput(answered, limit.value, level, weight=weight, seconds=window.seconds)
    of = Share(answered, answered + window.stable.answered)
    return findings.decrease(of, limit.value, level, weight=weight, seconds=window.seconds)


def _disagreement(limit: Limit, window: Window, level: float) -> Finding | None:
    pairs = window.pairs
    own = _share(pairs.disagreements, pairs.pairs)
    baseline = _share(pairs.baseline_disagreements, pairs.baseline_pairs)
    if not limit.is_relative and not window.has_baseline:
        return findings.share(own, limit.value, level, noun="pairs of answers")
    if not window.has_baseline:
        return None
    if limit.is_relative:
        return findings.change(own, baseline, limit.value, level, noun="pairs of answers")
    return findings.excess(own, baseline, limit.value, level, noun="pairs of answers")


def _failures(limit: Limit, window: Window, level: float) -> Finding:
    pairs = window.pairs
    own = Share(pairs.candidate_failures, pairs.pairs + pairs.candidate_failures)
    return findings.share(own, limit.value, level, noun="mirrored requests")


def _accuracy(limit: Limit, window: Window, level: float) -> Finding:
    own = _share(window.candidate.right, window.candidate.labels)
    if not limit.is_relative:
        return findings.share(own, limit.value, level, noun="labelled answers", is_least=True)
    stable = _share(window.stable.right, window.stable.labels)
    return findings.change(own, stable, -limit.value, level, noun="labelled answers")


def _deviation(limit: Limit, window: Window, level: float) -> Finding:
    own = deviations.clipped(window.candidate.deviations, limit.clip)
    if not limit.is_relative:
        return measures.mean(own, limit.value, level, noun="numeric outcomes")
    stable = deviations.clipped(window.stable.deviations, limit.clip)
    return measures.mean_change(own, stable, limit.value, level, noun="numeric outcomes")


def _drift(limit: Limit, window: Window, level: float) -> Finding:
    return measures.drift(drifted(limit, window), limit.value, level, method=limit.method)


def drifted(limit: Limit, window: Window) -> tuple[tuple[str, Binned], ...]:
    """The features and predictions that a limit is about, by name; without rows where the reference has none such."""
    known = window.candidate.drifts
    return tuple((name, known.get(name, NOT_COUNTED)) for name in limit.features or sorted(known))


def _share(events: int, trials: int) -> Share:
    """Of counts that are read one after the other; an event is never without its trial."""
    return Share(min(events, trials), trials)


_FINDINGS: Mapping[str, Callable[[Limit, Window, float], Finding | None]] = MappingProxyType(
    {
        "ErrorRate": _errors,
        "Throughput": _throughput,
        "Disagreement": _disagreement,
        "CandidateFailures": _failures,
        "Accuracy": _accuracy,
        "MeanAbsoluteError": _deviation,
        "Drift": _drift,
        **dict.fromkeys(LATENCIES, _latency),
    }
)
