"""What somebody asks about groups of requests, from the query of an internal call. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from urllib.parse import parse_qs

MOST_NAMES = 50
MOST_LETTERS = 64
_MOST_SLOT_SECONDS, _LEAST_SLOT_SECONDS = 3600.0, 0.01
_MOST_QUERY_FIELDS = 64
_MOST_SLOT_DIGITS = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What somebody asks about groups."""

    input: str
    """Name of the input whose first value is a request's group."""
    names: tuple[str, ...] = ()
    """Those that are counted, beside `(none)` and `(other)`."""
    more: int = 0
    """How many further names may be counted: the first that come."""
    slot_seconds: float
    run: str = ""
    after: int | None = None
    """The slot of that run up to which the counts are known."""
    has_latency: bool = False
    """Whether durations are counted, too."""


def parsed(query: bytes) -> Question | None:
    """What a query asks; None where it asks nothing, or something that is not understood."""
    try:
        fields = parse_qs(query.decode(), strict_parsing=True, max_num_fields=_MOST_QUERY_FIELDS)
        run, _, slot = _last(fields, "after").rpartition(".")
        seconds = float(_last(fields, "slotSeconds", "5"))
        more = int(_last(fields, "more", "0"))
        after = int(slot[:_MOST_SLOT_DIGITS]) if slot else None
    except ValueError:
        return None
    names = tuple(map(printable, fields.get("name", ())))
    if not _last(fields, "by") or not isfinite(seconds) or len(names) > MOST_NAMES:
        return None
    return Question(
        input=_last(fields, "by"),
        names=names,
        more=min(max(0, more), MOST_NAMES),
        slot_seconds=min(max(_LEAST_SLOT_SECONDS, seconds), _MOST_SLOT_SECONDS),
        run=run,
        after=after,
        has_latency=_last(fields, "latency") == "1",
    )


def _last(fields: Mapping[str, list[str]], name: str, absent: str = "") -> str:
    return fields[name][-1] if name in fields else absent


def printable(text: str) -> str:
    """A name that a status can show: at most 64 characters, each of them visible."""
    short = text[:MOST_LETTERS]
    return short if short.isprintable() else "".join(sign if sign.isprintable() else "?" for sign in short)
