"""What is measured, as data: samples by cell, facts by name, and the reasons of what is missing. Pure."""

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple


class Cell(NamedTuple):
    """One thing that is measured in each round."""

    server: str
    model: str
    way: str
    connections: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A cell in one round."""

    per_second: float
    cpu_us: float
    failed: int
    p50_ms: float = 0.0
    p99_ms: float = 0.0


class Missing(Exception):
    """What was to be compared was not measured; says why."""


@dataclass(frozen=True, slots=True)
class Spread:
    """A median, and the least and the greatest value that was seen."""

    median: float
    low: float
    high: float


@dataclass(slots=True)
class Results:
    """All of one run."""

    samples: dict[Cell, list[Sample]] = field(default_factory=dict)
    facts: dict[str, list[float]] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
    """Why there is nothing of a server, or no fact of that name."""

    def of(self, cell: Cell) -> Sequence[Sample]:
        """The samples of a cell; raises Missing."""
        if not self.samples.get(cell):
            raise Missing(self.absent.get(name(cell)) or self.absent.get(cell.server) or "it was not measured")
        return self.samples[cell]

    def fact(self, name: str) -> Sequence[float]:
        """The values of a fact; raises Missing."""
        if not self.facts.get(name):
            raise Missing(self.absent.get(name, "it was not measured"))
        return self.facts[name]


def name(cell: Cell) -> str:
    """In words."""
    return f"{cell.server}, {cell.model}, {cell.way}, {cell.connections} at a time"


def spread(values: Sequence[float]) -> Spread:
    """Of at least one value."""
    return Spread(statistics.median(values), min(values), max(values))


def per_second(sample: Sample) -> float:
    """Requests."""
    return sample.per_second


def cpu_us(sample: Sample) -> float:
    """Of one request."""
    return sample.cpu_us


def p50_ms(sample: Sample) -> float:
    """The median of the latency."""
    return sample.p50_ms


def ratio(results: Results, ours: Cell, theirs: Cell, of: Callable[[Sample], float] = per_second) -> Spread:
    """Round by round, so that what slows a whole round cancels out."""
    pairs = zip(results.of(ours), results.of(theirs), strict=False)
    return spread([of(one) / of(other) for one, other in pairs if of(other)])


def difference(results: Results, ours: Cell, theirs: Cell, of: Callable[[Sample], float]) -> Spread:
    """The same as a difference."""
    pairs = zip(results.of(ours), results.of(theirs), strict=False)
    return spread([of(one) - of(other) for one, other in pairs])


def percentile(values: Sequence[float], share: float) -> float:
    """The least value that so large a share of them does not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * share) - 1)]


def failures(samples: Mapping[Cell, Sequence[Sample]]) -> int:
    """Requests without a good answer, over everything."""
    return sum(sample.failed for found in samples.values() for sample in found)
