"""The phase: the state in one word and one sentence, for the eye. Pure."""

from modelway.analysis.verdicts import combined
from modelway.plan.record import Rollout, Source, StepState, Strategy, timestamp
from modelway.status import words
from modelway.status.view import View


def phase(view: View) -> tuple[str, str]:
    """The phase and its sentence."""
    if view.observed.owner.is_deleting:
        return "Terminating", "The object is being deleted"
    if view.blocked:
        return "Stalled", words.told(view.blocked)
    if view.total == 0:
        return "Suspended", "replicas is 0: no pod is wanted"
    if view.rollout:
        return _rollout_phase(view, view.rollout)
    return settled(view)


def _rollout_phase(view: View, rollout: Rollout) -> tuple[str, str]:
    trouble = view.plan.trouble or view.plan.traffic_trouble
    if rollout.state is StepState.ROLLING_BACK:
        return "RollingBack", f"{rollout.revision} is taken back: {rollout.reason}: {rollout.message}"
    if rollout.strategy is Strategy.INITIAL:
        return "Initializing", words.told(trouble) if trouble else f"{rollout.revision} is {rollout.state}"
    pause = view.pause
    if pause:
        return "Paused", pause[1]
    if rollout.source is Source.BAKE:
        return "RollingBack", f"{rollout.against} is taken back: {rollout.reason}: {rollout.message}"
    phase = "Promoting" if rollout.state is StepState.PROMOTING else "Progressing"
    if trouble:
        return phase, words.told(trouble)
    worst = combined(view.plan.judgements) if rollout.state is StepState.ANALYZING else None
    verdict = f": {worst.verdict}: {worst.message}" if worst else ""
    return phase, f"Step {rollout.step + 1}: {rollout.revision} is {rollout.state}{verdict}"


def settled(view: View) -> tuple[str, str]:
    """The same while no rollout is under way."""
    stable, last = view.stable, view.plan.record.rollout
    if stable is None:
        return ("Paused", view.pause[1]) if view.pause else ("Pending", "No revision serves yet")
    if view.plan.stable_trouble or stable.ready == 0:
        trouble = view.plan.stable_trouble
        return "Degraded", words.told(trouble) if trouble else f"No pod of {stable.name} is ready"
    if view.is_declined:
        cause = f"{failed_reason(view)}: {failed_message(view)}"
        return "RolledBack", f"{stable.name} serves; {view.plan.desired} was taken back. {cause}"
    if view.waits_for_retry and last and last.retry_at:
        text = f"{view.plan.desired} is tried again at {timestamp(last.retry_at)}. {last.reason}: {last.message}"
        return "Stalled", text
    if view.plan.desired != stable.name:
        return ("Paused", view.pause[1]) if view.pause else ("Progressing", f"{view.plan.desired} is being prepared")
    if stable.ready < view.total:
        return "Progressing", f"{stable.ready} of {view.total} pods of {stable.name} are ready"
    return "Healthy", f"{stable.name} serves"


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
