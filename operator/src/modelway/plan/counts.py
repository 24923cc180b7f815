"""How many pods each revision should have now: claims on one budget, the most urgent first. Pure.

| claim   | stable                       | candidate                         | any other                 |
|---------|------------------------------|-----------------------------------|---------------------------|
| held    | has what its traffic needs   | has that, or what its step needs  | has, until its time to go |
| traffic | what its traffic needs       |                                   |                           |
| step    |                              | what the present step asks for    |                           |
| warmth  | N, to go back in seconds     | on its way back: has              |                           |

What is held stays whatever the budget says, so that no traffic loses its pods (17). Everything else gets what those
before it leave of N + surge, and pods are started only where what is asked for at this moment leaves room, not what
will be when others have gone (18). A revision without a lock has one pod: the first one decides which bytes all others
must have.
"""

from collections.abc import Callable, Mapping

from modelway.plan import capacity, reach, weights
from modelway.plan.observed import Revision
from modelway.plan.record import StepState
from modelway.plan.scene import Scene


def of(scene: Scene) -> Mapping[str, int]:
    """The count wanted now for each revision, by name."""
    none = dict.fromkeys((item.name for item in scene.observed.revisions), 0)
    if scene.is_suspended:
        return none
    claimants = _claimants(scene)
    found = _within_room(scene, claimants, _granted(scene, claimants))
    return none | {item.name: _locked(item, found[item.name]) for item in claimants}


def _claimants(scene: Scene) -> tuple[Revision, ...]:
    """Who may have pods, in the order in which they are served: stable, candidate, any other that has some."""
    first = (item for item in (scene.stable, scene.candidate) if item is not None)
    return (*first, *(item for item in scene.others if item.replicas))


def _granted(scene: Scene, claimants: tuple[Revision, ...]) -> Mapping[str, int]:
    """What the budget grants each in the end."""
    granted = {item.name: min(item.asked, _held(scene, item)) for item in claimants}
    for claim in _CLAIMS:
        for item in claimants:
            more = min(claim(scene, item) - granted[item.name], scene.budget - sum(granted.values()))
            granted[item.name] += max(0, more)
    return granted


def _within_room(scene: Scene, claimants: tuple[Revision, ...], granted: Mapping[str, int]) -> Mapping[str, int]:
    """What of that can be had now: pods are started only beside those that are still there."""
    revisions, now = scene.observed.revisions, scene.observed.now
    room = scene.budget - sum(item.asked + item.lingering(now) for item in revisions)
    found = {}
    for item in claimants:
        more = max(0, min(granted[item.name] - item.asked, room))
        found[item.name] = min(granted[item.name], item.asked + more)
        room -= more
    return found


def _locked(revision: Revision, count: int) -> int:
    """One pod until the bytes are known; but a lock that somebody deletes takes no pods away."""
    if revision.lock or revision.source["model"].get("digest"):
        return count
    return min(count, max(1, revision.replicas))


def _held(scene: Scene, revision: Revision) -> int:
    """Of the pods that it has, those that it keeps whoever else may need the room.

    The last one of stable goes only after the promotion, when it has drained.
    """
    if _is_candidate(scene, revision):
        scheduled = sum(not pod.unschedulable for pod in revision.pods)
        return max(_carried(scene, revision), min(_step(scene, revision), scheduled))
    if revision.name == scene.record.stable:
        is_left = scene.candidate is not None and scene.carrying > 0 and revision.ready > 0
        return max(_carried(scene, revision), int(is_left))
    return _retired(scene, revision)


def _retired(scene: Scene, revision: Revision) -> int:
    """All while it may have traffic, drains or is kept warm; but one that serves instead of stable makes room."""
    until = scene.record.retire_at.get(revision.name)
    if scene.serving is revision and scene.candidate is not None and not scene.keeps_stable:
        return _carried(scene, revision)
    return revision.asked if until is None or scene.observed.now < until else 0


def _traffic(scene: Scene, revision: Revision) -> int:
    """A candidate starts no pods for more traffic than its step gives it: stable may be back in a moment."""
    return _carried(scene, revision) if revision.name == scene.record.stable else 0


def _carried(scene: Scene, revision: Revision) -> int:
    """Pods that its traffic needs, now and after this pass; until it is certain how much that is, all that it has."""
    if not scene.is_programmed or not (scene.observed.has_gateway or scene.observed.selected):
        return min(revision.asked, scene.total)
    if scene.observed.has_gateway:
        decided = (weights.weights(scene) or {}).get(revision.name, 0)
        return capacity.need(max(decided, scene.weight_of(revision)), scene.carrying)
    return max(_shared(scene, revision, _selected(scene)), _shared(scene, revision, weights.selection(scene)))


def _selected(scene: Scene) -> str:
    """What the model's own Service selects, as `weights.selection` says it."""
    alone = (item.name for item in scene.observed.revisions if scene.observed.is_selected_alone(item.name))
    return next(alone, weights.UNION)


def _shared(scene: Scene, revision: Revision, selection: str | None) -> int:
    """Pods that it needs in a selection beside the one that it shares the traffic with; a third one needs none."""
    pair = {item.name: item.ready for item in (scene.serving, scene.candidate) if item is not None}
    if selection is None or revision.name not in pair or selection not in (revision.name, weights.UNION):
        return 0
    if selection == revision.name:
        return scene.carrying
    others = sum(pair.values()) - pair[revision.name]
    # Where one pod takes the place of the only other, neither is owed to the traffic.
    return min(scene.carrying, max(scene.carrying - others, int(revision.ready > 0)))


def _step(scene: Scene, revision: Revision) -> int:
    rollout = scene.rollout
    if rollout is None or not _is_candidate(scene, revision) or rollout.state is StepState.ROLLING_BACK:
        return 0
    if scene.stable is None:
        return scene.total
    if scene.is_frozen:
        return revision.asked
    return min(reach.step_pods(scene), max(revision.asked, reach.most_pods(scene)))


def _warmth(scene: Scene, revision: Revision) -> int:
    candidate, rollout = scene.candidate, scene.rollout
    if revision.name == scene.record.stable:
        is_frozen = scene.is_frozen and candidate is not None
        least = max(revision.asked, scene.total - candidate.asked) if is_frozen and candidate else scene.total
        return min(scene.total, least)
    is_leaving = rollout is not None and rollout.state is StepState.ROLLING_BACK
    return revision.asked if is_leaving and _is_candidate(scene, revision) else 0


def _is_candidate(scene: Scene, revision: Revision) -> bool:
    return scene.rollout is not None and scene.rollout.revision == revision.name


_CLAIMS: tuple[Callable[[Scene, Revision], int], ...] = (_traffic, _step, _warmth)
