"""How many pods carry how much traffic: the arithmetic that every count and weight rests on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelway.plan import capacity

WEIGHTS = st.integers(0, 100)
TOTALS = st.integers(1, 1000)


@given(WEIGHTS, TOTALS)
def test_04_the_pods_that_a_weight_needs_may_carry_it(weight: int, total: int) -> None:
    assert capacity.share(capacity.need(weight, total), total) >= weight


@given(st.integers(1, 100), TOTALS)
def test_04_one_pod_less_than_a_weight_needs_may_not_carry_it(weight: int, total: int) -> None:
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
def test_19_few_pods_have_an_answer_for_every_weight(weight: int, total: int) -> None:
    assert 1 <= capacity.need(weight, total) <= total


@given(st.integers(1, 99), TOTALS)
def test_pods_within_a_ceiling_have_at_most_that_share(ceiling: int, stable: int) -> None:
    pods = capacity.pods_within(ceiling, stable)
    assert 100 * pods <= ceiling * (pods + stable)
    assert 100 * (pods + 1) > ceiling * (pods + 1 + stable)


@given(st.integers(0, 1000), TOTALS)
def test_what_pods_have_reached_is_never_more_than_their_share(pods: int, total: int) -> None:
    assert 100 * min(pods, total) - total < capacity.reached(pods, total) * total <= 100 * min(pods, total)
    assert capacity.reached(pods, total) <= capacity.share(pods, total)


@pytest.mark.parametrize(("weight", "pods"), [(0, 0), (1, 1), (99, 1), (100, 0)])
def test_where_the_only_pod_is_replaced_a_share_keeps_its_pod_and_all_of_the_traffic_does_not(
    weight: int, pods: int
) -> None:
    assert capacity.need(weight, 0) == pods
    assert (capacity.share(1, 0), capacity.reached(1, 0)) == (100, 100)
