"""The gate's settings: environment variables, overridden by flags, checked once at the start."""

from dataclasses import dataclass
from pathlib import Path

from modelway_runtime import units
from modelway_runtime.exchange import Place
from modelway_runtime.gate.dialects import DIALECTS
from modelway_runtime.reasons import UsageError
from modelway_runtime.settings import Environ, parsed, port, positive, truth


@dataclass(frozen=True, slots=True, kw_only=True)
class GateSettings:
    """What the gate needs to know; times in seconds."""

    server: Place
    protocol: str
    """`V2`, `V1` or `Invocations`: how the server is asked."""
    name: str
    revision: str
    warms: bool
    asks: bool
    """Whether it warms the model, and whether it asks the golden requests; a server may do one of them by itself."""
    golden_path: Path
    golden_file: str
    model_path: Path
    max_batch_size: int
    request_timeout: float
    drain: float
    host: str
    port: int


def gate(environ: Environ) -> GateSettings:
    """The settings of `gate`."""
    if not environ.get("MODELWAY_SERVER_URL"):
        raise UsageError("MODELWAY_SERVER_URL or --server is needed, for example http://localhost:8000")
    return GateSettings(
        server=parsed(environ, "MODELWAY_SERVER_URL", "", Place.of),
        protocol=parsed(environ, "MODELWAY_GATE_PROTOCOL", "V2", _protocol),
        name=environ.get("MODELWAY_MODEL_NAME") or "model",
        revision=environ.get("MODELWAY_REVISION", ""),
        warms=parsed(environ, "MODELWAY_GATE_WARMUP", "true", truth),
        asks=parsed(environ, "MODELWAY_GATE_GOLDEN", "true", truth),
        golden_path=Path(environ.get("MODELWAY_GOLDEN_PATH") or "/etc/modelway/golden/requests.json"),
        golden_file=environ.get("MODELWAY_GOLDEN_FILE", ""),
        model_path=Path(environ.get("MODELWAY_MODEL_PATH") or "/models"),
        max_batch_size=parsed(environ, "MODELWAY_MAX_BATCH_SIZE", "32", positive),
        request_timeout=parsed(environ, "MODELWAY_REQUEST_TIMEOUT", "30s", units.seconds),
        drain=parsed(environ, "MODELWAY_DRAIN", "30s", units.seconds),
        host=environ.get("MODELWAY_HOST", ""),
        port=parsed(environ, "MODELWAY_GATE_PORT", "8002", port),
    )


def _protocol(text: str) -> str:
    if text not in DIALECTS:
        raise ValueError(f"{text!r} is not a protocol; write {', '.join(DIALECTS)}")
    return text
