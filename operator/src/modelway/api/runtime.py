"""`spec.runtime`: what serves the model, and with how much. Pure."""

from datetime import timedelta
from typing import Annotated, Final, Literal

from pydantic import Field, StringConstraints

from modelway.api.rules import Rule, Struct
from modelway.api.scalars import Between, ObjectName, OpenObject, Quantity, SizeBetween, matching, short_keys

_VARIABLE = matching(
    "^[A-Za-z_][A-Za-z0-9_.-]*$", "write letters, digits, underscores, dots and dashes, such as LOG_LEVEL"
)

MAX_RESOURCE_NAME_LENGTH: Final = 128

Amounts = Annotated[dict[str, Quantity], Field(max_length=16), short_keys(MAX_RESOURCE_NAME_LENGTH)]
Key = Annotated[str, StringConstraints(min_length=1, max_length=253)]


class RuntimeReference(Struct):
    """A runtime by name."""

    kind: Literal["ClusterModelRuntime", "ModelRuntime"] = "ClusterModelRuntime"
    """`ClusterModelRuntime`, or `ModelRuntime` for one in the namespace of the ModelDeployment."""
    name: ObjectName
    """Name of the runtime."""


class KeyReference(Struct):
    """A key of a Secret or ConfigMap."""

    name: ObjectName
    """Name of the object."""
    key: Key
    """The key in it."""
    optional: bool | None = None
    """Whether the pod may start without it. Absent: it may not."""


class FieldReference(Struct):
    """A field of the pod."""

    field_path: Annotated[str, StringConstraints(min_length=1, max_length=256)]
    """Path of the field, such as `spec.nodeName`."""
    api_version: Annotated[str, StringConstraints(max_length=63)] | None = None
    """Version of the pod's schema. Absent: `v1`."""


class ResourceReference(Struct):
    """A resource amount of a container."""

    resource: Annotated[str, StringConstraints(min_length=1, max_length=128)]
    """The amount, such as `limits.cpu`."""
    container_name: Annotated[str, StringConstraints(max_length=63)] | None = None
    """The container. Absent: the model's."""
    divisor: Quantity | None = None
    """The unit to count in. Absent: 1."""


class VariableSource(Struct):
    """Where an environment variable takes its value from: exactly one field."""

    secret_key_ref: KeyReference | None = None
    """A key of a Secret in the same namespace."""
    config_map_key_ref: KeyReference | None = None
    """A key of a ConfigMap in the same namespace."""
    field_ref: FieldReference | None = None
    """A field of the pod."""
    resource_field_ref: ResourceReference | None = None
    """A resource amount of a container."""

    rules = (
        Rule(
            cel="[has(self.secretKeyRef), has(self.configMapKeyRef), has(self.fieldRef), "
            "has(self.resourceFieldRef)].filter(given, given).size() == 1",
            message="write exactly one of secretKeyRef, configMapKeyRef, fieldRef and resourceFieldRef",
            holds=lambda source: len(source.model_fields_set) == 1,
        ),
    )


class Variable(Struct):
    """An environment variable of the model container."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=128), _VARIABLE]
    """Name of the variable. Names that begin with MODELWAY_ are set by the operator."""
    value: Annotated[str, StringConstraints(max_length=8192)] | None = None
    """The value. Quote it in YAML when it looks like a number."""
    value_from: VariableSource | None = None
    """Where the value comes from, instead of `value`."""

    rules = (
        Rule(
            cel="!(has(self.value) && has(self.valueFrom))",
            message="write value or valueFrom, not both",
            holds=lambda variable: variable.value is None or variable.value_from is None,
        ),
        Rule(
            cel="!self.name.startsWith('MODELWAY_')",
            message="names that begin with MODELWAY_ are set by the operator: use the field of the "
            "ModelDeployment that stands for it, or another name",
            holds=lambda variable: not variable.name.startswith("MODELWAY_"),
        ),
    )


class Resources(Struct):
    """Compute resources of the model container, as in a pod."""

    requests: Amounts = Field(default_factory=dict)
    """What the scheduler reserves, such as `cpu: "0.5"` and `memory: 1Gi`. Quote fractions."""
    limits: Amounts = Field(default_factory=dict)
    """What the container may use at most. GPUs are given here, such as `nvidia.com/gpu: 1`."""


class Batching(Struct):
    """How requests are put together before they reach the model."""

    max_batch_size: Annotated[int, Field(ge=1, le=65536)] = 32
    """Most rows that one call of the model gets."""
    max_delay: Annotated[timedelta, Between("0s", "10s")] = timedelta(0)
    """How long a request may wait for company, such as `5ms`. At `0s` only requests that wait anyway are put
    together."""


class Limits(Struct):
    """What the server takes before it refuses."""

    max_body_bytes: Annotated[int, SizeBetween("1Ki", "2Gi")] = 64 * 1024 * 1024
    """Largest request body; a larger one is answered with 413."""
    max_queue: Annotated[int, Field(ge=1, le=1_000_000)] = 1000
    """Most requests that wait in one pod; the next one is answered with 429."""
    request_timeout: Annotated[timedelta, Between("1ms", "1h")] = timedelta(seconds=30)
    """Longest time for one request, such as `30s`; after that it is answered with 504, or 503 if it still waited."""


class RuntimeChoice(Struct):
    """What serves the model. Every change here makes a new revision."""

    ref: RuntimeReference | None = None
    """The runtime. Absent: the one that lists the model's format."""
    image: Annotated[str, StringConstraints(max_length=512)] = ""
    """Image of the model container. Empty: the runtime's."""
    env: Annotated[tuple[Variable, ...], Field(max_length=64)] = ()
    """Environment variables of the model container, after the runtime's own."""
    args: Annotated[tuple[Annotated[str, StringConstraints(max_length=4096)], ...], Field(max_length=64)] = ()
    """Arguments of the model container, after the runtime's own."""
    resources: Resources = Resources()
    """Compute resources of the model container. Absent: the runtime's."""
    batching: Batching = Batching()
    """How requests are put together before they reach the model."""
    limits: Limits = Limits()
    """What the server takes before it refuses."""
    refresh: Annotated[str, StringConstraints(max_length=63)] = ""
    """Any new value takes over the runtime's present image and template, by a normal rollout."""
    template: OpenObject | None = None
    """Overlay on the pod template: node selectors, tolerations, affinity, volumes, sidecars. Maps are merged, lists of
    named things (containers, volumes) are merged by name, other lists are replaced. Checked by a dry run before a
    revision is born."""
