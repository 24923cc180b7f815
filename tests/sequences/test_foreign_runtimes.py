"""Runtimes that cannot do all that ours can: a gate does it for them, and what needs figures is refused."""

from typing import Any

import pytest

from modelway import kinds
from modelway.kinds import Manifest
from simulation import models
from simulation.stories import TWO_STEPS, judged, reach, rest, serves_alone, upgrade
from simulation.world import World

FOREIGN: Manifest = {
    "formats": [{"name": "onnx"}],
    "ports": {"http": 8080, "grpc": 8081},
    "capabilities": {},
    "template": {"spec": {"containers": [{"name": "model", "image": "example.com/mlserver:1"}]}},
}
ERRORS: Manifest = {"name": "errors", "builtin": "ErrorRate", "max": 0.01}
AUC: Manifest = {"name": "auc", "prometheus": {"address": "http://prometheus:9090", "query": "auc"}, "min": 0.9}


def foreign(rollout: Manifest = TWO_STEPS, **fields: Any) -> World:
    """A cluster in which v1 of a foreign runtime is applied."""
    world = World()
    world.change(kinds.CLUSTER_MODEL_RUNTIME, "modelway", lambda item: item.update(spec=FOREIGN))
    world.apply(models.spec("v1", rollout=rollout, validation={"requests": models.GOLDEN}, **fields))
    return world


def serving(**fields: Any) -> World:
    """The same once it serves."""
    world = foreign(**fields)
    world.run_to_phase("Healthy")
    return world


def test_a_foreign_version_is_promoted_once_its_gate_lets_it_pass() -> None:
    world = serving()
    upgrade(world, "v2")
    world.run_to_phase("Healthy")
    serves_alone(world, "v2")


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        pytest.param({"answers_wrong": True}, "GoldenRequestFailed", id="golden"),
        pytest.param({"load_failure": "WarmupFailed"}, "WarmupFailed", id="warmup"),
        pytest.param({"crashes": True}, "CrashLoop", id="crash"),
    ],
)
def test_35_what_a_gate_finds_takes_the_candidate_back(script: dict[str, Any], reason: str) -> None:
    world = serving()
    world.oracle.expects_no_outage = True
    world.script("v2", **script)
    upgrade(world, "v2")
    world.run_to_phase("RolledBack")
    world.run_for(90)
    assert world.condition("RevisionFailed")["reason"] == reason
    serves_alone(world, "v1")


def test_the_gate_is_asked_how_far_a_foreign_candidate_is() -> None:
    world = serving()
    world.script("v2", load=60)
    upgrade(world, "v2")
    reach(world, 0, "Loading")
    world.run_for(10)
    asked = world.process.asker.asked((models.NAMESPACE, "fraud"))
    assert asked is not None
    assert [target.address for target in asked.targets] == ["10.0.0.1:8002"]
    reach(world, 0, "Holding")
    assert world.process.asker.asked((models.NAMESPACE, "fraud")) is None


def test_a_pod_that_its_gate_holds_back_is_not_warmed() -> None:
    world = serving()
    world.script("v2", answers_wrong=True)
    upgrade(world, "v2")
    reach(world, 0, "Loading")
    world.run_for(60)
    assert min(item["replicas"].get("warmed", 0) for item in world.status()["revisions"]) == 0


def test_figures_that_no_pod_gives_are_refused_when_the_spec_is_applied() -> None:
    """Before a pod starts, and not at the first step that would have needed them."""
    world = foreign(judged(ERRORS))
    rest(world, 60)
    stalled = world.condition("Stalled")
    assert stalled["reason"] == "FeatureNotSupported"
    assert "errors needs ErrorRate, which ClusterModelRuntime modelway does not give" in stalled["message"]
    assert "use a metric with prometheus or web" in stalled["message"]
    assert world.pods("v1") == []
    world.edit(rollout=judged(AUC))
    world.run_to_phase("Healthy")


@pytest.mark.parametrize("protocol", ["V1", "V2", "Invocations"])
def test_answers_are_compared_in_every_protocol(protocol: str) -> None:
    """The comparator speaks all of them."""
    world = World()
    told = FOREIGN | {"protocols": [protocol]}
    world.change(kinds.CLUSTER_MODEL_RUNTIME, "modelway", lambda item: item.update(spec=told))
    place, able = {"name": "public", "namespace": "gateways"}, [{"name": "HTTPRouteRequestPercentageMirror"}]
    world.store.insert(kinds.GATEWAY, {"metadata": place, "spec": {"gatewayClassName": "test"}})
    reported = {"metadata": {"name": "test"}, "spec": {}, "status": {"supportedFeatures": able}}
    world.store.insert(kinds.GATEWAY_CLASS, reported)
    compared = judged({"name": "answers", "builtin": "Disagreement", "max": 0.02}) | {"shadow": {"percent": 20}}
    world.apply(models.spec("v1", rollout=compared))
    world.run_to_phase("Healthy")


def test_figures_that_no_pod_gives_are_refused_while_stable_serves_on() -> None:
    world = serving()
    world.edit(rollout=judged(ERRORS))
    rest(world, 60)
    assert world.condition("Stalled")["reason"] == "FeatureNotSupported"
    assert world.condition("Available")["status"] == "True"
    upgrade(world, "v2")
    rest(world, 60)
    assert world.condition("Stalled")["reason"] == "FeatureNotSupported"
    serves_alone(world, "v1")
    world.edit(rollout=TWO_STEPS)
    world.run_to_phase("Healthy")
    serves_alone(world, "v2")
