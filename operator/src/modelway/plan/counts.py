"""How many pods each revision should have now. Pure.

Never below what its traffic needs (invariant 17), never more in all than N + surge (18). A revision without a lock
has one pod: the first one decides which bytes all others must have.
"""

from modelway.plan import capacity
from modelway.plan.observed import Revision
from modelway.plan.record import StepState
from modelway.plan.scene import STEPPED, Scene


def of(scene: Scene, revision: Revision) -> int:
    """The count wanted now for that revision."""
    if scene.is_suspended:
        return 0
    if scene.candidate is not None and revision.name == scene.candidate.name:
        return _locked(revision, _candidate(scene, revision))
    if revision.name == scene.record.stable:
        return _locked(revision, _stable(scene, revision))
    return _retired(scene, revision)


def _locked(revision: Revision, count: int) -> int:
    """One pod until the bytes are known; but a lock that somebody deletes takes no pods away."""
    if revision.lock or revision.source["model"].get("digest"):
        return count
    return min(count, max(1, revision.replicas))


def step_pods(scene: Scene) -> int:
    """Candidate pods that the present step asks for."""
    weight = 100 if scene.is_at_once else scene.step.weight
    if scene.observed.has_gateway or weight == 100 or scene.is_gradual:
        return max(1, capacity.need(min(100, weight + _shadowed(scene)), scene.total))
    if weight == 0:
        return 1
    found = min(capacity.pods_within(weight, scene.total), scene.surge)
    return max(found, int(is_coarse_allowed(scene)))


def _shadowed(scene: Scene) -> int:
    """Percent of the requests that the candidate answers a second time, for the comparator."""
    shadow = scene.strategy.shadow
    return shadow.percent if shadow and scene.rollout and scene.rollout.strategy in STEPPED else 0


def is_coarse_allowed(scene: Scene) -> bool:
    """Whether the user consents to a share above the step's weight; also in the middle of a rollout."""
    return "Allow" in (scene.strategy.coarse_weights, scene.spec.rollout.coarse_weights)


def _candidate(scene: Scene, candidate: Revision) -> int:
    rollout = scene.rollout
    assert rollout is not None
    if rollout.state is StepState.ROLLING_BACK:
        return candidate.replicas if scene.keeps_stable else min(candidate.replicas, _carried(scene, candidate))
    if scene.stable is None:
        room = scene.total + scene.surge - sum(item.replicas for item in scene.others)
        return max(0, min(scene.total, max(room, candidate.replicas)))
    if scene.is_frozen:
        return candidate.replicas
    wanted = min(step_pods(scene), max(candidate.replicas, _below_ceiling(scene)))
    taken = max(scene.stable.replicas, _stable(scene, scene.stable)) + sum(item.replicas for item in scene.others)
    count = min(wanted, max(scene.total + scene.surge - taken, candidate.replicas, 0))
    return max(count, min(candidate.replicas, _carried(scene, candidate)))


def _below_ceiling(scene: Scene) -> int:
    """Candidate pods that may be added without a gateway: their share is counted beside other pods that are ready."""
    weight, ready = scene.step.weight, scene.serving.ready if scene.serving else 0
    if scene.observed.has_gateway or scene.is_gradual or weight in (0, 100) or not ready:
        return scene.total
    return max(capacity.pods_within(weight, ready), int(is_coarse_allowed(scene)))


def _stable(scene: Scene, stable: Revision) -> int:
    """Its count beside superseded revisions: while one of them serves, it leaves the room for a candidate."""
    count, others = _stable_alone(scene, stable), sum(item.replicas for item in scene.others)
    room = scene.total + scene.surge - others
    if scene.candidate is None:
        return min(count, max(stable.replicas, room))
    if not others or (stable.ready and not scene.keeps_stable):
        return count
    if scene.serving is not stable:
        return max(0, min(count, room - step_pods(scene)))
    return min(count, max(stable.replicas, room - scene.candidate.replicas))


def _stable_alone(scene: Scene, stable: Revision) -> int:
    rollout = scene.rollout
    if rollout is None or scene.keeps_stable or scene.candidate is None:
        return scene.total
    budget = scene.total + scene.surge
    if rollout.state is StepState.ROLLING_BACK:
        return max(min(scene.total, budget - scene.candidate.replicas), min(stable.replicas, scene.total))
    if scene.is_frozen:
        return min(scene.total, max(stable.replicas, scene.total - scene.candidate.replicas))
    wanted = max(_carried(scene, stable), budget - max(step_pods(scene), scene.surge))
    return max(0, min(scene.total, max(stable.replicas, budget - scene.candidate.replicas), wanted))


def _carried(scene: Scene, revision: Revision) -> int:
    """Pods below which the revision may not fall: what its traffic needs, or all it has until that is programmed."""
    if not scene.is_programmed:
        return revision.replicas
    if scene.observed.has_gateway:
        return capacity.need(scene.weight_of(revision), scene.total)
    is_candidate = scene.candidate is not None and revision.name == scene.candidate.name
    other = scene.serving if is_candidate else scene.candidate
    if not scene.observed.is_selected(revision):
        return 0
    is_shared = scene.is_union and other is not None
    return max(0, scene.total - (other.ready if is_shared and other else 0))


def _retired(scene: Scene, revision: Revision) -> int:
    """What it has while it may have traffic, drains or is kept warm; then nothing."""
    until = scene.record.retire_at.get(revision.name)
    if scene.serving is revision and scene.candidate is not None and not scene.keeps_stable:
        return min(revision.replicas, _carried(scene, revision))
    return revision.replicas if until is None or scene.observed.now < until else 0
