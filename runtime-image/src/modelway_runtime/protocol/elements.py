"""Elements of tensors in JSON: a flat or nested list to an array, an array to a list. Pure. An error names the field."""

import math
from functools import cache
from typing import Any

import msgspec
import numpy as np

from modelway_runtime.protocol.datatypes import DTYPES, JSON_TYPES
from modelway_runtime.protocol.tensors import Array, BadRequest


def shaped(raw: bytes, datatype: str, shape: tuple[int, ...], field: str) -> Array:
    """A tensor of a known shape; its list is flat, or nested as deep as the shape."""
    is_nested = raw[1:].lstrip()[:1] == b"[" if len(shape) > 1 else False
    array = made(read(raw, datatype, len(shape) if is_nested else 1, field), datatype, field)
    wanted = math.prod(shape)
    if array.size != wanted:
        raise BadRequest(f"{field}: {array.size} values, but shape {list(shape)} needs {wanted}")
    if array.ndim > 1 and array.shape != shape:
        raise BadRequest(f"{field}: nested as {list(array.shape)}, but shape is {list(shape)}")
    return array.reshape(shape)


def read(raw: bytes, datatype: str, depth: int, field: str) -> list[Any]:
    """Lists as deep as said; the JSON type of each element is checked while it is read."""
    try:
        values: list[Any] = _decoder(datatype, depth).decode(raw)
    except msgspec.DecodeError as error:
        raise BadRequest(located(error, field, datatype)) from error
    except KeyError:
        raise BadRequest(f"{field}: {datatype} has no form in JSON; send binary data") from None
    return values


def made(values: list[Any], datatype: str, field: str) -> Array:
    """An array of the datatype; its values are in range and its lists of equal length."""
    try:
        with np.errstate(over="raise"):
            array = np.array(values, dtype=DTYPES[datatype])
    except (OverflowError, FloatingPointError) as error:
        raise BadRequest(f"{field}: a value is out of range for {datatype}") from error
    except ValueError as error:
        raise BadRequest(f"{field}: nested lists of unequal length") from error
    if array.dtype == np.object_ and isinstance(next(array.flat, None), list):
        # Of numbers this is an error of their conversion; of strings it is a shorter array that holds lists.
        raise BadRequest(f"{field}: nested lists of unequal length")
    return array


def text(item: object) -> str:
    """An element of a string tensor."""
    return item.decode("utf-8", "replace") if isinstance(item, bytes) else str(item)


def located(error: Exception, field: str = "", datatype: str = "") -> str:
    """`inputs[0].shape: Expected …` from the decoder's `Expected … - at `$.inputs[0].shape``."""
    words, _, path = str(error).partition(" - at `")
    # The decoder writes `[...]` for a place in a list; the body's fields are what the caller knows.
    where = f"{field}{path.rstrip('`').removeprefix('$').removeprefix('.' if not field else '')}"
    hint = f" for datatype {datatype}" if datatype else ""
    return f"{where}: {words}{hint}" if where else f"{words}{hint}"


@cache
def _decoder(datatype: str, depth: int) -> msgspec.json.Decoder[Any]:
    """A decoder of lists of one JSON type; few, since datatypes and depths are bounded."""
    nested: Any = JSON_TYPES[datatype]
    for _ in range(depth):
        nested = list[nested]
    return msgspec.json.Decoder(nested)
