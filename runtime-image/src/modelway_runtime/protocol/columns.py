"""Tensors from JSON without datatypes and shapes: rows, columns and tables of cells. Pure. An error names the field.

Datatypes are the model's. A list is taken as it is nested; one value for each row also fits an input one column wide,
and the other way round. A table whose columns are not inputs of the model is the only input of it: column by column
where the model has names for them, else as one matrix in the order of its columns.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import msgspec

from modelway_runtime.protocol import elements
from modelway_runtime.protocol.interface import Interface, check_tensor
from modelway_runtime.protocol.tensors import DYNAMIC, Array, Arrays, BadRequest, TensorSpec

Cells = list[msgspec.Raw]

MOST_CELLS = 1_000_000
"""Each is an object for a moment, of a hundred bytes and more."""

_OPENING = re.compile(rb"[\s\[]*")
_MOST_NESTED = 32
_B64 = re.compile(rb"\s*\{\s*\"b64\"\s*:")
_RECORDS = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])
_NAMED = msgspec.json.Decoder(dict[str, msgspec.Raw])
_CELLS = msgspec.json.Decoder(Cells)
_LINES = msgspec.json.Decoder(list[Cells])


def rows(raw: bytes, interface: Interface, field: str, *, has_gaps: bool = False) -> Arrays:
    """A list with an element for each row: a value of the only input, or an object with a value for each input."""
    first = raw[1:].lstrip()
    if raw[:1] != b"[" or first[:1] == b"]":
        raise BadRequest(f"{field}: Expected a list of at least one row")
    if first[:1] != b"{" or (_B64.match(first) and "b64" not in interface.inputs):
        return _complete({spec.name: tensor(raw, spec, field) for spec in [_only(interface, field)]}, interface)
    check_cells(raw, field)
    records = _read(_RECORDS, raw, field)
    names = list(records[0])
    for index, record in enumerate(records):
        if record.keys() != records[0].keys():
            raise BadRequest(f"{field}[{index}]: has other names than the first row")
    lines = [[record[name] for name in names] for record in records]
    return table(names, lines, interface, field, has_gaps=has_gaps)


def columns(raw: bytes, interface: Interface, field: str) -> Arrays:
    """The tensor of the only input, or an object with a tensor for each input."""
    if raw[:1] != b"{" or (_B64.match(raw) and "b64" not in interface.inputs):
        return _complete({spec.name: tensor(raw, spec, field) for spec in [_only(interface, field)]}, interface)
    named = _read(_NAMED, raw, field)
    if _is_the_only_input(named, interface):
        check_cells(raw, field)
        cells = [_read(_CELLS, bytes(column), f"{field}.{name}") for name, column in named.items()]
        if len({len(column) for column in cells}) > 1:
            raise BadRequest(f"{field}: columns of unequal length")
        lines = [list(row) for row in zip(*cells, strict=True)]
        return table(list(named), lines, interface, field, has_gaps=False)
    found: Arrays = {}
    for name, column in named.items():
        spec = interface.found(name, interface.inputs, field)
        found[spec.name] = tensor(bytes(column), spec, f"{field}.{name}")
    return _complete(found, interface)


def table(
    names: Sequence[str], lines: Sequence[Cells], interface: Interface, field: str, *, has_gaps: bool = True
) -> Arrays:
    """Cells in JSON under the names of their columns; none where the columns have no names."""
    width = len(names) or (len(lines[0]) if lines else 0)
    for index, line in enumerate(lines):
        if len(line) != width:
            raise BadRequest(f"{field}[{index}]: {len(line)} values, but there are {width} columns")
    if not lines or not width:
        raise BadRequest(f"{field}: Expected at least one row and one column")
    if is_matrix(names, interface):
        spec = _only(interface, field)
        joined = _listed(_listed(line) for line in lines)
        return {spec.name: tensor(joined, spec, field, has_gaps=has_gaps)}
    specs = interface.columns if interface.columns and _is_the_only_input(names, interface) else interface.inputs
    found: Arrays = {}
    for index, name in enumerate(names or _positional(interface, width, field)):
        if name not in specs:
            raise interface.unknown_input(name, field, specs)
        if name in found:
            raise BadRequest(f"{field}: column {name!r} is given twice")
        column = _listed(line[index] for line in lines)
        found[name] = tensor(column, specs[name], f"{field}: column {name!r}", has_gaps=has_gaps)
    interface.check_all_given(found, specs)
    return found


def lines_of(raw: bytes, names: Sequence[str], interface: Interface, field: str) -> Arrays:
    """A table as a JSON list of rows; what is the only input as a whole is read as such, without a cell on its own."""
    if not is_matrix(names, interface):
        check_cells(raw, field)
        return table(names, _read(_LINES, raw, field), interface, field)
    spec = _only(interface, field)
    array = tensor(raw, spec, field, has_gaps=True)
    if names and array.shape[1:] != (len(names),):
        raise BadRequest(f"{field}: rows of the shape {list(array.shape[1:])}, but there are {len(names)} columns")
    return {spec.name: array}


def check_cells(raw: bytes, field: str) -> None:
    """Raises BadRequest where a table has so many cells that they would take many times the room of their body."""
    if raw.count(b",") + raw.count(b"\n") > MOST_CELLS:
        raise BadRequest(f"{field}: more than {MOST_CELLS} cells; send rows of the only input, or tensors")


def tensor(raw: bytes, spec: TensorSpec, field: str, *, has_gaps: bool = False) -> Array:
    """An input from its nested lists; with gaps a null is no number."""
    depth = _OPENING.match(raw).group().count(b"[")  # type: ignore[union-attr]
    if depth > _MOST_NESTED:
        raise BadRequest(f"{field}: nested too deeply")
    refusal: BadRequest | None = None
    for datatype in dict.fromkeys((spec.datatype, *(("FP64", "BOOL", "BYTES") if spec.is_open else ()))):
        try:
            return _fitted(_array(raw, datatype, depth, field, has_gaps=has_gaps), datatype, spec, field)
        except _NotOfDatatype as error:
            refusal = refusal or error
    raise refusal or BadRequest(f"{field}: no datatype fits")


class _NotOfDatatype(BadRequest):
    """Another datatype may fit."""


def _array(raw: bytes, datatype: str, depth: int, field: str, *, has_gaps: bool) -> Array:
    try:
        values = elements.read(raw, datatype, depth, field, is_loose=has_gaps or datatype == "BYTES")
    except BadRequest as error:
        raise _NotOfDatatype(str(error)) from error
    return elements.made(elements.plain(values) if datatype == "BYTES" else values, datatype, field)


def _fitted(array: Array, datatype: str, spec: TensorSpec, field: str) -> Array:
    """With as many dimensions as the model wants: one value for each row is a column."""
    if array.ndim == 1 and len(spec.shape) == 2 and spec.shape[1] in (1, DYNAMIC) and not spec.is_any_shape:
        array = array.reshape(-1, 1)
    elif array.ndim == 2 and array.shape[1] == 1 and len(spec.shape) == 1:
        array = array.reshape(-1)
    check_tensor(datatype, array.shape, spec, field)
    return array


def is_matrix(names: Collection[str], interface: Interface) -> bool:
    """Whether columns make up the only input together, and it has no names for them."""
    return _is_the_only_input(names, interface) and not (names and interface.columns)


def _is_the_only_input(names: Collection[str], interface: Interface) -> bool:
    """Whether columns are those of the only input, being none of them the input itself."""
    return len(interface.inputs) == 1 and not set(names) & interface.inputs.keys()


def _only(interface: Interface, field: str) -> TensorSpec:
    specs = tuple(interface.inputs.values())
    if len(specs) != 1:
        raise BadRequest(f"{field}: the model has the inputs {', '.join(map(repr, interface.inputs))}; name them")
    return specs[0]


def _positional(interface: Interface, width: int, field: str) -> Iterable[str]:
    if width != len(interface.inputs):
        raise BadRequest(f"{field}: {width} columns without names, but the model has {len(interface.inputs)} inputs")
    return interface.inputs


def _complete(found: Arrays, interface: Interface) -> Arrays:
    interface.check_all_given(found)
    return found


def _listed(items: Iterable[bytes | msgspec.Raw]) -> bytes:
    return b"[" + b",".join(map(bytes, items)) + b"]"


def _read(decoder: msgspec.json.Decoder[Any], raw: bytes, field: str) -> Any:
    try:
        return decoder.decode(raw)
    except elements.UNREADABLE as error:
        raise BadRequest(elements.located(error, field)) from error
    except RecursionError as error:
        raise BadRequest(f"{field}: nested too deeply") from error
