"""Elements of tensors in JSON: flat or nested lists to arrays. Pure. An error names the field."""

import math
from collections.abc import Callable
from functools import cache
from typing import Annotated, Any, TypeVar

import msgspec
import numpy as np

from modelway_runtime.protocol.datatypes import DTYPES, JSON_TYPES
from modelway_runtime.protocol.tensors import Array, BadRequest

T = TypeVar("T")


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


UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError)
"""What the decoder raises; strings that are not UTF-8 it leaves to Python."""


class _Encoded(msgspec.Struct, forbid_unknown_fields=True):
    """Bytes as V1 writes them."""

    b64: bytes


def read(raw: bytes, datatype: str, depth: int, field: str, *, is_loose: bool = False) -> list[Any]:
    """Lists as deep as said; the JSON type of each element is checked while it is read.

    Loosely, a fractional number may be null, and a string an object with its bytes in base64.
    """
    try:
        values: list[Any] = _decoder(datatype, depth, is_loose=is_loose).decode(raw)
    except UNREADABLE as error:
        raise BadRequest(located(error, field, datatype)) from error
    except RecursionError as error:
        raise BadRequest(f"{field}: nested too deeply") from error
    except KeyError:
        raise BadRequest(f"{field}: {datatype} has no form in JSON; send binary data") from None
    return values


def made(values: list[Any], datatype: str, field: str) -> Array:
    """An array of the datatype; its values are in range and its lists of equal length."""
    try:
        array = np.array(values, dtype=DTYPES[datatype])
    except OverflowError as error:
        raise BadRequest(f"{field}: a value is out of range for {datatype}") from error
    except ValueError as error:
        raise BadRequest(f"{field}: nested lists of unequal length") from error
    if array.dtype == np.object_ and isinstance(next(array.flat, None), list):
        # Of numbers this is an error of their conversion; of strings it is a shorter array that holds lists.
        raise BadRequest(f"{field}: nested lists of unequal length")
    return array


def plain(values: Any) -> Any:
    """Nested lists of strings in which encoded bytes are text, or bytes where they are none."""
    if isinstance(values, list):
        return [plain(item) for item in values]
    if not isinstance(values, _Encoded):
        return values
    try:
        return values.b64.decode()
    except UnicodeDecodeError:
        return values.b64


def text(item: object) -> str:
    """An element of a string tensor."""
    return item.decode("utf-8", "replace") if isinstance(item, bytes) else str(item)


def body(decode: Callable[[Any], T], content: bytes | memoryview) -> T:
    """A whole body through its decoder; raises BadRequest."""
    try:
        return decode(content)
    except msgspec.ValidationError as error:
        raise BadRequest(located(error)) from error
    except UNREADABLE as error:
        raise BadRequest(f"the body is not JSON: {error}") from error
    except RecursionError as error:
        raise BadRequest("the body is nested too deeply") from error


def located(error: Exception, field: str = "", datatype: str = "") -> str:
    """`inputs[0].shape: Expected …` from the decoder's `Expected … - at `$.inputs[0].shape``."""
    words, _, path = str(error).partition(" - at `")
    # The decoder writes `[...]` for a place in a list; the body's fields are what the caller knows.
    where = f"{field}{path.rstrip('`').removeprefix('$').removeprefix('.' if not field else '')}"
    hint = f" for datatype {datatype}" if datatype else ""
    return f"{where}: {words}{hint}" if where else f"{words}{hint}"


_LOOSE: dict[type, Any] = {float: None, str: _Encoded}
_BOUNDS = {"FP16": 2.0**16 - 2.0**4, "FP32": 2.0**128 - 2.0**103}
"""The least numbers that are rounded to infinity in a datatype smaller than JSON's."""
_RANGES = {name: msgspec.Meta(gt=-bound, lt=bound) for name, bound in _BOUNDS.items()}


@cache
def _decoder(datatype: str, depth: int, *, is_loose: bool) -> msgspec.json.Decoder[Any]:
    """A decoder of lists of one JSON type; few, since datatypes and depths are bounded."""
    kind = JSON_TYPES[datatype]
    # The decoder checks a range in passing; to have numpy tell an overflow takes as long as to make a small array.
    nested: Any = Annotated[kind, _RANGES[datatype]] if datatype in _RANGES else kind
    if is_loose and kind in _LOOSE:
        nested = nested | _LOOSE[kind]
    for _ in range(depth):
        nested = list[nested]
    return msgspec.json.Decoder(nested)
