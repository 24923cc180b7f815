"""Requests and answers of ModelInfer: messages to tensors and back. Pure. An error names the field."""

import math
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError

from modelway_runtime.protocol import binary
from modelway_runtime.protocol.codec import Request
from modelway_runtime.protocol.datatypes import DTYPES, of_array
from modelway_runtime.protocol.interface import Interface, check_tensor
from modelway_runtime.protocol.tensors import Array, Arrays, BadRequest
from modelway_runtime.rpc.messages import message

_REQUEST, _RESPONSE = message("ModelInferRequest"), message("ModelInferResponse")
_CONTENTS = {
    "BOOL": "bool_contents",
    **dict.fromkeys(("INT8", "INT16", "INT32"), "int_contents"),
    "INT64": "int64_contents",
    **dict.fromkeys(("UINT8", "UINT16", "UINT32"), "uint_contents"),
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}
"""Where the elements of each datatype stand in a message. FP16 and BF16 have no place there and come raw only."""


class CallCodec:
    """The messages of one model."""

    def __init__(self, name: str, version: str, interface: Interface) -> None:
        self._head = {"model_name": name, "model_version": version}
        self._interface = interface

    def decode(self, asked: Any) -> Request:
        """The tensors of a request under the model's names; raises BadRequest."""
        raw = asked.raw_input_contents
        if raw and len(raw) != len(asked.inputs):
            raise BadRequest(f"raw_input_contents: {len(raw)} of them, but {len(asked.inputs)} inputs")
        interface = self._interface
        tensors: Arrays = {}
        specs = interface.asked([tensor.name for tensor in asked.inputs]) if interface.columns else interface.inputs
        for index, tensor in enumerate(asked.inputs):
            field = f"inputs[{index}]"
            spec = interface.found(tensor.name, specs, field)
            if spec.name in tensors:
                raise BadRequest(f"{field}.name: {tensor.name!r} is given twice")
            shape = tuple(tensor.shape)
            check_tensor(tensor.datatype, shape, spec, field)
            if not raw:
                tensors[spec.name] = _of_contents(tensor, shape, field, is_text=not spec.is_open)
            elif tensor.HasField("contents"):
                raise BadRequest(f"{field}.contents: give it or raw_input_contents, not both")
            else:
                field = f"raw_input_contents[{index}]"
                tensors[spec.name] = binary.unpacked(
                    raw[index], tensor.datatype, shape, field, is_text=not spec.is_open
                )
        interface.check_all_given(tensors, specs)
        outputs = tuple(output.name for output in asked.outputs)
        interface.check_outputs(outputs)
        return Request(tensors, asked.id, outputs or None)

    def encode(self, request: Request, results: Arrays, *, is_raw: bool) -> bytes:
        """The answer, raw where the request was; outputs in the order of the request, else of the model."""
        answer = _RESPONSE(id=request.id, **self._head)
        names = request.outputs or self._interface.outputs
        is_raw = is_raw or not all(of_array(results[name]) in _CONTENTS for name in names)
        for name in names:
            array = results[name]
            datatype = of_array(array)
            output = answer.outputs.add(name=name, datatype=datatype, shape=array.shape)
            if is_raw:
                answer.raw_output_contents.append(bytes(binary.packed(array)))
            else:
                _fill(output.contents, array, datatype)
        payload: bytes = answer.SerializeToString()
        return payload


def parsed(payload: bytes) -> Any:
    """A request as a message; raises BadRequest."""
    try:
        return _REQUEST.FromString(payload)
    except DecodeError as error:
        raise BadRequest("the message is no ModelInferRequest") from error


def _of_contents(tensor: Any, shape: tuple[int, ...], field: str, *, is_text: bool) -> Array:
    datatype = tensor.datatype
    name = _CONTENTS.get(datatype)
    if name is None:
        raise BadRequest(f"{field}.datatype: {datatype} comes in raw_input_contents only")
    values, wanted = getattr(tensor.contents, name), math.prod(shape)
    field = f"{field}.contents.{name}"
    if len(values) != wanted:
        raise BadRequest(f"{field}: {len(values)} values, but shape {list(shape)} needs {wanted}")
    if datatype == "BYTES":
        return binary.elements_of(list(values), shape, field, is_text=is_text)
    try:
        return np.array(values, dtype=DTYPES[datatype]).reshape(shape)
    except OverflowError as error:
        raise BadRequest(f"{field}: a value is out of range for {datatype}") from error


def _fill(contents: Any, array: Array, datatype: str) -> None:
    values = array.ravel()
    if datatype == "BYTES":
        contents.bytes_contents.extend(item if isinstance(item, bytes) else str(item).encode() for item in values)
    else:
        getattr(contents, _CONTENTS[datatype]).extend(values.tolist())
