"""Where two answers to the same request disagree, by the kind of each output. Pure."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from math import inf
from typing import Any

from modelway_runtime.compare.response import NUMBER, Output, Outputs

_CLASS_NAMES = ("label", "class")
_PROBABILITY_NAME = "prob"
_FLOATS = ("FP16", "FP32", "FP64", "BF16")

Values = tuple[Any, ...]


class Kind(StrEnum):
    """What an output is, and so when two of them agree.

    CLASS: equal. Whole numbers, booleans, and what has `label` or `class` in its name; also rows of floating-point
    numbers with `prob` in the name: their likeliest class must be the same, since no two trained models give the same
    probabilities.
    NUMBER and VECTOR: floating-point numbers, one or many in a row, each within the tolerance.
    TEXT: other strings, equal but for white space at their ends.
    SCHEMA: names, datatypes or shapes differ; then values are not looked at.
    """

    CLASS = "class"
    NUMBER = "number"
    VECTOR = "vector"
    TEXT = "text"
    SCHEMA = "schema"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerance:
    """How far a number may be from stable's: `absolute` + `relative` × |stable's|."""

    absolute: float
    relative: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Disagreement:
    """The first place of an output where two answers disagree, with what stands there."""

    output: str
    kind: Kind
    stable: Any
    candidate: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rule:
    """How an output is compared: so many values at a time; equal ones always agree."""

    kind: Kind
    width: int
    agree: Callable[[Values, Values], bool]


def disagreements(stable: Outputs, candidate: Outputs, tolerance: Tolerance) -> tuple[Disagreement, ...]:
    """At most one for each output; a single one where the outputs are not of the same make."""
    for name in (*stable, *candidate):
        one, other = _described(stable.get(name)), _described(candidate.get(name))
        if one != other:
            return (Disagreement(output=name, kind=Kind.SCHEMA, stable=one, candidate=other),)
    found = (_first(name, output, candidate[name], tolerance) for name, output in stable.items())
    return tuple(one for one in found if one is not None)


def _described(output: Output | None) -> str:
    return "absent" if output is None else f"{output.datatype} {list(output.shape)}"


def _first(name: str, stable: Output, candidate: Output, tolerance: Tolerance) -> Disagreement | None:
    if stable.data == candidate.data:
        return None
    rule = _rule(name.lower(), stable, tolerance)
    for start in range(0, len(stable.data), rule.width):
        end = start + rule.width
        one, other = stable.data[start:end], candidate.data[start:end]
        if one != other and not rule.agree(one, other):
            return Disagreement(output=name, kind=rule.kind, stable=_shown(one), candidate=_shown(other))
    return None


def _rule(name: str, output: Output, tolerance: Tolerance) -> _Rule:
    close = partial(_are_close, tolerance)
    is_float = output.datatype in _FLOATS or (
        output.datatype == NUMBER and any(isinstance(value, float) for value in output.data)
    )
    if is_float and output.width > 1 and _PROBABILITY_NAME in name:
        return _Rule(kind=Kind.CLASS, width=output.shape[-1], agree=partial(_have_same_class, tolerance))
    if any(word in name for word in _CLASS_NAMES):
        return _Rule(kind=Kind.CLASS, width=1, agree=_never)
    if is_float:
        return _Rule(kind=Kind.NUMBER if output.width == 1 else Kind.VECTOR, width=output.width, agree=close)
    if output.datatype == "BYTES":
        return _Rule(kind=Kind.TEXT, width=1, agree=_are_same_text)
    return _Rule(kind=Kind.CLASS, width=1, agree=_never)


def _never(one: Values, other: Values) -> bool:
    del one, other
    return False


def _are_same_text(one: Values, other: Values) -> bool:
    return [str(text).strip() for text in one] == [str(text).strip() for text in other]


def _are_close(tolerance: Tolerance, one: Values, other: Values) -> bool:
    return all(_is_close(tolerance, first, second) for first, second in zip(one, other, strict=True))


def _is_close(tolerance: Tolerance, one: Any, other: Any) -> bool:
    """No number is written as null in JSON, and agrees with no number only."""
    if not isinstance(one, int | float) or not isinstance(other, int | float):
        return bool(one == other)
    return bool(abs(other - one) <= tolerance.absolute + tolerance.relative * abs(one))


def _have_same_class(tolerance: Tolerance, one: Values, other: Values) -> bool:
    """Within the tolerance two classes may be equally likely, and then either may come first."""
    return _likeliest(one) == _likeliest(other) or _are_close(tolerance, one, other)


def _likeliest(row: Values) -> int:
    ranked = [value if isinstance(value, int | float) else -inf for value in row]
    return ranked.index(max(ranked))


def _shown(values: Values) -> Any:
    return values[0] if len(values) == 1 else list(values)
