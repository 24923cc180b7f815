"""V1, which is TensorFlow Serving's and KServe's older protocol: rows as `instances`, or columns as `inputs`. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import msgspec

from modelway_runtime.protocol import columns, elements, tabular
from modelway_runtime.protocol.interface import Interface
from modelway_runtime.protocol.payloads import JSON, Payload
from modelway_runtime.protocol.tensors import Arrays, BadRequest


class _Body(msgspec.Struct):
    signature_name: str | None = None
    instances: msgspec.Raw = msgspec.Raw()
    inputs: msgspec.Raw = msgspec.Raw()


_BODY = msgspec.json.Decoder(_Body)


@dataclass(slots=True)
class Prediction:
    """A request's tensors, and whether they came in columns."""

    inputs: Arrays
    is_columnar: bool
    id: ClassVar[None] = None
    outputs: ClassVar[None] = None


class Predict:
    """Bodies of `:predict`. Any signature is that of the model."""

    def __init__(self, interface: Interface) -> None:
        self._interface = interface

    def decode(self, body: bytes, headers: Mapping[bytes, bytes]) -> Prediction:
        """A request; raises BadRequest."""
        del headers
        request = elements.body(_BODY.decode, body)
        instances, inputs = bytes(request.instances), bytes(request.inputs)
        if bool(instances) == bool(inputs):
            raise BadRequest("the body needs either instances or inputs")
        if instances:
            return Prediction(columns.rows(instances, self._interface, "instances"), is_columnar=False)
        return Prediction(columns.columns(inputs, self._interface, "inputs"), is_columnar=True)

    def encode(self, request: Prediction, results: Arrays) -> Payload:
        """`predictions` for rows, `outputs` for columns."""
        if request.is_columnar:
            return JSON, tabular.encoded({"outputs": tabular.by_name(results)})
        return JSON, tabular.encoded({"predictions": tabular.by_row(results)})
