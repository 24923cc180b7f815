"""Settings of those who are told of requests; without any of them nobody is."""

from dataclasses import dataclass

from modelway_runtime.settings import Environ, parsed

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservationSettings:
    """Who is told of requests."""

    has_access_log: bool
    has_traces: bool


def observation(environ: Environ) -> ObservationSettings:
    """The settings; raises UsageError."""
    return ObservationSettings(
        has_access_log=parsed(environ, "MODELWAY_ACCESS_LOG", "false", _truth),
        has_traces=_has_traces(environ),
    )


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


def _truth(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError(f"{text!r} is not true or false")
    return text == "true"
