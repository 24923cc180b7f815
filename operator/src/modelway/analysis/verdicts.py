"""What evidence amounts to: six verdicts, of which only Fail takes a candidate back and only Pass goes on. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """From the worst to the best."""

    FAIL = "Fail"
    PROVIDER_ERROR = "ProviderError"
    NO_DATA = "NoData"
    INSUFFICIENT_SAMPLES = "InsufficientSamples"
    INCONCLUSIVE = "Inconclusive"
    PASS = "Pass"  # noqa: S105 - no password

    @property
    def rank(self) -> int:
        """0 for the worst."""
        return _RANKS[self]


_RANKS = {verdict: rank for rank, verdict in enumerate(Verdict)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Segments:
    """What the groups of requests add to a verdict."""

    input: str
    """The input whose values are the groups."""
    judged: int
    """Groups with enough samples for a verdict, or with proof of harm."""
    small: int
    """Groups with too few."""
    worst: str = ""
    """Name of the group that fails or is nearest to it; empty where none was judged."""
    message: str = ""
    """The verdict on that group in a sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """The verdict on one metric, with all that led to it."""

    metric: str
    verdict: Verdict
    message: str
    """One sentence: estimate, interval, limit and samples, or what is missing and for how long."""
    estimate: float | None = None
    low: float | None = None
    high: float | None = None
    """The confidence interval of the estimate."""
    limit: float | None = None
    samples: int = 0
    """Requests, pairs or answers that it is based on; of two revisions the smaller number."""
    needed: int = 0
    """Samples that are still needed before it can pass."""
    is_dry_run: bool = False
    segments: Segments | None = None
    """None where the metric is not divided."""


def combined(judgements: Iterable[Judgement]) -> Judgement | None:
    """The worst of those that count; None where none does."""
    return min((item for item in judgements if not item.is_dry_run), key=lambda item: item.verdict.rank, default=None)
