"""Which revision the spec asks for, and what must be known before a new one is born. Pure."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

from pydantic import ValidationError

from modelway import kinds, names
from modelway.api import ModelDeploymentSpec, RuntimeSpec
from modelway.api.model import RENAMED
from modelway.kinds import Manifest
from modelway.plan import gateways, refreshes
from modelway.plan.actions import Action, Create, Verify
from modelway.plan.observed import Observed, Revision, Runtime, Stranger
from modelway.plan.quotes import quoted
from modelway.plan.record import Record
from modelway.plan.trouble import Trouble
from modelway.resources import autoscaler, pod, revision, traffic, workload
from modelway.resources.metadata import Parent

GOLDEN_LIMIT = 32 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The revision that the spec asks for; `existing` is None until it is born."""

    name: str
    existing: Revision | None = None
    birth: revision.Birth | None = None
    blocked: Trouble | None = None


def wanted(observed: Observed, record: Record, parent: Parent) -> Wanted:
    """The spec's revision: there already, to be born, or blocked with a reason."""
    spec = observed.spec
    assert spec is not None
    source = revision.source(spec, parent.name)
    refresh = refreshes.chosen(observed, record, source)
    identity, existing = _placed(observed, parent, source, refresh)
    name = names.revision(parent.name, identity)
    blocked = _unsupported(observed, spec) or _renamed(observed.revision(record.stable), spec, parent)
    if existing or blocked:
        return Wanted(name=name, existing=existing, blocked=blocked)
    runtime = _runtime(observed, record, spec, refresh)
    unfit = runtime if isinstance(runtime, Trouble) else _unfit(runtime, spec)
    if isinstance(runtime, Trouble) or unfit:
        return Wanted(name=name, blocked=unfit)
    build = pod.Build(
        parent=parent,
        spec=spec,
        revision=identity,
        runtime=runtime.spec,
        runtime_image=observed.features.runtime_image,
    )
    number = max((item.number for item in observed.revisions), default=0) + 1
    birth = revision.Birth(
        build=build,
        number=number,
        runtime_kind=runtime.kind,
        runtime_name=runtime.name,
        refresh=refresh,
        digest=refreshes.digest(observed, record, source, refresh),
    )
    return Wanted(name=name, birth=birth)


_PROBES = 4
"""Hashes that a revision may have; hardly one in a million million needs its second."""


def _placed(observed: Observed, parent: Parent, source: Manifest, refresh: str) -> tuple[str, Revision | None]:
    """The revision's hash and, once it is born, the revision; a hash that another one has is left to that one."""
    free = []
    for collisions in range(_PROBES):
        identity = revision.identity(source, refresh, collisions)
        holder = observed.revision(names.revision(parent.name, identity))
        if holder is None:
            free.append(identity)
        elif holder.refresh == refresh and revision.is_same(holder.source, source):
            return identity, holder
    return free[0], None


def _unsupported(observed: Observed, spec: ModelDeploymentSpec) -> Trouble | None:
    """What the schema cannot see and the API server does not check."""
    if observed.strangers:
        return _strange(min(observed.strangers, key=lambda stranger: stranger.is_leaving))
    if found := gateways.blocked(observed, spec):
        return found
    requests = spec.validation.requests if spec.validation else ()
    size = sum(len(json.dumps([request.request, request.expect])) for request in requests)
    if size > GOLDEN_LIMIT:
        message = f"spec.validation.requests: {size} bytes, at most {GOLDEN_LIMIT}: use validation.file instead"
        return Trouble(reason="InvalidSpec", message=message)
    return None


def _renamed(stable: Revision | None, spec: ModelDeploymentSpec, parent: Parent) -> Trouble | None:
    """Pods of two names cannot share requests, which carry one; the API server refuses such an edit, too."""
    if stable is None or (stable.model_name or parent.name) == (spec.model.name or parent.name):
        return None
    message = f"spec.model.name: {stable.name} serves as {stable.model_name or parent.name}: {RENAMED}"
    return Trouble(reason="InvalidSpec", message=message)


def _strange(stranger: Stranger) -> Trouble:
    if stranger.is_leaving:
        message = f"{stranger.kind} {stranger.name} still belongs to an earlier object of this name"
        return Trouble(reason="WaitingForDeletion", message=message)
    message = f"{stranger.kind} {stranger.name} carries our labels but belongs to another object"
    return Trouble(reason="Conflict", message=message)


def _runtime(observed: Observed, record: Record, spec: ModelDeploymentSpec, refresh: str) -> Runtime | Trouble:
    """The runtime recorded with stable (else with the last revision), unless the edit asks for the present one.

    A refresh takes the present one once: a further revision that carries it gets the one that was recorded then.
    """
    previous = refreshes.previous(observed, record)
    if previous and previous.refresh != refresh:
        previous = next((item for item in reversed(observed.revisions) if item.refresh == refresh), None)
    recorded = _recorded(previous) if previous and _keeps_runtime(previous, spec) else None
    return recorded or resolve(observed, spec)


def _recorded(revision: Revision) -> Runtime | None:
    """The runtime that a revision was rendered from; None where a newer operator recorded what this one cannot read."""
    recorded = revision.runtime
    try:
        spec = RuntimeSpec.model_validate(recorded["spec"])
    except ValidationError:
        return None
    return Runtime(kind=recorded["kind"], name=recorded["name"], spec=spec)


def _keeps_runtime(previous: Revision, spec: ModelDeploymentSpec) -> bool:
    source = revision.source(spec)["runtime"]
    before = previous.source.get("runtime", {})
    formats = {item["name"] for item in previous.runtime["spec"]["formats"]}
    is_same_choice = all(source.get(key) == before.get(key) for key in ("ref", "refresh"))
    return is_same_choice and spec.model.format in formats


def _unfit(runtime: Runtime, spec: ModelDeploymentSpec) -> Trouble | None:
    """Templates are open objects: nobody has looked at the parts that are laid over each other here."""
    found = pod.unfit(spec.runtime.template or {})
    if found:
        return Trouble(reason="InvalidSpec", message=f"spec.runtime.template.{found}")
    found = pod.unfit(runtime.spec.template)
    return (
        Trouble(reason="InvalidSpec", message=f"{runtime.kind} {runtime.name}: spec.template.{found}")
        if found
        else None
    )


def resolve(observed: Observed, spec: ModelDeploymentSpec) -> Runtime | Trouble:
    """The present runtime that the spec names, or the best one that lists its format.

    The namespace's own runtimes come first, then the highest priority, then the name.
    """
    reference = spec.runtime.ref
    if reference:
        named = [item for item in observed.runtimes if (item.kind, item.name) == (reference.kind, reference.name)]
        message = f"{reference.kind} {reference.name} does not exist"
        return named[0] if named else Trouble(reason="RuntimeNotFound", message=message)
    able = [item for item in observed.runtimes if _priority(item, spec.model.format) is not None]
    if not able:
        known = sorted({format.name for item in observed.runtimes for format in item.spec.formats})
        message = f"No runtime lists the format {spec.model.format}; known formats: {', '.join(known) or 'none'}"
        return Trouble(reason="RuntimeNotFound", message=message)
    return min(
        able,
        key=lambda item: (item.kind != "ModelRuntime", -(_priority(item, spec.model.format) or 0), item.name),
    )


def _priority(runtime: Runtime, name: str) -> int | None:
    return next((format.priority for format in runtime.spec.formats if format.name == name), None)


def actions(observed: Observed, birth: revision.Birth) -> tuple[Action, ...]:
    """Check everything that the revision will be made of, then store it."""
    manifest = revision.controller_revision(birth)
    parent, identity = birth.build.parent, birth.build.revision
    name = manifest["metadata"]["name"]
    found: list[Action] = [
        Verify(kind=kind, manifest=item, note="check before the revision is born")
        for kind, item in _checked(observed, parent, manifest)
    ]
    validation = birth.build.spec.validation
    if validation and validation.requests:
        golden = workload.golden(name, parent, identity, validation)
        found.append(Create(kind=kinds.CONFIG_MAP, manifest=golden, note="keep the golden requests of the revision"))
    if birth.digest:
        lock = workload.lock(name, parent, identity, birth.digest)
        found.append(Create(kind=kinds.CONFIG_MAP, manifest=lock, note=f"hold {name} to {birth.digest}"))
    note = f"revision {birth.number} of {quoted(birth.build.spec.model.uri)}"
    return (*found, Create(kind=kinds.CONTROLLER_REVISION, manifest=manifest, note=note))


def _checked(observed: Observed, parent: Parent, manifest: Manifest) -> list[tuple[kinds.Kind, Manifest]]:
    spec = observed.spec
    assert spec is not None
    name, identity = manifest["metadata"]["name"], manifest["metadata"]["labels"][names.REVISION_LABEL]
    found = [(kinds.DEPLOYMENT, workload.deployment_at_birth(manifest, parent, "Candidate", 0))]
    if spec.autoscaling:
        most = spec.autoscaling.max_replicas
        autoscaled = autoscaler.autoscaler(name, parent, identity, spec.autoscaling, floor=1, ceiling=most)
        found.append((kinds.HORIZONTAL_POD_AUTOSCALER, autoscaled))
    if observed.has_gateway and spec.traffic:
        found += [(kinds.HTTP_ROUTE, route) for route in _routes(observed, parent, name)]
    return found


def _routes(observed: Observed, parent: Parent, name: str) -> Iterator[Manifest]:
    """What the gateway will be asked for in the course of a rollout of that revision."""
    spec = observed.spec
    assert spec is not None
    assert spec.traffic is not None
    model, fields, whole = spec.model.name or parent.name, observed.features.route_fields, {name: 100}
    matches = spec.rollout.candidate_matches
    division = traffic.Division(weights=whole, candidate=name if matches else "", matches=matches)
    yield traffic.route(parent, spec.traffic, model, division, fields=fields)
    hostnames = spec.rollout.preview_hostnames
    if hostnames:
        shown = traffic.Division(weights=whole)
        yield traffic.preview_route(parent, spec.traffic, model, shown, hostnames=hostnames, fields=fields)
