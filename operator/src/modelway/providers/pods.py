"""What the processes of both revisions, and the comparator between them, have counted."""

import asyncio
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, ValidationError

from modelway.analysis.deviations import BOUNDS, Deviations, Moments
from modelway.analysis.figures import Pairs, Reading, Sums
from modelway.analysis.inquiry import Division, Target
from modelway.providers import divided, drifted
from modelway.providers.calls import Call, Caller
from modelway.providers.counts import Answer, Count, Latency, counted
from modelway.providers.failures import NoAnswer

SECONDS = 2.0
MOST_PER_REVISION = 40
AT_ONCE = 16
"""Pods that one inquiry has open at a time."""
AT_ONCE_IN_ALL = 256
MOST_BYTES = 64 * 1024
"""Of a model pod: five hundred buckets take 10 KiB."""
MOST_DIVIDED_BYTES = 512 * 1024
"""Of a model pod that counts by group: two dozen groups have as many buckets each."""
MOST_COMPARATOR_BYTES = 1024 * 1024
MOST_EXAMPLES = 20
MOST_EXAMPLE_LETTERS = 1024

_SLACK = 1.001
"""Sums of numbers with a point are rounded."""

NO_PAIR: Mapping[str, str] = MappingProxyType({})

FIGURES, STATE = "/internal/figures", "/internal/state"

State = Literal["Loading", "Warming", "Validating", "Ready", "Draining"]
_STARTING = ("Loading", "Warming", "Validating")

_Seconds = Annotated[float, Field(ge=0, le=1e10)]
_Id = Annotated[str, StringConstraints(min_length=1, max_length=253)]
_Value = str | int | float | bool | None
_Bucket = Annotated[str, StringConstraints(pattern=re.compile("^[0-9]{1,2}$"))]
_Sum = Annotated[float, Field(ge=0)]
_Moments = Annotated[tuple[Count, _Sum, _Sum], Field(strict=False)]


class _Labelled(Answer):
    """Predictions whose outcome was told, and those that came true."""

    labels: Count
    right: Count
    deviations: Annotated[dict[_Bucket, _Moments], Field(max_length=len(BOUNDS))] = Field(default_factory=dict)
    """Number, sum and sum of squares by bucket."""


class _Figures(Answer):
    """Of a model pod."""

    revision: _Id
    run: _Id
    uptime_seconds: _Seconds = Field(alias="uptimeSeconds")
    state: State
    requests: Count
    errors: Count
    latency: Latency
    feedback: Annotated[dict[_Id, _Labelled], Field(max_length=64)] = Field(default_factory=dict)
    drift: Any = None
    groups: Any = None


class _State(Answer):
    """Of a model pod that has counted nothing yet, or never counts."""

    revision: str
    state: State


class _Comparison(Answer):
    """Of the comparator."""

    run: _Id
    uptime_seconds: _Seconds = Field(alias="uptimeSeconds")
    pairs: Count
    disagreements: Count
    baseline_pairs: Count = Field(alias="baselinePairs")
    baseline_disagreements: Count = Field(alias="baselineDisagreements")
    candidate_failures: Count = Field(alias="candidateFailures")
    stable: str = ""
    candidate: str = ""
    examples: Annotated[tuple[dict[str, _Value], ...], Field(strict=False)] = ()


@dataclass(frozen=True, slots=True)
class Heard:
    """What was read of all targets."""

    readings: tuple[Reading, ...]
    silent: tuple[str, ...]


class Pods:
    """Reads pods, each for itself: one that is silent changes nothing about the others."""

    def __init__(self, caller: Caller, *, seconds: float = SECONDS) -> None:
        self._caller = caller
        self._seconds = seconds
        self._all = asyncio.Semaphore(AT_ONCE_IN_ALL)

    async def read(
        self, targets: Sequence[Target], pair: Mapping[str, str] = NO_PAIR, division: Division | None = None
    ) -> Heard:
        """Every target's reading, for at most 40 pods of each revision; those without a usable one by name.

        `pair`: the hashes of `stable` and `candidate`, which a comparator must have compared. `division`: how
        model pods are to divide their counts.
        """
        chosen, turns = tuple(_chosen(targets)), asyncio.Semaphore(AT_ONCE)
        found = await asyncio.gather(*(self._read(target, pair, division, turns) for target in chosen))
        return Heard(
            readings=tuple(reading for reading in found if reading),
            silent=tuple(target.pod for target, reading in zip(chosen, found, strict=True) if reading is None),
        )

    async def _read(
        self, target: Target, pair: Mapping[str, str], division: Division | None, turns: asyncio.Semaphore
    ) -> Reading | None:
        async with turns, self._all:
            try:
                if target.revision:
                    return await self._figures(target, division)
                return await self._comparison(target, pair)
            except (NoAnswer, ValidationError):
                return None

    async def _comparison(self, target: Target, pair: Mapping[str, str]) -> Reading:
        reply = await self._caller.ask(self._call(target, FIGURES, MOST_COMPARATOR_BYTES))
        if not reply.is_ok:
            raise NoAnswer(str(reply.status))
        return _compared(target, pair, _Comparison.model_validate_json(reply.content))

    async def _figures(self, target: Target, division: Division | None) -> Reading:
        call = self._call(target, FIGURES, MOST_DIVIDED_BYTES if division else MOST_BYTES)
        asked = divided.question(division, target.known) if division else ()
        reply = await self._caller.ask(replace(call, params=asked))
        if reply.status == 404:
            reply = await self._caller.ask(self._call(target, STATE, MOST_BYTES))
            return _state(target, reply.content, (*_STARTING, "Ready", "Draining"))
        if not reply.is_ok:
            raise NoAnswer(str(reply.status))
        try:
            return _counted(target, _Figures.model_validate_json(reply.content), division)
        except ValidationError:
            return _state(target, reply.content, _STARTING)

    def _call(self, target: Target, path: str, most_bytes: int) -> Call:
        return Call(url=f"http://{target.address}{path}", seconds=self._seconds, most_bytes=most_bytes)


def _chosen(targets: Sequence[Target]) -> Iterable[Target]:
    """The first pods of each revision by name, so that the same ones are read each time."""
    ordered = sorted(targets, key=lambda target: (target.revision, target.pod))
    for _, pods in groupby(ordered, key=lambda target: target.revision):
        yield from list(pods)[:MOST_PER_REVISION]


def _counted(target: Target, figures: _Figures, division: Division | None) -> Reading:
    _require_revision(target, figures.revision)
    sums = counted(figures.requests, figures.errors, figures.latency)
    if target.has_drift:
        sums = replace(sums, drifts=drifted.parsed(figures.drift))
    return Reading(
        pod=target.pod,
        run=figures.run,
        revision=target.revision,
        state=figures.state,
        uptime_seconds=figures.uptime_seconds,
        sums=sums,
        feedback={name: _told(one) for name, one in figures.feedback.items()},
        divided=divided.parsed(figures.groups, division) if division else None,
    )


def _told(one: _Labelled) -> Sums:
    return Sums(labels=one.labels, right=min(one.right, one.labels), deviations=_deviations(one.deviations))


def _deviations(found: Mapping[str, tuple[int, float, float]]) -> Deviations:
    """Raises NoAnswer for sums that errors of their bucket cannot have."""
    moments = {int(bucket): Moments(*sums) for bucket, sums in found.items()}
    for bucket, (count, total, squares) in moments.items():
        if bucket >= len(BOUNDS) or max(total, squares / BOUNDS[bucket]) > _SLACK * count * BOUNDS[bucket]:
            raise NoAnswer("Errors that are larger than their bucket")
    return moments


def _state(target: Target, content: bytes, known: Sequence[str]) -> Reading:
    """A reading that says the state only: it has no run, and nothing is counted."""
    said = _State.model_validate_json(content)
    if said.state not in known:
        raise NoAnswer("Ready, and without figures")
    _require_revision(target, said.revision)
    return Reading(pod=target.pod, run="", revision=target.revision, state=said.state)


def _require_revision(target: Target, said: str) -> None:
    """A pod says the hash. An address may be another pod's by now, whose figures would be taken for this one's."""
    if said not in (target.revision, target.revision.rpartition("-")[2]):
        raise NoAnswer("Another revision answers there")


def _compared(target: Target, pair: Mapping[str, str], found: _Comparison) -> Reading:
    for said, wanted in ((found.stable, pair.get("stable")), (found.candidate, pair.get("candidate"))):
        if said and wanted and said != wanted:
            raise NoAnswer("Other revisions were compared")
    pairs = Pairs(
        pairs=found.pairs,
        disagreements=found.disagreements,
        baseline_pairs=found.baseline_pairs,
        baseline_disagreements=found.baseline_disagreements,
        candidate_failures=found.candidate_failures,
    )
    if pairs.disagreements > pairs.pairs or pairs.baseline_disagreements > pairs.baseline_pairs:
        raise NoAnswer("More disagreements than pairs")
    return Reading(
        pod=target.pod,
        run=found.run,
        revision="",
        uptime_seconds=found.uptime_seconds,
        pairs=pairs,
        examples=tuple(_cut(example) for example in found.examples[:MOST_EXAMPLES]),
    )


def _cut(example: dict[str, _Value]) -> dict[str, str]:
    """Values as text, numbers as JSON writes them."""
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in example.items()}
    return {name[:MOST_EXAMPLE_LETTERS]: text[:MOST_EXAMPLE_LETTERS] for name, text in texts.items()}
