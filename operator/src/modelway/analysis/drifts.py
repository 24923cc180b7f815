"""Values of features and predictions in the bins of the model's reference, as counts that add up. Pure."""

import operator
from collections.abc import Mapping
from typing import NamedTuple

CATEGORIES = "Categories"


class Binned(NamedTuple):
    """One feature or prediction: what the reference has in each bin, and what was counted."""

    kind: str
    """`Numbers`, whose bins are in order and the last of which has what is none, or `Categories`."""
    reference: tuple[int, ...]
    counts: tuple[int, ...]

    @property
    def rows(self) -> int:
        """How many were counted."""
        return sum(self.counts)


NOT_COUNTED = Binned("", (), ())
"""What the reference does not have."""

Drifts = Mapping[str, Binned]
"""By name."""


def added(some: Drifts, others: Drifts) -> Drifts:
    """Of both together; what is held against another reference is taken as it is."""
    return {**some, **{name: _added(some.get(name), other) for name, other in others.items()}}


def since(now: Drifts, earlier: Drifts) -> Drifts:
    """What came after an earlier reading of the same process; names stay, also without rows."""
    return {name: _since(binned, earlier.get(name)) for name, binned in now.items()}


def _added(one: Binned | None, other: Binned) -> Binned:
    if one is None or one.reference != other.reference:
        return other
    return one._replace(counts=tuple(map(operator.add, one.counts, other.counts)))


def _since(now: Binned, earlier: Binned | None) -> Binned:
    if earlier is None or earlier.reference != now.reference:
        return now
    fresh = (max(0, count - before) for count, before in zip(now.counts, earlier.counts, strict=True))
    return now._replace(counts=tuple(fresh))
