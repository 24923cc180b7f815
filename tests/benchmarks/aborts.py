"""`make bench-aborts`: how soon an abort takes the traffic back, on the one-node cluster under load."""

import argparse
import asyncio
import functools
import statistics
import sys
import time
from dataclasses import dataclass

from benchmarks.ground import furnished
from demo import models, objects, street
from demo.load import Load
from demo.objects import Objects
from demo.place import Place
from demo.watch import Watch, watching
from modelway import names
from modelway.cli.client import Access, Client
from modelway.cli.objects import Model

NAME = "aborted"
ROUTE_GOAL_SECONDS, EFFECT_GOAL_SECONDS = 2.0, 5.0
_ROLLOUT = {"strategy": "Canary", "steps": [{"weight": 50, "approval": "Required"}], "bake": "0s"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Abort:
    """One abort, in seconds from the answer to the command."""

    route: float
    """Until the route was written."""
    effect: float
    """Until the last answer of the candidate."""


def main() -> int:
    """Print the figures; 1 where a goal is missed or a request failed."""
    parser = argparse.ArgumentParser(prog="make bench-aborts", description=__doc__)
    parser.add_argument("--aborts", type=int, default=50)
    parser.add_argument("--rate", type=float, default=100, help="predictions per second")
    parser.add_argument("--context", default="")
    found = parser.parse_args()
    known = models.train()
    with furnished(found.context, "bench-aborts", known) as where:
        load = Load(where.target(NAME), known, per_second=found.rate)
        return _report(asyncio.run(_measured(where, load, found.aborts)), load)


async def _measured(where: Place, load: Load, count: int) -> list[Abort]:
    seen = Objects(where.kubectl, where.namespace)
    seen.apply(street.model(where, NAME, "1", _ROLLOUT))
    await seen.until(NAME, "version 1 serves", functools.partial(objects.serves, "1"))
    aborts = []
    with watching(where, "httproute", NAME) as routes:
        async with load.running():
            seen.apply(street.model(where, NAME, "2", _ROLLOUT))
            for number in range(count):
                await seen.until(NAME, "it holds", functools.partial(objects.holds_step, 0))
                aborts.append(await _abort(where, load, routes))
                await seen.until(NAME, "it is taken back", _is_over)
                if number + 1 < count:
                    await asyncio.to_thread(where.modelway, "retry", NAME)
    return aborts


async def _abort(where: Place, load: Load, routes: Watch) -> Abort:
    kubectl = where.kubectl
    access = Access(kubeconfig=kubectl.kubeconfig or None, context=kubectl.context or None, namespace=where.namespace)
    client = Client(access)
    rollout = Model.parse(client.get(NAME)).rollout
    assert rollout is not None
    began = time.monotonic()
    await asyncio.to_thread(client.annotate, NAME, names.ABORT_ANNOTATION, str(rollout.id), dry_run=False)
    route = await _narrowed(routes, began) - began
    await load.until_answered(len(load.answers) + 3 * 100)
    last = max((answer.at for answer in load.answers if answer.version == "2" and answer.at >= began), default=began)
    return Abort(route=route, effect=last - began)


async def _narrowed(routes: Watch, since: float) -> float:
    """The moment at which the route led to one revision again."""
    while True:
        for at, route in routes.seen:
            if at >= since and len(route["spec"]["rules"][0]["backendRefs"]) == 1:
                return at
        await asyncio.sleep(0.02)


def _is_over(model: Model) -> bool:
    return street.is_rolled_back(model) and objects.is_alone(model, "1")


def _report(aborts: list[Abort], load: Load) -> int:
    print(f"{len(aborts)} aborts under {load.total} predictions, {len(load.lost)} failed")
    is_reached = not load.lost
    for what, goal, found in (
        ("route written", ROUTE_GOAL_SECONDS, sorted(item.route for item in aborts)),
        ("last answer of the candidate", EFFECT_GOAL_SECONDS, sorted(item.effect for item in aborts)),
    ):
        p99 = found[min(len(found) - 1, int(len(found) * 0.99))]
        is_reached = is_reached and p99 <= goal
        print(f"{what:<29} median {statistics.median(found):.2f} s, p99 {p99:.2f} s (goal ≤ {goal:.0f} s)")
    return 0 if is_reached else 1


if __name__ == "__main__":
    sys.exit(main())
