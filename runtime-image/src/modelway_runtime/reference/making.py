"""A reference from values: which bins they are counted in. Pure."""

from collections import Counter
from math import inf, isfinite, nextafter

import numpy as np

from modelway_runtime.protocol.tensors import Array
from modelway_runtime.reference.bins import MOST_CATEGORIES, MOST_LETTERS, Bins, Categories, Numbers, written

PARTS = 10
"""Bins of numbers, each with about as many."""


def bins(values: Array) -> Bins | None:
    """Categories where they are strings, booleans or few integers, else tenths of the numbers; None of nothing."""
    if values.dtype.kind == "f":
        return _numbers(values)
    few = values.dtype.kind not in "iu" or len(np.unique(values)) <= MOST_CATEGORIES
    return _categories(values) if few else _numbers(values)


def _numbers(values: Array) -> Numbers | None:
    """The edges are values, and one more lies below the least where a tenth or more is the least."""
    known = values[np.isfinite(values)]
    if not len(known):
        return None
    parts = np.arange(1, PARTS) / PARTS
    edges = np.unique(np.quantile(known, parts, method="inverted_cdf"))
    found = tuple(map(float, edges))
    below = nextafter(found[0], -inf)
    if found[0] == known.min() and isfinite(below):
        found = (below, *found)
    return Numbers(found, _counted(Numbers(found, ()), values))


def _categories(values: Array) -> Categories | None:
    seen = Counter(map(written, values.tolist()))
    named = {name: number for name, number in seen.items() if name and len(name) <= MOST_LETTERS}
    names = tuple(sorted(named, key=lambda name: (-named[name], name))[:MOST_CATEGORIES])
    return Categories(names, _counted(Categories(names, ()), values)) if names else None


def _counted(bins: Bins, values: Array) -> tuple[int, ...]:
    return tuple(bins.count(values).tolist())
