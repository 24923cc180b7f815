"""What goes on while the spec cannot be read: an abort is obeyed, the way back goes on, all else stays. Pure.

Nothing of such a spec is believed. N is what stable has, or had when the rollout began; the route keeps all that is
stored in it but its weights; and who has autoscalers keeps the pods that they gave.
"""

from collections.abc import Iterator
from dataclasses import replace

from pydantic import ValidationError

from modelway import kinds, names
from modelway.api import ModelDeploymentSpec, Rollout
from modelway.kinds import Manifest
from modelway.plan import children, commands, counts, engine, orders, rollouts, weights, writes
from modelway.plan.actions import Action, Apply, Delete, Scale
from modelway.plan.births import Wanted
from modelway.plan.commands import Verb
from modelway.plan.observed import Observed, Revision
from modelway.plan.record import StepState
from modelway.plan.scene import Scene
from modelway.resources import traffic
from modelway.resources.merge import holds
from modelway.resources.metadata import Parent
from modelway.resources.traffic import Division

_NOBODY = Wanted(name="")


def scene(observed: Observed) -> Scene | None:
    """The moment with an abort obeyed and the way back moved on; None where there is nothing to go back to."""
    stable = observed.revision(observed.record.stable)
    spec = _stand_in(observed, stable) if stable else None
    if stable is None or spec is None:
        return None
    parent = Parent(namespace=observed.owner.namespace, name=observed.owner.name, uid=observed.owner.uid)
    found = _obeyed(Scene(observed=replace(observed, spec=spec), spec=spec, parent=parent, record=observed.record))
    if _is_going_back(found) and stable.replicas >= found.total:  # its end forgets how many pods stable had
        found = replace(found, record=engine.advanced(found))
    return replace(found, record=rollouts.retired(found))


def _is_going_back(scene: Scene) -> bool:
    return scene.rollout is not None and scene.rollout.state is StepState.ROLLING_BACK


def actions(scene: Scene) -> tuple[Action, ...]:
    """The writes that bring traffic back to stable, and those that end pods which have none."""
    written = children.actions(scene, _NOBODY, counts.of(scene))
    return (*_route(scene), *(action for action in written if _may_go_on(scene, action)))


def _may_go_on(scene: Scene, action: Action) -> bool:
    """Whether it belongs to the way back, or to the end of a revision that has lost its traffic."""
    is_over = action.name in {item.name for item in scene.others} if isinstance(action, Scale | Delete) else False
    if isinstance(action, Scale):
        is_autoscaled = any(item.autoscaler for item in scene.observed.revisions)
        return is_over or (_is_going_back(scene) and not is_autoscaled)
    if isinstance(action, Delete):
        return is_over and action.kind == kinds.HORIZONTAL_POD_AUTOSCALER
    return _is_going_back(scene) and isinstance(action, Apply) and _is_for_callers(scene, action)


def _is_for_callers(scene: Scene, action: Apply) -> bool:
    """Whether it changes whom the model's own Service selects."""
    return action.kind == kinds.SERVICE and action.manifest["metadata"]["name"] == names.service(scene.parent.name)


def _stand_in(observed: Observed, stable: Revision) -> ModelDeploymentSpec | None:
    """The spec that describes what runs."""
    rollout = observed.record.active
    base = rollout.base if rollout and stable.autoscaler is None else 0
    wish: Manifest = stable.source | {"replicas": max(stable.replicas, base)}
    if observed.route is not None:
        parents = observed.route.manifest["spec"].get("parentRefs", ())
        wish["traffic"] = {"parentRefs": [{"name": reference["name"]} for reference in parents]}
    try:
        spec = ModelDeploymentSpec.model_validate(wish)
    except ValidationError:
        return None
    return spec.model_copy(update={"rollout": observed.planned or Rollout()})


def _obeyed(scene: Scene) -> Scene:
    """With an abort obeyed; every other command waits until the spec can be read."""
    command = commands.pending(scene.observed, scene.record)
    if command is not None and command.verb != Verb.ABORT:
        return scene
    return replace(scene, record=orders.obeyed(scene, _NOBODY))


def _route(scene: Scene) -> Iterator[Action]:
    stored, shares = scene.observed.route, weights.weights(scene)
    if stored is None or not shares or not _is_going_back(scene):
        return
    manifest = traffic.reweighted(scene.parent, stored.manifest, Division(weights=shares, grpc=shares))
    if not holds(stored.manifest["spec"], manifest["spec"]):
        note = "route " + ", ".join(f"{share} % to {name}" for name, share in shares.items())
        yield Apply(kind=kinds.HTTP_ROUTE, manifest=writes.guarded(stored.manifest, manifest), note=note)
