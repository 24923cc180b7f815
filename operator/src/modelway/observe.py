"""From the raw objects in the cache to the frozen snapshot that the planner reads. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from pydantic import ValidationError

from modelway import kinds, names
from modelway.analysis.figures import Readings
from modelway.api import ModelDeploymentSpec, Rollout, RuntimeSpec
from modelway.cluster.snapshot import Claim, Snapshot
from modelway.kinds import Kind, Manifest
from modelway.plan import ledger
from modelway.plan.observed import (
    Comparator,
    Container,
    Ended,
    Features,
    Observed,
    Owner,
    Pod,
    Revision,
    Rival,
    Route,
    Runtime,
    Stranger,
    Workload,
)
from modelway.resources import places, workload
from modelway.resources.pod import MODEL_CONTAINER


def observe(
    snapshot: Snapshot, *, now: datetime, epoch: int, features: Features, readings: Readings | None = None
) -> Observed:
    """The snapshot of one ModelDeployment (which must exist) as the planner reads it."""
    assert snapshot.owner is not None
    manifest = snapshot.owner
    spec, invalid = _spec(manifest)
    status = manifest.get("status") or {}
    children = {kind: _by_name(items) for kind, items in snapshot.children.items()}
    own = {kind: _owned(items, manifest["metadata"]["uid"]) for kind, items in children.items()}
    name = manifest["metadata"]["name"]
    remembered, plans = ledger.parse(status), _plans(own.get(kinds.CONFIG_MAP, {}))
    return Observed(
        now=now.replace(microsecond=0),
        rounded_up=now.replace(microsecond=0) + timedelta(seconds=bool(now.microsecond)),
        epoch=epoch,
        owner=_owner(manifest),
        spec=spec,
        invalid=invalid,
        record=remembered,
        status=status,
        features=features,
        revisions=_revisions(own, snapshot.children.get(kinds.POD, ())),
        runtimes=tuple(_runtimes(snapshot.runtimes)),
        service=own.get(kinds.SERVICE, {}).get(names.service(name)),
        route=_route(own.get(kinds.HTTP_ROUTE, {}).get(names.route(name))),
        preview_service=own.get(kinds.SERVICE, {}).get(names.preview(name)),
        preview_route=_route(own.get(kinds.HTTP_ROUTE, {}).get(names.preview(name))),
        gateway_features=snapshot.gateway_features,
        rival=_rival(snapshot.rival),
        plans=plans,
        planned=_planned(plans.get(remembered.rollout.id)) if remembered.rollout else None,
        strangers=tuple(_strangers(children, own, name)),
        comparators=_comparators(own),
        readings=readings,
    )


def _spec(manifest: Manifest) -> tuple[ModelDeploymentSpec | None, str]:
    try:
        return ModelDeploymentSpec.model_validate(manifest.get("spec") or {}), ""
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        path = ".".join(str(part) for part in ("spec", *first["loc"]))
        return None, f"{path}: {first['msg']}"


def _owner(manifest: Manifest) -> Owner:
    metadata = manifest["metadata"]
    return Owner(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        generation=metadata.get("generation", 1),
        resource_version=metadata["resourceVersion"],
        annotations=metadata.get("annotations") or {},
        is_deleting="deletionTimestamp" in metadata,
        writers=_writers(metadata.get("managedFields") or ()),
    )


def _writers(entries: Iterable[Manifest]) -> dict[str, str]:
    """By whom the spec and the commands were written last, as the API server keeps it; the times are whole seconds."""
    found: dict[str, str] = {}
    own = (entry for entry in entries if not entry.get("subresource"))
    for entry in sorted(own, key=lambda entry: str(entry.get("time", ""))):
        fields = entry.get("fieldsV1") or {}
        annotations = (fields.get("f:metadata") or {}).get("f:annotations") or {}
        written = [name for name in (names.COMMAND_ANNOTATION, names.ABORT_ANNOTATION) if f"f:{name}" in annotations]
        written += ["spec"] if "f:spec" in fields else []
        found |= dict.fromkeys(written, str(entry.get("manager", "")))
    return found


def _by_name(items: Iterable[Manifest]) -> dict[str, Manifest]:
    return {item["metadata"]["name"]: item for item in items}


def controller(manifest: Manifest) -> Manifest | None:
    """The owner reference of the controller, if the object has one."""
    references = manifest["metadata"].get("ownerReferences") or ()
    return next((reference for reference in references if reference.get("controller")), None)


def _owned(items: Mapping[str, Manifest], uid: str) -> dict[str, Manifest]:
    """Ours, and those that nobody owns: they carry our labels and are adopted."""
    found = {name: (item, controller(item)) for name, item in items.items()}
    return {name: item for name, (item, owner) in found.items() if owner is None or owner["uid"] == uid}


def _strangers(
    children: Mapping[Kind, Mapping[str, Manifest]], own: Mapping[Kind, Mapping[str, Manifest]], model: str
) -> Iterable[Stranger]:
    for kind, items in children.items():
        for name in sorted(items.keys() - own[kind].keys()) if kind is not kinds.POD else ():
            owner = controller(items[name]) or {}
            is_leaving = (owner.get("kind"), owner.get("name")) == (kinds.MODEL_DEPLOYMENT.name, model)
            yield Stranger(kind=kind, name=name, is_leaving=is_leaving)


def _comparators(own: Mapping[Kind, Mapping[str, Manifest]]) -> dict[str, Comparator]:
    deployments, services = own.get(kinds.DEPLOYMENT, {}), own.get(kinds.SERVICE, {})
    found = sorted(name for items in (deployments, services) for name, item in items.items() if _compares(item))
    return {name: Comparator(deployment=deployments.get(name), service=services.get(name)) for name in found}


def _compares(manifest: Manifest) -> bool:
    return bool(manifest["metadata"].get("labels", {}).get(names.ROLE_LABEL) == "Comparator")


_ENDED = ("Failed", "Succeeded")
"""Phases of a pod that never runs again: evicted, or refused by its node. Another one has taken its place."""


def _revisions(own: Mapping[Kind, Mapping[str, Manifest]], pods: Iterable[Manifest]) -> tuple[Revision, ...]:
    by_hash: dict[str, list[Pod]] = {}
    for manifest in pods:
        if manifest.get("status", {}).get("phase") in _ENDED:
            continue
        pod = _pod(manifest)
        by_hash.setdefault(pod.revision, []).append(pod)
    manifests = own.get(kinds.CONTROLLER_REVISION, {}).values()
    found = (_revision(manifest, own, by_hash) for manifest in manifests if _is_whole(manifest))
    return tuple(sorted(found, key=lambda revision: revision.number))


def _is_whole(manifest: Manifest) -> bool:
    """Whether a ControllerRevision holds a revision; one of a stranger that wears our labels does not."""
    has_label = names.REVISION_LABEL in manifest["metadata"].get("labels", {})
    return has_label and {"source", "runtime", "rendered"} <= (manifest.get("data") or {}).keys()


def _revision(
    manifest: Manifest, own: Mapping[Kind, Mapping[str, Manifest]], pods: Mapping[str, list[Pod]]
) -> Revision:
    name = manifest["metadata"]["name"]
    labels = manifest["metadata"].get("labels", {})
    identity = labels[names.REVISION_LABEL]
    config_maps = own.get(kinds.CONFIG_MAP, {})
    deployment = own.get(kinds.DEPLOYMENT, {}).get(name)
    return Revision(
        name=name,
        hash=identity,
        number=manifest["revision"],
        manifest=manifest,
        outcome=labels.get(names.OUTCOME_LABEL, ""),
        reason=(manifest["metadata"].get("annotations") or {}).get(names.REASON_ANNOTATION, ""),
        role=labels.get(names.ROLE_LABEL, ""),
        workload=_workload(deployment) if deployment else None,
        service=own.get(kinds.SERVICE, {}).get(name),
        autoscaler=own.get(kinds.HORIZONTAL_POD_AUTOSCALER, {}).get(name),
        disruption_budget=own.get(kinds.POD_DISRUPTION_BUDGET, {}).get(name),
        golden=config_maps.get(names.golden(name)),
        lock_manifest=config_maps.get(names.lock(name)),
        pods=tuple(sorted(pods.get(identity, ()), key=lambda pod: pod.name)),
    )


def _condition(conditions: Iterable[Manifest] | None, kind: str) -> Manifest:
    return next((item for item in conditions or () if item["type"] == kind), {})


def _workload(manifest: Manifest) -> Workload:
    failure = _condition(manifest.get("status", {}).get("conditions"), "ReplicaFailure")
    return Workload(
        manifest=manifest,
        replicas=manifest["spec"].get("replicas", 1),
        resource_version=manifest["metadata"]["resourceVersion"],
        pods_refused=failure.get("message", "") if failure.get("status") == "True" else "",
    )


def _pod(manifest: Manifest) -> Pod:
    status = manifest.get("status", {})
    conditions = status.get("conditions")
    scheduled = _condition(conditions, "PodScheduled")
    is_refused = scheduled.get("status") == "False" and scheduled.get("reason") == "Unschedulable"
    containers = (
        *(_container(item, is_init=True) for item in status.get("initContainerStatuses") or ()),
        *(_container(item, is_init=False) for item in status.get("containerStatuses") or ()),
    )
    return Pod(
        name=manifest["metadata"]["name"],
        revision=manifest["metadata"].get("labels", {}).get(names.REVISION_LABEL, ""),
        is_ready=_condition(conditions, "Ready").get("status") == "True",
        is_terminating="deletionTimestamp" in manifest["metadata"],
        is_started=any(item.is_running and not item.is_init for item in containers),
        unschedulable=scheduled.get("message", "") if is_refused else "",
        containers=containers,
        unschedulable_since=_moment(scheduled.get("lastTransitionTime")) if is_refused else None,
        ends_at=_moment(manifest["metadata"].get("deletionTimestamp")),
        ip=status.get("podIP", ""),
        created_at=_moment(manifest["metadata"].get("creationTimestamp")),
        ready_changed_at=_moment(_condition(conditions, "Ready").get("lastTransitionTime")),
    )


def _moment(text: str | None) -> datetime | None:
    """A time as Kubernetes writes it; for the deletion it is the end of the grace period."""
    return datetime.fromisoformat(text) if text else None


def _container(raw: Manifest, *, is_init: bool) -> Container:
    state: Mapping[str, Any] = raw.get("state") or {}
    waiting = state.get("waiting") or {}
    ended = state.get("terminated") or (raw.get("lastState") or {}).get("terminated")
    is_model = raw["name"] == MODEL_CONTAINER
    return Container(
        name=raw["name"],
        is_init=is_init,
        is_ready=raw.get("ready", False),
        is_running="running" in state,
        restarts=raw.get("restartCount", 0),
        waiting_reason=waiting.get("reason", ""),
        waiting_message=waiting.get("message", ""),
        has_started=is_model and raw.get("started") is True,
        ended=_ended(ended) if ended else None,
        image=raw.get("imageID", "").rpartition("@")[2] if is_model else "",
    )


def _ended(raw: Mapping[str, Any]) -> Ended:
    return Ended(
        reason=raw.get("reason", ""),
        exit_code=raw.get("exitCode", 0),
        message=raw.get("message", ""),
        started_at=_moment(raw.get("startedAt")),
        at=_moment(raw.get("finishedAt")),
    )


def _runtimes(manifests: Iterable[Manifest]) -> Iterable[Runtime]:
    """Those that can be read; one that cannot is as good as absent."""
    for manifest in manifests:
        try:
            spec = RuntimeSpec.model_validate(manifest.get("spec") or {})
        except ValidationError:
            continue
        yield Runtime(kind=manifest["kind"], name=manifest["metadata"]["name"], spec=spec)


def _plans(config_maps: Mapping[str, Manifest]) -> dict[int, Manifest]:
    found = {
        name: item["metadata"].get("labels", {}).get(names.ROLLOUT_LABEL, "") for name, item in config_maps.items()
    }
    return {int(label): config_maps[name] for name, label in found.items() if label.isdecimal()}


def _planned(config_map: Manifest | None) -> Rollout | None:
    """The rollout's own copy of `spec.rollout`; one that cannot be read is as good as absent."""
    if config_map is None:
        return None
    try:
        return Rollout.model_validate(workload.planned(config_map))
    except (ValidationError, KeyError, ValueError):
        return None


_ACCEPTED = "Accepted"
_RESOLVED = "ResolvedRefs"
_TROUBLES = {_ACCEPTED: "RouteNotAccepted", _RESOLVED: "RefsNotResolved"}


def _route(manifest: Manifest | None) -> Route | None:
    if manifest is None:
        return None
    rules = manifest["spec"].get("rules") or ()
    shared = _shared(rules)
    route = Route(
        manifest=manifest,
        weights={item["name"]: item.get("weight", 1) for item in shared.get("backendRefs") or ()},
        is_programmed=False,
        others=_led_to(rule for rule in rules if rule is not shared),
        matched=_led_to(rule for rule in rules if _asks_for_headers(rule)),
        mirrors=_mirrors(shared),
    )
    parents = [_parent(manifest, reference) for reference in manifest["spec"].get("parentRefs", ())]
    troubled = next((parent for parent in parents if parent[1]), None)
    if troubled:
        return replace(route, trouble=troubled[1], message=troubled[2])
    return replace(route, is_programmed=bool(parents) and all(done for done, _, _ in parents))


def _shared(rules: Sequence[Manifest]) -> Manifest:
    """The rule that divides by weights."""
    return next((rule for rule in rules if places.kind(rule) == places.REST), {})


def _asks_for_headers(rule: Manifest) -> bool:
    is_special = places.kind(rule) in (places.CANDIDATE, places.CANDIDATE_CALLS)
    return is_special and not places.is_resting(rule)


def _mirrors(rule: Manifest) -> dict[str, int]:
    copies = (item.get("requestMirror") or {} for item in rule.get("filters") or ())
    return {copy["backendRef"]["name"]: copy.get("percent", 100) for copy in copies if copy.get("backendRef")}


def _led_to(rules: Iterable[Manifest]) -> frozenset[str]:
    return frozenset(item["name"] for rule in rules for item in rule.get("backendRefs") or ())


def _rival(claim: Claim | None) -> Rival | None:
    if claim is None:
        return None
    namespace, name = claim.owner
    return Rival(namespace=namespace, name=name, place=claim.place, gateway="/".join(claim.gateway))


_REFERENCE_FIELDS = ("group", "kind", "namespace", "name", "sectionName", "port")
_REFERENCE_DEFAULTS = {"group": "gateway.networking.k8s.io", "kind": "Gateway"}


def _parent(manifest: Manifest, reference: Manifest) -> tuple[bool, str, str]:
    """Whether one parent took the route at its present generation; else what it says against it."""
    defaults = _REFERENCE_DEFAULTS | {"namespace": manifest["metadata"]["namespace"]}
    wanted = [(defaults | reference).get(key) for key in _REFERENCE_FIELDS]
    generation = manifest["metadata"].get("generation", 1)
    done = False
    for parent in (manifest.get("status") or {}).get("parents") or ():
        found = [(defaults | parent["parentRef"]).get(key) for key in _REFERENCE_FIELDS]
        if found != wanted:
            continue
        conditions = [_condition(parent.get("conditions"), kind) for kind in (_ACCEPTED, _RESOLVED)]
        if any(item.get("observedGeneration") != generation for item in conditions):
            continue
        denied = next((item for item in conditions if item["status"] == "False"), None)
        if denied:
            return False, _TROUBLES[denied["type"]], denied.get("message", "")
        done = done or all(item["status"] == "True" for item in conditions)
    return done, "", ""
