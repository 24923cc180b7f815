"""The state in one word and one sentence: what the conditions, people and tools are told comes from here. Pure."""

from dataclasses import dataclass
from enum import StrEnum

from modelway.analysis.verdicts import combined
from modelway.plan.record import Rollout, Source, StepState, Strategy, timestamp
from modelway.plan.scene import WAITING_STATES
from modelway.plan.trouble import Trouble
from modelway.status import words
from modelway.status.view import View


class Phase(StrEnum):
    """Where a model is; each phase is one result for kstatus and one for Argo CD."""

    PENDING = "Pending"
    INITIALIZING = "Initializing"
    PROGRESSING = "Progressing"
    PAUSED = "Paused"
    PROMOTING = "Promoting"
    ROLLING_BACK = "RollingBack"
    DEGRADED = "Degraded"
    HEALTHY = "Healthy"
    SUSPENDED = "Suspended"
    ROLLED_BACK = "RolledBack"
    STALLED = "Stalled"
    TERMINATING = "Terminating"

    @property
    def is_at_rest(self) -> bool:
        """Whether it is as the spec asks for."""
        return self in (Phase.HEALTHY, Phase.SUSPENDED)

    @property
    def is_stuck(self) -> bool:
        """Whether it stays as it is until somebody acts or, past the deadline, a retry works."""
        return self in (Phase.ROLLED_BACK, Phase.STALLED)


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """The phase, and why it is so: by the reason of the condition Progressing, or by a trouble."""

    phase: Phase
    reason: str = "Complete"
    message: str = ""
    trouble: Trouble | None = None

    @property
    def told(self) -> str:
        """The sentence for where no reason stands beside it."""
        return words.told(self.trouble) if self.trouble else self.message

    @property
    def cause(self) -> tuple[str, str]:
        """Reason and sentence, for where both stand side by side."""
        return (self.trouble.reason, words.explained(self.trouble)) if self.trouble else (self.reason, self.message)


_MOVES = {
    StepState.SCALING: "ScalingUp",
    StepState.LOADING: "LoadingModel",
    StepState.WARMING: "WarmingUp",
    StepState.VALIDATING: "Validating",
    StepState.ROUTING: "ShiftingTraffic",
    StepState.VERIFYING: "ShiftingTraffic",
    StepState.SETTLING: "ShiftingTraffic",
    StepState.HOLDING: "Analyzing",
    StepState.ANALYZING: "Analyzing",
    StepState.PROMOTING: "Draining",
    StepState.ROLLING_BACK: "ShiftingTraffic",
}
_REFUSALS = ("RouteNotAccepted", "RefsNotResolved", "WeightNotReachable")
"""What the gateway or the set-up has decided against; a route without an answer may still get one."""


def state(view: View) -> State:
    """The one state of a pass; the order of the questions is the order of what matters."""
    refused = view.blocked or _refused(view)
    if view.observed.owner.is_deleting:
        return State(phase=Phase.TERMINATING, message="The object is being deleted")
    if view.blocked or (refused and view.total):
        assert refused is not None
        return State(phase=Phase.STALLED, reason=refused.reason, trouble=refused)
    if view.total == 0:
        return State(phase=Phase.SUSPENDED, message="replicas is 0: no pod is wanted")
    return _degraded(view) or (_moving(view, view.rollout) if view.rollout else _settled(view))


def _refused(view: View) -> Trouble | None:
    trouble = view.plan.traffic_trouble
    return trouble if trouble and trouble.reason in _REFUSALS else None


def _degraded(view: View) -> State | None:
    """Stable was there and does not answer; while a rollout moves, it is so only if nobody else answers either."""
    stable, trouble, rollout = view.stable, view.plan.stable_trouble, view.rollout
    if stable is None:
        return None
    is_silent = not (view.is_answering if rollout else stable.ready)
    if not (is_silent and not view.is_coming_up) and (rollout or not trouble):
        return None
    message = ". ".join((f"No pod of {stable.name} is ready", *view.plan.notes))
    return State(phase=Phase.DEGRADED, reason="ScalingUp", message=message, trouble=trouble)


def _moving(view: View, rollout: Rollout) -> State:
    """While a rollout is under way."""
    reason, name = _MOVES[rollout.state], rollout.revision
    if rollout.state is StepState.ROLLING_BACK:
        message = f"{name} is taken back: {rollout.reason}: {rollout.message}"
        return State(phase=Phase.ROLLING_BACK, reason=reason, message=message)
    if rollout.source is Source.BAKE:
        message = f"{rollout.against} is taken back: {rollout.reason}: {rollout.message}"
        return State(phase=Phase.ROLLING_BACK, reason=reason, message=message)
    if view.pause:
        return State(phase=Phase.PAUSED, reason="Paused", message=view.pause[1])
    given_up = _given_up(view, rollout)
    if given_up:
        return given_up
    trouble = view.plan.trouble or view.hindrance or view.plan.traffic_trouble
    if rollout.strategy is Strategy.INITIAL:
        message = f"{name} is {rollout.state}"
        return State(phase=Phase.INITIALIZING, reason=reason, message=message, trouble=trouble)
    phase = Phase.PROMOTING if rollout.state is StepState.PROMOTING else Phase.PROGRESSING
    message = f"Step {rollout.step + 1}: {name} is {rollout.state}{_verdict(view, rollout)}"
    message = ". ".join((message, *view.plan.notes))
    return State(phase=phase, reason=reason, message=message, trouble=trouble)


def _verdict(view: View, rollout: Rollout) -> str:
    """What an analysis that is still open says."""
    worst = combined(view.plan.judgements) if rollout.state is StepState.ANALYZING else None
    return f": {worst.verdict}: {worst.message}" if worst else ""


def _given_up(view: View, rollout: Rollout) -> State | None:
    """A first revision that fails or is overdue goes on trying, as nothing else serves; so does a retry by clock."""
    trouble = view.plan.trouble
    told = words.told(trouble) if trouble else ""
    if rollout.strategy is Strategy.INITIAL and trouble and trouble.is_verdict:
        return State(phase=Phase.STALLED, reason="FailFast", message=told)
    if _is_overdue(view, rollout):
        message = told or "The pods did not become ready in time"
        return State(phase=Phase.STALLED, reason="ProgressDeadlineExceeded", message=message)
    if rollout.attempt and not rollout.step and rollout.state in WAITING_STATES:
        message = f"{rollout.revision} is tried again: {told or rollout.state}"
        return State(phase=Phase.STALLED, reason="ProgressDeadlineExceeded", message=message)
    return None


def _is_overdue(view: View, rollout: Rollout) -> bool:
    if view.strategy is None or rollout.strategy is not Strategy.INITIAL:
        return False
    return view.observed.now >= rollout.progress_at + view.strategy.progress_deadline


def _settled(view: View) -> State:
    """While no rollout is under way."""
    stable = view.stable
    if stable is None:
        reason, message = "ScalingUp" if view.desired else "NewRevisionCreated", "No revision serves yet"
        newborn = State(phase=Phase.PENDING, reason=reason, message=message, trouble=view.hindrance)
        return _paused(view) or newborn
    last = view.plan.record.rollout
    if view.is_declined:
        is_person = failed_reason(view) in ("UserAbort", "UserUndo")
        cause = f"{failed_reason(view)}: {failed_message(view)}"
        message = f"{stable.name} serves; {view.plan.desired} was taken back. {cause}"
        return State(phase=Phase.ROLLED_BACK, reason="Aborted" if is_person else "FailFast", message=message)
    if view.waits_for_retry and last and last.retry_at:
        message = f"{view.plan.desired} is tried again at {timestamp(last.retry_at)}: {last.message}"
        return State(phase=Phase.STALLED, reason="ProgressDeadlineExceeded", message=message)
    if view.plan.desired != stable.name:
        message, trouble = f"{view.plan.desired} is being prepared", view.hindrance
        newborn = State(phase=Phase.PROGRESSING, reason="NewRevisionCreated", message=message, trouble=trouble)
        return _paused(view) or newborn
    return _serving(view, stable.name, stable.ready)


def _paused(view: View) -> State | None:
    return State(phase=Phase.PAUSED, reason="Paused", message=view.pause[1]) if view.pause else None


def _serving(view: View, name: str, ready: int) -> State:
    """The revision of the spec is stable: healthy once it has the pods and, in force, all of the traffic."""
    trouble = view.hindrance or view.plan.traffic_trouble
    if trouble or not view.is_routed:
        message = f"{name} gets all of the traffic"
        return State(phase=Phase.PROGRESSING, reason="ShiftingTraffic", message=message, trouble=trouble)
    if ready < view.minimum:
        message = f"{ready} of {view.total} pods of {name} are ready"
        return State(phase=Phase.PROGRESSING, reason="ScalingUp", message=message)
    return State(phase=Phase.HEALTHY, message=f"{name} serves")


def failed_reason(view: View) -> str:
    """Why the spec's revision does not serve."""
    last, desired = view.plan.record.rollout, view.desired
    if last and desired and last.against == desired.name:
        return last.reason if last.source is Source.BAKE else "UserUndo"
    if last and desired and last.revision == desired.name:
        return last.reason
    return desired.reason if desired else ""


def failed_message(view: View) -> str:
    """The same in a sentence, or the way out where the cause is no longer known."""
    last, desired = view.plan.record.rollout, view.desired
    is_bake = last is not None and last.source is Source.BAKE
    if last and desired and desired.name == (last.against if is_bake else last.revision) and last.message:
        return last.message
    name = view.observed.owner.name
    return f"change the spec, or try it again with `kubectl modelway retry {name}`"
