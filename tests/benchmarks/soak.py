"""`make soak`: churn for a long time on a real API server that fails now and then; afterwards everything must be right.

Models are changed, aborted, deleted and disturbed at random. Faults of every kind come and go. In the first third the
operator is ended and killed again and again; then one process lives on, and its memory must stay flat. In the end each
model gets a last good version: all must serve it, no object may be left over, and nothing more may be written.
"""

import argparse
import statistics
import sys
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field

from benchmarks.aftermath import left_over, noisy, unsettled
from benchmarks.churn import Churn
from benchmarks.keeper import Keeper
from cluster import scratch
from faults import proxy
from faults.calls import WRITES
from faults.proxy import Proxy
from faults.script import mixed
from played import stage
from played.stage import Stage

MOST_GROWTH = 0.10
_FAIR_SECONDS, _FOUL_SECONDS = 45.0, 15.0
_FOUL_SHARE = 0.03
_PAUSE_SECONDS = 0.3
_KEPT = 50_000


@dataclass(slots=True)
class Weather:
    """Fair and foul in turn."""

    failing: Proxy
    _due: float = field(default_factory=lambda: time.monotonic() + _FAIR_SECONDS)
    storms: int = 0

    def look(self) -> None:
        """Begin a storm when it is time; it ends by itself."""
        if time.monotonic() < self._due:
            return
        self.failing.script.begin(*mixed(_FOUL_SHARE, seconds=_FOUL_SECONDS))
        self._due = time.monotonic() + _FOUL_SECONDS + _FAIR_SECONDS
        self.storms += 1


def main() -> int:
    """Prints what was done and what came of it; the exit status."""
    arguments = _arguments()
    with ExitStack() as stack:
        here = stack.enter_context(stage.staged())
        folder = stack.enter_context(scratch.folder("modelway-soak-"))
        failing = stack.enter_context(proxy.running(here.plane.kubeconfig, seed=arguments.seed, kept=_KEPT))
        way = failing.write_kubeconfig(folder / "kubeconfig")
        keeper = Keeper(way, folder, time.monotonic() + arguments.seconds / 3)
        stack.callback(keeper.end)
        return _soak(here, failing, keeper, arguments)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("--seconds", type=int, default=1800)
    parser.add_argument("--models", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


def _soak(here: Stage, failing: Proxy, keeper: Keeper, arguments: argparse.Namespace) -> int:
    churn, weather = Churn(here, arguments.models, arguments.seed), Weather(failing)
    end = time.monotonic() + arguments.seconds
    churn.begin()
    while time.monotonic() < end:
        keeper.look()
        weather.look()
        churn.act()
        time.sleep(_PAUSE_SECONDS)
    failing.script.end()
    version = churn.settle()
    problems = [*unsettled(here, keeper, arguments.models, version), *left_over(here), *noisy(failing)]
    keeper.close()
    problems += keeper.failures
    _report(churn, weather, keeper, failing)
    problems += _growth(keeper.samples)
    for problem in problems:
        print(f"WRONG   {problem}")
    print(f"{arguments.seconds} s with {arguments.models} models: {len(problems)} problems")
    return 1 if problems else 0


def _growth(samples: list[float]) -> list[str]:
    """Memory of the last third against the first, of the process that lived longest."""
    third = len(samples) // 3
    if not third:
        return ["memory was not measured"]
    thirds = [statistics.mean(samples[first : first + third]) for first in (0, third, len(samples) - third)]
    growth = thirds[-1] / thirds[0] - 1
    print(
        f"memory  {', '.join(f'{each:.1f}' for each in thirds)} MiB in thirds, {growth:+.1%} (goal ≤ {MOST_GROWTH:.0%})"
    )
    return [f"memory grew by {growth:.1%}"] if growth > MOST_GROWTH else []


def _report(churn: Churn, weather: Weather, keeper: Keeper, failing: Proxy) -> None:
    print(f"done    {_listed(churn.done)}")
    print(f"refused {_listed(churn.refused)}")
    happened = Counter({effect.name: count for effect, count in failing.script.happened.items()})
    print(f"faults  {weather.storms} storms: {_listed(happened)}")
    print(f"ended   {_listed(keeper.restarts)}")
    total = failing.journal.counts.total()
    writes = sum(count for what, count in failing.journal.counts.items() if what.split()[0] in WRITES)
    print(f"asked   {total} requests, {writes} of them writes")


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {what}" for what, count in sorted(counts.items())) or "none"


if __name__ == "__main__":
    sys.exit(main())
