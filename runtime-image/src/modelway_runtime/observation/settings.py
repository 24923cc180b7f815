"""Settings of what is told beside the figures of every server; without any of them nothing is."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from modelway_runtime import units
from modelway_runtime.settings import Environ, parsed, truth

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")


@dataclass(frozen=True, slots=True, kw_only=True)
class PayloadSettings:
    """Which payloads go where. `max_bytes` is the largest body of an event, `fraction` the share of requests."""

    url: str
    fraction: float
    max_bytes: int
    redacted: frozenset[str]
    service: str
    namespace: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservationSettings:
    """Who is told of requests, and whether figures have Triton's names, too."""

    has_access_log: bool
    has_traces: bool
    payloads: PayloadSettings | None
    has_triton_names: bool


def observation(environ: Environ) -> ObservationSettings:
    """The settings; raises UsageError."""
    return ObservationSettings(
        has_access_log=parsed(environ, "MODELWAY_ACCESS_LOG", "false", truth),
        has_traces=_has_traces(environ),
        payloads=_payloads(environ),
        has_triton_names=parsed(environ, "MODELWAY_METRICS_NAMES", "modelway", _has_triton_names),
    )


def _has_triton_names(text: str) -> bool:
    if text not in ("modelway", "triton"):
        raise ValueError(f"{text!r} are no names of metrics; write modelway, or triton for both")
    return text == "triton"


def _payloads(environ: Environ) -> PayloadSettings | None:
    if not environ.get("MODELWAY_PAYLOAD_LOG_URL"):
        return None
    names = environ.get("MODELWAY_PAYLOAD_LOG_REDACT", "").split(",")
    return PayloadSettings(
        url=parsed(environ, "MODELWAY_PAYLOAD_LOG_URL", "", _url),
        fraction=parsed(environ, "MODELWAY_PAYLOAD_LOG_FRACTION", "1", _fraction),
        max_bytes=parsed(environ, "MODELWAY_PAYLOAD_LOG_MAX_BYTES", "64Ki", units.size),
        redacted=frozenset(name.strip() for name in names if name.strip()),
        service=environ.get("MODELWAY_PAYLOAD_LOG_SERVICE", ""),
        namespace=environ.get("MODELWAY_PAYLOAD_LOG_NAMESPACE", ""),
    )


def _url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or not text.isprintable() or " " in text:
        raise ValueError("it is no URL with http or https; write for example http://sink.observability:8080")
    if parts.username or parts.password:
        raise ValueError("it holds a user or a password, which are sent to nobody here")
    _ = parts.port  # raises ValueError where it is none
    return text


def _fraction(text: str) -> float:
    number = float(text)
    if not 0 <= number <= 1:
        raise ValueError(f"{text!r} is not a fraction; write a number from 0 to 1")
    return number


def _has_traces(environ: Environ) -> bool:
    """By the names that OpenTelemetry gave them: where somebody says who takes traces, and nobody says not to."""
    is_off = environ.get("OTEL_SDK_DISABLED", "").lower() == "true" or environ.get("OTEL_TRACES_EXPORTER") == "none"
    if is_off or not any(environ.get(name) for name in _ENDPOINTS):
        return False
    for name in _PROTOCOLS:
        if environ.get(name):
            return parsed(environ, name, "", _protocol)
    return True


def _protocol(text: str) -> bool:
    if text != "http/protobuf":
        raise ValueError(f"{text!r} is not spoken here; write http/protobuf, and the endpoint for it, mostly port 4318")
    return True
