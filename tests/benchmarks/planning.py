"""`make bench-plan`: the CPU time that the pure core takes for one pass over one object, by what the object is doing.

Each scene is played in the simulated cluster, and its passes are caught as they come, with new figures in each where
something is judged anew. Then they are decided once more, one after the other, on the clock of the process: no API
server, no network, nothing written.
"""

import argparse
import cProfile
import pstats
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from modelway.analysis import archive, findings, measures
from modelway.analysis.figures import Answer, Readings
from modelway.cluster.snapshot import Key, Snapshot
from modelway.kinds import Manifest
from modelway.observe import observe
from modelway.plan.observed import Features, Observed
from modelway.plan.planner import plan
from modelway.status import status
from simulation import models
from simulation.stories import reach, upgrade
from simulation.world import World

GOAL_MS = 1.0
"""For plan and status together, on one object."""
KEY: Key = (models.NAMESPACE, "fraud")
PODS = 2
"""Of each revision."""
RATE = 200.0
"""Requests per second: after minutes the histograms are full."""
ERRORS = 0.002
"""Share of the requests."""
INTERVAL = 30
"""Seconds between two readings."""
STEPS = ({"weight": 20, "hold": "5m"}, {"weight": 50, "hold": "24h"})
BUILTIN = (
    {"name": "errors", "builtin": "ErrorRate", "max": 0.01},
    {"name": "more-errors", "builtin": "ErrorRate", "maxIncreasePercent": 50},
    {"name": "usual", "builtin": "LatencyP50", "maxIncreasePercent": 20},
    {"name": "slow", "builtin": "LatencyP95", "maxIncreasePercent": 20},
    {"name": "slowest", "builtin": "LatencyP99", "maxIncreasePercent": 20},
    {"name": "throughput", "builtin": "Throughput", "maxDecreasePercent": 20},
)
COMPARED = (
    {"name": "answers", "builtin": "Disagreement", "max": 0.02},
    {"name": "failures", "builtin": "CandidateFailures", "max": 0.01},
)
QUERIED = tuple(
    {"name": f"figure-{index}", "prometheus": {"address": "http://prometheus:9090", "query": f"q{index}"}, "max": 0.5}
    for index in range(6)
)
FINDINGS = (
    findings.share,
    findings.change,
    findings.excess,
    measures.latency,
    measures.slowdown,
    measures.mean,
    measures.mean_change,
    measures.drift,
    findings.decrease,
    findings.throughput,
)
MIRRORING = ("HTTPRouteRequestMirror", "HTTPRouteRequestPercentageMirror")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """What one pass is made of."""

    snapshot: Snapshot
    now: datetime
    readings: Readings | None
    is_new: bool = True
    """Whether its figures were never judged before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Of one pass, in milliseconds of CPU."""

    observing: float
    deciding: float


def main() -> int:
    """Prints a row for each scene."""
    arguments = _arguments()
    print(f"medians of {arguments.passes} passes, milliseconds of CPU (goal for plan and status ≤ {GOAL_MS:g})\n")
    print("| the object | plan and status | 95th percentile | with observe | calls of functions |")
    print("|---|---|---|---|---|")
    for name, scene in SCENES.items():
        passes = scene(arguments.passes)
        costs = [_cost(item) for item in passes]
        print(_row(name, costs, _calls(passes)), flush=True)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-plan", description=__doc__)
    parser.add_argument("--passes", type=int, default=200, help="for each scene")
    return parser.parse_args()


def _row(name: str, costs: Iterable[Cost], calls: int) -> str:
    deciding = sorted(cost.deciding for cost in costs)
    whole = statistics.median(cost.deciding + cost.observing for cost in costs)
    usual, slow = statistics.median(deciding), deciding[len(deciding) * 95 // 100]
    return f"| {name} | {usual:.2f} | {slow:.2f} | {whole:.2f} | {calls:,} |"


def _cost(item: Pass) -> Cost:
    _forget(item)
    began = time.process_time_ns()
    observed = _observed(item)
    seen = time.process_time_ns()
    _decided(observed)
    return Cost(observing=(seen - began) / 1e6, deciding=(time.process_time_ns() - seen) / 1e6)


def _calls(passes: Iterable[Pass]) -> int:
    """Functions called by plan and status in a pass, those of C included."""
    profile, count = cProfile.Profile(), 0
    for count, item in enumerate(passes, 1):  # noqa: B007 - it is asked for when the loop has ended
        _forget(item)
        observed = _observed(item)
        with profile:
            _decided(observed)
    calls: int = pstats.Stats(profile).total_calls  # type: ignore[attr-defined]  # typeshed lacks it
    return round(calls / count)


def _forget(item: Pass) -> None:
    """New figures meet nothing that is remembered: the simulation has judged them, too."""
    if item.is_new:
        for remembered in (archive.parse, *FINDINGS):
            remembered.cache_clear()


def _observed(item: Pass) -> Observed:
    features = Features(gateway=True, runtime_image=models.IMAGE, route_fields=frozenset({"name"}))
    return observe(item.snapshot, now=item.now, epoch=1, features=features, readings=item.readings)


def _decided(observed: Observed) -> Manifest:
    return status(observed, plan(observed))


def _idle(count: int) -> list[Pass]:
    """Promoted, and nothing to do."""
    world = _serving({"steps": STEPS})
    return [_caught(world)] * count


def _stepping(count: int) -> list[Pass]:
    """Holding its second step, and nothing is judged."""
    world = _serving({"steps": STEPS})
    upgrade(world, "v2")
    reach(world, 1, "Holding")
    return [_caught(world)] * count


def _judged(*metrics: Mapping[str, object], **rollout: object) -> Callable[[int], list[Pass]]:
    """Holding its second step, and judged on new figures in each pass; the first step's evidence is kept."""

    def scene(count: int) -> list[Pass]:
        world = _judging(metrics, rollout)
        return [_next(world) for _ in range(count)]

    return scene


def _between(*metrics: Mapping[str, object], **rollout: object) -> Callable[[int], list[Pass]]:
    """The same without new figures, as when something happens to a pod between two readings."""

    def scene(count: int) -> list[Pass]:
        world = _judging(metrics, rollout)
        _next(world)
        world.run_for(INTERVAL / 2)
        return [replace(_caught(world), is_new=False)] * count

    return scene


def _judging(metrics: Iterable[Mapping[str, object]], rollout: Manifest) -> World:
    """A cluster in which v2 has been judged for some minutes in its second step."""
    analysis = {"metrics": list(metrics), "interval": f"{INTERVAL}s"}
    world = _serving({"steps": STEPS, "analysis": analysis, **rollout})
    upgrade(world, "v2")
    reach(world, 1, "Holding", within=7200)
    world.run_for(600)
    return world


def _serving(rollout: Manifest) -> World:
    """A cluster in which v1 serves callers, behind a gateway that mirrors."""
    world = World()
    world.add_gateway(*MIRRORING)
    world.apply(models.spec("v1", rollout=models.canary(**rollout), replicas=PODS))
    world.run_to_phase("Healthy")
    for metric in QUERIED:
        world.providers[str(metric["name"])] = lambda name: Answer(metric=name, value=0.1)
    for version in ("v1", "v2"):
        world.script(version, errors=ERRORS)
    world.callers.rate = RATE
    world.run_for(120)
    return world


def _next(world: World) -> Pass:
    """The next pass that gets new figures."""
    known = world.process.asker.readings(KEY)
    world.run_until(lambda: world.process.asker.readings(KEY) is not known)
    return _caught(world)


def _caught(world: World) -> Pass:
    process = world.process
    return Pass(snapshot=process.view.cache.snapshot(KEY), now=world.clock(), readings=process.asker.readings(KEY))


SCENES: Mapping[str, Callable[[int], list[Pass]]] = {
    "idle": _idle,
    "holding a step": _stepping,
    "judged by six built-in metrics": _judged(*BUILTIN),
    "the same between two readings": _between(*BUILTIN),
    "judged by six queries": _judged(*QUERIED),
    "judged by eight metrics, two of them of a shadow": _judged(*BUILTIN, *COMPARED, shadow={"percent": 20}),
    "these eight between two readings": _between(*BUILTIN, *COMPARED, shadow={"percent": 20}),
}

if __name__ == "__main__":
    sys.exit(main())
