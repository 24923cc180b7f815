"""The simulated cluster behaves as a real one where the operator relies on it."""

import asyncio
import copy
import json
from collections.abc import Awaitable
from datetime import timedelta
from typing import Any, TypeVar

import pytest

from modelway import kinds, names
from modelway.cluster.api import AlreadyExists, Conflict, Invalid, NotFound
from modelway.kinds import Manifest
from simulation import models
from simulation.actors import Autoscaler, GarbageCollector, Gateway
from simulation.clock import Clock
from simulation.kubelet import Kubelet
from simulation.ownership import assemble, leaves
from simulation.scripts import Script, Scripts
from simulation.selectors import endpoints, is_ready
from simulation.server import Server
from simulation.store import Store
from simulation.workloads import DeploymentController

T = TypeVar("T")
SECOND = timedelta(seconds=1)
LABELS = {
    names.MODEL_LABEL: "fraud",
    names.REVISION_LABEL: "abc",
    names.MANAGED_BY_LABEL: names.MANAGED_BY,
}


def ask(work: Awaitable[T]) -> T:
    async def asked() -> T:
        return await work

    return asyncio.run(asked())


class Bench:
    """The parts of a cluster without an operator."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.store = Store(self.clock)
        self.server = Server(self.store, self.clock)
        self.scripts = Scripts()
        self.kubelet = Kubelet(self.store, self.clock, self.scripts)
        self.workloads = DeploymentController(self.store, self.clock)
        self.gateway = Gateway(self.store, self.clock)
        self.autoscaler = Autoscaler(self.store, self.clock)
        self.garbage = GarbageCollector(self.store, self.clock)
        self.actors = [self.workloads, self.kubelet, self.gateway, self.autoscaler, self.garbage]

    def rest(self) -> None:
        while True in [actor.step() for actor in self.actors]:
            pass

    def run_for(self, seconds: int) -> None:
        for _ in range(seconds):
            self.rest()
            self.clock.advance_to(self.clock().replace(microsecond=0) + SECOND)
        self.rest()

    def pods(self) -> list[Manifest]:
        return self.store.all(kinds.POD)

    def pod(self) -> Manifest:
        (pod,) = self.pods()
        return pod

    def get(self, kind: kinds.Kind, name: str = "fraud-abc") -> Manifest:
        return ask(self.server.get(kind, models.NAMESPACE, name))


@pytest.fixture
def bench() -> Bench:
    return Bench()


def metadata(name: str = "fraud-abc", **more: Any) -> Manifest:
    return {"name": name, "namespace": models.NAMESPACE, "labels": dict(LABELS), **more}


def deployment(replicas: int = 1) -> Manifest:
    environment = [{"name": "MODELWAY_MODEL_URI", "value": models.uri("v1")}]
    pod = {
        "initContainers": [{"name": "fetch", "image": "runtime", "env": environment}],
        "containers": [{"name": "model", "image": "runtime", "env": environment}],
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata(),
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {names.REVISION_LABEL: "abc"}},
            "template": {"metadata": {"labels": dict(LABELS)}, "spec": pod},
        },
    }


def applied(manifest: Manifest, **labels: str) -> Manifest:
    """What the operator applies later: no count, other labels."""
    manifest = copy.deepcopy(manifest)
    manifest["spec"].pop("replicas", None)
    manifest["metadata"]["labels"].update(labels)
    return manifest


def route(**weights: int) -> Manifest:
    backends = [{"name": name.replace("_", "-"), "port": 80, "weight": w} for name, w in weights.items()]
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": metadata("fraud"),
        "spec": {"parentRefs": [{"name": "public"}], "rules": [{"backendRefs": backends}]},
    }


def service(name: str, **selector: str) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(name),
        "spec": {"selector": selector, "ports": [{"port": 80, "targetPort": 8000}]},
    }


def test_a_deployment_that_is_scaled_gets_pods_and_reports_them(bench: Bench) -> None:
    created = ask(bench.server.create(kinds.DEPLOYMENT, deployment(1)))
    bench.run_for(10)
    version = bench.get(kinds.DEPLOYMENT)["metadata"]["resourceVersion"]
    ask(bench.server.scale(kinds.DEPLOYMENT, models.NAMESPACE, "fraud-abc", 3, version))
    bench.rest()
    assert len(bench.pods()) == 3
    assert bench.get(kinds.DEPLOYMENT)["status"]["readyReplicas"] == 1
    bench.run_for(10)
    found = bench.get(kinds.DEPLOYMENT)
    assert found["status"]["readyReplicas"] == 3
    assert found["status"]["observedGeneration"] == found["metadata"]["generation"] == 2
    assert found["metadata"]["uid"] == created["metadata"]["uid"]


def test_surplus_pods_end_after_a_while_and_get_no_requests_meanwhile(bench: Bench) -> None:
    ask(bench.server.create(kinds.DEPLOYMENT, deployment(2)))
    bench.run_for(10)
    version = bench.get(kinds.DEPLOYMENT)["metadata"]["resourceVersion"]
    ask(bench.server.scale(kinds.DEPLOYMENT, models.NAMESPACE, "fraud-abc", 1, version))
    bench.rest()
    ending = [pod for pod in bench.pods() if "deletionTimestamp" in pod["metadata"]]
    assert len(bench.pods()) == 2
    assert len(ending) == 1
    assert not is_ready(ending[0])
    bench.run_for(5)
    assert len(bench.pods()) == 1


def test_the_service_sends_requests_to_ready_pods_of_its_selector_only(bench: Bench) -> None:
    ask(bench.server.create(kinds.DEPLOYMENT, deployment(2)))
    mine = ask(bench.server.create(kinds.SERVICE, service("fraud", **{names.REVISION_LABEL: "abc"})))
    other = ask(bench.server.create(kinds.SERVICE, service("other", **{names.REVISION_LABEL: "def"})))
    bench.rest()
    assert endpoints(mine, bench.pods()) == []
    bench.run_for(10)
    assert len(endpoints(mine, bench.pods())) == 2
    assert endpoints(other, bench.pods()) == []


def statuses(bench: Bench) -> tuple[Manifest, Manifest]:
    status = bench.pod()["status"]
    return status["initContainerStatuses"][0], status["containerStatuses"][0]


def test_fetch_reports_its_digest_in_the_termination_message(bench: Bench) -> None:
    ask(bench.server.create(kinds.DEPLOYMENT, deployment()))
    bench.run_for(10)
    fetch, model = statuses(bench)
    ended = fetch["state"]["terminated"]
    assert (ended["exitCode"], ended["reason"]) == (0, "Completed")
    assert json.loads(ended["message"])["digest"].startswith("sha256:")
    assert model["ready"]
    assert "running" in model["state"]


@pytest.mark.parametrize(
    ("script", "container", "waiting", "ended", "restarts"),
    [
        pytest.param(Script(fetch_failure="ArtifactNotFound"), 0, "CrashLoopBackOff", "Error", 1, id="artifact"),
        pytest.param(Script(load_failure="ModelLoadFailed"), 1, "CrashLoopBackOff", "Error", 1, id="load"),
        pytest.param(Script(crashes=True), 1, "CrashLoopBackOff", "Error", 1, id="crash"),
        pytest.param(Script(uses_too_much_memory=True), 1, "CrashLoopBackOff", "OOMKilled", 1, id="memory"),
        pytest.param(Script(image_is_missing=True), 0, "ImagePullBackOff", None, 0, id="image"),
    ],
)
def test_a_broken_container_shows_what_a_kubelet_would_show(
    bench: Bench, script: Script, container: int, waiting: str, ended: str | None, restarts: int
) -> None:
    bench.scripts.by_uri[models.uri("v1")] = script
    ask(bench.server.create(kinds.DEPLOYMENT, deployment()))
    bench.run_for(25)
    status = statuses(bench)[container]
    assert status["state"]["waiting"]["reason"] == waiting
    assert status["lastState"].get("terminated", {}).get("reason") == ended
    assert status["restartCount"] == restarts


def test_a_missing_secret_keeps_the_container_from_starting_until_it_exists(bench: Bench) -> None:
    wanted = deployment()
    wanted["spec"]["template"]["spec"]["initContainers"][0]["envFrom"] = [{"secretRef": {"name": "s3"}}]
    ask(bench.server.create(kinds.DEPLOYMENT, wanted))
    bench.run_for(20)
    waiting = statuses(bench)[0]["state"]["waiting"]
    assert waiting == {"reason": "CreateContainerConfigError", "message": 'secret "s3" not found'}
    bench.scripts.secrets.add("s3")
    bench.run_for(30)
    assert is_ready(bench.pod())


def test_an_unschedulable_pod_says_so_in_its_condition(bench: Bench) -> None:
    bench.scripts.by_uri[models.uri("v1")] = Script(is_unschedulable=True)
    ask(bench.server.create(kinds.DEPLOYMENT, deployment()))
    bench.run_for(5)
    (condition,) = bench.pod()["status"]["conditions"]
    assert (condition["type"], condition["status"], condition["reason"]) == ("PodScheduled", "False", "Unschedulable")


def test_a_quota_shows_in_the_deployment(bench: Bench) -> None:
    bench.workloads.quota = "exceeded quota: compute"
    ask(bench.server.create(kinds.DEPLOYMENT, deployment()))
    bench.rest()
    failure = bench.get(kinds.DEPLOYMENT)["status"]["conditions"][-1]
    assert (failure["type"], failure["message"]) == ("ReplicaFailure", "exceeded quota: compute")
    assert bench.pods() == []


def test_a_post_of_what_exists_is_refused(bench: Bench) -> None:
    ask(bench.server.create(kinds.DEPLOYMENT, deployment()))
    with pytest.raises(AlreadyExists):
        ask(bench.server.create(kinds.DEPLOYMENT, deployment()))


def test_an_apply_keeps_the_count_that_was_posted_or_scaled(bench: Bench) -> None:
    ask(bench.server.create(kinds.DEPLOYMENT, deployment(3)))
    ask(bench.server.apply(kinds.DEPLOYMENT, applied(deployment(), role="Stable")))
    assert bench.get(kinds.DEPLOYMENT)["spec"]["replicas"] == 3


def test_an_apply_that_changes_nothing_keeps_the_version(bench: Bench) -> None:
    ask(bench.server.create(kinds.DEPLOYMENT, deployment(3)))
    first = ask(bench.server.apply(kinds.DEPLOYMENT, applied(deployment(), role="Stable")))
    second = ask(bench.server.apply(kinds.DEPLOYMENT, applied(deployment(), role="Stable")))
    assert first == second


def test_an_applied_label_that_is_dropped_later_goes_and_foreign_ones_stay(bench: Bench) -> None:
    ask(bench.server.create(kinds.DEPLOYMENT, deployment(3)))
    ask(bench.server.apply(kinds.DEPLOYMENT, applied(deployment(), role="Stable")))
    live = bench.get(kinds.DEPLOYMENT)
    foreign = copy.deepcopy(live)
    foreign["metadata"]["labels"]["team"] = "risk"
    bench.server.owners.edited(live["metadata"]["uid"], "somebody", live, foreign)
    bench.store.replace(kinds.DEPLOYMENT, bench.store.all(kinds.DEPLOYMENT)[0], foreign)
    after = ask(bench.server.apply(kinds.DEPLOYMENT, applied(deployment())))
    assert after["metadata"]["labels"] == {**LABELS, "team": "risk"}


def test_an_apply_merges_containers_by_name_and_replaces_other_lists(bench: Bench) -> None:
    ask(bench.server.create(kinds.DEPLOYMENT, deployment()))
    changed = applied(deployment())
    changed["spec"]["template"]["spec"]["containers"] = [{"name": "model", "args": ["serve"]}]
    after = ask(bench.server.apply(kinds.DEPLOYMENT, changed))
    (container,) = after["spec"]["template"]["spec"]["containers"]
    assert (container["image"], container["args"]) == ("runtime", ["serve"])
    assert container["env"] == [{"name": "MODELWAY_MODEL_URI", "value": models.uri("v1")}]


def test_a_selector_is_replaced_whole(bench: Bench) -> None:
    ask(bench.server.create(kinds.SERVICE, service("fraud", **LABELS)))
    after = ask(bench.server.apply(kinds.SERVICE, service("fraud", **{names.MODEL_LABEL: "fraud"})))
    assert after["spec"]["selector"] == {names.MODEL_LABEL: "fraud"}


def test_an_old_version_in_a_write_is_a_conflict(bench: Bench) -> None:
    stored = ask(bench.server.create(kinds.HTTP_ROUTE, route(fraud_abc=100)))
    changed = route(fraud_abc=90, fraud_def=10)
    changed["metadata"]["resourceVersion"] = stored["metadata"]["resourceVersion"]
    ask(bench.server.apply(kinds.HTTP_ROUTE, changed))
    with pytest.raises(Conflict):
        ask(bench.server.apply(kinds.HTTP_ROUTE, changed))
    with pytest.raises(Conflict):
        ask(bench.server.delete(kinds.HTTP_ROUTE, models.NAMESPACE, "fraud", "another-uid"))


def test_a_dry_run_checks_and_stores_nothing(bench: Bench) -> None:
    wrong = deployment()
    wrong["spec"]["template"]["metadata"]["labels"] = {}
    with pytest.raises(Invalid, match="selector"):
        ask(bench.server.create(kinds.DEPLOYMENT, wrong, dry_run=True))
    ask(bench.server.create(kinds.DEPLOYMENT, deployment(), dry_run=True))
    with pytest.raises(NotFound):
        bench.get(kinds.DEPLOYMENT)
    assert bench.server.writes == []


def test_status_and_spec_are_written_apart(bench: Bench) -> None:
    model = {"metadata": metadata("fraud"), "spec": models.spec()}
    bench.store.insert(kinds.MODEL_DEPLOYMENT, model)
    read = bench.get(kinds.MODEL_DEPLOYMENT, "fraud")
    read["spec"]["replicas"] = 9
    read["status"] = {"phase": "Healthy"}
    after = ask(bench.server.put_status(read))
    assert after["spec"]["replicas"] == 2
    assert after["status"] == {"phase": "Healthy"}
    assert after["metadata"]["generation"] == 1
    with pytest.raises(Conflict):
        ask(bench.server.put_status(read))


def test_children_go_with_their_owner_and_stay_when_orphaned(bench: Bench) -> None:
    owner = bench.store.insert(kinds.MODEL_DEPLOYMENT, {"metadata": metadata("fraud"), "spec": {}})
    reference = {"kind": "ModelDeployment", "name": "fraud", "uid": owner["metadata"]["uid"], "controller": True}
    wanted = deployment(2)
    wanted["metadata"]["ownerReferences"] = [reference]
    ask(bench.server.create(kinds.DEPLOYMENT, wanted))
    bench.run_for(10)
    bench.store.remove(kinds.MODEL_DEPLOYMENT, owner)
    bench.run_for(10)
    assert bench.store.all(kinds.DEPLOYMENT) == []
    assert bench.pods() == []


def test_the_gateway_takes_a_route_over_after_its_delay(bench: Bench) -> None:
    ask(bench.server.create(kinds.SERVICE, service("fraud-abc")))
    stored = ask(bench.server.create(kinds.HTTP_ROUTE, route(fraud_abc=100)))
    bench.rest()
    assert "status" not in bench.get(kinds.HTTP_ROUTE, "fraud")
    bench.run_for(2)
    (parent,) = bench.get(kinds.HTTP_ROUTE, "fraud")["status"]["parents"]
    found = {item["type"]: (item["status"], item["observedGeneration"]) for item in parent["conditions"]}
    assert found == {"Accepted": ("True", 1), "ResolvedRefs": ("True", 1)}
    assert bench.gateway.weights(models.NAMESPACE, "fraud") == {"fraud-abc": 100}
    assert stored["metadata"]["generation"] == 1


def test_the_gateway_names_a_service_that_is_missing(bench: Bench) -> None:
    ask(bench.server.create(kinds.HTTP_ROUTE, route(fraud_abc=100)))
    bench.run_for(2)
    (parent,) = bench.get(kinds.HTTP_ROUTE, "fraud")["status"]["parents"]
    found = {item["type"]: item["status"] for item in parent["conditions"]}
    assert found == {"Accepted": "True", "ResolvedRefs": "False"}


def test_an_autoscaler_stays_within_its_bounds_and_leaves_zero_alone(bench: Bench) -> None:
    ask(bench.server.create(kinds.DEPLOYMENT, deployment(2)))
    hpa = {
        "metadata": metadata(),
        "spec": {
            "minReplicas": 2,
            "maxReplicas": 5,
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "fraud-abc"},
        },
    }
    ask(bench.server.create(kinds.HORIZONTAL_POD_AUTOSCALER, hpa))
    for target, expected in ((9, 5), (0, 2), (4, 4)):
        bench.autoscaler.targets["fraud-abc"] = target
        bench.rest()
        assert bench.get(kinds.DEPLOYMENT)["spec"]["replicas"] == expected
    version = bench.get(kinds.DEPLOYMENT)["metadata"]["resourceVersion"]
    ask(bench.server.scale(kinds.DEPLOYMENT, models.NAMESPACE, "fraud-abc", 0, version))
    bench.rest()
    assert bench.get(kinds.DEPLOYMENT)["spec"]["replicas"] == 0


def test_taking_a_manifest_to_pieces_and_putting_it_together_changes_nothing() -> None:
    manifest = deployment()
    body = {key: manifest[key] for key in ("metadata", "spec")}
    rebuilt = assemble(leaves(manifest))
    del body["metadata"]["name"], body["metadata"]["namespace"]
    assert rebuilt == body
