"""Means of errors: what sums prove, that they err as seldom as they say whatever the errors are, and what it costs."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelway.analysis import deviations, means
from modelway.analysis.deviations import BOUNDS, Errors, Moments
from modelway.analysis.measures import mean, mean_change

Draw = Callable[[np.random.Generator, tuple[int, ...]], "np.ndarray"]

LEVEL = 0.05
PARETO = 1.5
"""Its variance is infinite."""
DRAWS: dict[str, Draw] = {
    "half-normal": lambda random, size: np.abs(random.normal(size=size)) * math.sqrt(math.pi / 2),
    "exponential": lambda random, size: random.exponential(size=size),
    "log-normal": lambda random, size: random.lognormal(-2, 2, size=size),
    "pareto": lambda random, size: (1 + random.pareto(PARETO, size=size)) * (PARETO - 1) / PARETO,
    "rare": lambda random, size: 1000.0 * (random.random(size) < 0.001),
}
"""Each has a mean of 1."""
SUMS = st.builds(
    lambda number, mean, spread: Moments(number, number * mean, number * mean * mean * (1 + spread)),
    st.integers(1, 10**6),
    st.floats(1e-3, 9),
    st.floats(0, 20),
)


def errors(values: "np.ndarray", most: float | None = None) -> Errors:
    """All of them, clipped."""
    kept = values if most is None else np.minimum(values, most)
    clipped = 0 if most is None else int((values > most).sum())
    return Errors(Moments(len(kept), float(kept.sum()), float((kept**2).sum())), most, clipped)


def looks(values: "np.ndarray", every: int, most: float | None = None) -> list[Errors]:
    """What is known after every so many of them."""
    kept = values if most is None else np.minimum(values, most)
    totals, squares = kept.cumsum(), (kept**2).cumsum()
    return [
        Errors(Moments(end, float(totals[end - 1]), float(squares[end - 1])), most)
        for end in range(every, len(values) + 1, every)
    ]


def test_evidence_is_the_wealth_of_the_bets_one_after_the_other() -> None:
    values, limit, unit, wealth = np.random.default_rng(1).exponential(1.3, 500), 1.0, 20.0, means._KEPT
    for tilt in means._TILTS:
        part = tilt * limit / unit
        if part < 1:
            stake = (1 - means._KEPT) / len(means._TILTS)
            off = values / limit - 1
            wealth += stake * math.exp(float((part * off + (part + math.log1p(-part)) * off**2).sum()))
    kept = np.minimum(values, unit)
    assert kept.max() < unit
    assert means.above(errors(values, unit), limit) == pytest.approx(math.log(wealth), abs=1e-9)


@given(off=st.floats(-1, 1e6), part=st.floats(0, 0.999))
def test_no_error_makes_a_bet_grow_by_more_than_one_that_is_fair(off: float, part: float) -> None:
    """The inequality of Fan, Grama and Liu, on which all else rests."""
    assert math.exp(part * off - means._penalty(part) * off * off) <= (1 + part * off) * (1 + 1e-12)


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)
@pytest.mark.parametrize("clip", [None, 10.0], ids=["unbounded", "clipped"])
def test_60_a_limit_that_is_just_kept_is_refuted_with_no_more_than_the_level(draw: Draw, clip: float | None) -> None:
    """Seeded: 500 streams of 2,000 errors, a look after every ten."""
    random, runs = np.random.default_rng(60), 500
    streams = draw(random, (runs, 2000))
    limit = 1.0 if clip is None else float(np.minimum(draw(random, (4_000_000,)), clip).mean())
    proof = -math.log(LEVEL)
    alarms = sum(any(means.above(seen, limit) >= proof for seen in looks(values, 10, clip)) for values in streams)
    assert alarms <= LEVEL * runs


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)
def test_60_a_limit_that_is_just_missed_is_not_called_kept_more_often_than_the_level(draw: Draw) -> None:
    random, runs, clip = np.random.default_rng(61), 500, 10.0
    streams = draw(random, (runs, 2000))
    limit = float(np.minimum(draw(random, (4_000_000,)), clip).mean())
    proof = -math.log(LEVEL)
    alarms = sum(any(means.below(seen, limit) >= proof for seen in looks(values, 10, clip)) for values in streams)
    assert alarms <= LEVEL * runs


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)
def test_60_a_candidate_as_good_as_stable_is_taken_back_with_no_more_than_the_level(draw: Draw) -> None:
    """Seeded: 200 pairs at a weight of 10 %, a look after every 100 outcomes of stable; only equal is well enough."""
    random, runs, clip = np.random.default_rng(62), 200, 10.0
    ours, theirs = draw(random, (runs, 300)), draw(random, (runs, 2700))
    harmed = 0
    for own, other in zip(ours, theirs, strict=True):
        pairs = zip(looks(own, 10, clip), looks(other, 90, clip), strict=True)
        harmed += any(mean_change(one, stable, 0, LEVEL, noun="outcomes").is_harm for one, stable in pairs)
    assert harmed <= LEVEL * runs


def test_60_an_asymptotic_sequence_of_the_same_sums_errs_far_more_often_than_it_says() -> None:
    """Why it is not taken: Waudby-Smith et al. (2024), theorem 2.2, on 200 streams of 2,000 log-normal errors."""
    random, runs = np.random.default_rng(63), 200
    scale = math.sqrt((-2 * math.log(LEVEL) + math.log(1 - 2 * math.log(LEVEL))) / 500)
    values = DRAWS["log-normal"](random, (runs, 2000))
    number = np.arange(1, 2001)
    mean = values.cumsum(axis=1) / number
    variance = (values**2).cumsum(axis=1) / number - mean**2
    grown = number * scale**2 + 1
    radius = np.sqrt(np.maximum(variance, 0) * 2 * grown / (number * scale) ** 2 * np.log(np.sqrt(grown) / LEVEL))
    wrong = ((mean + radius)[:, 100:] < 1).any(axis=1)
    assert wrong.mean() > 5 * LEVEL


@pytest.mark.parametrize(
    ("times", "clip", "most"),
    [(1.1, None, 3000), (1.2, None, 900), (1.5, None, 250), (1.2, 5.0, 900), (1.2, 100.0, 900)],
)
def test_larger_errors_are_found(times: float, clip: float | None, most: int) -> None:
    random, proof = np.random.default_rng(64), -math.log(0.0056)
    for _ in range(10):
        values = times * DRAWS["half-normal"](random, (20 * most,))
        found = next(seen for seen in looks(values, 10, clip) if means.above(seen, 1.0) >= proof)
        assert found.moments.number <= 2 * most


@given(sums=SUMS, level=st.sampled_from([0.0001, 0.005, 0.2]))
def test_a_sequence_contains_its_mean_and_what_lies_outside_is_refuted(sums: Moments, level: float) -> None:
    for seen in (Errors(sums), Errors(sums, 10.0)):
        low, high = means.interval(seen, level, 1.0)
        assert low is not None
        assert 0 <= low <= seen.mean * (1 + 1e-9)
        assert (high is None) == (seen.most is None)
        if seen.most is None and low > 0:
            assert means._above(sums, low, 1.0) >= -math.log(level) - 1e-6
        if high is not None:
            assert seen.mean * (1 - 1e-9) <= high <= 10
            assert low == 0 or means.above(seen, low) >= -math.log(level) - 1e-6
            assert high == 10 or means.below(seen, high) >= -math.log(level) - 1e-6


def test_errors_without_a_bound_never_prove_that_a_limit_is_kept() -> None:
    assert means.below(errors(np.full(10**6, 1e-3)), 1.0) < 0
    assert means.below(errors(np.full(10**6, 1e-3), 5.0), 1.0) > 1000


@pytest.mark.parametrize(("values", "refuted"), [([0.0] * 50, False), ([0.0] * 50 + [1e-9], True)])
def test_one_error_refutes_a_mean_of_nothing(values: list[float], *, refuted: bool) -> None:
    assert (means.above(errors(np.array(values)), 0.0) == math.inf) == refuted


def test_nothing_seen_proves_nothing() -> None:
    nothing = Errors(Moments(), 5.0)
    assert means.interval(nothing, LEVEL, 1.0) == (0.0, 5.0)
    assert not mean(nothing, 1.0, LEVEL, noun="outcomes").is_harm
    assert not mean_change(nothing, nothing, 10, LEVEL, noun="outcomes").is_harm


@given(st.lists(st.floats(0, 1e15), max_size=50), st.sampled_from([None, 0.5, 1.0, 3.0, 100.0]))
def test_sums_by_bucket_are_those_of_all_errors_clipped(values: list[float], clip: float | None) -> None:
    counted: deviations.Deviations = {}
    for value in values:
        bucket = int(np.searchsorted(BOUNDS, value))
        counted = deviations.added(counted, {bucket: Moments(1, value, value * value)})
    found = deviations.clipped(counted, clip)
    assert found.most == {None: None, 0.5: 0.5, 1.0: 1.0, 3.0: 5.0, 100.0: 100.0}[clip]
    expected = errors(np.array(values), found.most)
    assert found.moments == pytest.approx(expected.moments)
    assert found.clipped == expected.clipped


def test_what_came_since_is_the_difference() -> None:
    before = {28: Moments(2, 3.0, 4.6), 30: Moments(1, 7.0, 49.0)}
    now = {28: Moments(3, 4.5, 6.85), 30: Moments(1, 7.0, 49.0), 31: Moments(1, 15.0, 225.0)}
    assert deviations.since(now, before) == {28: pytest.approx((1, 1.5, 2.25)), 31: (1, 15.0, 225.0)}
    assert deviations.since(before, now) == {}
