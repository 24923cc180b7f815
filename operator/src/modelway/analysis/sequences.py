"""What counts prove about shares, however often one looks: of one revision, and the difference or ratio of two. Pure.

A share is tested as a bet against it. Whoever holds that at most one request in a hundred fails offers odds at which
betting on failures earns nothing on average; a bettor who becomes rich refutes him. The wealth after `events` of
`trials`, betting so that the log odds of the share p are tilted by t, is

    exp(t * events) / (1 + p * (exp(t) - 1)) ** trials

which depends on the two counts alone and is a supermartingale as long as no trial has a chance above p, whatever the
chances were meanwhile: by Ville's inequality it ever reaches 1/level with a chance of at most `level`, and one may look
at any time. Nobody knows the best tilt beforehand, so the stake is spread over eight of them, a rest is kept, and all
is added. Evidence is the logarithm of the wealth: 31 errors of 1,000 requests are 12.4 against a share of 1 %, where
proof at a level of 0.5 % takes 5.3. It falls with the share that is refuted and is convex in it, so that each equation
below has one solution.

Two revisions are compared along a line: "the candidate's share is at most offset + slope * stable's". For each share q
that stable may have, the bets against q and against the candidate's limit are independent; their wealths may be
multiplied, and the statement is refuted when the product is large for every q. That holds for any order and mixture of
the requests of both. It takes half (equal traffic) to three quarters (5 % against 95 %) of the requests that comparing
two intervals at half the level takes, and a fifth more than if the split of the requests were known to be the weight.

- Bets and their sums: Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting", Journal of
  the Royal Statistical Society B 86 (2024); arXiv:2010.09686.
- Mixtures and their boundaries: Howard, Ramdas, McAuliffe and Sekhon, "Time-uniform, nonparametric, nonasymptotic
  confidence sequences", Annals of Statistics 49 (2021); arXiv:1810.08240.
- Two shares: Turner and Grünwald, "Exact anytime-valid confidence intervals for contingency tables and beyond",
  Statistics & Probability Letters 198 (2023); arXiv:2203.09785. Their blocks have fixed sizes; sums have none.
"""

import math
from collections.abc import Callable
from math import exp, log, log1p
from typing import NamedTuple

from modelway.analysis import searches

_STAKES = (
    (0.0, 0.05),
    (0.02, 0.03),
    (0.05, 0.06),
    (0.1, 0.10),
    (0.2, 0.20),
    (0.5, 0.24),
    (1.0, 0.20),
    (2.0, 0.08),
    (5.0, 0.04),
)
"""Tilts, and the part of the stake on each: most on those that decide between 500 and 50,000 requests. A proof takes
about 9 % more requests than with the best smooth mixture, which one would have to choose knowing how many it takes."""
_MORE = tuple((tilt, math.expm1(tilt), log(stake)) for tilt, stake in _STAKES)
_LESS = tuple((-tilt, math.expm1(-tilt), log(stake)) for tilt, stake in _STAKES)

FLOOR = log(_STAKES[0][1])
"""Evidence never falls below the stake that is kept."""
COST = 2.0
"""About how much less evidence is than that of a bettor who knew the best tilt."""
_NEGLIGIBLE = -41.0
"""Logarithm of what is too little to change a sum with the stake that is kept, by so much as its last digit."""
_HUGE = 1e250
"""Wealth that leaves room for its slope, which is much larger."""
_TINY = 1e-12
_REMOTE = 500.0
"""Logarithm of odds, or of a ratio, beyond which there is nothing."""

Evidence = Callable[[float], float]
_Stakes = tuple[tuple[float, float, float], ...]
_Sloped = Callable[[float], tuple[float, float]]


class Share(NamedTuple):
    """Events among trials."""

    events: float
    trials: float

    @property
    def estimate(self) -> float:
        """The observed share, 0 without trials."""
        return self.events / self.trials if self.trials else 0.0


class Interval(NamedTuple):
    """What is not refuted; None where there is no bound."""

    low: float | None
    high: float | None


def price(level: float) -> float:
    """The evidence that is proof at this level."""
    return -log(level)


def above(share: Share, limit: float) -> float:
    """Evidence that the true share is above `limit`; a single event refutes a share of 0."""
    return more(share.trials, limit)(share.events)


def below(share: Share, limit: float) -> float:
    """Evidence that the true share is below `limit`."""
    return less(share.trials, limit)(share.events)


def more(trials: float, limit: float) -> Evidence:
    """Evidence that the true share is above `limit`, for any number of events; it grows with them."""
    if limit <= 0:
        return lambda events: math.inf if events else FLOOR
    return _bets(trials, limit, _MORE)


def less(trials: float, limit: float) -> Evidence:
    """Evidence that the true share is below `limit`, for any number of events; it falls with them."""
    if limit >= 1:
        return lambda events: math.inf if events < trials else FLOOR
    return _bets(trials, limit, _LESS)


def beyond(first: Share, second: Share, *, offset: float = 0.0, slope: float = 1.0, proof: float = math.inf) -> float:
    """Evidence that the first true share is above offset + slope * the second one.

    It is the least over all that the second one may be. Where it only matters whether it reaches `proof`, the search
    ends as soon as that is known.
    """
    return _compared(first, second, proof)(offset, slope)


def _compared(first: Share, second: Share, proof: float) -> Callable[[float, float], float]:
    """The same for any offset and slope."""
    above_line, below_q = _against(first, _MORE), _against(second, _LESS)

    def evidence(offset: float, slope: float) -> float:
        low, high = max(0.0, -offset / slope), min(1.0, (1 - offset) / slope)
        if high < low:
            return 2 * FLOOR

        def product(q: float) -> tuple[float, float]:
            upper, falls = above_line(offset + slope * q)
            lower, rises = below_q(q)
            return upper + lower, slope * falls + rises

        start, step = _likely(first, second, offset, slope)
        return searches.least(product, low, high, start=min(max(start, low), high), step=step, proof=proof)

    return evidence


def _likely(first: Share, second: Share, offset: float, slope: float) -> tuple[float, float]:
    """About where on the line the two shares are, by their second one, and how exactly that is known."""
    trials, others = first.trials + 1, second.trials + 1
    near = max((second.events + first.events - offset * first.trials) / (others + slope * trials), 0.0)
    weight = slope * slope * trials / (abs(offset + slope * near) + 1 / trials)
    other = others / (near + 1 / others)
    place = (weight * (first.estimate - offset) / slope + other * second.estimate) / (weight + other)
    return place, (weight + other) ** -0.5


def interval(share: Share, level: float) -> Interval:
    """The confidence sequence of a share at this moment; each bound is ever wrong with a chance of at most `level`."""
    events, trials = share
    middle = (events + 1) / (trials + 2)
    scatter = math.sqrt(2 * (price(level) + COST) / ((trials + 2) * middle * (1 - middle)))
    # Towards a half rare events become less rare, so that it is not as far as away from it.
    toward, away = log1p(scatter + scatter * scatter / 3), scatter + scatter * scatter / 5
    down, up = middle * toward + (1 - middle) * away, (1 - middle) * toward + middle * away
    return Interval(
        _bound(_against(share, _MORE), middle, -down, level) if events else 0.0,
        _bound(_against(share, _LESS), middle, up, level) if events < trials else 1.0,
    )


def _bound(against: _Sloped, middle: float, step: float, level: float) -> float:
    start, end = log(middle / (1 - middle)), math.copysign(_REMOTE, step)
    evidence: Evidence = lambda odds: against(_logistic(odds))[0]  # noqa: E731
    found = searches.crossing(evidence, start, step, proof=price(level), cost=COST, end=end)
    return _logistic(found) if found is not None else float(step > 0)


def ratio(first: Share, second: Share, level: float) -> Interval:
    """The confidence sequence of the first share divided by the second one."""
    low, inverse = _least_ratio(first, second, price(level)), _least_ratio(second, first, price(level))
    return Interval(low, 1 / inverse if inverse else None)


def difference(first: Share, second: Share, level: float) -> Interval:
    """The confidence sequence of the first share minus the second one."""
    return Interval(_least_difference(first, second, price(level)), -_least_difference(second, first, price(level)))


def _least_ratio(first: Share, second: Share, proof: float) -> float:
    """The largest number for which it is proven that the first share is more than so many times the second one."""
    if not second.trials or above(first, _TINY) + FLOOR < proof:
        return 0.0
    likely = log(first.estimate / max(second.estimate, 1 / second.trials))
    step = math.sqrt(2 * (proof + 2 * COST) * (1 / first.events + 1 / max(second.events, 1)))
    compared = _compared(first, second, proof)
    found = searches.crossing(
        lambda at: compared(0.0, exp(at)), likely, -step, proof=proof, cost=2 * COST, end=-_REMOTE
    )
    return 0.0 if found is None else exp(found)


def _least_difference(first: Share, second: Share, proof: float) -> float:
    """The largest number for which it is proven that the first share is more than the second one by as much."""
    compared = _compared(first, second, proof)
    if compared(-1.0, 1.0) < proof:
        return -1.0
    needed, trials, others = proof + 2 * COST, first.trials + 1, second.trials + 1
    scatter = first.estimate / trials + (second.estimate + 0.5 / others) / others
    step = math.sqrt(2 * needed * scatter) + 2 / 3 * needed / others
    likely = first.estimate - second.estimate
    found = searches.crossing(lambda at: compared(at, 1.0), likely, -step, proof=proof, cost=2 * COST, end=-1.0)
    return -1.0 if found is None else found


def _logistic(odds: float) -> float:
    return 1 / (1 + exp(min(-odds, _REMOTE)))


def _bets(trials: float, p: float, stakes: _Stakes) -> Evidence:
    """Evidence against the share p, for any number of events."""
    bets = [(tilt, stake - trials * log1p(p * growth)) for tilt, growth, stake in stakes]

    def evidence(events: float) -> float:
        wealth = 0.0
        try:
            for tilt, start in bets:
                wealth += exp(start + tilt * events)
        except OverflowError:
            # Beyond all proof, and a little less than it is.
            return max(start + tilt * events for tilt, start in bets)
        # Never of 0: the part of the stake that is kept is in the sum.
        return log(wealth)

    return evidence


def _against(share: Share, stakes: _Stakes) -> _Sloped:
    """Evidence against any share p, and how fast it changes with p."""
    events, trials = share
    bets = [(stake + tilt * events, growth) for tilt, growth, stake in stakes if tilt]

    def added(p: float, top: float) -> tuple[float, float]:
        # One loop over numbers: this is what a judgement does most.
        whole, change = exp(FLOOR - top), 0.0
        for start, growth in bets:
            rate = p * growth
            power = start - trials * log1p(rate) - top
            if power > _NEGLIGIBLE:
                part = exp(power)
                whole += part
                change += part * growth / (1 + rate)
        if whole > _HUGE:
            raise OverflowError
        return top + log(whole), -trials * change / whole

    def evidence(p: float) -> tuple[float, float]:
        try:
            return added(p, 0.0)
        except OverflowError:
            return added(p, max(start - trials * log1p(p * growth) for start, growth in bets))

    return evidence
