"""`make bench-operator`: what the operator costs while nothing happens, with its models on a real API server.

etcd and kube-apiserver run on loopback and no controller does: the models have their children and wait for pods. What
an idle operator does is the same as with pods: it renews its lease and keeps its watches.
"""

import argparse
import json
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.servers import cpu_seconds
from cluster import control_plane, operator_process, scratch
from cluster.operator_process import Operator

GOAL_PERCENT = 0.5
NAMESPACE = "bench"
_PATIENCE_SECONDS = 120
_QUIET_LOOKS = 20
_PAUSE_SECONDS = 0.5
_CRDS = Path(__file__).parents[2] / "crds"
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


def main() -> int:
    """Prints CPU, memory and requests of the idle operator."""
    arguments = _arguments()
    with control_plane.running() as plane, scratch.folder("modelway-bench-") as folder:
        _furnish(plane, arguments.models)
        with operator_process.running(plane.kubeconfig, folder, lease_namespace=NAMESPACE) as operator:
            _wait_until_quiet(operator, arguments.models)
            used, requests = cpu_seconds(operator.process.pid), operator.requests()
            time.sleep(arguments.seconds)
            share = (cpu_seconds(operator.process.pid) - used) / arguments.seconds * 100
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
