"""The whole operator as a process on a real API server: start, watch, faults, take-over, end."""

import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import kubernetes
import pytest
import yaml

from cluster import control_plane, tools, versions
from cluster.gateway import without_descriptions
from cluster.operator_process import Operator
from modelway import __version__
from modelway.kinds import Manifest

PATIENCE = 60.0
RUNTIME = """
apiVersion: serving.modelway.io/v1alpha1
kind: ClusterModelRuntime
metadata: {name: of-a-test}
spec:
  formats: [{name: of-a-test, priority: 10}]
  protocols: [V2]
  template: {spec: {containers: [{name: model, image: example.com/none}]}}
"""
WRITES = {"create", "update", "patch", "delete", "deletecollection"}

Kubectl = Callable[..., str]


def until(is_true: Callable[[], Any], what: str) -> Any:
    """Wait for a condition; its value."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        value = is_true()
        if value:
            return value
        time.sleep(0.1)
    raise AssertionError(f"Not so after {PATIENCE:.0f} s: {what}")


Start = Callable[..., Operator]


@pytest.fixture
def start(plane: control_plane.Running, kubectl: Kubectl, namespace: str, tmp_path: Path) -> Iterator[Start]:
    """Starts operators that are gone after the test; without Any of them the CRDs are there."""
    started: list[Operator] = []

    def begin(kubeconfig: Path = plane.kubeconfig, **settings: str) -> Operator:
        started.append(Operator(kubeconfig, tmp_path, namespaces=namespace, lease_namespace=namespace, **settings))
        return started[-1]

    yield begin
    for operator in started:
        operator.end()


@pytest.fixture
def runtimes(tmp_path: Path, kubectl: Kubectl) -> Iterator[Path]:
    """A folder of default runtimes, as a chart mounts it."""
    folder = tmp_path / "runtimes"
    folder.mkdir()
    (folder / "runtime.yaml").write_text(RUNTIME)
    yield folder
    kubectl("delete", "clustermodelruntime", "of-a-test", "--ignore-not-found")


def model(name: str, **spec: Any) -> str:
    """A ModelDeployment as JSON."""
    manifest = {
        "apiVersion": "serving.modelway.io/v1alpha1",
        "kind": "ModelDeployment",
        "metadata": {"name": name},
        "spec": {"model": {"uri": f"s3://models/{name}", "format": "of-a-test"}, **spec},
    }
    return json.dumps(manifest)


def read(kubectl: Kubectl, namespace: str, kind: str, name: str = "") -> Manifest:
    found: Manifest = json.loads(kubectl("get", kind, *filter(None, (name,)), "-n", namespace, "-o", "json"))
    return found


def observed(kubectl: Kubectl, namespace: str, name: str, generation: int = 1) -> bool:
    status = read(kubectl, namespace, "mdep", name).get("status") or {}
    return bool(status.get("observedGeneration", 0) >= generation)


def test_an_applied_model_gets_its_children_and_a_graceful_end_leaves_a_free_lease(
    start: Start, kubectl: Kubectl, namespace: str, runtimes: Path
) -> None:
    operator = start(default_runtimes=str(runtimes)).wait_until_leading()
    assert operator.get("/readyz") == operator.get("/healthz") == (200, "ok")
    kubectl("apply", "-n", namespace, "-f", "-", stdin=model("iris"))
    until(lambda: read(kubectl, namespace, "deploy")["items"], "the model has a Deployment")
    (deployment,) = read(kubectl, namespace, "deploy")["items"]
    kubectl("delete", "deploy", "-n", namespace, deployment["metadata"]["name"])
    until(lambda: read(kubectl, namespace, "deploy")["items"], "a deleted Deployment is there again")
    until(lambda: operator.metric('modelway_cache_objects{kind="Deployment"}') == 1, "the watch filled the cache")
    assert operator.stop() == 0
    lease = read(kubectl, namespace, "lease", "modelway-operator")
    assert lease["spec"]["holderIdentity"] == ""
    assert not [line for line in operator.lines() if line["level"] == "ERROR"]


def test_the_runtimes_arrival_wakes_a_model_that_waits_for_it(
    start: Start, kubectl: Kubectl, namespace: str, runtimes: Path
) -> None:
    start().wait_until_leading()
    kubectl("apply", "-n", namespace, "-f", "-", stdin=model("iris"))
    until(lambda: observed(kubectl, namespace, "iris"), "the model is known to wait")
    assert read(kubectl, namespace, "deploy")["items"] == []
    kubectl("apply", "-f", str(runtimes))
    until(lambda: read(kubectl, namespace, "deploy")["items"], "the model has a Deployment")


def test_63_another_process_takes_over_from_one_that_was_killed_and_continues_in_a_higher_epoch(
    start: Start, kubectl: Kubectl, namespace: str, runtimes: Path
) -> None:
    first = start(default_runtimes=str(runtimes)).wait_until_leading()
    second = start(default_runtimes=str(runtimes))
    until(lambda: second.get("/readyz")[0] == 200, "the second is ready to lead")
    kubectl("apply", "-n", namespace, "-f", "-", stdin=model("iris"))
    until(lambda: observed(kubectl, namespace, "iris"), "the first one works")
    assert second.metric("modelway_leader") == 0
    first.stop(signal.SIGKILL)
    second.wait_until_leading()
    kubectl("apply", "-n", namespace, "-f", "-", stdin=model("iris", replicas=0))
    until(lambda: observed(kubectl, namespace, "iris", 2), "the second one works")
    assert read(kubectl, namespace, "mdep", "iris")["status"]["epoch"] == 2
    assert read(kubectl, namespace, "lease", "modelway-operator")["spec"]["leaseTransitions"] == 2


def test_missing_rights_are_named_in_one_message_and_waited_for(
    start: Start, plane: control_plane.Running, kubectl: Kubectl, namespace: str, tmp_path: Path
) -> None:
    kubectl("create", "serviceaccount", "limited", "-n", namespace)
    content = yaml.safe_load(plane.kubeconfig.read_text())
    token = kubectl("create", "token", "limited", "-n", namespace).strip()
    content["users"][0]["user"] = {"token": token}
    limited = tmp_path / "limited"
    limited.write_text(json.dumps(content))
    operator = start(limited)
    message = until(lambda: "lacks rights" in operator.get("/readyz")[1] and operator.get("/readyz")[1], "it says why")
    assert f"patch deployments.apps/scale in namespace {namespace}" in message
    assert "get, list, watch clustermodelruntimes.serving.modelway.io in all namespaces" in message
    assert operator.get("/healthz") == (200, "ok")
    errors = [line for line in operator.lines() if line["level"] == "ERROR"]
    assert len(errors) == 1
    subject = f"--serviceaccount={namespace}:limited"
    kubectl("create", "clusterrolebinding", namespace, "--clusterrole=cluster-admin", subject)
    try:
        operator.wait_until_leading()
    finally:
        kubectl("delete", "clusterrolebinding", namespace)


class Proxy:
    """Passes connections to the API server on, until it is told to cut them all."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._server.getsockname()[1])
        self._open: list[socket.socket] = []
        self._is_up = True
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """As when the API server is killed."""
        self._is_up = False
        for each in self._open:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        self._open.clear()

    def restore(self) -> None:
        self._is_up = True

    def close(self) -> None:
        self.cut()
        self._server.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._server.accept()
                if not self._is_up:
                    near.close()
                    continue
                far = socket.create_connection(("127.0.0.1", self._target))
                self._open += [near, far]
                for source, sink in ((near, far), (far, near)):
                    threading.Thread(target=self._pass_on, args=(source, sink), daemon=True).start()

    @staticmethod
    def _pass_on(source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while content := source.recv(65536):
                sink.sendall(content)
        for each in (source, sink):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()


@pytest.fixture
def proxy(plane: control_plane.Running) -> Iterator[Proxy]:
    proxy = Proxy(int(plane.server.rpartition(":")[2]))
    yield proxy
    proxy.close()


def test_62_an_outage_of_the_api_server_is_survived_by_the_same_process(
    start: Start, plane: control_plane.Running, kubectl: Kubectl, namespace: str, proxy: Proxy, tmp_path: Path
) -> None:
    content = yaml.safe_load(plane.kubeconfig.read_text())
    content["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{proxy.port}"
    through = tmp_path / "through-proxy"
    through.write_text(json.dumps(content))
    operator = start(through).wait_until_leading()
    kubectl("apply", "-n", namespace, "-f", "-", stdin=model("before"))
    kubectl("apply", "-n", namespace, "-f", "-", stdin=model("deleted"))
    until(lambda: observed(kubectl, namespace, "deleted"), "the operator works")
    proxy.cut()
    until(lambda: operator.metric("modelway_leader") == 0, "the operator knows that it cannot renew its lease")
    kubectl("apply", "-n", namespace, "-f", "-", stdin=model("during"))
    kubectl("apply", "-n", namespace, "-f", "-", stdin=model("before", replicas=0))
    kubectl("delete", "mdep", "deleted", "-n", namespace)
    assert operator.get("/healthz") == (200, "ok")
    proxy.restore()
    until(lambda: observed(kubectl, namespace, "during"), "an object of the outage is served")
    until(lambda: observed(kubectl, namespace, "before", 2), "a change of the outage is served")
    until(lambda: operator.metric('modelway_cache_objects{kind="ModelDeployment"}') == 2, "a deletion is noticed")
    assert read(kubectl, namespace, "mdep", "before")["status"]["epoch"] == 1, "nobody else led meanwhile"
    assert operator.process.poll() is None
    assert operator.stop() == 0


def writes(audit_log: Path, since: int) -> list[str]:
    """What the operator wrote according to the API server, but for its lease."""
    found = []
    for line in audit_log.read_text().splitlines()[since:]:
        event = json.loads(line)
        target = event.get("objectRef") or {}
        is_ours = event.get("userAgent") == f"modelway-operator/{__version__}"
        if is_ours and event["verb"] in WRITES and target.get("resource") not in ("leases", "selfsubjectaccessreviews"):
            found.append(f"{event['verb']} {event['requestURI']}")
    return found


def test_61_a_restart_with_fifty_models_writes_nothing_but_the_lease(
    start: Start, plane: control_plane.Running, kubectl: Kubectl, namespace: str, runtimes: Path
) -> None:
    operator = start(default_runtimes=str(runtimes)).wait_until_leading()
    kubectl("apply", "-n", namespace, "-f", "-", stdin="\n---\n".join(model(f"m{number}") for number in range(50)))
    until(lambda: len(read(kubectl, namespace, "deploy")["items"]) == 50, "each has a Deployment")

    seen: list[float] = []

    def is_quiet() -> bool:
        seen.append(operator.passes())
        return len(seen) > 20 and len(set(seen[-20:])) == 1

    until(is_quiet, "nothing more is to be done")
    assert writes(plane.audit_log, 0), "the log is the right one"
    assert operator.stop() == 0
    since = len(plane.audit_log.read_text().splitlines())
    again = start(default_runtimes=str(runtimes)).wait_until_leading()
    until(lambda: again.passes() >= 50, "every model was looked at")
    until(lambda: again.metric('modelway_sweeps_total{kind="Pod"}') >= 1, "the first sweep is over")
    assert again.stop() == 0
    assert writes(plane.audit_log, since) == []


DIGEST = "sha256:" + 64 * "a"
"""Of the bytes that every model's first pod fetches."""


class Hands:
    """Controller manager and kubelet in one: pods for each Deployment, ready unless their image is broken."""

    def __init__(self, kubeconfig: Path, namespace: str) -> None:
        session = kubernetes.config.new_client_from_config(str(kubeconfig))
        self._apps, self._core = kubernetes.client.AppsV1Api(session), kubernetes.client.CoreV1Api(session)
        self._namespace = namespace
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._work)
        self._thread.start()

    def end(self) -> None:
        self._ending.set()
        self._thread.join()

    def _work(self) -> None:
        while not self._ending.wait(0.2):
            deployments = self._apps.list_namespaced_deployment(self._namespace).items
            present = {pod.metadata.name for pod in self._core.list_namespaced_pod(self._namespace).items}
            wanted = {
                f"{item.metadata.name}-{number}": item for item in deployments for number in range(item.spec.replicas)
            }
            for name in present - wanted.keys():
                self._core.delete_namespaced_pod(name, self._namespace, grace_period_seconds=0)
            for name in wanted.keys() - present:
                self._begin(name, wanted[name])

    def _begin(self, name: str, deployment: Any) -> None:
        template = deployment.spec.template
        metadata = {"name": name, "labels": template.metadata.labels}
        self._core.create_namespaced_pod(self._namespace, {"metadata": metadata, "spec": template.spec})
        is_broken = "broken" in template.spec.containers[0].image
        failure = {"exitCode": 1, "reason": "Error", "message": json.dumps({"reason": "ModelLoadFailed"})}
        fetched = {"exitCode": 0, "reason": "Completed", "message": json.dumps({"digest": DIGEST, "bytes": 1})}
        image = {"image": "i", "imageID": "i@sha256:1", "restartCount": 0, "ready": True}
        model = {"state": {"running": {}}, "started": True}
        if is_broken:
            model = {"state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": {"terminated": failure}}
        status = {
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": str(not is_broken)}],
            "initContainerStatuses": [image | {"name": "fetch", "state": {"terminated": fetched}}],
            "containerStatuses": [image | {"name": "model", "ready": not is_broken} | model],
        }
        self._core.patch_namespaced_pod_status(name, self._namespace, {"status": status})


@pytest.fixture
def hands(plane: control_plane.Running, namespace: str) -> Iterator[Hands]:
    hands = Hands(plane.kubeconfig, namespace)
    yield hands
    hands.end()


@pytest.mark.usefixtures("hands")
def test_a_fleet_is_refreshed_until_one_fails_and_then_with_the_next_runtime(
    start: Start, plane: control_plane.Running, kubectl: Kubectl, namespace: str, runtimes: Path
) -> None:
    operator = start(default_runtimes=str(runtimes)).wait_until_leading()
    fleet = ("a", "b", "c")

    def command_line(*words: str) -> tuple[int, list[str]]:
        program = [sys.executable, "-m", "modelway.cli", *words, "-n", namespace, "--kubeconfig", str(plane.kubeconfig)]
        ended = subprocess.run(program, capture_output=True, text=True, check=False)
        return ended.returncode, (ended.stdout + ended.stderr).splitlines()

    def renew(image: str) -> None:
        template = {"spec": {"containers": [{"name": "model", "image": image}]}}
        patch = json.dumps({"spec": {"template": template}})
        kubectl("patch", "clustermodelruntime", "of-a-test", "--type=merge", "--patch", patch)
        until(lambda: all(status(name)["runtime"]["outdated"] for name in fleet), "they know of it")

    def status(name: str) -> Manifest:
        found: Manifest = read(kubectl, namespace, "mdep", name).get("status") or {}
        return found

    rollout = {"settle": "0s", "drain": "0s"}
    for name in fleet:
        kubectl("apply", "-n", namespace, "-f", "-", stdin=model(name, rollout=rollout))
    until(lambda: all(status(name).get("phase") == "Healthy" for name in fleet), "they serve")
    renew("example.com/broken")
    code, said = command_line("refresh", "--all", "--max-parallel", "1", "--wait")
    assert (code, said[-1]) == (1, "1 failed, 2 not tried; the same command goes on with the rest"), said
    assert status("a")["stableRevision"]["number"] == 1
    assert status("a")["lastFailedRevision"]["reason"] == "ModelLoadFailed"
    renew("example.com/next")
    code, said = command_line("refresh", "--all", "--max-parallel", "2", "--wait")
    assert (code, said[-1]) == (0, "3 refreshed"), said
    assert [status(name)["runtime"]["image"] for name in fleet] == ["example.com/next"] * 3
    assert [status(name)["revisions"][-1]["model"]["digest"] for name in fleet] == [DIGEST] * 3
    assert command_line("refresh", "--all") == (0, ["3 up to date"])
    assert operator.metric('modelway_rollouts_total{outcome="Promoted",reason=""}') == 6
    assert operator.metric('modelway_rollouts_total{outcome="Failed",reason="ModelLoadFailed"}') == 1
    by = [line["by"] for line in status("a")["history"]]
    assert by[0] == "kubectl-client-side-apply (field manager)"
    assert by[1] == by[2]
    assert by[1].endswith(" (claimed)")
    code, said = command_line("history", "a", "--rollout", "2")
    assert (code, said[0]) == (0, f"Rollout 2 of a in {namespace}  Failed")
    assert operator.stop() == 0


@pytest.fixture
def gateway_api(kubectl: Kubectl, tmp_path: Path) -> Iterator[Path]:
    """The CRD of HTTPRoutes, as a file, and installed."""
    folder = tools.module_folder("sigs.k8s.io/gateway-api", versions.GATEWAY_API) / "config" / "crd" / "standard"
    path = tmp_path / "httproutes.yaml"
    path.write_text(without_descriptions((folder / "gateway.networking.k8s.io_httproutes.yaml").read_text()))
    kubectl.install(path)
    yield path
    kubectl("delete", "-f", str(path), "--ignore-not-found")


def test_a_gateway_api_that_goes_ends_the_process_in_order_and_is_missed_by_the_next_one(
    start: Start, kubectl: Kubectl, namespace: str, runtimes: Path, gateway_api: Path
) -> None:
    operator = start(default_runtimes=str(runtimes)).wait_until_leading()
    routed = model("iris", traffic={"parentRefs": [{"name": "public"}]})
    kubectl("apply", "-n", namespace, "-f", "-", stdin=routed)
    until(lambda: read(kubectl, namespace, "deploy")["items"], "the model has a Deployment")
    kubectl("delete", "-f", str(gateway_api))
    lease = until(
        lambda: (
            (found := read(kubectl, namespace, "lease", "modelway-operator"))["spec"]["holderIdentity"] == "" and found
        ),
        "the lease is free",
    )
    assert lease["spec"]["leaseTransitions"] == 1
    assert any("is not served any more" in line["message"] for line in operator.lines())
    start(default_runtimes=str(runtimes)).wait_until_leading()

    def stalled() -> str:
        conditions = read(kubectl, namespace, "mdep", "iris")["status"]["conditions"]
        return next((item["reason"] for item in conditions if item["type"] == "Stalled"), "")

    until(lambda: stalled() == "FeatureNotSupported", "the model is known to lack its gateway")
    assert read(kubectl, namespace, "deploy")["items"]
