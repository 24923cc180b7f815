"""Rows that are made up to compare two models on, the same ones each time. Pure."""

import math
from collections.abc import Iterable

import numpy as np

from modelway_runtime.protocol.datatypes import DTYPES
from modelway_runtime.protocol.tensors import DYNAMIC, Array, Arrays, TensorSpec

_ROWS = 256
_MOST_VALUES = 1 << 20
_SEED = 7
_MAGNITUDES = (-3.0, 4.0)


def made_up(inputs: Iterable[TensorSpec], *, is_wide: bool) -> Arrays:
    """Up to 256 rows for each input, the first of zeros; one row where the model does not take several.

    Wide rows hold numbers from a thousandth to ten thousand, since nobody knows the scale of a feature and each split
    of a tree should be met from both sides. The others are normally distributed, as features are after scaling.
    """
    specs = tuple(inputs)
    width = sum(math.prod(_sizes(spec)) for spec in specs)
    is_one = any(spec.shape[:1] != (DYNAMIC,) for spec in specs)
    rows = 1 if is_one else max(2, min(_ROWS, _MOST_VALUES // max(width, 1)))
    random = np.random.default_rng(_SEED)
    return {spec.name: _tensor(random, spec, rows, is_wide=is_wide) for spec in specs}


def _sizes(spec: TensorSpec) -> tuple[int, ...]:
    """Of one row; a size that nobody knows is 1."""
    return tuple(max(1, size) for size in spec.shape[1:])


def _tensor(random: np.random.Generator, spec: TensorSpec, rows: int, *, is_wide: bool) -> Array:
    first = () if not spec.shape else (rows if spec.shape[0] == DYNAMIC else spec.shape[0],)
    shape = first + _sizes(spec)
    numbers = random.normal(size=shape)
    if is_wide:
        numbers = np.sign(numbers) * 10.0 ** random.uniform(*_MAGNITUDES, size=shape)
    if shape:
        numbers[0] = 0.0
    made: Array = numbers.astype(np.dtype(DTYPES[spec.datatype]))
    return made
