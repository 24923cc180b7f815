"""Numerical searches over evidence: where it becomes proof, and where it is the least. Pure.

Both err on the safe side: what they return proves no more than the exact answer would.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

Curve = Callable[[float], float]
Sloped = Callable[[float], tuple[float, float]]
"""A value, and the slope there."""

_EXACT = 0.05
"""How far below the least evidence the value that is found may be."""
_CLOSE = 0.02
"""How far behind the exact place the one that is found may be, as a part of the way there."""
_STEPS = 40
"""More than any search takes."""


class _Point(NamedTuple):
    """A place, by the way to it, and by how much the root there is more than it takes."""

    way: float
    surplus: float


def crossing(evidence: Curve, inside: float, step: float, *, proof: float, cost: float, end: float) -> float | None:
    """Where evidence, of which there is none at `inside`, becomes proof in the direction of `step`.

    It is never before that, and not far behind; None where there is no proof up to `end`. Evidence is about the square
    of the way less `cost`, so that the root of the two together is nearly a line: the one through two points shows
    where to look next, and how far it still is.
    """
    goal, farthest = math.sqrt(proof + cost), abs(end - inside)

    def place(way: float) -> float:
        return end if way == farthest else inside + math.copysign(way, step)

    def point(way: float) -> _Point:
        return _Point(way, math.sqrt(max(0.0, min(evidence(place(way)), 1e9) + cost)) - goal)

    last, here = _Point(0.0, -goal), point(min(abs(step), farthest))
    while here.surplus < 0:
        if here.way == farthest:
            return None
        ahead, most = (1 + _CLOSE / 3) * _root(last, here), 2 * here.way
        last, here = here, point(min(ahead if here.way < ahead < most else most, farthest))
    return place(_narrowed(point, last, here))


def _narrowed(point: Callable[[float], _Point], inner: _Point, outer: _Point) -> float:
    """The outer end of the bracket, once it is close; it aims a little past the solution, so that this end moves."""
    last = inner
    for turn in range(_STEPS):
        root, close = _root(last, outer), _CLOSE * outer.way
        if outer.way - max(root, inner.way) <= close:
            break
        way, middle = root + close / 3, (inner.way + outer.way) / 2
        here = point(way if inner.way < way < outer.way and turn % 4 < 3 else middle)
        last, inner, outer = (here, here, outer) if here.surplus < 0 else (outer, inner, here)
    return outer.way


def _root(one: _Point, other: _Point) -> float:
    """Where the line through two points crosses 0; halfway between two that are level."""
    rise = other.surplus - one.surplus
    return other.way - other.surplus * (other.way - one.way) / rise if rise else (one.way + other.way) / 2


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
