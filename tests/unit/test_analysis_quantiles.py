"""Quantiles of durations in buckets: estimates, sequences of one revision and of two, and how limits are rounded."""

import math
from collections import Counter
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelway.analysis import figures, quantiles, sequences
from modelway.analysis.quantiles import Durations

LEVEL = 0.0056
QUANTILES = st.sampled_from([0.5, 0.95, 0.99])
LATENCIES = st.dictionaries(st.integers(0, 400), st.integers(0, 5000), max_size=12)


def log_normal(random: np.random.Generator, count: int, median: float = 0.05) -> np.ndarray:
    return random.lognormal(math.log(median), 0.5, count)


def durations(latency: Mapping[int, int], quantile: float) -> Durations:
    return quantiles.durations(quantiles.histogram(latency), quantile)


def counted(seconds: np.ndarray) -> Counter[int]:
    return Counter(figures.bucket(each) for each in seconds.tolist())


def bounded(within: tuple[float | None, float | None]) -> tuple[float, float]:
    low, high = within
    assert low is not None
    return low, math.inf if high is None else high


@pytest.mark.parametrize("quantile", [0.5, 0.95, 0.99])
@pytest.mark.parametrize("count", [200, 20_000])
def test_an_estimate_is_within_its_bucket(quantile: float, count: int) -> None:
    seconds = log_normal(np.random.default_rng(1), count)
    exact = float(np.quantile(seconds, quantile, method="inverted_cdf"))
    assert quantiles.estimate(durations(counted(seconds), quantile)) == pytest.approx(exact, rel=0.05)


@given(latency=LATENCIES, quantile=QUANTILES, level=st.sampled_from([0.001, 0.05]))
def test_a_sequence_contains_its_estimate(latency: dict[int, int], quantile: float, level: float) -> None:
    of = durations(latency, quantile)
    low, high = bounded(quantiles.interval(of, level))
    assert low <= quantiles.estimate(of) <= high * (1 + 1e-9)


@given(latency=LATENCIES, quantile=QUANTILES)
def test_a_sequence_ends_where_the_share_above_is_refuted(latency: dict[int, int], quantile: float) -> None:
    """Bound by bound: the share above the lower one is proven to be larger, that above the upper one to be smaller."""
    of, proof = durations(latency, quantile), sequences.price(LEVEL)

    def above(bound: float) -> sequences.Share:
        longer = sum(count for bucket, count in latency.items() if figures.upper(bucket) > bound * (1 + 1e-9))
        return sequences.Share(longer, sum(latency.values()))

    bounds = [figures.upper(bucket) for bucket in range(-1, 402)]
    low, high = bounded(quantiles.interval(of, LEVEL))
    proven = [bound for bound in bounds if sequences.above(above(bound), 1 - quantile) >= proof]
    refuted = [bound for bound in bounds if sequences.below(above(bound), 1 - quantile) >= proof]
    assert low == pytest.approx(max(proven, default=0.0))
    assert high == pytest.approx(min(refuted, default=math.inf))


@given(slow=LATENCIES, fast=LATENCIES, quantile=QUANTILES, level=st.sampled_from([0.0056, 0.2]))
def test_two_sequences_are_those_of_every_pair_of_bounds(
    slow: dict[int, int], fast: dict[int, int], quantile: float, level: float
) -> None:
    """Against the definition: for every bucket in which fast's quantile may lie, both bets together are proof."""
    ours, theirs, proof = durations(slow, quantile), durations(fast, quantile), sequences.price(level)
    found, _ = quantiles.slower(ours, theirs, level)

    def is_proof(by: int, enough: float) -> bool:
        return all(
            theirs.less(_longer(fast, bucket - 1)) + ours.more(_longer(slow, bucket + by)) >= enough
            for bucket in range(-1, 1000)
        )

    if found is None:
        assert not is_proof(-500, proof + 0.06)
    else:
        assert is_proof(found, proof - 1e-9)
        # Evidence of less than a twentieth above its floor is taken for none.
        assert not is_proof(found + 1, proof + 0.06)


def _longer(latency: dict[int, int], bound: int) -> int:
    return sum(count for bucket, count in latency.items() if bucket > bound)


@given(slow=LATENCIES, fast=LATENCIES, quantile=QUANTILES)
def test_slower_is_never_said_of_both(slow: dict[int, int], fast: dict[int, int], quantile: float) -> None:
    low, high = quantiles.slower(durations(slow, quantile), durations(fast, quantile), LEVEL)
    assert low is None or high is None or low <= high


@pytest.mark.parametrize(("factor", "least"), [(1.5, 3), (3.0, 15)])
@pytest.mark.parametrize("quantile", [0.5, 0.95, 0.99])
def test_a_slower_revision_is_found(quantile: float, factor: float, least: int) -> None:
    random = np.random.default_rng(2)
    slow, fast = counted(log_normal(random, 4000, 0.05 * factor)), counted(log_normal(random, 36_000))
    low, high = quantiles.slower(durations(slow, quantile), durations(fast, quantile), LEVEL)
    assert low is not None
    assert high is not None
    assert least <= low <= math.log(factor, 1.05) <= high


def test_equal_revisions_differ_by_no_more_than_their_buckets() -> None:
    """However many requests there are, one bucket on either side stays open."""
    same = durations({200: 10**6, 201: 10**6, 202: 10**6}, 0.5)
    assert quantiles.slower(same, same, LEVEL) == (-1, 1)


@pytest.mark.parametrize(
    ("apart", "expected"),
    [(0, -1), (1, 0), (5, 4), (-3, -4)],
)
def test_a_bucket_apart_is_proof_of_no_bucket(apart: int, expected: int) -> None:
    """Durations of one bucket each: they may lie at its lower end in the one case, at its upper end in the other."""
    slow, fast = durations({200 + apart: 10**5}, 0.99), durations({200: 10**5}, 0.99)
    assert quantiles.slower(slow, fast, LEVEL)[0] == expected


def test_without_durations_nothing_is_known() -> None:
    none, some = durations({}, 0.99), durations({200: 10**5}, 0.99)
    assert quantiles.estimate(none) == 0.0
    assert quantiles.interval(none, LEVEL) == (0.0, None)
    assert quantiles.slower(none, some, LEVEL) == (None, None)
    assert quantiles.slower(some, none, LEVEL) == (None, None)
