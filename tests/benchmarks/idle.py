"""`make bench-operator`, first part: what the operator costs while nothing happens, on a real API server.

etcd, kube-apiserver and the controllers of Deployments run on loopback; kubelet and gateway are played. So every model
has its Pods, its Services and its route, as in a cluster.
"""

import argparse
import sys
import time
from collections import Counter

from benchmarks.fleet import Fleet, fleet
from cluster import operator_process, scratch
from cluster.operator_process import Operator

GOAL_CORES = 0.1
GOAL_MIB = 300


def main() -> int:
    """Prints CPU, memory and requests of the idle operator, and what a restart writes."""
    arguments = _arguments()
    with fleet() as models, scratch.folder("modelway-bench-") as folder:
        with operator_process.running(models.stage.plane.kubeconfig, folder, lease_namespace="default") as operator:
            began = time.monotonic()
            models.birth(operator, arguments.models)
            print(f"{arguments.models} models became ready in {time.monotonic() - began:.0f} s")
            _watch(models, operator, arguments)
            operator.stop()
        with operator_process.running(models.stage.plane.kubeconfig, folder, lease_namespace="default") as operator:
            models.until_quiet(operator)
            print(f"restart   {operator.passes():.0f} passes, {operator.writes().total()} writes (goal 0)")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-operator", description=__doc__)
    parser.add_argument("--models", type=int, default=1000)
    parser.add_argument("--seconds", type=int, default=120, help="for which the idle operator is watched")
    return parser.parse_args()


def _watch(models: Fleet, operator: Operator, arguments: argparse.Namespace) -> None:
    """Wait until nothing more is done, and then look at it."""
    models.until_quiet(operator)
    used, requests, passes = operator.cpu_seconds(), operator.requests(), operator.passes()
    time.sleep(arguments.seconds)
    cores = (operator.cpu_seconds() - used) / arguments.seconds
    _report(operator, cores, operator.requests() - requests, arguments)
    print(f"passes    {operator.passes() - passes:.0f}")


def _report(operator: Operator, cores: float, requests: Counter[str], arguments: argparse.Namespace) -> None:
    asked = ", ".join(f"{count} {what}" for what, count in sorted(requests.items())) or "none"
    print(f"{arguments.models} models, nothing to do for {arguments.seconds} s")
    print(f"CPU       {cores:.4f} cores (goal ≤ {GOAL_CORES})")
    print(f"memory    {operator.memory_mib():.0f} MiB resident (goal ≤ {GOAL_MIB})")
    print(f"requests  {asked}")


if __name__ == "__main__":
    sys.exit(main())
