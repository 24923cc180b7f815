"""How a rollout goes on where there is no room for more pods: stable makes room for those of the candidate. Pure."""

from dataclasses import replace
from datetime import datetime, timedelta

from modelway.plan.record import Rollout, StepState, Strategy
from modelway.plan.scene import Scene

PATIENCE = timedelta(minutes=1)
"""How long a pod may find no node until there counts as none: pods of others may be ending, nodes may be coming."""


def taken(scene: Scene, rollout: Rollout) -> Rollout:
    """With that decided for the rest of the rollout, where it is due and the user consents."""
    moment = due(scene.at(rollout))
    return replace(rollout, is_replacing=True) if moment and moment <= scene.observed.now else rollout


def due(scene: Scene) -> datetime | None:
    """When the candidate's pods will have waited long enough; None where none waits, or where the rollout waits too."""
    rollout = scene.rollout
    is_allowed = "Replace" in (scene.strategy.capacity_fallback, scene.spec.rollout.capacity_fallback)
    if rollout is None or scene.candidate is None or not is_allowed or scene.is_replacing:
        return None
    if rollout.strategy is Strategy.INITIAL or rollout.state is StepState.ROLLING_BACK:
        return None
    since = (pod.unschedulable_since for pod in scene.candidate.pods)
    return min((moment + PATIENCE for moment in since if moment), default=None)


def notes(scene: Scene) -> tuple[str, ...]:
    """What a person should know about a rollout that starts no pod beside stable's."""
    rollout, candidate = scene.rollout, scene.candidate
    if rollout is None or candidate is None or not scene.is_replacing or rollout.state is StepState.ROLLING_BACK:
        return ()
    cause = "No node has room for more pods" if rollout.is_replacing else "maxSurge is 0"
    if scene.carrying:
        return (f"{cause}: stable gives up a pod before the candidate gets one",)
    if candidate.ready:
        return (f"{cause}: the candidate took the place of the only pod and has all of the traffic",)
    return (f"{cause}: the candidate takes the place of the only pod, and nothing answers until it is ready",)
