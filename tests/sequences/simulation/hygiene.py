"""The invariants of writing: truthful status, monotone intent, and nothing written that is not ours."""

import json
from typing import Any

from modelway import kinds, names
from simulation import phases
from simulation.facts import Facts

_ONLY_WHILE_TRUE = {"Reconciling", "Stalled", "Paused", "RevisionFailed", "RolledBack"}
_GUARDED = {kinds.HTTP_ROUTE}


def _status(facts: Facts) -> tuple[dict[str, Any], dict[str, Any]] | None:
    write = facts.write
    if write.verb != "status" or write.before is None or write.after is None:
        return None
    return write.before.get("status") or {}, write.after.get("status") or {}


def monotone(facts: Facts) -> str:
    """29: within a rollout the step never falls; rollouts are numbered upwards, also after one that was unreadable."""
    pair = _status(facts)
    if not pair:
        return ""
    before, after = (status.get("rollout") or {} for status in pair)
    if not before or "id" not in after:
        return ""
    old, new = (_position(rollout) for rollout in (before, after))
    return "" if new >= old else f"rollout and step went back: {old} -> {new}"


def _position(rollout: dict[str, Any]) -> tuple[int, int]:
    return rollout.get("id", 0), rollout.get("stepIndex", 0)


def truthful_generation(facts: Facts) -> str:
    """65: observedGeneration stands on status and every condition, and is that of a spec that exists."""
    pair = _status(facts)
    if not pair:
        return ""
    status, latest = pair[1], facts.owner["metadata"]["generation"]
    observed = status.get("observedGeneration", 0)
    if not 0 < observed <= latest or observed < pair[0].get("observedGeneration", 0):
        return f"observedGeneration {observed} at generation {latest}"
    stale = [c["type"] for c in status.get("conditions") or () if c.get("observedGeneration") != observed]
    return f"conditions {stale} are of another generation than {observed}" if stale else ""


def conditions_are_sound(facts: Facts) -> str:
    """65: each type once, with reason; times change with the status only; some are there only while true."""
    pair = _status(facts)
    if not pair:
        return ""
    before, after = ({c["type"]: c for c in status.get("conditions") or ()} for status in pair)
    if len(after) != len(pair[1].get("conditions") or ()):
        return "a condition type stands twice"
    for kind, condition in after.items():
        if not condition.get("reason") or condition["status"] not in ("True", "False", "Unknown"):
            return f"condition {kind} has no reason or no status"
        if kind in _ONLY_WHILE_TRUE and condition["status"] != "True":
            return f"condition {kind} is there though not true"
        old = before.get(kind)
        if old is None or old["status"] != condition["status"]:
            continue
        if old["lastTransitionTime"] != condition["lastTransitionTime"]:
            return f"lastTransitionTime of {kind} changed though its status did not"
    if "Stalled" in after and "Reconciling" in after:
        return "Stalled and Reconciling at once"
    return ""


def ready_means_promoted(facts: Facts) -> str:
    """65: Ready=True means: what the spec wants is stable, has its pods and, in force, all traffic (`Promoted`)."""
    pair = _status(facts)
    spec = facts.spec
    if not pair or spec is None or not facts.count or spec.rollout.ready_when != "Promoted":
        return ""
    status = pair[1]
    ready = next((c for c in status.get("conditions") or () if c["type"] == "Ready"), None)
    if ready is None or ready["status"] != "True":
        return ""
    stable = (status.get("stableRevision") or {}).get("name", "")
    candidate = (status.get("candidateRevision") or {}).get("name", stable)
    if candidate != stable or facts.ready(stable) < facts.count:
        return f"Ready with stable {stable!r} ({facts.ready(stable)} ready pods) and candidate {candidate!r}"
    shares = facts.seen_in_force
    if shares is not None and shares != {stable: 100}:
        return f"Ready with stable {stable!r} while {shares or 'nothing'} is in force"
    return ""


def phase_and_conditions(facts: Facts) -> str:
    """65: each phase has one result for tools: phase and conditions never contradict each other."""
    pair = _status(facts)
    return phases.contradiction(pair[1]) if pair and pair[1].get("conditions") else ""


def small_status(facts: Facts) -> str:
    """65: the status stays below 32 KiB."""
    pair = _status(facts)
    size = len(json.dumps(pair[1], ensure_ascii=False).encode()) if pair else 0
    return f"status of {size} bytes" if size >= 32 * 1024 else ""


def only_status_of_the_owner(facts: Facts) -> str:
    """64: the ModelDeployment's spec, annotations and finalizers are the user's."""
    write = facts.write
    if write.kind == kinds.MODEL_DEPLOYMENT and write.verb != "status":
        return f"{write.verb} of a ModelDeployment"
    metadata = (write.sent or {}).get("metadata", {})
    return "a finalizer was written" if metadata.get("finalizers") else ""


def born_by_post(facts: Facts) -> str:
    """64: what the cache lacks is created with POST; every child has the model as controller."""
    write = facts.write
    if write.verb == "apply" and write.before is None:
        return f"apply created {write.kind} {write.name}"
    if write.verb != "create" or write.after is None:
        return ""
    owners = write.after["metadata"].get("ownerReferences") or ()
    uid = facts.owner["metadata"]["uid"]
    if not any(owner["uid"] == uid and owner.get("controller") for owner in owners):
        return f"{write.kind} {write.name} was created without its owner"
    return ""


def intent_before_effect(facts: Facts) -> str:
    """27: what belongs to a rollout is created only after the rollout is stored, and under the name that follows."""
    write = facts.write
    if write.verb != "create" or write.after is None:
        return ""
    labels, number = write.after["metadata"]["labels"], facts.rollout.get("id", 0)
    revision = names.revision(facts.name, labels.get(names.REVISION_LABEL, ""))
    of_rollout = {names.rollout(facts.name, number), names.comparator(facts.name, number)}
    if write.kind == kinds.DEPLOYMENT and write.name not in {facts.stable, facts.rollout.get("revision"), *of_rollout}:
        return f"Deployment {write.name} was created without a rollout that is stored"
    if names.ROLLOUT_LABEL in labels and write.name not in of_rollout:
        return f"{write.kind} {write.name} was created though rollout {number} is stored"
    of_revision = {revision, names.lock(revision), names.golden(revision)}
    known = {names.service(facts.name), names.preview(facts.name), *of_revision, *of_rollout}
    return "" if write.name in known else f"{write.kind} {write.name} has a name of no rule"


def revisions_never_change(facts: Facts) -> str:
    """45: a ControllerRevision's data and a Deployment's template are written once."""
    write = facts.write
    if write.before is None or write.after is None:
        return ""
    if write.kind == kinds.CONTROLLER_REVISION and write.before["data"] != write.after["data"]:
        return f"data of {write.name} changed"
    if write.kind == kinds.DEPLOYMENT and write.before["spec"]["template"] != write.after["spec"]["template"]:
        return f"pod template of {write.name} changed"
    return ""


def guarded_writes(facts: Facts) -> str:
    """62: route, model's Service, counts and status carry the version that they were planned from."""
    write = facts.write
    if write.verb not in ("apply", "scale", "status") or write.sent is None or write.before is None:
        return ""
    is_service = write.kind == kinds.SERVICE and write.name == names.service(facts.name)
    is_guarded = write.kind in _GUARDED or is_service or write.verb in ("scale", "status")
    if is_guarded and not write.sent["metadata"].get("resourceVersion"):
        return f"{write.kind} {write.name} was applied without its resourceVersion"
    if write.kind == kinds.DEPLOYMENT and "replicas" in write.sent.get("spec", {}):
        return f"replicas in the applied Deployment {write.name}"
    return ""


CHECKS = {
    "27 intent before effect": intent_before_effect,
    "29 monotone": monotone,
    "45 revisions never change": revisions_never_change,
    "64 only the status of the owner": only_status_of_the_owner,
    "64 born by POST": born_by_post,
    "62 guarded writes": guarded_writes,
    "65 truthful generation": truthful_generation,
    "65 conditions": conditions_are_sound,
    "65 Ready means promoted": ready_means_promoted,
    "65 phase": phase_and_conditions,
    "65 small status": small_status,
}
