"""What counts say about a limit on a share or a rate: a finding for each kind of limit. Pure.

Each takes the level: the chance at which it may find harm where there is none and, apart from that, the absence of harm
where there is some.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from modelway.analysis import finding, phrases, searches, sequences
from modelway.analysis.finding import Finding, remembered
from modelway.analysis.sequences import Evidence, Interval, Share

_SLOTS = 1e6
"""Parts of a second, each with an answered request or none: a rate is the share of those that have one."""


@remembered
def share(of: Share, limit: float, level: float, *, noun: str, is_least: bool = False) -> Finding:
    """A share, at most `limit`, or at least."""
    beyond, within = (sequences.less, sequences.above) if is_least else (sequences.more, sequences.below)
    test = _Test(
        of=of,
        proof=sequences.price(level),
        harm=beyond(of.trials, limit),
        safe=lambda _: within(of, limit),
        edge=limit,
        is_least=is_least,
    )
    bounds = test.agreeing(sequences.interval(of, level), limit)
    return test.finding(
        text=f"{_percents(of.estimate, bounds)} of {phrases.count(of.trials, noun)}",
        limit=limit,
        limit_text=phrases.percent(limit),
        estimate=of.estimate,
        within=bounds,
    )


@remembered
def change(of: Share, stable: Share, percents: float, level: float, *, noun: str) -> Finding:
    """A share, at most so many percent above stable's; where they are negative, at most so many below it."""
    proof, slope, is_least = sequences.price(level), 1 + percents / 100, percents < 0

    def more(own: Share, enough: float) -> float:
        return sequences.beyond(own, stable, slope=slope, proof=enough)

    def less(own: Share, enough: float) -> float:
        return sequences.beyond(stable, own, slope=1 / slope, proof=enough)

    harm, safe = (less, more) if is_least else (more, less)
    test = _Test(
        of=of,
        proof=proof,
        harm=lambda events: harm(Share(events, of.trials), proof),
        safe=lambda enough: safe(of, enough),
        edge=slope * stable.estimate,
        edge_scatter=slope * _scatter(stable),
        is_least=is_least,
    )
    within = test.agreeing(finding.changes(sequences.ratio(of, stable, level)), percents)
    estimate = 100 * (of.estimate / stable.estimate - 1) if stable.events else None
    return test.finding(
        text=f"{phrases.percent(of.estimate)} of {phrases.count(of.trials, noun)} against "
        f"{phrases.percent(stable.estimate)} of {stable.trials:,.0f}, {finding.change(estimate, within)}",
        limit=percents,
        limit_text=phrases.signed(percents),
        estimate=estimate,
        within=within,
    )


@remembered
def excess(of: Share, baseline: Share, limit: float, level: float, *, noun: str) -> Finding:
    """A share, at most `limit` above the share that stable has with itself."""
    proof = sequences.price(level)
    test = _Test(
        of=of,
        proof=proof,
        harm=lambda events: sequences.beyond(Share(events, of.trials), baseline, offset=limit, proof=proof),
        safe=lambda enough: sequences.beyond(baseline, of, offset=-limit, proof=enough),
        edge=baseline.estimate + limit,
        edge_scatter=_scatter(baseline),
    )
    within = test.agreeing(sequences.difference(of, baseline, level), limit)
    estimate = of.estimate - baseline.estimate
    return test.finding(
        text=f"{_percents(estimate, within)}, being {phrases.percent(of.estimate)} of {phrases.count(of.trials, noun)} "
        f"less {phrases.percent(baseline.estimate)} of {baseline.trials:,.0f} of stable with itself",
        limit=limit,
        limit_text=phrases.percent(limit),
        estimate=estimate,
        within=within,
    )


@remembered
def decrease(answered: Share, percents: float, level: float, *, weight: float, seconds: float) -> Finding:
    """The candidate's part of the answered requests: at most so many percent below what its weight, 0 to 1, gives it.

    A gateway draws lots with the weight for each request, so that rates are compared whatever the traffic does.
    """
    odds = weight / (1 - weight)
    limit = odds * (1 - percents / 100)
    edge = limit / (1 + limit)

    def change(part: float) -> float | None:
        return 100 * (part / (1 - part) / odds - 1) if part < 1 else None

    test = _Test(
        of=answered,
        proof=sequences.price(level),
        harm=sequences.less(answered.trials, edge),
        safe=lambda _: sequences.above(answered, edge),
        edge=edge,
        is_least=True,
    )
    low, high = sequences.interval(answered, level)
    within = test.agreeing(Interval(change(low or 0.0), None if high is None else change(high)), -percents)
    own, other = answered.events / weight, (answered.trials - answered.events) / (1 - weight)
    estimate = change(answered.estimate)
    return test.finding(
        text=f"{phrases.rate(own / seconds)} against {phrases.rate(other / seconds)} at the same weight, "
        f"{finding.change(estimate, within)}",
        limit=-percents,
        limit_text=phrases.signed(-percents),
        estimate=estimate,
        within=within,
        show=lambda part: phrases.signed(change(part) or 0.0),
    )


@remembered
def throughput(answered: int, limit: float, level: float, *, weight: float, seconds: float) -> Finding:
    """Answered requests in a second, at least `limit`, taken as if the candidate had all of the traffic."""
    trials = seconds * _SLOTS
    of, edge = Share(min(answered, trials), trials), limit * weight / _SLOTS

    def rate(part: float) -> float:
        return part * _SLOTS / weight

    test = _Test(
        of=of,
        proof=sequences.price(level),
        harm=sequences.less(trials, edge),
        safe=lambda _: sequences.above(of, edge),
        edge=edge,
        is_least=True,
    )
    low, high = sequences.interval(of, level)
    within = test.agreeing(Interval(rate(low or 0.0), rate(1.0 if high is None else high)), limit)
    return test.finding(
        text=f"{phrases.rate(rate(of.estimate))} {phrases.bounds(within, phrases.rate)} at full weight",
        limit=limit,
        limit_text=phrases.rate(limit),
        estimate=rate(of.estimate),
        within=within,
        show=lambda part: phrases.rate(rate(part)),
    )


@dataclass(frozen=True, kw_only=True)
class _Test:
    """Evidence on a share that is known for any number of events."""

    of: Share
    proof: float
    harm: Evidence
    """Evidence that the share is beyond the limit, by its events."""
    safe: Callable[[float], float]
    """Evidence that it is within the limit, as exact as tells whether there is so much."""
    edge: float
    """The share that is just within the limit."""
    edge_scatter: float = 0.0
    """How exactly that is known, where it follows from stable's share."""
    is_least: bool = False
    """Whether a share below the limit is harm, not one above it."""

    @cached_property
    def is_harm(self) -> bool:
        return self.harm(self.of.events) >= self.proof

    @cached_property
    def is_safe(self) -> bool:
        return self.safe(self.proof) >= self.proof

    def safety(self) -> float:
        return max(0.0, self.safe(math.inf) / self.proof)

    def agreeing(self, within: Interval, limit: float) -> Interval:
        """Bounds, which are approximated from outside, moved to the limit where that is known to lie beyond them."""
        low, high = within
        if (low is None or low < limit) and (self.is_safe if self.is_least else self.is_harm):
            low = limit
        if (high is None or high > limit) and (self.is_harm if self.is_least else self.is_safe):
            high = limit
        return Interval(low, high)

    @cached_property
    def least(self) -> float | None:
        """The share that is nearest to the limit and would have been proven to be beyond it."""
        trials, edge = self.of.trials, self.edge
        if not 0 <= edge <= 1:
            return None
        cost = 2 * sequences.COST if self.edge_scatter else sequences.COST
        needed, scatter = (
            self.proof + cost,
            math.hypot(math.sqrt(trials * edge * (1 - edge)), trials * self.edge_scatter),
        )
        away = math.sqrt(2 * needed) * scatter
        step, end = (min(needed / 3 - away, -1.0), 0.0) if self.is_least else (away + needed / 3 + 1, float(trials))
        events = searches.crossing(self.harm, edge * trials, step, proof=self.proof, cost=cost, end=end)
        return None if events is None else events / trials

    def finding(
        self,
        *,
        text: str,
        limit: float,
        limit_text: str,
        estimate: float | None,
        within: Interval,
        show: Callable[[float], str] = phrases.percent,
    ) -> Finding:
        """What the test proves, in the words of the metric."""

        def smallest() -> str | None:
            least = self.least
            return None if least is None else show(least)

        return Finding(
            text=text,
            limit=limit,
            limit_text=limit_text,
            side="below" if self.is_least else "above",
            estimate=estimate,
            within=within,
            is_harm=self.is_harm,
            safety=self.safety,
            smallest=smallest,
        )


def _scatter(share: Share) -> float:
    """About how exactly a share is known: its standard error."""
    return math.sqrt(share.events + 0.5) / (share.trials + 1)


def _percents(estimate: float, within: Interval) -> str:
    return f"{phrases.percent(estimate)} {phrases.bounds(within, phrases.percent)}"
