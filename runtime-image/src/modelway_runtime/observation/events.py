"""Requests and answers as CloudEvents, in the words of KServe's logger. Pure.

The data is V2 in JSON whatever protocol was asked in: one form for who reads it, and none in which a tensor that must
not be shown could hide.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import numpy as np
import orjson

from modelway_runtime.observation.record import Record
from modelway_runtime.protocol import elements
from modelway_runtime.protocol.datatypes import of_array
from modelway_runtime.protocol.interface import Interface
from modelway_runtime.protocol.tensors import Array, Arrays

_TYPE = "org.kubeflow.serving.inference"
_LEAST_BYTES = 2
"""Of an element in JSON, with its comma."""
_PRINTABLE = "".join(map(chr, range(0x21, 0x7F))).replace('"', "").replace("%", "")
"""What stands in a header as it is, by the HTTP binding of CloudEvents."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where events come from. `service` is what KServe calls the InferenceService."""

    service: str
    namespace: str
    revision: str
    model: str
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """The headers and the body of a POST. `is_cut`: data was left out for its size."""

    headers: Mapping[str, str]
    body: bytes
    is_cut: bool


class Events:
    """Makes events; tensors and columns of some names go out without their values."""

    def __init__(self, origin: Origin, interface: Interface, *, redacted: frozenset[str], most_bytes: int) -> None:
        self._origin = origin
        self._redacted = redacted
        self._most_bytes = most_bytes
        self._outputs = interface.outputs
        self._columns = {
            spec.name: [place for place, column in enumerate(spec.columns) if column in redacted]
            for spec in interface.inputs.values()
        }
        columns = (column for spec in interface.inputs.values() for column in spec.columns)
        known = {*interface.inputs, *columns, *interface.outputs}
        self.unknown = redacted - known
        """Names that the model does not have."""

    def of(self, record: Record) -> Iterator[Event]:
        """That of a request, and that of its answer where it has one."""
        given = {"id": record.id}
        yield self._event("request", record, given, "inputs", record.request.inputs)
        if record.results is not None:
            origin = self._origin
            version = {"model_version": origin.version} if origin.version else {}
            names: Sequence[str] = record.request.outputs or self._outputs
            results = {name: record.results[name] for name in names}
            head = {"model_name": origin.model, **version, **given}
            yield self._event("response", record, head, "outputs", results)

    def _event(self, kind: str, record: Record, head: Mapping[str, object], field: str, tensors: Arrays) -> Event:
        is_cut = sum(array.size for array in tensors.values()) * _LEAST_BYTES > self._most_bytes
        body = b"" if is_cut else self._body(head, field, tensors, with_data=True)
        if is_cut or len(body) > self._most_bytes:
            is_cut, body = True, self._body(head, field, tensors, with_data=False)
        return Event(headers=self._headers(kind, record), body=body, is_cut=is_cut)

    def _headers(self, kind: str, record: Record) -> dict[str, str]:
        origin = self._origin
        attributes = {
            "specversion": "1.0",
            "type": f"{_TYPE}.{kind}",
            "source": f"/v2/models/{quote(origin.model)}",
            "id": record.id,
            "time": datetime.fromtimestamp(record.ended, UTC).isoformat(timespec="microseconds"),
            "inferenceservicename": origin.service,
            "namespace": origin.namespace,
            "component": "predictor",
            "endpoint": origin.revision,
        }
        headers = {f"Ce-{name}": quote(value, safe=_PRINTABLE) for name, value in attributes.items() if value}
        return {"Content-Type": "application/json", **headers}

    def _body(self, head: Mapping[str, object], field: str, tensors: Arrays, *, with_data: bool) -> bytes:
        shown = [self._tensor(name, array, with_data=with_data) for name, array in tensors.items()]
        return orjson.dumps({**head, field: shown}, option=orjson.OPT_SERIALIZE_NUMPY)

    def _tensor(self, name: str, array: Array, *, with_data: bool) -> dict[str, Any]:
        described: dict[str, Any] = {"name": name, "datatype": of_array(array), "shape": array.shape}
        if name in self._redacted:
            return {**described, "parameters": {"redacted": True}}
        if not with_data:
            return {**described, "parameters": {"omitted": True}}
        places = self._columns.get(name)
        if places and array.ndim == 2:
            return {**described, "data": _masked(array, places), "parameters": {"redacted": True}}
        return {**described, "data": _values(array)}


def _values(array: Array) -> Any:
    """Flat; numbers are left to the encoder."""
    if of_array(array) == "BYTES":
        return [elements.text(item) for item in array.ravel()]
    return np.ascontiguousarray(array).ravel()


def _masked(array: Array, places: Sequence[int]) -> list[Any]:
    """The same with null in some columns of a table."""
    width, values = array.shape[1], list(_values(array))
    for place in places:
        values[place::width] = [None] * len(values[place::width])
    return values
