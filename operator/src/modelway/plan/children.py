"""The writes that turn what exists into what should exist, in the order that loses no request. Pure.

Up: objects, pods, autoscalers, Service and route; then down: pods that nothing needs any more. Each object is compared
as a whole with what is wanted, so that a converged model costs no write.
"""

from collections.abc import Iterator, Mapping

from modelway import kinds
from modelway.api import Validation
from modelway.kinds import Kind, Manifest
from modelway.plan import capacity, counts, rollouts, weights
from modelway.plan.actions import Action, Apply, Create, Delete, Scale
from modelway.plan.births import Wanted
from modelway.plan.observed import Revision
from modelway.plan.record import HISTORY_LIMIT, Outcome, Source
from modelway.plan.scene import WAITING_STATES, Scene
from modelway.plan.trouble import fetched_digest
from modelway.resources import autoscaler, traffic, workload
from modelway.resources import revision as revisions
from modelway.resources.merge import holds


def actions(scene: Scene, wanted: Wanted) -> tuple[Action, ...]:
    """Every write of this pass, in order."""
    return (
        *_plan(scene),
        *(action for item in scene.observed.revisions for action in _objects(scene, wanted, item)),
        *(action for item in scene.observed.revisions for action in _raised(scene, item)),
        *(action for item in scene.observed.revisions for action in _autoscaled(scene, item)),
        *_service(scene),
        *_route(scene),
        *(action for item in scene.observed.revisions for action in _lowered(scene, item)),
        *(action for item in scene.observed.revisions for action in _marked(scene, wanted, item)),
        *_adopted(scene),
        *_evidence(scene),
        *_collected(scene, wanted),
    )


def _ensured(kind: Kind, stored: Manifest | None, manifest: Manifest, note: str) -> Iterator[Action]:
    """Create what is missing, apply what differs, leave alone what holds."""
    if stored is None:
        yield Create(kind=kind, manifest=manifest, note=note)
    elif not holds(stored, manifest):
        yield Apply(
            kind=kind,
            manifest=_identified(stored, manifest),
            note=f"{note}: repair" if _is_same_intent(stored, manifest) else note,
        )


def _identified(stored: Manifest, manifest: Manifest) -> Manifest:
    """With the uid of the object that is meant: an apply would create one that somebody has just deleted."""
    return manifest | {"metadata": manifest["metadata"] | {"uid": stored["metadata"]["uid"]}}


def _is_same_intent(stored: Manifest, manifest: Manifest) -> bool:
    """Whether we asked for just this before, so that somebody else changed it."""
    parts = ("labels", "annotations")
    return all(holds(stored["metadata"].get(part), manifest["metadata"].get(part, {})) for part in parts)


def _guarded(stored: Manifest | None, manifest: Manifest) -> Manifest:
    """With the resourceVersion that the decision was made from, so that a late write fails."""
    if stored is None:
        return manifest
    version = {"resourceVersion": stored["metadata"]["resourceVersion"]}
    return manifest | {"metadata": manifest["metadata"] | version}


def _plan(scene: Scene) -> Iterator[Action]:
    rollout = scene.rollout
    if rollout is not None and rollout.id not in scene.observed.plans:
        spec = scene.spec.rollout.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        manifest = workload.plan(scene.parent, rollout.id, spec)
        yield Create(kind=kinds.CONFIG_MAP, manifest=manifest, note=f"keep the plan of rollout {rollout.id}")


def _evidence(scene: Scene) -> Iterator[Action]:
    """Last of all: what was counted may be counted again, traffic may not wait."""
    archive = scene.archive
    stored = scene.observed.plans.get(archive.rollout)
    if stored is None or archive.is_empty or workload.evidence(stored) == archive.text():
        return
    manifest = _guarded(stored, _identified(stored, workload.with_evidence(stored, scene.parent, archive.text())))
    yield Apply(kind=kinds.CONFIG_MAP, manifest=manifest, note=f"keep the evidence of rollout {archive.rollout}")


def role(scene: Scene, revision: Revision) -> str:
    """Stable, Candidate or Retained."""
    if revision.name == scene.record.stable:
        return "Stable"
    return "Candidate" if scene.rollout and scene.rollout.revision == revision.name else "Retained"


def _objects(scene: Scene, wanted: Wanted, revision: Revision) -> Iterator[Action]:
    """The revision's Service, Deployment, lock and golden requests."""
    found = role(scene, revision)
    if found == "Retained" and revision.workload is None:
        return
    if found == "Candidate" and (scene.is_suspended or counts.of(scene, revision) == 0) and revision.workload is None:
        return
    yield from _golden(scene, wanted, revision)
    service = workload.service(revision.manifest, scene.parent, found)
    yield from _ensured(kinds.SERVICE, revision.service, service, f"serve {revision.name}")
    note = f"run {revision.name}"
    if revision.workload is None:
        count = counts.of(scene, revision)
        manifest = workload.deployment_at_birth(revision.manifest, scene.parent, found, count)
        yield Create(kind=kinds.DEPLOYMENT, manifest=manifest, note=f"{note} with {count} pods")
        return
    manifest = workload.deployment(revision.manifest, scene.parent, found)
    yield from _ensured(kinds.DEPLOYMENT, revision.workload.manifest, manifest, note)
    yield from _lock(scene, revision)


def _lock(scene: Scene, revision: Revision) -> Iterator[Action]:
    digest = next(filter(None, map(fetched_digest, revision.pods)), "")
    if digest and not revision.lock and not revision.source["model"].get("digest"):
        manifest = workload.lock(revision.name, scene.parent, revision.hash, digest)
        yield from _ensured(kinds.CONFIG_MAP, revision.lock_manifest, manifest, f"hold {revision.name} to {digest}")


def _golden(scene: Scene, wanted: Wanted, revision: Revision) -> Iterator[Action]:
    """On a retry the golden requests of the spec as it is now, also where there are none left."""
    rollout, validation = scene.rollout, scene.spec.validation or Validation()
    is_retry = rollout is not None and rollout.source is Source.RETRY and rollout.revision == revision.name
    was_promoted = any(line.is_promotion and line.revision == revision.name for line in scene.record.history)
    if not is_retry or wanted.name != revision.name or was_promoted:
        return
    if not validation.requests and revision.golden is None:
        return
    manifest = workload.golden(revision.name, scene.parent, revision.hash, validation)
    yield from _ensured(kinds.CONFIG_MAP, revision.golden, manifest, "take the present golden requests")


def _raised(scene: Scene, revision: Revision) -> Iterator[Action]:
    wanted = counts.of(scene, revision)
    if revision.workload and revision.replicas < wanted and not _is_autoscaled(scene, revision):
        yield _scale(revision, wanted, f"scale {revision.name} up from {revision.replicas} to {wanted}")


def _lowered(scene: Scene, revision: Revision) -> Iterator[Action]:
    wanted = counts.of(scene, revision)
    if revision.autoscaler and (wanted == 0 or scene.spec.autoscaling is None):
        yield _delete(kinds.HORIZONTAL_POD_AUTOSCALER, revision.autoscaler, f"{revision.name} has no traffic")
    is_free = not _is_autoscaled(scene, revision) or wanted == 0
    if revision.workload and revision.replicas > wanted and is_free and revision.autoscaler is None:
        yield _scale(revision, wanted, f"scale {revision.name} down from {revision.replicas} to {wanted}")


def _scale(revision: Revision, replicas: int, note: str) -> Scale:
    assert revision.workload is not None
    version = revision.workload.resource_version
    return Scale(kind=kinds.DEPLOYMENT, name=revision.name, replicas=replicas, resource_version=version, note=note)


def _delete(kind: Kind, manifest: Manifest, note: str) -> Delete:
    metadata = manifest["metadata"]
    return Delete(kind=kind, name=metadata["name"], uid=metadata["uid"], note=note)


def _is_autoscaled(scene: Scene, revision: Revision) -> bool:
    """Whether an HPA decides the count. It takes over once the revision has all the pods of its first count."""
    return scene.spec.autoscaling is not None and revision.autoscaler is not None


def _autoscaled(scene: Scene, revision: Revision) -> Iterator[Action]:
    spec, rollout = scene.spec.autoscaling, scene.rollout
    wanted = counts.of(scene, revision)
    if spec is None or not revision.replicas or not wanted or role(scene, revision) == "Retained":
        return
    is_candidate = rollout is not None and rollout.revision == revision.name
    if is_candidate and rollout and rollout.state in WAITING_STATES and not scene.granted and not revision.autoscaler:
        return
    if wanted == 1 < scene.total and not revision.lock and not revision.source["model"].get("digest"):
        return
    floor = wanted if is_candidate or rollout else max(spec.min_replicas, capacity.need(100, spec.min_replicas))
    manifest = autoscaler.autoscaler(revision.name, scene.parent, revision.hash, spec, floor)
    note = f"scale {revision.name} between {manifest['spec']['minReplicas']} and {spec.max_replicas}"
    yield from _ensured(kinds.HORIZONTAL_POD_AUTOSCALER, revision.autoscaler, manifest, note)


def _service(scene: Scene) -> Iterator[Action]:
    chosen = weights.selection(scene)
    if chosen is None:
        return
    revision = scene.observed.revision(chosen)
    shown = revision or scene.stable or scene.candidate
    if shown is None:
        return
    identity = revision.hash if revision else ""
    manifest = traffic.service(scene.parent, identity, shown.rendered["service"]["ports"])
    stored = scene.observed.service
    note = f"send callers inside the cluster to {chosen or 'every revision'}"
    yield from _ensured(kinds.SERVICE, stored, _guarded(stored, manifest), note)


def _route(scene: Scene) -> Iterator[Action]:
    stored = scene.observed.route
    if not scene.observed.has_gateway or scene.is_suspended:
        if stored is not None:
            yield _delete(kinds.HTTP_ROUTE, stored.manifest, "no traffic is asked for")
        return
    shares = weights.weights(scene) or _kept(scene)
    if not shares or not _have_services(scene, shares) or scene.spec.traffic is None:
        return
    model = scene.spec.model.name or scene.parent.name
    manifest = traffic.route(scene.parent, scene.spec.traffic, model, shares)
    note = "route " + ", ".join(f"{share} % to {name}" for name, share in shares.items())
    raw = stored.manifest if stored else None
    yield from _ensured(kinds.HTTP_ROUTE, raw, _guarded(raw, manifest), note)


def _kept(scene: Scene) -> Mapping[str, int] | None:
    """While no pod is ready: the shares as they are, or all for stable where somebody wrote others into the route.

    Without stable, as in a first install: all for the one that has most.
    """
    stored, stable, rollout = scene.observed.route, scene.stable, scene.rollout
    if stored is None or not (stable or stored.weights):
        return None
    first = stable.name if stable else max(stored.weights, key=lambda name: stored.weights[name])
    known = {first, rollout.revision if rollout else first}
    is_ours = sum(stored.weights.values()) == 100 and stored.weights.keys() <= known
    return stored.weights if is_ours else {first: 100}


def _have_services(scene: Scene, shares: Mapping[str, int]) -> bool:
    """Whether every Service that the route would name exists (invariant 2)."""
    found = (scene.observed.revision(name) for name in shares)
    return all(item is not None and item.service is not None for item in found)


def _marked(scene: Scene, wanted: Wanted, revision: Revision) -> Iterator[Action]:
    """Role and outcome as labels: they survive the loss of the status."""
    found, outcome, reason = role(scene, revision), *_outcome(scene, wanted, revision)
    manifest = revisions.marked(revision.manifest, scene.parent, role=found, outcome=outcome, reason=reason)
    if holds(revision.manifest["metadata"], manifest["metadata"]):
        return
    note = f"{revision.name} is {found}" + (f", {outcome}" if outcome else "")
    yield Apply(kind=kinds.CONTROLLER_REVISION, manifest=_identified(revision.manifest, manifest), note=note)


def _adopted(scene: Scene) -> Iterator[Action]:
    """ConfigMaps that lost their owner, as after `kubectl delete --cascade=orphan` or a restore, are ours again."""
    kept = [scene.observed.plans[number] for number in sorted(scene.observed.plans)]
    for revision in scene.observed.revisions:
        kept += [item for item in (revision.golden, revision.lock_manifest) if item is not None]
    for stored in kept:
        if not stored["metadata"].get("ownerReferences"):
            manifest = _identified(stored, workload.adopted(stored, scene.parent))
            yield Apply(kind=kinds.CONFIG_MAP, manifest=manifest, note=f"adopt {stored['metadata']['name']}")


def _outcome(scene: Scene, wanted: Wanted, revision: Revision) -> tuple[str, str]:
    last = scene.record.rollout
    if last and last.against == revision.name and last.source is Source.BAKE:
        return Outcome.FAILED, last.reason
    if last and last.against == revision.name and revision.outcome not in rollouts.DECLINED:
        return rollouts.UNDONE, "UserUndo"
    if last and last.revision == revision.name:
        if last.is_active or last.retry_at:
            return "", ""
        return last.outcome, last.reason
    if revision.outcome == rollouts.UNDONE and revision.name != wanted.name:
        return "", ""
    return revision.outcome, revision.reason


def _collected(scene: Scene, wanted: Wanted) -> Iterator[Action]:
    """Revisions and plans beyond the limits, oldest first; never one that may serve, has pods or `undo` needs."""
    kept = {scene.record.stable, wanted.name, scene.rollout.revision if scene.rollout else ""}
    idle = [
        item
        for item in scene.observed.revisions
        if item.name not in kept and not item.replicas and not item.pods and not scene.has_traffic(item)
    ]
    surplus = len(idle) - scene.spec.revision_history_limit
    for revision in [item for item in idle if item.name != scene.record.former][: max(0, surplus)]:
        yield from _removed(revision)
    for number in sorted(scene.observed.plans)[: -HISTORY_LIMIT - 1]:
        yield _delete(kinds.CONFIG_MAP, scene.observed.plans[number], f"only {HISTORY_LIMIT} rollouts are kept")


def _removed(revision: Revision) -> Iterator[Action]:
    note = "it is beyond revisionHistoryLimit"
    found = (
        (kinds.HORIZONTAL_POD_AUTOSCALER, revision.autoscaler),
        (kinds.SERVICE, revision.service),
        (kinds.DEPLOYMENT, revision.workload.manifest if revision.workload else None),
        (kinds.CONFIG_MAP, revision.golden),
        (kinds.CONFIG_MAP, revision.lock_manifest),
        (kinds.CONTROLLER_REVISION, revision.manifest),
    )
    for kind, manifest in found:
        if manifest is not None:
            yield _delete(kind, manifest, note)
