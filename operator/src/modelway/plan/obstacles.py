"""Why a model cannot be refreshed now: what stands in the way, the most general first. Pure."""

from collections.abc import Iterator

from modelway.plan import births, refreshes, rollouts
from modelway.plan.births import Wanted
from modelway.plan.commands import Command
from modelway.plan.observed import Revision
from modelway.plan.record import Outcome
from modelway.plan.scene import Scene
from modelway.plan.trouble import Trouble
from modelway.resources import revision


def to_refresh(scene: Scene, wanted: Wanted, command: Command) -> str:
    """The first obstacle in a sentence; empty where there is none."""
    stable = scene.stable
    if stable is None:
        return "No revision serves yet, so there is none to refresh"
    found = (*_now(scene), *_in_the_spec(scene, wanted, stable), *_in_the_runtime(scene, wanted, stable))
    used = next((item for item in scene.observed.revisions if command.id and item.refresh == command.id), None)
    repeated = f"The id {command.id} made revision {used.number} already: write another one" if used else ""
    return next(iter(found), repeated)


def is_meant(scene: Scene, born: Revision) -> bool:
    """Whether the revision is of the fields that the spec has, whatever its runtime."""
    return revision.is_same(born.source, revision.source(scene.spec, scene.parent.name))


def _now(scene: Scene) -> Iterator[str]:
    if scene.rollout is not None:
        yield f"Rollout {scene.rollout.id} is under way: ask again once it is over"
    if scene.is_suspended:
        yield "replicas is 0: there is no pod to refresh"


def _in_the_spec(scene: Scene, wanted: Wanted, stable: Revision) -> Iterator[str]:
    """What stands between the spec and a rollout of it."""
    if wanted.blocked:
        yield f"Nothing can be started: {wanted.blocked.reason}: {wanted.blocked.message}"
    elif not is_meant(scene, stable):
        yield "The spec asks for another revision than the one that serves: `retry` or `undo` it, or change the spec"
    elif wanted.name != stable.name and not (wanted.existing and rollouts.declined(scene.record, wanted.existing)):
        yield "A refresh waits to begin already"


def _in_the_runtime(scene: Scene, wanted: Wanted, stable: Revision) -> Iterator[str]:
    present = births.resolve(scene.observed, scene.spec)
    if not refreshes.is_outdated(scene.observed, stable):
        name = f"{stable.runtime['kind']} {stable.runtime['name']}"
        yield (
            f"{name} has not changed since revision {stable.number} was born: to start its pods anew all the same, "
            "write a new spec.runtime.refresh"
        )
    elif isinstance(present, Trouble):
        yield f"{present.reason}: {present.message}"
    else:
        tried = [item for item in scene.observed.revisions if item.runtime == present.recorded]
        for item in tried:
            if is_meant(scene, item) and _is_remembered(scene, wanted, item):
                yield f"Revision {item.number} has this runtime and was taken back: `retry` it, or change the runtime"


def _is_remembered(scene: Scene, wanted: Wanted, born: Revision) -> bool:
    """Whether it failed or was aborted, and no undo went back behind it."""
    last = scene.record.rollout
    if wanted.existing and wanted.existing.number < born.number:
        return False
    is_last = last is not None and last.revision == born.name
    outcome, reason = (last.outcome, last.reason) if last and is_last else (born.outcome, born.reason)
    return outcome in (Outcome.FAILED, Outcome.ABORTED) and reason != "UserUndo"
