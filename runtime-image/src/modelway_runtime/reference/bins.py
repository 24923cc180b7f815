"""Values counted in few bins: numbers between edges, categories by name. Pure."""

from collections import Counter
from dataclasses import dataclass, field
from math import isnan, nan
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from modelway_runtime.protocol.tensors import Array

MOST_EDGES = 15
MOST_CATEGORIES = 16
MOST_LETTERS = 64
"""Of a category that is counted for itself."""

Counts: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Numbers:
    """Bin k has the numbers above edge k-1 and up to edge k; the last one has what is no number."""

    edges: tuple[float, ...]
    counts: tuple[int, ...]
    kind = "Numbers"

    def count(self, values: Array) -> Counts:
        """How many of the values, a vector, lie in each bin."""
        edges = len(self.edges)
        try:
            numbers = values.astype(np.float64)
        except (TypeError, ValueError, OverflowError):
            numbers = np.array([_number(value) for value in values.tolist()])
        places = np.searchsorted(self.edges, numbers)
        places[np.isnan(numbers)] = edges + 1
        return np.bincount(places, minlength=edges + 2)


@dataclass(frozen=True, slots=True)
class Categories:
    """A bin for each category, and the last one for all others and for what is missing."""

    names: tuple[str, ...]
    counts: tuple[int, ...]
    places: dict[str, int] = field(init=False, compare=False)
    kind = "Categories"

    def __post_init__(self) -> None:
        object.__setattr__(self, "places", {name: place for place, name in enumerate(self.names)})

    def count(self, values: Array) -> Counts:
        """How many of the values, a vector, are of each category."""
        counts = np.zeros(len(self.names) + 1, dtype=np.int64)
        for value, number in _counter(values).items():
            counts[self.places.get(written(value), len(self.names))] += number
        return counts


Bins: TypeAlias = Numbers | Categories


def written(value: Any) -> str:
    """The name of a category, so that `1`, `"1"` and `1.0` are one; empty for what is missing."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, float):
        return "" if isnan(value) else str(int(value)) if value.is_integer() else str(value)
    return "" if value is None else str(value)


def _counter(values: Array) -> Counter[Any]:
    try:
        return Counter(values.tolist())
    except TypeError:  # a model may answer with anything
        return Counter(map(written, values.tolist()))


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return nan


def instability(reference: Counts, counts: Counts) -> float:
    """The population stability index, less what chance makes of it: (bins - 1) * (1/n + 1/m); 0 where that is more.

    Half a value is added to each bin, so that an empty one is not infinitely far. See docs/drift.md for the source.
    """
    expected, found = ((each + 0.5) / (each.sum() + 0.5 * len(each)) for each in (reference, counts))
    index = float(((found - expected) * np.log(found / expected)).sum())
    chance = (len(counts) - 1) * (1 / max(1, int(counts.sum())) + 1 / max(1, int(reference.sum())))
    return max(0.0, index - chance)
