"""`make bench-operator`, second part: many rollouts at the same time, on a stage like that of the first part.

What a step costs is the difference between rollouts of two and of six steps; the rest is the birth of a revision, its
promotion and the end of the one before.
"""

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from benchmarks.fleet import Fleet, fleet, wait
from cluster import operator_process, scratch
from cluster.operator_process import Operator

GOAL_AGE_SECONDS = 10.0
GOAL_WRITES = 8.0
FEW, MANY = 2, 6
WRITES = ("create", "update", "patch", "delete")
_NO_MODEL = ("leases", "selfsubjectaccessreviews")


def main() -> int:
    """Prints how long objects waited for a worker, and the writes of a step."""
    count = _arguments().models
    with fleet() as models, scratch.folder("modelway-bench-") as folder:
        kubeconfig = models.stage.plane.kubeconfig
        with operator_process.running(kubeconfig, folder, lease_namespace="default") as operator:
            models.birth(operator, count)
            _roll(models, operator, count, "2", FEW)  # Objects are written three times when they are first applied.
            few = _roll(models, operator, count, "3", FEW)
            many = _roll(models, operator, count, "4", MANY)
            _report(few, many, count)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-operator", description=__doc__)
    parser.add_argument("--models", type=int, default=100)
    return parser.parse_args()


def _roll(models: Fleet, operator: Operator, count: int, version: str, steps: int) -> Counter[str]:
    """Give all of them another version at once, and look on until it is over; the writes."""
    models.until_quiet(operator)
    log = models.stage.plane.audit_log
    size, used, began, oldest = log.stat().st_size, operator.cpu_seconds(), time.monotonic(), 0.0
    models.apply(count, version, *({"weight": 10 + 10 * step, "hold": "5s"} for step in range(steps)))

    def are_over() -> bool:
        nonlocal oldest
        oldest = max(oldest, operator.metric("modelway_queue_oldest_seconds"))
        return operator.phases()["Healthy"] == count and _serve(models, version) == count

    wait(are_over, f"{count} rollouts are over")
    seconds = time.monotonic() - began
    cores = (operator.cpu_seconds() - used) / seconds
    models.until_quiet(operator)
    print(f"{count} rollouts of {steps} steps at the same time, over in {seconds:.0f} s")
    print(f"oldest in the queue   {oldest:.1f} s (goal ≤ {GOAL_AGE_SECONDS:.0f} s)")
    print(f"CPU                   {cores:.2f} cores")
    print(f"memory                {operator.memory_mib():.0f} MiB resident")
    print(f"retries since start   {operator.metric('modelway_queue_retries_total'):.0f}")
    return Counter(_writes(log, size))


def _serve(models: Fleet, version: str) -> int:
    """How many have that version as stable."""
    found = (item.get("status") or {} for item in models.stage.get("modeldeployments"))
    return sum((status.get("stableRevision") or {}).get("version") == version for status in found)


def _writes(log: Path, offset: int) -> Iterator[str]:
    """The operator's writes as the API server counted them, without dry runs and what is not about a model."""
    with log.open() as lines:
        lines.seek(offset)
        for line in lines:
            event = json.loads(line)
            target = event.get("objectRef") or {}
            is_ours = event.get("userAgent", "").startswith("modelway-operator/") and event["verb"] in WRITES
            if is_ours and "dryRun" not in event["requestURI"] and target["resource"] not in _NO_MODEL:
                yield "/".join(filter(None, (target["resource"], target.get("subresource"))))


def _report(few: Counter[str], many: Counter[str], count: int) -> None:
    steps = count * (MANY - FEW)
    a_step = (many.total() - few.total()) / steps
    print(f"writes of a step      {a_step:.1f} (goal ≤ {GOAL_WRITES:.0f})")
    print(f"writes of a rollout   {few.total() / count - FEW * a_step:.1f} beside its steps")
    print("                            a step   a rollout")
    for what in sorted(many, key=lambda what: -many[what]):
        of_a_step = (many[what] - few[what]) / steps
        print(f"  {what:<24} {of_a_step:>7.2f} {few[what] / count - FEW * of_a_step:>11.2f}")


if __name__ == "__main__":
    sys.exit(main())
