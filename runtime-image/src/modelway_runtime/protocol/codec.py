"""V2 inference bodies, in JSON and with binary tensors: bytes to tensors, tensors to bytes. Pure.

An error names the field.
"""

from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
import orjson

from modelway_runtime.protocol import binary, elements
from modelway_runtime.protocol.datatypes import of_array
from modelway_runtime.protocol.interface import Interface, check_tensor
from modelway_runtime.protocol.tensors import Array, Arrays, BadRequest, TensorSpec

_ENCODE = orjson.OPT_SERIALIZE_NUMPY
_ALIGNMENT = 8
"""JSON before binary tensors is filled up with spaces, so that those who read them find them aligned."""


class _InputParameters(msgspec.Struct, gc=False):
    binary_data_size: Annotated[int, msgspec.Meta(ge=0)] | None = None
    shared_memory_region: str | None = None


class _InputTensor(msgspec.Struct, gc=False):
    name: str
    shape: list[int]
    datatype: str
    data: msgspec.Raw = msgspec.Raw()
    parameters: _InputParameters | None = None


class _OutputParameters(msgspec.Struct, gc=False):
    binary_data: bool | None = None
    classification: int | None = None
    shared_memory_region: str | None = None


class _OutputTensor(msgspec.Struct, gc=False):
    name: str
    parameters: _OutputParameters | None = None


class _InferRequest(msgspec.Struct, gc=False):
    inputs: list[_InputTensor]
    id: str | None = None
    parameters: dict[str, Any] | None = None
    outputs: list[_OutputTensor] | None = None


_NONE: frozenset[str] = frozenset()


@dataclass(slots=True)
class Request:
    """A request's tensors, its id, the outputs wanted (all of them when None), and which of them go out as bytes."""

    inputs: Arrays
    id: str | None
    outputs: tuple[str, ...] | None
    binary: frozenset[str] = _NONE


_DECODE = msgspec.json.Decoder(_InferRequest).decode


class Codec:
    """The bodies of one model: its names and shapes are known, so a request is checked while it is read."""

    def __init__(
        self, name: str, version: str, inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...]
    ) -> None:
        self._head: dict[str, Any] = {"model_name": name, **({"model_version": version} if version else {})}
        self.interface = Interface(inputs, outputs)
        self._all = frozenset(self.interface.outputs)

    def decode(self, body: bytes, json_length: int | None = None) -> Request:
        """A request's tensors under the model's names; raises BadRequest.

        `json_length` is how many bytes of the body are JSON where binary tensors may follow; 0 where all of the body is
        the model's only input.
        """
        if json_length == 0:
            return self._raw(body)
        text: bytes | memoryview = body
        if json_length is not None:
            if json_length > len(body):
                raise BadRequest(f"the body has {len(body)} bytes, but its JSON should have {json_length}")
            text = memoryview(body)[:json_length]
        request = elements.body(_DECODE, text)
        interface = self.interface
        tensors: Arrays = {}
        place = json_length
        specs = interface.asked([tensor.name for tensor in request.inputs]) if interface.columns else interface.inputs
        for index, tensor in enumerate(request.inputs):
            spec = interface.found(tensor.name, specs, f"inputs[{index}]")
            if spec.name in tensors:
                raise BadRequest(f"inputs[{index}].name: {tensor.name!r} is given twice")
            if tensor.parameters is None or tensor.parameters.binary_data_size is None:
                tensors[spec.name] = _from_json(tensor, spec, f"inputs[{index}]")
            else:
                end = _end(tensor.parameters.binary_data_size, place, body, f"inputs[{index}]")
                tensors[spec.name] = _from_bytes(tensor, spec, memoryview(body)[place:end], f"inputs[{index}]")
                place = end
        interface.check_all_given(tensors, specs)
        if place is not None and place != len(body):
            raise BadRequest(f"inputs: {len(body) - place} bytes follow the binary data of all of them")
        if request.outputs or request.parameters:
            return self._wanted(request, tensors)
        return Request(tensors, request.id, None)

    def encode(self, request: Request, results: Arrays) -> tuple[bytes, int | None]:
        """The response: outputs in the order of the request, else of the model; the id comes back.

        With binary tensors the number is how many of its bytes are JSON, else it is None.
        """
        names = self.interface.outputs if request.outputs is None else request.outputs
        outputs: list[dict[str, Any]] = []
        packed: list[memoryview] = []
        for name in names:
            array = results[name]
            datatype = of_array(array)
            if name in request.binary:
                content = binary.packed(array)
                packed.append(content)
                size = {"binary_data_size": content.nbytes}
                outputs.append({"name": name, "datatype": datatype, "shape": array.shape, "parameters": size})
                continue
            data = array.ravel() if datatype != "BYTES" else [elements.text(item) for item in array.ravel()]
            outputs.append({"name": name, "datatype": datatype, "shape": array.shape, "data": data})
        head = self._head if request.id is None else {**self._head, "id": request.id}
        text = orjson.dumps({**head, "outputs": outputs}, option=_ENCODE)
        if not packed:
            return text, None
        text += b" " * (-len(text) % _ALIGNMENT)
        return b"".join((text, *packed)), len(text)

    def _raw(self, body: bytes) -> Request:
        interface = self.interface
        if len(interface.inputs) != 1:
            raise BadRequest(f"a raw request is for a model of one input; this one has {', '.join(interface.inputs)}")
        (spec,) = interface.inputs.values()
        tensors = {spec.name: binary.raw(body, spec)}
        return Request(tensors, None, None, self._all)

    def _wanted(self, request: _InferRequest, tensors: Arrays) -> Request:
        is_binary = request.parameters is not None and _is_binary(request.parameters)
        wanted = request.outputs
        if not wanted:
            return Request(tensors, request.id, None, self._all if is_binary else _NONE)
        names = tuple(output.name for output in wanted)
        self.interface.check_outputs(names)
        packed = set(names) if is_binary else set()
        for index, output in enumerate(wanted):
            parameters = output.parameters
            if parameters is None:
                continue
            _refuse_unserved(parameters, f"outputs[{index}].parameters")
            if parameters.binary_data is not None:
                (packed.add if parameters.binary_data else packed.discard)(output.name)
        return Request(tensors, request.id, names, frozenset(packed))


def _from_json(tensor: _InputTensor, spec: TensorSpec, field: str) -> Array:
    """The tensor as an array of its declared datatype and shape."""
    shape = tuple(tensor.shape)
    check_tensor(tensor.datatype, shape, spec, field)
    raw = bytes(tensor.data)
    if not raw:
        if tensor.parameters is not None and tensor.parameters.shared_memory_region is not None:
            raise BadRequest(f"{field}.parameters.shared_memory_region: shared memory is not served")
        raise BadRequest(f"{field}.data is missing")
    return elements.shaped(raw, tensor.datatype, shape, f"{field}.data")


def _end(size: int, place: int | None, body: bytes, field: str) -> int:
    """Where the bytes of a tensor end."""
    where = f"{field}.parameters.binary_data_size"
    if place is None:
        raise BadRequest(f"{where}: there is binary data only with the header inference-header-content-length")
    if place + size > len(body):
        raise BadRequest(f"{where}: {size}, but {len(body) - place} bytes are left")
    return place + size


def _from_bytes(tensor: _InputTensor, spec: TensorSpec, data: memoryview, field: str) -> Array:
    """The same from bytes after the JSON."""
    if bytes(tensor.data):
        raise BadRequest(f"{field}.data stands beside binary_data_size; a tensor is one or the other")
    shape = tuple(tensor.shape)
    check_tensor(tensor.datatype, shape, spec, field)
    where = f"{field}.parameters.binary_data_size"
    return binary.unpacked(data, tensor.datatype, shape, where, is_text=not spec.is_open)


def _is_binary(parameters: dict[str, Any]) -> bool:
    wanted = parameters.get("binary_data_output", False)
    if not isinstance(wanted, bool):
        raise BadRequest("parameters.binary_data_output: Expected `bool`")
    return wanted


def _refuse_unserved(parameters: _OutputParameters, field: str) -> None:
    """What would change the meaning of an answer is refused, not passed over."""
    if parameters.classification:
        raise BadRequest(f"{field}.classification: the classification extension is not served")
    if parameters.shared_memory_region is not None:
        raise BadRequest(f"{field}.shared_memory_region: shared memory is not served")
