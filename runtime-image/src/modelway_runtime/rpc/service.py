"""What the gRPC service answers, whatever library brings the calls. Runs in the event loop's thread, without tasks."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import Any, Protocol, TypeAlias

from google.protobuf.json_format import ParseDict
from google.protobuf.message import DecodeError

from modelway_runtime import __version__, logs
from modelway_runtime.observation import record as records
from modelway_runtime.observation.record import Record
from modelway_runtime.protocol import description, statistics
from modelway_runtime.protocol.codec import Request
from modelway_runtime.protocol.interface import Interface
from modelway_runtime.protocol.tensors import Arrays, BadRequest
from modelway_runtime.rpc import codec
from modelway_runtime.rpc.messages import SERVICE, message
from modelway_runtime.server import control, ids, refusals
from modelway_runtime.server.answers import CallerGone, Refused, identity
from modelway_runtime.server.deadlines import Deadlines, Pending
from modelway_runtime.server.metrics import FAULT_OF_CALLER, GRPC
from modelway_runtime.server.reads import index
from modelway_runtime.server.state import Serving, State

_INTERNAL = 13
_CODES = {400: 3, 403: 7, 404: 5, 408: 4, 413: 8, 429: 8, 500: _INTERNAL, 503: 14, 504: 4}
"""gRPC's numbers of the statuses that REST answers: INVALID_ARGUMENT, PERMISSION_DENIED, NOT_FOUND, DEADLINE_EXCEEDED,
RESOURCE_EXHAUSTED, INTERNAL, UNAVAILABLE."""
_HEALTH = "/grpc.health.v1.Health/Check"
_SERVING, _NOT_SERVING = b"\x08\x01", b"\x08\x02"
"""Messages of the health protocol: its only field is the status."""


Metadata: TypeAlias = Sequence[tuple[str, str | bytes]]


class Caller(Protocol):
    """Who waits for the end of a call."""

    def said(self) -> Metadata:
        """The metadata that came before the message."""

    def answer(self, payload: bytes, metadata: Metadata) -> None:
        """The call has an answer; the metadata goes after it."""

    def refuse(self, code: int, text: str, metadata: Metadata) -> None:
        """The call ends with a status."""


@dataclass(slots=True)
class _Call:
    """A call of ModelInfer that the model has."""

    caller: Caller
    pending: Pending
    request: Request
    is_raw: bool


class Service:
    """The calls of one model."""

    def __init__(self, state: State, deadlines: Deadlines) -> None:
        self._state = state
        self._deadlines = deadlines
        settings = state.settings
        self._name, self._versions = settings.name, ("", settings.version)
        self._metadata = tuple((name.decode(), value.decode()) for name, value in identity(settings))
        self.most_bytes = settings.max_body_bytes
        self.seconds = settings.request_timeout
        self.most_waiting = settings.max_queue
        self._codec: codec.CallCodec | None = None
        named: dict[str, Callable[[Any], dict[str, Any]]] = {
            "ServerLive": lambda _: {"live": True},
            "ServerReady": lambda _: {"ready": state.is_ready},
            "ServerMetadata": lambda _: description.server(__version__),
            "ModelReady": self._of_model(lambda: {"ready": state.is_ready}),
            "ModelMetadata": self._of_model(
                lambda: description.model(settings.name, settings.version, self._serving().model)
            ),
            "ModelConfig": self._of_model(
                lambda: {"config": description.config(settings.name, self._serving().model, settings.max_batch_size)}
            ),
            "ModelStatistics": self._statistics,
            "RepositoryIndex": lambda asked: {"models": index(state, only_ready=asked.ready)},
            "RepositoryModelLoad": _refusing("load"),
            "RepositoryModelUnload": _refusing("unload"),
        }
        self._infer = f"/{SERVICE}/ModelInfer"
        self._reads: dict[str, Callable[[bytes], bytes]] = {
            f"/{SERVICE}/{name}": partial(_read, name, answer) for name, answer in named.items()
        }
        self._reads[_HEALTH] = lambda _: _SERVING if state.is_ready else _NOT_SERVING

    @property
    def paths(self) -> tuple[str, ...]:
        """Those of the methods that are answered."""
        return (self._infer, *self._reads)

    def begin(self, path: str, payload: bytes, caller: Caller) -> Pending | None:
        """Takes a call, and tells its caller of the end now or later; None where it has ended."""
        if path == self._infer:
            return self._begin(payload, caller)
        request_id = self._state.ids.of(None, _header(caller, ids.HEADER))
        metadata, status, answer = self._told(request_id), 200, b""
        try:
            answer = self._reads[path](payload)
            caller.answer(answer, metadata)
        except Refused as refused:
            status = refused.status
            caller.refuse(_CODES[status], refused.message, metadata)
        except Exception:  # noqa: BLE001 - a fault of ours must not show its traceback to the caller
            status = 500
            logs.LOGGER.exception("Call failed by an error in the runtime itself")
            caller.refuse(_INTERNAL, "internal error; the server's log has more", metadata)
        if self._state.observers:
            record = _record(path, payload, caller)
            record.id = request_id
            records.tell(self._state.observers, record, status=status, bytes_out=len(answer))
        return None

    def refuse_late(self, path: str, began: float, caller: Caller) -> None:
        """Ends a call whose message did not come within `seconds`, or while `most_waiting` others came."""
        pending = self._begun(path, b"", caller)
        pending.started = began
        if pending.record is not None:
            pending.record.started = began
        self._deadlines.end(pending)
        self._refuse(caller, pending, Refused(408, "the message did not come in time", limit="slow-body"))

    @staticmethod
    def gone(pending: Pending) -> None:
        """Nobody waits for a call any more."""
        if pending.job is not None and not pending.job.future.done():
            pending.job.future.set_exception(CallerGone())

    def _begin(self, payload: bytes, caller: Caller) -> Pending | None:
        pending = self._begun(self._infer, payload, caller)
        try:
            serving, request, is_raw = self._decoded(payload, pending)
            pending.job = job = serving.scheduler.submit(request.inputs)
        except Exception as error:  # noqa: BLE001 - whatever ended the request is told to its caller
            self._deadlines.end(pending)
            self._refuse(caller, pending, error)
            return None
        job.future.add_done_callback(partial(self._end, _Call(caller, pending, request, is_raw)))
        return pending

    def _begun(self, path: str, payload: bytes, caller: Caller) -> Pending:
        pending = self._deadlines.begin_call()
        pending.id = self._state.ids.of(None, _header(caller, ids.HEADER))
        if self._state.observers:
            pending.record = _record(path, payload, caller)
            pending.record.is_prediction = path == self._infer
        return pending

    def _decoded(self, payload: bytes, pending: Pending) -> tuple[Serving, Request, bool]:
        serving = self._serving()
        if len(payload) > self.most_bytes:
            raise Refused(413, f"the message has {len(payload)} bytes; the limit is {self.most_bytes}", limit="body")
        began = perf_counter()
        try:
            asked = codec.parsed(payload)
            self._named(asked.model_name, asked.model_version)
            request = self._call_codec(serving).decode(asked)
            pending.id = self._state.ids.of(request.id, pending.id)
            if pending.record is not None:
                pending.record.request = request
        except BadRequest as error:
            raise Refused(400, str(error)) from error
        pending.inputs = self._state.groups.unread and request.inputs
        self._state.metrics.decoded.observe(perf_counter() - began)
        return serving, request, bool(asked.raw_input_contents)

    def _end(self, call: _Call, future: "asyncio.Future[Arrays]") -> None:
        pending = call.pending
        self._deadlines.end(pending)
        try:
            results = future.result()
            payload = self._encoded(call, results)
        except CallerGone:
            self._tell(pending, records.CALLER_GONE, 0)
            return
        except Exception as error:  # noqa: BLE001 - whatever ended the request is told to its caller
            self._refuse(call.caller, pending, error)
            return
        if self._state.drift is not None:
            self._state.drift.observe(call.request.inputs, future.result())
        ended = perf_counter()
        self._state.metrics.answered_calls.observe(ended - pending.started)
        if pending.inputs is not None:
            self._state.groups.answered(pending.inputs, ended - pending.started, ended)
        call.caller.answer(payload, self._told(pending.id))
        if pending.record is not None:
            pending.record.results = results
            self._tell(pending, 200, len(payload))

    def _encoded(self, call: _Call, results: Arrays) -> bytes:
        began = perf_counter()
        assert self._codec is not None
        payload = self._codec.encode(call.request, results, is_raw=call.is_raw)
        self._state.metrics.encoded.observe(perf_counter() - began)
        return payload

    def _refuse(self, caller: Caller, pending: Pending, error: Exception) -> None:
        """Tells a caller how its request ended, and counts it."""
        refused = error if isinstance(error, Refused) else refusals.of(error)
        self._count(refused, pending)
        caller.refuse(_CODES[refused.status], refused.message, self._told(pending.id))
        self._tell(pending, refused.status, 0)

    def _tell(self, pending: Pending, status: int, size: int) -> None:
        record = pending.record
        if record is not None:
            record.id, record.job = pending.id, pending.job
            records.tell(self._state.observers, record, status=status, bytes_out=size)

    def _count(self, refused: Refused, pending: Pending) -> None:
        metrics, ended = self._state.metrics, perf_counter()
        if refused.status == 404:
            return
        metrics.request(str(refused.status), GRPC).observe(ended - pending.started)
        if pending.inputs is not None and refused.status != FAULT_OF_CALLER:
            self._state.groups.failed(pending.inputs, ended)
        if refused.limit:
            metrics.rejected(refused.limit)

    def _told(self, request_id: str) -> Metadata:
        """What every answer is followed by."""
        return (*self._metadata, (ids.HEADER, request_id))

    def _serving(self) -> Serving:
        serving = self._state.serving
        if serving is None:
            raise Refused(503, f"the model is not ready: {self._state.phase}")
        return serving

    def _call_codec(self, serving: Serving) -> codec.CallCodec:
        if self._codec is None:
            model = serving.model
            self._codec = codec.CallCodec(self._name, self._versions[1], Interface(model.inputs, model.outputs))
        return self._codec

    def _named(self, name: str, version: str) -> None:
        if name != self._name or version not in self._versions:
            shown = f"{name[:200]!r}" + (f" version {version[:200]!r}" if version else "")
            here = self._name + (f", version {self._versions[1]}" if self._versions[1] else "")
            raise Refused(404, f"model {shown} not found; the model served here is {here}")

    def _statistics(self, asked: Any) -> dict[str, Any]:
        if asked.name:
            self._named(asked.name, asked.version)
        self._serving()
        return statistics.described(self._state.metrics.statistics())

    def _of_model(self, said: Callable[[], dict[str, Any]]) -> Callable[[Any], dict[str, Any]]:
        """What a call is told that names the model."""

        def answer(asked: Any) -> dict[str, Any]:
            self._named(asked.name, asked.version)
            return said()

        return answer


def _header(caller: Caller, name: str) -> str:
    value = next((value for key, value in caller.said() if key == name), "")
    return value.decode("latin-1") if isinstance(value, bytes) else value


def _record(path: str, payload: bytes, caller: Caller) -> Record:
    """The beginning of what is told of a call."""
    return Record(
        protocol=GRPC,
        method="POST",
        path=path,
        traceparent=_header(caller, "traceparent"),
        tracestate=_header(caller, "tracestate"),
        bytes_in=len(payload),
    )


def _refusing(action: str) -> Callable[[Any], dict[str, Any]]:
    def answer(asked: Any) -> dict[str, Any]:
        raise control.refused(action, asked.model_name)

    return answer


def _read(name: str, answer: Callable[[Any], dict[str, Any]], payload: bytes) -> bytes:
    """A call that only reads, answered with what has the form of its message in JSON; all else of it is left out."""
    try:
        asked = message(f"{name}Request").FromString(payload)
    except DecodeError as error:
        raise Refused(400, f"the message is no {name}Request") from error
    said: bytes = ParseDict(answer(asked), message(f"{name}Response")(), ignore_unknown_fields=True).SerializeToString()
    return said
