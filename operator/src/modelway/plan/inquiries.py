"""Whom to ask about a rollout now, and what: pods of both revisions, the comparator and providers. Pure."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

from modelway.analysis.evidence import Evidence
from modelway.analysis.inquiry import Division, Inquiry, Target
from modelway.api.analysis import DRIFT, LATENCIES, Metric
from modelway.plan import shadowing, trial
from modelway.plan.observed import Pod, Revision
from modelway.plan.record import timestamp
from modelway.plan.scene import WAITING_STATES, Scene
from modelway.plan.trial import Trial
from modelway.plan.trouble import Trouble
from modelway.resources import gate

TARGETS = 40
"""Most pods of one revision that are read: by name, so that they are the same ones each time."""

SLOTS_PER_INTERVAL = 4
"""How fine pods count by group: what they tell of groups is older than the rest by a part of the interval."""
LOADING_INTERVAL = timedelta(seconds=2)
DEFAULT_PORT = 8002


def inquiry(scene: Scene) -> Inquiry | None:
    """Whom to ask from now on; None for nobody."""
    now = trial.trial(scene)
    return _of_trial(scene, now) if now else _of_loading(scene)


def _of_trial(scene: Scene, now: Trial) -> Inquiry:
    revisions = (now.candidate, *((now.stable,) if now.stable else ()))
    comparator, current = shadowing.target(scene), scene.archive.current
    has_drift = any(metric.builtin == DRIFT for metric in now.metrics.values())
    return Inquiry(
        id=now.id,
        interval=now.analysis.interval,
        targets=(
            *(
                replace(_known(target, current), has_drift=has_drift and revision is now.candidate)
                for revision in revisions
                for target in _targets(revision, ready=True)
            ),
            *((comparator,) if comparator else ()),
        ),
        division=_division(now, current.groups.names if current else ()),
        metrics=tuple(metric for metric in now.metrics.values() if metric.builtin is None),
        bindings={
            "candidate": now.candidate.hash,
            "stable": now.stable.hash if now.stable else _hash(scene, now.rollout.origin),
            "namespace": scene.parent.namespace,
            "name": scene.parent.name,
            "model": scene.model_name,
            "rollout": str(now.rollout.id),
            "step": str(now.step + 1),
            "since": timestamp(now.since),
        },
    )


def _known(target: Target, current: Evidence | None) -> Target:
    mark = current.marks.get(target.pod) if current else None
    return target if mark is None or mark.slot is None else replace(target, known=(mark.run, mark.slot))


def _division(now: Trial, names: tuple[str, ...]) -> Division | None:
    divided = [(metric, metric.by) for metric in now.metrics.values() if metric.by]
    if not divided:
        return None
    _, by = divided[0]
    return Division(
        input=by.input,
        names=names,
        more=max(0, by.max_groups - len(names)),
        has_latency=any(metric.builtin in LATENCIES for metric, _ in divided),
        slot=now.analysis.interval / SLOTS_PER_INTERVAL,
    )


def _hash(scene: Scene, name: str) -> str:
    revision = scene.observed.revision(name)
    return revision.hash if revision else ""


def _of_loading(scene: Scene) -> Inquiry | None:
    """How far the candidate's pods have come, for the eye: only their readiness decides."""
    rollout, candidate = scene.rollout, scene.candidate
    if rollout is None or candidate is None or rollout.state not in WAITING_STATES:
        return None
    targets = tuple(_targets(candidate, ready=False))
    return (
        Inquiry(id=f"{rollout.id}/{rollout.step}/loading", interval=LOADING_INTERVAL, targets=targets, bindings={})
        if targets
        else None
    )


def _targets(revision: Revision, *, ready: bool) -> Iterator[Target]:
    port = _port(revision) if ready else _state_port(revision)
    if port is None:
        return
    for pod in [pod for pod in revision.pods if _is_asked(pod, ready)][:TARGETS]:
        host = f"[{pod.ip}]" if ":" in pod.ip else pod.ip
        yield Target(pod=pod.name, address=f"{host}:{port}", revision=revision.name)


def _is_asked(pod: Pod, ready: bool) -> bool:
    return bool(pod.ip) and pod.is_started and not pod.is_terminating and pod.is_ready == ready


def _port(revision: Revision) -> int | None:
    """Where its pods give figures; None where its runtime does not."""
    spec = revision.runtime.get("spec") or {}
    if (spec.get("capabilities") or {}).get("metrics") != "Modelway":
        return None
    return int((spec.get("ports") or {}).get("metrics") or DEFAULT_PORT)


def _state_port(revision: Revision) -> int | None:
    """Where its pods tell how far they are, by the gate where they have one; None where nobody does."""
    return gate.port(revision.rendered["deployment"]["template"]) or _port(revision)


def blocked(scene: Scene, target: Revision | None) -> Trouble | None:
    """Why the analysis of the spec cannot be done on these revisions: found when it is applied, before a pod starts."""
    analysis = scene.spec.rollout.analysis
    if scene.rollout is not None or analysis is None:
        return None
    revisions = [item for item in (target, scene.stable) if item is not None]
    without = [item for item in revisions if _port(item) is None]
    lacking = ((metric, item) for metric in analysis.metrics if trial.needs_traffic(metric) for item in without)
    return next((_unsupported(metric, item) for metric, item in lacking), None)


def _unsupported(metric: Metric, revision: Revision) -> Trouble:
    message = (
        f"rollout.analysis: {metric.name} needs {metric.builtin}, which {revision.runtime['kind']} "
        f"{revision.runtime['name']} does not give (capabilities.metrics): use a metric with prometheus or web, or "
        "a runtime that gives it"
    )
    return Trouble(reason="FeatureNotSupported", message=message)
