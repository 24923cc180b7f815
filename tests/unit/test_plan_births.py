"""Which runtime a revision is born with, and what is found before it is."""

from typing import Any

import pytest

from modelway import kinds
from modelway.api import ModelDeploymentSpec
from modelway.cluster.snapshot import Snapshot
from modelway.kinds import Manifest
from modelway.observe import observe
from modelway.plan import births
from modelway.plan.observed import Features, Observed
from modelway.plan.trouble import Trouble
from simulation import models
from simulation.stories import installed, upgrade
from simulation.world import World


def runtime(name: str, *formats: str, kind: str = "ClusterModelRuntime", priority: int = 0) -> Manifest:
    """A runtime that serves these formats."""
    listed = [{"name": item, "priority": priority} for item in formats]
    template = {"spec": {"containers": [{"name": "model", "image": name}]}}
    return {"kind": kind, "metadata": {"name": name}, "spec": {"formats": listed, "template": template}}


def seen(*runtimes: Manifest, spec: Manifest | None = None, gateway: bool = True) -> Observed:
    """A model and the runtimes of its cluster."""
    metadata = {"name": "fraud", "namespace": "payments", "uid": "u", "resourceVersion": "1"}
    snapshot = Snapshot(
        owner={"metadata": metadata, "spec": spec or models.spec(gateway=False)}, children={}, runtimes=runtimes
    )
    return observe(snapshot, now=World().clock(), epoch=1, features=Features(gateway=gateway, runtime_image=""))


RESOLVED: list[Any] = [
    pytest.param([runtime("a", "onnx")], {}, "a", id="the-only-one"),
    pytest.param([runtime("a", "torch"), runtime("b", "onnx")], {}, "b", id="by-format"),
    pytest.param([runtime("a", "onnx"), runtime("b", "onnx", priority=1)], {}, "b", id="by-priority"),
    pytest.param([runtime("b", "onnx"), runtime("a", "onnx")], {}, "a", id="by-name"),
    pytest.param(
        [runtime("a", "onnx", priority=9), runtime("b", "onnx", kind="ModelRuntime", priority=-9)],
        {},
        "b",
        id="the-namespace-first",
    ),
    pytest.param([runtime("a", "onnx", priority=9), runtime("b", "onnx")], {"name": "b"}, "b", id="by-reference"),
    pytest.param(
        [runtime("a", "onnx"), runtime("a", "torch", kind="ModelRuntime")],
        {"name": "a", "kind": "ModelRuntime"},
        "a",
        id="by-kind-and-name",
    ),
]


@pytest.mark.parametrize(("runtimes", "reference", "name"), RESOLVED)
def test_the_runtime_is_named_or_the_best_that_lists_the_format(
    runtimes: list[Manifest], reference: Manifest, name: str
) -> None:
    spec = models.spec(gateway=False) | ({"runtime": {"ref": reference}} if reference else {})
    found = births.resolve(seen(*runtimes), ModelDeploymentSpec.model_validate(spec))
    assert not isinstance(found, Trouble)
    assert (found.name, found.kind) == (name, reference.get("kind", found.kind))


MISSING: list[Any] = [
    pytest.param([], {}, "known formats: none", id="none-at-all"),
    pytest.param([runtime("a", "torch", "keras")], {}, "known formats: keras, torch", id="none-for-the-format"),
    pytest.param([runtime("a", "onnx")], {"name": "b"}, "ClusterModelRuntime b does not exist", id="reference"),
    pytest.param(
        [runtime("b", "onnx")],
        {"name": "b", "kind": "ModelRuntime"},
        "ModelRuntime b does not exist",
        id="reference-of-another-kind",
    ),
]


@pytest.mark.parametrize(("runtimes", "reference", "says"), MISSING)
def test_54_a_missing_runtime_is_named(runtimes: list[Manifest], reference: Manifest, says: str) -> None:
    spec = models.spec(gateway=False) | ({"runtime": {"ref": reference}} if reference else {})
    found = births.resolve(seen(*runtimes), ModelDeploymentSpec.model_validate(spec))
    assert isinstance(found, Trouble)
    assert found.reason == "RuntimeNotFound"
    assert says in found.message


def test_54_a_gateway_that_the_cluster_lacks_is_found_before_anything_starts() -> None:
    world = World(has_gateway=False)
    world.apply(models.spec("v1"))
    world.run_for(60)
    assert world.condition("Stalled")["reason"] == "FeatureNotSupported"
    assert world.condition("TrafficProgrammed")["reason"] == "FeatureNotSupported"
    assert {write.verb for write in world.server.writes} == {"status"}


KEPT: list[Any] = [
    pytest.param({"model": {"version": "v2"}}, False, id="another-model"),
    pytest.param({"runtime": {"args": ["--verbose"]}}, False, id="other-arguments"),
    pytest.param({"runtime": {"refresh": "now"}}, True, id="refresh"),
    pytest.param({"runtime": {"ref": {"name": "modelway"}}}, True, id="a-reference"),
]


@pytest.mark.parametrize(("change", "is_taken_over"), KEPT)
def test_31_a_changed_runtime_is_taken_over_only_when_asked_for(change: Manifest, is_taken_over: bool) -> None:
    world = installed(models.rolling())

    def renew(item: Manifest) -> None:
        item["spec"]["template"]["spec"]["containers"][0]["image"] = "example.com/new:2"

    world.change(kinds.CLUSTER_MODEL_RUNTIME, "modelway", renew)
    world.run_for(60)
    assert len(world.store.all(kinds.CONTROLLER_REVISION)) == 1
    assert world.status()["runtime"]["outdated"] is True
    upgrade(
        world, "v1", **{key: value for key, value in change.items() if key != "model"}, model=change.get("model", {})
    )
    world.run_to_phase("Healthy", within=900)
    assert len(world.store.all(kinds.CONTROLLER_REVISION)) == 2
    assert (world.status()["runtime"]["image"] == "example.com/new:2") == is_taken_over
    assert world.status()["runtime"]["outdated"] != is_taken_over


def test_a_runtime_that_a_later_operator_recorded_gives_way_to_the_present_one() -> None:
    world = installed()

    def extend(item: Manifest) -> None:
        item["data"]["runtime"]["spec"]["novelty"] = True

    world.change(kinds.CONTROLLER_REVISION, world.revision_of("v1"), extend)
    upgrade(world, "v2")
    world.run_to_phase("Healthy")
    assert world.version_of(world.status()["stableRevision"]["name"]) == "v2"
