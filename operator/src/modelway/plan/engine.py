"""The step engine: one function for each state says where the rollout goes next. Pure.

Scaling → Loading → Warming → Validating → Routing → Verifying → Settling → Holding → Analyzing → the next step, or
Promoting; from anywhere RollingBack. Loading, Warming and Validating differ for the eye alone: only the readiness of
the pods ends them. Analyzing is the time after the hold in which the verdict is still open.
Each function looks only at the scene, so that a pass after a crash goes on exactly where the last one was.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from modelway.analysis.verdicts import Verdict
from modelway.plan import counts, fallback, reach, rollouts, trouble, weights
from modelway.plan.record import Outcome, Record, Rollout, Source, StepState, Strategy
from modelway.plan.scene import JUDGED_STATES, WAITING_STATES, Scene
from modelway.plan.trouble import Trouble


def advanced(scene: Scene) -> Record:
    """With the rollout moved on as far as what is observed allows, or ended."""
    rollout = scene.rollout
    if rollout is None or scene.candidate is None:
        return scene.record
    rollout = _failed(scene, _progressed(scene, _clocked(scene, rollout)))
    if scene.is_suspended or scene.at(rollout).is_paused:
        return replace(scene.record, rollout=rollout)
    scene = scene.at(fallback.taken(scene, _judged(scene, rollout)))
    while (following := _STATES[_rollout(scene).state](scene)) is not None:
        scene = scene.at(following)
        if not following.is_active:
            return _ended(scene, following)
    return scene.record


def _rollout(scene: Scene) -> Rollout:
    assert scene.record.rollout is not None
    return scene.record.rollout


def _clocked(scene: Scene, rollout: Rollout) -> Rollout:
    """Clocks stand still while paused: after the pause they are moved on by its length."""
    now = scene.observed.now
    if scene.is_suspended or scene.is_paused:
        return rollout if rollout.paused_at else replace(rollout, paused_at=now)
    if rollout.paused_at is None:
        return rollout
    length = now - rollout.paused_at

    def moved(moment: datetime | None) -> datetime | None:
        return moment and moment + length

    return replace(
        rollout,
        paused_at=None,
        progress_at=rollout.progress_at + length,
        settled_at=moved(rollout.settled_at),
        hold_started_at=moved(rollout.hold_started_at),
    )


def _progressed(scene: Scene, rollout: Rollout) -> Rollout:
    """With the most pods that were ever ready at once: only more of them count as progress (invariant 33)."""
    ready = scene.candidate.ready if scene.candidate else 0
    if ready <= rollout.high_water:
        return rollout
    return replace(rollout, high_water=ready, progress_at=scene.observed.now)


def _failed(scene: Scene, rollout: Rollout) -> Rollout:
    """Turned back where the evidence proves harm, also while a person has paused it."""
    worst = scene.judgement
    if worst is None or rollout.state not in JUDGED_STATES or rollout.is_full:
        return rollout
    if worst.verdict is Verdict.FAIL:
        return rollouts.turned_back(rollout, Outcome.FAILED, "AnalysisFailed", worst.message)
    if scene.on_undecided == "Abort" and worst.verdict is not Verdict.PASS:
        message = f"There was no verdict within the holdDeadline: {worst.message}"
        return rollouts.turned_back(rollout, Outcome.FAILED, "AnalysisFailed", message)
    return rollout


def _judged(scene: Scene, rollout: Rollout) -> Rollout:
    """Turned back where the candidate's pods condemn it, or where it makes no progress in time."""
    candidate = scene.candidate
    if scene.stable is None or rollout.state in (StepState.PROMOTING, StepState.ROLLING_BACK) or candidate is None:
        return rollout
    found = trouble.of_revision(candidate)
    if found is None and rollout.strategy is not Strategy.RETURN:
        found = trouble.unhealthy(candidate)
    if found and found.is_verdict:
        return rollouts.turned_back(rollout, Outcome.FAILED, found.reason, found.message)
    deadline = rollout.progress_at + scene.strategy.progress_deadline
    if rollout.state not in (*WAITING_STATES, StepState.ROUTING) or scene.observed.now < deadline:
        return rollout
    if candidate.ready >= reach.enough_pods(scene):
        return rollout
    return _given_up(scene, rollout, found)


def _given_up(scene: Scene, rollout: Rollout, found: Trouble | None) -> Rollout:
    delay = rollouts.RETRY_AFTER[min(rollout.attempt, len(rollouts.RETRY_AFTER) - 1)]
    cause = f"{found.reason}: {found.message}" if found else "its pods did not become ready"
    back = rollouts.turned_back(rollout, Outcome.FAILED, found.reason if found else "ProgressDeadlineExceeded", cause)
    return replace(back, retry_at=scene.observed.now + delay)


def _scaling(scene: Scene) -> Rollout | None:
    rollout, candidate = _rollout(scene), scene.candidate
    if candidate is None or candidate.workload is None:
        return None
    started = sum(pod.is_started for pod in candidate.pods)
    is_started = started >= counts.of(scene)[candidate.name] > 0
    return replace(rollout, state=StepState.LOADING) if is_started or _has_capacity(scene) else None


def _has_capacity(scene: Scene) -> bool:
    """Whether enough candidate pods are ready for a first, or for the next, share of the traffic."""
    candidate = scene.candidate
    if candidate is None:
        return False
    if scene.is_gradual or not scene.keeps_stable:
        return candidate.ready >= 1
    wanted = reach.enough_pods(scene)
    return wanted > 0 and candidate.ready >= wanted


def _loading(scene: Scene) -> Rollout | None:
    rollout = _rollout(scene)
    if _has_capacity(scene):
        return replace(rollout, state=StepState.ROUTING)
    told = _told(scene)
    is_further = told is not None and WAITING_STATES.index(told) > WAITING_STATES.index(rollout.state)
    return replace(rollout, state=told) if told and is_further else None


_PREPARING = {"Loading": StepState.LOADING, "Warming": StepState.WARMING, "Validating": StepState.VALIDATING}


def _told(scene: Scene) -> StepState | None:
    """How far the candidate's pods have come, by their own account; None where none said."""
    readings, candidate = scene.observed.readings, scene.candidate
    if readings is None or candidate is None:
        return None
    waiting = {pod.name for pod in candidate.pods if not pod.is_ready}
    said = {_PREPARING.get(reading.state) for reading in readings.pods if reading.pod in waiting}
    return max((state for state in said if state), key=WAITING_STATES.index, default=None)


def _routing(scene: Scene) -> Rollout | None:
    return replace(_rollout(scene), state=StepState.VERIFYING) if _is_routed(scene) else None


def _is_routed(scene: Scene) -> bool:
    """Whether the step's weight is written: in the route, or as what the model's Service selects."""
    candidate, weight = scene.candidate, scene.step.weight
    if candidate is None or not _answers(scene):
        return False
    if scene.observed.has_gateway:
        is_shown = not scene.preview_hostnames or scene.observed.is_previewed(candidate)
        return scene.weight_of(candidate) >= weight and scene.observed.route is not None and is_shown
    if weight == 0:
        return True
    if weight == 100:
        return scene.observed.is_selected_alone(candidate.name)
    return scene.is_union and weights.selection(scene) == weights.UNION


def _verifying(scene: Scene) -> Rollout | None:
    rollout = _rollout(scene)
    if not _is_routed(scene):
        return replace(rollout, state=StepState.ROUTING)
    if not scene.is_programmed:
        return None
    if rollout.strategy is Strategy.INITIAL:
        return _promoted(scene)
    return replace(rollout, state=StepState.SETTLING, settled_at=scene.observed.now)


def _settling(scene: Scene) -> Rollout | None:
    rollout = _rollout(scene)
    wait = timedelta(0) if rollout.strategy is Strategy.RETURN else scene.strategy.settle
    if rollout.settled_at is not None and scene.observed.now < rollout.settled_at + wait:
        return None
    return replace(rollout, state=StepState.HOLDING, hold_started_at=rollout.hold_started_at or scene.observed.now)


def _holding(scene: Scene) -> Rollout | None:
    rollout, step = _rollout(scene), scene.step
    hold_ends = (rollout.hold_started_at or scene.observed.now) + step.hold
    is_over = scene.observed.now >= hold_ends and (step.approval is None or rollout.is_approved)
    if not (is_over or rollout.is_approved or rollout.is_full):
        return None
    if scene.analysis is not None and scene.judgements is None and not rollout.is_full:
        return None
    if not rollout.is_full and not _has_evidence(scene):
        return replace(rollout, state=StepState.ANALYZING) if rollout.state is StepState.HOLDING else None
    if rollout.step + 1 < len(scene.steps):
        following = len(scene.steps) - 1 if rollout.is_full else rollout.step + 1
        return _step(scene, rollout, following)
    if not _is_routed(scene):
        return _routed_again(scene, rollout)
    return replace(rollout, state=StepState.PROMOTING, settled_at=None)


def _has_evidence(scene: Scene) -> bool:
    """Whether the analysis lets the step end."""
    worst = scene.judgement
    if worst is None or worst.verdict is Verdict.PASS:
        return True
    return scene.on_undecided == "Proceed"


def _answers(scene: Scene) -> bool:
    """Whether the candidate has a ready pod, or nobody else has one."""
    return bool(scene.candidate and scene.candidate.ready) or not (scene.serving and scene.serving.ready)


def _routed_again(scene: Scene, rollout: Rollout) -> Rollout:
    """Before the promotion again: the candidate lost its pods, and stable has the traffic until they are back."""
    return replace(rollout, state=StepState.ROUTING, progress_at=scene.observed.now, settled_at=None)


def _step(scene: Scene, rollout: Rollout, index: int) -> Rollout:
    now = scene.observed.now
    return replace(
        rollout,
        step=index,
        state=StepState.SCALING,
        step_started_at=now,
        progress_at=now,
        settled_at=None,
        hold_started_at=None,
        is_approved=False,
    )


def _promoting(scene: Scene) -> Rollout | None:
    rollout = _rollout(scene)
    if rollout.step + 1 < len(scene.steps):
        # Its plan was lost, and the spec has more steps by now.
        return _step(scene, rollout, rollout.step + 1)
    if not _answers(scene):
        return _routed_again(scene, rollout)
    if scene.observed.is_selected_alone(rollout.revision):
        return _promoted(scene)
    if scene.is_union and rollout.settled_at is None:
        return replace(rollout, settled_at=scene.observed.now)
    return None


def _promoted(scene: Scene) -> Rollout:
    rollout = _rollout(scene)
    outcome = Outcome.FAST_PROMOTED if rollout.is_full else Outcome.PROMOTED
    cause = (rollout.reason, rollout.message) if rollout.source is Source.BAKE else ("", "")
    return replace(rollout, outcome=outcome, reason=cause[0], message=cause[1], finished_at=scene.observed.now)


def _rolling_back(scene: Scene) -> Rollout | None:
    candidate = scene.candidate
    if candidate is not None and (scene.weight_of(candidate) or scene.has_traffic(candidate)):
        return None
    return replace(_rollout(scene), finished_at=scene.observed.now)


_STATES: dict[StepState, Callable[[Scene], Rollout | None]] = {
    StepState.SCALING: _scaling,
    StepState.LOADING: _loading,
    StepState.WARMING: _loading,
    StepState.VALIDATING: _loading,
    StepState.ROUTING: _routing,
    StepState.VERIFYING: _verifying,
    StepState.SETTLING: _settling,
    StepState.HOLDING: _holding,
    StepState.ANALYZING: _holding,
    StepState.PROMOTING: _promoting,
    StepState.ROLLING_BACK: _rolling_back,
}


def _ended(scene: Scene, rollout: Rollout) -> Record:
    """With the rollout in the history; a promoted revision is the new stable."""
    open_scene = scene.at(replace(rollout, finished_at=None))
    record = rollouts.finished(open_scene, rollout, Outcome(rollout.outcome), rollout.reason, rollout.message)
    if rollout.outcome in (Outcome.PROMOTED, Outcome.FAST_PROMOTED):
        return replace(record, stable=rollout.revision)
    return record


def hold_until(scene: Scene) -> datetime | None:
    """When the hold of the present step is over; None where none runs, or where it is over."""
    rollout = scene.rollout
    if rollout is None or rollout.state is not StepState.HOLDING or rollout.hold_started_at is None:
        return None
    until = rollout.hold_started_at + scene.step.hold
    return until if until > scene.observed.now else None


def awaits_approval(scene: Scene) -> bool:
    """Whether the hold of the present step is over and only a person can end it."""
    rollout = scene.rollout
    if rollout is None or rollout.state is not StepState.HOLDING or scene.step.approval is None:
        return False
    return not rollout.is_approved and hold_until(scene) is None


def wake(scene: Scene) -> datetime | None:
    """When to look again even if nothing happens."""
    now, rollout = scene.observed.now, scene.rollout
    moments = [until for until in scene.record.retire_at.values() if until > now]
    last = scene.record.rollout
    if last and not last.is_active and last.retry_at:
        moments.append(last.retry_at)
    pods = [pod for item in scene.observed.revisions if rollout or item.holds_devices for pod in item.pods]
    moments += [pod.ends_at for pod in pods if pod.ends_at]
    if rollout and not scene.is_paused and not scene.is_suspended:
        moments += _rollout_moments(scene, rollout)
    return min((moment for moment in moments if moment > now), default=None)


def _rollout_moments(scene: Scene, rollout: Rollout) -> list[datetime]:
    strategy = scene.strategy
    if rollout.state in (*WAITING_STATES, StepState.ROUTING):
        replacing = fallback.due(scene)
        return [rollout.progress_at + strategy.progress_deadline, *([replacing] if replacing else ())]
    if rollout.state in (StepState.SETTLING, StepState.PROMOTING) and rollout.settled_at:
        return [rollout.settled_at + strategy.settle]
    if rollout.state in JUDGED_STATES and rollout.hold_started_at:
        deadline = scene.analysis.hold_deadline if scene.analysis else scene.step.hold
        return [rollout.hold_started_at + scene.step.hold, rollout.hold_started_at + deadline]
    return []
