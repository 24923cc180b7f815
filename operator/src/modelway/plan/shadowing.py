"""Whether answers of both revisions are compared now, and what that takes beside the route. Pure.

Up: the comparator's Service and Deployment, then, once it is ready, the mirror in the route. Down: the mirror, then the
comparator. Nobody waits for an answer to a mirrored request, so nothing needs to drain.
"""

from collections.abc import Iterator

from modelway import kinds
from modelway.analysis.inquiry import Target
from modelway.plan import writes
from modelway.plan.actions import Action
from modelway.plan.record import StepState
from modelway.plan.scene import STEPPED, Scene
from modelway.resources import comparator
from modelway.resources.comparator import METRICS_PORT, Comparison
from modelway.resources.traffic import Mirror

_OVER = (StepState.PROMOTING, StepState.ROLLING_BACK)


def comparison(scene: Scene) -> Comparison | None:
    """What is compared in the rollout under way; None where nothing is."""
    rollout, stable, shadow = scene.rollout, scene.stable, scene.strategy.shadow
    if rollout is None or stable is None or shadow is None or scene.candidate is None:
        return None
    if rollout.strategy not in STEPPED or rollout.state in _OVER or scene.is_suspended:
        return None
    if not scene.observed.has_gateway or not scene.observed.features.runtime_image:
        return None
    return Comparison(
        parent=scene.parent,
        rollout=rollout.id,
        stable=stable.name,
        candidate=rollout.revision,
        shadow=shadow,
        image=scene.observed.features.runtime_image,
    )


def asked(scene: Scene) -> Mirror | None:
    """The mirror that the spec asks for, to be checked before a rollout begins."""
    shadow = scene.spec.rollout.shadow
    return Mirror(service="", percent=shadow.percent) if shadow and scene.observed.has_gateway else None


def mirror(scene: Scene) -> Mirror | None:
    """Where requests are copied to now: only to a comparator that is ready, while the candidate and stable are."""
    found = comparison(scene)
    if found is None or scene.tried is None or scene.stable is None or not scene.stable.ready:
        return None
    return Mirror(service=found.name, percent=found.shadow.percent) if _is_ready(scene, found) else None


def _is_ready(scene: Scene, found: Comparison) -> bool:
    pair = scene.observed.comparators.get(found.name)
    return pair is not None and pair.is_ready


def target(scene: Scene) -> Target | None:
    """Where its figures are read; None while there is none."""
    found = comparison(scene)
    if found is None or not _is_ready(scene, found):
        return None
    return Target(pod=found.name, address=f"{found.host}:{METRICS_PORT}", revision="")


def raised(scene: Scene) -> Iterator[Action]:
    """The comparator, where one is wanted and the candidate can answer."""
    found = comparison(scene)
    if found is None or scene.tried is None:
        return
    pair = scene.observed.comparators.get(found.name)
    note = f"compare {found.candidate} with {found.stable}"
    yield from writes.ensured(kinds.SERVICE, pair.service if pair else None, comparator.service(found), note)
    yield from writes.ensured(kinds.DEPLOYMENT, pair.deployment if pair else None, comparator.deployment(found), note)


def removed(scene: Scene) -> Iterator[Action]:
    """Comparators that no rollout needs, once the route has no mirror to them."""
    found = comparison(scene)
    for name, pair in scene.observed.comparators.items():
        if found is not None and name == found.name:
            continue
        for kind, manifest in ((kinds.DEPLOYMENT, pair.deployment), (kinds.SERVICE, pair.service)):
            if manifest is not None:
                yield writes.delete(kind, manifest, "nothing is compared any more")
