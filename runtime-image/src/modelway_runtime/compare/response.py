"""A V2 response as far as it is compared: outputs by name. Pure."""

from dataclasses import dataclass
from itertools import chain
from math import prod
from typing import Any

import msgspec


class Unreadable(Exception):
    """What came back is no V2 response in JSON."""


class _Output(msgspec.Struct):
    name: str
    datatype: str
    shape: list[int]
    data: list[Any]


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


def parse(body: bytes) -> Outputs:
    """The outputs of a response; raises Unreadable."""
    try:
        found = _RESPONSE.decode(body).outputs
        return {
            output.name: Output(
                datatype=output.datatype,
                shape=tuple(output.shape),
                data=_flat(output.data, prod(output.shape)),
            )
            for output in found
        }
    except (msgspec.MsgspecError, RecursionError, TypeError) as error:
        raise Unreadable(str(error)) from error


def is_request(body: bytes) -> bool:
    """Whether a body is JSON with inputs, which is all that a model needs to say something about it."""
    try:
        _REQUEST.decode(body)
    except (msgspec.MsgspecError, RecursionError):
        return False
    return True


def _flat(data: list[Any], size: int) -> tuple[Any, ...]:
    """Nested lists as one; JSON tensors may be written either way. A TypeError tells lists beside values."""
    flat = data
    while flat and isinstance(flat[0], list):
        flat = list(chain.from_iterable(flat))
    if len(flat) != size or any(isinstance(value, list | dict) for value in flat):
        raise TypeError(f"{len(flat)} values where the shape needs {size}")
    return tuple(flat)
