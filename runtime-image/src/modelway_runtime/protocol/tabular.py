"""Answers without datatypes: a value for each row, a tensor for each output, or lines of CSV. Pure."""

import csv
import io
from base64 import b64encode
from typing import Any

import numpy as np
import orjson

from modelway_runtime.protocol.datatypes import of_array
from modelway_runtime.protocol.elements import text
from modelway_runtime.protocol.tensors import Array, Arrays

_ENCODE = orjson.OPT_SERIALIZE_NUMPY


def by_row(results: Arrays) -> Any:
    """The only output itself, or an object with all outputs for each row.

    Outputs that have no rows in common stay as they are, by name.
    """
    if len(results) == 1:
        return _only(results)
    lengths = {array.shape[:1] for array in results.values()}
    if len(lengths) > 1 or () in lengths:
        return by_name(results)
    written = {name: _rows(_written(name, array)) for name, array in results.items()}
    return [dict(zip(written, row, strict=True)) for row in zip(*written.values(), strict=True)]


def by_name(results: Arrays) -> Any:
    """The only output itself, or an object with all outputs."""
    if len(results) == 1:
        return _only(results)
    return {name: _written(name, array) for name, array in results.items()}


def encoded(answer: object) -> bytes:
    """As JSON."""
    return orjson.dumps(answer, option=_ENCODE)


def lines(results: Arrays) -> bytes:
    """A line of CSV for each row: all outputs side by side, without a header."""
    flat = [array.reshape(array.shape[0] if array.shape else 1, -1) for array in results.values()]
    rows = max(array.shape[0] for array in flat)
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    for row in range(rows):
        # JSON's numbers are the shortest that are read back as the same.
        writer.writerow([cell for array in flat if row < array.shape[0] for cell in _cells(array[row])])
    return stream.getvalue().encode()


def _only(results: Arrays) -> Any:
    ((name, array),) = results.items()
    return _written(name, array)


def _written(name: str, array: Array) -> Any:
    """Something that the JSON encoder takes; bytes of an output that is called so, or that are no text, in base64."""
    if of_array(array) != "BYTES":
        return np.ascontiguousarray(array)
    return _strings(array.tolist(), is_bytes=name.endswith("_bytes"))


def _strings(values: Any, *, is_bytes: bool) -> Any:
    if isinstance(values, list):
        return [_strings(item, is_bytes=is_bytes) for item in values]
    if is_bytes:
        return {"b64": b64encode(values if isinstance(values, bytes) else str(values).encode()).decode()}
    try:
        return values.decode() if isinstance(values, bytes) else str(values)
    except UnicodeDecodeError:
        return _strings(values, is_bytes=True)


def _rows(written: Any) -> list[Any]:
    """A value for each row; of numpy's whole numbers the JSON encoder knows some only."""
    if isinstance(written, list) or written.ndim > 1 or written.dtype.kind == "f":
        return list(written)
    rows: list[Any] = written.tolist()
    return rows


def _cells(row: Array) -> list[str]:
    if of_array(row) == "BYTES":
        return [text(value) for value in row]
    return encoded(np.ascontiguousarray(row)).decode()[1:-1].split(",")
