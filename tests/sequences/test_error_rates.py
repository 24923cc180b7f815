"""How often verdicts err: whole rollouts of simulated traffic, judged after every interval.

What is drawn comes from a seed, so that a number of these tests changes only with the code. The same simulation prints
the figures of the documentation (`make bench-verdicts`).
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from benchmarks import verdicts
from benchmarks.verdicts import EFFECTS, SAME, TIGHTEST, Effect, Revision, Step
from modelway.analysis.judgement import ratio_mismatch
from modelway.analysis.verdicts import Verdict
from modelway.api.analysis import Metric

SEED = 60
STATED = (100 - verdicts.CONFIDENCE_PERCENT) / 100

Limits = Callable[[Revision], Sequence[Metric]]


def tightest(_: Revision) -> Sequence[Metric]:
    return TIGHTEST


LIMITS = pytest.mark.parametrize("limits", [tightest, verdicts.just_met], ids=["strictest limits", "limits just met"])


def most(rollouts: int) -> float:
    """What the stated level gives in so many rollouts, and three standard errors."""
    return rollouts * STATED + 3 * math.sqrt(rollouts * STATED * (1 - STATED))


@LIMITS
def test_60_rollouts_without_a_fault_are_taken_back_no_more_often_than_stated(limits: Limits) -> None:
    assert verdicts.false_aborts(SEED, 60, limits) <= most(60)


@pytest.mark.full
@LIMITS
def test_60_a_thousand_rollouts_without_a_fault(limits: Limits) -> None:
    assert verdicts.false_aborts(SEED, 1000, limits) <= most(1000)


def test_60_groups_take_back_no_more_rollouts_than_stated() -> None:
    assert verdicts.false_aborts(SEED, 10, verdicts.each_met) <= most(10)


@pytest.mark.full
def test_60_three_hundred_rollouts_with_groups_and_without_a_fault() -> None:
    assert verdicts.false_aborts(SEED, 300, verdicts.each_met) <= most(300)


def test_60_the_same_groups_take_back_a_rollout_that_is_bad_in_all_of_them() -> None:
    worse = Revision(errors=0.04)
    assert verdicts.is_aborted(np.random.default_rng(SEED), verdicts.each_met(SAME), SAME, candidate=worse)


@pytest.mark.parametrize("effect", EFFECTS, ids=lambda effect: effect.name)
def test_60_a_fault_is_found(effect: Effect) -> None:
    steps = 20
    for step in verdicts.steps_for(effect.metric):
        assert verdicts.found(SEED, steps, effect, step).part >= 0.9


@pytest.mark.full
@pytest.mark.parametrize("effect", EFFECTS, ids=lambda effect: effect.name)
def test_60_a_fault_is_found_in_19_of_20_steps(effect: Effect) -> None:
    for step in verdicts.steps_for(effect.metric):
        assert verdicts.found(SEED, 200, effect, step).part >= 0.95


def test_60_all_faults_at_once_take_every_rollout_back() -> None:
    """The same rollouts as those without a fault, but for the fault: it is not for lack of power that they pass."""
    random = np.random.default_rng(SEED)
    worse = Revision(errors=0.03, median=0.075, flips=0.04)
    assert all(verdicts.is_aborted(random, TIGHTEST, SAME, candidate=worse) for _ in range(5))


def test_60_a_split_that_is_not_the_weight_is_found_and_no_other_is() -> None:
    random = np.random.default_rng(SEED)
    step = Step(weight=25)
    assert not any(ratio_mismatch(window) for _ in range(50) for window in verdicts.windows(random, step, SAME, SAME))
    *_, last = verdicts.windows(random, step, SAME, Revision(comes_back=0.8))
    assert "at a weight of 25 %" in ratio_mismatch(last)


def test_evidence_passes_equal_revisions_and_never_much_worse_ones() -> None:
    metric = Metric(name="errors", builtin="ErrorRate", max=0.02)
    step = verdicts.steps_for(metric)[0]
    equal = Effect(name="equal", metric=metric, stable=SAME, candidate=SAME)
    at_limit = Effect(name="at the limit", metric=metric, stable=SAME, candidate=Revision(errors=0.02))
    found = [
        verdicts.found(SEED, 20, effect, step, verdict=Verdict.PASS, decision="Evidence").part
        for effect in (equal, at_limit)
    ]
    assert found[0] >= 0.95
    assert found[1] <= 0.1
