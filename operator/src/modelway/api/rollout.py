"""`spec.rollout`: how a new revision takes over. Pure."""

from datetime import timedelta
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field, StringConstraints, WithJsonSchema

from modelway.api.analysis import Analysis, Shadow
from modelway.api.rules import INT_OR_STRING, VALIDATIONS, Rule, Struct
from modelway.api.scalars import MAX_COUNT, Between, Label, matching
from modelway.api.traffic import Hostname

_SURGE_MESSAGE: Final = (
    f'write a number of pods from 0 to {MAX_COUNT} or a percentage from 0% to 100%, such as 1 or "25%"'
)
_SURGE: Final = f"type(self) == int ? self >= 0 && self <= {MAX_COUNT} : self.matches('^(100|[0-9]{{1,2}})%$')"


def _surge(value: int | str) -> int | str:
    pods = int(value[:-1]) if isinstance(value, str) and value[:-1].isdecimal() and value.endswith("%") else value
    if not isinstance(pods, int) or not 0 <= pods <= (100 if isinstance(value, str) else MAX_COUNT):
        raise ValueError(_SURGE_MESSAGE)
    return value


Surge = Annotated[
    int | str,
    AfterValidator(_surge),
    WithJsonSchema({INT_OR_STRING: True, "maxLength": 8, VALIDATIONS: [{"rule": _SURGE, "message": _SURGE_MESSAGE}]}),
]
"""Pods above the wanted number: a count or a percentage."""


class Step(Struct):
    """A share of the traffic for the candidate, and what must be over before the next step."""

    name: Label | None = None
    """Name of the step, for people. Absent: its number."""
    weight: Annotated[int, Field(ge=0, le=100)]
    """Percent of the traffic that the candidate gets. Weights never fall from one step to the next."""
    hold: Annotated[timedelta, Between("0s", "720h")] = timedelta(0)
    """How long the step lasts after the traffic has settled, such as `10m`. Absent: it goes on at once."""
    approval: Literal["Required"] | None = None
    """`Required` waits until somebody runs `kubectl modelway promote`. Absent: it waits for nobody."""


class BlueGreen(Struct):
    """A candidate that is tried whole and without traffic, before it takes all of the traffic at once."""

    preview_hostnames: Annotated[tuple[Hostname, ...], Field(max_length=8)] = ()
    """Host names that lead to the candidate until it is promoted. Edits count at once. Absent: only the Service
    NAME-preview does, inside the cluster."""
    hold: Annotated[timedelta, Between("0s", "720h")] = timedelta(0)
    """How long the candidate is tried before the switch, such as `10m`. Absent: it switches as soon as it may."""
    approval: Literal["Required"] | None = None
    """`Required` waits with the switch until somebody runs `kubectl modelway promote`. Absent: it waits for nobody."""


_HEADER_NAME = matching(
    "^[A-Za-z0-9!#$%&*+.^_|~-]+$", "write the name of an HTTP header without colon and blanks, such as x-cohort"
)
_HEADER_VALUE = matching(
    "^[!-~]+([\\t ]?[!-~]+)*$", "write the whole value of the header in printable ASCII, without blanks around it"
)


class HeaderMatch(Struct):
    """A header that a request has."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=64), _HEADER_NAME]
    """Name of the header, in any case."""
    value: Annotated[str, StringConstraints(min_length=1, max_length=256), _HEADER_VALUE]
    """The whole value, in this very case."""


class CandidateMatch(Struct):
    """A kind of requests: those that have all of these headers."""

    headers: Annotated[tuple[HeaderMatch, ...], Field(min_length=1, max_length=8)]
    """Headers that the request has, all of them."""

    rules = (
        Rule(
            cel="self.headers.all(one, self.headers.exists_one(other, other.name.lowerAscii() == "
            "one.name.lowerAscii()))",
            message="name each header once in a match: a request has one value of it, and headers are the same in "
            "any case",
            holds=lambda match: _are_unique([header.name.lower() for header in match.headers]),
        ),
    )


class Rollout(Struct):
    """How a new revision takes over. Edits count from the next rollout; none makes a new revision."""

    strategy: Literal["Rolling", "Canary", "BlueGreen"] = "Rolling"
    """`Rolling` shifts traffic as pods get ready; `Canary` goes through `steps`; `BlueGreen` starts all pods, and
    switches all of the traffic at once."""
    steps: Annotated[tuple[Step, ...], Field(max_length=32)] = ()
    """Steps of a canary. After the last one the candidate is promoted by itself. Absent: one step of 100."""
    blue_green: BlueGreen | None = None
    """How a BlueGreen candidate is tried before the switch. Absent: it switches as soon as all pods are ready."""
    candidate_matches: Annotated[tuple[CandidateMatch, ...], Field(max_length=8)] = ()
    """Requests that go to the candidate whatever its weight, from its first ready pod on: those that any of these
    fits. Needs a gateway."""
    max_surge: Surge | None = None
    """Pods above the wanted number during a rollout: a count, or a percentage rounded up. Absent: `100%` for
    Canary and BlueGreen, so that going back takes seconds, and `25%` for Rolling. With `0` stable gives up a pod
    before the candidate gets one; with one pod nothing answers until the candidate is ready."""
    capacity_fallback: Literal["Replace", "Wait"] = "Wait"
    """Where no node has room for the surge, `Wait` names that and waits; `Replace` goes on after a minute as with
    `maxSurge: 0`."""
    settle: Annotated[timedelta, Between("0s", "10m")] = timedelta(seconds=15)
    """How long a new weight may take to reach every proxy after the gateway has reported it, such as
    `15s`."""
    drain: Annotated[timedelta, Between("0s", "1h")] = timedelta(seconds=30)
    """How long pods that lost their traffic still answer, such as `30s`. Recorded when a revision is born."""
    progress_deadline: Annotated[timedelta, Between("1s", "24h")] = timedelta(minutes=10)
    """How long a candidate may make no progress, such as `10m`, before it is released and tried again
    later."""
    bake: Annotated[timedelta, Between("0s", "720h")] | None = None
    """How long stable pods are kept after the promotion, such as `1h`, so that going back takes seconds.
    Absent: `30m` for Canary and BlueGreen, `0s` for Rolling."""
    paused: bool = False
    """Stops the rollout where it is. Serving, repair and abort go on."""
    ready_when: Literal["Promoted", "Serving"] = "Promoted"
    """When the condition Ready is True: once the revision of the spec is `Promoted`, or, for pipelines with
    short time-outs, while a healthy revision is `Serving` and a rollout moves or waits."""
    analysis: Analysis | None = None
    """The evidence that each step, and the bake after the last one, asks for. Absent: none."""
    shadow: Shadow | None = None
    """Answers of both revisions compared on mirrored requests. Needs a gateway. Absent: none."""
    coarse_weights: Literal["Allow", "Refuse"] = "Refuse"
    """Without a gateway the share is counted in pods. Where even one pod exceeds the step's weight, or where the
    candidate takes the place of the only pod, `Refuse` leaves it without traffic, and `Allow` consents to the
    smallest share possible."""

    rules = (
        Rule(
            cel="self.strategy == 'Canary' || !has(self.steps) || size(self.steps) == 0",
            message="steps need strategy: Canary; write it beside steps, or leave steps out",
            holds=lambda rollout: rollout.strategy == "Canary" or not rollout.steps,
        ),
        Rule(
            cel="self.strategy != 'Rolling' || !has(self.analysis) && !has(self.shadow)",
            message="analysis and shadow need strategy: Canary or BlueGreen; Rolling goes on as pods get ready",
            holds=lambda rollout: rollout.strategy != "Rolling" or not (rollout.analysis or rollout.shadow),
        ),
        Rule(
            cel="!has(self.analysis) || !has(self.analysis.metrics) || has(self.shadow) || self.analysis.metrics.all("
            "metric, !has(metric.builtin) || !(metric.builtin in ['Disagreement', 'CandidateFailures']))",
            message="Disagreement and CandidateFailures compare answers: write shadow beside analysis, or leave the "
            "metric out",
            holds=lambda rollout: (
                rollout.shadow is not None
                or not rollout.analysis
                or not any(metric.needs_shadow for metric in rollout.analysis.metrics)
            ),
        ),
        Rule(
            cel="!has(self.steps) || self.steps.map(step, step.weight).isSorted()",
            message="weights may not fall from one step to the next: write them in rising order (equal is "
            "another hold), such as 5, 50, 100",
            holds=lambda rollout: (
                [step.weight for step in rollout.steps] == sorted(step.weight for step in rollout.steps)
            ),
        ),
        Rule(
            cel="!has(self.steps) || self.steps.all(step, !has(step.name) || self.steps.exists_one(other, "
            "has(other.name) && other.name == step.name))",
            message="give each step a name of its own, or none",
            holds=lambda rollout: _are_unique([step.name for step in rollout.steps if step.name]),
        ),
        Rule(
            cel="self.strategy == 'BlueGreen' || !has(self.blueGreen)",
            message="blueGreen needs strategy: BlueGreen; write it beside blueGreen, or leave blueGreen out",
            holds=lambda rollout: rollout.strategy == "BlueGreen" or rollout.blue_green is None,
        ),
        Rule(
            cel="self.strategy != 'BlueGreen' || !has(self.capacityFallback) || self.capacityFallback == 'Wait'",
            message="BlueGreen cannot do without room for all pods twice: write capacityFallback: Wait, or "
            "strategy: Canary",
            holds=lambda rollout: rollout.strategy != "BlueGreen" or rollout.capacity_fallback == "Wait",
        ),
        Rule(
            cel="self.strategy != 'BlueGreen' || !has(self.maxSurge) || self.maxSurge == '100%'",
            message="BlueGreen starts all pods of the candidate beside all of stable's: write maxSurge: 100%, or leave "
            "maxSurge out; with less room write strategy: Canary",
            holds=lambda rollout: rollout.strategy != "BlueGreen" or rollout.max_surge in (None, "100%"),
        ),
    )

    @property
    def surge(self) -> int | str:
        """`max_surge`, or what the strategy takes without it."""
        if self.max_surge is None:
            return "25%" if self.strategy == "Rolling" else "100%"
        return self.max_surge

    @property
    def bake_time(self) -> timedelta:
        """`bake`, or what the strategy takes without it."""
        if self.bake is None:
            return timedelta(0) if self.strategy == "Rolling" else timedelta(minutes=30)
        return self.bake

    @property
    def preview_hostnames(self) -> tuple[str, ...]:
        """Host names that lead to a candidate that is tried; none with another strategy."""
        return self.blue_green.preview_hostnames if self.blue_green else ()

    def stages(self, strategy: str) -> tuple[Step, ...]:
        """The steps that a rollout with this strategy goes through; the last one is always 100."""
        if strategy == "BlueGreen":
            trial = self.blue_green or BlueGreen()
            return (Step(name="preview", weight=0, hold=trial.hold, approval=trial.approval), SWITCH)
        steps = self.steps if strategy == "Canary" else ()
        return steps if steps and steps[-1].weight == LAST.weight else (*steps, LAST)

    def surge_pods(self, replicas: int) -> int:
        """Pods above `replicas`, a percentage rounded up: 25 % of 2 is 1."""
        if isinstance(self.surge, int):
            return self.surge
        return -(-replicas * int(self.surge.removesuffix("%")) // 100)


LAST: Final = Step(weight=100)
SWITCH: Final = Step(name="switch", weight=100)


def _are_unique(names: list[Any]) -> bool:
    return len(names) == len(set(names))
