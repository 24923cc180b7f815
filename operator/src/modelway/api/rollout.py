"""`spec.rollout`: how a new revision takes over. Pure."""

from datetime import timedelta
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field, WithJsonSchema

from modelway.api.analysis import Analysis, Shadow
from modelway.api.rules import INT_OR_STRING, VALIDATIONS, Rule, Struct
from modelway.api.scalars import MAX_COUNT, Between, Label

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


class Rollout(Struct):
    """How a new revision takes over. Edits count from the next rollout; none makes a new revision."""

    strategy: Literal["Rolling", "Canary"] = "Rolling"
    """`Rolling` shifts traffic as pods get ready; `Canary` goes through `steps`."""
    steps: Annotated[tuple[Step, ...], Field(max_length=32)] = ()
    """Steps of a canary. After the last one the candidate is promoted by itself. Absent: one step of 100."""
    max_surge: Surge | None = None
    """Pods above the wanted number during a rollout: a count, or a percentage rounded up. Absent: `100%` for
    Canary, so that going back takes seconds, and `25%` for Rolling."""
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
    Absent: `30m` for Canary, `0s` for Rolling."""
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
    """Without a gateway the share is counted in pods. Where even one pod exceeds the step's weight, `Refuse`
    leaves the candidate without traffic, and `Allow` consents to the smallest share possible."""

    rules = (
        Rule(
            cel="self.strategy == 'Canary' || !has(self.steps) || size(self.steps) == 0",
            message="steps need strategy: Canary; write it beside steps, or leave steps out",
            holds=lambda rollout: rollout.strategy == "Canary" or not rollout.steps,
        ),
        Rule(
            cel="self.strategy != 'Rolling' || !has(self.analysis) && !has(self.shadow)",
            message="analysis and shadow need strategy: Canary; Rolling goes on as pods get ready",
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
    )

    @property
    def surge(self) -> int | str:
        """`max_surge`, or what the strategy takes without it."""
        if self.max_surge is None:
            return "100%" if self.strategy == "Canary" else "25%"
        return self.max_surge

    @property
    def bake_time(self) -> timedelta:
        """`bake`, or what the strategy takes without it."""
        if self.bake is None:
            return timedelta(minutes=30) if self.strategy == "Canary" else timedelta(0)
        return self.bake

    def surge_pods(self, replicas: int) -> int:
        """Pods above `replicas`, a percentage rounded up: 25 % of 2 is 1."""
        if isinstance(self.surge, int):
            return self.surge
        return -(-replicas * int(self.surge.removesuffix("%")) // 100)


def _are_unique(names: list[Any]) -> bool:
    return len(names) == len(set(names))
