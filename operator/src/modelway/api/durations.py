"""Durations as Kubernetes writes them (`1h30m`, `15s`, `100ms`) and as `timedelta`. Pure."""

import re
from datetime import timedelta
from typing import Final

PATTERN: Final = r"^([0-9]{1,5}([.][0-9]{1,3})?(h|m|s|ms))+$"
"""What a duration may look like: the Go form, without signs and without units below a millisecond."""

MAX_LENGTH: Final = 24
"""With at most five digits before each unit this keeps every duration far inside 64 bits of nanoseconds."""

_UNITS: Final = {"h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1}
_PART: Final = re.compile(r"([0-9.]+)(ms|h|m|s)")
_WHOLE: Final = re.compile(PATTERN)


def parse(text: str) -> timedelta:
    """`1h30m` → 90 minutes. Raises ValueError for anything that the API server would refuse too."""
    if len(text) > MAX_LENGTH or not _WHOLE.fullmatch(text):
        raise ValueError(f"{text!r} is no duration: write numbers with units, such as 500ms, 30s or 1h30m")
    milliseconds = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))
    return timedelta(milliseconds=milliseconds)


def format(duration: timedelta) -> str:
    """90 minutes → `1h30m`: the one spelling that identities and pods see, whatever the user wrote."""
    rest = round(duration / timedelta(milliseconds=1))
    if rest < 0:
        raise ValueError(f"{duration} is negative, durations are not")
    if rest == 0:
        return "0s"
    parts = []
    for unit, size in _UNITS.items():
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts)
