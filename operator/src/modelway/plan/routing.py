"""The ways in: what the model's own Service selects, and where its routes lead. Pure.

Written anew from the state at every pass, never when a step begins: whoever has no ready pod, or is on its way back,
is led to by no rule, and what others change is put back to what the present step wants.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from modelway import kinds
from modelway.kinds import Manifest
from modelway.plan import gateways, weights, writes
from modelway.plan.actions import Action, Apply
from modelway.plan.observed import Revision, Route
from modelway.plan.record import StepState, Strategy
from modelway.plan.scene import Scene
from modelway.resources import places, traffic
from modelway.resources.merge import holds
from modelway.resources.traffic import GRPC_PORT, Division


def rescue(scene: Scene) -> Iterator[Action]:
    """The model's own Service, where none of the pods that it selects is ready but others are: nothing goes before."""
    if _is_stranded(scene):
        yield from _service(scene)


def actions(scene: Scene) -> Iterator[Action]:
    """The model's own Service and route first: they carry what users see."""
    if not _is_stranded(scene):
        yield from _service(scene)
    yield from _route(scene)
    yield from _preview_service(scene)
    yield from _preview_route(scene)


def _is_stranded(scene: Scene) -> bool:
    ready = [item for item in scene.observed.revisions if item.ready]
    is_reached = any(scene.observed.is_selected(item) for item in ready)
    return scene.observed.service is not None and bool(ready) and not is_reached


def _service(scene: Scene) -> Iterator[Action]:
    chosen = weights.selection(scene)
    if chosen is None:
        return
    revision = scene.observed.revision(chosen)
    shown = revision or scene.stable or scene.candidate
    if shown is None:
        return
    identity = revision.hash if revision else ""
    manifest = traffic.service(scene.parent, identity, _ports(shown))
    stored = scene.observed.service
    note = f"send callers inside the cluster to {chosen or 'every revision'}"
    yield from writes.ensured(kinds.SERVICE, stored, writes.guarded(stored, manifest), note)


def _ports(revision: Revision) -> list[Manifest]:
    ports: list[Manifest] = revision.rendered["service"]["ports"]
    return ports


def _route(scene: Scene) -> Iterator[Action]:
    stored = scene.observed.route
    if not scene.observed.has_gateway or scene.is_suspended:
        if stored is not None:
            yield writes.delete(kinds.HTTP_ROUTE, stored.manifest, "no traffic is asked for")
        return
    shares = weights.weights(scene) or _kept(scene)
    if not shares or not scene.observed.features.gateway:
        return
    division = _division(scene, shares)
    if not _have_services(scene, {*shares, division.candidate} - {""}):
        return
    raw = stored.manifest if stored else None
    manifest = _wanted(scene, division, raw)
    if manifest is not None and raw is not None and not holds(raw, manifest) and _is_quiet(scene):
        # Rules that rest go with a write that is needed anyway: their end alone is worth no doubt about who has what.
        manifest = _wanted(scene, replace(division, is_quiet=True), raw)
    if manifest is None:
        return
    for action in writes.ensured(kinds.HTTP_ROUTE, raw, writes.guarded(raw, manifest), _note(division)):
        if isinstance(action, Apply) and not _is_raise(scene, shares):
            yield replace(action, otherwise=_narrow(scene, shares))
        else:
            yield action


def _wanted(scene: Scene, division: Division, live: Manifest | None) -> Manifest | None:
    """The route that the spec asks for; while another model has that way in, the live one with other weights."""
    spec = scene.spec.traffic
    if scene.observed.rival is not None:
        return _reweighted(scene, live, division.weights) if live else None
    if spec is None:
        return None
    return traffic.route(scene.parent, spec, scene.model_name, division, fields=scene.observed.features.route_fields)


def _is_raise(scene: Scene, shares: Mapping[str, int]) -> bool:
    """Whether the candidate of a rollout that goes on gets more than it has, though another one could keep it."""
    rollout, candidate, stored = scene.rollout, scene.candidate, scene.observed.route
    if rollout is None or candidate is None or rollout.strategy is Strategy.RETURN:
        return False
    has_choice = scene.serving is not None and scene.serving.ready > 0
    return has_choice and shares.get(candidate.name, 0) > (stored.share(candidate.name) if stored else 0)


def _narrow(scene: Scene, shares: Mapping[str, int]) -> tuple[Action, ...]:
    """The same weights in the live route, where the spec's one is refused: the way back waits for no correct `traffic`.

    Nothing where the live route has them already.
    """
    stored = scene.observed.route
    assert stored is not None
    manifest = _reweighted(scene, stored.manifest, shares)
    if holds(stored.manifest["spec"], manifest["spec"]):
        return ()
    note = f"{_note(Division(weights=shares))} by the route as it is"
    guarded = writes.guarded(stored.manifest, writes.identified(stored.manifest, manifest))
    return (Apply(kind=kinds.HTTP_ROUTE, manifest=guarded, note=note),)


def _reweighted(scene: Scene, live: Manifest, shares: Mapping[str, int]) -> Manifest:
    """Its gRPC is divided as well where it leads any, whatever the spec says of it."""
    return traffic.reweighted(scene.parent, live, Division(weights=shares, grpc=_spoken(scene, shares)))


def _note(division: Division) -> str:
    shares = ", ".join(f"{share} % to {name}" for name, share in division.weights.items())
    return f"route {shares}" + (f", and what matches to {division.candidate}" if division.candidate else "")


def _division(scene: Scene, shares: Mapping[str, int]) -> Division:
    tried, matches = scene.tried, scene.strategy.candidate_matches
    return Division(
        weights=shares,
        grpc=_grpc(scene, shares),
        candidate=tried.name if tried and matches else "",
        matches=matches,
        speaks_grpc=tried is not None and _is_grpc_routed(scene) and _speaks_grpc(tried),
        mirror=gateways.mirror(scene),
        live=_rules(scene.observed.route),
        is_confirmed=scene.is_programmed,
        coming=tuple(_coming(scene)),
    )


def _coming(scene: Scene) -> Iterator[str]:
    """The rules for requests that match, from the first moment of a rollout that may get to them."""
    rollout, candidate = scene.rollout, scene.candidate
    if rollout is None or candidate is None or not scene.strategy.candidate_matches:
        return
    if rollout.strategy in (Strategy.INITIAL, Strategy.RETURN) or rollout.state is StepState.ROLLING_BACK:
        return
    yield places.CANDIDATE
    if _is_grpc_routed(scene) and _speaks_grpc(candidate):
        yield places.CANDIDATE_CALLS


def _rules(route: Route | None) -> tuple[Manifest, ...]:
    return tuple(route.manifest["spec"].get("rules") or ()) if route else ()


def _is_quiet(scene: Scene) -> bool:
    """Whether what the route says no more is long gone: it is in force, and whoever had traffic has drained."""
    candidate, rollout = scene.candidate, scene.rollout
    is_begun = rollout is not None and (
        rollout.state is StepState.ROLLING_BACK or candidate is None or scene.is_in_use(candidate)
    )
    return scene.is_programmed and not scene.record.retire_at and not is_begun


def _grpc(scene: Scene, shares: Mapping[str, int]) -> Mapping[str, int]:
    """The shares of gRPC calls; empty where none is led."""
    return _spoken(scene, shares) if _is_grpc_routed(scene) else {}


def _spoken(scene: Scene, shares: Mapping[str, int]) -> Mapping[str, int]:
    """The same shares of gRPC calls, where all who have some speak it.

    A candidate that does not gets none of them, and a candidate alone gets none either: that would be more than its
    step grants.
    """
    found = (scene.observed.revision(name) for name in shares)
    speaking = {revision.name for revision in found if revision and _speaks_grpc(revision)}
    if speaking == shares.keys():
        return shares
    return {scene.serving.name: 100} if scene.serving and scene.serving.name in speaking else {}


def _is_grpc_routed(scene: Scene) -> bool:
    return scene.spec.traffic is not None and scene.spec.traffic.paths == "All"


def _speaks_grpc(revision: Revision) -> bool:
    """Whether it was rendered with a port for gRPC, which its runtime decides."""
    return any(port["port"] == GRPC_PORT for port in _ports(revision))


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


def _have_services(scene: Scene, names: set[str]) -> bool:
    """Whether every Service that the route would name exists (invariant 2)."""
    found = (scene.observed.revision(name) for name in names)
    return all(item is not None and item.service is not None for item in found)


def _preview_service(scene: Scene) -> Iterator[Action]:
    """Selects one candidate for as long as its rollout lasts; it is never led to another one (invariant 7)."""
    stored, candidate, rollout = scene.observed.preview_service, scene.candidate, scene.rollout
    is_tried = scene.is_at_once and rollout is not None and rollout.state is not StepState.ROLLING_BACK
    if not is_tried or candidate is None:
        if stored is not None:
            yield writes.delete(kinds.SERVICE, stored, "no candidate is previewed")
        return
    manifest = traffic.preview_service(scene.parent, candidate.hash, _ports(candidate))
    if stored is not None and stored["spec"].get("selector") != manifest["spec"]["selector"]:
        yield writes.delete(kinds.SERVICE, stored, f"it leads elsewhere than to {candidate.name}")
        return
    yield from writes.ensured(kinds.SERVICE, stored, manifest, f"show {candidate.name} inside the cluster")


def _preview_route(scene: Scene) -> Iterator[Action]:
    stored, spec, tried = scene.observed.preview_route, scene.spec.traffic, scene.tried
    raw, hostnames = stored.manifest if stored else None, scene.preview_hostnames
    if not hostnames or tried is None or spec is None or not scene.observed.features.gateway:
        if raw is not None:
            yield writes.delete(kinds.HTTP_ROUTE, raw, "no candidate is previewed")
        return
    if not _have_services(scene, {tried.name}):
        return
    whole = {tried.name: 100}
    is_spoken = _is_grpc_routed(scene) and _speaks_grpc(tried)
    division = Division(weights=whole, grpc=whole if is_spoken else {}, live=_rules(stored))
    fields = scene.observed.features.route_fields
    manifest = traffic.preview_route(scene.parent, spec, scene.model_name, division, hostnames=hostnames, fields=fields)
    note = f"show {tried.name} at {', '.join(hostnames)}"
    yield from writes.ensured(kinds.HTTP_ROUTE, raw, writes.guarded(raw, manifest), note)
