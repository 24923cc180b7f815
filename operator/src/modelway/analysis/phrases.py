"""How figures are written in messages: `3.1 %`, `+20 %`, `240 ms`, `1,204 requests`, `12 min`. Pure."""

from collections.abc import Callable

from modelway.analysis.sequences import Interval

_SPANS = (("days", 86400.0), ("h", 3600.0), ("min", 60.0))


def number(value: float) -> str:
    """Two digits, from 10 on three, from 1,000 on all: `0.043`, `3.1`, `12.5`, `1,204`."""
    if abs(value) >= 999.5:
        return f"{value:,.0f}"
    return f"{value:.{3 if abs(value) >= 9.95 else 2}g}"


def percent(share: float) -> str:
    """A share of one."""
    return f"{number(100 * share)} %"


def signed(percents: float) -> str:
    """How much more or less."""
    return f"{'+' if percents > 0 else ''}{number(percents)} %"


def duration(seconds: float) -> str:
    """A latency."""
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{number(seconds / size)} {unit}"
    return f"{number(seconds * 1e6)} µs"


def rate(per_second: float) -> str:
    """Requests in a second."""
    return f"{number(per_second)}/s"


def span(seconds: float) -> str:
    """A time to wait."""
    for unit, size in _SPANS:
        if seconds >= 2 * size:
            return f"{seconds / size:,.0f} {unit}"
    return f"{max(1.0, seconds):.0f} s"


def count(amount: float, noun: str) -> str:
    """`1,204 requests`, `1 request`."""
    return f"{amount:,.0f} {noun.removesuffix('s') if amount == 1 else noun}"


def about(amount: float, noun: str) -> str:
    """The same in round numbers: `about 2,800 requests`."""
    return f"about {count(float(f'{amount:.2g}'), noun)}"


def bounds(within: Interval, say: Callable[[float], str]) -> str:
    """`[2 %, 4.6 %]`."""
    low, high = ("no bound" if bound is None else say(bound) for bound in within)
    return f"[{low}, {high}]"
