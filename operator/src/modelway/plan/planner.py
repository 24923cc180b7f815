"""From what is observed to what to do: the one entry of the decisions. Pure.

wanted     which revision the spec asks for
obeyed     what people commanded
decided    whether a rollout begins, is superseded or turns back
advanced   where the rollout goes next
actions    the writes that follow
"""

from collections.abc import Mapping
from dataclasses import replace

from modelway.plan import (
    births,
    children,
    counts,
    engine,
    fallback,
    gateways,
    inquiries,
    orders,
    reach,
    rollouts,
    shadowing,
    trial,
    trouble,
    unreadable,
)
from modelway.plan.actions import Action, Counts, Plan
from modelway.plan.births import Wanted
from modelway.plan.observed import Observed
from modelway.plan.scene import Scene
from modelway.plan.trouble import Trouble
from modelway.resources import revision
from modelway.resources.metadata import Parent


def plan(observed: Observed) -> Plan:
    """The decision of one pass. Planning again after everything was done gives an empty plan."""
    if observed.owner.is_deleting:
        return Plan(record=observed.record)
    if observed.spec is None:
        return _unreadable(observed)
    parent = Parent(namespace=observed.owner.namespace, name=observed.owner.name, uid=observed.owner.uid)
    record = rollouts.recovered(observed, observed.record)
    record = rollouts.carried(observed, record, revision.source(observed.spec, parent.name))
    wanted = births.wanted(observed, record, parent)
    scene = Scene(observed=observed, spec=observed.spec, parent=parent, record=record)
    scene = scene.knowing(orders.obeyed(scene, wanted))
    if scene.record.refresh != record.refresh:
        wanted = births.wanted(observed, scene.record, parent)
    reasons = (
        wanted.blocked,
        reach.blocked(scene, wanted),
        gateways.unmirrored(replace(scene, mirror=shadowing.asked(scene))),
        inquiries.blocked(scene, wanted.existing),
    )
    wanted = replace(wanted, blocked=next(filter(None, reasons), None))
    scene = scene.knowing(rollouts.decided(scene, wanted))
    scene = replace(scene, archive=trial.gathered(scene))
    judged = replace(scene, judgements=trial.judged(scene))
    scene = judged.knowing(rollouts.baked(judged))
    scene = scene.knowing(engine.advanced(scene))
    scene = scene.knowing(rollouts.dated(scene))
    archive, mirror = trial.closed(judged, scene), shadowing.mirror(scene)
    scene = replace(scene, record=rollouts.retired(scene), archive=archive, mirror=mirror)
    return _decision(scene, wanted)


def _unreadable(observed: Observed) -> Plan:
    """The decision over a spec that cannot be read; how many pods it wants nobody knows."""
    scene, blocked = unreadable.scene(observed), Trouble(reason="InvalidSpec", message=observed.invalid)
    if scene is None:
        return Plan(record=observed.record, weight=observed.status.get("weight", 100), blocked=blocked)
    return Plan(
        record=scene.record,
        actions=unreadable.actions(scene),
        wake=engine.wake(scene),
        weight=scene.weight_of(scene.candidate) if scene.candidate else 100,
        blocked=blocked,
        traffic_trouble=_traffic_trouble(scene),
    )


def _decision(scene: Scene, wanted: Wanted) -> Plan:
    candidate, stable, pods = scene.candidate, scene.stable, counts.of(scene)
    return Plan(
        record=scene.record,
        actions=_actions(scene, wanted, pods),
        wake=engine.wake(scene),
        hold_until=engine.hold_until(scene),
        awaits_approval=engine.awaits_approval(scene),
        desired=wanted.name,
        weight=scene.weight_of(candidate) if candidate else 100,
        counts=Counts(
            desired=scene.total,
            stable=pods[stable.name] if stable else 0,
            candidate=pods[candidate.name] if candidate else 0,
        ),
        blocked=wanted.blocked,
        trouble=trouble.of_revision(candidate) if candidate else None,
        stable_trouble=trouble.of_revision(stable) if stable else None,
        traffic_trouble=_traffic_trouble(scene),
        inquiry=inquiries.inquiry(scene),
        archive=scene.archive,
        judgements=scene.judgements or (),
        notes=fallback.notes(scene),
    )


def _actions(scene: Scene, wanted: Wanted, pods: Mapping[str, int]) -> tuple[Action, ...]:
    born = births.actions(scene.observed, wanted.birth) if wanted.birth else ()
    return (*children.actions(scene, wanted, pods), *born)


def _traffic_trouble(scene: Scene) -> Trouble | None:
    """What keeps a decided weight from holding."""
    for route in (scene.observed.route, scene.observed.preview_route):
        if scene.observed.has_gateway and route is not None and not route.is_programmed:
            name = route.manifest["metadata"]["name"]
            message = route.message or f"The gateway has not reported on the route {name} yet"
            return Trouble(reason=route.trouble or "RouteNotProgrammed", message=message)
    rollout = scene.rollout
    if rollout is None or scene.observed.has_gateway or reach.step_pods(scene) > 0:
        return None
    return reach.unreachable(scene.carrying, rollout.step, scene.step.weight)
