"""Numerical searches over evidence: where it becomes proof, and where it is the least. Pure.

Both err on the safe side: what they return proves no more than the exact answer would.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

Curve = Callable[[float], float]
Sloped = Callable[[float], tuple[float, float]]
"""A value, and the slope there."""

_FLOOR = -6.0
"""About the least evidence of two bets together."""
_EXACT = 0.05
"""How far below the least evidence the value that is found may be."""
_CLOSE = 0.03
"""How far behind the exact place the one that is found may be, as a part of the way there."""
_STEPS = 40
"""More than any search takes."""


def crossing(evidence: Curve, inside: float, step: float, *, proof: float, end: float) -> float | None:
    """Where evidence, of which there is none at `inside`, becomes proof in the direction of `step`.

    It is never before that, and not far behind; None where there is no proof up to `end`. Evidence grows about as the
    square of the distance, so its root is followed.
    """
    goal = math.sqrt(proof - _FLOOR)
    nearest = max if step < 0 else min

    def excess(at: float) -> float:
        return math.sqrt(max(0.0, min(evidence(at), 1e9) - _FLOOR)) - goal

    last, lack = inside, 1 - goal
    while last != end:
        at = nearest(inside + step, end)
        surplus = excess(at)
        if surplus >= 0:
            return _narrowed(excess, (last, lack), (at, surplus), close=_CLOSE * abs(at - inside))
        last, lack = at, surplus
        step *= min(2.0, 1.05 * goal / max(goal + surplus, 0.1) + 0.05)
    return None


def _narrowed(excess: Curve, inner: tuple[float, float], outer: tuple[float, float], *, close: float) -> float:
    """The outer end of the bracket, once regula falsi has made it small.

    It aims past the solution on either side in turn, so that both ends move.
    """
    (inside, lack), (outside, surplus) = inner, outer
    toward = math.copysign(close / 3, outside - inside)
    for step in range(_STEPS):
        if abs(outside - inside) <= close:
            break
        root = outside - surplus * (outside - inside) / (surplus - lack) if step % 4 < 3 else (inside + outside) / 2
        at = root + toward if step % 2 == 0 else root - toward
        if not min(inside, outside) < at < max(inside, outside):
            at = (inside + outside) / 2
        value = excess(at)
        if value >= 0:
            outside, surplus = at, value
        else:
            inside, lack = at, value
    return outside


class _Tangent(NamedTuple):
    """A point of a convex function, and its slope there."""

    at: float
    value: float
    slope: float


def least(
    function: Sloped,
    low: float,
    high: float,
    *,
    start: float,
    step: float,
    proof: float,
) -> float:
    """The least value of a convex function, from below: where the tangents to its left and its right meet.

    The search ends early where it only matters whether the value reaches `proof`.
    """
    left = right = None
    at, lowest, best, bound = start, start, math.inf, -math.inf
    for turn in range(_STEPS):
        here = _Tangent(at, *function(at))
        best = min(best, here.value)
        if here.slope < 0:
            left = here
        else:
            right = here
        if left and right:
            lowest, bound = _meeting(left, right)
        elif (at <= low and not left) or (at >= high and not right):
            bound = best
        if best < proof < math.inf or bound >= proof or best - bound < _EXACT:
            break
        if not left or not right:
            at, step = min(max(at + math.copysign(step, -here.slope), low), high), 2 * step
        elif turn % 2:
            at = lowest
        else:
            # Where the slope would be 0 if it changed evenly.
            at = left.at - left.slope * (right.at - left.at) / (right.slope - left.slope)
    return best if best < proof < math.inf else bound


def _meeting(left: _Tangent, right: _Tangent) -> tuple[float, float]:
    """Where two tangents meet: place and value."""
    drop = right.value - left.value + left.slope * left.at - right.slope * right.at
    at = drop / (left.slope - right.slope)
    return at, left.value + left.slope * (at - left.at)
