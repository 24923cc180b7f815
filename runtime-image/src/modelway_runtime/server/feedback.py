"""What came true: callers tell later what a prediction should have been, and it is counted for who predicted it.

Nothing is kept of a prediction: whoever tells of it says what was predicted, and by which revision, as the
header `modelway-revision` of the answer has it. So any pod can take it, also one of another revision, and a restart
forgets nothing but its own counts.
"""

import re
from collections.abc import Mapping

import msgspec

from modelway_runtime.server.answers import Refused

MOST_AT_ONCE = 10_000
MOST_REVISIONS = 16
"""Revisions that are counted; the one that came first makes room for a new one."""
_REVISION = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_Value = str | int | float | bool


class Told(msgspec.Struct, forbid_unknown_fields=True):
    """One outcome. `id` and `at` are for the caller's own books."""

    revision: str
    predicted: _Value
    actual: _Value
    id: str = ""
    at: str = ""


class Labelled(msgspec.Struct):
    """Predictions of one revision that were told of, and those among them that were right."""

    labels: int = 0
    right: int = 0


_DECODER = msgspec.json.Decoder(Told | list[Told])


class Feedback:
    """Counts by revision since the start of the process."""

    def __init__(self) -> None:
        self.counts: dict[str, Labelled] = {}

    def take(self, body: bytes) -> int:
        """Counts one outcome or a list of them, all or none; gives how many. Raises Refused."""
        try:
            told = _DECODER.decode(body)
        except (msgspec.DecodeError, RecursionError) as error:
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

    def described(self) -> Mapping[str, dict[str, int]]:
        """As JSON."""
        return {revision: {"labels": one.labels, "right": one.right} for revision, one in self.counts.items()}

    def _add(self, item: Told) -> None:
        counted = self.counts.get(item.revision)
        if counted is None:
            if len(self.counts) >= MOST_REVISIONS:
                del self.counts[next(iter(self.counts))]
            counted = self.counts[item.revision] = Labelled()
        counted.labels += 1
        counted.right += is_same(item.predicted, item.actual)


def is_same(predicted: _Value, actual: _Value) -> bool:
    """Whether a prediction came true. Labels are compared as they are written, so that `1`, `"1"` and `1.0` are one."""
    return predicted == actual or _written(predicted) == _written(actual)


def _written(value: _Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
