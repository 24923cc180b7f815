"""What is counted on a revision: requests, errors and durations of its pods, and answers that differ. Pure.

Durations are counted in buckets whose bounds grow by 5 %: bucket k holds those in (1.05^(k-1), 1.05^k] microseconds, so
that a quantile is known to within 5 % whatever its size, and counts of many pods add up exactly.
"""

import math
import operator
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime

from modelway.analysis import deviations, drifts
from modelway.analysis.deviations import Deviations
from modelway.analysis.drifts import Drifts

RATIO = 1.05
"""Upper bound of a bucket, divided by the one below."""


def bucket(seconds: float) -> int:
    """The bucket that a duration falls into."""
    microseconds = seconds * 1e6
    return 0 if microseconds <= 1 else math.ceil(math.log(microseconds, RATIO) - 1e-9)


def upper(index: int) -> float:
    """The upper bound of a bucket, in seconds."""
    return float(RATIO**index) / 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """Counts over some time, of one pod or of all pods of a revision. `latency` has the answered requests by bucket."""

    requests: int = 0
    errors: int = 0
    latency: Mapping[int, int] = field(default_factory=dict)
    labels: int = 0
    """Predictions whose outcome was told."""
    right: int = 0
    """Those among them that came true."""
    deviations: Deviations = field(default_factory=dict)
    """How far predictions that are numbers were off."""
    drifts: Drifts = field(default_factory=dict)
    """Features and predictions in the bins of the model's reference; empty where nobody asks, or there is none."""

    @property
    def answered(self) -> int:
        """Requests that ended well."""
        return sum(self.latency.values())

    def __add__(self, other: "Sums") -> "Sums":
        latency = dict(self.latency)
        for bucket, count in other.latency.items():
            latency[bucket] = latency.get(bucket, 0) + count
        return Sums(
            requests=self.requests + other.requests,
            errors=self.errors + other.errors,
            latency=latency,
            labels=self.labels + other.labels,
            right=self.right + other.right,
            deviations=deviations.added(self.deviations, other.deviations),
            drifts=drifts.added(self.drifts, other.drifts),
        )

    def since(self, earlier: "Sums") -> "Sums":
        """What came after `earlier`, which is an earlier reading of the same process."""
        return Sums(
            requests=max(0, self.requests - earlier.requests),
            errors=max(0, self.errors - earlier.errors),
            latency={
                bucket: count - before
                for bucket, count in self.latency.items()
                if count > (before := earlier.latency.get(bucket, 0))
            },
            labels=max(0, self.labels - earlier.labels),
            right=max(0, self.right - earlier.right),
            deviations=deviations.since(self.deviations, earlier.deviations),
            drifts=drifts.since(self.drifts, earlier.drifts),
        )


@dataclass(frozen=True, slots=True)
class Pairs:
    """Mirrored requests that both revisions were asked, and those that stable was asked twice."""

    pairs: int = 0
    disagreements: int = 0
    baseline_pairs: int = 0
    baseline_disagreements: int = 0
    candidate_failures: int = 0
    """Requests that stable answered and the candidate did not; they are in no pair."""

    def __add__(self, other: "Pairs") -> "Pairs":
        return Pairs(*map(operator.add, _counts(self), _counts(other)))

    def since(self, earlier: "Pairs") -> "Pairs":
        """What came after `earlier`, which is an earlier reading of the same process."""
        return Pairs(*(max(0, now - before) for now, before in zip(_counts(self), _counts(earlier), strict=True)))


_counts = operator.attrgetter(*(item.name for item in fields(Pairs)))


NOTHING = Sums()
NO_PAIRS = Pairs()


@dataclass(frozen=True, slots=True, kw_only=True)
class Divided:
    """What one process counted by group, in slots of time that have passed."""

    names: tuple[str, ...]
    """Those that it was asked to count. It may have counted some more, and all others together."""
    after: int | None
    """The slot after which it counts; None: since it was asked first."""
    up_to: int
    """The last slot that counts. The next one has begun already."""
    sums: Mapping[str, Sums] = field(default_factory=dict)
    """By name of the group."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What one process said about itself: everything is counted since it started."""

    pod: str
    run: str
    """Id of the process; another one starts from nothing."""
    revision: str
    """Name of the revision; empty for the comparator, which belongs to none."""
    state: str = ""
    """`Loading`, `Warming`, `Validating`, `Ready` or `Draining`; empty where it did not say."""
    uptime_seconds: float = 0.0
    sums: Sums = NOTHING
    divided: Divided | None = None
    """None where it counts nothing by group."""
    feedback: Mapping[str, Sums] = field(default_factory=dict)
    """Labels by the hash of the revision that predicted, which may be another one than this."""
    pairs: Pairs = NO_PAIRS
    examples: tuple[Mapping[str, str], ...] = ()
    """Answers that differed, as the comparator kept them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What Prometheus, Alertmanager or a service of the user answered for one metric."""

    metric: str
    value: float | None = None
    """The number; None where there is none."""
    verdict: str = ""
    """`Pass`, `Fail` or `Inconclusive`, where the answer is a verdict itself."""
    problem: str = ""
    """Why there is no answer: the provider could not be reached, refused, or said something else."""
    note: str = ""
    """What a person should know of the answer, such as the names of the alerts that fire."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Readings:
    """Everything that was read at one time for one inquiry."""

    inquiry: str
    """The inquiry's id: readings of another step or rollout are not taken."""
    at: datetime
    pods: tuple[Reading, ...] = ()
    silent: tuple[str, ...] = ()
    """Pods that did not answer."""
    answers: tuple[Answer, ...] = ()
