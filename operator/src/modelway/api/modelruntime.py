"""ModelRuntime and ClusterModelRuntime: what can serve a model, and what it can do. Pure."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, StringConstraints, WithJsonSchema

from modelway.api.rules import OPEN, Rule, Struct
from modelway.api.scalars import matching

Protocol = Literal["V1", "V2", "Invocations"]
Port = Annotated[int, Field(ge=1, le=65535)]

_MOUNT = matching("^/[^:]+$", "write an absolute path, such as /models")


def _open(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", OPEN: True, "properties": properties}


def _containers(template: dict[str, Any]) -> list[dict[str, Any]]:
    """The containers, as far as they are some: an object may have been stored under an older schema."""
    spec = template.get("spec")
    containers = spec.get("containers") if isinstance(spec, dict) else None
    return [item for item in containers if isinstance(item, dict)] if isinstance(containers, list) else []


def _with_lists_of_arguments(template: dict[str, Any]) -> dict[str, Any]:
    """The template itself: a user's arguments are put behind these, and a text would come apart into letters."""
    for container in _containers(template):
        arguments = container.get("args") or []
        if not isinstance(arguments, list) or not all(isinstance(item, str) for item in arguments):
            raise ValueError(f"write the args of the container {container.get('name')} as a list of strings")
    return template


PodTemplate = Annotated[
    dict[str, Any],
    AfterValidator(_with_lists_of_arguments),
    WithJsonSchema(
        _open(
            {
                "spec": _open(
                    {
                        "containers": {
                            "type": "array",
                            "maxItems": 32,
                            "items": _open(
                                {
                                    "name": {"type": "string", "maxLength": 63},
                                    "args": {
                                        "type": "array",
                                        "maxItems": 256,
                                        "items": {"type": "string", "maxLength": 4096},
                                        "description": "Its arguments. Those of a ModelDeployment come after them.",
                                    },
                                }
                            ),
                        }
                    }
                )
            }
        )
    ),
]
"""A pod template: Kubernetes knows its fields; only the names and arguments of the containers are looked at."""


def _has_model_container(spec: "RuntimeSpec") -> bool:
    return any(container.get("name") == "model" for container in _containers(spec.template))


class RuntimeFormat(Struct):
    """A format that the runtime serves."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=63)]
    """Name of the format, as in `spec.model.format`."""
    priority: Annotated[int, Field(ge=-1000, le=1000)] = 0
    """Of several runtimes that list a format the highest priority is taken. Absent: 0."""


class RuntimePorts(Struct):
    """Ports of the model container."""

    http: Port = 8000
    """Port of the REST protocols."""
    grpc: Port | None = None
    """Port of gRPC. Absent: none."""
    metrics: Port | None = None
    """Port of Prometheus metrics and internal calls, which no route leads to. Absent: none."""


class RuntimeModel(Struct):
    """Where the runtime looks for the model."""

    mount_path: Annotated[str, StringConstraints(max_length=255), _MOUNT] = "/models"
    """Folder that holds the fetched model."""
    layout: Literal["Plain", "TritonRepository", "TensorFlowServing"] = "Plain"
    """`Plain`: the model's files lie in the folder as they were uploaded. `TritonRepository`: the folder is a model
    repository of Triton with the model under its name. `TensorFlowServing`: it has the model under its name, in
    folders by version."""


class Capabilities(Struct):
    """What the runtime does by itself. Where it lacks one of the first three, a sidecar `gate` holds readiness."""

    golden_requests: bool = False
    """Whether it asks itself the golden requests before it is ready. Otherwise the gate asks them."""
    warmup: bool = False
    """Whether it warms the model before it is ready. Otherwise the gate does."""
    drain: bool = False
    """Whether it goes on after SIGTERM for as long as callers need to hear of it. Otherwise SIGTERM is sent that much
    later."""
    metrics: Literal["Modelway"] | None = None
    """`Modelway`: it gives the metrics of the Modelway runtime. Absent: none that the operator
    understands, and an analysis with a built-in metric of requests is refused."""


class RuntimeSpec(Struct):
    """What can serve a model, and what it can do."""

    formats: Annotated[tuple[RuntimeFormat, ...], Field(min_length=1, max_length=64)]
    """Formats that it serves."""
    protocols: Annotated[tuple[Protocol, ...], Field(min_length=1, max_length=3)] = ("V2",)
    """Protocols that it speaks: `V1`, `V2`, `Invocations`."""
    ports: RuntimePorts = RuntimePorts()
    """Ports of the model container."""
    model: RuntimeModel = RuntimeModel()
    """Where it looks for the model."""
    capabilities: Capabilities = Capabilities()
    """What it does by itself."""
    template: PodTemplate
    """Pod template. The container named `model` is required: it serves, and its image and arguments are the
    runtime's."""

    rules = (
        Rule(
            cel="has(self.template.spec) && has(self.template.spec.containers) && "
            "self.template.spec.containers.exists(container, has(container.name) && container.name == "
            "'model')",
            message="name the container that serves `model` in template.spec.containers",
            holds=_has_model_container,
        ),
    )


class ModelRuntime(Struct):
    """What can serve the models of its namespace."""

    api_version: Literal["serving.modelway.io/v1alpha1"] = "serving.modelway.io/v1alpha1"
    kind: Literal["ModelRuntime"] = "ModelRuntime"
    metadata: dict[str, Any]
    spec: RuntimeSpec


class ClusterModelRuntime(Struct):
    """What can serve the models of every namespace."""

    api_version: Literal["serving.modelway.io/v1alpha1"] = "serving.modelway.io/v1alpha1"
    kind: Literal["ClusterModelRuntime"] = "ClusterModelRuntime"
    metadata: dict[str, Any]
    spec: RuntimeSpec
