"""The V2 inference protocol as a raw ASGI application: health, metadata, infer."""

import asyncio
from collections.abc import Callable
from time import perf_counter

from modelway_runtime import __version__, logs
from modelway_runtime.protocol.codec import BadRequest
from modelway_runtime.protocol.tensors import Arrays, InputRejected, TensorSpec
from modelway_runtime.server import answers, body
from modelway_runtime.server.answers import CallerGone, Headers, Receive, Refused, Scope, Send
from modelway_runtime.server.deadlines import Deadlines, Pending, TookTooLong
from modelway_runtime.server.life import Phase
from modelway_runtime.server.metrics import FAULT_OF_CALLER
from modelway_runtime.server.scheduler import QueueFull
from modelway_runtime.server.shadow import MARK
from modelway_runtime.server.state import Serving, State

Answer = tuple[int, bytes]

_READ = ("GET", "HEAD")


class Application:
    """Answers the protocol's paths for one model."""

    def __init__(self, state: State) -> None:
        settings = state.settings
        self._state = state
        self._metrics = state.metrics
        self._groups = state.groups
        self._deadlines = Deadlines(settings.request_timeout)
        self._metrics.inflight = self._deadlines.callers
        model = f"/v2/models/{settings.name}"
        served = (model, f"{model}/versions/{settings.version}") if settings.version else (model,)
        self._infer_paths = frozenset(f"{prefix}/infer" for prefix in served)
        self._reads: dict[str, Callable[[], Answer]] = {
            "/v2": self._server_metadata,
            "/v2/": self._server_metadata,
            "/v2/health/live": self._live,
            "/v2/health/ready": self._ready,
            **dict.fromkeys(served, self._model_metadata),
            **{f"{prefix}/ready": self._model_ready for prefix in served},
        }
        self._headers = answers.JSON + _identity(settings.revision, settings.version)
        self._closing_headers = self._headers + answers.CLOSE

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        extra: Headers = ()
        try:
            if scope["path"] in self._infer_paths and scope["method"] == "POST":
                status, payload = 200, await self._timed_infer(scope, receive)
            else:
                status, payload = self._read(scope["method"], scope["path"])
        except CallerGone:
            return
        except Refused as refused:
            status, extra = refused.status, refused.headers
            payload = answers.encoded({"error": refused.message})
        except Exception:  # noqa: BLE001 - a fault of ours must not show its traceback to the caller
            logs.LOGGER.exception("Request failed by an error in the runtime itself")
            status, payload = 500, answers.encoded({"error": "internal error; the server's log has more"})
        headers = self._closing_headers if self._state.phase is Phase.DRAINING else self._headers
        if status == body.TOO_LARGE:
            await body.refuse(receive, send, headers + extra, payload)
            return
        await answers.send(send, status, headers + extra, payload)

    async def _timed_infer(self, scope: Scope, receive: Receive) -> bytes:
        if MARK in scope["headers"]:
            return await self._shadow_infer(scope, receive)
        started = perf_counter()
        metrics = self._metrics
        pending = self._deadlines.begin(receive)
        pending.inputs = self._groups.unread
        try:
            payload = await self._infer(scope, receive, pending)
        except Refused as refused:
            self._failed(pending, refused.status, started)
            if refused.limit:
                metrics.rejected(refused.limit)
            raise
        except CallerGone:
            raise
        except Exception:
            self._failed(pending, 500, started)
            raise
        finally:
            self._deadlines.end(pending)
        ended = perf_counter()
        metrics.answered.observe(ended - started)
        if pending.inputs is not None:
            self._groups.answered(pending.inputs, ended - started, ended)
        return payload

    def _failed(self, pending: Pending, status: int, started: float) -> None:
        ended = perf_counter()
        self._metrics.request(str(status)).observe(ended - started)
        if pending.inputs is not None and status != FAULT_OF_CALLER:
            self._groups.failed(pending.inputs, ended)

    async def _shadow_infer(self, scope: Scope, receive: Receive) -> bytes:
        """What a comparator asks counts neither as evidence nor for scaling."""
        self._metrics.shadow.value += 1
        pending = self._deadlines.begin(receive)
        pending.is_shadow = True
        try:
            return await self._infer(scope, receive, pending)
        finally:
            self._deadlines.end(pending)

    async def _infer(self, scope: Scope, receive: Receive, pending: Pending) -> bytes:
        serving = self._serving()
        text = await self._body(scope, receive, pending)
        began = perf_counter()
        try:
            request = serving.codec.decode(text)
        except BadRequest as error:
            raise Refused(400, _explained(scope, error)) from error
        if pending.inputs is not None:
            pending.inputs = request.inputs
        decoded = perf_counter()
        self._metrics.decoded.observe(decoded - began)
        results = await self._results(serving, request.inputs, pending)
        began = perf_counter()
        payload = serving.codec.encode(request, results)
        self._metrics.encoded.observe(perf_counter() - began)
        return payload

    async def _body(self, scope: Scope, receive: Receive, pending: Pending) -> bytes:
        try:
            return await body.read(scope, receive, self._state.settings.max_body_bytes)
        except asyncio.CancelledError:
            if not pending.has_expired:
                raise
            raise Refused(408, "the body did not come in time", answers.CLOSE, limit="slow-body") from None

    async def _results(self, serving: Serving, inputs: Arrays, pending: Pending) -> Arrays:
        try:
            pending.job = job = serving.scheduler.submit(inputs)
            job.is_shadow = pending.is_shadow
            return await job.future
        except QueueFull:
            headers = answers.retry_after(1)
            raise Refused(429, "too many requests wait for the model", headers, limit="queue") from None
        except TookTooLong as error:
            if error.is_running:
                raise Refused(504, "the model did not answer in time", limit="timeout") from None
            headers = answers.retry_after(1)
            raise Refused(503, "the request waited too long for the model", headers, limit="timeout") from None
        except InputRejected as error:
            raise Refused(400, f"inputs: {str(error)[:500]}") from error
        except CallerGone:
            raise
        except Exception as error:  # whatever the model raised; the caller learns that it was the model
            logs.LOGGER.warning("Model failed", extra={"fields": {"error": f"{type(error).__name__}: {error}"}})
            raise Refused(500, f"the model failed: {type(error).__name__}: {str(error)[:200]}") from error

    def _read(self, method: str, path: str) -> Answer:
        if path in self._infer_paths:
            raise Refused(405, f"{method} is not allowed here; use POST", ((b"allow", b"POST"),))
        answer = self._reads.get(path)
        if answer is None:
            raise Refused(404, self._not_found(path))
        if method not in _READ:
            raise Refused(405, f"{method} is not allowed here; use GET", ((b"allow", b"GET, HEAD"),))
        return answer()

    def _not_found(self, path: str) -> str:
        settings = self._state.settings
        if not path.startswith("/v2/models/"):
            return f"{path[:200]} is no path of the V2 inference protocol; see /v2"
        version = f", version {settings.version}" if settings.version else ""
        return f"{path[:200]} not found; the model served here is {settings.name}{version}"

    def _serving(self) -> Serving:
        serving = self._state.serving
        if serving is None:
            raise Refused(503, f"the model is not ready: {self._state.phase}", answers.retry_after(1))
        return serving

    def _live(self) -> Answer:
        return 200, b'{"live":true}'

    def _ready(self) -> Answer:
        if self._state.is_ready:
            return 200, b'{"ready":true}'
        return 503, answers.encoded({"ready": False, "state": self._state.phase})

    def _model_ready(self) -> Answer:
        is_ready = self._state.is_ready
        return 200 if is_ready else 503, answers.encoded({"name": self._state.settings.name, "ready": is_ready})

    def _server_metadata(self) -> Answer:
        return 200, answers.encoded({"name": "modelway-runtime", "version": __version__, "extensions": []})

    def _model_metadata(self) -> Answer:
        model = self._serving().model
        settings = self._state.settings
        return 200, answers.encoded(
            {
                "name": settings.name,
                "versions": [settings.version] if settings.version else [],
                "platform": model.platform,
                "inputs": [_described(spec) for spec in model.inputs],
                "outputs": [_described(spec) for spec in model.outputs],
            }
        )


def _described(spec: TensorSpec) -> dict[str, object]:
    columns = {"parameters": {"columns": list(spec.columns)}} if spec.columns else {}
    return {"name": spec.name, "datatype": spec.datatype, "shape": spec.shape, **columns}


def _identity(revision: str, version: str) -> Headers:
    """Who answers; a header holds printable ASCII only."""
    pairs = ((b"modelway-revision", revision), (b"modelway-version", version))
    return tuple(
        (name, "".join(sign if " " <= sign <= "~" else "?" for sign in value).encode())
        for name, value in pairs
        if value
    )


def _explained(scope: Scope, error: BadRequest) -> str:
    """Says what this server cannot read before it complains about the bytes."""
    if body.header(scope, b"inference-header-content-length"):
        return "header inference-header-content-length: binary tensors are not served; send JSON data"
    if encoding := body.header(scope, b"content-encoding"):
        return f"header content-encoding: {encoding.decode('ascii', 'replace')[:50]} is not served; send plain JSON"
    return str(error)
