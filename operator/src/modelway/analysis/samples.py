"""Which samples a limit of a built-in metric is about, how many there are and how many a Pass takes. Pure."""

import math
from dataclasses import dataclass

from modelway.analysis import deviations, distances, limits
from modelway.analysis.drifts import NOT_COUNTED
from modelway.analysis.figures import Sums
from modelway.analysis.limits import Limit
from modelway.analysis.window import Window
from modelway.api.analysis import LATENCIES

_FEWEST = {"LatencyP50": 100, "LatencyP95": 400, "LatencyP99": 2000}
"""Of fewer requests less than 20 lie beyond the quantile (50 beyond the median), and it says too little."""
_BASELINE_PART = 10
"""For how many pairs of both revisions a Pass takes one of stable with itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """Those of one side of a comparison."""

    of: str
    """Whose they are: `the candidate` or `stable`."""
    noun: str
    count: int
    fewest: int
    """How many a Pass takes."""

    @property
    def missing(self) -> int:
        """How many more a Pass takes."""
        return max(0, self.fewest - self.count)

    def seconds(self, more: int, past: float) -> float:
        """How long it takes for so many more to come, at the rate of the past seconds."""
        return more * past / self.count if self.count else math.inf


def needed(limit: Limit, window: Window, fewest: int) -> tuple[Samples, ...]:
    """The candidate's, and stable's where the limit compares both."""
    if limit.builtin == "Disagreement":
        return _pairs(window, fewest)
    if limit.builtin == "Drift":
        return _rows(limit, window, fewest)
    if limit.builtin == "CandidateFailures":
        asked = window.pairs.pairs + window.pairs.candidate_failures
        return (Samples(of="the candidate", noun="mirrored requests", count=asked, fewest=fewest),)
    candidate = _requests(limit, "the candidate", window.candidate, fewest)
    return (candidate, _requests(limit, "stable", window.stable, fewest)) if limit.is_relative else (candidate,)


def _requests(limit: Limit, of: str, sums: Sums, fewest: int) -> Samples:
    if limit.builtin in LATENCIES:
        fewest = max(fewest, _FEWEST[limit.builtin])
        return Samples(of=of, noun="answered requests", count=sums.answered, fewest=fewest)
    if limit.builtin == "Accuracy":
        return Samples(of=of, noun="labelled answers", count=sums.labels, fewest=fewest)
    if limit.builtin == "MeanAbsoluteError":
        return Samples(of=of, noun="numeric outcomes", count=deviations.count(sums.deviations), fewest=fewest)
    return Samples(of=of, noun="requests", count=sums.requests, fewest=fewest)


def _rows(limit: Limit, window: Window, fewest: int) -> tuple[Samples, ...]:
    """Of the feature that has the fewest: so many that chance alone makes no more than a quarter of the limit."""
    found = limits.drifted(limit, window)
    name, binned = min(found, key=lambda item: item[1].rows, default=("", NOT_COUNTED))
    by_chance = 4 / limit.value
    bins = max((len(item.counts) for _, item in found), default=0)
    rows = (distances.KS_CHANCE * by_chance) ** 2 if limit.method == "KS" else (bins - 1) * by_chance
    noun = f"rows of {name}" if name else "rows to hold against a reference.json"
    if name and not binned.reference:
        noun += ", which its reference.json does not have"
    return (Samples(of="the candidate", noun=noun, count=binned.rows, fewest=max(fewest, math.ceil(rows))),)


def _pairs(window: Window, fewest: int) -> tuple[Samples, ...]:
    both = Samples(of="the candidate", noun="pairs of answers", count=window.pairs.pairs, fewest=fewest)
    if not window.has_baseline:
        return (both,)
    few = math.ceil(fewest / _BASELINE_PART)
    return both, Samples(of="stable", noun="pairs of its own answers", count=window.pairs.baseline_pairs, fewest=few)
