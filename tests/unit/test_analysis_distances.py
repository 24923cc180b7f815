"""Distances from a reference: what counts prove of drift, how seldom they err, and what it costs."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelway.analysis import distances, drifts
from modelway.analysis.drifts import Binned

LEVEL = 0.05
TENTHS = np.full(10, 0.1)
BINS = st.lists(st.integers(0, 10_000), min_size=3, max_size=17)


def shifted(by: float) -> "np.ndarray":
    """Shares of ten bins that were tenths of a normal distribution before it moved by so many deviations."""
    draws = np.sort(np.random.default_rng(0).normal(size=200_000))
    counts, _ = np.histogram(draws + by, bins=[-np.inf, *draws[20_000::20_000], np.inf])
    return counts / counts.sum()


def index(found: "np.ndarray", reference: "np.ndarray") -> float:
    return float(((found - reference) * np.log(found / reference)).sum())


def numbers(reference: Sequence[int], counts: Sequence[int]) -> Binned:
    return Binned("Numbers", tuple(map(int, reference)), tuple(map(int, counts)))


def test_the_estimate_is_the_index_less_what_chance_makes() -> None:
    """10,000 pairs of samples without drift: (bins - 1) * (1/n + 1/m) is the mean of what is observed."""
    random, rows, reference = np.random.default_rng(1), 400, 2000
    ours, theirs = random.multinomial(rows, TENTHS, 2000), random.multinomial(reference, TENTHS, 2000)
    observed = [index(one / rows, other / reference) for one, other in zip(ours, theirs, strict=True)]
    assert distances.psi_chance(numbers(theirs[0], ours[0])) == pytest.approx(9 * (1 / 400 + 1 / 2000))
    assert np.mean(observed) == pytest.approx(9 * (1 / 400 + 1 / 2000), rel=0.05)
    far = numbers(np.full(10, 10**6), shifted(0.7) * 10**7)
    assert distances.psi(far, 0.2, LEVEL).estimate == pytest.approx(index(shifted(0.7), TENTHS), rel=1e-3)


@pytest.mark.parametrize("reference", [300, 10_000])
@pytest.mark.parametrize("method", [distances.PSI, distances.KS], ids=lambda method: method.name)
def test_60_without_drift_none_is_proven_however_small_the_sample(method: distances.Method, reference: int) -> None:
    """Seeded: 100 streams of 3,000 rows, a look after every 20 up to 300 and every 300 then; any drift is a fault."""
    random, alarms = np.random.default_rng(60), 0
    for _ in range(100):
        theirs = random.multinomial(reference, TENTHS)
        steps = random.multinomial(20, TENTHS, 150).cumsum(axis=0)
        seen = [*steps[:15], *steps[29::15]]
        alarms += any((method.measured(numbers(theirs, ours), 1e-6, LEVEL).within.low or 0) > 1e-6 for ours in seen)
    assert alarms <= LEVEL * 100


@pytest.mark.parametrize("by", [0.3, 0.45])
@pytest.mark.parametrize("method", ["PSI", "KS"])
def test_60_drift_that_is_just_at_its_limit_is_no_fail(method: str, by: float) -> None:
    random, alarms, shares = np.random.default_rng(61), 0, shifted(by)
    measure = distances.ks if method == "KS" else distances.psi
    apart = np.abs(shares.cumsum() - TENTHS.cumsum()).max()
    limit = float(apart) if method == "KS" else index(shares, TENTHS)
    for _ in range(100):
        theirs = random.multinomial(5000, TENTHS)
        seen = random.multinomial(500, shares, 20).cumsum(axis=0)
        alarms += any((measure(numbers(theirs, ours), limit, LEVEL).within.low or 0) > limit for ours in seen)
    assert alarms <= LEVEL * 100


def test_60_the_usual_rule_takes_small_samples_without_drift_for_drift() -> None:
    """A PSI above 0.2, as it is observed: what the set is there to prevent."""
    random = np.random.default_rng(62)
    ours = random.multinomial(50, TENTHS, 500)
    observed = [distances.observed_psi(numbers([1000] * 10, one)) for one in ours]
    assert np.mean(np.array(observed) > 0.2) > 0.2
    assert not any((distances.psi(numbers([1000] * 10, one), 0.2, LEVEL).within.low or 0) > 0.2 for one in ours)


@pytest.mark.parametrize(("by", "rows"), [(1.0, 500), (0.7, 6000)])
def test_drift_is_found(by: float, rows: int) -> None:
    found = distances.psi(numbers([10_000] * 10, shifted(by) * rows), 0.2, 0.0056 / 10)
    assert found.within.low is not None
    assert 0.2 < found.within.low < found.estimate
    assert math.sqrt(found.estimate) > math.sqrt(found.smallest) * 0.95, "and the message says about what it takes"


def test_the_set_is_what_the_wealth_of_a_bettor_does_not_refute() -> None:
    """One row after the other: who bets (c + 1/2) / (n + bins/2) against p has exp(n * KL - regret) in the end."""
    random, p = np.random.default_rng(3), np.array([0.2, 0.3, 0.5])
    rows = random.choice(3, size=200, p=[0.5, 0.3, 0.2])
    counts, wealth = np.zeros(3), 0.0
    for row in rows:
        wealth += math.log((counts[row] + 0.5) / (counts.sum() + 1.5) / p[row])
        counts[row] += 1
    shares = counts / 200
    entropy = float((shares * np.log(shares / p)).sum())
    radius = distances._radius(tuple(counts.astype(int).tolist()), LEVEL)
    assert 200 * (entropy - radius) - math.log(LEVEL) == pytest.approx(wealth, abs=1e-9)


@given(st.lists(st.tuples(st.floats(-5, 5), st.floats(0, 1)), min_size=2, max_size=8), st.floats(1e-3, 2))
def test_no_shares_within_the_radius_have_a_smaller_sum(parts: list[tuple[float, float]], radius: float) -> None:
    weights, raw = [weight for weight, _ in parts], np.array([share for _, share in parts])
    if raw.sum() < 0.1:
        return
    shares = raw / raw.sum()
    found, _ = distances._least(weights, shares.tolist(), radius)
    random = np.random.default_rng(4)
    others = random.dirichlet(np.full(len(parts), 0.5), 300)
    for mixed in (0.05, 0.3, 1.0):
        near = np.maximum((1 - mixed) * shares + mixed * others, 1e-300)
        entropy = np.where(shares > 0, shares * np.log(np.maximum(shares, 1e-300) / near), 0).sum(axis=1)
        inside = near[entropy <= radius]
        assert (inside @ np.array(weights) >= found - 1e-7).all()


@given(BINS, st.data())
def test_every_count_has_a_distance_and_no_odd_number(reference: list[int], data: st.DataObject) -> None:
    counts = data.draw(st.lists(st.integers(0, 10**6), min_size=len(reference), max_size=len(reference)))
    kind = data.draw(st.sampled_from(["Numbers", "Categories"]))
    for method in (distances.PSI, distances.KS):
        found = method.measured(Binned(kind, (*reference[:-1], reference[-1] + 1), tuple(counts)), 0.2, 1e-4)
        assert found.within.low is not None
        assert 0 <= found.within.low <= found.estimate < math.inf
        assert found.within.high is None or found.estimate <= found.within.high <= 1


def test_an_empty_bin_is_not_infinitely_far() -> None:
    found = distances.psi(numbers([100, 100, 0], [30, 30, 1]), 0.2, LEVEL)
    assert found.estimate < 0.2
    assert found.within.low == 0


@pytest.mark.parametrize(("kind", "apart"), [("Numbers", 0.2), ("Categories", 0.1)])
def test_categories_have_no_order(kind: str, apart: float) -> None:
    """Two neighbours lost a tenth each to the two others."""
    counts = (1500, 1500, 3500, 3500, 0)
    found = distances.ks(Binned(kind, (2500, 2500, 2500, 2500, 0), counts), 0.5, LEVEL)
    assert found.estimate == pytest.approx(apart)


def test_counts_add_up_and_what_came_since_is_the_difference() -> None:
    one, more = {"a": numbers([5, 5], [1, 2])}, {"a": numbers([5, 5], [4, 2]), "b": numbers([1, 1], [0, 1])}
    assert drifts.added(one, more) == {"a": numbers([5, 5], [5, 4]), "b": numbers([1, 1], [0, 1])}
    assert drifts.added(one, {}) == one
    assert drifts.since(more, one) == {"a": numbers([5, 5], [3, 0]), "b": numbers([1, 1], [0, 1])}
    assert drifts.since(one, one) == {"a": numbers([5, 5], [0, 0])}
    assert drifts.since(more, {"a": numbers([6, 4], [1, 1])})["a"] == more["a"]


def test_counts_against_another_reference_are_not_added() -> None:
    other = {"a": numbers([6, 4], [7, 7])}
    assert drifts.added({"a": numbers([5, 5], [1, 2])}, other) == other
