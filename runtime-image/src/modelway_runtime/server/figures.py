"""Counters, gauges and histograms without locks: one thread writes them, a scrape reads them."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from math import inf

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
ROWS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0)


class Value:
    """A counter or a gauge."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0.0


class Histogram:
    """Counts by bucket; the library's own takes a lock and five times as long.

    `finer` bounds are for other readers than Prometheus: one search through all of them costs less than two histograms.
    """

    __slots__ = ("_bounds", "_shown", "counts", "total")

    def __init__(self, bounds: tuple[float, ...], finer: Iterable[float] = ()) -> None:
        self._shown = bounds
        self._bounds = tuple(sorted({*bounds, *finer}))
        self.counts = [0] * (len(self._bounds) + 1)
        self.total = 0.0

    def observe(self, amount: float) -> None:
        """One observation."""
        self.counts[bisect_left(self._bounds, amount)] += 1
        self.total += amount

    def counted(self, bounds: Sequence[float]) -> list[int]:
        """The counts up to each of some of its own bounds, and above the last; not cumulative."""
        counts = [0] * (len(bounds) + 1)
        for bound, count in zip((*self._bounds, inf), self.counts, strict=True):
            counts[bisect_left(bounds, bound)] += count
        return counts

    def buckets(self) -> list[tuple[str, float]]:
        """Cumulative counts by upper bound, as Prometheus wants them."""
        names = (*map(repr, self._shown), "+Inf")
        return list(zip(names, map(float, accumulate(self.counted(self._shown))), strict=True))


Labels = tuple[str, ...]


def histograms(name: str, text: str, labels: Labels, children: Mapping[Labels, Histogram]) -> Iterator[Metric]:
    """A histogram with a child for each set of label values."""
    family = HistogramMetricFamily(name, text, labels=labels)
    for values, child in children.items():
        family.add_metric(values, child.buckets(), sum_value=child.total)
    yield family


def counters(name: str, text: str, labels: Labels, children: Mapping[Labels, Value]) -> Iterator[Metric]:
    """A counter with a child for each set of label values."""
    family = CounterMetricFamily(name, text, labels=labels)
    for values, child in children.items():
        family.add_metric(values, child.value)
    yield family


def gauges(name: str, text: str, labels: Labels, children: Mapping[Labels, float]) -> Iterator[Metric]:
    """A gauge with a child for each set of label values."""
    family = GaugeMetricFamily(name, text, labels=labels)
    for values, value in children.items():
        family.add_metric(values, value)
    yield family
