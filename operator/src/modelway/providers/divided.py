"""Counts by group: how a model pod is asked for them, and what its answer amounts to. Pure."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, Field, StringConstraints, ValidationError

from modelway.analysis.figures import Divided
from modelway.analysis.inquiry import Division
from modelway.providers.counts import Answer, Count, Latency, counted
from modelway.providers.failures import NoAnswer

MOST_LETTERS = 64
"""Of a name, each of them visible."""
MOST_GROUPS = 100


def _printable(name: str) -> str:
    """What a status can show; raises ValueError otherwise."""
    if not name.isprintable():
        raise ValueError("A name has signs that cannot be seen")
    return name


Name = Annotated[str, StringConstraints(min_length=1, max_length=MOST_LETTERS), AfterValidator(_printable)]


class _Group(Answer):
    requests: Count
    errors: Count
    latency: Latency = Field(default_factory=dict)


class _Groups(Answer):
    by: str
    after: Count | None = None
    up_to: Count = Field(alias="upTo")
    counts: Annotated[dict[Name, _Group], Field(max_length=MOST_GROUPS)]


def question(division: Division, known: tuple[str, int] | None) -> Sequence[tuple[str, str]]:
    """The query: what to divide by, and up to which slot of which process the counts are known."""
    run, slot = known or ("", 0)
    return (
        ("by", division.input),
        ("slotSeconds", f"{division.slot / timedelta(seconds=1):g}"),
        *((("more", str(division.more)),) if division.more else ()),
        *((("latency", "1"),) if division.has_latency else ()),
        *((("after", f"{run}.{slot}"),) if known else ()),
        *(("name", name) for name in division.names),
    )


def parsed(answer: Any, division: Division) -> Divided | None:
    """What a pod counted by group; None where it does not, or says something impossible.

    Then its other counts are as good as ever.
    """
    try:
        found = _Groups.model_validate(answer)
        sums = {name: counted(group.requests, group.errors, group.latency) for name, group in found.counts.items()}
    except (NoAnswer, ValidationError):
        return None
    if found.by != division.input:
        return None
    return Divided(names=division.names, after=found.after, up_to=found.up_to, sums=sums)
