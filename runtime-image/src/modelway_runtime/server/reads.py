"""What can be asked of a server beside predictions: health, metadata, statistics, in each protocol's own words."""

from collections.abc import Callable
from typing import Any, TypeAlias

from modelway_runtime import __version__
from modelway_runtime.protocol import description, statistics
from modelway_runtime.protocol.payloads import JSON, Headers
from modelway_runtime.server import answers
from modelway_runtime.server.answers import Refused
from modelway_runtime.server.life import Phase
from modelway_runtime.server.state import Serving, State

Answer: TypeAlias = tuple[int, Headers, bytes]

_TEXT: Headers = ((b"content-type", b"text/plain; charset=utf-8"),)
_INDEX_STATES = {Phase.READY: description.READY, Phase.DRAINING: description.UNAVAILABLE}
_V1_STATES = {Phase.READY: "AVAILABLE", Phase.DRAINING: "UNLOADING"}
_SIGNATURE = "serving_default"
_DTYPES = {
    "BOOL": "DT_BOOL",
    "FP16": "DT_HALF",
    "BF16": "DT_BFLOAT16",
    "FP32": "DT_FLOAT",
    "FP64": "DT_DOUBLE",
    "BYTES": "DT_STRING",
}


class Reads:
    """Answers that need no body, by path."""

    def __init__(self, state: State) -> None:
        settings = state.settings
        self._state = state
        v2, v1 = (_served(f"/{way}/models/{settings.name}", settings.version) for way in ("v2", "v1"))
        self.by_path: dict[str, Callable[[], Answer]] = {
            "/": self._alive,
            "/ping": self._ping,
            "/health": self._ping,
            "/version": lambda: (200, _TEXT, __version__.encode()),
            "/v1/models": lambda: _answer({"models": [settings.name]}),
            "/v2": self._server_metadata,
            "/v2/": self._server_metadata,
            "/v2/health/live": lambda: (200, JSON, b'{"live":true}'),
            "/v2/health/ready": self._ready,
            "/v2/models/stats": self._statistics,
            **dict.fromkeys(v2, self._model_metadata),
            **{f"{prefix}/ready": self._model_ready for prefix in v2},
            **{f"{prefix}/stats": self._statistics for prefix in v2},
            **{f"{prefix}/config": self._config for prefix in v2},
            **dict.fromkeys(v1, self._v1_status),
            **{f"{prefix}/metadata": self._v1_metadata for prefix in v1},
        }

    def serving(self) -> Serving:
        """The model; raises Refused while there is none."""
        serving = self._state.serving
        if serving is None:
            raise Refused(503, f"the model is not ready: {self._state.phase}", answers.retry_after(1))
        return serving

    def index(self, *, only_ready: bool) -> Answer:
        """The repository's index."""
        return _answer(index(self._state, only_ready=only_ready))

    def _alive(self) -> Answer:
        return _answer({"status": "alive"})

    def _ping(self) -> Answer:
        return (200 if self._state.is_ready else 503), _TEXT, b"\n"

    def _ready(self) -> Answer:
        if self._state.is_ready:
            return 200, JSON, b'{"ready":true}'
        return _answer({"ready": False, "state": self._state.phase}, 503)

    def _model_ready(self) -> Answer:
        is_ready = self._state.is_ready
        return _answer({"name": self._state.settings.name, "ready": is_ready}, 200 if is_ready else 503)

    def _server_metadata(self) -> Answer:
        return _answer(description.server(__version__))

    def _model_metadata(self) -> Answer:
        settings = self._state.settings
        told = description.model(settings.name, settings.version, self.serving().model)
        optimization = self._state.optimization.described()
        return _answer({**told, **({"parameters": optimization} if optimization else {})})

    def _statistics(self) -> Answer:
        self.serving()
        return _answer(statistics.described(self._state.metrics.statistics()))

    def _config(self) -> Answer:
        settings = self._state.settings
        return _answer(description.config(settings.name, self.serving().model, settings.max_batch_size))

    def _v1_status(self) -> Answer:
        """TensorFlow Serving's status and KServe's; the latter's client reads `ready`, also where it is false."""
        settings, phase = self._state.settings, self._state.phase
        status = {"error_code": "OK", "error_message": ""}
        version = {"version": settings.version, "state": _V1_STATES.get(phase, "LOADING"), "status": status}
        is_ready = self._state.is_ready
        body = {"name": settings.name, "ready": is_ready, "model_version_status": [version]}
        return _answer(body, 200 if is_ready else 503)

    def _v1_metadata(self) -> Answer:
        settings = self._state.settings
        model = description.model(settings.name, settings.version, self.serving().model)
        signature = {
            "inputs": {tensor["name"]: _tensor_info(tensor) for tensor in model["inputs"]},
            "outputs": {tensor["name"]: _tensor_info(tensor) for tensor in model["outputs"]},
            "method_name": "tensorflow/serving/predict",
        }
        return _answer(
            {
                "model_spec": {"name": settings.name, "signature_name": "", "version": settings.version},
                "metadata": {"signature_def": {"signature_def": {_SIGNATURE: signature}}},
            }
        )


def index(state: State, *, only_ready: bool) -> list[dict[str, str]]:
    """The repository's index: the model, unless it is not ready and only such are asked for."""
    if only_ready and not state.is_ready:
        return []
    settings, phase = state.settings, state.phase
    shown = _INDEX_STATES.get(phase, description.LOADING)
    return description.index(settings.name, settings.version, shown, "" if phase is Phase.READY else phase)


def _served(prefix: str, version: str) -> tuple[str, ...]:
    """A model's paths: of whatever version is served, and of the version by name."""
    return (prefix, f"{prefix}/versions/{version}") if version else (prefix,)


def _tensor_info(tensor: dict[str, Any]) -> dict[str, Any]:
    """A tensor in TensorFlow's words, whose sizes are strings."""
    datatype = tensor["datatype"]
    return {
        "dtype": _DTYPES.get(datatype, f"DT_{datatype}"),
        "tensor_shape": {"dim": [{"size": str(size), "name": ""} for size in tensor["shape"]], "unknown_rank": False},
        "name": tensor["name"],
    }


def _answer(body: object, status: int = 200) -> Answer:
    return status, JSON, answers.encoded(body)
