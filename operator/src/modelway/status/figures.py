"""The parts of the status that name objects and count pods. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any

from modelway import names
from modelway.api import Rollout as RolloutSpec
from modelway.api import Step, Traffic
from modelway.kinds import Manifest
from modelway.plan import ledger, refreshes
from modelway.plan.observed import Revision
from modelway.plan.quotes import quoted
from modelway.plan.record import Rollout, Source, timestamp
from modelway.resources.traffic import GRPC_PORT
from modelway.status import evidence, images
from modelway.status.view import View


def address(view: View) -> Manifest:
    """Where the model answers: through the gateway, inside the cluster, and the candidate that is previewed."""
    spec, owner = view.observed.spec, view.observed.owner
    if spec is None:
        return dict(view.observed.status.get("address", {}))
    name = view.stable.model_name if view.stable else spec.model.name
    path = f"/v2/models/{name or owner.name}"
    internal = f"{names.service(owner.name)}.{owner.namespace}.svc"
    outside = _outside(spec.traffic, spec.traffic.hostnames if spec.traffic else ())
    found = {"url": f"{outside or f'http://{internal}'}{path}", "internal": f"http://{internal}"}
    if _speaks_grpc(view):
        is_routed = spec.traffic is not None and spec.traffic.paths == "All" and bool(outside)
        found["grpc"] = _authority(outside) if is_routed else f"{internal}:{GRPC_PORT}"
    preview = _preview(view)
    return found | ({"preview": f"{preview}{path}"} if preview else {})


def _outside(traffic: Traffic | None, hostnames: Iterable[str]) -> str:
    """Scheme and host name through the gateway; empty where no name is certain."""
    host = next((name for name in hostnames if not name.startswith("*")), "")
    if traffic is None or not host:
        return ""
    sections = " ".join(f"{item.section_name or ''} {item.port or ''}" for item in traffic.parent_refs)
    return f"https://{host}" if "https" in sections or "443" in sections else f"http://{host}"


def _authority(url: str) -> str:
    """Host name and port, as gRPC clients take them."""
    scheme, _, host = url.partition("://")
    return f"{host}:{443 if scheme == 'https' else 80}"


def _speaks_grpc(view: View) -> bool:
    serving = view.stable or view.candidate
    return serving is not None and any(port["port"] == GRPC_PORT for port in serving.rendered["service"]["ports"])


def _preview(view: View) -> str:
    """Where a candidate that is tried before the switch answers now."""
    observed, name = view.observed, view.observed.owner.name
    traffic = observed.spec.traffic if observed.spec else None
    if observed.preview_route is not None:
        outside = _outside(traffic, observed.preview_route.manifest["spec"].get("hostnames") or ())
        if outside:
            return outside
    return f"http://{names.preview(name)}.{observed.owner.namespace}.svc" if observed.preview_service else ""


def runtime(view: View) -> Manifest:
    """What the serving revision was rendered from, and whether that has changed since."""
    serving = view.stable or view.candidate
    if serving is None:
        return {}
    image = serving.rendered["deployment"]["template"]["spec"]["containers"][0].get("image", "")
    is_outdated = refreshes.is_outdated(view.observed, serving)
    return {"name": serving.runtime["name"], "image": image, "outdated": is_outdated}


def reference(revision: Revision | None) -> Manifest:
    """A revision, as others name it; empty without one."""
    if revision is None:
        return {}
    return {
        "name": revision.name,
        "hash": revision.hash,
        "number": revision.number,
        **_version(revision),
    }


def _version(revision: Revision) -> Manifest:
    version = revision.source["model"].get("version")
    return {"version": version} if version else {}


def latest_ready(view: View) -> Manifest:
    """The newest revision that was ever ready, and since when; it stays known after it is gone."""
    old: Manifest = dict(view.observed.status.get("latestReadyRevision", {}))
    newest = max((item for item in view.observed.revisions if item.ready), key=lambda item: item.number, default=None)
    if newest is None or (newest.number, newest.name) <= (old.get("number", 0), old.get("name", "")):
        return old
    return reference(newest) | {"time": timestamp(view.observed.now)}


def last_failed(view: View) -> Manifest:
    """The last revision that was taken back, and why; it stays until another one is."""
    last = view.plan.record.rollout
    is_bake = last is not None and last.source is Source.BAKE
    revision = view.observed.revision(last.against if is_bake else last.revision) if last else None
    if last and revision and (is_bake or last.outcome in ("Failed", "Aborted")):
        since = last.finished_at or view.observed.now
        old = view.observed.status.get("lastFailedRevision", {})
        if last.finished_at is None and old.get("name") == revision.name and old.get("reason") == last.reason:
            return dict(old)
        text = {"reason": last.reason, "message": last.message, "time": timestamp(since)}
        return reference(revision) | text
    return dict(view.observed.status.get("lastFailedRevision", {}))


def revision(view: View, revision: Revision) -> Manifest:
    """One revision that is kept: its model, its pods and what became of it."""
    model = revision.source["model"]
    digest = revision.lock or model.get("digest", "")
    image = images.recorded(view, revision)
    found: Manifest = brief(view, revision) | {
        "model": {"uri": quoted(model["uri"])} | ({"digest": digest} if digest else {}),
        "imageDigest": image,
        "createdAt": revision.manifest["metadata"].get("creationTimestamp"),
        "state": _state(view, revision),
        "refresh": revision.refresh,
        "reason": revision.reason,
        "message": _revision_message(view, revision) or images.warning(revision, image),
    }
    return {key: value for key, value in found.items() if value not in (None, "")}


def brief(view: View, revision: Revision) -> Manifest:
    """As little of a revision as must not be lost: who it is, and how long its pods stay."""
    replicas = {"desired": revision.replicas, "ready": revision.ready, "warmed": revision.warmed}
    found: Manifest = reference(revision) | {"replicas": replicas}
    until = view.plan.record.retire_at.get(revision.name)
    return found | ({"retainUntil": timestamp(until)} if until and revision.replicas else {})


def _revision_message(view: View, revision: Revision) -> str:
    last = view.plan.record.rollout
    if last and last.source is Source.BAKE and last.against == revision.name:
        return last.message
    if last and last.revision == revision.name and last.outcome in ("Failed", "Aborted"):
        return last.message
    return ""


def _state(view: View, revision: Revision) -> str:
    if revision.name == view.plan.record.stable:
        return "Serving" if revision.ready else "Loading"
    if view.rollout and view.rollout.revision == revision.name:
        if revision.ready:
            return "Serving" if view.plan.weight else "Ready"
        return "Loading" if revision.pods else "Pending"
    if revision.outcome == "Failed":
        return "Failed"
    return "Draining" if revision.replicas and not revision.ready else "Retained"


def traffic(view: View) -> Iterable[Manifest]:
    """The shares as they are: from the live route, or from what the model's own Service selects."""
    since = {item["revision"]: item for item in view.observed.status.get("traffic", ())}
    route = view.observed.route if view.has_gateway else None
    matched, mirrored = route.matched if route else frozenset(), _mirrored(view)
    for name, weight in (dict.fromkeys(sorted({*matched, *mirrored}), 0) | dict(_shares(view))).items():
        share: Manifest = {"revision": name, "desiredWeight": weight}
        share |= {"match": "candidateMatches"} if name in matched else {}
        share |= {"mirrorPercent": mirrored[name]} if name in mirrored else {}
        if view.has_gateway and not (route and route.is_programmed):
            yield share
            continue
        old = since.get(name, {})
        is_old = old.get("programmedWeight") == weight and "lastProgrammedTime" in old
        moment = old["lastProgrammedTime"] if is_old else timestamp(view.observed.now)
        yield share | {"programmedWeight": weight, "lastProgrammedTime": moment}


def _mirrored(view: View) -> Mapping[str, int]:
    """Percent of the requests of which the candidate answers copies, which the comparator of its rollout gets."""
    route, rollout = view.observed.route if view.has_gateway else None, view.rollout
    if route is None or rollout is None:
        return {}
    percent = route.mirrors.get(names.comparator(view.observed.owner.name, rollout.id), 0)
    return {rollout.revision: percent} if percent else {}


def _shares(view: View) -> Mapping[str, int]:
    if view.has_gateway:
        return view.observed.route.weights if view.observed.route else {}
    selected = [item for item in view.observed.revisions if view.observed.is_selected(item) and item.ready]
    ready = sum(item.ready for item in selected)
    return {item.name: round(100 * item.ready / ready) for item in selected}


def rollout(view: View) -> Manifest:
    """The rollout under way or the last one, and the last command."""
    rollout, command = view.plan.record.rollout, ledger.dump(view.plan.record.last_command)
    found: Manifest = {key: value for key, value in command.items() if value != 0 or key in ("rollout", "step")}
    told = {"lastCommand": found} if any(command.get(key) for key in ("raw", "rawAbort", "id", "verb")) else {}
    refresh = view.plan.record.refresh
    told |= {"refresh": ledger.dump(refresh)} if refresh else {}
    if rollout is None:
        return told
    steps = _steps(view, rollout)
    name = steps[rollout.step].name if rollout.step < len(steps) else None
    extra: dict[str, Any] = {
        "plan": names.rollout(view.observed.owner.name, rollout.id),
        "stepCount": max(1, len(steps)),
    }
    if rollout.is_active and _is_edited(view):
        extra["edited"] = True
    analysis = evidence.analysis(view)
    judged = {"analysis": analysis} if analysis else {}
    return ledger.dump(rollout) | extra | ({"stepName": name} if name else {}) | judged | told


_COUNTS_AT_ONCE = {"paused", "ready_when", "coarse_weights", "capacity_fallback"}


def _is_edited(view: View) -> bool:
    """Whether `spec.rollout` was edited in a way that counts from the next rollout only."""
    spec, strategy = view.observed.spec, view.strategy
    if spec is None or strategy is None or spec.rollout == strategy:
        return False
    return _lasting(spec.rollout) != _lasting(strategy)


def _lasting(rollout: RolloutSpec) -> Manifest:
    """The fields that count from the next rollout."""
    found: Manifest = rollout.model_dump(exclude=_COUNTS_AT_ONCE)
    trial = found.get("blue_green") or {}
    return found | {"blue_green": {key: value for key, value in trial.items() if key != "preview_hostnames"}}


def _steps(view: View, rollout: Rollout) -> tuple[Step, ...]:
    return view.strategy.stages(rollout.strategy) if view.strategy else ()


def route(view: View) -> Manifest:
    """The HTTPRoute, and whether every gateway has confirmed it."""
    route = view.observed.route
    if route is None:
        return {}
    found: Manifest = {
        "kind": "HTTPRoute",
        "name": route.manifest["metadata"]["name"],
        "programmed": route.is_programmed,
    }
    if route.is_programmed:
        found["observedGeneration"] = route.manifest["metadata"].get("generation", 1)
    return found
