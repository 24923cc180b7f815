"""How far numeric predictions were off, as sums that add up, and that can be clipped afterwards. Pure.

Absolute errors are counted in buckets whose bounds are 1, 2 and 5 times the powers of ten from 1e-9 to 1e15. Each
bucket has the number of its errors, their sum and the sum of their squares, so that mean and variance are exact, also
of errors that are clipped at a bound: what lies above counts as the bound. So pods need not know where.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

BOUNDS = (*(float(f"{digit}e{power}") for power in range(-9, 15) for digit in (1, 2, 5)), 1e15)
"""Upper bounds of the buckets; a pod counts an error above the last as the last."""


class Moments(NamedTuple):
    """Of some values: how many, their sum, the sum of their squares."""

    number: int = 0
    total: float = 0.0
    squares: float = 0.0


Deviations = Mapping[int, Moments]
"""Moments of the absolute errors by bucket."""
_NONE = Moments()


@dataclass(frozen=True, slots=True)
class Errors:
    """Absolute errors of one revision."""

    moments: Moments
    most: float | None = None
    """The bound at which they are clipped; None: they are not."""
    clipped: int = 0
    """How many lay above it."""

    @property
    def mean(self) -> float:
        """The observed mean; 0 of none."""
        return self.moments.total / self.moments.number if self.moments.number else 0.0


def clipped(deviations: Deviations, clip: float | None) -> Errors:
    """The errors together; clipped at the first bound that is not below `clip`."""
    if clip is None:
        return Errors(_sum(deviations.values()))
    last = bisect_left(BOUNDS, clip)
    most = BOUNDS[last]
    above = count({bucket: moments for bucket, moments in deviations.items() if bucket > last})
    kept = _sum(moments for bucket, moments in deviations.items() if bucket <= last)
    moments = Moments(kept.number + above, kept.total + above * most, kept.squares + above * most * most)
    return Errors(moments, most, above)


def count(deviations: Deviations) -> int:
    """How many errors there are."""
    return sum(moments.number for moments in deviations.values())


def added(some: Deviations, others: Deviations) -> Deviations:
    """Of both together."""
    return {
        bucket: _sum((some.get(bucket, _NONE), others.get(bucket, _NONE))) for bucket in some.keys() | others.keys()
    }


def since(now: Deviations, earlier: Deviations) -> Deviations:
    """What came after an earlier reading of the same process."""
    return {
        bucket: Moments(
            moments.number - before.number,
            max(0.0, moments.total - before.total),
            max(0.0, moments.squares - before.squares),
        )
        for bucket, moments in now.items()
        if moments.number > (before := earlier.get(bucket, _NONE)).number
    }


def _sum(moments: Iterable[Moments]) -> Moments:
    found = tuple(moments)
    return Moments(
        sum(item.number for item in found), sum(item.total for item in found), sum(item.squares for item in found)
    )
