"""How many pods carry how much traffic: the arithmetic that every count and weight rests on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelway.api import Rollout
from modelway.plan import capacity

WEIGHTS = st.integers(0, 100)
TOTALS = st.integers(1, 1000)


@given(WEIGHTS, TOTALS)
def test_the_pods_that_a_weight_needs_may_carry_it(weight: int, total: int) -> None:
    assert capacity.share(capacity.need(weight, total), total) >= weight


@given(st.integers(1, 100), TOTALS)
def test_one_pod_less_than_a_weight_needs_may_not_carry_it(weight: int, total: int) -> None:
    assert capacity.share(capacity.need(weight, total) - 1, total) < weight


@given(st.integers(1, 1000), TOTALS)
def test_what_pods_may_carry_needs_no_more_than_these_pods(pods: int, total: int) -> None:
    assert capacity.need(capacity.share(pods, total), total) <= pods


@given(TOTALS)
def test_all_the_traffic_needs_all_the_pods(total: int) -> None:
    assert capacity.need(100, total) == total
    assert capacity.need(0, total) == 0


@pytest.mark.parametrize("total", [1, 2, 3])
@pytest.mark.parametrize("weight", range(1, 100))
def test_few_pods_have_an_answer_for_every_weight(weight: int, total: int) -> None:
    assert 1 <= capacity.need(weight, total) <= total


@given(st.integers(1, 99), TOTALS)
def test_pods_within_a_ceiling_have_at_most_that_share(ceiling: int, stable: int) -> None:
    pods = capacity.pods_within(ceiling, stable)
    assert 100 * pods <= ceiling * (pods + stable)
    assert 100 * (pods + 1) > ceiling * (pods + 1 + stable)


@given(st.integers(0, 1000), st.integers(0, 100) | st.integers(0, 100).map("{}%".format))
def test_a_rollout_may_always_start_with_a_pod_and_a_percentage_is_rounded_up(total: int, surge: int | str) -> None:
    found = capacity.surge(Rollout(max_surge=surge), total)
    wanted = surge if isinstance(surge, int) else total * int(surge[:-1]) / 100
    assert found >= max(1, wanted)
    assert found < max(1, wanted) + 1


@pytest.mark.parametrize(("strategy", "found"), [("Rolling", 1), ("Canary", 3)])
def test_the_strategy_decides_the_surge_that_is_not_written(strategy: str, found: int) -> None:
    assert capacity.surge(Rollout.model_validate({"strategy": strategy}), 3) == found
