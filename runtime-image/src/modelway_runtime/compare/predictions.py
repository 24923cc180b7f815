"""Answers of V1 and of `/invocations`, which tell no datatypes, as far as they are compared. Pure.

Their forms: `{"predictions": …}` with a value or an object of outputs for each row, `{"outputs": …}` with a tensor or
an object of them, and what servers of `/invocations` answer beside these: an object of outputs, a list of rows, CSV.
"""

import csv
from collections.abc import Sequence
from math import isfinite
from typing import Any

import msgspec

from modelway_runtime.compare.response import NUMBER, Output, Outputs, Unreadable, flat

_MOST_DEPTH = 32
_CSV = b"text/csv"
_BYTES_KEY = "b64"
_FORMS = ("predictions", "outputs")
_ALONE = "predictions"
"""What an output is called that has no name."""


def parse(body: bytes, content_type: bytes = b"") -> Outputs:
    """The outputs of an answer; raises Unreadable."""
    try:
        if content_type.lower().startswith(_CSV):
            return {_ALONE: _output(_cells(body))}
        return {name: _output(values) for name, values in _named(msgspec.json.decode(body)).items()}
    except (msgspec.MsgspecError, csv.Error, UnicodeDecodeError, RecursionError, TypeError, ValueError) as error:
        raise Unreadable(str(error)) from error


def is_request(body: bytes, content_type: bytes = b"") -> bool:
    """Whether a body is one that a model can say something about: CSV, or JSON that is no lone value."""
    if content_type.lower().startswith(_CSV):
        return bool(body.strip())
    try:
        return isinstance(msgspec.json.decode(body), dict | list)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False


def _named(answer: Any) -> dict[str, Any]:
    """Tensors by name."""
    given = next((answer[form] for form in _FORMS if form in answer), answer) if isinstance(answer, dict) else answer
    if isinstance(given, list) and given and all(_is_named(row) for row in given):
        names = given[0].keys()
        if any(row.keys() != names for row in given):
            raise TypeError("the rows have different outputs")
        return {name: [row[name] for row in given] for name in names}
    return given if _is_named(given) else {_ALONE: given}


def _is_named(value: Any) -> bool:
    return isinstance(value, dict) and value.keys() != {_BYTES_KEY}


def _output(values: Any) -> Output:
    """A tensor of nested lists of one shape, or a lone value; raises TypeError."""
    shape = _shape(values)
    data = tuple(_value(value) for value in (flat(values, shape) if shape else (values,)))
    return Output(datatype=_datatype(data), shape=shape, data=data)


def _shape(values: Any) -> tuple[int, ...]:
    shape: list[int] = []
    while isinstance(values, list):
        shape.append(len(values))
        if not values or len(shape) > _MOST_DEPTH:
            break
        values = values[0]
    return tuple(shape)


def _value(value: Any) -> Any:
    """Bytes are told apart from text, and compared as they are written."""
    if not isinstance(value, dict):
        return value
    if value.keys() != {_BYTES_KEY}:
        raise TypeError("an output holds objects")
    return str(value[_BYTES_KEY])


def _datatype(data: Sequence[Any]) -> str:
    kinds = {type(value) for value in data if value is not None}
    if kinds <= {int, float}:
        return NUMBER
    return "BOOL" if kinds == {bool} else "BYTES"


def _cells(body: bytes) -> list[list[Any]]:
    lines = csv.reader(body.decode("utf-8-sig").splitlines(), strict=True)
    return [[_cell(cell) for cell in line] for line in lines if line]


def _cell(text: str) -> Any:
    try:
        number = float(text)
    except ValueError:
        return text
    if not isfinite(number):
        return None
    return int(text) if text.strip().lstrip("+-").isdecimal() else number
