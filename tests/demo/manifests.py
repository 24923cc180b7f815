"""What the demo applies: the namespace, the credentials of the storage, and the ModelDeployment. Pure."""

from dataclasses import dataclass
from typing import Any

from cluster.info import Gateway, Storage
from demo import models

MODEL = "iris"
SECRET = "s3-reader"
Manifest = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How long the steps take; a real rollout takes minutes or hours, a demo seconds."""

    hold: str = "12s"
    settle: str = "2s"
    drain: str = "5s"
    bake: str = "5s"
    judged: str = "2m"
    """Longest time in which version 5 is judged at its first step; the verdict comes sooner."""


def namespace(name: str) -> Manifest:
    """The namespace of the story."""
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def secret(storage: Storage, where: str) -> Manifest:
    """What the fetch container gets as its environment; nothing else in the cluster reads it."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": SECRET, "namespace": where},
        "stringData": {
            "AWS_ENDPOINT_URL": storage.endpoint_in_cluster,
            "AWS_ACCESS_KEY_ID": storage.access_key,
            "AWS_SECRET_ACCESS_KEY": storage.secret_key,
            "AWS_REGION": storage.region,
            "AWS_VIRTUAL_HOSTED_STYLE_REQUEST": "false",
        },
    }


def host(where: str, name: str = MODEL) -> str:
    """The host name of a model at the gateway."""
    return f"{name}.{where}.example.com"


def source(version: str, bucket: str) -> Manifest:
    """`spec.model` of a version."""
    return {
        "uri": f"s3://{bucket}/{MODEL}/{version}",
        "format": "onnx",
        "version": version,
        "credentials": {"secretRef": {"name": SECRET}},
    }


def canary(pace: Pace) -> Manifest:
    """`spec.rollout` of the story."""
    return {
        "strategy": "Canary",
        "steps": [
            {"name": "taste", "weight": 10, "hold": pace.hold},
            {"name": "half", "weight": 50, "hold": pace.hold},
        ],
        "settle": pace.settle,
        "drain": pace.drain,
        "bake": pace.bake,
        "analysis": {
            "interval": "5s",
            "minSamples": 20,
            "metrics": [{"name": "errors", "builtin": "ErrorRate", "max": 0.05}],
        },
    }


def suspicious(pace: Pace) -> Manifest:
    """`spec.rollout` of version 5: nothing shows at once, so it is compared with the one that serves."""
    rollout = canary(pace)
    metrics = [
        *rollout["analysis"]["metrics"],
        {"name": "latency", "builtin": "LatencyP50", "maxIncreasePercent": 100},
        {"name": "answers", "builtin": "Disagreement", "max": 0.01},
    ]
    return rollout | {
        "steps": [{"name": "taste", "weight": 10, "hold": pace.judged}],
        "analysis": rollout["analysis"] | {"metrics": metrics},
        "shadow": {"percent": 50, "maxRequestsPerSecond": 50},
    }


def traffic(gateway: Gateway, name: str) -> Manifest:
    """`spec.traffic` through that Gateway, under that host name."""
    parent = {"name": gateway.name, "namespace": gateway.namespace}
    return {"parentRefs": [parent], "hostnames": [name]}


def model(where: str, model_source: Manifest, *, name: str = MODEL, **spec: Any) -> Manifest:
    """A ModelDeployment with small pods."""
    return {
        "apiVersion": "serving.modelway.io/v1alpha1",
        "kind": "ModelDeployment",
        "metadata": {"name": name, "namespace": where},
        "spec": {
            "model": model_source,
            "runtime": {"resources": {"requests": {"cpu": "50m", "memory": "128Mi"}}},
            **spec,
        },
    }


def story(where: str, version: str, bucket: str, gateway: Gateway, pace: Pace) -> Manifest:
    """The object of the story, asking for that version."""
    return model(
        where,
        source(version, bucket),
        replicas=2,
        validation={"requests": models.golden()},
        rollout=suspicious(pace) if version == "5" else canary(pace),
        traffic=traffic(gateway, host(where)),
    )
