"""What counts say about one limit, in figures, proofs and words. Pure."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from modelway.analysis import phrases
from modelway.analysis.sequences import Interval

remembered = lru_cache(maxsize=512)
"""Between two readings counts stay what they are, and every pass judges them again: 512 limits of some 60 models."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Estimate, bounds and limit are in one unit: the figure's own, or percent of change against stable."""

    text: str
    """The figures, such as `3.1 % [2 %, 4.6 %] of 1,204 requests`."""
    limit: float
    limit_text: str
    """Such as `1 %` or `+20 %`."""
    side: str = "above"
    """On which side of the limit harm lies."""
    estimate: float | None
    within: Interval
    """The confidence sequence."""
    is_harm: bool
    """Proof of being beyond the limit."""
    safety: Callable[[], float]
    """How much of a proof of being within the limit there is, from 1 on a whole one; 0 where less is not known."""
    smallest: Callable[[], str | None]
    """The least harm that as many requests would have proven; None where they would have proven none."""


def changes(ratios: Interval) -> Interval:
    """Bounds of a ratio as percent of change."""
    return Interval(*(None if ratio is None else 100 * (ratio - 1) for ratio in ratios))


def change(percents: float | None, within: Interval) -> str:
    """A change and its bounds in words."""
    known = "" if percents is None else f"{phrases.signed(percents)} "
    return known + phrases.bounds(within, phrases.signed)
