"""All evidence on one step since its traffic had settled, as sums: what is judged and what is kept. Pure."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import datetime
from functools import cached_property
from types import MappingProxyType
from typing import Any, Self

from pydantic.alias_generators import to_camel

from modelway.analysis import quantiles
from modelway.analysis.deviations import Moments
from modelway.analysis.drifts import Binned
from modelway.analysis.figures import Answer, Pairs, Sums
from modelway.analysis.quantiles import Histogram
from modelway.api.analysis import Metric

Json = dict[str, Any]

VERDICTS = ("Pass", "Fail", "Inconclusive")
"""What a service may answer with in place of a number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What a provider has said about one metric."""

    answers: int = 0
    """Numbers and verdicts; what is neither is no answer."""
    failures: int = 0
    """Answers beyond the limit in a row, up to the last one."""
    value: float | None = None
    """The last number; None where the last answer had none."""
    verdict: str = ""
    """The last verdict, where the provider gave one itself."""
    note: str = ""
    """What the provider said of it: the names of the alerts that fire, short and without credentials."""
    problem: str = ""
    """Why the last question has no answer; empty where it has."""
    at: datetime | None = None
    """When the provider was asked last."""

    def to_json(self) -> Json:
        """Without what is not known."""
        kept = {name: value for name, value in asdict(self).items() if value not in (None, "")}
        return {**kept, "at": self.at.isoformat()} if self.at else kept

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> Self:
        """What `to_json` made of it."""
        at = kept.get("at")
        return cls(**{**kept, "at": datetime.fromisoformat(at) if at else None})


@dataclass(frozen=True, kw_only=True)
class Window:
    """Sums over the time in which one step's weight was in force; frozen, each reading makes another one."""

    candidate: Sums = field(default_factory=Sums)
    stable: Sums = field(default_factory=Sums)
    seconds: float = 0.0
    """How long the sums were gathered."""
    weight: float = 0.0
    """Percent of the requests that the candidate was to have meanwhile."""
    pairs: Pairs = field(default_factory=Pairs)
    has_baseline: bool = True
    """Whether stable is asked some requests twice. Where it is not, each disagreement is the candidate's."""
    tallies: Mapping[str, Tally] = field(default_factory=lambda: MappingProxyType({}))
    """By the name of the metric."""

    @cached_property
    def candidate_durations(self) -> Histogram:
        """Put in order once: there is a metric for each of several quantiles."""
        return quantiles.histogram(self.candidate.latency)

    @cached_property
    def stable_durations(self) -> Histogram:
        """The same of stable."""
        return quantiles.histogram(self.stable.latency)

    def to_json(self) -> Json:
        """Plain numbers, texts and dictionaries."""
        return {
            "candidate": _sums_to_json(self.candidate),
            "stable": _sums_to_json(self.stable),
            "seconds": self.seconds,
            "weight": self.weight,
            "pairs": {to_camel(name): count for name, count in asdict(self.pairs).items()},
            "hasBaseline": self.has_baseline,
            "tallies": {name: tally.to_json() for name, tally in self.tallies.items()},
        }

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> Self:
        """What `to_json` made of it."""
        return cls(
            candidate=_sums_from_json(kept["candidate"]),
            stable=_sums_from_json(kept["stable"]),
            seconds=kept["seconds"],
            weight=kept["weight"],
            pairs=Pairs(**{item.name: kept["pairs"][to_camel(item.name)] for item in fields(Pairs)}),
            has_baseline=kept["hasBaseline"],
            tallies=MappingProxyType({name: Tally.from_json(tally) for name, tally in kept["tallies"].items()}),
        )


def tally(previous: Tally | None, answer: Answer, metric: Metric, *, at: datetime) -> Tally:
    """What is known after one more answer.

    Neither a problem nor an answer without a number ends a row of failures, and neither makes one longer.
    """
    before = previous or Tally()
    if problem := _problem(answer, metric):
        return replace(before, problem=problem, at=at)
    value = answer.value if answer.value is not None and math.isfinite(answer.value) else None
    if value is None and not answer.verdict:
        return replace(before, value=None, verdict="", note="", problem="", at=at)
    return Tally(
        answers=before.answers + 1,
        failures=before.failures + 1 if _is_failure(answer.verdict, value, metric) else 0,
        value=value,
        verdict=answer.verdict,
        note=answer.note,
        at=at,
    )


def _problem(answer: Answer, metric: Metric) -> str:
    if answer.problem or (answer.value is None and not answer.verdict):
        return answer.problem
    if answer.verdict:
        return "" if answer.verdict in VERDICTS else f"verdict {answer.verdict!r} is none of {', '.join(VERDICTS)}"
    if metric.has_bound or metric.alertmanager:
        return ""
    return "a number without a verdict, and the metric has no limit: write min or max"


def _is_failure(verdict: str, value: float | None, metric: Metric) -> bool:
    if verdict or value is None:
        return verdict == "Fail"
    if not metric.has_bound:
        return value > 0  # alerts that fire
    return (metric.min is not None and value < metric.min) or (metric.max is not None and value > metric.max)


def _sums_to_json(sums: Sums) -> Json:
    latency = {str(bucket): count for bucket, count in sorted(sums.latency.items())}
    labelled = {"labels": sums.labels, "right": sums.right} if sums.labels else {}
    off = {str(bucket): list(moments) for bucket, moments in sorted(sums.deviations.items())}
    drifted = {name: list(binned) for name, binned in sorted(sums.drifts.items())}
    told = {**labelled, **({"deviations": off} if off else {}), **({"drifts": drifted} if drifted else {})}
    return {"requests": sums.requests, "errors": sums.errors, "latency": latency, **told}


def _sums_from_json(kept: Mapping[str, Any]) -> Sums:
    latency = MappingProxyType({int(bucket): count for bucket, count in kept["latency"].items()})
    return Sums(
        requests=kept["requests"],
        errors=kept["errors"],
        latency=latency,
        labels=kept.get("labels", 0),
        right=kept.get("right", 0),
        deviations={int(bucket): Moments(*moments) for bucket, moments in kept.get("deviations", {}).items()},
        drifts={
            name: Binned(kind, tuple(reference), tuple(counts))
            for name, (kind, reference, counts) in kept.get("drifts", {}).items()
        },
    )
