"""The ModelDeployment: what a user writes. Pure."""

from typing import Annotated, Any, Final, Literal

from pydantic import Field

from modelway.api.autoscaling import Autoscaling
from modelway.api.disruption import DisruptionBudget
from modelway.api.model import ModelSource
from modelway.api.rollout import Rollout
from modelway.api.rules import Rule, Struct
from modelway.api.runtime import RuntimeChoice
from modelway.api.scalars import MAX_COUNT
from modelway.api.status import Status
from modelway.api.traffic import Traffic
from modelway.api.validation import Validation

MAX_NAME_LENGTH = 45
"""A revision's name adds a dash and the hash and must still be the name of a Service."""

_HAS_GATEWAY: Final = "(has(self.traffic) && has(self.traffic.parentRefs) && size(self.traffic.parentRefs) > 0)"
_HAS_PREVIEW: Final = (
    "(has(self.rollout.blueGreen) && has(self.rollout.blueGreen.previewHostnames) && "
    "size(self.rollout.blueGreen.previewHostnames) > 0)"
)


class ModelDeploymentSpec(Struct):
    """A model that is served, and how a new version of it takes over."""

    model: ModelSource
    """The model: its place, format and identity."""
    runtime: RuntimeChoice = RuntimeChoice()
    """What serves the model, and with how much."""
    replicas: Annotated[int, Field(ge=0, le=MAX_COUNT)] | None = None
    """Number of pods. Absent: 1. `0` suspends the model. Not together with `autoscaling`."""
    autoscaling: Autoscaling | None = None
    """Bounds and metrics of automatic scaling. Absent: the number is `replicas`."""
    pod_disruption_budget: DisruptionBudget = DisruptionBudget()
    """How many pods may be taken away at once, as when a node is drained. Absent: one of each revision."""
    validation: Validation | None = None
    """Golden requests, which a revision must answer as expected before it gets traffic. Absent: none."""
    rollout: Rollout = Rollout()
    """How a new revision takes over."""
    traffic: Traffic | None = None
    """The way in from outside the cluster. Absent: only the Service of the model's name exists."""
    revision_history_limit: Annotated[int, Field(ge=1, le=50)] = 10
    """How many old revisions are kept to go back to."""

    rules = (
        Rule(
            cel="!(has(self.replicas) && has(self.autoscaling))",
            message="replicas and autoscaling exclude each other: leave replicas out and write "
            "autoscaling.minReplicas, or leave autoscaling out",
            holds=lambda spec: spec.replicas is None or spec.autoscaling is None,
        ),
        Rule(
            cel=f"{_HAS_GATEWAY} || !(has(self.rollout.candidateMatches) && size(self.rollout.candidateMatches) > 0)",
            message="candidateMatches need a gateway: name one in traffic.parentRefs, or leave candidateMatches out",
            holds=lambda spec: spec.has_gateway or not spec.rollout.candidate_matches,
        ),
        Rule(
            cel=f"{_HAS_GATEWAY} || !has(self.rollout.shadow)",
            message="shadow needs a gateway, which copies the requests: name one in traffic.parentRefs, or leave "
            "shadow out",
            holds=lambda spec: spec.has_gateway or spec.rollout.shadow is None,
        ),
        Rule(
            cel=f"{_HAS_GATEWAY} || !{_HAS_PREVIEW}",
            message="previewHostnames need a gateway: name one in traffic.parentRefs, or leave previewHostnames out "
            "and use the Service NAME-preview inside the cluster",
            holds=lambda spec: spec.has_gateway or not spec.rollout.preview_hostnames,
        ),
        Rule(
            cel=f"!{_HAS_PREVIEW} || !(has(self.traffic) && has(self.traffic.hostnames)) || "
            "!self.rollout.blueGreen.previewHostnames.exists(name, name in self.traffic.hostnames)",
            message="a preview host name leads to the candidate only: write in previewHostnames names that are not in "
            "traffic.hostnames",
            holds=lambda spec: (
                not spec.traffic or not set(spec.rollout.preview_hostnames) & set(spec.traffic.hostnames)
            ),
        ),
    )

    @property
    def has_gateway(self) -> bool:
        """Whether the traffic goes through a Gateway."""
        return bool(self.traffic and self.traffic.parent_refs)


class ModelDeployment(Struct):
    """A model that is served, and how a new version of it takes over."""

    api_version: Literal["serving.modelway.io/v1alpha1"] = "serving.modelway.io/v1alpha1"
    kind: Literal["ModelDeployment"] = "ModelDeployment"
    metadata: dict[str, Any]
    spec: ModelDeploymentSpec
    status: Status = Status()
