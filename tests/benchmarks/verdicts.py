"""`make bench-verdicts`: how often verdicts err, how many requests they take, and what they cost, by simulation.

Rollouts are drawn from a seed: each interval brings some requests, of which the gateway gives the candidate its share
by lot, and every metric is judged after each interval, as the operator does.
"""

import argparse
import math
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator
from scipy.stats import binom

from modelway.analysis import figures, segments, sequences
from modelway.analysis.figures import Pairs, Sums
from modelway.analysis.judgement import judge, spent
from modelway.analysis.sequences import Share
from modelway.analysis.verdicts import Verdict
from modelway.analysis.window import Window
from modelway.api.analysis import Analysis, By, Metric

CONFIDENCE_PERCENT = 95
WEIGHTS = (5, 25, 50)
"""Percent, of the steps of a rollout."""
LOOKS = 40
"""Intervals in each step."""
REQUESTS = 1000
"""In each interval, of both revisions; a step has 2,000 to 20,000 of the candidate."""
MOST = 20_000
"""Requests of the candidate, or pairs, in which a fault is to be found."""
MIRRORED = 0.2
BASELINE = 0.1
SHARES = (0.4, 0.2, 0.1, 0.08, 0.06, 0.05, 0.04, 0.03, 0.02, 0.01, 0.009, 0.001)
"""Of the requests, by group: ten with a name, the others, and those without a value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """How a revision behaves."""

    errors: float = 0.01
    median: float = 0.05
    """Seconds; latencies are log-normal."""
    spread: float = 0.5
    flips: float = 0.01
    """Part of the answers that differ from the first ones of stable."""
    comes_back: float = 1.0
    """Part of its requests that are ever counted, as answered or as an error."""

    @property
    def p99(self) -> float:
        """In seconds."""
        return self.median * math.exp(2.3263 * self.spread)

    def buckets(self) -> tuple[Sequence[int], Sequence[float]]:
        """The buckets of its latencies, and their probabilities."""
        near, far = figures.bucket(self.median * math.exp(-6 * self.spread)), figures.bucket(self.median * 20)
        below = [self._below(figures.upper(index)) for index in range(near - 1, far + 1)]
        steps = np.diff([*below[:-1], 1.0])
        return range(near, far + 1), steps / steps.sum()

    def _below(self, seconds: float) -> float:
        return 0.5 + 0.5 * math.erf(math.log(seconds / self.median) / self.spread / math.sqrt(2))


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """How much traffic a step has, and how often it is looked at."""

    weight: int
    """Percent."""
    looks: int = LOOKS
    requests: float = REQUESTS
    """In each interval, on average, of both revisions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """A fault, and a metric that is meant to find it."""

    name: str
    metric: Metric
    stable: Revision
    candidate: Revision


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What became of many steps with the same fault."""

    part: float
    """Of the steps, how many ended in the verdict that was waited for."""
    samples: tuple[float, ...]
    """Requests of the candidate until then, or infinity."""

    @property
    def median(self) -> float:
        """Requests until half of the steps had it."""
        return statistics.median(self.samples)

    @property
    def late(self) -> float:
        """Requests until 95 % of the steps had it."""
        return sorted(self.samples)[math.ceil(0.95 * len(self.samples)) - 1]


SAME = Revision()
TIGHTEST = (
    Metric(name="errors", builtin="ErrorRate", max_increase_percent=1),
    Metric(name="slow", builtin="LatencyP99", max_increase_percent=1),
    Metric(name="answers", builtin="Disagreement", max=0.0),
)
"""The strictest limits there are: equal revisions lie just within, or nearly so, and every look is a temptation."""
USUAL = (
    Metric(name="errors", builtin="ErrorRate", max_increase_percent=50),
    Metric(name="slow", builtin="LatencyP99", max_increase_percent=20),
    Metric(name="answers", builtin="Disagreement", max=0.01),
)
EFFECTS = (
    Effect(
        name="errors 1 % to 3 %, limit +50 %",
        metric=USUAL[0],
        stable=SAME,
        candidate=replace(SAME, errors=0.03),
    ),
    Effect(
        name="errors 1 % to 3 %, limit 1.5 %",
        metric=Metric(name="errors", builtin="ErrorRate", max=0.015),
        stable=SAME,
        candidate=replace(SAME, errors=0.03),
    ),
    Effect(
        name="p99 +50 %, limit +20 %",
        metric=USUAL[1],
        stable=SAME,
        candidate=replace(SAME, median=0.075),
    ),
    Effect(
        name="3 % more answers differ than the 1 % that do anyway, limit 1 %",
        metric=USUAL[2],
        stable=SAME,
        candidate=replace(SAME, flips=0.04),
    ),
    Effect(
        name="3 % of the answers differ, none does otherwise, limit 1 %",
        metric=USUAL[2],
        stable=replace(SAME, flips=0.0),
        candidate=replace(SAME, flips=0.03),
    ),
    Effect(
        name="throughput -30 %, limit -10 %",
        metric=Metric(name="flow", builtin="Throughput", max_decrease_percent=10),
        stable=SAME,
        candidate=replace(SAME, comes_back=0.7),
    ),
)


def windows(random: Generator, step: Step, stable: Revision, candidate: Revision) -> Iterator[Window]:
    """What is known after each interval of a step."""
    drawn = [_Counts(revision) for revision in (candidate, stable)]
    pairs = Pairs()
    for look in range(1, step.looks + 1):
        arrived = int(random.poisson(step.requests))
        own = int(random.binomial(arrived, step.weight / 100))
        for counts, requests in zip(drawn, (own, arrived - own), strict=True):
            counts.draw(random, requests)
        pairs += _pairs(random, arrived, stable, candidate)
        yield Window(
            candidate=drawn[0].sums(), stable=drawn[1].sums(), seconds=30.0 * look, weight=step.weight, pairs=pairs
        )


def divided(
    random: Generator, step: Step, stable: Revision, candidate: Revision
) -> Iterator[tuple[Window, Mapping[str, Window]]]:
    """The same of all requests and of each group, where groups have different parts of the requests."""
    parts = {
        f"group {number}": windows(random, replace(step, requests=step.requests * share), stable, candidate)
        for number, share in enumerate(SHARES)
    }
    for found in zip(*parts.values(), strict=True):
        sums = {side: sum((getattr(part, side) for part in found), Sums()) for side in ("candidate", "stable")}
        yield replace(found[0], pairs=Pairs(), **sums), dict(zip(parts, found, strict=True))


class _Counts:
    """The sums of one revision so far."""

    def __init__(self, revision: Revision) -> None:
        self.revision = revision
        self.buckets, self.probabilities = revision.buckets()
        self.latency = np.zeros(len(self.buckets), dtype=np.int64)
        self.errors = 0

    def draw(self, random: Generator, requests: int) -> None:
        counted = int(random.binomial(requests, self.revision.comes_back))
        errors = int(random.binomial(counted, self.revision.errors))
        self.errors += errors
        self.latency += random.multinomial(counted - errors, self.probabilities)

    def sums(self) -> Sums:
        counts = self.latency.tolist()
        latency = {bucket: count for bucket, count in zip(self.buckets, counts, strict=True) if count}
        return Sums(requests=self.errors + sum(counts), errors=self.errors, latency=latency)


def _pairs(random: Generator, arrived: int, stable: Revision, candidate: Revision) -> Pairs:
    pairs = int(random.binomial(arrived, MIRRORED))
    baseline = int(random.binomial(pairs, BASELINE))
    return Pairs(
        pairs=pairs,
        disagreements=int(random.binomial(pairs, candidate.flips)),
        baseline_pairs=baseline,
        baseline_disagreements=int(random.binomial(baseline, stable.flips)),
    )


def is_aborted(
    random: Generator, metrics: Sequence[Metric], revision: Revision, *, candidate: Revision | None = None
) -> bool:
    """Whether any metric fails at any look at any step of a rollout, by default from a revision to its equal."""
    level = spent(CONFIDENCE_PERCENT, len(metrics), len(WEIGHTS))
    analysis = Analysis(confidence_percent=CONFIDENCE_PERCENT)
    is_divided = any(metric.by for metric in metrics)
    return any(
        segments.judge(metric, window, groups, analysis, level).verdict is Verdict.FAIL
        for weight in WEIGHTS
        for window, groups in _looks(random, Step(weight=weight), revision, candidate or revision, is_divided)
        for metric in metrics
    )


def _looks(
    random: Generator, step: Step, stable: Revision, candidate: Revision, is_divided: bool
) -> Iterator[tuple[Window, Mapping[str, Window]]]:
    if is_divided:
        yield from divided(random, step, stable, candidate)
    else:
        yield from ((window, {}) for window in windows(random, step, stable, candidate))


def just_met(revision: Revision) -> tuple[Metric, ...]:
    """Limits that a revision lies exactly on, so that each bit of chance is beyond them."""
    return (
        Metric(name="errors", builtin="ErrorRate", max=revision.errors),
        Metric(name="slow", builtin="LatencyP99", max=revision.p99),
        Metric(name="flow", builtin="Throughput", max_decrease_percent=1),
    )


def each_met(revision: Revision) -> tuple[Metric, ...]:
    """The same limits for each group, of which there are as many as there may be."""
    by = By(input="language", max_groups=len(SHARES) - 2)
    return tuple(metric.model_copy(update={"by": by}) for metric in just_met(revision)[:2])


def false_aborts(seed: int, rollouts: int, limits: Callable[[Revision], Sequence[Metric]]) -> int:
    """How many of so many rollouts without a fault are taken back. Error rates are 0.5 % to 2 %."""
    random = np.random.default_rng(seed)
    aborted = 0
    for _ in range(rollouts):
        revision = replace(SAME, errors=float(random.uniform(0.005, 0.02)), flips=float(random.uniform(0.0, 0.05)))
        aborted += is_aborted(random, limits(revision), revision)
    return aborted


def one_look_aborts(seed: int, rollouts: int) -> int:
    """The same for one metric, errors that are just met, and the exact test for one look at 5 %, made at every look."""
    random, aborted = np.random.default_rng(seed), 0
    for _ in range(rollouts):
        share = float(random.uniform(0.005, 0.02))
        drawn = random.binomial(REQUESTS, np.array([[weight / 100] for weight in WEIGHTS]), size=(len(WEIGHTS), LOOKS))
        errors = random.binomial(drawn, share).cumsum(axis=1)
        chance = binom.sf(errors - 1, drawn.cumsum(axis=1), share)
        aborted += bool((chance <= (100 - CONFIDENCE_PERCENT) / 100).any())
    return aborted


def found(
    seed: int, steps: int, effect: Effect, step: Step, *, verdict: Verdict = Verdict.FAIL, decision: str = "NoHarm"
) -> Found:
    """How many requests of the candidate it takes until a verdict, one metric of three in one step of three."""
    random = np.random.default_rng(seed)
    level = spent(CONFIDENCE_PERCENT, len(USUAL), len(WEIGHTS))
    analysis = Analysis.model_validate({"confidence_percent": CONFIDENCE_PERCENT, "decision": decision})
    samples = []
    for _ in range(steps):
        judged = (
            (judge(effect.metric, window, analysis, level), window)
            for window in windows(random, step, effect.stable, effect.candidate)
        )
        samples.append(next((_asked(effect, window) for item, window in judged if item.verdict is verdict), math.inf))
    return Found(part=sum(math.isfinite(number) for number in samples) / steps, samples=tuple(samples))


def _asked(effect: Effect, window: Window) -> int:
    """Requests that the candidate was asked; for answers the pairs."""
    return window.pairs.pairs if effect.metric.needs_shadow else window.candidate.requests


def main() -> int:
    """Prints the tables of the documentation."""
    arguments = _arguments()
    print(f"\nFalse aborts, {arguments.rollouts:,} rollouts, stated {100 - CONFIDENCE_PERCENT} %\n")
    print("\n".join(_aborts(arguments.seed, arguments.rollouts)))
    print("\nUntil Fail\n")
    print("\n".join(_detections(arguments.seed, arguments.steps)))
    print("\nUntil Pass with Evidence\n")
    print("\n".join(_passes(arguments.seed, arguments.steps)))
    print("\nUntil Fail, errors of exactly 3 %\n")
    print("\n".join(_limits()))
    print("\nA judgement\n")
    print("\n".join(_costs(arguments.seed)))
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="verdicts", description="How verdicts err, and what they take")
    parser.add_argument("--seed", type=int, default=60)
    parser.add_argument("--rollouts", type=int, default=1000, help="without a fault")
    parser.add_argument("--steps", type=int, default=200, help="with each fault")
    return parser.parse_args()


def _aborts(seed: int, rollouts: int) -> Iterator[str]:
    yield "| limits | taken back | 95 % interval |\n|---|---|---|"
    for name, limits in (
        ("strictest: +1 %, +1 %, no more than the noise", lambda _: TIGHTEST),
        ("met exactly", just_met),
        ("usual: +50 %, +20 %, 1 % above the noise", lambda _: USUAL),
    ):
        yield _aborted(name, false_aborts(seed, rollouts, limits), rollouts)
    few = max(1, rollouts * 3 // 10)
    name = f"met exactly in each of {len(SHARES)} groups, {few} rollouts"
    yield _aborted(name, false_aborts(seed, few, each_met), few)
    yield _aborted(
        "errors met exactly, a test for one look at 5 % made at each", one_look_aborts(seed, rollouts), rollouts
    )


def _aborted(name: str, aborted: int, rollouts: int) -> str:
    low, high = wilson(aborted, rollouts)
    return f"| {name} | {_percent(aborted / rollouts)} | {_percent(low)} to {_percent(high)} |"


def wilson(events: int, trials: int) -> tuple[float, float]:
    """The 95 % interval of a share that is looked at once."""
    share, z2 = events / trials, 1.96**2
    middle, wide = share + z2 / (2 * trials), math.sqrt(z2 * (share * (1 - share) / trials + z2 / (4 * trials**2)))
    return max(0.0, (middle - wide) / (1 + z2 / trials)), min(1.0, (middle + wide) / (1 + z2 / trials))


def _detections(seed: int, steps: int) -> Iterator[str]:
    yield f"| fault and limit | weight | found within {MOST:,} | median | 95 % |\n|---|---|---|---|---|"
    for effect in EFFECTS:
        for step in steps_for(effect.metric):
            seen = found(seed, steps, effect, step)
            yield f"| {effect.name} | {step.weight} % | {_seen(seen)} |"


def _passes(seed: int, steps: int) -> Iterator[str]:
    yield f"| limit, equal revisions | weight | passed within {MOST:,} | median | 95 % |\n|---|---|---|---|---|"
    for metric in (
        Metric(name="errors", builtin="ErrorRate", max=0.02),
        Metric(name="errors", builtin="ErrorRate", max_increase_percent=50),
        Metric(name="errors", builtin="ErrorRate", max_increase_percent=100),
        Metric(name="slow", builtin="LatencyP50", max_increase_percent=20),
        Metric(name="slow", builtin="LatencyP99", max_increase_percent=20),
        Metric(name="slow", builtin="LatencyP99", max_increase_percent=50),
        Metric(name="answers", builtin="Disagreement", max=0.01),
        Metric(name="flow", builtin="Throughput", max_decrease_percent=10),
    ):
        for step in steps_for(metric):
            effect = Effect(name=_limit(metric), metric=metric, stable=SAME, candidate=SAME)
            seen = found(seed, steps, effect, step, verdict=Verdict.PASS, decision="Evidence")
            yield f"| {effect.name} | {step.weight} % | {_seen(seen)} |"


def _limits() -> Iterator[str]:
    yield "| `max` | requests | of one group of ten |\n|---|---|---|"
    level = spent(CONFIDENCE_PERCENT, len(USUAL), len(WEIGHTS))
    for limit in (0.005, 0.01, 0.015, 0.02, 0.025):
        alone, one_of_ten = (_proven(limit, sequences.price(part)) for part in (level, level / (len(SHARES) + 1)))
        yield f"| {_percent(limit)} | {alone:,} | {one_of_ten:,} |"


def _proven(limit: float, proof: float) -> int:
    """Requests until exactly 3 % errors are proven to be above a limit."""
    return next(
        number for number in range(20, 10**6, 10) if sequences.above(Share(0.03 * number, number), limit) >= proof
    )


def steps_for(metric: Metric) -> tuple[Step, ...]:
    """Fifty requests of the candidate, or pairs, between two looks."""
    looks = MOST // 50
    if metric.needs_shadow:
        return (Step(weight=5, looks=looks, requests=int(50 / MIRRORED)),)
    return tuple(Step(weight=weight, looks=looks, requests=50 * 100 // weight) for weight in (5, 50))


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _seen(seen: Found) -> str:
    return f"{_percent(seen.part)} | {_number(seen.median)} | {_number(seen.late)}"


def _number(requests: float) -> str:
    return f"{requests:,.0f}" if math.isfinite(requests) else "more"


def _limit(metric: Metric) -> str:
    if metric.max is not None:
        return f"{metric.builtin} max {metric.max:g}"
    if metric.max_increase_percent is not None:
        return f"{metric.builtin} +{metric.max_increase_percent} %"
    return f"{metric.builtin} -{metric.max_decrease_percent} %"


def _costs(seed: int) -> Iterator[str]:
    yield "| metric | microseconds, median | most |\n|---|---|---|"
    random, analysis, level = np.random.default_rng(seed), Analysis(), spent(CONFIDENCE_PERCENT, 3, 3)
    seen = list(windows(random, Step(weight=5, looks=60), SAME, SAME))
    for metric in {effect.metric.name + _limit(effect.metric): effect.metric for effect in EFFECTS}.values():
        spans = []
        for window in seen:
            began = time.process_time_ns()
            for _ in range(20):
                judge(metric, window, analysis, level)
            spans.append((time.process_time_ns() - began) / 20_000)
        yield f"| {_limit(metric)} | {statistics.median(spans):.0f} | {max(spans):.0f} |"


if __name__ == "__main__":
    sys.exit(main())
