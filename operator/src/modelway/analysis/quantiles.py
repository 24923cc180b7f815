"""What buckets of durations prove about quantiles, however often one looks: of one revision, and of two. Pure.

That the p99 is above t means that more than 1 % of the requests take longer than t: a statement on a share, which
`sequences` can refute for any t that is the bound of a bucket. The t that cannot be refuted are the confidence sequence
of the quantile; nothing is assumed about the distribution.

That the candidate's quantile is at most r times stable's is refuted where, for every t that may be stable's quantile,
the bets "fewer than 1 % of stable's requests take longer than t" and "more than 1 % of the candidate's take longer than
r * t" have won enough together. Only the true t counts, so that looking at all of them costs no certainty.

Durations are known by bucket, and every doubt of it is decided for the candidate: t lies somewhere in a bucket, r * t
somewhere in one or two others. With bounds 1.05^k a candidate is called slower than r times stable only when it is so
from the upper bound of its bucket to the lower one of stable's; between equals that is one or two buckets, 5 to 10 %,
that a proof has to overcome. "+20 %" is 3.7 buckets and taken as 4, so that it fails, sooner or later, what is 28 %
slower or more, and never what is less than 20 % slower. Proof of the opposite, that it is within r, is held to the
same: +20 % is taken as 3 buckets and shown by what is less than 10 % slower.

- Howard and Ramdas, "Sequential estimation of quantiles with applications to A/B testing and best-arm identification",
  Bernoulli 28 (2022), section 3 (one quantile at all times); arXiv:1906.09712. The bets are those of `sequences`.
"""

import math
import operator
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import accumulate

from modelway.analysis import figures, sequences
from modelway.analysis.sequences import Evidence, Interval

_NOTHING = sequences.FLOOR + 0.05
"""Evidence that is so close to its floor says nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Histogram:
    """Durations of one revision, the shortest first."""

    buckets: tuple[int, ...]
    """Those that are not empty."""
    longer: tuple[int, ...]
    """How many lie in the bucket at each place or in a longer one; one place more, for none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Durations:
    """Those of one revision, and what their number says about one quantile."""

    quantile: float
    buckets: tuple[int, ...]
    longer: tuple[int, ...]
    place: int
    """Place of the bucket in which the observed quantile lies."""
    more: Evidence
    """Evidence that the quantile is above a bound, by the number that is longer."""
    less: Evidence
    """Evidence that the quantile is below it."""

    @property
    def total(self) -> int:
        """How many there are."""
        return self.longer[0]

    def above(self, place: int) -> float:
        """Evidence that the quantile is above the lower bound of the bucket at a place."""
        return self.more(self.longer[place])

    def below(self, place: int) -> float:
        """Evidence that the quantile is below it."""
        return self.less(self.longer[place])


def histogram(latency: Mapping[int, int]) -> Histogram:
    """Counts by bucket, in order."""
    buckets = sorted([bucket for bucket, count in latency.items() if count > 0])
    longer = [0, *accumulate([latency[bucket] for bucket in reversed(buckets)])]
    return Histogram(buckets=tuple(buckets), longer=tuple(reversed(longer)))


def durations(of: Histogram, quantile: float) -> Durations:
    """Ready for questions about one quantile."""
    total, places = of.longer[0], len(of.buckets)
    enough = bisect_right(of.longer, -(1 - quantile) * total, hi=places, key=operator.neg)
    return Durations(
        quantile=quantile,
        buckets=of.buckets,
        longer=of.longer,
        place=max(0, enough - 1),
        more=sequences.more(total, 1 - quantile),
        less=sequences.less(total, 1 - quantile),
    )


def estimate(of: Durations) -> float:
    """The quantile in seconds, to a part of its bucket; 0 where there are no durations."""
    if not of.total:
        return 0.0
    at_least, more = of.longer[of.place], of.longer[of.place + 1]
    part = ((1 - of.quantile) * of.total - more) / (at_least - more)
    return float(figures.upper(of.buckets[of.place]) * figures.RATIO**-part)


def interval(of: Durations, level: float) -> Interval:
    """The confidence sequence of the quantile, in seconds; each bound is ever wrong with at most the chance `level`."""
    proof, places = sequences.price(level), len(of.buckets)
    unsure = _first(of, lambda place: of.above(place) < proof)
    enough = _first(of, lambda place: of.below(place + 1) >= proof)
    return Interval(
        figures.upper(of.buckets[unsure - 1] - 1) if unsure else 0.0,
        figures.upper(of.buckets[enough]) if enough < places else None,
    )


def slower(candidate: Durations, stable: Durations, level: float) -> tuple[int | None, int | None]:
    """The confidence sequence of the candidate's quantile divided by stable's, as exponents of 1.05."""
    proof = sequences.price(level)
    faster = _slower(stable, candidate, proof)
    return _slower(candidate, stable, proof), None if faster is None else -faster


def _slower(slow: Durations, fast: Durations, proof: float) -> int | None:
    """The largest s for which it is proven that the one quantile is more than 1.05^s times the other one.

    If fast's quantile lies in the bucket k, it is above the bound k-1. Evidence against that, and evidence that slow's
    is above the bound k+s, must be proof together; for every k.
    """
    start = max(0, _first(fast, lambda place: fast.below(place) > _NOTHING) - 1)
    missing, least = proof - sequences.FLOOR, math.inf
    anyway = slow.above(len(slow.buckets))
    reached = _first(slow, lambda place: slow.above(place) < missing)
    for place in range(start, len(fast.buckets)):
        while reached < len(slow.buckets) and slow.above(reached) >= missing:
            reached += 1
        if not reached:
            return None
        least = min(least, slow.buckets[reached - 1] - 1 - fast.buckets[place])
        missing = proof - fast.below(place + 1)
        if missing <= anyway:
            return int(least)
    # Nothing speaks against fast's quantile being longer than anything seen.
    return None


def _first(of: Durations, condition: Callable[[int], bool]) -> int:
    """The first place from which on the condition holds, behind the last one if it holds nowhere.

    Mostly it is near the observed quantile: from there on the steps grow until it lies between two of them.
    """
    fails, holds, place, step = -1, len(of.buckets), of.place, 1
    while fails < place < holds:
        if condition(place):
            holds, place = place, place - step
        else:
            fails, place = place, place + step
        step *= 2
    return bisect_left(range(holds), True, lo=fails + 1, key=condition)
