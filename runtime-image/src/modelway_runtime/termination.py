"""The termination message: one JSON line of at most 1 KiB that Kubernetes shows as a container's end."""

import json
from dataclasses import dataclass
from pathlib import Path

from modelway_runtime.reasons import Reason

LIMIT = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a container ended, or what `fetch` brought."""

    reason: Reason | str
    message: str
    digest: str = ""
    size: int = 0


def line(outcome: Outcome) -> bytes:
    """The message as JSON of at most 1 KiB; a long sentence is cut, the digest never."""
    message = " ".join(outcome.message.split())[: LIMIT + 1]
    while True:
        body = {
            "reason": str(outcome.reason),
            "message": message,
            "digest": outcome.digest,
            "bytes": outcome.size,
        }
        encoded = json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
        if len(encoded) <= LIMIT:
            return encoded
        # A sign takes six bytes at most (`\u0000`), so this never cuts more than there is.
        message = message[: len(message) - (len(encoded) - LIMIT) // 6 - 2] + "…"


def clear(path: Path) -> None:
    """Takes back what was written: from now on an end without a message is one without a reason."""
    if path.exists():
        path.write_bytes(b"")


def write(path: Path, outcome: Outcome) -> None:
    """Writes the message where Kubernetes reads it; outside a pod the file does not exist and nothing is written."""
    if not path.exists():
        return
    try:
        path.write_bytes(line(outcome))
    except OSError:
        # The message is also in the log, which Kubernetes falls back to.
        return
