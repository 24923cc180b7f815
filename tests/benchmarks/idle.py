"""`make bench-operator`: what the operator costs while nothing happens, with its models on a real API server.

etcd and kube-apiserver run on loopback and no controller does: the models have their children and wait for pods. What
an idle operator does is the same as with pods: it renews its lease and keeps its watches.
"""

import argparse
import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.servers import cpu_seconds
from cluster import control_plane, scratch

GOAL_PERCENT = 0.5
NAMESPACE = "bench"
_PATIENCE_SECONDS = 120
_QUIET_LOOKS = 20
_PAUSE_SECONDS = 0.5
_CRDS = Path(__file__).parents[2] / "crds"
_REQUESTS = re.compile(
    r'^modelway_api_requests_total\{code="[^"]*",kind="([^"]*)",verb="([^"]*)"\} (\S+)$', re.MULTILINE
)
_RUNTIME = {
    "apiVersion": "serving.modelway.io/v1alpha1",
    "kind": "ClusterModelRuntime",
    "metadata": {"name": "bench"},
    "spec": {
        "formats": [{"name": "onnx", "priority": 10}],
        "protocols": ["V2"],
        "template": {"spec": {"containers": [{"name": "model", "image": "example.com/none"}]}},
    },
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """The operator as a process of its own, and where it tells its figures."""

    pid: int
    port: int

    def metrics(self) -> str:
        """Its metrics page; empty while it does not answer."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=5) as response:
                return str(response.read().decode())
        except (urllib.error.URLError, OSError):
            return ""

    def requests(self) -> Counter[str]:
        """Requests to the API server since its start, by verb and kind."""
        return Counter({f"{verb} {kind}": int(float(count)) for kind, verb, count in _REQUESTS.findall(self.metrics())})

    def passes(self) -> float:
        """Reconciliations since its start."""
        found = re.search(r'^modelway_reconciles_total\{result="done"\} (\S+)$', self.metrics(), re.MULTILINE)
        return float(found[1]) if found else 0.0

    def memory_mib(self) -> float:
        """Resident memory."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def main() -> int:
    """Prints CPU, memory and requests of the idle operator."""
    arguments = _arguments()
    with control_plane.running() as plane, scratch.folder("modelway-bench-") as folder:
        _furnish(plane, arguments.models)
        with _running(plane, folder) as operator:
            _wait_until_quiet(operator, arguments.models)
            used, requests = cpu_seconds(operator.pid), operator.requests()
            time.sleep(arguments.seconds)
            share = (cpu_seconds(operator.pid) - used) / arguments.seconds * 100
            _report(operator, arguments, share, operator.requests() - requests)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-operator", description=__doc__)
    parser.add_argument("--models", type=int, default=50)
    parser.add_argument("--seconds", type=int, default=120, help="for which the idle operator is watched")
    return parser.parse_args()


def _furnish(plane: control_plane.Running, models: int) -> None:
    """The CRDs, a runtime and the models."""
    _kubectl(plane, "apply", "--filename", str(_CRDS))
    _kubectl(plane, "wait", "--for=condition=Established", "--timeout=60s", "--filename", str(_CRDS))
    _kubectl(plane, "create", "namespace", NAMESPACE)
    wanted = [_RUNTIME, *(_model(number) for number in range(models))]
    _kubectl(plane, "apply", "--filename=-", stdin="\n---\n".join(map(json.dumps, wanted)))


def _model(number: int) -> dict[str, Any]:
    return {
        "apiVersion": "serving.modelway.io/v1alpha1",
        "kind": "ModelDeployment",
        "metadata": {"name": f"model-{number}", "namespace": NAMESPACE},
        "spec": {"model": {"uri": f"s3://models/{number}", "format": "onnx"}, "replicas": 2},
    }


def _kubectl(plane: control_plane.Running, *words: str, stdin: str | None = None) -> None:
    command = (str(plane.kubectl), "--kubeconfig", str(plane.kubeconfig), *words)
    done = subprocess.run(command, input=stdin, text=True, capture_output=True, check=False)
    if done.returncode:
        raise SystemExit(f"kubectl {' '.join(words)}: {done.stderr}")


@contextmanager
def _running(plane: control_plane.Running, folder: Path) -> Iterator[Operator]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    settings = {
        "KUBECONFIG": str(plane.kubeconfig),
        "MODELWAY_LEASE_NAMESPACE": NAMESPACE,
        "MODELWAY_HTTP_PORT": str(port),
        "MODELWAY_RUNTIME_IMAGE": "example.com/runtime",
    }
    log = folder / "operator.log"
    with log.open("wb") as stream:
        command = [sys.executable, "-m", "modelway"]
        process = subprocess.Popen(command, env={**os.environ, **settings}, stdout=stream, stderr=stream)
    try:
        yield Operator(pid=process.pid, port=port)
    finally:
        process.terminate()
        process.wait(30)


def _wait_until_quiet(operator: Operator, models: int) -> None:
    """Until every model was looked at and nothing more is done."""
    end, seen = time.monotonic() + _PATIENCE_SECONDS, [0.0]
    while len(seen) < _QUIET_LOOKS or seen[-1] < models or len(set(seen[-_QUIET_LOOKS:])) > 1:
        if time.monotonic() > end:
            raise SystemExit(f"The operator did not become quiet in {_PATIENCE_SECONDS} s: {seen[-1]:.0f} passes")
        time.sleep(_PAUSE_SECONDS)
        seen.append(operator.passes())


def _report(operator: Operator, arguments: argparse.Namespace, share: float, requests: Counter[str]) -> None:
    asked = ", ".join(f"{count} {what}" for what, count in sorted(requests.items())) or "none"
    print(f"{arguments.models} models, nothing to do for {arguments.seconds} s")
    print(f"CPU       {share:.2f} % of one core (goal ≤ {GOAL_PERCENT} %)")
    print(f"memory    {operator.memory_mib():.0f} MiB resident")
    print(f"requests  {asked}")


if __name__ == "__main__":
    sys.exit(main())
