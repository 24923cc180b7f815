"""Reads what `wrk` and `h2load` print. Pure."""

import re
from dataclasses import dataclass

_UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4}


class Unexpected(Exception):
    """The output has another form; shows it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """One call of a load generator."""

    requests: int
    per_second: float
    failed: int
    p50_ms: float = 0.0
    p99_ms: float = 0.0


def wrk(text: str) -> Load:
    """Of `wrk --latency`; failed are answers other than 2xx and 3xx, and lost or late ones."""
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    lost = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
    return Load(
        requests=int(_found(r"(\d+) requests in", text)),
        per_second=float(_found(r"Requests/sec:\s+([\d.]+)", text)),
        p50_ms=milliseconds(_found(r"\n\s+50%\s+(\S+)", text)),
        p99_ms=milliseconds(_found(r"\n\s+99%\s+(\S+)", text)),
        failed=(int(bad[1]) if bad else 0) + (sum(map(int, lost.groups())) if lost else 0),
    )


def h2load(text: str) -> Load:
    """Of `h2load`; failed are those that failed, met an error or ran into a timeout, and answers other than 2xx."""
    counts = re.search(r"(\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout", text)
    if counts is None:
        raise Unexpected(text)
    done, succeeded = int(counts[1]), int(counts[2])
    return Load(
        requests=done,
        per_second=float(_found(r"finished in [\d.]+m?s, ([\d.]+) req/s", text)),
        failed=max(done - succeeded, sum(int(counts[number]) for number in (3, 4, 5))),
    )


def milliseconds(text: str) -> float:
    """`740.00us`, `1.40ms`, `2.10s` or `1.00m`."""
    match = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text)
    if match is None:
        raise Unexpected(text)
    return float(match[1]) * _UNITS[match[2]]


def _found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    if match is None:
        raise Unexpected(text)
    return match[1]
