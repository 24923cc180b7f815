"""Nothing to do means no write: converged states, restarts, lost status, deletion, adoption."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from modelway import kinds, names
from modelway.cluster.api import Unreachable
from modelway.kinds import Manifest
from simulation import models
from simulation.stories import GATED, TWO_STEPS, installed, reach, rest, serves_alone, upgrade
from simulation.world import World


def healthy() -> World:
    return installed(TWO_STEPS)


def suspended() -> World:
    return installed(TWO_STEPS, replicas=0)


def awaiting_approval() -> World:
    world = installed(GATED)
    upgrade(world, "v2")
    reach(world, 1, "Holding")
    return world


def rolled_back() -> World:
    world = installed(TWO_STEPS)
    world.script("v2", load_failure="ModelLoadFailed")
    upgrade(world, "v2")
    world.run_to_phase("RolledBack")
    return world


def stalled() -> World:
    world = installed(TWO_STEPS)
    upgrade(world, "v2", model={"format": "torch"})
    world.run_for(30)
    return world


def broken_first() -> World:
    world = World()
    world.script("v1", is_unschedulable=True)
    world.apply(models.spec("v1"))
    world.run_for(700)
    return world


def service_only() -> World:
    return installed(TWO_STEPS, gateway=False)


def autoscaled() -> World:
    return installed(TWO_STEPS, replicas=None, autoscaling={"minReplicas": 2, "maxReplicas": 5})


STATES = [
    healthy,
    suspended,
    awaiting_approval,
    rolled_back,
    stalled,
    broken_first,
    service_only,
    autoscaled,
]


@pytest.mark.parametrize("begin", STATES, ids=lambda state: state.__name__)
def test_61_twenty_passes_over_a_converged_state_write_nothing(begin: Callable[[], World]) -> None:
    world = begin()
    world.run_for(180)
    passes = world.process.passes
    before = len(world.server.writes) + len(world.recorder.events)
    for _ in range(20):
        world.process.add({(models.NAMESPACE, "fraud")})
        world.run_for(5)
    assert world.process.passes >= passes + 20
    assert len(world.server.writes) + len(world.recorder.events) == before, world.picture()


@pytest.mark.parametrize("begin", STATES, ids=lambda state: state.__name__)
def test_61_a_restart_over_a_converged_state_writes_nothing(begin: Callable[[], World]) -> None:
    world = begin()
    world.run_for(180)
    before = len(world.server.writes) + len(world.recorder.events)
    world.crash()
    world.run_for(60)
    assert len(world.server.writes) + len(world.recorder.events) == before, world.picture()


def test_61_a_restart_with_fifty_objects_writes_nothing() -> None:
    world = World()
    for number in range(50):
        gateway = bool(number % 2)
        world.apply(models.spec("v1", gateway=gateway, rollout=TWO_STEPS, replicas=1 + number % 2), f"model-{number}")
    world.run_for(60)
    assert {world.status(f"model-{number}")["phase"] for number in range(50)} == {"Healthy"}
    before, pods = len(world.server.writes), {pod["metadata"]["uid"] for pod in world.pods()}
    world.crash()
    world.run_for(60)
    assert len(world.server.writes) == before
    assert {pod["metadata"]["uid"] for pod in world.pods()} == pods


@pytest.mark.parametrize("seed", [None, *range(4)])
@pytest.mark.parametrize("step", [None, 0, 1], ids=["healthy", "at-10", "at-50"])
def test_66_a_lost_status_is_rebuilt_without_touching_a_pod(step: int | None, seed: int | None) -> None:
    world = installed(TWO_STEPS, seed=seed)
    if step is not None:
        upgrade(world, "v2")
        reach(world, step, "Holding")
    pods = {pod["metadata"]["uid"] for pod in world.pods()}
    world.change(kinds.MODEL_DEPLOYMENT, "fraud", lambda item: item.pop("status"))
    world.crash()
    world.run_for(2)
    assert world.status()["stableRevision"]["name"] == world.revision_of("v1")
    assert {pod["metadata"]["uid"] for pod in world.pods()} >= pods
    world.run_to_phase("Healthy")
    serves_alone(world, "v2" if step is not None else "v1")


def test_66_what_was_taken_back_is_told_also_where_the_status_was_lost() -> None:
    world = rolled_back()
    world.run_for(60)
    world.change(kinds.MODEL_DEPLOYMENT, "fraud", lambda item: item.pop("status"))
    world.crash()
    world.run_for(60)
    assert world.status()["phase"] == "RolledBack"
    assert world.condition("RolledBack")["reason"] == "ModelLoadFailed"
    assert "kubectl modelway retry fraud" in world.status()["message"]
    serves_alone(world, "v1")


PLACES = [
    None,
    *((0, state) for state in ("Scaling", "Loading", "Verifying", "Settling", "Holding")),
    *((1, state) for state in ("Verifying", "Settling", "Holding")),
    *((2, state) for state in ("Scaling", "Loading", "Verifying", "Settling", "Promoting")),
]


@pytest.mark.parametrize("is_operator_gone", [False, True], ids=["operator", "no-operator"])
@pytest.mark.parametrize("where", PLACES)
def test_66_deletion_leaves_nothing_behind_also_without_operator_and_gateway(
    where: tuple[int, str] | None, is_operator_gone: bool
) -> None:
    world = installed(TWO_STEPS)
    if where:
        upgrade(world, "v2")
        reach(world, *where)
    if is_operator_gone:
        world.gateway.is_frozen = True
        world.server.faults.rules.append(lambda *_: Unreachable(0, "Unreachable", "the operator is gone"))
    world.delete()
    world.run_for(60)
    left = [kind.name for kind, _ in world.store.everything() if kind != kinds.CLUSTER_MODEL_RUNTIME]
    assert left == []


def test_66_an_object_that_is_created_again_while_the_old_one_goes_is_a_first_install() -> None:
    world = installed(TWO_STEPS)
    spec = world.model()["spec"]
    world.delete()
    world.apply(spec)
    world.run_to_phase("Healthy")
    world.run_for(60)
    serves_alone(world, "v1")


@pytest.mark.parametrize("step", [None, 0, 1], ids=["healthy", "at-10", "at-50"])
def test_66_orphaned_children_serve_on_and_are_adopted(step: int | None) -> None:
    world = installed(TWO_STEPS)
    if step is not None:
        upgrade(world, "v2")
        reach(world, step, "Holding")
    spec, pods = world.model()["spec"], {pod["metadata"]["uid"] for pod in world.pods()}
    world.delete(orphan=True)
    world.run_for(60)
    assert {pod["metadata"]["uid"] for pod in world.pods()} == pods
    world.apply(spec)
    world.run_to_phase("Healthy")
    assert {pod["metadata"]["uid"] for pod in world.pods()} >= pods
    owners = [
        owner["uid"]
        for kind in (kinds.DEPLOYMENT, kinds.SERVICE, kinds.CONTROLLER_REVISION, kinds.HTTP_ROUTE)
        for child in world.store.all(kind)
        for owner in child["metadata"]["ownerReferences"]
    ]
    assert set(owners) == {world.model()["metadata"]["uid"]}


def test_64_a_foreign_object_of_our_name_is_left_alone_and_named() -> None:
    world = World()
    stranger = {"metadata": {"name": "fraud", "namespace": models.NAMESPACE}, "spec": {"selector": {"a": "b"}}}
    world.store.insert(kinds.SERVICE, copy.deepcopy(stranger))
    world.apply(models.spec("v1"))
    world.run_for(60)
    assert world.condition("Stalled")["reason"] == "Conflict"
    found = world.store.find(kinds.SERVICE, models.NAMESPACE, "fraud")
    assert found is not None
    assert found["spec"] == stranger["spec"]
    world.store.remove(kinds.SERVICE, found)
    world.run_to_phase("Healthy", within=120)
    serves_alone(world, "v1")


def remove(kind: kinds.Kind, name: str) -> Callable[[World], None]:
    def act(world: World) -> None:
        found = world.store.find(kind, models.NAMESPACE, name or world.revision_of("v1"))
        assert found is not None
        world.store.remove(kind, found)

    return act


def edit(kind: kinds.Kind, name: str, change: Callable[[Manifest], Any]) -> Callable[[World], None]:
    return lambda world: world.change(kind, name or world.revision_of("v1"), change)


DAMAGE: list[Any] = [
    pytest.param(remove(kinds.DEPLOYMENT, ""), id="deployment-deleted"),
    pytest.param(remove(kinds.SERVICE, ""), id="revision-service-deleted"),
    pytest.param(remove(kinds.SERVICE, "fraud"), id="service-deleted"),
    pytest.param(remove(kinds.HTTP_ROUTE, "fraud"), id="route-deleted"),
    pytest.param(edit(kinds.DEPLOYMENT, "", lambda item: item["spec"].update(replicas=5)), id="scaled"),
    pytest.param(
        edit(kinds.SERVICE, "fraud", lambda item: item["spec"].update(selector={"a": "b"})), id="service-repointed"
    ),
    pytest.param(
        edit(kinds.HTTP_ROUTE, "fraud", lambda item: item["spec"].update(hostnames=["other.example"])), id="hostname"
    ),
    pytest.param(
        edit(kinds.DEPLOYMENT, "", lambda item: item["metadata"]["labels"].pop(names.MANAGED_BY_LABEL)),
        id="label-removed",
    ),
    pytest.param(
        edit(kinds.HTTP_ROUTE, "fraud", lambda item: item["metadata"]["labels"].pop(names.MANAGED_BY_LABEL)),
        id="route-label-removed",
    ),
]


@pytest.mark.parametrize("damage", DAMAGE)
def test_10_what_others_break_is_repaired_and_then_quiet(damage: Callable[[World], None]) -> None:
    world = installed(TWO_STEPS)
    damage(world)
    world.run_for(60)
    serves_alone(world, "v1")
    assert world.status()["phase"] == "Healthy"
    assert rest(world, 600) == 0
    deployment = world.store.find(kinds.DEPLOYMENT, models.NAMESPACE, world.revision_of("v1"))
    assert deployment is not None
    assert deployment["spec"]["replicas"] == 2
    assert deployment["metadata"]["labels"][names.MANAGED_BY_LABEL] == names.MANAGED_BY


def test_64_labels_and_annotations_of_others_stay() -> None:
    world = installed(TWO_STEPS)

    def tag(item: Manifest) -> None:
        item["metadata"].setdefault("annotations", {})["team"] = "risk"

    for kind in (kinds.DEPLOYMENT, kinds.SERVICE):
        world.change(kind, world.revision_of("v1"), tag)
    upgrade(world, "v2")
    world.run_to_phase("Healthy")
    for kind in (kinds.DEPLOYMENT, kinds.SERVICE):
        found = world.store.find(kind, models.NAMESPACE, world.revision_of("v1"))
        assert found is not None
        assert found["metadata"]["annotations"]["team"] == "risk"


def test_46_old_revisions_go_oldest_first_and_never_one_that_serves() -> None:
    world = installed(TWO_STEPS | {"bake": "0s"}, revisionHistoryLimit=2)
    for number in range(2, 7):
        upgrade(world, f"v{number}")
        world.run_to_phase("Healthy")
        world.run_for(60)
    left = {item["data"]["source"]["model"]["version"] for item in world.store.all(kinds.CONTROLLER_REVISION)}
    assert left == {"v4", "v5", "v6"}
    serves_alone(world, "v6")
