"""What sums prove about the mean of errors that are never negative, however often one looks. Pure.

Whoever holds that errors are m on average, or less, offers a bet at which nothing is won: for an error y and a tilt
t < 1/m the stake grows by

    exp(t * (y - m) - (-log(1 - t * m) - t * m) * ((y - m) / m) ** 2) <= 1 + t * (y - m)

(the inequality of Fan, Grama and Liu for what is never below -1, here (y - m)/m). Multiplied over all errors it depends
on their number, their sum and the sum of their squares alone. It is a supermartingale as long as the mean is m or less
whatever the errors were before: by Ville's inequality it ever reaches 1/level with a chance of at most `level`. No
bound on the errors is asked for, no variance, no normal distribution and no least number of samples: one error of a
million among a thousand of 1 makes the squares large, and proves nothing. The stake is spread over fourteen tilts, so
that nobody has to know the best; a part is kept. It adapts to the variance: half-normal errors with a mean of 1.2
refute a mean of 1 after about 500.

That a mean is *below* something can be said only of errors with a bound B, since one that has not come yet could be of
any size: then B - y is never negative either, and the same bet is made on it. So a limit that the candidate alone must
keep fails without a bound; what compares with stable, and what proves that a limit is kept, needs `clip`. Errors above
the bound count as the bound, in both revisions.

Not taken: asymptotic confidence sequences (Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, "Time-uniform central limit
theory and asymptotic confidence sequences", Annals of Statistics 52 (2024); arXiv:2103.06476), which need the same sums
and no bound, but hold only as samples grow. Where errors are rarely large the first hundreds have none that is: in half
of the streams of log-normal errors that the tests draw, their upper end lies below the true mean sooner or later, at a
level of 5 %. The bets of `sequences` would hold for y/B, too, and take several times the samples: they know no
variance.

- Fan, Grama and Liu, "Exponential inequalities for martingales with applications", Electronic Journal of Probability 20
  (2015); arXiv:1311.6273.
- Howard, Ramdas, McAuliffe and Sekhon, "Time-uniform, nonparametric, nonasymptotic confidence sequences", Annals of
  Statistics 49 (2021); arXiv:1810.08240: sums as time-uniform supermartingales, and their mixtures.
- Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting", Journal of the Royal Statistical
  Society B 86 (2024); arXiv:2010.09686: why the side without a bound needs none.
"""

import math
from math import exp, log, log1p

from modelway.analysis.deviations import Errors, Moments
from modelway.analysis.sequences import Interval

_KEPT = 0.05
_TILTS = tuple(0.01 * 2.0**power for power in range(14))
"""In units of one by the bound, or by the limit where there is no bound: the best tilt is about the excess by the
variance, and one that is off by half of it takes a tenth more samples."""
_STAKE = log((1 - _KEPT) / len(_TILTS))
FLOOR = log(_KEPT)
"""Evidence never falls below the stake that is kept."""
_STEPS = 60
_MOST = 700.0
_SMALL = 1e-5


def above(errors: Errors, limit: float) -> float:
    """Evidence that the true mean is above `limit`; a single error refutes a mean of 0."""
    if limit <= 0:
        return math.inf if errors.moments.total > 0 else FLOOR
    return _above(errors.moments, limit, errors.most or limit)


def below(errors: Errors, limit: float) -> float:
    """Evidence that the true mean of clipped errors is below `limit`; none where they are not clipped."""
    if errors.most is None:
        return FLOOR
    if limit >= errors.most:
        return math.inf if limit > errors.most or errors.mean < errors.most else FLOOR
    return _above(_mirrored(errors.moments, errors.most), errors.most - limit, errors.most)


def interval(errors: Errors, level: float, unit: float) -> Interval:
    """The confidence sequence of the mean; each bound is ever wrong with a chance of at most `level`.

    `unit` is the limit that they are held against, where they have no bound. Without a bound there is no upper end.
    """
    proof, moments = -log(level), errors.moments
    low = _least(moments, errors.most or unit, proof)
    if errors.most is None:
        return Interval(low, None)
    return Interval(low, errors.most - _least(_mirrored(moments, errors.most), errors.most, proof))


def _mirrored(moments: Moments, most: float) -> Moments:
    """The same of what is left to the bound."""
    number, total, squares = moments
    return Moments(number, most * number - total, max(0.0, most * (most * number - 2 * total) + squares))


def _least(moments: Moments, unit: float, proof: float) -> float:
    """The lower end: the largest mean, seen from the observed one, at which there is proof."""
    if not moments.number:
        return 0.0
    low, high = 0.0, moments.total / moments.number
    if high <= 0 or _above(moments, 1e-9 * high, unit) < proof:
        return 0.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if _above(moments, middle, unit) >= proof:
            low = middle
        else:
            high = middle
        if high - low <= 1e-6 * high:
            break
    return low


def _above(moments: Moments, limit: float, unit: float) -> float:
    """The logarithm of the wealth of all bets; a tilt that is too large for the limit bets nothing and is lost."""
    number, total, squares = moments
    excess = total - limit * number
    spread = max(0.0, squares - limit * (2 * total - limit * number))
    powers = [FLOOR]
    for tilt in _TILTS:
        part = tilt * limit / unit
        if part >= 1:
            break
        powers.append(_STAKE + tilt / unit * excess - _penalty(part) / limit / limit * spread)
    top = max(powers)
    return top + log(sum(exp(power - top) for power in powers if power - top > -_MOST))


def _penalty(part: float) -> float:
    """-log(1 - part) - part, also where the two are nearly the same."""
    if part < _SMALL:
        return part * part * (0.5 + part / 3)
    return -log1p(-part) - part
