"""Settings: environment variables, overridden by flags, checked once at the start."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from modelway_runtime import units
from modelway_runtime.reasons import UsageError

T = TypeVar("T")

Environ = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class SignatureSettings:
    """Who must have signed a model: the owner of a key, or somebody with a certificate of an authority, in PEM."""

    file: str
    public_key: str
    certificate_authority: str
    identity: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchSettings:
    """What the `fetch` step needs to know."""

    uri: str
    model_format: str
    pin: str
    trust: str
    model_path: Path
    lock_path: Path
    max_bytes: int
    retry_seconds: float
    connections: int
    signature: SignatureSettings | None
    cache_path: Path | None
    cache_bytes: int
    name: str
    layout: str
    """Where a foreign server looks for the files: `Plain`, `TritonRepository` or `TensorFlowServing`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeSettings:
    """What the server needs to know; times in seconds, sizes in bytes."""

    name: str
    version: str
    revision: str
    model_format: str
    trust: str
    model_path: Path
    golden_path: Path
    golden_file: str
    drain: float
    request_timeout: float
    max_body_bytes: int
    max_queue: int
    max_batch_size: int
    max_delay: float
    threads: int
    instances: int
    """Inferences at the same time in this process; 0 leaves it to the format."""
    workers: int | None
    """Processes that run the model; 0 runs it in this one, None leaves it to the format."""
    options: Mapping[str, object]
    host: str
    port: int
    metrics_port: int
    grpc: str
    """`grpcio`, `native` or `off`."""
    grpc_port: int


def termination_log(environ: Environ) -> Path:
    """Where the termination message goes."""
    return Path(environ.get("MODELWAY_TERMINATION_LOG") or "/dev/termination-log")


def fetch(environ: Environ) -> FetchSettings:
    """The settings of `fetch`."""
    uri = environ.get("MODELWAY_MODEL_URI", "")
    if not uri:
        raise UsageError("MODELWAY_MODEL_URI or --uri is needed, for example s3://models/iris/1")
    return FetchSettings(
        uri=uri,
        model_format=environ.get("MODELWAY_MODEL_FORMAT", ""),
        pin=parsed(environ, "MODELWAY_MODEL_DIGEST", "", digest),
        trust=parsed(environ, "MODELWAY_TRUST", "Safe", _trust),
        model_path=Path(environ.get("MODELWAY_MODEL_PATH") or "/models"),
        lock_path=Path(environ.get("MODELWAY_LOCK_PATH") or "/etc/modelway/lock/digest"),
        max_bytes=parsed(environ, "MODELWAY_MAX_MODEL_BYTES", "16Gi", units.size),
        retry_seconds=parsed(environ, "MODELWAY_FETCH_RETRY", "45s", units.seconds),
        connections=parsed(environ, "MODELWAY_FETCH_CONNECTIONS", "8", positive),
        signature=_signature(environ),
        cache_path=Path(environ["MODELWAY_CACHE_PATH"]) if environ.get("MODELWAY_CACHE_PATH") else None,
        cache_bytes=parsed(environ, "MODELWAY_CACHE_MAX_BYTES", "64Gi", units.size),
        name=environ.get("MODELWAY_MODEL_NAME") or "model",
        layout=parsed(environ, "MODELWAY_MODEL_LAYOUT", "Plain", _layout),
    )


def _signature(environ: Environ) -> SignatureSettings | None:
    key = environ.get("MODELWAY_SIGNATURE_PUBLIC_KEY", "").strip()
    authority = environ.get("MODELWAY_SIGNATURE_CERTIFICATE_AUTHORITY", "").strip()
    if key and authority:
        raise UsageError("Give MODELWAY_SIGNATURE_PUBLIC_KEY or MODELWAY_SIGNATURE_CERTIFICATE_AUTHORITY, not both")
    if not key and not authority:
        if environ.get("MODELWAY_TRUST") == "Signed":
            message = "is needed where MODELWAY_TRUST is Signed, or MODELWAY_SIGNATURE_CERTIFICATE_AUTHORITY"
            raise UsageError(f"MODELWAY_SIGNATURE_PUBLIC_KEY {message}")
        return None
    return SignatureSettings(
        file=environ.get("MODELWAY_SIGNATURE_FILE") or "model.sig",
        public_key=key,
        certificate_authority=authority,
        identity=environ.get("MODELWAY_SIGNATURE_IDENTITY", "").strip(),
    )


def serve(environ: Environ) -> ServeSettings:
    """The settings of `serve`."""
    return ServeSettings(
        name=environ.get("MODELWAY_MODEL_NAME") or "model",
        version=environ.get("MODELWAY_MODEL_VERSION", ""),
        revision=environ.get("MODELWAY_REVISION", ""),
        model_format=environ.get("MODELWAY_MODEL_FORMAT", ""),
        trust=parsed(environ, "MODELWAY_TRUST", "Safe", _trust),
        model_path=Path(environ.get("MODELWAY_MODEL_PATH") or "/models"),
        golden_path=Path(environ.get("MODELWAY_GOLDEN_PATH") or "/etc/modelway/golden/requests.json"),
        golden_file=environ.get("MODELWAY_GOLDEN_FILE", ""),
        drain=parsed(environ, "MODELWAY_DRAIN", "30s", units.seconds),
        request_timeout=parsed(environ, "MODELWAY_REQUEST_TIMEOUT", "30s", units.seconds),
        max_body_bytes=parsed(environ, "MODELWAY_MAX_BODY_BYTES", "64Mi", units.size),
        max_queue=parsed(environ, "MODELWAY_MAX_QUEUE", "1000", positive),
        max_batch_size=parsed(environ, "MODELWAY_MAX_BATCH_SIZE", "32", positive),
        max_delay=parsed(environ, "MODELWAY_MAX_DELAY", "0s", units.seconds),
        threads=parsed(environ, "MODELWAY_THREADS", "0", natural),
        instances=parsed(environ, "MODELWAY_INSTANCES", "0", natural),
        workers=parsed(environ, "MODELWAY_WORKERS", "auto", _workers),
        options=parsed(environ, "MODELWAY_OPTIONS", "{}", _object),
        host=environ.get("MODELWAY_HOST", ""),
        port=parsed(environ, "MODELWAY_PORT", "8000", port),
        metrics_port=parsed(environ, "MODELWAY_METRICS_PORT", "8002", port),
        grpc=parsed(environ, "MODELWAY_GRPC", "grpcio", _grpc),
        grpc_port=parsed(environ, "MODELWAY_GRPC_PORT", "8001", port),
    )


def _workers(text: str) -> int | None:
    return None if text == "auto" else natural(text)


def _grpc(text: str) -> str:
    if text not in ("grpcio", "native", "off"):
        raise ValueError(f"{text!r} is not a way to take gRPC calls; write grpcio, native or off")
    return text


def digest(text: str) -> str:
    """A digest as it stands in a spec or a lock: empty, or `sha256:` and 64 hex digits."""
    lowered = text.strip().lower()
    hexadecimal = lowered.removeprefix("sha256:")
    if not lowered:
        return ""
    if len(hexadecimal) != 64 or not set(hexadecimal) <= set("0123456789abcdef"):
        raise ValueError(f"{text!r} is not a digest; write sha256: and 64 hex digits")
    return f"sha256:{hexadecimal}"


def parsed(environ: Environ, name: str, default: str, parse: Callable[[str], T]) -> T:
    """A setting through its parser; an empty value is the default."""
    try:
        return parse(environ.get(name) or default)
    except ValueError as error:
        raise UsageError(f"{name}: {error}") from error


def _layout(text: str) -> str:
    if text not in ("Plain", "TritonRepository", "TensorFlowServing"):
        raise ValueError(f"{text!r} is not a layout; write Plain, TritonRepository or TensorFlowServing")
    return text


def _trust(text: str) -> str:
    if text not in ("Safe", "Signed", "Any"):
        raise ValueError(f"{text!r} is not a trust; write Safe, Signed or Any")
    return text


def natural(text: str) -> int:
    """A whole number from 0 on."""
    if not text.isdigit():
        raise ValueError(f"{text!r} is not a number of at least 0")
    return int(text)


def positive(text: str) -> int:
    """A whole number from 1 on."""
    if not text.isdigit() or int(text) < 1:
        raise ValueError(f"{text!r} is not a number of at least 1")
    return int(text)


def port(text: str) -> int:
    """A port; 0 lets the system pick one."""
    if not text.isdigit() or int(text) > 65535:
        raise ValueError(f"{text!r} is not a port")
    return int(text)


def truth(text: str) -> bool:
    """Yes or no."""
    if text not in ("true", "false"):
        raise ValueError(f"{text!r} is not true or false")
    return text == "true"


def _object(text: str) -> Mapping[str, object]:
    body = json.loads(text)
    if not isinstance(body, dict):
        raise ValueError("write a JSON object")
    return body
