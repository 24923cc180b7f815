"""`/invocations`, which SageMaker and MLflow ask: JSON in five forms, or CSV. Pure. An error names the field.

MLflow's CSV begins with the names of its columns, SageMaker's never does. `text/csv; header=present` or `absent`
decides; without that a first line is taken for names when it holds an input's name, or a cell that is no number above
nothing but numbers.
"""

import csv
import sys
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import ClassVar

import msgspec
import orjson

from modelway_runtime.protocol import columns, elements, tabular
from modelway_runtime.protocol.interface import Interface
from modelway_runtime.protocol.payloads import JSON, Payload
from modelway_runtime.protocol.tensors import Arrays, BadRequest

_CSV = b"text/csv"
_CSV_HEADERS = ((b"content-type", b"text/csv; charset=utf-8; header=absent"),)
_FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs")


class _Split(msgspec.Struct):
    data: msgspec.Raw
    columns: list[str | int | float] = []


class _Body(msgspec.Struct):
    dataframe_split: _Split | None = None
    dataframe_records: msgspec.Raw = msgspec.Raw()
    instances: msgspec.Raw = msgspec.Raw()
    inputs: msgspec.Raw = msgspec.Raw()


_BODY = msgspec.json.Decoder(_Body)


@dataclass(slots=True)
class Invocation:
    """A request's tensors, and whether its caller wants CSV."""

    inputs: Arrays
    is_csv: bool
    id: ClassVar[None] = None
    outputs: ClassVar[None] = None


class Invocations:
    """Bodies of `/invocations`."""

    def __init__(self, interface: Interface) -> None:
        self._interface = interface

    def decode(self, body: bytes, headers: Mapping[bytes, bytes]) -> Invocation:
        """A request by its content type; what is not CSV is JSON. Raises BadRequest."""
        content_type = headers.get(b"content-type", b"").lower().replace(b" ", b"")
        is_csv = headers.get(b"accept", b"").lower().lstrip().startswith(_CSV)
        if content_type.startswith(_CSV):
            return Invocation(self._from_csv(body, content_type), is_csv)
        return Invocation(self._from_json(body), is_csv)

    def encode(self, request: Invocation, results: Arrays) -> Payload:
        """`predictions`, or lines of CSV."""
        if request.is_csv:
            return _CSV_HEADERS, tabular.lines(results)
        return JSON, tabular.encoded({"predictions": tabular.by_row(results)})

    def _from_json(self, body: bytes) -> Arrays:
        request = elements.body(_BODY.decode, body)
        given = [form for form in _FORMS if (one := getattr(request, form)) is not None and one != msgspec.Raw()]
        if len(given) != 1:
            raise BadRequest(f"the body needs exactly one of {', '.join(_FORMS)}")
        if request.dataframe_split is not None:
            split = request.dataframe_split
            names = [str(name) for name in split.columns]
            return columns.lines_of(bytes(split.data), names, self._interface, f"{given[0]}.data")
        raw = bytes(getattr(request, given[0]))
        if given[0] == "inputs":
            return columns.columns(raw, self._interface, given[0])
        return columns.rows(raw, self._interface, given[0], has_gaps=given[0] == "dataframe_records")

    def _from_csv(self, body: bytes, content_type: bytes) -> Arrays:
        columns.check_cells(body, "csv")
        try:
            lines = [line for line in csv.reader(body.decode("utf-8-sig").splitlines(), strict=True) if line]
        except (csv.Error, UnicodeDecodeError) as error:
            raise BadRequest(f"the body is not CSV: {error}") from error
        if not lines:
            raise BadRequest("the body has no line of CSV")
        names: Sequence[str] = ()
        if _has_header(lines, content_type, self._interface):
            names, lines = [name.strip() for name in lines[0]], lines[1:]
        texts = _text_columns(names, self._interface)
        cells = [[_cell(cell, is_text=index in texts) for index, cell in enumerate(line)] for line in lines]
        return columns.table(names, cells, self._interface, "csv")


def _has_header(lines: Sequence[Sequence[str]], content_type: bytes, interface: Interface) -> bool:
    if b"header=" in content_type:
        return b"header=present" in content_type
    first = [name.strip() for name in lines[0]]
    if (interface.inputs.keys() | interface.columns.keys()) & set(first):
        return True
    below = [dict(enumerate(line)) for line in lines[1:]]
    return bool(below) and any(
        not _is_number(name) and all(_is_number(line.get(index, "")) for line in below)
        for index, name in enumerate(first)
    )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return not text.strip()
    return True


def _text_columns(names: Sequence[str], interface: Interface) -> Container[int]:
    """Which columns are strings, whatever stands in them."""
    specs = interface.inputs
    if columns.is_matrix(names, interface):
        (only,) = specs.values()
        return range(len(names) or sys.maxsize) if only.datatype == "BYTES" else ()
    return {index for index, name in enumerate(names or specs) if name in specs and specs[name].datatype == "BYTES"}


def _cell(text: str, *, is_text: bool) -> msgspec.Raw:
    """A cell as JSON: a number where it is one, nothing where it is empty, else a string."""
    stripped = text.strip()
    if is_text:
        return msgspec.Raw(orjson.dumps(text))
    if not stripped or stripped.lower() == "nan":
        return msgspec.Raw(b"null")
    if stripped.lower() in ("true", "false"):
        return msgspec.Raw(stripped.lower().encode())
    try:
        number = float(stripped) if set(stripped) & set(".eEnN") else int(stripped)
    except ValueError:
        return msgspec.Raw(orjson.dumps(text))
    if isinstance(number, int):
        return msgspec.Raw(str(number).encode())
    # JSON has no infinity, and one must not become a gap.
    return msgspec.Raw(orjson.dumps(number if isfinite(number) else text))
