"""The conditions: the state aspect by aspect, as kstatus and `kubectl wait` read it. Pure."""

from collections.abc import Iterator

from modelway.kinds import Manifest
from modelway.plan.record import Outcome, StepState, Strategy, timestamp
from modelway.plan.trouble import Trouble
from modelway.status import evidence, phases, words
from modelway.status.view import View

MESSAGE_LIMIT = 1024
_TRAFFIC_KINDS = ("HTTPRoute", "Service")
_TRAFFIC_REASONS = ("WeightNotReachable", "FeatureNotSupported")

_MOVES = {
    StepState.SCALING: "ScalingUp",
    StepState.LOADING: "LoadingModel",
    StepState.ROUTING: "ShiftingTraffic",
    StepState.VERIFYING: "ShiftingTraffic",
    StepState.SETTLING: "ShiftingTraffic",
    StepState.WARMING: "WarmingUp",
    StepState.VALIDATING: "Validating",
    StepState.HOLDING: "Analyzing",
    StepState.ANALYZING: "Analyzing",
    StepState.PROMOTING: "Draining",
    StepState.ROLLING_BACK: "ShiftingTraffic",
}


def conditions(view: View) -> list[Manifest]:
    """Every condition, with the time at which its status last changed."""
    old = {item["type"]: item for item in view.observed.status.get("conditions", ())}
    return [_stamped(view, old.get(item["type"]), item) for item in _found(view)]


def _stamped(view: View, old: Manifest | None, new: Manifest) -> Manifest:
    """With the generation, and the time of the last change of `status`."""
    is_same = old is not None and old["status"] == new["status"]
    since = old["lastTransitionTime"] if old and is_same else timestamp(view.observed.now)
    return new | {"observedGeneration": view.observed.owner.generation, "lastTransitionTime": since}


def _condition(kind: str, value: bool | str, reason: str, message: str) -> Manifest:
    text = " ".join(message.split())[:MESSAGE_LIMIT]
    return {"type": kind, "status": str(value), "reason": reason, "message": text}


def _found(view: View) -> Iterator[Manifest]:
    yield _condition("Ready", *_ready(view))
    yield _condition("Available", *_available(view))
    yield _condition("Progressing", *_progressing(view))
    yield from _traffic_programmed(view)
    analysis = evidence.passing(view)
    if analysis:
        yield _condition("AnalysisPassing", *analysis)
    yield from _abnormal(view)


def _is_moving(view: View) -> bool:
    """Whether the operator is on its way to what the spec asks for."""
    if view.blocked or _stalled(view):
        return False
    return phases.phase(view)[0] not in ("Healthy", "Suspended", "RolledBack", "Stalled")


def _ready(view: View) -> tuple[bool, str, str]:
    phase, message = phases.phase(view)
    if phase == "Suspended":
        return True, "ScaledToZero", message
    if phase == "Healthy":
        if view.plan.traffic_trouble:
            return False, "RolloutInProgress", words.told(view.plan.traffic_trouble)
        return True, "RevisionPromoted", message
    if _serves_meanwhile(view):
        return True, "RolloutInProgress", message
    return False, _not_ready(view, phase), message


def _serves_meanwhile(view: View) -> bool:
    """Whether `readyWhen: Serving` calls it done although a rollout moves or waits."""
    spec, stable = view.observed.spec, view.stable
    is_serving = stable is not None and stable.ready >= 1 and _is_moving(view) and phases.phase(view)[0] != "Degraded"
    return is_serving and spec is not None and spec.rollout.ready_when == "Serving"


def _not_ready(view: View, phase: str) -> str:
    if phase == "Paused":
        return "RolloutPaused"
    if phase == "Degraded" or (phase == "Progressing" and view.rollout is None and view.desired == view.stable):
        return "BelowMinimumReady"
    if phase == "RolledBack":
        return "RolloutAborted" if phases.failed_reason(view) in ("UserAbort", "UserUndo") else "RolloutFailed"
    return "RolloutFailed" if _stalled(view) else "RolloutInProgress"


def _available(view: View) -> tuple[bool, str, str]:
    serving = view.serving
    ready = serving.ready if serving else 0
    if ready:
        share = f"{ready} of {view.total}" if view.total else f"{ready}"
        return True, "MinimumReplicasReady", f"{share} pods of {serving.name if serving else ''} are ready"
    trouble = view.plan.stable_trouble or view.plan.trouble
    return False, "MinimumReplicasUnavailable", words.told(trouble) if trouble else "No pod is ready"


def _progressing(view: View) -> tuple[bool, str, str]:
    phase, message = phases.phase(view)
    if view.pause:
        return False, "Paused", view.pause[1]
    stalled = _stalled(view)
    if view.rollout and not stalled and view.total:
        return True, _MOVES[view.rollout.state], message
    if stalled and stalled[0] == "ProgressDeadlineExceeded":
        return False, "ProgressDeadlineExceeded", message
    if view.is_declined or stalled:
        return False, "Aborted" if phases.failed_reason(view) in ("UserAbort", "UserUndo") else "FailFast", message
    if phase in ("Progressing", "Pending"):
        return True, "ScalingUp" if view.desired else "NewRevisionCreated", message
    return False, "Complete", message


def _traffic_programmed(view: View) -> Iterator[Manifest]:
    trouble, failure = view.plan.traffic_trouble, view.failure
    if failure and failure.subject in _TRAFFIC_KINDS:
        reason = failure.reason if failure.reason in _TRAFFIC_REASONS else "WriteDenied"
        yield _condition("TrafficProgrammed", False, reason, words.explained(failure))
    elif view.blocked and view.blocked.reason in _TRAFFIC_REASONS:
        yield _condition("TrafficProgrammed", False, view.blocked.reason, words.explained(view.blocked))
    elif trouble:
        yield _condition("TrafficProgrammed", False, trouble.reason, words.explained(trouble))
    elif view.observed.route is not None or (view.observed.service is not None and not view.observed.has_gateway):
        message = f"The candidate has {view.plan.weight} %" if view.rollout else "All traffic is where it should be"
        yield _condition("TrafficProgrammed", True, "Programmed", message)


def _stalled(view: View) -> tuple[str, str] | None:
    """Why nothing will change until a person does something; or, past the deadline, until a retry works."""
    if view.blocked:
        return view.blocked.reason, words.explained(view.blocked)
    if view.total == 0:
        return None
    if view.plan.traffic_trouble and view.plan.traffic_trouble.reason == "WeightNotReachable":
        return view.plan.traffic_trouble.reason, words.explained(view.plan.traffic_trouble)
    if view.waits_for_retry or _is_overdue(view):
        return "ProgressDeadlineExceeded", _overdue_message(view)
    if view.is_declined:
        is_person = phases.failed_reason(view) in ("UserAbort", "UserUndo")
        return "RolloutAborted" if is_person else "RolloutFailed", phases.settled(view)[1]
    is_first = view.rollout is not None and view.rollout.strategy is Strategy.INITIAL
    if is_first and view.plan.trouble and view.plan.trouble.is_verdict:
        return "RolloutFailed", words.told(view.plan.trouble)
    return None


def _is_overdue(view: View) -> bool:
    """Whether a first revision made no progress in time; nothing else serves, so it is not given up."""
    rollout, strategy = view.rollout, view.strategy
    if rollout is None or strategy is None or rollout.strategy is not Strategy.INITIAL or view.pause:
        return False
    return view.observed.now >= rollout.progress_at + strategy.progress_deadline


def _overdue_message(view: View) -> str:
    if view.waits_for_retry:
        return phases.settled(view)[1]
    return words.told(view.plan.trouble) if view.plan.trouble else "The pods did not become ready in time"


def _abnormal(view: View) -> Iterator[Manifest]:
    """Conditions that exist only while they are true."""
    stalled = _stalled(view)
    if stalled:
        yield _condition("Stalled", True, *stalled)
    elif _is_moving(view) and not _serves_meanwhile(view):
        yield _condition("Reconciling", True, *_reconciling(view))
    if view.pause:
        yield _condition("Paused", True, *view.pause)
    failed = _revision_failed(view)
    if failed:
        yield _condition("RevisionFailed", True, *failed)
    if view.is_declined and view.stable:
        message = f"{view.stable.name} serves although the spec asks for {view.plan.desired}"
        yield _condition("RolledBack", True, phases.failed_reason(view) or "UserAbort", message)


def _reconciling(view: View) -> tuple[str, str]:
    if view.pause:
        return "Paused", view.pause[1]
    if view.plan.trouble:
        return view.plan.trouble.reason, words.explained(view.plan.trouble)
    _, reason, message = _progressing(view)
    return reason, message


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
