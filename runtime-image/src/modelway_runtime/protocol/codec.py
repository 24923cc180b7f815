"""V2 inference bodies in JSON: bytes to tensors, tensors to bytes. Pure. An error names the field."""

import math
from dataclasses import dataclass
from functools import cache
from typing import Any

import msgspec
import numpy as np
import orjson

from modelway_runtime.protocol.datatypes import DTYPES, JSON_TYPES, of_array
from modelway_runtime.protocol.tensors import COLUMN, Array, Arrays, TensorSpec

_ENCODE = orjson.OPT_SERIALIZE_NUMPY


class BadRequest(Exception):
    """A body that is wrong; the message names the field."""


class _InputTensor(msgspec.Struct, gc=False):
    name: str
    shape: list[int]
    datatype: str
    data: msgspec.Raw = msgspec.Raw()
    parameters: dict[str, Any] | None = None


class _OutputTensor(msgspec.Struct, gc=False):
    name: str
    parameters: dict[str, Any] | None = None


class _InferRequest(msgspec.Struct, gc=False):
    inputs: list[_InputTensor]
    id: str | None = None
    parameters: dict[str, Any] | None = None
    outputs: list[_OutputTensor] | None = None


@dataclass(slots=True)
class Request:
    """A request's tensors, its id, and the outputs wanted (all of them when None)."""

    inputs: Arrays
    id: str | None
    outputs: tuple[str, ...] | None


_DECODE = msgspec.json.Decoder(_InferRequest).decode


class Codec:
    """The bodies of one model: its names and shapes are known, so a request is checked while it is read."""

    def __init__(
        self, name: str, version: str, inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...]
    ) -> None:
        self._head: dict[str, Any] = {"model_name": name, **({"model_version": version} if version else {})}
        self._inputs = {spec.name: spec for spec in inputs}
        self._outputs = tuple(spec.name for spec in outputs)
        # A model with one input takes it under any name when the name carries no meaning.
        self._any_name = inputs[0] if len(inputs) == 1 and inputs[0].is_open else None
        self._columns = _columns(inputs)

    def decode(self, body: bytes) -> Request:
        """A request's tensors under the model's names; raises BadRequest."""
        try:
            request = _DECODE(body)
        except msgspec.ValidationError as error:
            raise BadRequest(_located(error)) from error
        except msgspec.DecodeError as error:
            raise BadRequest(f"the body is not JSON: {error}") from error
        except RecursionError as error:
            raise BadRequest("the body is nested too deeply") from error
        tensors: Arrays = {}
        specs = self._columns if self._is_by_column(request.inputs) else self._inputs
        any_name = self._any_name if specs is self._inputs else None
        for index, tensor in enumerate(request.inputs):
            spec = specs.get(tensor.name) or any_name
            if spec is None:
                raise BadRequest(f"inputs[{index}].name: {_unknown(tensor.name, tuple(specs))}")
            if spec.name in tensors:
                raise BadRequest(f"inputs[{index}].name: {tensor.name!r} is given twice")
            tensors[spec.name] = _array(tensor, spec, f"inputs[{index}]")
        if len(tensors) != len(specs):
            missing = ", ".join(repr(name) for name in specs if name not in tensors)
            raise BadRequest(f"inputs: {missing} missing")
        outputs = None if not request.outputs else self._wanted(request.outputs)
        return Request(tensors, request.id, outputs)

    def encode(self, request: Request, results: Arrays) -> bytes:
        """The response: outputs in the order of the request, else of the model; the id comes back."""
        names = self._outputs if request.outputs is None else request.outputs
        outputs = []
        for name in names:
            array = results[name]
            datatype = of_array(array)
            data = array.ravel() if datatype != "BYTES" else [_text(item) for item in array.ravel()]
            outputs.append({"name": name, "datatype": datatype, "shape": array.shape, "data": data})
        head = self._head if request.id is None else {**self._head, "id": request.id}
        return orjson.dumps({**head, "outputs": outputs}, option=_ENCODE)

    def _is_by_column(self, inputs: list[_InputTensor]) -> bool:
        """Whether a request sends a table column by column; a lone tensor of two dimensions is the table itself."""
        return bool(self._columns) and (
            len(inputs) > 1 or (len(self._columns) == 1 and inputs[:1] != [] and inputs[0].name in self._columns)
        )

    def _wanted(self, outputs: list[_OutputTensor]) -> tuple[str, ...]:
        for index, output in enumerate(outputs):
            if output.name not in self._outputs:
                raise BadRequest(f"outputs[{index}].name: {_unknown(output.name, self._outputs)}")
        names = tuple(output.name for output in outputs)
        if len(set(names)) < len(names):
            # A small request could ask for the same large output a million times.
            raise BadRequest("outputs: a name is given twice")
        return names


def _columns(inputs: tuple[TensorSpec, ...]) -> dict[str, TensorSpec]:
    """The columns of a model's only table, each as a tensor."""
    if len(inputs) != 1:
        return {}
    table = inputs[0]
    return {name: TensorSpec(name=name, datatype=table.datatype, shape=COLUMN, is_open=True) for name in table.columns}


def _array(tensor: _InputTensor, spec: TensorSpec, field: str) -> Array:
    """The tensor as an array of its declared datatype and shape."""
    datatype = tensor.datatype
    if datatype != spec.datatype:
        _check_datatype(datatype, spec, field)
    shape = tuple(tensor.shape)
    if not spec.fits(shape):
        raise BadRequest(f"{field}.shape: {list(shape)} does not fit {list(spec.shape)} (-1 is any size)")
    raw = bytes(tensor.data)
    if not raw:
        raise BadRequest(f"{field}.data is missing")
    if min(shape, default=1) < 1:
        raise BadRequest(f"{field}.shape: {list(shape)} has a size below 1")
    values = _values(raw, datatype, shape, field)
    try:
        with np.errstate(over="raise"):
            array = np.array(values, dtype=DTYPES[datatype])
    except (OverflowError, FloatingPointError) as error:
        raise BadRequest(f"{field}.data: a value is out of range for {datatype}") from error
    except ValueError as error:
        raise BadRequest(f"{field}.data: nested lists of unequal length") from error
    if array.dtype == np.object_ and isinstance(next(array.flat, None), list):
        # Of numbers this is an error of their conversion; of strings it is a shorter array that holds lists.
        raise BadRequest(f"{field}.data: nested lists of unequal length")
    wanted = math.prod(shape)
    if array.size != wanted:
        raise BadRequest(f"{field}.data: {array.size} values, but shape {list(shape)} needs {wanted}")
    if array.ndim > 1 and array.shape != shape:
        raise BadRequest(f"{field}.data: nested as {list(array.shape)}, but shape is {list(shape)}")
    return array.reshape(shape)


def _values(raw: bytes, datatype: str, shape: tuple[int, ...], field: str) -> list[Any]:
    """`data`, flat or nested as deep as the shape; JSON types are checked while they are read."""
    is_nested = raw[1:].lstrip()[:1] == b"[" if len(shape) > 1 else False
    try:
        values: list[Any] = _decoder(datatype, len(shape) if is_nested else 1).decode(raw)
    except msgspec.DecodeError as error:
        raise BadRequest(_located(error, f"{field}.data", datatype)) from error
    return values


@cache
def _decoder(datatype: str, depth: int) -> msgspec.json.Decoder[Any]:
    """A decoder of lists of one JSON type; few, since datatypes and depths are bounded."""
    nested: Any = JSON_TYPES[datatype]
    for _ in range(depth):
        nested = list[nested]
    return msgspec.json.Decoder(nested)


def _check_datatype(datatype: str, spec: TensorSpec, field: str) -> None:
    if datatype not in DTYPES:
        known = ", ".join(DTYPES)
        raise BadRequest(f"{field}.datatype: {datatype!r} is not one of {known}")
    if spec.is_open:
        return
    raise BadRequest(f"{field}.datatype: {datatype}, but {spec.name!r} takes {spec.datatype}")


def _located(error: Exception, field: str = "", datatype: str = "") -> str:
    """`inputs[0].shape: Expected …` from the decoder's `Expected … - at `$.inputs[0].shape``."""
    text, _, path = str(error).partition(" - at `")
    # The decoder writes `[...]` for a place in a list; the body's fields are what the caller knows.
    where = f"{field}{path.rstrip('`').removeprefix('$').removeprefix('.' if not field else '')}"
    hint = f" for datatype {datatype}" if datatype else ""
    return f"{where}: {text}{hint}" if where else f"{text}{hint}"


def _unknown(name: str, known: tuple[str, ...]) -> str:
    return f"{name!r} is unknown; the model has {', '.join(repr(item) for item in known)}"


def _text(item: object) -> str:
    """An element of a string tensor."""
    return item.decode("utf-8", "replace") if isinstance(item, bytes) else str(item)
