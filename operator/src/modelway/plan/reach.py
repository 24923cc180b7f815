"""How many candidate pods make the share of a step, and which shares can be had at all without a gateway. Pure."""

from modelway.api.rollout import LAST
from modelway.plan import capacity
from modelway.plan.births import Wanted
from modelway.plan.record import Strategy
from modelway.plan.scene import STEPPED, Scene
from modelway.plan.trouble import Trouble


def step_pods(scene: Scene) -> int:
    """Candidate pods that the present step asks for."""
    weight = LAST.weight if scene.is_at_once else scene.step.weight
    if scene.observed.has_gateway or weight == LAST.weight or scene.is_gradual:
        return max(1, capacity.need(min(LAST.weight, weight + _shadowed(scene)), scene.carrying))
    if weight == 0:
        return 1
    found = min(capacity.pods_within(weight, scene.carrying), scene.budget - scene.carrying)
    return max(found, int(is_coarse_allowed(scene)))


def _shadowed(scene: Scene) -> int:
    """Percent of the requests that the candidate answers a second time, for the comparator."""
    shadow = scene.strategy.shadow
    return shadow.percent if shadow and scene.rollout and scene.rollout.strategy in STEPPED else 0


def enough_pods(scene: Scene) -> int:
    """Candidate pods with which the step is had: as many as it asks for, or as the ready pods of stable allow (42)."""
    return min(step_pods(scene), most_pods(scene))


def is_coarse_allowed(scene: Scene) -> bool:
    """Whether the user consents to a share above the step's weight; also in the middle of a rollout."""
    return "Allow" in (scene.strategy.coarse_weights, scene.spec.rollout.coarse_weights)


def most_pods(scene: Scene) -> int:
    """Candidate pods that may be added without a gateway: their share is counted beside other pods that are ready."""
    weight, ready = scene.step.weight, scene.serving.ready if scene.serving else 0
    if scene.observed.has_gateway or scene.is_gradual or weight in (0, 100) or not ready:
        return scene.total
    return max(capacity.pods_within(weight, ready), int(is_coarse_allowed(scene)))


def blocked(scene: Scene, wanted: Wanted) -> Trouble | None:
    """Why a canary must not even be started: its first share cannot be had."""
    target, rollout = wanted.existing, scene.spec.rollout
    is_due = scene.rollout is None and target is not None and target.name != scene.record.stable
    if not is_due or scene.stable is None or scene.is_suspended or is_coarse_allowed(scene):
        return None
    if rollout.strategy != Strategy.CANARY.value:
        return None
    beside = scene.total - (scene.surge == 0)
    steps = ((index, step.weight) for index, step in enumerate(rollout.steps) if step.weight or not beside)
    index, weight = next(steps, (0, LAST.weight))
    if weight == LAST.weight or (beside and scene.observed.has_gateway) or capacity.pods_within(weight, beside):
        return None
    return unreachable(beside, index, weight)


def unreachable(beside: int, step: int, weight: int) -> Trouble:
    """The reason in figures, and the ways out; `beside`: pods that carry the traffic when the candidate gets one."""
    if beside == 0:
        message = (
            "Without surge the candidate takes the place of the only pod and has all of the traffic, more than the "
            f"{weight} % of step {step + 1}: allow it with rollout.coarseWeights: Allow, or raise maxSurge or replicas"
        )
    else:
        message = (
            f"Without a gateway one candidate pod beside {beside} is {100 // (beside + 1)} % of the traffic, "
            f"more than the {weight} % of step {step + 1}: allow it with rollout.coarseWeights: Allow, raise the "
            "weight or replicas, or name a gateway in traffic.parentRefs"
        )
    return Trouble(reason="WeightNotReachable", message=message)
