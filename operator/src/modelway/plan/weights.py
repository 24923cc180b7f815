"""Who gets which share of the traffic now; recomputed from the state at every pass. Pure."""

from collections.abc import Mapping

from modelway.plan import capacity, counts
from modelway.plan.record import StepState, Strategy
from modelway.plan.scene import Scene

UNION = ""
"""The selection of the model's own Service that takes in every revision."""


def weights(scene: Scene) -> Mapping[str, int] | None:
    """Percent by revision for the route; None leaves the route as it is.

    Invariants: 1 (no weight on emptiness), 3 (never above the step), 4 (raised only with capacity). Where stable has no
    ready pod and the candidate has one, the candidate gets everything (42).
    """
    stable, candidate = scene.stable, scene.candidate
    if candidate is None or candidate.ready == 0:
        return {stable.name: 100} if stable and stable.ready else None
    if stable is None or stable.ready == 0:
        return {candidate.name: 100}
    weight = _candidate_weight(scene, stable.ready, candidate.ready)
    shares = {stable.name: 100 - weight, candidate.name: weight}
    return {name: share for name, share in shares.items() if share}


def _candidate_weight(scene: Scene, stable_ready: int, candidate_ready: int) -> int:
    current = scene.weight_of(scene.candidate)
    granted = scene.granted
    full = 100 * candidate_ready // scene.total if scene.is_gradual else capacity.share(candidate_ready, scene.total)
    raised = min(granted, full)
    wanted = max(raised, min(current, granted))
    left = 100 - capacity.share(stable_ready, scene.total)
    return max(wanted, min(current, left))


def selection(scene: Scene) -> str | None:
    """The revision that the model's own Service selects, UNION for all of them; None leaves it as it is.

    It changes by union, then subset (invariant 7b). With a gateway it serves stable and moves only at promotion;
    without one it is the split itself.
    """
    stable, candidate, rollout = scene.stable, scene.candidate, scene.rollout
    if rollout is None or candidate is None:
        return stable.name if stable else None
    if stable is None:
        return candidate.name
    if rollout.state is StepState.ROLLING_BACK:
        return stable.name if stable.ready or not candidate.ready else None
    if scene.observed.has_gateway:
        return _moved(scene, candidate.name) if rollout.state is StepState.PROMOTING else stable.name
    return _split(scene, stable.name, candidate.name)


def _split(scene: Scene, stable: str, candidate: str) -> str | None:
    """Without a gateway: nothing, then a share of the pods, then all."""
    rollout, ready = scene.rollout, scene.candidate.ready if scene.candidate else 0
    assert rollout is not None
    if not scene.granted:
        return stable
    if not ready:
        return None if scene.is_union else stable
    is_whole = scene.granted == 100 and ready >= scene.total
    if is_whole and (scene.is_union or scene.observed.is_selected_alone(candidate)):
        return candidate
    if any(item.pods for item in scene.others):
        return None
    reachable = scene.is_gradual or scene.granted == 100 or counts.step_pods(scene) > 0
    return UNION if reachable else stable


def _moved(scene: Scene, candidate: str) -> str | None:
    """At promotion behind a gateway: first both, then, once that has settled, the new one alone."""
    rollout = scene.rollout
    assert rollout is not None
    if scene.observed.is_selected_alone(candidate):
        return candidate
    if not scene.is_union:
        return None if any(item.pods for item in scene.others) else UNION
    is_settled = rollout.settled_at and scene.observed.now >= rollout.settled_at + scene.strategy.settle
    return candidate if is_settled or rollout.strategy is Strategy.RETURN else UNION
