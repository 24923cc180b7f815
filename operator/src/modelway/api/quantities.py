"""Kubernetes quantities (`64Mi`, `500m`, `1.5`): exact values and the canonical spelling. Pure."""

import re
from decimal import ROUND_UP, Context, Decimal
from typing import Final

_BINARY: Final = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}
_DECIMAL: Final = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_NUMBER: Final = "([+-]?(?:[0-9]{1,30}(?:[.][0-9]{0,30})?|[.][0-9]{1,30}))"
_ANY: Final = f"{_NUMBER}(?:([KMGTPE]i)|([numkMGTPE]?)|[eE]([+-]?[0-9]{{1,2}}))"
_SHAPE: Final = re.compile(_ANY)

PATTERN: Final = f"^{_ANY}$"
"""What a quantity may look like: the form of Kubernetes, with as many digits as any amount needs."""

MAX_LENGTH: Final = 32
_EXACT: Final = Context(prec=200)
_FINEST: Final = -9
"""Exponent of the smallest amount that Kubernetes knows."""


def parse(text: str | int) -> Decimal:
    """`1.5Gi` → 1610612736, `250m` → 0.25. Raises ValueError where Kubernetes would refuse.

    What is finer than a billionth is rounded up to one, as Kubernetes does.
    """
    match = _SHAPE.fullmatch(str(text))
    if not match:
        raise ValueError(f"{text!r} is no quantity: write a number with a suffix such as 500m, 64Mi or 2Gi")
    number, binary, suffix, exponent = match.groups()
    if binary:
        value = _EXACT.multiply(Decimal(number), Decimal(1024 ** _BINARY[binary]))
    else:
        value = Decimal(number).scaleb(int(exponent) if exponent else _DECIMAL[suffix or ""], _EXACT)
    places = value.as_tuple().exponent
    is_finer = isinstance(places, int) and places < _FINEST
    return value.quantize(Decimal(1).scaleb(_FINEST), ROUND_UP, _EXACT) if is_finer else value


def parse_bytes(text: str | int) -> int:
    """`64Mi` → 67108864. Raises ValueError for a fraction of a byte."""
    value = parse(text)
    if value != value.to_integral_value():
        raise ValueError(f"{text!r} is a fraction of a byte: write whole bytes, such as 64Mi")
    return int(value)


def canonical(text: str | int) -> str:
    """`0.5` → `500m`, `1024Mi` → `1Gi`: the spelling that the API server stores, so that no diff is eternal.

    As in apimachinery: the largest suffix of the family written, binary, decimal or exponent, without a
    fraction.
    """
    match = _SHAPE.fullmatch(str(text))
    value = parse(text)
    if match and match.group(2) and (abs(value) >= 1024 or value == 0) and value == value.to_integral_value():
        return _binary(int(value))
    power = _thousands(value)
    number = f"{value.scaleb(-power):f}".split(".")[0]
    if match and match.group(4) is not None:
        return number if power == 0 else f"{number}e{power}"
    return number + next(suffix for suffix, size in _DECIMAL.items() if size == power)


def format_bytes(size: int) -> str:
    """67108864 → `64Mi`."""
    return canonical(f"{size / 1024:.0f}Ki") if size and size % 1024 == 0 else str(size)


def _binary(value: int) -> str:
    for suffix, power in reversed(_BINARY.items()):
        if value and value % 1024**power == 0:
            return f"{value // 1024**power}{suffix}"
    return str(value)


def _thousands(value: Decimal) -> int:
    """The largest power of ten, a multiple of three from -9 to 18, that divides the value."""
    if value == 0:
        return 0
    for power in sorted(_DECIMAL.values(), reverse=True):
        scaled = value.scaleb(-power)
        if scaled == scaled.to_integral_value():
            return power
    raise ValueError(f"{value} is finer than a billionth")
