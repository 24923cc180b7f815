"""Which shares can be had without a gateway, where they are counted in pods. Pure."""

from modelway.plan import capacity, counts
from modelway.plan.births import Wanted
from modelway.plan.record import Strategy
from modelway.plan.scene import Scene
from modelway.plan.trouble import Trouble


def blocked(scene: Scene, wanted: Wanted) -> Trouble | None:
    """Why a canary must not even be started: its first share is smaller than one pod."""
    steps, target = scene.spec.rollout.steps, wanted.existing
    is_due = scene.rollout is None and target is not None and target.name != scene.record.stable
    if not is_due or scene.observed.has_gateway or scene.stable is None or scene.is_suspended or not steps:
        return None
    if scene.spec.rollout.strategy != Strategy.CANARY.value or counts.is_coarse_allowed(scene):
        return None
    index, weight = next(((index, step.weight) for index, step in enumerate(steps) if step.weight), (0, 100))
    is_reachable = weight == 100 or capacity.pods_within(weight, scene.total) > 0
    return None if is_reachable else unreachable(scene, index, weight)


def unreachable(scene: Scene, step: int, weight: int) -> Trouble:
    """The reason in figures, and the ways out."""
    message = (
        f"Without a gateway one candidate pod beside {scene.total} is {100 // (scene.total + 1)} % of the traffic, "
        f"more than the {weight} % of step {step + 1}: allow it with rollout.coarseWeights: Allow, raise the "
        "weight or replicas, or name a gateway in traffic.parentRefs"
    )
    return Trouble(reason="WeightNotReachable", message=message)
