"""Whose fields are whose: Git sees no difference at any moment, and what others add to children stays."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from modelway import kinds, names
from modelway.kinds import Kind, Manifest
from simulation import beginnings as b
from simulation import models
from simulation.beginnings import Beginning, world_of
from simulation.stories import TWO_STEPS, installed, reach, serves_alone, upgrade

SIDECAR = {"name": "proxy", "image": "example.com/proxy:1"}


def own_fields(manifest: Manifest) -> Manifest:
    """What Git, Helm and kubectl hold of a ModelDeployment."""
    kept = ("labels", "annotations", "finalizers", "ownerReferences")
    return {"spec": manifest["spec"], **{key: manifest["metadata"].get(key) for key in kept}}


@pytest.mark.parametrize("beginning", b.ALL, ids=lambda beginning: beginning.__name__)
def test_64_git_sees_no_difference_at_any_moment(beginning: Beginning) -> None:
    world = world_of(beginning)
    writes = [write for write in world.server.writes if write.kind == kinds.MODEL_DEPLOYMENT]
    assert {write.verb for write in writes} == {"status"}
    for write in writes:
        assert write.before
        assert write.sent
        assert own_fields(write.sent) == own_fields(write.before)


def add_sidecar(deployment: Manifest) -> None:
    deployment["spec"]["template"]["spec"]["containers"].append(copy.deepcopy(SIDECAR))


def add_label(child: Manifest) -> None:
    child["metadata"]["labels"]["team"] = "risk"


def add_annotation(child: Manifest) -> None:
    child["metadata"].setdefault("annotations", {})["example.com/checked"] = "yes"


def add_finalizer(child: Manifest) -> None:
    child["metadata"]["finalizers"] = ["example.com/backup"]


ADDITIONS: list[Any] = [
    pytest.param(kinds.DEPLOYMENT, add_sidecar, id="a container of a Deployment"),
    *(
        pytest.param(kind, add, id=f"{kind} {add.__name__}")
        for kind in (kinds.DEPLOYMENT, kinds.SERVICE, kinds.CONTROLLER_REVISION)
        for add in (add_label, add_annotation, add_finalizer)
    ),
]


@pytest.mark.parametrize(("kind", "add"), ADDITIONS)
def test_64_what_others_add_to_a_child_stays_through_a_rollout(kind: Kind, add: Callable[[Manifest], None]) -> None:
    world = installed(TWO_STEPS)
    name = world.revision_of("v1")
    world.change(kind, name, add)
    added = world.store.find(kind, models.NAMESPACE, name)
    assert added is not None
    upgrade(world, "v2")
    reach(world, 1, "Holding")
    world.command("abort")
    world.run_to_phase("RolledBack")
    world.run_for(60)
    serves_alone(world, "v1")
    after = world.store.find(kind, models.NAMESPACE, name)
    assert after is not None
    again = copy.deepcopy(after)
    add(again)
    assert _without_doubles(again) == after


def _without_doubles(manifest: Manifest) -> Manifest:
    """Adding what is there already changes nothing."""
    containers = manifest.get("spec", {}).get("template", {}).get("spec", {}).get("containers", [])
    if containers.count(SIDECAR) > 1:
        containers.remove(SIDECAR)
    return manifest


def test_64_the_operator_owns_no_count_and_nothing_that_others_set() -> None:
    world = installed(TWO_STEPS)
    name = world.revision_of("v1")
    for kind in (kinds.DEPLOYMENT, kinds.SERVICE):
        world.change(kind, name, add_label)
    upgrade(world, "v2")
    world.run_to_phase("Healthy")
    world.run_for(300)
    ours = f"{names.FIELD_MANAGER}/Apply"
    for kind in (kinds.DEPLOYMENT, kinds.SERVICE):
        found = world.store.find(kind, models.NAMESPACE, name)
        assert found is not None
        owners = world.server.owners
        assert owners.managers(found["metadata"]["uid"], ("metadata", "labels", "team")) == {"somebody/Update"}
        assert ours in owners.managers(found["metadata"]["uid"], ("metadata", "labels", names.ROLE_LABEL))
    for deployment in world.store.all(kinds.DEPLOYMENT):
        assert ours not in world.server.owners.managers(deployment["metadata"]["uid"], ("spec", "replicas"))


def test_64_no_child_gets_a_finalizer_and_each_has_its_owner() -> None:
    world = b.undone()
    for kind in (*kinds.CHILD_KINDS, kinds.HTTP_ROUTE):
        for child in world.store.all(kind):
            assert "finalizers" not in child["metadata"], child["metadata"]["name"]
            owners = child["metadata"]["ownerReferences"]
            assert kind == kinds.POD or [owner["uid"] for owner in owners] == [world.model()["metadata"]["uid"]]
