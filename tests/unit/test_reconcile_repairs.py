"""Edits that take something back, retries with other golden requests, and hands that others lay on our objects."""

import json
from typing import Any

import pytest

from modelway import kinds
from modelway.kinds import Manifest
from simulation import models
from simulation.stories import TWO_STEPS, installed, rest
from simulation.world import World

TRAFFIC = models.GATEWAY | {
    "timeouts": {"request": "10s"},
    "filters": [{"type": "ResponseHeaderModifier", "responseHeaderModifier": {"remove": ["a"]}}],
}


def route(world: World) -> Manifest:
    """The spec of the model's route."""
    found = world.store.find(kinds.HTTP_ROUTE, models.NAMESPACE, "fraud")
    assert found is not None
    spec: Manifest = found["spec"]
    return spec


@pytest.mark.parametrize("field", ["timeouts", "filters", "hostnames"])
def test_10_what_a_user_takes_back_leaves_the_route(field: str) -> None:
    world = installed(TWO_STEPS, traffic=TRAFFIC)
    place = route(world) if field == "hostnames" else route(world)["rules"][0]
    assert all(item in place[field] for item in TRAFFIC[field])
    world.edit(traffic={key: value for key, value in TRAFFIC.items() if key != field})
    world.run_for(60)
    place = route(world) if field == "hostnames" else route(world)["rules"][0]
    assert not any(item in place[field] for item in TRAFFIC[field])
    assert rest(world) == 0


METRICS = [{"type": "ContainerResource", "containerResource": {"name": "cpu", "container": "model", "target": {}}}]
AUTOSCALING: Manifest = {
    "minReplicas": 2,
    "maxReplicas": 4,
    "metrics": METRICS,
    "behavior": {"scaleUp": {"policies": []}},
}


def test_10_what_a_user_takes_back_leaves_the_autoscaler() -> None:
    world = installed(TWO_STEPS, replicas=None, autoscaling=AUTOSCALING)
    world.run_for(60)
    world.edit(autoscaling={"minReplicas": 2, "maxReplicas": 4})
    world.run_for(60)
    (found,) = world.store.all(kinds.HORIZONTAL_POD_AUTOSCALER, models.NAMESPACE)
    assert found["spec"]["metrics"][0]["type"] == "Resource"
    assert found["spec"]["behavior"]["scaleUp"]["policies"]
    assert rest(world) == 0


def golden(world: World, version: str) -> list[Manifest]:
    """The golden requests that the pods of a version see."""
    found = world.store.find(kinds.CONFIG_MAP, models.NAMESPACE, f"{world.revision_of(version)}-golden")
    assert found is not None
    requests: list[Manifest] = json.loads(found["data"]["requests.json"])
    return requests


OTHER = [models.GOLDEN[0] | {"name": "corrected"}]
VALIDATIONS: list[Any] = [
    pytest.param({"requests": OTHER}, ["corrected"], id="corrected"),
    pytest.param(None, [], id="taken-away"),
    pytest.param({"file": "golden.jsonl"}, [], id="moved-into-the-folder"),
]


@pytest.mark.parametrize(("validation", "requests"), VALIDATIONS)
def test_a_retry_of_a_candidate_asks_the_present_golden_requests(
    validation: Manifest | None, requests: list[str]
) -> None:
    world = installed(TWO_STEPS, validation={"requests": models.GOLDEN})
    world.script("v2", answers_wrong=True)
    world.edit(model=models.model("v2"))
    world.run_to_phase("RolledBack")
    world.run_for(60)
    world.edit(validation=validation)
    world.script("v2")
    world.command("retry")
    world.run_to_phase("Healthy", within=900)
    assert [request["name"] for request in golden(world, "v2")] == requests


def test_a_retry_is_not_judged_by_the_pods_of_the_last_try() -> None:
    world = installed(TWO_STEPS)
    world.script("v2", load_failure="ModelLoadFailed")
    world.edit(model=models.model("v2"))
    world.run_to_phase("RolledBack")
    world.command("retry")
    world.run_for(5)
    assert world.rollout()["lastCommand"]["result"] == "Rejected"
    world.script("v2")
    world.run_for(60)
    world.command("retry", value='{"verb": "retry", "id": "2"}')
    world.run_to_phase("Healthy", within=900)


def test_a_retry_of_the_first_revision_asks_the_present_golden_requests() -> None:
    world = World()
    world.script("v1", answers_wrong=True)
    world.apply(models.spec("v1", rollout=TWO_STEPS, validation={"requests": models.GOLDEN}))
    world.run_for(60)
    assert world.condition("RevisionFailed")["reason"] == "GoldenRequestFailed"
    world.edit(validation={"requests": OTHER})
    world.command("retry")
    world.run_for(2)
    assert world.rollout()["lastCommand"]["result"] == "Accepted"
    assert [request["name"] for request in golden(world, "v1")] == ["corrected"]
    world.script("v1")
    world.run_to_phase("Healthy", within=900)


def test_45_an_emptied_lock_is_written_again_and_costs_no_loop() -> None:
    world = installed(TWO_STEPS)
    name = f"{world.revision_of('v1')}-lock"
    world.change(kinds.CONFIG_MAP, name, lambda item: item.pop("data"))
    world.run_for(60)
    found = world.store.find(kinds.CONFIG_MAP, models.NAMESPACE, name)
    assert found is not None
    assert found["data"]["digest"].startswith("sha256:")
    assert rest(world) == 0


def add_sidecar(deployment: Manifest) -> None:
    """What an injector does to a Deployment."""
    deployment["spec"]["template"]["spec"]["containers"].append({"name": "proxy", "image": "proxy:1"})


def add_variable(deployment: Manifest) -> None:
    """What a reloader does to a Deployment."""
    containers = deployment["spec"]["template"]["spec"]["containers"]
    containers[0]["env"].append({"name": "RELOADED", "value": "1"})


@pytest.mark.parametrize("edit", [add_sidecar, add_variable])
def test_64_what_others_add_to_a_deployment_stays_and_costs_no_loop(edit: Any) -> None:
    world = installed(TWO_STEPS)
    world.change(kinds.DEPLOYMENT, world.revision_of("v1"), edit)
    world.run_for(60)
    world.run_to_phase("Healthy", within=900)
    assert rest(world) == 0
    found = world.store.find(kinds.DEPLOYMENT, models.NAMESPACE, world.revision_of("v1"))
    assert any(word in json.dumps(found) for word in ("proxy:1", "RELOADED"))


def test_48_an_abort_in_both_annotations_is_answered_once_each() -> None:
    world = installed(TWO_STEPS)
    world.edit(model=models.model("v2"))
    world.run_to_phase("Paused")
    world.command("abort")
    world.command("abort", value="2")
    world.run_to_phase("RolledBack")
    live = world.model()
    annotations = live["metadata"]["annotations"] | {"serving.modelway.io/command": "abort"}
    world.store.replace(
        kinds.MODEL_DEPLOYMENT, live, live | {"metadata": live["metadata"] | {"annotations": annotations}}
    )
    world.run_for(60)
    assert rest(world) == 0


ANNOTATIONS: list[Any] = [
    pytest.param("abort", "9" * 900, id="huge-number"),
    pytest.param("abort", "²", id="a-digit-that-is-no-number"),
    pytest.param("promote", json.dumps({"verb": "promote", "rollout": 10**30}), id="huge-rollout"),
    pytest.param("promote", '{"verb": "\\ud800"}', id="half-a-letter"),
    pytest.param("promote", "{" + "[" * 1000, id="deep"),
]


@pytest.mark.parametrize(("verb", "value"), ANNOTATIONS)
def test_48_no_annotation_stops_the_operator(verb: str, value: str) -> None:
    world = installed(TWO_STEPS)
    world.command(verb, value=value)
    world.run_for(5)
    assert world.process.errors == []
    world.edit(model=models.model("v2"))
    world.run_to_phase("Healthy", within=900)
