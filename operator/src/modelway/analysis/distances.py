"""How far what was counted lies from a reference, and what is proven of that, however often one looks. Pure.

Two distances of the shares p of now and q of the reference, both in the same bins:

- PSI, the population stability index: the sum over the bins of (p - q) * log(p / q). It is 0 where nothing has changed;
  usage calls 0.1 small and 0.2 large.
- KS, of Kolmogorov and Smirnov: the largest difference of the shares up to a bin; of categories, which have no order,
  that of the share of one of them.

**What chance makes.** Of n rows and m of the reference, without any drift, the PSI that is *observed* is
(bins - 1) * (1/n + 1/m) on average: 0.09 for ten bins, 100 rows and a large reference. The estimate is less by as much.

**What is proven of the PSI.** The shares of n rows lie at all times, with a chance of level, in

    {p: n * KL(observed, p) <= log(1/level) + regret}

where the regret is what a bettor loses to the observed shares who puts Dirichlet(1/2) on them: the wealth against p is
a martingale, and the set is what it does not refute. So does the reference, which is a sample itself. The PSI is at
least sum(a * p) + sum(b * q) for a = log(r) + 1 - 1/r and b = 1 - r - log(r), whatever ratios r > 0 one takes, and the
least of a linear sum over such a set is

    max over v > -min(a) of exp(sum(observed * log(a + v)) - radius) - v

so that any r and any v give a bound that holds, and the best of a few is taken. It is about the square of what the root
of the observed PSI has above the roots of twice both radii: 1,000 rows in ten bins prove of a PSI of 0.93 that it is
above 0.35, and of 0.46 that it is above 0.1. An upper bound there is none: a bin that is empty may be so by chance.

**What is proven of KS.** Each share up to a bin is a share, with the sequences of `sequences`, at a part of the level.

- Yurdakul and Naranjo, "Statistical properties of the population stability index", Journal of Risk Model Validation 14
  (2020): its mean and distribution without drift.
- Lindon and Malek, "Anytime-valid inference for multinomial count data", Advances in Neural Information Processing
  Systems 35 (2022); arXiv:2011.03567: the set.
- Honda and Takemura, "An asymptotically optimal bandit algorithm for bounded support models", Conference on Learning
  Theory (2010): the dual of a linear sum over it.
- Nguyen, Wainwright and Jordan, "Estimating divergence functionals and the likelihood ratio by convex risk
  minimization", IEEE Transactions on Information Theory 56 (2010); arXiv:0809.0853: a bound for any ratio.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import exp, lgamma, log, sqrt

from modelway.analysis import sequences
from modelway.analysis.drifts import CATEGORIES, Binned
from modelway.analysis.sequences import Interval, Share

_HALF = 0.5
"""Added to each bin where its share is estimated, so that none is infinitely far."""
_TURNS = 5
_STEPS = 20
_WIDE = 14.0
"""Logarithm of how far the best shift may lie from the spread of the weights."""
_EDGE = 1e-9
KS_CHANCE = 0.87
"""Mean of the limit distribution of Kolmogorov: without drift KS is about as much, divided by the root of the rows."""


@dataclass(frozen=True, slots=True)
class Distance:
    """What is known of one feature or prediction."""

    estimate: float
    within: Interval
    chance: float
    """What would be observed without any drift; the estimate of a PSI is less by as much."""
    smallest: float
    """About the least distance that as many rows would have proven to be above the limit."""


def psi(binned: Binned, limit: float, level: float) -> Distance:
    """The population stability index; each bound is ever wrong with a chance of at most `level`."""
    found, reference = binned.counts, binned.reference
    chance = psi_chance(binned)
    estimate = max(0.0, observed_psi(binned) - chance)
    radii = _radius(found, level / 2), _radius(reference, level / 2)
    return Distance(
        estimate=estimate,
        within=Interval(min(_least_psi(found, reference, radii), estimate), None),
        chance=chance,
        smallest=(sqrt(limit) + sum(sqrt(2 * radius) for radius in radii)) ** 2,
    )


def observed_psi(binned: Binned) -> float:
    """What is observed, to which chance has added."""
    shares = zip(_smoothed(binned.counts), _smoothed(binned.reference), strict=True)
    return sum((p - q) * log(p / q) for p, q in shares)


def psi_chance(binned: Binned) -> float:
    """The mean of what is observed without drift."""
    return (len(binned.counts) - 1) * (1 / max(1, binned.rows) + 1 / max(1, sum(binned.reference)))


def ks(binned: Binned, limit: float, level: float) -> Distance:
    """The largest difference of shares; each bound is ever wrong with a chance of at most `level`."""
    pairs = _parts(binned)
    each = level / (2 * len(pairs))
    known = [(sequences.interval(one, each), sequences.interval(other, each)) for one, other in pairs]
    estimate = max(abs(one.estimate - other.estimate) for one, other in pairs)
    low = max(max(_gap(one, other), _gap(other, one)) for one, other in known)
    high = max(max(_reach(one, other), _reach(other, one)) for one, other in known)
    return Distance(
        estimate=estimate,
        within=Interval(max(0.0, min(low, estimate)), min(1.0, max(high, estimate))),
        chance=KS_CHANCE / sqrt(max(1, binned.rows)),
        smallest=limit + estimate - max(0.0, low),
    )


def observed_ks(binned: Binned) -> float:
    """What is observed."""
    return max(abs(one.estimate - other.estimate) for one, other in _parts(binned))


@dataclass(frozen=True, slots=True)
class Method:
    """One of the two."""

    name: str
    observed: Callable[[Binned], float]
    """Never below what is proven, and soon computed."""
    measured: Callable[[Binned, float, float], Distance]
    """At a limit and a level."""


PSI, KS = Method("PSI", observed_psi, psi), Method("KS", observed_ks, ks)


def _parts(binned: Binned) -> list[tuple[Share, Share]]:
    """The shares that are compared: up to each bin but the last, or of each category."""
    found, reference = sum(binned.counts), sum(binned.reference)
    if binned.kind == CATEGORIES:
        bins = zip(binned.counts, binned.reference, strict=True)
    else:
        bins = zip(list(accumulate(binned.counts))[:-1], list(accumulate(binned.reference))[:-1], strict=True)
    return [(Share(one, found), Share(other, reference)) for one, other in bins]


def _gap(upper: Interval, lower: Interval) -> float:
    """By how much one share is above another at least."""
    return (upper.low or 0.0) - (1.0 if lower.high is None else lower.high)


def _reach(upper: Interval, lower: Interval) -> float:
    """By how much it is above the other at most."""
    return (1.0 if upper.high is None else upper.high) - (lower.low or 0.0)


def _smoothed(counts: Sequence[int]) -> list[float]:
    whole = sum(counts) + _HALF * len(counts)
    return [(count + _HALF) / whole for count in counts]


def _radius(counts: Sequence[int], level: float) -> float:
    """How far, in relative entropy, the true shares may be from those observed."""
    rows = sum(counts)
    if not rows:
        return math.inf
    own = sum(count * log(count / rows) for count in counts if count)
    prior = len(counts) * lgamma(_HALF) - lgamma(_HALF * len(counts))
    mixed = sum(lgamma(count + _HALF) for count in counts) - lgamma(rows + _HALF * len(counts)) - prior
    return (own - mixed - log(level)) / rows


def _least_psi(found: Sequence[int], reference: Sequence[int], radii: tuple[float, float]) -> float:
    """A lower bound of the index over both sets."""
    if math.inf in radii:
        return 0.0
    shares = [[count / sum(counts) for count in counts] for counts in (found, reference)]
    ratios = [p / q for p, q in zip(_smoothed(found), _smoothed(reference), strict=True)]
    best = 0.0
    for _ in range(_TURNS):
        weights = [log(r) + 1 - 1 / r for r in ratios], [1 - r - log(r) for r in ratios]
        (low, ours), (other, theirs) = map(_least, weights, shares, radii)
        best = max(best, low + other)
        # Towards the ratios at which the two sets are nearest.
        ratios = [sqrt(r * max(p, _EDGE) / max(q, _EDGE)) for r, p, q in zip(ratios, ours, theirs, strict=True)]
    return best


def _least(weights: Sequence[float], shares: Sequence[float], radius: float) -> tuple[float, list[float]]:
    """A lower bound of the weighted sum over all shares within the radius, and about where it is reached."""
    bottom, span = min(weights), max(weights) - min(weights) + _EDGE
    pairs = [(weight - bottom, share) for weight, share in zip(weights, shares, strict=True) if share]

    def bound(shift: float) -> float:
        return exp(sum([share * log(weight + shift) for weight, share in pairs]) - radius) - shift + bottom

    low, high, shift = -_WIDE, _WIDE, span
    for _ in range(_STEPS):
        # The bound is concave in the shift: its slope says on which side the best one lies.
        power = (low + high) / 2
        shift = span * exp(power)
        slope = (bound(shift) + shift - bottom) * sum([share / (weight + shift) for weight, share in pairs])
        low, high = (power, high) if slope > 1 else (low, power)
    parts = [share / (weight - bottom + shift) for weight, share in zip(weights, shares, strict=True)]
    whole = sum(parts)
    return max(bound(shift), bottom), [part / whole for part in parts]
