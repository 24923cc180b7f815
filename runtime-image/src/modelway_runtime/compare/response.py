"""A V2 response as far as it is compared: outputs by name, from JSON and from binary tensors. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from math import isfinite, prod
from typing import Any

import msgspec

from modelway_runtime.protocol import binary
from modelway_runtime.protocol.datatypes import DTYPES
from modelway_runtime.protocol.tensors import BadRequest

NUMBER = "NUMBER"
"""The datatype of numbers in an answer that tells no datatypes."""


class Unreadable(Exception):
    """What came back is no answer of its protocol."""


class _Parameters(msgspec.Struct):
    binary_data_size: int | None = None


class _Output(msgspec.Struct):
    name: str
    datatype: str
    shape: list[int]
    data: list[Any] | None = None
    parameters: _Parameters | None = None


class _Response(msgspec.Struct):
    outputs: list[_Output]


class _Request(msgspec.Struct):
    inputs: msgspec.Raw


_RESPONSE = msgspec.json.Decoder(_Response)
_REQUEST = msgspec.json.Decoder(_Request)


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """A tensor of an answer; `data` is flat, in row-major order."""

    datatype: str
    shape: tuple[int, ...]
    data: tuple[Any, ...]

    @property
    def width(self) -> int:
        """Values that belong to one row."""
        return prod(self.shape[1:])


Outputs = dict[str, Output]


def parse(body: bytes, json_length: int | None = None) -> Outputs:
    """The outputs of a response, of which so many bytes are JSON; raises Unreadable."""
    place = len(body) if json_length is None else json_length
    found: Outputs = {}
    try:
        for output in _RESPONSE.decode(body[:place]).outputs:
            if output.data is not None:
                data = flat(output.data, output.shape)
                if any(isinstance(value, dict) for value in data):
                    raise TypeError("a tensor holds objects")
            else:
                size = (output.parameters and output.parameters.binary_data_size) or 0
                data = _unpacked(output, body[place : place + size])
                place += size
            found[output.name] = Output(datatype=output.datatype, shape=tuple(output.shape), data=data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, TypeError, BadRequest) as error:
        raise Unreadable(str(error)) from error
    return found


def is_request(body: bytes, json_length: int | None = None) -> bool:
    """Whether a body is JSON with inputs, which is all that a model needs to say something about it.

    A raw request, of which no byte is JSON, is one, too.
    """
    if json_length == 0:
        return True
    try:
        _REQUEST.decode(body[:json_length])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
    return True


def _unpacked(output: _Output, content: bytes) -> tuple[Any, ...]:
    """The values of a binary tensor, as JSON would have them: what is no number there is None."""
    if output.datatype not in DTYPES or any(size < 1 for size in output.shape):
        raise TypeError(f"{output.datatype} {output.shape} is no tensor")
    array = binary.unpacked(content, output.datatype, output.shape, output.name, is_text=False)
    values = array.ravel().tolist()
    return tuple(None if isinstance(value, float) and not isfinite(value) else value for value in values)


def flat(data: list[Any], shape: Sequence[int]) -> tuple[Any, ...]:
    """Nested lists as one; JSON tensors may be written either way. A TypeError tells lists beside values."""
    values, size = data, prod(shape)
    while values and isinstance(values[0], list):
        values = list(chain.from_iterable(values))
    if len(values) != size or any(isinstance(value, list) for value in values):
        raise TypeError(f"{len(values)} values where the shape needs {size}")
    return tuple(values)
