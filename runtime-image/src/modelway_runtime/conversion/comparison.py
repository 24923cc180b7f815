"""How far the answers of a converted model are from the original's. Pure."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from modelway_runtime import golden
from modelway_runtime.protocol.tensors import Array


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerance:
    """How far numbers may be off, as numpy.isclose has it; everything else must be equal.

    `tie`: labels may be others where the original itself is as sure of both, to this difference of probabilities.
    """

    absolute: float = golden.ABSOLUTE
    relative: float = golden.RELATIVE
    tie: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Two answers to the same row, counted from 1. `share`: of what is allowed; beyond 1 it is too much."""

    output: str
    row: int
    expected: object
    got: object
    share: float

    @property
    def is_beyond(self) -> bool:
        """Whether it is larger than the tolerance."""
        return self.share > 1.0

    def __str__(self) -> str:
        """For a person."""
        if not self.share:
            return "nothing, to the last digit"
        return f"{self.output} of row {self.row} is {_shown(self.got)}, the original's {_shown(self.expected)}"


class Unlike(Exception):
    """Answers that cannot be compared: an output is missing or has another shape."""


def worst(expected: Mapping[str, Array], got: Mapping[str, Array], tolerance: Tolerance) -> Difference:
    """The largest difference in relation to what is allowed; raises Unlike."""
    found = [_of_output(name, expected, got, tolerance) for name in expected]
    return max(found, key=lambda difference: difference.share)


def _of_output(name: str, expected: Mapping[str, Array], got: Mapping[str, Array], tolerance: Tolerance) -> Difference:
    one, other = expected[name], got.get(name)
    if other is None or other.shape != one.shape:
        shape = "missing" if other is None else f"of shape {list(other.shape)}"
        raise Unlike(f"output {name} is {shape}, the original's has {list(one.shape)}")
    if one.dtype.kind == "f" and other.dtype.kind == "f":
        shares = _of_numbers(one, other, tolerance)
    else:
        shares = np.where(one == other, 0.0, math.inf)
        if name == "label" and "probabilities" in expected and tolerance.tie:
            shares[_ties(one, other, expected["probabilities"], tolerance.tie)] = 0.0
    place = np.unravel_index(int(np.argmax(shares)), shares.shape)
    return Difference(
        output=name, row=int(place[0]) + 1, expected=one[place], got=other[place], share=float(shares[place])
    )


def _of_numbers(one: Array, other: Array, tolerance: Tolerance) -> Array:
    with np.errstate(invalid="ignore"):
        shares = np.abs(other - one) / (tolerance.absolute + tolerance.relative * np.abs(one))
    is_same = (one == other) | (np.isnan(one) & np.isnan(other))
    found: Array = np.where(is_same, 0.0, np.nan_to_num(shares, nan=math.inf))
    return found


def _ties(one: Array, other: Array, probabilities: Array, tie: float) -> Array:
    """Rows of unequal labels for which the original's two largest probabilities are nearly the same."""
    largest = np.sort(probabilities, axis=1)[:, -2:]
    found: Array = (one != other) & (largest[:, 1] - largest[:, 0] <= tie)
    return found


def _shown(value: object) -> str:
    plain = value.item() if isinstance(value, np.generic) else value
    return repr(plain)


def rows(tables: Mapping[str, Array]) -> int:
    """How many rows the tensors of a request have."""
    return len(next(iter(tables.values())))


def parts(tables: Mapping[str, Array], size: int) -> Iterator[Mapping[str, Array]]:
    """The same rows, so many at a time."""
    for start in range(0, rows(tables), size):
        yield {name: table[start : start + size] for name, table in tables.items()}
