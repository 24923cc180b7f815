"""`make bench-shadow`: what callers notice of a comparator, on the one-node cluster.

Two models of the same versions stand at the same step; all requests of one are copied to its comparator, none of the
other. They are asked in turn, so that both meet the same machine.
"""

import argparse
import asyncio
import functools
import statistics
import sys

from benchmarks.ground import furnished
from demo import models, objects, street
from demo.load import Load
from demo.manifests import Manifest
from demo.models import Models
from demo.objects import Objects
from demo.place import Place

ROUNDS, SECONDS = 10, 10.0
_ROLLOUT: Manifest = {"strategy": "Canary", "steps": [{"weight": 10, "approval": "Required"}], "bake": "0s"}
_ROLLOUTS = {
    "alone": _ROLLOUT,
    "copied": _ROLLOUT | {"shadow": {"percent": 100, "maxRequestsPerSecond": 1000, "baselinePercent": 0}},
}


def main() -> int:
    """Print the figures; 1 where a request failed."""
    parser = argparse.ArgumentParser(prog="make bench-shadow", description=__doc__)
    parser.add_argument("--rate", type=float, default=50, help="predictions per second")
    parser.add_argument("--context", default="")
    found = parser.parse_args()
    known = models.train()
    with furnished(found.context, "bench-shadow", known) as where:
        return _report(asyncio.run(_measured(where, known, found.rate)), found.rate)


async def _measured(where: Place, known: Models, rate: float) -> dict[str, Load]:
    seen = Objects(where.kubectl, where.namespace)
    for version in ("1", "2"):
        seen.apply(*(street.model(where, name, version, rollout) for name, rollout in _ROLLOUTS.items()))
        stands = functools.partial(objects.serves, "1") if version == "1" else functools.partial(objects.holds_step, 0)
        for name in _ROLLOUTS:
            await seen.until(name, f"version {version} has its share", stands)
    loads = {name: Load(where.target(name), known, per_second=rate) for name in _ROLLOUTS}
    for _ in range(ROUNDS):
        for load in loads.values():
            async with load.running():
                await asyncio.sleep(SECONDS)
    return loads


def _report(loads: dict[str, Load], rate: float) -> int:
    print(f"{ROUNDS} rounds of {SECONDS:.0f} s each in turn, {rate:.0f} predictions a second")
    figures = {name: [answer.seconds * 1000 for answer in load.answers] for name, load in loads.items()}
    for name, found in figures.items():
        cuts = statistics.quantiles(found, n=100)
        print(
            f"{name:<7} {len(found)} answered, {len(loads[name].lost)} failed, "
            f"p50 {cuts[49]:.2f} ms, p90 {cuts[89]:.2f} ms, p99 {cuts[98]:.2f} ms"
        )
    medians = [statistics.median(found) for found in figures.values()]
    print(f"ratio of the medians {medians[1] / medians[0]:.3f}")
    return 1 if any(load.lost for load in loads.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
