"""What a model pod says of its drift. Pure."""

from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, ValidationError

from modelway.analysis.drifts import Binned, Drifts
from modelway.providers.counts import Answer, Count
from modelway.providers.divided import Name

MOST_NAMES = 32
MOST_BINS = 17

_Counts = Annotated[tuple[Count, ...], Field(strict=False, min_length=2, max_length=MOST_BINS)]


class _Binned(Answer):
    kind: Literal["Numbers", "Categories"]
    reference: _Counts
    counts: _Counts


_DRIFT = TypeAdapter(Annotated[dict[Name, _Binned], Field(max_length=MOST_NAMES)])


def parsed(answer: Any) -> Drifts:
    """By name; nothing where the model has no reference, or the pod says something impossible.

    Then its other counts are as good as ever.
    """
    try:
        found = _DRIFT.validate_python(answer or {})
    except ValidationError:
        return {}
    if any(len(one.reference) != len(one.counts) for one in found.values()):
        return {}
    return {name: Binned(one.kind, one.reference, one.counts) for name, one in found.items()}
