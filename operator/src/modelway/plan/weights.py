"""Who gets which share of the traffic now; recomputed from the state at every pass. Pure."""

from collections.abc import Mapping

from modelway.plan import capacity, reach
from modelway.plan.record import StepState, Strategy
from modelway.plan.scene import Scene

UNION = ""
"""The selection of the model's own Service that takes in every revision."""


def weights(scene: Scene) -> Mapping[str, int] | None:
    """Percent by revision for the route; None leaves the route as it is.

    Invariants: 1 (no weight on emptiness), 3 (never above the step), 4 (raised only with capacity). Where stable has no
    ready pod and the candidate has one, the candidate gets everything (42).
    """
    serving, candidate = scene.serving, scene.candidate
    if candidate is None or candidate.ready == 0:
        return {serving.name: 100} if serving and serving.ready else None
    if serving is None or serving.ready == 0:
        return {candidate.name: 100}
    weight = _candidate_weight(scene, serving.ready, candidate.ready)
    shares = {serving.name: 100 - weight, candidate.name: weight}
    return {name: share for name, share in shares.items() if share}


def _candidate_weight(scene: Scene, serving_ready: int, candidate_ready: int) -> int:
    current, granted = scene.weight_of(scene.candidate), scene.granted
    total = scene.carrying
    full = capacity.reached(candidate_ready, total) if scene.is_gradual else capacity.share(candidate_ready, total)
    raised = 0 if scene.is_at_once and full < granted else min(granted, full)
    wanted = max(raised, min(current, granted, _reached(scene)))
    left = 100 - capacity.share(serving_ready, total)
    return max(wanted, min(current, left))


def _reached(scene: Scene) -> int:
    """Most percent that the rollout can have given so far; what is above it was written by somebody else."""
    if scene.is_at_once:
        return 100 if scene.weight_of(scene.candidate) == 100 else 0
    if scene.rollout is None or not scene.is_gradual:
        return 100
    return capacity.reached(scene.rollout.high_water, scene.carrying)


def selection(scene: Scene) -> str | None:
    """The revision that the model's own Service selects, UNION for all of them; None leaves it as it is.

    It changes by union, then subset (invariant 7b), and whoever has no ready pod takes nothing from one that answers.
    With a gateway it serves stable and moves only at promotion; without one it is the split itself.
    """
    chosen = _chosen(scene)
    if not chosen or not any(item.ready and scene.observed.is_selected(item) for item in scene.observed.revisions):
        return chosen
    revision = scene.observed.revision(chosen)
    if revision is not None and not revision.ready:
        return None
    if scene.is_union or scene.observed.is_selected_alone(chosen):
        return chosen
    return None if _are_others_alive(scene) else UNION


def _are_others_alive(scene: Scene) -> bool:
    """Whether a third revision has pods, which would be selected by the union too."""
    others = (item for item in scene.others if not scene.observed.is_selected(item))
    return any(pod.may_answer(scene.observed.now) for item in others for pod in item.pods)


def _chosen(scene: Scene) -> str | None:
    """Where it should end; but a stable revision without a ready pod takes nothing from one that answers."""
    stable, candidate, rollout = scene.stable, scene.candidate, scene.rollout
    if rollout is None or candidate is None:
        return stable.name if stable else None
    if stable is None:
        return candidate.name
    if rollout.state is StepState.ROLLING_BACK:
        return stable.name
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
    is_whole = scene.granted == 100 and ready >= scene.carrying
    if is_whole and (scene.is_union or scene.observed.is_selected_alone(candidate)):
        return candidate
    if _are_others_alive(scene):
        return None
    reachable = scene.is_gradual or scene.granted == 100 or reach.step_pods(scene) > 0
    return UNION if reachable else stable


def _moved(scene: Scene, candidate: str) -> str | None:
    """At promotion behind a gateway: first both, then, once that has settled, the new one alone."""
    rollout = scene.rollout
    assert rollout is not None
    if scene.observed.is_selected_alone(candidate):
        return candidate
    if not scene.is_union:
        return None if _are_others_alive(scene) else UNION
    is_settled = rollout.settled_at and scene.observed.now >= rollout.settled_at + scene.strategy.settle
    return candidate if is_settled or rollout.strategy is Strategy.RETURN else UNION
