"""A revision as an object: its identity, its ControllerRevision and what is rendered into it at birth. Pure.

Rendering happens once. Everything later is read back from the ControllerRevision, so that a new operator, chart or
runtime changes no running pod.
"""

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from modelway import kinds, names
from modelway.api import ModelDeploymentSpec, durations
from modelway.kinds import Manifest
from modelway.resources import pod
from modelway.resources.merge import holds
from modelway.resources.metadata import Parent, child, selector


def source(spec: ModelDeploymentSpec, owner: str = "") -> Manifest:
    """The fields that make a revision: `model` and `runtime`, without what is absent or a default.

    `owner`: name of the ModelDeployment, the default of `model.name`.
    """
    model = _stated(spec.model.model_dump(mode="json", by_alias=True, exclude_defaults=True))
    return {
        "model": {key: value for key, value in model.items() if (key, value) != ("name", owner)},
        "runtime": _stated(spec.runtime.model_dump(mode="json", by_alias=True, exclude_defaults=True)),
    }


def _stated(value: Any) -> Any:
    """Without empty maps, lists and nulls, which mean the same as absent ones; but not inside a pod's template."""
    if isinstance(value, dict):
        inner = {key: item if key == "template" else _stated(item) for key, item in value.items()}
        return {key: item for key, item in inner.items() if item not in (None, {}, [])}
    if isinstance(value, list):
        return [_stated(item) for item in value]
    return value


def identity(source: Manifest, refresh: str = "", collisions: int = 0) -> str:
    """The revision's hash: equal for equal fields, in whatever order or spelling they were written.

    `refresh`: id of the command that took over the runtime once more; `collisions`: how many other revisions were
    found to have this hash. Both count only where they are there, so that most identities have neither.
    """
    stated = {"refresh": refresh, "collisions": collisions}
    document = source | {name: value for name, value in stated.items() if value}
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[: names.HASH_LENGTH]


def is_same(one: Manifest, other: Manifest) -> bool:
    """Whether two sources, of which the API server may have dropped empty parts, are of the same fields."""
    return holds(one, other) and holds(other, one)


@dataclass(frozen=True, slots=True, kw_only=True)
class Birth:
    """What a new revision is made from."""

    build: pod.Build
    number: int
    runtime_kind: str
    runtime_name: str
    refresh: str = ""
    digest: str = ""
    """What its pods are held to from the first one on; empty: to what the first one fetches."""


def controller_revision(birth: Birth) -> Manifest:
    """The ControllerRevision: the user's fields, the runtime as it is now, and the rendered children."""
    build = birth.build
    name = names.revision(build.parent.name, build.revision)
    head = child(kinds.CONTROLLER_REVISION, build.parent, name, labels={names.REVISION_LABEL: build.revision})
    runtime = build.runtime.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    return head | {
        "revision": birth.number,
        "data": {
            "source": source(build.spec, build.parent.name),
            **({"refresh": birth.refresh} if birth.refresh else {}),
            "runtime": {"kind": birth.runtime_kind, "name": birth.runtime_name, "spec": runtime},
            "drain": durations.format(build.spec.rollout.drain),
            "rendered": {"deployment": _deployment(build), "service": _service(build)},
        },
    }


def _deployment(build: pod.Build) -> Manifest:
    """The Deployment's spec but for its count, which belongs to the scale subresource."""
    return {
        "revisionHistoryLimit": 0,
        "progressDeadlineSeconds": 2147483647,  # progress is judged here, not by Kubernetes
        "selector": {"matchLabels": selector(build.parent.name, build.revision)},
        "template": pod.template(build),
    }


def _service(build: pod.Build) -> Manifest:
    """The Service's spec."""
    return {
        "selector": selector(build.parent.name, build.revision),
        "ports": service_ports(build.runtime.ports.http, build.runtime.ports.grpc),
    }


def service_ports(http: int, grpc: int | None) -> list[Manifest]:
    """REST on 80, and gRPC on 8001 where the runtime speaks it."""
    ports: list[Manifest] = [{"name": "http", "port": 80, "targetPort": http, "protocol": "TCP"}]
    if grpc:
        ports.append(
            {
                "name": "grpc",
                "port": 8001,
                "targetPort": grpc,
                "protocol": "TCP",
                "appProtocol": "kubernetes.io/h2c",
            }
        )
    return ports


def marked(manifest: Manifest, parent: Parent, *, role: str, outcome: str, reason: str) -> Manifest:
    """The same ControllerRevision with its role, and with how its last rollout ended, in labels."""
    labels = {
        names.REVISION_LABEL: manifest["metadata"]["labels"][names.REVISION_LABEL],
        names.ROLE_LABEL: role,
        names.OUTCOME_LABEL: outcome,
    }
    head = child(
        kinds.CONTROLLER_REVISION,
        parent,
        manifest["metadata"]["name"],
        labels=labels,
        annotations={names.REASON_ANNOTATION: reason},
    )
    return head | {"revision": manifest["revision"], "data": manifest["data"]}
