"""The writes that turn what exists into what should exist, in the order that loses no request. Pure.

Up: objects, pods, autoscalers, Service and route; then down: pods that nothing needs any more. Each object is compared
as a whole with what is wanted, so that a converged model costs no write.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from modelway import kinds
from modelway.analysis import archive as archives
from modelway.api import Validation
from modelway.plan import rollouts, routing, shadowing, writes
from modelway.plan.actions import Action, Apply, Create, Scale
from modelway.plan.births import Wanted
from modelway.plan.observed import Revision
from modelway.plan.record import HISTORY_LIMIT, Outcome, Source
from modelway.plan.scene import WAITING_STATES, Scene
from modelway.plan.trouble import fetched_digest
from modelway.resources import autoscaler, disruption, workload
from modelway.resources import revision as revisions
from modelway.resources.merge import holds


def actions(scene: Scene, wanted: Wanted, pods: Mapping[str, int]) -> tuple[Action, ...]:
    """Every write of this pass, in order; `pods`: the count wanted now for each revision."""
    counted = [(item, pods[item.name]) for item in scene.observed.revisions]
    return (
        *routing.rescue(scene),
        *_plan(scene),
        *(action for item, count in counted for action in _objects(scene, wanted, item, count)),
        *(action for item, count in counted for action in _raised(scene, item, count)),
        *(action for item, count in counted for action in _autoscaled(scene, item, count)),
        *(action for item, count in counted for action in _kept_up(scene, item, count)),
        *shadowing.raised(scene),
        *routing.actions(scene),
        *shadowing.removed(scene),
        *(action for item, count in counted for action in _lowered(scene, item, count)),
        *(action for item, _ in counted for action in _marked(scene, wanted, item)),
        *_adopted(scene),
        *_evidence(scene),
        *_collected(scene, wanted),
    )


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
    if stored is None or archive.is_empty or archives.parse(workload.evidence(stored)) == archive:
        return
    manifest = workload.with_evidence(stored, scene.parent, archive.text())
    manifest = writes.guarded(stored, writes.identified(stored, manifest))
    yield Apply(kind=kinds.CONFIG_MAP, manifest=manifest, note=f"keep the evidence of rollout {archive.rollout}")


def role(scene: Scene, revision: Revision) -> str:
    """Stable, Candidate or Retained."""
    if revision.name == scene.record.stable:
        return "Stable"
    return "Candidate" if scene.rollout and scene.rollout.revision == revision.name else "Retained"


def _objects(scene: Scene, wanted: Wanted, revision: Revision, count: int) -> Iterator[Action]:
    """The revision's Service, Deployment, lock and golden requests."""
    found = role(scene, revision)
    if found == "Retained" and revision.workload is None:
        return
    if found == "Candidate" and count == 0 and revision.workload is None:
        return
    yield from _golden(scene, wanted, revision)
    service = workload.service(revision.manifest, scene.parent, found)
    yield from writes.ensured(kinds.SERVICE, revision.service, service, f"serve {revision.name}")
    note = f"run {revision.name}"
    if revision.workload is None:
        manifest = workload.deployment_at_birth(revision.manifest, scene.parent, found, count)
        yield Create(kind=kinds.DEPLOYMENT, manifest=manifest, note=f"{note} with {count} pods")
        return
    manifest = workload.deployment(revision.manifest, scene.parent, found)
    yield from writes.ensured(kinds.DEPLOYMENT, revision.workload.manifest, manifest, note)
    yield from _lock(scene, revision)


def _lock(scene: Scene, revision: Revision) -> Iterator[Action]:
    digest = next(filter(None, map(fetched_digest, revision.pods)), "")
    if digest and not revision.lock and not revision.source["model"].get("digest"):
        manifest = workload.lock(revision.name, scene.parent, revision.hash, digest)
        yield from writes.ensured(
            kinds.CONFIG_MAP, revision.lock_manifest, manifest, f"hold {revision.name} to {digest}"
        )


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
    note = "take the present golden requests"
    for action in writes.ensured(kinds.CONFIG_MAP, revision.golden, manifest, note):
        yield replace(action, note=note, is_repair=False) if isinstance(action, Apply) else action


def _raised(scene: Scene, revision: Revision, count: int) -> Iterator[Action]:
    if revision.workload and revision.replicas < count and not _is_autoscaled(scene, revision):
        yield _scale(revision, count, f"scale {revision.name} up from {revision.replicas} to {count}")


def _lowered(scene: Scene, revision: Revision, count: int) -> Iterator[Action]:
    if revision.autoscaler and (count == 0 or scene.spec.autoscaling is None):
        yield writes.delete(kinds.HORIZONTAL_POD_AUTOSCALER, revision.autoscaler, f"{revision.name} has no traffic")
    is_free = not _is_autoscaled(scene, revision) or count == 0
    if revision.workload and revision.replicas > count and is_free and revision.autoscaler is None:
        yield _scale(revision, count, f"scale {revision.name} down from {revision.replicas} to {count}")


def _scale(revision: Revision, replicas: int, note: str) -> Scale:
    assert revision.workload is not None
    version = revision.workload.resource_version
    return Scale(kind=kinds.DEPLOYMENT, name=revision.name, replicas=replicas, resource_version=version, note=note)


def _is_autoscaled(scene: Scene, revision: Revision) -> bool:
    """Whether an HPA decides the count. It takes over once the revision has all the pods of its first count."""
    return scene.spec.autoscaling is not None and revision.autoscaler is not None


def _autoscaled(scene: Scene, revision: Revision, count: int) -> Iterator[Action]:
    spec, rollout = scene.spec.autoscaling, scene.rollout
    if spec is None or not revision.replicas or not count or role(scene, revision) == "Retained":
        return
    is_candidate = rollout is not None and rollout.revision == revision.name
    if is_candidate and rollout and rollout.state in WAITING_STATES and not scene.granted and not revision.autoscaler:
        return
    if count == 1 < scene.total and not revision.lock and not revision.source["model"].get("digest"):
        return
    is_short = rollout is None and count < scene.total
    floor = count if rollout or is_short else spec.min_replicas
    ceiling = count if scene.is_replacing or is_short else spec.max_replicas
    manifest = autoscaler.autoscaler(revision.name, scene.parent, revision.hash, spec, floor=floor, ceiling=ceiling)
    bounds = manifest["spec"]
    note = f"scale {revision.name} between {bounds['minReplicas']} and {bounds['maxReplicas']}"
    yield from writes.ensured(kinds.HORIZONTAL_POD_AUTOSCALER, revision.autoscaler, manifest, note)


def _kept_up(scene: Scene, revision: Revision, count: int) -> Iterator[Action]:
    """The budget of evictions, for as long as the revision is asked for pods."""
    spec, stored = scene.spec.pod_disruption_budget, revision.disruption_budget
    if revision.workload is None or not count or not spec.is_wanted:
        if stored is not None:
            yield writes.delete(kinds.POD_DISRUPTION_BUDGET, stored, f"no pod of {revision.name} is to be kept")
        return
    manifest = disruption.budget(revision.name, scene.parent, revision.hash, spec)
    note = f"evict {spec.max_unavailable} of the pods of {revision.name} at a time"
    yield from writes.ensured(kinds.POD_DISRUPTION_BUDGET, stored, manifest, note)


def _marked(scene: Scene, wanted: Wanted, revision: Revision) -> Iterator[Action]:
    """Role and outcome as labels: they survive the loss of the status."""
    found, outcome, reason = role(scene, revision), *_outcome(scene, wanted, revision)
    manifest = revisions.marked(revision.manifest, scene.parent, role=found, outcome=outcome, reason=reason)
    if holds(revision.manifest["metadata"], manifest["metadata"]):
        return
    note = f"{revision.name} is {found}" + (f", {outcome}" if outcome else "")
    yield Apply(kind=kinds.CONTROLLER_REVISION, manifest=writes.identified(revision.manifest, manifest), note=note)


def _adopted(scene: Scene) -> Iterator[Action]:
    """ConfigMaps that lost their owner, as after `kubectl delete --cascade=orphan` or a restore, are ours again."""
    kept = [scene.observed.plans[number] for number in sorted(scene.observed.plans)]
    for revision in scene.observed.revisions:
        kept += [item for item in (revision.golden, revision.lock_manifest) if item is not None]
    for stored in kept:
        if not stored["metadata"].get("ownerReferences"):
            manifest = writes.identified(stored, workload.adopted(stored, scene.parent))
            yield Apply(kind=kinds.CONFIG_MAP, manifest=manifest, note=f"adopt {stored['metadata']['name']}")


def _outcome(scene: Scene, wanted: Wanted, revision: Revision) -> tuple[str, str]:
    last = scene.record.rollout
    if last and last.against == revision.name and last.source is Source.BAKE:
        return Outcome.FAILED, last.reason
    if _is_taken_back(scene, wanted, revision):
        return rollouts.UNDONE, "UserUndo"
    if last and last.against == revision.name and revision.outcome not in rollouts.DECLINED:
        return rollouts.UNDONE, "UserUndo"
    if last and last.revision == revision.name:
        if last.is_active or last.retry_at:
            return "", ""
        return last.outcome, last.reason
    if revision.outcome == rollouts.UNDONE and revision.name != wanted.name:
        return "", ""
    return revision.outcome, revision.reason


def _is_taken_back(scene: Scene, wanted: Wanted, revision: Revision) -> bool:
    """Whether an undo went back behind a refresh; that must outlive a lost status, or the refresh would come again."""
    meant, said = wanted.existing, scene.record.refresh
    if meant is None or said is None or revision.number <= meant.number:
        return False
    return revisions.is_same(revision.source, meant.source) and said.id == meant.refresh


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
        yield writes.delete(kinds.CONFIG_MAP, scene.observed.plans[number], f"only {HISTORY_LIMIT} rollouts are kept")


def _removed(revision: Revision) -> Iterator[Action]:
    note = "it is beyond revisionHistoryLimit"
    found = (
        (kinds.HORIZONTAL_POD_AUTOSCALER, revision.autoscaler),
        (kinds.POD_DISRUPTION_BUDGET, revision.disruption_budget),
        (kinds.SERVICE, revision.service),
        (kinds.DEPLOYMENT, revision.workload.manifest if revision.workload else None),
        (kinds.CONFIG_MAP, revision.golden),
        (kinds.CONFIG_MAP, revision.lock_manifest),
        (kinds.CONTROLLER_REVISION, revision.manifest),
    )
    for kind, manifest in found:
        if manifest is not None:
            yield writes.delete(kind, manifest, note)
