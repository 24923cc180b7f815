"""`make bench-aborts`: how soon an abort takes the traffic back, on the one-node cluster under load."""

import argparse
import asyncio
import functools
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from threading import Thread
from typing import Any

from benchmarks.aftercare import removed
from demo import models, objects, place, street
from demo.load import Load
from demo.objects import Objects
from demo.place import Place
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


class Routes:
    """Sees each version of the route as it is written."""

    def __init__(self) -> None:
        self.seen: list[tuple[float, int]] = []

    @contextmanager
    def watching(self, where: Place) -> Iterator["Routes"]:
        """As `kubectl get --watch` reports it."""
        words = ("get", "httproute", NAME, f"--namespace={where.namespace}", "--watch", "--output=json")
        program = [*where.kubectl.command(), *words]
        process = subprocess.Popen(program, stdout=subprocess.PIPE, text=True)
        Thread(target=self._read, args=(process.stdout,), daemon=True).start()
        try:
            yield self
        finally:
            process.terminate()
            process.wait(10)

    def _read(self, stream: Any) -> None:
        decoder, text = json.JSONDecoder(), ""
        for line in stream:
            text += line
            if line.rstrip() == "}":
                route, _ = decoder.raw_decode(text.lstrip())
                text = ""
                self.seen.append((time.monotonic(), len(route["spec"]["rules"][0]["backendRefs"])))

    async def narrowed(self, since: float) -> float:
        """The moment at which the route led to one revision again."""
        while True:
            found = [at for at, backends in self.seen if at >= since and backends == 1]
            if found:
                return found[0]
            await asyncio.sleep(0.02)


def main() -> int:
    """Print the figures; 1 where a goal is missed or a request failed."""
    parser = argparse.ArgumentParser(prog="make bench-aborts", description=__doc__)
    parser.add_argument("--aborts", type=int, default=50)
    parser.add_argument("--rate", type=float, default=100, help="predictions per second")
    parser.add_argument("--context", default="")
    found = parser.parse_args()
    build, known = place.bring_up(found.context), models.train()
    where = replace(place.find(found.context, "bench"), namespace="bench-aborts")
    place.install(where, build)
    place.furnish(where, known)
    place.clear(where)
    load = Load(where.target(NAME), known, per_second=found.rate)
    with removed(where):
        return _report(asyncio.run(_measured(where, load, found.aborts)), load)


async def _measured(where: Place, load: Load, count: int) -> list[Abort]:
    seen = Objects(where.kubectl, where.namespace)
    seen.apply(street.model(where, NAME, "1", _ROLLOUT))
    await seen.until(NAME, "version 1 serves", functools.partial(objects.serves, "1"))
    aborts = []
    with Routes().watching(where) as routes:
        async with load.running():
            seen.apply(street.model(where, NAME, "2", _ROLLOUT))
            for number in range(count):
                await seen.until(NAME, "it holds", functools.partial(objects.holds_step, 0))
                aborts.append(await _abort(where, load, routes))
                await seen.until(NAME, "it is taken back", _is_over)
                if number + 1 < count:
                    await asyncio.to_thread(where.modelway, "retry", NAME)
    return aborts


async def _abort(where: Place, load: Load, routes: Routes) -> Abort:
    kubectl = where.kubectl
    access = Access(kubeconfig=kubectl.kubeconfig or None, context=kubectl.context or None, namespace=where.namespace)
    client = Client(access)
    rollout = Model.parse(client.get(NAME)).rollout
    assert rollout is not None
    began = time.monotonic()
    await asyncio.to_thread(client.annotate, NAME, names.ABORT_ANNOTATION, str(rollout.id), dry_run=False)
    route = await routes.narrowed(began) - began
    await load.until_answered(len(load.answers) + 3 * 100)
    last = max((answer.at for answer in load.answers if answer.version == "2" and answer.at >= began), default=began)
    return Abort(route=route, effect=last - began)


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
