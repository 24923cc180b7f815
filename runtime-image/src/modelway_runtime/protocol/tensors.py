"""What a model takes and gives: named tensors with a datatype and a shape. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from modelway_runtime.protocol.datatypes import DTYPES

Array: TypeAlias = NDArray[Any]
Arrays: TypeAlias = dict[str, Array]

DYNAMIC = -1
"""A size that each request chooses."""

COLUMN = (DYNAMIC, 1)
"""The shape of one feature's values. The second dimension may be left out of an open one."""

_MOST_DIMENSIONS = 32
"""Enough for any model; numpy and the decoders have limits of their own, which are no fault of ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorSpec:
    """A tensor of a model's interface.

    `is_open`: the model itself judges datatypes; a lone input takes any name.
    `is_any_shape`: the model does not say how many dimensions it takes.
    `columns`: the names of the second dimension; a request may send each as a tensor of its own instead.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]
    is_open: bool = False
    is_any_shape: bool = False
    columns: tuple[str, ...] = ()

    def fits(self, shape: tuple[int, ...]) -> bool:
        """Whether a request's shape agrees with every fixed size; an open tensor of unknown width takes any."""
        if self.is_open and self.shape == COLUMN:
            return shape[1:] in ((), (1,)) and len(shape) > 0
        if self.is_any_shape or (self.is_open and DYNAMIC in self.shape[1:]):
            return len(shape) <= _MOST_DIMENSIONS
        return len(shape) == len(self.shape) and all(
            wanted in (DYNAMIC, got) for wanted, got in zip(self.shape, shape, strict=True)
        )


class BadRequest(Exception):
    """A request that is wrong by itself; the message names the field."""


class InputRejected(Exception):
    """The model cannot take these tensors: the caller's fault."""


class ModelGone(Exception):
    """The process that held the model has died, in the words of the message."""


class Model(Protocol):
    """A loaded model. `predict` may be slow, and runs in one thread at a time unless `is_concurrent` is true.

    A loader that knows nothing of `is_concurrent` may leave it out: see `runs_concurrently`.
    """

    @property
    def platform(self) -> str:
        """The metadata's word for the format."""

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """What it takes."""

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """What it gives."""

    @property
    def is_batchable(self) -> bool:
        """Whether the first dimension of every tensor counts rows that do not touch each other."""

    def predict(self, inputs: Mapping[str, Array]) -> Arrays:
        """The outputs by name; raises InputRejected."""


def runs_concurrently(model: Model) -> bool:
    """Whether `predict` may run in several threads at once and lets them run: it gives the interpreter's lock away."""
    return bool(getattr(model, "is_concurrent", False))


def zeros(spec: TensorSpec, rows: int) -> Array:
    """A tensor of zeros, or of empty strings, for the warm-up; sizes that nobody knows are 1."""
    from_second = tuple(1 if size == DYNAMIC else size for size in spec.shape[1:])
    first = () if not spec.shape else (rows if spec.shape[0] == DYNAMIC else spec.shape[0],)
    if spec.datatype == "BYTES":
        return np.full(first + from_second, "", dtype=np.object_)
    return np.zeros(first + from_second, dtype=DTYPES[spec.datatype])
