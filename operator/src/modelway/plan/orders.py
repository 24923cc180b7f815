"""What a command does to the record. Pure."""

from collections.abc import Callable
from dataclasses import replace

from modelway.plan import commands, obstacles, rollouts, trouble
from modelway.plan.births import Wanted
from modelway.plan.commands import Command, Verb
from modelway.plan.observed import Revision
from modelway.plan.record import Outcome, Record, Refresh, Rollout, Source, StepState, Strategy
from modelway.plan.scene import Scene
from modelway.resources import revision

Effect = tuple[Record, str, str]
"""The record afterwards, why the command was refused (or empty), and what it did."""


def obeyed(scene: Scene, wanted: Wanted) -> Record:
    """With the new command, if there is one, carried out or refused; each is answered once."""
    command = commands.pending(scene.observed, scene.record)
    if command is None:
        return commands.seen(scene.observed, scene.record)
    refusal = commands.refusal(command, scene.observed, scene.record)
    if refusal:
        return commands.answered(scene.observed, scene.record, command, refusal, "")
    record, refusal, effect = _VERBS[Verb(command.verb)](scene, wanted, command)
    return commands.answered(scene.observed, record, command, refusal, effect)


def _active(scene: Scene) -> Rollout:
    assert scene.rollout is not None
    return scene.rollout


def _author(scene: Scene, command: Command) -> str:
    return commands.author(command, scene.observed)


def _taken_back(scene: Scene, command: Command, reason: str, verb: str) -> Rollout:
    """The rollout under way, turned back by a person."""
    by = _author(scene, command)
    rollout = replace(_active(scene), by=by)
    return rollouts.turned_back(rollout, Outcome.ABORTED, reason, f"{verb} {by or 'command'}")


def _promote(scene: Scene, _: Wanted, command: Command) -> Effect:
    rollout = _active(scene)
    if rollout.state in (StepState.ROLLING_BACK, StepState.PROMOTING):
        return scene.record, f"The rollout is {rollout.state} already", ""
    analysis = "; its analysis decides" if scene.analysis else ""
    return (
        replace(scene.record, rollout=replace(rollout, is_approved=True, by=_author(scene, command))),
        "",
        f"Step {rollout.step + 1} is approved{analysis}",
    )


def _promote_full(scene: Scene, _: Wanted, command: Command) -> Effect:
    rollout = _active(scene)
    if rollout.state in (StepState.ROLLING_BACK, StepState.PROMOTING):
        return scene.record, f"The rollout is {rollout.state} already", ""
    moved = replace(rollout, is_full=True, is_paused_by_command=False, by=_author(scene, command))
    return replace(scene.record, rollout=moved), "", "Holds and approvals are skipped"


def _abort(scene: Scene, _: Wanted, command: Command) -> Effect:
    rollout = _active(scene)
    if scene.stable is None:
        return scene.record, "There is no stable revision to go back to", ""
    if rollout.state is StepState.ROLLING_BACK:
        return scene.record, "The rollout is going back already", ""
    back = _taken_back(scene, command, "UserAbort", "Aborted by")
    return replace(scene.record, rollout=back), "", f"Traffic goes back to {scene.stable.name}"


def _pause(scene: Scene, _: Wanted, __: Command) -> Effect:
    if _active(scene).state is StepState.ROLLING_BACK:
        return scene.record, "The rollout is going back: nothing stops that", ""
    rollout = replace(_active(scene), is_paused_by_command=True)
    return replace(scene.record, rollout=rollout), "", "The rollout stays where it is"


def _resume(scene: Scene, _: Wanted, __: Command) -> Effect:
    if scene.spec.rollout.paused:
        return scene.record, "spec.rollout.paused is true: set it to false", ""
    if not _active(scene).is_paused_by_command:
        return scene.record, "The rollout is not paused", ""
    rollout = replace(_active(scene), is_paused_by_command=False)
    return replace(scene.record, rollout=rollout), "", "The rollout goes on"


def _retry(scene: Scene, wanted: Wanted, command: Command) -> Effect:
    target = wanted.existing
    if scene.rollout is not None and scene.rollout.strategy is not Strategy.INITIAL:
        return scene.record, "A rollout is under way: abort it first", ""
    if target is None or target.name == scene.record.stable:
        return scene.record, "There is nothing to retry: the spec's revision serves", ""
    former = trouble.of_revision(target)
    if scene.stable is not None and former and former.is_verdict:
        return scene.record, "Its pods of the last try are still there: ask again in a minute", ""
    last = scene.record.rollout
    record = replace(scene.record, rollout=replace(last, against="") if last else None)
    if scene.rollout is not None:
        giving_way = replace(scene.rollout, by=_author(scene, command))
        record = rollouts.finished(scene, giving_way, Outcome.SUPERSEDED, "Superseded", "A retry took its place")
    begun = rollouts.started(scene, record, target, source=Source.RETRY, by=_author(scene, command))
    return begun, "", f"{target.name} is tried again"


def _undo(scene: Scene, wanted: Wanted, command: Command) -> Effect:
    target = _undo_target(scene, wanted, command)
    if isinstance(target, str):
        return scene.record, target, ""
    is_taken_back = wanted.name != target.name and obstacles.is_meant(scene, target)
    meant = replace(scene, record=_meaning(scene, target.refresh, command)) if is_taken_back else scene
    if target.name == scene.record.stable:
        return _undo_under_way(meant, target, command, "A refresh is taken back" if is_taken_back else "")
    record, by = meant.record, _author(scene, command)
    if scene.rollout is not None:
        giving_way = replace(scene.rollout, by=by)
        record = rollouts.finished(meant, giving_way, Outcome.SUPERSEDED, "UserUndo", "An undo took its place")
    against = wanted.name if wanted.name != target.name and not is_taken_back else ""
    begun = rollouts.started(scene, record, target, source=Source.UNDO, by=by, against=against)
    return begun, "", f"Going back to revision {target.number} ({target.name})"


def _undo_under_way(scene: Scene, target: Revision, command: Command, effect: str) -> Effect:
    """Towards the revision that serves. `effect`: what the command has done already."""
    rollout = scene.rollout
    if rollout is None or rollout.state is StepState.ROLLING_BACK:
        serves = f"Revision {target.number} serves already"
        return (scene.record, "", f"{effect}: {serves}") if effect else (scene.record, serves, "")
    back = _taken_back(scene, command, "UserUndo", "Undone by")
    return replace(scene.record, rollout=back), "", f"Traffic goes back to {target.name}"


def _undo_target(scene: Scene, wanted: Wanted, command: Command) -> Revision | str:
    """The revision to go back to, or why there is none."""
    revisions, stable = scene.observed.revisions, scene.stable
    if command.revision is not None:
        kept = ", ".join(str(item.number) for item in revisions)
        found = next((item for item in revisions if item.number == command.revision), None)
        return found or f"Revision {command.revision} is not kept; kept are {kept}"
    is_refresh = stable is not None and stable.name != wanted.name and obstacles.is_meant(scene, stable)
    if stable is not None and (is_refresh or scene.rollout is not None):
        return stable
    if not scene.record.former:
        return "There is no earlier revision to go back to"
    before = scene.observed.revision(scene.record.former)
    return before or "The revision before this one is not kept: name one with --to-revision"


def _refresh(scene: Scene, wanted: Wanted, command: Command) -> Effect:
    refusal = obstacles.to_refresh(scene, wanted, command)
    if refusal:
        return scene.record, refusal, ""
    identity = command.id or f"rollout-{rollouts.following(scene)}"
    return _meaning(scene, identity, command), "", "The present runtime is taken over"


def _meaning(scene: Scene, refresh: str, command: Command) -> Record:
    """With the fields of the spec meant with that refresh of their runtime."""
    spec_hash = revision.identity(revision.source(scene.spec, scene.parent.name))
    return replace(scene.record, refresh=Refresh(id=refresh, spec_hash=spec_hash, by=_author(scene, command)))


_VERBS: dict[Verb, Callable[[Scene, Wanted, Command], Effect]] = {
    Verb.PROMOTE: _promote,
    Verb.PROMOTE_FULL: _promote_full,
    Verb.ABORT: _abort,
    Verb.PAUSE: _pause,
    Verb.RESUME: _resume,
    Verb.RETRY: _retry,
    Verb.UNDO: _undo,
    Verb.REFRESH: _refresh,
}
