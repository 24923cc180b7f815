"""The protocols over HTTP as a raw ASGI application. All predictions go the same way, whatever protocol asks."""

import asyncio
from time import perf_counter

from modelway_runtime import logs
from modelway_runtime.observation import record as records
from modelway_runtime.observation.paths import Templates
from modelway_runtime.observation.record import Record
from modelway_runtime.protocol.payloads import JSON, Payload
from modelway_runtime.protocol.tensors import Arrays, BadRequest
from modelway_runtime.server import answers, body, compression, control, ids, refusals
from modelway_runtime.server.answers import CallerGone, Receive, Refused, Scope, Send
from modelway_runtime.server.deadlines import Deadlines, Pending
from modelway_runtime.server.life import Phase
from modelway_runtime.server.metrics import FAULT_OF_CALLER
from modelway_runtime.server.reads import Answer, Reads
from modelway_runtime.server.shadow import MARK
from modelway_runtime.server.state import Serving, State, Way

_READ = ("GET", "HEAD")
_ID = ids.HEADER.encode()
_MOST_METHOD_SIGNS = 16


class Application:
    """Answers the protocols' paths for one model."""

    def __init__(self, state: State) -> None:
        settings = state.settings
        self._state = state
        self._metrics = state.metrics
        self._groups = state.groups
        self._ids = state.ids
        self.deadlines = Deadlines(settings.request_timeout)
        self._metrics.inflight = self.deadlines.callers
        self._predictions = _predictions(settings.name, settings.version)
        self._feedback = f"/v2/models/{settings.name}/feedback"
        self._reads = Reads(state)
        paths = (*self._predictions, *self._reads.by_path, self._feedback, control.INDEX)
        self._templates = Templates(paths, settings.name, settings.version)
        self._headers = answers.identity(settings)
        self._closing_headers = self._headers + answers.CLOSE

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        status, headers, is_unread = 200, JSON, False
        way, pending = self._predictions.get(scope["path"]), None
        record = self._record(scope, way) if self._state.observers else None
        try:
            if way is not None and scope["method"] == "POST":
                pending = self.deadlines.begin(receive)
                pending.record = record
                headers, payload = await self._timed_infer(scope, receive, pending, way)
            else:
                status, headers, payload = await self._other(scope, receive, record)
        except CallerGone:
            if record is not None:
                record.id = self._id(scope, pending)
                self._tell(record, pending, records.CALLER_GONE, 0)
            return
        except Refused as refused:
            status, headers, is_unread = refused.status, JSON + refused.headers, refused.is_unread
            payload = answers.encoded({"error": refused.message})
        except Exception:  # noqa: BLE001 - a fault of ours must not show its traceback to the caller
            logs.LOGGER.exception("Request failed by an error in the runtime itself")
            status, payload = 500, answers.encoded({"error": "internal error; the server's log has more"})
        request_id = self._id(scope, pending)
        own = self._closing_headers if self._state.phase is Phase.DRAINING else self._headers
        headers = (*headers, *own, (_ID, request_id.encode()))
        if is_unread:
            await body.refuse(receive, send, headers, payload)
        else:
            await answers.send(send, status, headers, payload)
        if record is not None:
            record.id = request_id
            self._tell(record, pending, status, len(payload))

    def _record(self, scope: Scope, way: Way | None) -> Record:
        """The beginning of what is told of a request."""
        return Record(
            protocol=way or "rest",
            method=scope["method"][:_MOST_METHOD_SIGNS],
            path=self._templates.of(scope["path"]),
            traceparent=body.header(scope, b"traceparent").decode("latin-1"),
            tracestate=body.header(scope, b"tracestate").decode("latin-1"),
            is_prediction=way is not None and scope["method"] == "POST",
            is_shadow=MARK in scope["headers"],
        )

    def _id(self, scope: Scope, pending: Pending | None) -> str:
        if pending is not None and pending.id:
            return pending.id
        return self._ids.of(None, body.header(scope, _ID))

    def _tell(self, record: Record, pending: Pending | None, status: int, size: int) -> None:
        record.job = pending.job if pending is not None else None
        records.tell(self._state.observers, record, status=status, bytes_out=size)

    async def _timed_infer(self, scope: Scope, receive: Receive, pending: Pending, way: Way) -> Payload:
        if MARK in scope["headers"]:
            return await self._shadow_infer(scope, receive, pending, way)
        started, metrics = pending.started, self._metrics
        pending.inputs = self._groups.unread
        try:
            payload = await self._infer(scope, receive, pending, way)
        except Refused as refused:
            self._failed(pending, refused.status)
            if refused.limit:
                metrics.rejected(refused.limit)
            raise
        except CallerGone:
            raise
        except Exception:
            self._failed(pending, 500)
            raise
        finally:
            self.deadlines.end(pending)
        ended = perf_counter()
        metrics.answered.observe(ended - started)
        if pending.inputs is not None:
            self._groups.answered(pending.inputs, ended - started, ended)
        return payload

    def _failed(self, pending: Pending, status: int) -> None:
        ended = perf_counter()
        self._metrics.request(str(status)).observe(ended - pending.started)
        if pending.inputs is not None and status != FAULT_OF_CALLER:
            self._groups.failed(pending.inputs, ended)

    async def _shadow_infer(self, scope: Scope, receive: Receive, pending: Pending, way: Way) -> Payload:
        """What a comparator asks counts neither as evidence nor for scaling."""
        self._metrics.shadow.value += 1
        pending.is_shadow = True
        try:
            return await self._infer(scope, receive, pending, way)
        finally:
            self.deadlines.end(pending)

    async def _infer(self, scope: Scope, receive: Receive, pending: Pending, way: Way) -> Payload:
        serving = self._reads.serving()
        dialect = serving.dialects[way]
        headers = dict(scope["headers"])
        content = await self._body(scope, receive, pending, headers)
        began = perf_counter()
        try:
            request = dialect.decode(content, headers)
        except BadRequest as error:
            raise Refused(400, str(error)) from error
        record = pending.record
        if record is not None:
            record.request = request
        pending.id = self._ids.of(request.id, headers.get(_ID))
        if pending.inputs is not None:
            pending.inputs = request.inputs
        decoded = perf_counter()
        self._metrics.decoded.observe(decoded - began)
        results = await self._results(serving, request.inputs, pending)
        if record is not None:
            record.results = results
        if self._state.drift is not None and not pending.is_shadow:
            self._state.drift.observe(request.inputs, results)
        began = perf_counter()
        own, payload = dialect.encode(request, results)
        accepted = headers.get(b"accept-encoding")
        if accepted is not None and len(payload) >= compression.SMALLEST:
            encoding, payload = await compression.packed(payload, accepted)
            own += encoding
        self._metrics.encoded.observe(perf_counter() - began)
        return own, payload

    async def _body(self, scope: Scope, receive: Receive, pending: Pending, headers: dict[bytes, bytes]) -> bytes:
        limit = self._state.settings.max_body_bytes
        try:
            content = await body.read(scope, receive, limit)
            if pending.record is not None:
                pending.record.bytes_in = len(content)
            encoding = headers.get(b"content-encoding")
            return content if encoding is None else await compression.unpacked(content, encoding, limit)
        except asyncio.CancelledError:
            if not pending.has_expired:
                raise
            raise Refused(408, "the body did not come in time", answers.CLOSE, limit="slow-body") from None

    async def _results(self, serving: Serving, inputs: Arrays, pending: Pending) -> Arrays:
        try:
            pending.job = job = serving.scheduler.submit(inputs)
            job.is_shadow = pending.is_shadow
            return await job.future
        except CallerGone:
            raise
        except Exception as error:
            raise refusals.of(error) from error

    async def _other(self, scope: Scope, receive: Receive, record: Record | None) -> Answer:
        """Whatever is no prediction."""
        method, path = scope["method"], scope["path"]
        if path in self._predictions:
            raise _not_allowed(method, "POST")
        if path == self._feedback or control.is_control(path):
            if method != "POST":
                raise _not_allowed(method, "POST")
            content = await body.read(scope, receive, self._state.settings.max_body_bytes)
            if record is not None:
                record.bytes_in = len(content)
            if path == self._feedback:
                return 200, JSON, answers.encoded({"counted": self._state.feedback.take(content)})
            return control.answer(path, content, self._reads)
        answer = self._reads.by_path.get(path)
        if answer is None:
            raise Refused(404, self._not_found(path))
        if method not in _READ:
            raise _not_allowed(method, "GET, HEAD")
        return answer()

    def _not_found(self, path: str) -> str:
        settings = self._state.settings
        if not path.startswith(("/v2/models/", "/v1/models/")):
            return f"{path[:200]} is no path of the protocols served here; see /v2"
        version = f", version {settings.version}" if settings.version else ""
        # Clients look for Triton's first words.
        return f"Request for unknown model: {path[:200]} not found; the model served here is {settings.name}{version}"


def _predictions(name: str, version: str) -> dict[str, Way]:
    """The paths that ask for predictions."""
    suffixes = ("", f"/versions/{version}") if version else ("",)
    return {
        **{f"/v2/models/{name}{suffix}/infer": Way.V2 for suffix in suffixes},
        **{f"/v1/models/{name}{suffix}:predict": Way.V1 for suffix in suffixes},
        "/invocations": Way.INVOCATIONS,
    }


def _not_allowed(method: str, allowed: str) -> Refused:
    return Refused(
        405, f"{method} is not allowed here; use {allowed.partition(',')[0]}", ((b"allow", allowed.encode()),)
    )
