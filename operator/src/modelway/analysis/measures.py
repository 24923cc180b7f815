"""Findings on what is measured rather than counted: quantiles of durations, means of errors, distances of drift. Pure.

The level is that of `findings`.
"""

import math
from bisect import bisect_left, bisect_right

from modelway.analysis import distances, figures, finding, means, phrases, quantiles, sequences
from modelway.analysis.deviations import Errors
from modelway.analysis.drifts import Binned
from modelway.analysis.finding import Finding, remembered
from modelway.analysis.quantiles import Durations, Histogram
from modelway.analysis.sequences import Interval


@remembered
def latency(counts: Histogram, quantile: float, seconds: float, level: float) -> Finding:
    """A quantile, at most so many seconds. Within the limit's own bucket there is proof of neither."""
    of, proof, bucket = quantiles.durations(counts, quantile), sequences.price(level), figures.bucket(seconds)
    estimate, within = quantiles.estimate(of), quantiles.interval(of, level)

    def smallest() -> str | None:
        # As much slower as takes the lower bound to the limit.
        return phrases.duration(estimate * figures.upper(bucket) / within.low) if within.low else None

    return Finding(
        text=f"{_quantile(of, within)} of {phrases.count(of.total, 'requests')}",
        limit=seconds,
        limit_text=phrases.duration(seconds),
        estimate=estimate,
        within=within,
        is_harm=of.above(bisect_right(of.buckets, bucket)) >= proof,
        safety=lambda: float(of.below(bisect_left(of.buckets, bucket)) >= proof),
        smallest=smallest,
    )


@remembered
def slowdown(counts: Histogram, others: Histogram, quantile: float, percents: float, level: float) -> Finding:
    """A quantile, at most so many percent above stable's. The limit counts in whole buckets, see `quantiles`."""
    of, stable = quantiles.durations(counts, quantile), quantiles.durations(others, quantile)
    buckets = math.log1p(percents / 100) / math.log(figures.RATIO)
    low, high = quantiles.slower(of, stable, level)
    estimate = 100 * (quantiles.estimate(of) / quantiles.estimate(stable) - 1) if stable.total else None
    ratios = Interval(0.0 if low is None else figures.RATIO**low, None if high is None else figures.RATIO**high)
    within = finding.changes(ratios)

    def smallest() -> str | None:
        if low is None or estimate is None:
            return None
        return phrases.signed((100 + estimate) * figures.RATIO ** (math.ceil(buckets - 1e-9) - low) - 100)

    own, other = (_quantile(each, quantiles.interval(each, level)) for each in (of, stable))
    return Finding(
        text=f"{own} of {phrases.count(of.total, 'requests')} against {other} of {stable.total:,}, "
        f"{finding.change(estimate, within)}",
        limit=percents,
        limit_text=phrases.signed(percents),
        estimate=estimate,
        within=within,
        is_harm=low is not None and low >= buckets - 1e-9,
        safety=lambda: float(high is not None and high <= buckets + 1e-9),
        smallest=smallest,
    )


@remembered
def mean(of: Errors, limit: float, level: float, *, noun: str) -> Finding:
    """A mean of errors, at most `limit`."""
    proof, within = sequences.price(level), means.interval(of, level, limit)
    evidence, safety = means.above(of, limit), means.below(of, limit)
    low, high = within

    def smallest() -> str | None:
        # As much larger as takes the lower bound to the limit.
        return phrases.number(of.mean * limit / low) if low else None

    return Finding(
        text=f"{_mean(of, within)} of {phrases.count(of.moments.number, noun)}{_clipped(of)}",
        limit=limit,
        limit_text=phrases.number(limit),
        estimate=of.mean,
        within=Interval(
            limit if evidence >= proof and (low or 0.0) < limit else low,
            limit if safety >= proof and high is not None and high > limit else high,
        ),
        is_harm=evidence >= proof,
        safety=lambda: max(0.0, safety / proof),
        smallest=smallest,
    )


@remembered
def mean_change(of: Errors, stable: Errors, percents: float, level: float, *, noun: str) -> Finding:
    """A mean of errors, at most so many percent above stable's: two sequences, each at half of the level."""
    own, other = (means.interval(each, level / 2, 1.0) for each in (of, stable))
    within = finding.changes(Interval(_divided(own.low, other.high) or 0.0, _divided(own.high, other.low)))
    estimate = 100 * (of.mean / stable.mean - 1) if stable.mean else None
    low, high = within

    def smallest() -> str | None:
        # As much larger as takes the lower bound to the limit.
        if low is None or low <= -100 or estimate is None:
            return None
        return phrases.signed((100 + estimate) * (100 + percents) / (100 + low) - 100)

    return Finding(
        text=f"{phrases.number(of.mean)} of {phrases.count(of.moments.number, noun)}{_clipped(of)} against "
        f"{phrases.number(stable.mean)} of {stable.moments.number:,}, {finding.change(estimate, within)}",
        limit=percents,
        limit_text=phrases.signed(percents),
        estimate=estimate,
        within=within,
        is_harm=low is not None and low >= percents,
        safety=lambda: float(high is not None and high <= percents),
        smallest=smallest,
    )


@remembered
def drift(of: tuple[tuple[str, Binned], ...], limit: float, level: float, *, method: str) -> Finding:
    """The distance of the feature that has drifted most, at most `limit`; all of them share the level."""
    way = distances.KS if method == "KS" else distances.PSI
    seen = sorted(of, key=lambda item: way.observed(item[1]))
    far = [item for item in seen if way.observed(item[1]) > limit] or seen[-1:]
    known = [(way.measured(binned, limit, level / len(of)), name, binned) for name, binned in far]
    found, worst, binned = max(known, key=lambda item: (item[0].within.low or 0.0, item[0].estimate))
    return Finding(
        text=f"{worst} has drifted most, {way.name} {phrases.number(found.estimate)} "
        f"{phrases.bounds(found.within, phrases.number)} of {phrases.count(binned.rows, 'rows')} against "
        f"{sum(binned.reference):,} of the reference",
        limit=limit,
        limit_text=phrases.number(limit),
        estimate=found.estimate,
        within=found.within,
        is_harm=found.within.low is not None and found.within.low > limit,
        safety=lambda: 0.0,
        smallest=lambda: phrases.number(found.smallest),
    )


def _mean(of: Errors, within: Interval) -> str:
    return f"{phrases.number(of.mean)} {phrases.bounds(within, phrases.number)}"


def _clipped(of: Errors) -> str:
    return f", {of.clipped:,} of them counted as {phrases.number(of.most)}" if of.most and of.clipped else ""


def _divided(some: float | None, by: float | None) -> float | None:
    return some / by if some is not None and by else None


def _quantile(of: Durations, within: Interval) -> str:
    name = f"p{100 * of.quantile:.0f}"
    return f"{name} {phrases.duration(quantiles.estimate(of))} {phrases.bounds(within, phrases.duration)}"
