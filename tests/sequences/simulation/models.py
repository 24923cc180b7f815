"""The objects that a user or the chart would apply: runtimes and ModelDeployments."""

from typing import Any

from modelway import names
from modelway.kinds import Manifest

NAMESPACE = "payments"

IMAGE = "localhost/modelway-runtime:0.1.0"

RUNTIME: Manifest = {
    "metadata": {"name": "modelway"},
    "spec": {
        "formats": [{"name": "onnx", "priority": 10}, {"name": "sklearn", "priority": 10}],
        "protocols": ["V2"],
        "ports": {"http": 8000, "metrics": 8002},
        "model": {"mountPath": "/models", "layout": "Plain"},
        "capabilities": {"goldenRequests": True, "warmup": True, "drain": True, "metrics": "Modelway"},
        "template": {
            "spec": {
                "containers": [
                    {
                        "name": "model",
                        "image": IMAGE,
                        "args": ["serve"],
                        "ports": [{"name": "http", "containerPort": 8000}],
                    }
                ]
            }
        },
    },
}

GOLDEN = [
    {
        "name": "setosa",
        "request": {"inputs": [{"name": "x", "shape": [1, 1], "datatype": "FP32", "data": [1.0]}]},
        "expect": {"outputs": [{"name": "label", "data": [0]}]},
    }
]

GATEWAY: Manifest = {"parentRefs": [{"name": "public", "namespace": "gateways"}], "hostnames": ["fraud.example.com"]}


BETA: list[Manifest] = [{"headers": [{"name": "x-cohort", "value": "beta"}]}]


def uri(version: str) -> str:
    """Where a version of the model lies."""
    return f"s3://models/fraud/{version}"


def model(version: str, **more: Any) -> Manifest:
    """`spec.model` of a version."""
    return {"uri": uri(version), "format": "onnx", "version": version, **more}


def spec(version: str = "v1", *, replicas: int | None = 2, gateway: bool = True, **fields: Any) -> Manifest:
    """A ModelDeployment's spec."""
    found: Manifest = {"model": model(version)}
    if replicas is not None:
        found["replicas"] = replicas
    if gateway:
        found["traffic"] = GATEWAY
    return found | fields


def canary(*steps: Manifest, **fields: Any) -> Manifest:
    """`spec.rollout` of a Canary with short clocks."""
    return {"strategy": "Canary", "steps": list(steps), "settle": "5s", "drain": "10s"} | fields


def blue_green(trial: Manifest | None = None, **fields: Any) -> Manifest:
    """`spec.rollout` of a BlueGreen with short clocks."""
    found: Manifest = {"strategy": "BlueGreen", "settle": "5s", "drain": "10s", "bake": "1m"}
    return found | ({"blueGreen": trial} if trial else {}) | fields


def rolling(**fields: Any) -> Manifest:
    """`spec.rollout` of a Rolling rollout with short clocks."""
    return {"strategy": "Rolling", "settle": "5s", "drain": "10s"} | fields


def annotation(verb: str) -> str:
    """The annotation that carries a command."""
    return names.ABORT_ANNOTATION if verb == "abort" else names.COMMAND_ANNOTATION
