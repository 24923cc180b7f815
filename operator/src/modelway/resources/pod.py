"""The pod template of a revision: the runtime's template, the user's wishes over it, our parts over both. Pure."""

import json
import math
from dataclasses import dataclass
from datetime import timedelta

from modelway import names
from modelway.api import ModelDeploymentSpec, RuntimeSpec, durations
from modelway.kinds import Manifest
from modelway.resources import gate
from modelway.resources.merge import overlay
from modelway.resources.metadata import Parent, common_labels

MODEL_CONTAINER = "model"
FETCH_CONTAINER = "fetch"
LAYOUT_FOLDER = ".modelway/layout"
"""Where `fetch` links the files, on the model's volume, for a server that wants them in another layout."""
LOCK_FOLDER = "/etc/modelway/lock"
GOLDEN_FOLDER = "/etc/modelway/golden"
CLAIM_FOLDER = "/mnt"
USER_ID = 65532

POD_SECURITY = {
    "runAsNonRoot": True,
    "runAsUser": USER_ID,
    "runAsGroup": USER_ID,
    "fsGroup": USER_ID,
    "seccompProfile": {"type": "RuntimeDefault"},
}
SECURITY = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}


_MAPS = ("metadata", "spec")
_NAMED_LISTS = ("containers", "initContainers", "volumes")
_INNER_LISTS = ("args", "env", "ports", "volumeMounts")
"""Of a container: ours are laid over them, and anything but a list would give way without a word."""


def unfit(template: Manifest) -> str:
    """Which part of an overlay on the pod cannot be laid over another, and what it must be; empty when all can."""
    for key in _MAPS:
        if not isinstance(template.get(key, {}), dict):
            return f"{key}: write a map"
    if not isinstance(template.get("metadata", {}).get("labels") or {}, dict):
        return "metadata.labels: write a map"
    for key in _NAMED_LISTS:
        items = template.get("spec", {}).get(key, [])
        if not isinstance(items, list):
            return f"spec.{key}: write a list"
        for index, item in enumerate(items):
            if not isinstance(item, dict) or not isinstance(item.get("name"), str) or not item["name"]:
                return f"spec.{key}[{index}]: give it a name, by which it is merged"
            if wrong := _inner_misfit(item):
                return f"spec.{key}[{index}].{wrong}: write a list"
    return ""


def _inner_misfit(item: Manifest) -> str:
    return next((key for key in _INNER_LISTS if not isinstance(item.get(key) or [], list)), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """Everything that a revision's pod template is made from."""

    parent: Parent
    spec: ModelDeploymentSpec
    revision: str
    runtime: RuntimeSpec
    runtime_image: str


def template(build: Build) -> Manifest:
    """The pod template: labels and pod spec."""
    labels = common_labels(build.parent) | {names.REVISION_LABEL: build.revision}
    base = overlay(_defaults(build), build.runtime.template)
    wished = overlay(overlay(base, _wishes(build, base)), build.spec.runtime.template or {})
    return _ordered(build, overlay(wished, {"metadata": {"labels": labels}, "spec": _fixed(build, wished)}))


def _ordered(build: Build, manifest: Manifest) -> Manifest:
    """With the model's container first, as `kubectl logs` and `exec` expect.

    A variable can refer only to those before it, and a foreign server is told in its own words: ours come first there.
    """
    containers = manifest["spec"]["containers"]
    containers.sort(key=lambda item: item["name"] != MODEL_CONTAINER)
    if not _is_ours(build):
        _model(manifest)["env"].sort(key=lambda item: not item["name"].startswith("MODELWAY_"))
    return manifest


def _is_ours(build: Build) -> bool:
    return build.runtime.capabilities.metrics == "Modelway"


def _defaults(build: Build) -> Manifest:
    """What a runtime's template or a user may change."""
    container = {
        "name": MODEL_CONTAINER,
        "ports": _ports(build),
        "securityContext": SECURITY,
        "terminationMessagePolicy": "FallbackToLogsOnError",
        **_probes(build),
    }
    spec = {
        "containers": [container],
        "securityContext": POD_SECURITY,
    }
    return {"metadata": {}, "spec": spec}


def _ports(build: Build) -> list[Manifest]:
    ports = build.runtime.ports.model_dump(exclude_none=True, by_alias=False)
    return [{"name": name, "containerPort": port} for name, port in ports.items()]


def _probes(build: Build) -> Manifest:
    """Readiness turns quickly, so that a draining pod gets no new requests; liveness is patient."""
    ready, live = _health(build)
    return {
        "startupProbe": ready | {"periodSeconds": 1, "failureThreshold": 3600, "timeoutSeconds": 2},
        "readinessProbe": ready | {"periodSeconds": 2, "failureThreshold": 2, "timeoutSeconds": 2},
        "livenessProbe": live | {"periodSeconds": 10, "failureThreshold": 6, "timeoutSeconds": 5},
    }


def _health(build: Build) -> tuple[Manifest, Manifest]:
    """What is asked whether the server is ready, and whether it lives, in the protocol that it speaks."""
    port, protocol = build.runtime.ports.http, gate.protocol(build.runtime)
    if protocol == "V1":
        path = f"/v1/models/{build.spec.model.name or build.parent.name}"
        return {"httpGet": {"path": path, "port": port}}, {"tcpSocket": {"port": port}}
    if protocol == "Invocations":
        return {"httpGet": {"path": "/ping", "port": port}}, {"httpGet": {"path": "/ping", "port": port}}
    return (
        {"httpGet": {"path": "/v2/health/ready", "port": port}},
        {"httpGet": {"path": "/v2/health/live", "port": port}},
    )


def _model(template: Manifest) -> Manifest:
    found: Manifest = next(item for item in template["spec"]["containers"] if item["name"] == MODEL_CONTAINER)
    return found


def _wishes(build: Build, base: Manifest) -> Manifest:
    """`spec.runtime` and `spec.model.credentials`, but for the overlay."""
    runtime = build.spec.runtime
    container: Manifest = {"name": MODEL_CONTAINER}
    image = runtime.image or _model(base).get("image") or build.runtime_image
    if image:
        container["image"] = image
    if runtime.args:
        container["args"] = [*(_model(base).get("args") or ()), *runtime.args]
    if runtime.env:
        container["env"] = [item.model_dump(by_alias=True, exclude_none=True) for item in runtime.env]
    if runtime.resources.requests or runtime.resources.limits:
        container["resources"] = runtime.resources.model_dump(exclude_defaults=True)
    spec: Manifest = {"containers": [container]}
    credentials = build.spec.model.credentials
    if credentials and credentials.service_account_name:
        spec["serviceAccountName"] = credentials.service_account_name
    return {"spec": spec}


def _fixed(build: Build, wished: Manifest) -> Manifest:
    """What makes the pod a model pod; no template may change it."""
    mounts = [
        _mount("model", build.runtime.model.mount_path),
        _mount("tmp", "/tmp"),  # noqa: S108  the only writable folder of a read-only root
    ]
    claim = _claim_mount(build)
    environment = _environment(build)
    model = {
        "name": MODEL_CONTAINER,
        "env": environment,
        "volumeMounts": [*_arranged(build, mounts), _mount("golden", GOLDEN_FOLDER, read_only=True), *claim],
        **_sleep(build, wished),
    }
    image = _model(wished).get("image", "") if _is_ours(build) else build.runtime_image
    fetch: Manifest = {
        "name": FETCH_CONTAINER,
        "image": image,
        "args": ["fetch"],
        "env": [*environment, *_signature(build), *_layout(build)],
        "volumeMounts": [*mounts, _mount("lock", LOCK_FOLDER, read_only=True), *claim],
        "securityContext": SECURITY,
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }
    credentials = build.spec.model.credentials
    if credentials and credentials.secret_ref:
        fetch["envFrom"] = [{"secretRef": {"name": credentials.secret_ref.name}}]
    return {
        "initContainers": [fetch, *_gates(build, wished, image)],
        "containers": [model],
        "volumes": _volumes(build, {item["name"] for item in wished["spec"].get("volumes", ())}),
        "enableServiceLinks": False,
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": _grace(build),
    }


def _layout(build: Build) -> list[Manifest]:
    """How `fetch` is to arrange the files; as they are it does without being told."""
    layout = build.runtime.model.layout
    return [] if layout == "Plain" else [{"name": "MODELWAY_MODEL_LAYOUT", "value": layout}]


def _arranged(build: Build, mounts: list[Manifest]) -> list[Manifest]:
    """The server sees the arranged files alone: Triton would take our own folder for another model."""
    if build.runtime.model.layout == "Plain":
        return mounts
    return [item | {"subPath": LAYOUT_FOLDER} if item["name"] == "model" else item for item in mounts]


def _sleep(build: Build, wished: Manifest) -> Manifest:
    """A server that ends at once on SIGTERM is sent it when nobody sends requests any more."""
    seconds = math.ceil(build.spec.rollout.drain.total_seconds())
    has_own = bool((_model(wished).get("lifecycle") or {}).get("preStop"))
    if build.runtime.capabilities.drain or has_own or not seconds:
        return {}
    return {"lifecycle": {"preStop": {"sleep": {"seconds": seconds}}}}


def _gates(build: Build, wished: Manifest, image: str) -> list[Manifest]:
    """The gate, where the runtime needs one."""
    if not gate.is_needed(build.runtime):
        return []
    mounts = [
        _mount("model", build.runtime.model.mount_path, read_only=True),
        _mount("tmp", "/tmp"),  # noqa: S108  the only writable folder of a read-only root
        _mount("golden", GOLDEN_FOLDER, read_only=True),
        *_claim_mount(build),
    ]
    own = {
        "image": image,
        "volumeMounts": mounts,
        "securityContext": SECURITY,
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }
    return [gate.container(build.runtime, wished, _environment(build)) | own]


def _signature(build: Build) -> list[Manifest]:
    """Whose signature `fetch` verifies; the server only hears that it held."""
    signature = build.spec.model.signature
    if signature is None:
        return []
    values = {
        "MODELWAY_SIGNATURE_FILE": signature.file,
        "MODELWAY_SIGNATURE_PUBLIC_KEY": signature.public_key,
        "MODELWAY_SIGNATURE_CERTIFICATE_AUTHORITY": signature.certificate_authority,
        "MODELWAY_SIGNATURE_IDENTITY": signature.identity,
    }
    return [{"name": name, "value": value} for name, value in values.items() if value]


def _grace(build: Build) -> int:
    """Seconds to drain, to answer the last request and to end."""
    spec = build.spec
    limit = spec.rollout.drain + spec.runtime.limits.request_timeout + timedelta(seconds=5)
    return math.ceil(limit.total_seconds())


def _mount(name: str, path: str, *, read_only: bool = False) -> Manifest:
    return {"name": name, "mountPath": path} | ({"readOnly": True} if read_only else {})


def _claim(build: Build) -> str:
    scheme, _, rest = build.spec.model.uri.partition("://")
    return rest.split("/")[0] if scheme == "pvc" else ""


def _claim_mount(build: Build) -> list[Manifest]:
    claim = _claim(build)
    return [_mount("claim", f"{CLAIM_FOLDER}/{claim}", read_only=True)] if claim else []


def _volumes(build: Build, wished: set[str]) -> list[Manifest]:
    """Where a template brings a place of its own for the model or for temporary files, that one is taken."""
    name = names.revision(build.parent.name, build.revision)
    volumes: list[Manifest] = [
        *({"name": place, "emptyDir": {}} for place in ("model", "tmp") if place not in wished),
        {"name": "lock", "configMap": {"name": names.lock(name), "optional": True}},
        {"name": "golden", "configMap": {"name": names.golden(name), "optional": True}},
    ]
    claim = _claim(build)
    if claim:
        volumes.append({"name": "claim", "persistentVolumeClaim": {"claimName": claim, "readOnly": True}})
    return volumes


def _environment(build: Build) -> list[Manifest]:
    """What `fetch` and the server are told; a flag of theirs wins over it."""
    model, runtime = build.spec.model, build.spec.runtime
    validation = build.spec.validation
    values = {
        "MODELWAY_MODEL_NAME": model.name or build.parent.name,
        "MODELWAY_MODEL_VERSION": model.version,
        "MODELWAY_MODEL_URI": model.uri,
        "MODELWAY_MODEL_FORMAT": model.format,
        "MODELWAY_MODEL_DIGEST": model.digest,
        "MODELWAY_TRUST": model.trust,
        "MODELWAY_REVISION": build.revision,
        "MODELWAY_MODEL_PATH": build.runtime.model.mount_path,
        "MODELWAY_LOCK_PATH": f"{LOCK_FOLDER}/digest",
        "MODELWAY_GOLDEN_PATH": f"{GOLDEN_FOLDER}/requests.json",
        "MODELWAY_GOLDEN_FILE": (validation.file if validation else "") or "",
        "MODELWAY_DRAIN": durations.format(build.spec.rollout.drain),
        "MODELWAY_MAX_BODY_BYTES": str(runtime.limits.max_body_bytes),
        "MODELWAY_MAX_QUEUE": str(runtime.limits.max_queue),
        "MODELWAY_REQUEST_TIMEOUT": durations.format(runtime.limits.request_timeout),
        "MODELWAY_MAX_BATCH_SIZE": str(runtime.batching.max_batch_size),
        "MODELWAY_MAX_DELAY": durations.format(runtime.batching.max_delay),
        "MODELWAY_OPTIONS": json.dumps(model.options or {}, sort_keys=True, separators=(",", ":")),
    }
    return [{"name": name, "value": value or ""} for name, value in values.items()]
