"""The comparator's settings: environment variables, overridden by flags, checked once at the start."""

from dataclasses import dataclass
from math import inf

from modelway_runtime import golden, units
from modelway_runtime.compare.comparison import Tolerance
from modelway_runtime.exchange import Place
from modelway_runtime.settings import Environ, natural, parsed, port, positive, truth


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareSettings:
    """What the comparator needs to know; times in seconds, sizes in bytes. `request_timeout` is that of one ask."""

    stable: Place
    stable_revision: str
    candidate: Place
    candidate_revision: str
    tolerance: Tolerance
    baseline_percent: int
    max_requests_per_second: int
    max_queue: int
    max_concurrent: int
    max_body_bytes: int
    max_held_bytes: int
    request_timeout: float
    is_redacted: bool
    drain: float
    host: str
    port: int
    metrics_port: int


def compare(environ: Environ) -> CompareSettings:
    """The settings of `compare`."""
    return CompareSettings(
        stable=parsed(environ, "MODELWAY_STABLE_URL", "", Place.of),
        stable_revision=environ.get("MODELWAY_STABLE_REVISION", ""),
        candidate=parsed(environ, "MODELWAY_CANDIDATE_URL", "", Place.of),
        candidate_revision=environ.get("MODELWAY_CANDIDATE_REVISION", ""),
        tolerance=Tolerance(
            absolute=parsed(environ, "MODELWAY_TOLERANCE_ABSOLUTE", str(golden.ABSOLUTE), _deviation),
            relative=parsed(environ, "MODELWAY_TOLERANCE_RELATIVE", str(golden.RELATIVE), _deviation),
        ),
        baseline_percent=parsed(environ, "MODELWAY_BASELINE_PERCENT", "10", _percent),
        max_requests_per_second=parsed(environ, "MODELWAY_MAX_REQUESTS_PER_SECOND", "20", positive),
        max_queue=parsed(environ, "MODELWAY_MAX_QUEUE", "100", natural),
        max_concurrent=parsed(environ, "MODELWAY_MAX_CONCURRENT", "8", positive),
        max_body_bytes=parsed(environ, "MODELWAY_MAX_BODY_BYTES", "4Mi", units.size),
        max_held_bytes=parsed(environ, "MODELWAY_MAX_HELD_BYTES", "32Mi", units.size),
        request_timeout=parsed(environ, "MODELWAY_REQUEST_TIMEOUT", "10s", units.seconds),
        is_redacted=parsed(environ, "MODELWAY_REDACT", "false", truth),
        drain=parsed(environ, "MODELWAY_DRAIN", "0s", units.seconds),
        host=environ.get("MODELWAY_HOST", ""),
        port=parsed(environ, "MODELWAY_PORT", "8000", port),
        metrics_port=parsed(environ, "MODELWAY_METRICS_PORT", "8002", port),
    )


def _deviation(text: str) -> float:
    number = float(text)
    if not 0 <= number < inf:
        raise ValueError(f"{text!r} is not a number of at least 0")
    return number


def _percent(text: str) -> int:
    if not text.isdigit() or int(text) > 100:
        raise ValueError(f"{text!r} is not a percentage; write a whole number from 0 to 100")
    return int(text)
