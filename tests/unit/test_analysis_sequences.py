"""Confidence sequences of shares: what the bets are worth, that they err as seldom as they say, and what they cost."""

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import binomtest

from modelway.analysis import sequences
from modelway.analysis.sequences import Share

LEVELS = st.sampled_from([0.0001, 0.005, 0.05, 0.2])


@st.composite
def shares(draw: st.DrawFn, least: int = 0) -> Share:
    trials = draw(st.one_of(st.integers(least, 50), st.integers(least, 10**7)))
    return Share(draw(st.one_of(st.integers(0, min(trials, 20)), st.integers(0, trials))), trials)


@pytest.mark.parametrize(
    ("share", "limit", "more", "less"),
    [
        ((31, 1000), 0.01, 12.362389, -2.257796),
        ((3, 400), 0.001, 1.790184, -0.911564),
        ((12, 1000), 0.02, -1.703075, 1.124318),
        ((60, 100), 0.5, 1.085865, -1.840849),
        ((0, 300), 0.01, -1.074852, 1.533538),
        ((7, 7), 0.05, 16.908630, -1.462143),
    ],
)
def test_evidence_is_that_of_another_library(share: tuple[int, int], limit: float, more: float, less: float) -> None:
    """Logarithms of `confseq.betting.diversified_betting_mart`, confseq 0.0.11, with the same bets and weights.

    It needs a C++ compiler with Boost and NumPy 1, so that only its answers are kept here.
    """
    assert sequences.above(Share(*share), limit) == pytest.approx(more, abs=1e-6)
    assert sequences.below(Share(*share), limit) == pytest.approx(less, abs=1e-6)


@pytest.mark.parametrize(
    ("share", "low", "high", "wider"),
    [
        ((10, 1000), 0.002304, 0.025257, 1.08),
        ((500, 1000), 0.444073, 0.555927, 1.08),
        ((0, 1000), 0.0, 0.006173, 1.27),
        ((100, 10_000), 0.006845, 0.013923, 1.08),
        ((400, 20_000), 0.016673, 0.023692, 1.08),
    ],
)
def test_a_sequence_is_about_as_narrow_as_one_that_is_made_for_this_moment(
    share: tuple[int, int], low: float, high: float, wider: float
) -> None:
    """Against `confseq.boundaries.bernoulli_confidence_interval`, confseq 0.0.11, which is told beforehand after how
    many requests it is to be the narrowest: 1,000 for the first three rows, 10,000 for the others.
    """
    found = sequences.interval(Share(*share), 0.0056)
    assert found.low is not None
    assert found.high is not None
    assert found.high - found.low <= wider * (high - low)


def test_evidence_is_the_wealth_of_the_bets_one_after_the_other() -> None:
    random = np.random.default_rng(60)
    outcomes = random.random(500) < 0.04
    limit, wealth = 0.02, 0.0
    for tilt, stake in sequences._STAKES:
        bet = math.expm1(tilt) / (1 + limit * math.expm1(tilt))
        wealth += stake * float(np.prod(1 + bet * (outcomes - limit)))
    assert sequences.above(Share(int(outcomes.sum()), 500), limit) == pytest.approx(math.log(wealth), abs=1e-9)
    assert sum(stake for _, stake in sequences._STAKES) == pytest.approx(1.0)


@pytest.mark.parametrize("limit", [0.001, 0.01, 0.1, 0.5])
@pytest.mark.parametrize("level", [0.05, 0.0056])
def test_60_a_true_limit_is_refuted_with_no_more_than_the_level_over_5000_looks(limit: float, level: float) -> None:
    """Exactly, over all histories: how likely the evidence ever is proof, with a look after each request."""
    above, below = _ever(limit, level, sequences.more), _ever(limit, level, sequences.less)
    assert above <= level
    assert below <= level
    if limit >= 0.01:
        assert above >= 0.3 * level, "and the level is used: less would take more requests than it must"


def _ever(limit: float, level: float, evidence: object, looks: int = 5000) -> float:
    alive, refuted = np.zeros(looks + 2), 0.0
    alive[0] = 1.0
    edge, is_more = 0, evidence is sequences.more
    for trials in range(1, looks + 1):
        alive[1:] = alive[1:] * (1 - limit) + alive[:-1] * limit
        alive[0] *= 1 - limit
        bet = evidence(trials, limit)  # type: ignore[operator]
        while is_more and edge <= trials and bet(edge) < sequences.price(level):
            edge += 1
        while not is_more and bet(edge) >= sequences.price(level):
            edge += 1
        gone = slice(edge, None) if is_more else slice(0, edge)
        refuted += float(alive[gone].sum())
        alive[gone] = 0.0
    return refuted


@pytest.mark.parametrize("slope", [1.0, 1.5])
def test_60_two_equal_revisions_are_told_apart_with_no_more_than_the_level(slope: float) -> None:
    """Seeded: 1,000 pairs of revisions that lie on the line, a look after every 100 requests of both."""
    random, level, runs = np.random.default_rng(60), 0.05, 1000
    share = random.uniform(0.005, 0.3, size=(runs, 1))
    ours = random.binomial(10, slope * share, size=(runs, 100)).cumsum(axis=1)
    theirs = random.binomial(90, share, size=(runs, 100)).cumsum(axis=1)
    proof = sequences.price(level)
    refuted = sum(
        any(
            sequences.beyond(Share(k, 10 * look), Share(j, 90 * look), slope=slope, proof=proof) >= proof
            for look, (k, j) in enumerate(zip(own.tolist(), other.tolist(), strict=True), 1)
        )
        for own, other in zip(ours, theirs, strict=True)
    )
    assert refuted <= level * runs
    assert refuted > 0, "a test that is never wrong proves nothing either"


@given(share=shares(), level=LEVELS)
def test_a_sequence_contains_its_estimate(share: Share, level: float) -> None:
    low, high = sequences.interval(share, level)
    assert low is not None
    assert high is not None
    assert 0 <= low <= share.estimate <= high <= 1 or not share.trials


@given(share=shares(), level=LEVELS)
def test_what_lies_outside_a_sequence_is_refuted(share: Share, level: float) -> None:
    low, high = sequences.interval(share, level)
    assert low is not None
    assert high is not None
    assert low == 0 or sequences.above(share, low) >= sequences.price(level) - 1e-6
    assert high == 1 or sequences.below(share, high) >= sequences.price(level) - 1e-6
    wide = high - low
    assert sequences.above(share, low + 0.1 * wide) < sequences.price(level)
    assert sequences.below(share, high - 0.1 * wide) < sequences.price(level)


@given(share=shares(), level=LEVELS)
def test_a_sequence_is_symmetric(share: Share, level: float) -> None:
    low, high = sequences.interval(share, level)
    other = sequences.interval(Share(share.trials - share.events, share.trials), level)
    assert low is not None
    assert high is not None
    assert other.low == pytest.approx(1 - high, abs=0.02 * (high - low) + 1e-9)
    assert other.high == pytest.approx(1 - low, abs=0.02 * (high - low) + 1e-9)


@given(share=shares(least=1), limit=st.floats(1e-6, 1 - 1e-6), more=st.floats(0, 1))
def test_evidence_grows_with_the_events_and_falls_with_the_limit(share: Share, limit: float, more: float) -> None:
    assume(share.events < share.trials)
    slack = 1e-9 * share.trials
    assert sequences.above(Share(share.events + 1, share.trials), limit) >= sequences.above(share, limit) - slack
    assert sequences.below(Share(share.events + 1, share.trials), limit) <= sequences.below(share, limit) + slack
    higher = limit + more * (1 - limit)
    assert sequences.above(share, higher) <= sequences.above(share, limit) + slack
    assert sequences.below(share, higher) >= sequences.below(share, limit) - slack


@given(share=shares(), limit=st.floats(0, 1))
def test_evidence_never_falls_below_the_stake_that_is_kept(share: Share, limit: float) -> None:
    assert sequences.above(share, limit) >= sequences.FLOOR - 1e-9
    assert sequences.below(share, limit) >= sequences.FLOOR - 1e-9


@given(events=st.integers(0, 200), trials=st.integers(20, 20_000))
def test_looking_all_the_time_costs_less_than_twice_the_width_of_looking_once(events: int, trials: int) -> None:
    assume(5 <= events <= trials - 5)
    low, high = sequences.interval(Share(events, trials), 0.0056)
    once = binomtest(events, trials).proportion_ci(confidence_level=1 - 2 * 0.0056)
    assert low is not None
    assert high is not None
    assert low < once.low
    assert once.high < high
    assert high - low < 2 * (once.high - once.low)


@given(
    first=shares(),
    second=shares(),
    offset=st.floats(-0.5, 0.5),
    slope=st.floats(0.1, 10),
)
def test_evidence_along_a_line_is_the_least_over_all_its_points(
    first: Share, second: Share, offset: float, slope: float
) -> None:
    assume(first.trials <= 10**5 and second.trials <= 10**5)
    low, high = max(0.0, -offset / slope), min(1.0, (1 - offset) / slope)
    assume(low < high)
    found = sequences.beyond(first, second, offset=offset, slope=slope)

    def at(q: float) -> float:
        p = min(max(offset + slope * q, 0.0), 1.0)
        return sequences._bets(first.trials, p, sequences._MORE)(first.events) + sequences._bets(
            second.trials, q, sequences._LESS
        )(second.events)

    points = [low + (high - low) * part**4 for part in np.linspace(0, 1, 200)]
    points += [min(max(second.estimate + by, low), high) for by in (-1e-3, -1e-4, 0, 1e-4, 1e-3)]
    assert found <= min(map(at, points)) + 1e-6 * (1 + first.trials + second.trials) ** 0.5


@pytest.mark.parametrize("events", range(5760, 5780))
def test_evidence_that_is_next_to_the_largest_number_is_proof(events: int) -> None:
    """Of one revision it is 709 there, whose power just fits into a number, and its slope does not."""
    assert sequences.beyond(Share(events, 11_450), Share(100, 10_000), slope=1.5, proof=6.0) > 2000


@pytest.mark.parametrize(
    ("first", "second", "slope"),
    list(product([(31, 1000), (3, 90), (400, 800)], [(100, 10_000), (0, 50), (30, 100)], [0.5, 1.2])),
)
def test_evidence_along_a_line_is_found_to_a_twentieth(
    first: tuple[int, int], second: tuple[int, int], slope: float
) -> None:
    bets = sequences._against(Share(*first), sequences._MORE), sequences._against(Share(*second), sequences._LESS)
    grid = np.unique(np.concatenate([np.geomspace(1e-7, 1, 20_000), np.linspace(0, 1, 20_000)])) * min(1, 1 / slope)
    least = min(bets[0](slope * q)[0] + bets[1](q)[0] for q in grid.tolist())
    assert least - 0.06 <= sequences.beyond(Share(*first), Share(*second), slope=slope) <= least + 1e-6


@given(first=shares(), second=shares(), level=LEVELS)
def test_ratios_and_differences_contain_their_estimates(first: Share, second: Share, level: float) -> None:
    low, high = sequences.difference(first, second, level)
    assert low is not None
    assert high is not None
    difference = first.estimate - second.estimate
    assert -1 <= low <= difference + 1e-12 or not first.trials
    assert difference - 1e-12 <= high <= 1 or not second.trials
    low, high = sequences.ratio(first, second, level)
    assert low is not None
    assert math.isfinite(low)
    assert low >= 0
    if second.events:
        assert low <= first.estimate / second.estimate * (1 + 1e-9)
        assert high is None or high >= first.estimate / second.estimate * (1 - 1e-9)


@given(first=shares(), second=shares(), level=LEVELS, percents=st.integers(1, 10_000))
def test_a_ratio_beyond_a_limit_is_proof_of_it(first: Share, second: Share, level: float, percents: int) -> None:
    slope, proof = 1 + percents / 100, sequences.price(level)
    low, _ = sequences.ratio(first, second, level)
    assert low is not None
    if low > slope * (1 + 1e-9):
        assert sequences.beyond(first, second, slope=slope) >= proof - 1e-6
    assert not (
        sequences.beyond(first, second, slope=slope) >= proof
        and sequences.beyond(second, first, slope=1 / slope) >= proof
    )


def test_one_comparison_needs_fewer_requests_than_two_intervals() -> None:
    """1 % against 3 %, half of the traffic each: when is it proof that the second is more than 1.5 times the first?"""
    level = 0.0056
    proof = sequences.price(level)

    def together(n: int) -> bool:
        return sequences.beyond(Share(0.03 * n, n), Share(0.01 * n, n), slope=1.5) >= proof

    def apart(n: int) -> bool:
        low = sequences.interval(Share(0.03 * n, n), level / 2).low
        high = sequences.interval(Share(0.01 * n, n), level / 2).high
        return low is not None and high is not None and low > 1.5 * high

    first, second = (next(n for n in range(100, 20_000, 100) if is_proof(n)) for is_proof in (together, apart))
    assert first < 0.6 * second


@pytest.mark.parametrize("events", [0, 1, 5])
def test_a_limit_of_zero_is_refuted_by_one_event(events: int) -> None:
    assert (sequences.above(Share(events, 10), 0.0) > 1000) == (events > 0)
    assert (sequences.below(Share(10 - events, 10), 1.0) > 1000) == (events > 0)


def test_without_trials_everything_is_possible() -> None:
    nothing = Share(0, 0)
    assert sequences.interval(nothing, 0.05) == (0.0, 1.0)
    assert sequences.difference(nothing, nothing, 0.05) == (-1.0, 1.0)
    assert sequences.ratio(nothing, nothing, 0.05) == (0.0, None)
