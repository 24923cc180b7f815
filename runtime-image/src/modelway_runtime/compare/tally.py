"""What was compared and what came of it, since the start of the process: for the operator and for Prometheus."""

from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from modelway_runtime.compare import examples
from modelway_runtime.compare.backlog import Backlog, Overload
from modelway_runtime.compare.comparison import Disagreement
from modelway_runtime.server.figures import Labels, Value, counters, gauges

_PREFIX = "modelway_runtime_compare_"
_PAIR = ("stable", "candidate")
_MOST_EXAMPLES = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """The hashes of the revisions that are compared."""

    stable: str
    candidate: str


class Tally(Collector):
    """All counts. The event loop's thread is the only writer, and it also answers the scrapes."""

    def __init__(self, pair: Pair, backlog: Backlog, *, is_redacted: bool) -> None:
        self._pair = pair
        self._backlog = backlog
        self._is_redacted = is_redacted
        self._pairs = 0
        self._disagreements = 0
        self._baseline_pairs = 0
        self._baseline_disagreements = 0
        self._kinds: Counter[str] = Counter()
        self._dropped: Counter[str] = Counter()
        self._ignored: Counter[str] = Counter()
        self._failures: Counter[tuple[str, str]] = Counter()
        self._examples: deque[dict[str, Any]] = deque(maxlen=_MOST_EXAMPLES)

    def compared(self, request_id: str, found: tuple[Disagreement, ...]) -> None:
        """Both revisions answered. A kind counts once for each pair, however many outputs disagree."""
        self._pairs += 1
        if not found:
            return
        self._disagreements += 1
        self._kinds.update({str(disagreement.kind) for disagreement in found})
        shown = examples.example(request_id, found[0])
        self._examples.append(examples.redacted(shown) if self._is_redacted else shown)

    def compared_with_itself(self, *, is_equal: bool) -> None:
        """Stable answered the same request twice."""
        self._baseline_pairs += 1
        self._baseline_disagreements += not is_equal

    def failed(self, side: str, reason: str) -> None:
        """One side gave no answer and the other did: nothing to compare, and no disagreement."""
        self._failures[side, reason] += 1

    def dropped(self, overload: Overload) -> None:
        """A request was not compared since there was too much to do."""
        self._dropped[overload] += 1

    def ignored(self, reason: str) -> None:
        """A request was not compared since there is nothing to compare."""
        self._ignored[reason] += 1

    def sums(self) -> dict[str, int]:
        """How often what came."""
        return {
            "pairs": self._pairs,
            "disagreements": self._disagreements,
            "baselinePairs": self._baseline_pairs,
            "baselineDisagreements": self._baseline_disagreements,
            "dropped": self._dropped.total(),
            "failures": self._failed("stable"),
            "candidateFailures": self._failed("candidate"),
        }

    def figures(self) -> dict[str, object]:
        """What `/internal/figures` answers, but for the run."""
        return {
            "stable": self._pair.stable,
            "candidate": self._pair.candidate,
            **self.sums(),
            "kinds": dict(self._kinds),
            "ignored": dict(self._ignored),
            "examples": list(self._examples),
        }

    def collect(self) -> Iterator[Metric]:
        """Everything, for a scrape."""
        labels = (self._pair.stable, self._pair.candidate)
        for name, text, count in (
            ("pairs", "Requests that both revisions answered", self._pairs),
            ("disagreements", "Requests that they answered differently", self._disagreements),
            ("baseline_pairs", "Requests that stable answered twice", self._baseline_pairs),
            (
                "baseline_disagreements",
                "Requests that stable answered differently the second time",
                self._baseline_disagreements,
            ),
        ):
            yield from counters(f"{_PREFIX}{name}", text, _PAIR, {labels: _value(count)})
        yield from self._by_reason(labels)
        for name, text, value in (
            ("requests_held", "Requests that wait or are compared", self._backlog.requests),
            ("bytes_held", "Room taken by the bodies of those that wait or are compared", self._backlog.size),
        ):
            yield from gauges(f"{_PREFIX}{name}", text, _PAIR, {labels: value})

    def _by_reason(self, labels: Labels) -> Iterator[Metric]:
        for name, text, label, counts in (
            ("disagreements_by_kind", "Disagreements in which a kind of output took part", "kind", self._kinds),
            ("dropped", "Requests not compared for overload", "reason", self._dropped),
            ("ignored", "Requests in which there is nothing to compare", "reason", self._ignored),
        ):
            children = {(*labels, reason): _value(count) for reason, count in counts.items()}
            yield from counters(f"{_PREFIX}{name}", text, (*_PAIR, label), children)
        failures = {(*labels, *where): _value(count) for where, count in self._failures.items()}
        text = "Requests that only the other side answered"
        yield from counters(f"{_PREFIX}failures", text, (*_PAIR, "side", "reason"), failures)

    def _failed(self, side: str) -> int:
        return sum(count for (one, _), count in self._failures.items() if one == side)


def _value(count: int) -> Value:
    value = Value()
    value.value = count
    return value
