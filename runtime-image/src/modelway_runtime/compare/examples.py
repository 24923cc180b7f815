"""Examples of disagreement for the person who looks into it: few, small and, if wanted, without values. Pure."""

from collections.abc import Mapping
from typing import Any

import orjson

from modelway_runtime.compare.comparison import Disagreement

MOST_BYTES = 512
_SHOWN_VALUES = 6
_MOST_SIGNS = 200
_64_BITS = 2**63


def example(request_id: str, disagreement: Disagreement) -> dict[str, Any]:
    """An example of at most 512 bytes as JSON; what is longer is cut."""
    fields: dict[str, Any] = {
        "id": request_id[:_MOST_SIGNS],
        "output": disagreement.output[:_MOST_SIGNS],
        "kind": str(disagreement.kind),
        "stable": _value(disagreement.stable),
        "candidate": _value(disagreement.candidate),
    }
    while (excess := len(orjson.dumps(fields)) - MOST_BYTES) > 0:
        longest = max(("id", "output", "stable", "candidate"), key=lambda name: _length(fields[name]))
        # A sign takes six bytes at most (`\u0000`), so a text that is long enough is not cut further than it must.
        kept = max(0, _length(fields[longest]) - excess // 6 - 2)
        fields[longest] = fields[longest][:kept] + "…"
    return fields


def redacted(shown: Mapping[str, Any]) -> dict[str, Any]:
    """An example without anything that came from a caller or a model but the output's name."""
    return {name: shown[name] for name in ("output", "kind")}


def _value(value: Any) -> str | int | float | bool | None:
    """A lone value as it is, a row as text."""
    if isinstance(value, list):
        listed = ", ".join(_text(item) for item in value[:_SHOWN_VALUES])
        return f"[{listed}{', …' if len(value) > _SHOWN_VALUES else ''}]"
    if isinstance(value, str):
        return value[:_MOST_SIGNS]
    if isinstance(value, int) and not -_64_BITS <= value < _64_BITS:
        return str(value)[:_MOST_SIGNS]
    return value if isinstance(value, int | float) else None


def _text(item: Any) -> str:
    return f"{item:.6g}" if isinstance(item, float) else str(item)[:_MOST_SIGNS]


def _length(field: Any) -> int:
    return len(field) if isinstance(field, str) else 0
