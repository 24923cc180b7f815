"""How many pods carry how much of the traffic. Pure.

Weights are whole percents, shares of k of N pods mostly are not: one of three pods is written as 34. So a revision
with k of N pods may carry up to `ceil(100 * k / N)` percent, and `need` is the inverse of that; but all of the traffic
needs all of the pods.
"""


def need(weight: int, total: int) -> int:
    """Fewest pods that carry `weight` percent of what `total` pods carry: 34 % of 3 is 1, 35 % is 2.

    Of none (the only pod is being replaced) all of the traffic needs none; but a share never loses its last pod.
    """
    if weight >= 100:
        return total
    return 0 if weight <= 0 else (weight - 1) * total // 100 + 1


def share(pods: int, total: int) -> int:
    """Most percent that `pods` of `total` can carry: 1 of 3 is 34."""
    return 100 if pods >= total else min(99, -(-100 * pods // total))


def reached(pods: int, total: int) -> int:
    """Percent that `pods` of `total` are, rounded down: 1 of 3 is 33."""
    return 100 if pods >= total else 100 * pods // total


def pods_within(ceiling: int, stable: int) -> int:
    """Most candidate pods whose share among `stable` others stays within `ceiling` percent: 20 % beside 4 is 1."""
    return ceiling * stable // (100 - ceiling)
