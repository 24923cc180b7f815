"""`spec.autoscaling`: one HorizontalPodAutoscaler for each revision with traffic. Pure."""

from typing import Annotated, Any, Final

from pydantic import AfterValidator, Field, WithJsonSchema

from modelway.api.rules import OPEN, Rule, Struct
from modelway.api.scalars import MAX_COUNT, OpenObject

METRICS: Final = ("Resource", "ContainerResource", "Pods")


def _known(metric: dict[str, Any]) -> dict[str, Any]:
    if metric.get("type") not in METRICS:
        raise ValueError(f"write a metric of the type {', '.join(METRICS)}, not {metric.get('type')}")
    return metric


Metric = Annotated[
    dict[str, Any],
    AfterValidator(_known),
    WithJsonSchema(
        {
            "type": "object",
            OPEN: True,
            "required": ["type"],
            "properties": {
                "type": {
                    "type": "string",
                    "enum": list(METRICS),
                    "description": "Kind of the metric: Resource, ContainerResource or Pods. Object and "
                    "External measure all revisions at once, so each would scale for the whole.",
                }
            },
        }
    ),
]
"""A metric as in autoscaling/v2; only its kind is checked here."""


class Autoscaling(Struct):
    """Bounds and metrics as in a HorizontalPodAutoscaler (autoscaling/v2)."""

    min_replicas: Annotated[int, Field(ge=1, le=MAX_COUNT)] = 1
    """Fewest pods."""
    max_replicas: Annotated[int, Field(ge=1, le=MAX_COUNT)]
    """Most pods."""
    metrics: Annotated[tuple[Metric, ...], Field(max_length=16)] = ()
    """What to scale by, passed on as written. Absent: 80 % of the CPU requested, the default of
    Kubernetes."""
    behavior: OpenObject | None = None
    """How fast to scale, passed on as written. Absent: the defaults of Kubernetes."""

    rules = (
        Rule(
            cel="self.minReplicas <= self.maxReplicas",
            message="minReplicas may not exceed maxReplicas: lower minReplicas or raise maxReplicas",
            holds=lambda autoscaling: autoscaling.min_replicas <= autoscaling.max_replicas,
        ),
    )
