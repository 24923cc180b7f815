"""When a rollout begins, ends, or gives way to another. Pure."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from types import MappingProxyType

from modelway.analysis.verdicts import Verdict
from modelway.kinds import Manifest
from modelway.plan import trouble
from modelway.plan.births import Wanted
from modelway.plan.observed import Observed, Revision
from modelway.plan.record import Outcome, Record, Refresh, Rollout, Source, StepState, Strategy
from modelway.plan.scene import Scene
from modelway.plan.trouble import Trouble
from modelway.resources import revision as revisions

UNDONE = "Undone"
"""Outcome label of a revision that an undo left, while the spec still asks for it."""

_REMEMBERED = {Outcome.FAILED, Outcome.ABORTED}

DECLINED = {Outcome.FAILED, Outcome.ABORTED, UNDONE}
"""Outcomes after which a revision is not started again by itself: a new spec, `retry` or `undo` helps."""

RETRY_AFTER = (timedelta(minutes=5), timedelta(minutes=15), timedelta(minutes=60))
"""How long a candidate that the environment kept from starting waits for its next attempt."""


def declined(record: Record, revision: Revision) -> bool:
    """Whether the revision must not be started although the spec asks for it."""
    last = record.rollout
    if last and last.against == revision.name:
        return True
    if last and not last.is_active and last.revision == revision.name:
        return last.outcome in DECLINED and last.retry_at is None
    return revision.outcome in DECLINED and not (last and last.is_active and last.revision == revision.name)


def recovered(observed: Observed, record: Record) -> Record:
    """With stable found again from labels and traffic where the status was lost."""
    if observed.revision(record.stable):
        return record
    if record.active:
        return replace(record, stable=record.active.origin) if observed.revision(record.active.origin) else record
    labelled = [item for item in observed.revisions if item.role == "Stable" and item.workload]
    weights = observed.route.weights if observed.route else {}
    routed = sorted(
        (item for item in observed.revisions if weights.get(item.name)), key=lambda item: weights[item.name]
    )
    selected = [item for item in observed.revisions if observed.is_selected_alone(item.name) and item.ready]
    found = [*selected, *routed, *labelled]
    stable = found[-1] if found else None
    return replace(record, stable=stable.name if stable else "", refresh=record.refresh or _recalled(observed, stable))


def _recalled(observed: Observed, stable: Revision | None) -> Refresh | None:
    """The refresh that was under way, or that failed, where the status was lost."""
    number = stable.number if stable else 0
    newer = [item for item in observed.revisions if item.refresh and item.number > number]
    last = next((item for item in reversed(newer) if item.role == "Candidate" or item.outcome in _REMEMBERED), None)
    return Refresh(id=last.refresh, spec_hash=revisions.identity(last.source)) if last else None


def carried(observed: Observed, record: Record, source: Manifest) -> Record:
    """With the refresh that is still to come meant for the fields of an edit; one that is over stays behind."""
    said, spec_hash = record.refresh, revisions.identity(source)
    if said is None or said.spec_hash == spec_hash:
        return record
    kept = replace(said, spec_hash=spec_hash) if _is_to_come(observed, record, said) else None
    return replace(record, refresh=kept)


def _is_to_come(observed: Observed, record: Record, said: Refresh) -> bool:
    """Whether no revision with this refresh was promoted, failed or was taken back yet."""
    stable, active = observed.revision(record.stable), record.active
    made = next((item for item in reversed(observed.revisions) if item.refresh == said.id), None)
    if not said.id or (stable and stable.refresh == said.id):
        return False
    if made is None:
        return True
    is_going_back = active is not None and active.revision == made.name and active.state is StepState.ROLLING_BACK
    return not (is_going_back or declined(record, made))


def decided(scene: Scene, wanted: Wanted) -> Record:
    """With a rollout begun, superseded or turned back where the spec asks for it."""
    scene = scene.knowing(_followed(scene.record, wanted))
    record, rollout, target = scene.record, scene.rollout, wanted.existing
    if rollout is not None and scene.candidate is None and wanted.name != rollout.revision:
        return finished(scene, rollout, Outcome.SUPERSEDED, "Superseded", "Its ControllerRevision was deleted")
    is_way_back = rollout is not None and target is not None and target.name == record.stable
    if target is None or (wanted.blocked and not is_way_back) or scene.is_suspended:
        return record
    if rollout is None:
        return _begun(scene, target)
    if target.name in (rollout.revision, rollout.against):
        return record
    if rollout.state is StepState.ROLLING_BACK:
        return _let_go(scene, rollout) if target.name != record.stable else record
    if target.name == record.stable:
        return replace(
            record,
            rollout=turned_back(
                replace(rollout, by=writer(scene)), Outcome.ROLLED_BACK, "SpecReverted", "The spec went back to it"
            ),
        )
    giving_way = replace(rollout, by=writer(scene))
    ended = finished(scene, giving_way, Outcome.SUPERSEDED, "Superseded", "A newer spec took its place")
    if _serves_unpromoted(scene):
        ended = replace(ended, stable=rollout.revision)
    return started(scene, ended, target, source=Source.SPEC, by=writer(scene))


def _followed(record: Record, wanted: Wanted) -> Record:
    """Without what an undo was against, once the spec asks for something else: it may be asked for again."""
    last = record.rollout
    is_over = last is not None and last.against not in ("", wanted.name)
    return replace(record, rollout=replace(last, against="")) if last and is_over else record


def _let_go(scene: Scene, rollout: Rollout) -> Record:
    """A newer spec does not wait for a stable revision without a ready pod to take the traffic back (42)."""
    if scene.stable is None or scene.stable.ready:
        return scene.record
    return finished(scene, rollout, Outcome(rollout.outcome), rollout.reason, rollout.message)


def _serves_unpromoted(scene: Scene) -> bool:
    """Whether a first revision answers somebody already, though its gateway has not confirmed that yet."""
    candidate = scene.candidate
    return scene.stable is None and candidate is not None and candidate.ready > 0 and scene.is_in_use(candidate)


def _begun(scene: Scene, target: Revision) -> Record:
    record, last = scene.record, scene.record.rollout
    if target.name == record.stable or declined(record, target) or scene.spec.rollout.paused:
        return record
    is_again = last is not None and last.revision == target.name and last.retry_at is not None
    if is_again and last and last.retry_at:
        if scene.observed.now < last.retry_at:
            return record
        return started(scene, record, target, source=Source.RETRY, by=last.by, attempt=last.attempt + 1)
    if record.refresh and _is_refresh(scene, target):
        return started(scene, record, target, source=Source.REFRESH, by=record.refresh.by)
    return started(scene, record, target, source=Source.SPEC, by=writer(scene))


def _is_refresh(scene: Scene, target: Revision) -> bool:
    """Whether only the runtime differs from what serves."""
    stable = scene.stable
    is_other = stable is not None and stable.refresh != target.refresh
    return bool(is_other and stable and revisions.is_same(stable.source, target.source))


def writer(scene: Scene) -> str:
    """Who wrote the spec last, as far as the API server knows; empty where it does not."""
    manager = scene.observed.owner.writers.get("spec", "")
    return f"{manager} (field manager)" if manager else ""


def started(
    scene: Scene, record: Record, target: Revision, *, source: Source, by: str, attempt: int = 0, against: str = ""
) -> Record:
    """With a new rollout of the target; revisions kept warm from before give up their pods."""
    now = scene.observed.now
    stable = scene.observed.revision(record.stable)
    rollout = Rollout(
        id=following(replace(scene, record=record)),
        revision=target.name,
        origin=record.stable,
        against=against,
        strategy=_strategy(scene, stable, source),
        source=source,
        started_at=now,
        step_started_at=now,
        progress_at=now,
        base=stable.replicas if stable else 0,
        by=by,
        attempt=attempt,
    )
    return replace(record, rollout=rollout, retire_at=_hastened(scene, record, target))


def following(scene: Scene) -> int:
    """The number of the next rollout: above all that are remembered anywhere."""
    last, lines = scene.record.rollout, scene.record.history
    return 1 + max([last.id if last else 0, *scene.observed.plans, *(line.id for line in lines)])


def _hastened(scene: Scene, record: Record, target: Revision) -> Mapping[str, datetime]:
    """Deadlines without the bake: a rollout needs the room of what was only kept warm, once that has drained."""
    last, now = record.rollout, scene.observed.now
    is_warm = last is not None and last.finished_at is not None
    drained = {last.origin: last.finished_at + scene.strategy.drain} if last and is_warm and last.finished_at else {}
    found = {
        name: min(until, max(now, drained[name])) if name in drained else until
        for name, until in record.retire_at.items()
        if name != target.name
    }
    return MappingProxyType(found)


def _strategy(scene: Scene, stable: Revision | None, source: Source) -> Strategy:
    if stable is None:
        return Strategy.INITIAL
    if source in (Source.UNDO, Source.BAKE):
        return Strategy.RETURN
    return Strategy(scene.spec.rollout.strategy)


def baked(scene: Scene) -> Record:
    """Back to the former revision, which is still warm, where the promoted one proves harmful during its bake."""
    last, promoted, record = scene.record.rollout, scene.baking, scene.record
    found = _harm(scene, promoted) if promoted else None
    former = scene.observed.revision(last.origin) if last else None
    if last is None or former is None or found is None:
        return record
    back = started(scene, record, former, source=Source.BAKE, by="", against=last.revision)
    assert back.rollout is not None
    return replace(back, rollout=replace(back.rollout, reason=found.reason, message=found.message))


def _harm(scene: Scene, promoted: Revision) -> Trouble | None:
    worst = scene.judgement
    if worst is not None and worst.verdict is Verdict.FAIL:
        return Trouble(reason="AnalysisFailed", message=worst.message)
    return trouble.unhealthy(promoted)


def turned_back(rollout: Rollout, outcome: Outcome, reason: str, message: str) -> Rollout:
    """On its way back to stable; it ends once no request can reach the candidate."""
    return replace(
        rollout,
        state=StepState.ROLLING_BACK,
        outcome=outcome,
        reason=reason,
        message=message,
        is_paused_by_command=False,
        paused_at=None,
    )


def dated(scene: Scene) -> Record:
    """With the moment at which a rollout turned back."""
    rollout, now = scene.record.rollout, scene.observed.now
    is_back = rollout is not None and rollout.state is StepState.ROLLING_BACK and rollout.turned_back_at is None
    if rollout is None or not is_back or rollout.finished_at not in (None, now):
        return scene.record
    return replace(scene.record, rollout=replace(rollout, turned_back_at=now))


def finished(scene: Scene, rollout: Rollout, outcome: Outcome, reason: str, message: str) -> Record:
    """With the rollout ended and its pods, or those of the former stable, given a time to go."""
    now = scene.observed.now
    ended = replace(rollout, outcome=outcome, reason=reason, message=message, finished_at=now)
    leaving = rollout.origin if outcome in (Outcome.PROMOTED, Outcome.FAST_PROMOTED) else rollout.revision
    record = scene.record.finish(ended, len(scene.steps))
    if leaving and outcome is not Outcome.SUPERSEDED:
        until = scene.observed.rounded_up + _stay(scene, outcome)
        record = replace(record, retire_at=_retiring(scene, record, leaving, until))
    return record


def retired(scene: Scene) -> Record:
    """With a time to go for every revision that nothing needs any more, counted from when its traffic was gone."""
    record = scene.record
    found = {}
    for revision in scene.others:
        until = record.retire_at.get(revision.name)
        if not revision.replicas or scene.is_in_use(revision):
            continue
        if until is not None:
            found[revision.name] = until
        elif scene.is_programmed or scene.is_unrouted:
            found[revision.name] = scene.observed.rounded_up + scene.strategy.drain + _preview_ends(scene, revision)
    return record if found == record.retire_at else replace(record, retire_at=MappingProxyType(found))


def _preview_ends(scene: Scene, revision: Revision | None) -> timedelta:
    """How long requests may still come through a preview that goes in this pass: nobody reports on a deleted route."""
    is_shown = revision is not None and scene.observed.is_previewed(revision)
    return scene.strategy.settle if is_shown else timedelta(0)


def _retiring(scene: Scene, record: Record, leaving: str, until: datetime) -> Mapping[str, datetime]:
    """Deadlines of revisions that still have pods; the others need none."""
    alive = {item.name for item in scene.observed.revisions if item.replicas}
    kept = {name: when for name, when in record.retire_at.items() if name in alive}
    return MappingProxyType(kept | ({leaving: until} if leaving in alive else {}))


def _stay(scene: Scene, outcome: Outcome) -> timedelta:
    """How long pods stay after their traffic has gone.

    Without a gateway the pods of a candidate that was taken back go at once: their end closes kept-alive connections.
    """
    strategy = scene.strategy
    if outcome in (Outcome.PROMOTED, Outcome.FAST_PROMOTED):
        is_kept = scene.keeps_stable and scene.rollout is not None and scene.rollout.strategy is not Strategy.RETURN
        return strategy.drain + (strategy.bake_time if is_kept else timedelta(0))
    return strategy.drain + _preview_ends(scene, scene.candidate) if scene.observed.has_gateway else timedelta(0)
