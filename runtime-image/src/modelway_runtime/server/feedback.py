"""What came true: callers tell later what a prediction should have been, and it is counted for who predicted it.

Nothing is kept of a prediction: whoever tells of it says what was predicted, and by which revision, as the
header `modelway-revision` of the answer has it. So any pod can take it, also one of another revision, and a restart
forgets nothing but its own counts.
"""

import re
from bisect import bisect_left
from collections.abc import Mapping

import msgspec

from modelway_runtime.protocol.elements import UNREADABLE
from modelway_runtime.server.answers import Refused

MOST_AT_ONCE = 10_000
MOST_REVISIONS = 16
"""Revisions that are counted; the one that came first makes room for a new one."""
_REVISION = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_Value = str | int | float | bool

DEVIATIONS = (*(float(f"{digit}e{power}") for power in range(-9, 15) for digit in (1, 2, 5)), 1e15)
"""Upper bounds of the buckets of errors, which the operator knows, too; a larger error counts as the last."""


class Told(msgspec.Struct, forbid_unknown_fields=True):
    """One outcome. `id`, which is best the answer's `x-request-id`, and `at` are for the caller's own books."""

    revision: str
    predicted: _Value
    actual: _Value
    id: str = ""
    at: str = ""


class Labelled(msgspec.Struct):
    """Predictions of one revision that were told of, those among them that were right, and how far numbers were off."""

    labels: int = 0
    right: int = 0
    deviations: dict[int, list[float]] = {}
    """By bucket: how many, the sum of the errors, the sum of their squares."""

    def add(self, item: Told) -> None:
        """Counts one outcome."""
        self.labels += 1
        self.right += is_same(item.predicted, item.actual)
        error = deviation(item.predicted, item.actual)
        if error is None:
            return
        sums = self.deviations.setdefault(bisect_left(DEVIATIONS, error), [0, 0.0, 0.0])
        sums[0] += 1
        sums[1] += error
        sums[2] += error * error

    @property
    def numbers(self) -> int:
        """How many of them were numbers."""
        return int(sum(count for count, _, _ in self.deviations.values()))

    @property
    def off(self) -> float:
        """How far they were off together."""
        return sum(total for _, total, _ in self.deviations.values())

    def told(self) -> dict[str, object]:
        """As JSON."""
        off = {str(bucket): sums for bucket, sums in sorted(self.deviations.items())}
        return {"labels": self.labels, "right": self.right, **({"deviations": off} if off else {})}


_DECODER = msgspec.json.Decoder(Told | list[Told])


class Feedback:
    """Counts by revision since the start of the process."""

    def __init__(self) -> None:
        self.counts: dict[str, Labelled] = {}

    def take(self, body: bytes) -> int:
        """Counts one outcome or a list of them, all or none; gives how many. Raises Refused."""
        try:
            told = _DECODER.decode(body)
        except (*UNREADABLE, RecursionError) as error:
            raise Refused(400, f"the feedback is not understood: {error}") from error
        items = told if isinstance(told, list) else [told]
        if len(items) > MOST_AT_ONCE:
            raise Refused(413, f"{len(items)} outcomes at once; send at most {MOST_AT_ONCE}")
        for place, item in enumerate(items):
            if not _REVISION.fullmatch(item.revision):
                raise Refused(400, f"[{place}].revision: {item.revision[:100]!r} is none; answers have it as a header")
        for item in items:
            self._add(item)
        return len(items)

    def described(self) -> Mapping[str, dict[str, object]]:
        """As JSON."""
        return {revision: one.told() for revision, one in self.counts.items()}

    def _add(self, item: Told) -> None:
        counted = self.counts.get(item.revision)
        if counted is None:
            if len(self.counts) >= MOST_REVISIONS:
                del self.counts[next(iter(self.counts))]
            counted = self.counts[item.revision] = Labelled()
        counted.add(item)


def is_same(predicted: _Value, actual: _Value) -> bool:
    """Whether a prediction came true. Labels are compared as they are written, so that `1`, `"1"` and `1.0` are one."""
    return predicted == actual or _written(predicted) == _written(actual)


def deviation(predicted: _Value, actual: _Value) -> float | None:
    """How far a number was off; None where one of the two is no number."""
    if isinstance(predicted, str | bool) or isinstance(actual, str | bool):
        return None
    try:
        return float(min(abs(predicted - actual), DEVIATIONS[-1]))
    except OverflowError:  # an integer that is larger than any number with a point
        return DEVIATIONS[-1]


def _written(value: _Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
