"""The conditions: the state aspect by aspect, as kstatus and `kubectl wait` read it. Pure."""

from collections.abc import Iterator

from modelway.api import reasons
from modelway.kinds import Manifest
from modelway.plan.record import Outcome, timestamp
from modelway.plan.trouble import Trouble
from modelway.status import evidence, images, phases, words
from modelway.status.phases import Phase, State
from modelway.status.view import View

MESSAGE_LIMIT = 1024
"""Bytes."""

_TRAFFIC_KINDS = ("HTTPRoute", "Service")
_TRAFFIC_REASONS = ("WeightNotReachable", "FeatureNotSupported")
_ENDINGS = {"FailFast": "RolloutFailed", "Aborted": "RolloutAborted"}
"""Reasons of Ready and Stalled for those of Progressing that say how a rollout ended."""


def conditions(view: View, state: State) -> list[Manifest]:
    """Every condition, with the time at which its status last changed."""
    old = {item["type"]: item for item in view.observed.status.get("conditions", ())}
    return [_stamped(view, old.get(item["type"]), item) for item in _found(view, state)]


def shortened(text: str) -> str:
    """In one line, and not longer than a message may be."""
    return " ".join(text.split()).encode()[:MESSAGE_LIMIT].decode(errors="ignore")


def _stamped(view: View, old: Manifest | None, new: Manifest) -> Manifest:
    """With the generation, and the time of the last change of `status`."""
    is_same = old is not None and old["status"] == new["status"]
    since = old["lastTransitionTime"] if old and is_same else timestamp(view.observed.now)
    return new | {"observedGeneration": view.observed.owner.generation, "lastTransitionTime": since}


def _condition(kind: str, value: bool | str, reason: str, message: str) -> Manifest:
    return {"type": kind, "status": str(value), "reason": reason, "message": shortened(message)}


def _found(view: View, state: State) -> Iterator[Manifest]:
    yield _condition("Ready", *_ready(view, state))
    yield _condition("Available", *_available(view))
    is_moving = not (state.phase.is_at_rest or state.phase.is_stuck or state.phase is Phase.PAUSED)
    yield _condition("Progressing", is_moving, state.reason, state.told)
    yield from _traffic_programmed(view)
    analysis = evidence.passing(view)
    if analysis:
        yield _condition("AnalysisPassing", *analysis)
    yield from _abnormal(view, state)


def _ready(view: View, state: State) -> tuple[bool, str, str]:
    if state.phase.is_at_rest:
        return True, "ScaledToZero" if state.phase is Phase.SUSPENDED else "RevisionPromoted", state.told
    if _serves_meanwhile(view, state):
        return True, "RolloutInProgress", state.told
    return False, _not_ready(view, state), state.told


def _serves_meanwhile(view: View, state: State) -> bool:
    """Whether `readyWhen: Serving` calls it done although a rollout moves or waits."""
    if state.phase.is_stuck or state.phase is Phase.DEGRADED:
        return False
    spec, stable = view.observed.spec, view.stable
    return spec is not None and spec.rollout.ready_when == "Serving" and stable is not None and stable.ready > 0


def _not_ready(view: View, state: State) -> str:
    if state.phase is Phase.PAUSED:
        return "RolloutPaused"
    if state.phase is Phase.DEGRADED or (state.phase is Phase.PROGRESSING and _lacks_pods(view, state)):
        return "BelowMinimumReady"
    if not state.phase.is_stuck:
        return "RolloutInProgress"
    found = reasons.find(state.reason)
    is_blocked = found is not None and found.category is reasons.Class.BLOCKED
    return state.reason if is_blocked else _ENDINGS.get(state.reason, "RolloutFailed")


def _lacks_pods(view: View, state: State) -> bool:
    return view.rollout is None and state.reason == "ScalingUp"


def _available(view: View) -> tuple[bool, str, str]:
    serving = view.serving
    if serving is not None and serving.ready:
        share = f"{serving.ready} of {view.total}" if view.total else f"{serving.ready}"
        warning = images.warning(serving, images.recorded(view, serving))
        message = f"{share} pods of {serving.name} are ready. {warning}".removesuffix(". ")
        return True, "MinimumReplicasReady", message
    trouble = view.plan.stable_trouble or view.plan.trouble
    return False, "MinimumReplicasUnavailable", words.told(trouble) if trouble else "No pod is ready"


def _traffic_programmed(view: View) -> Iterator[Manifest]:
    trouble, failure = view.plan.traffic_trouble, view.failure
    if failure and failure.subject in _TRAFFIC_KINDS:
        reason = failure.reason if failure.reason in _TRAFFIC_REASONS else "WriteDenied"
        yield _condition("TrafficProgrammed", False, reason, words.explained(failure))
    elif view.blocked and view.blocked.reason in _TRAFFIC_REASONS:
        yield _condition("TrafficProgrammed", False, view.blocked.reason, words.explained(view.blocked))
    elif trouble:
        yield _condition("TrafficProgrammed", False, trouble.reason, words.explained(trouble))
    elif view.is_rerouting:
        yield _condition("TrafficProgrammed", False, "RouteNotProgrammed", "The gateway has yet to confirm the route")
    elif view.observed.route is not None or (view.observed.service is not None and not view.has_gateway):
        yield _condition("TrafficProgrammed", True, "Programmed", _division(view))


def _division(view: View) -> str:
    if view.rollout:
        return f"The candidate has {view.plan.weight} %"
    return "All traffic is where it should be" if view.is_routed else "Traffic is on its way"


def _abnormal(view: View, state: State) -> Iterator[Manifest]:
    """Conditions that exist only while they are true."""
    reason, message = state.cause
    if state.phase.is_stuck:
        yield _condition("Stalled", True, _ENDINGS.get(reason, reason), message)
    elif not state.phase.is_at_rest and not _serves_meanwhile(view, state):
        yield _condition("Reconciling", True, reason, message)
    if view.pause:
        yield _condition("Paused", True, *view.pause)
    failed = _revision_failed(view)
    if failed:
        yield _condition("RevisionFailed", True, *failed)
    if view.is_declined and view.stable:
        message = f"{view.stable.name} serves although the spec asks for {view.plan.desired}"
        yield _condition("RolledBack", True, phases.failed_reason(view) or "UserAbort", message)


def _revision_failed(view: View) -> tuple[str, str] | None:
    trouble, last = view.plan.trouble, view.plan.record.rollout
    if view.rollout and trouble and trouble.is_verdict:
        return trouble.reason, words.explained(trouble)
    is_failed = last is not None and last.outcome == "Failed" and last.revision == view.plan.desired
    if is_failed and last and not last.retry_at:
        return last.reason, words.explained(Trouble(reason=last.reason, message=last.message))
    desired = view.desired
    if view.is_declined and desired and desired.outcome == Outcome.FAILED:
        return desired.reason or "CrashLoop", f"{desired.name} failed before: {phases.failed_message(view)}"
    return None
