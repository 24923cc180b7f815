"""A request's table: as it came, or put together from its columns. Pure."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from modelway_runtime.protocol.tensors import Array, InputRejected

WHOLE = "input"
"""Name of the input that is a table of its own."""


def whole(inputs: Mapping[str, Array], names: tuple[str, ...]) -> Array:
    """The table, with its columns in the order of `names`."""
    found = inputs.get(WHOLE)
    return np.column_stack([inputs[name] for name in names]) if found is None else found


def numbers(inputs: Mapping[str, Array], names: tuple[str, ...]) -> Array:
    """The same for a model that would read strings as something else, or not say what is wrong with them."""
    found = whole(inputs, names)
    if found.dtype == np.object_:
        raise InputRejected("the model takes numbers, not strings")
    return found.reshape(-1, 1) if found.ndim == 1 else found


def frame(pandas: Any, inputs: Mapping[str, Array], names: tuple[str, ...]) -> Any:
    """A DataFrame whose columns keep their own types."""
    columns = {name: inputs[name].reshape(-1) for name in names}
    if len({column.size for column in columns.values()}) > 1:
        raise InputRejected("the columns are of unequal length")
    return pandas.DataFrame(columns)
