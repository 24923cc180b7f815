"""`make bench-runtime`: the runtime beside MLServer, KServe's SDK, BentoML, LitServe, MLflow, TorchServe and Triton.

All servers run at once on core 0 with the same ONNX models, and `wrk` and `h2load` ask one after the other from core 1,
round by round, so that noise from outside meets all alike. The page that is written tells the goals, what was measured
and whether it is enough.
"""

import argparse
import signal
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from importlib import metadata
from pathlib import Path

from benchmarks.runtime import contenders, environments, goals, machine, method, models, page, plot, servers, stages
from benchmarks.runtime.figures import Results, failures
from benchmarks.runtime.names import OURS
from benchmarks.runtime.page import Run
from benchmarks.runtime.programs import require
from benchmarks.runtime.stages import Plan
from modelway_runtime import __version__

_PROGRAMS = {"wrk": "wrk", "h2load": "nghttp2-client", "taskset": "util-linux"}
"""And the packages that hold them."""
_FULL = Plan(rounds=5, seconds=3, starts=5, conformance_seconds=180)
_QUICK = Plan(rounds=1, seconds=1, starts=1, conformance_seconds=0)


def main() -> int:
    """Measures, prints the verdicts and writes the page; 1 where a request of ours failed."""
    arguments = _arguments()
    plan = _QUICK if arguments.quick else _FULL
    stages.cores()
    require(_PROGRAMS)
    run, results, began = _run(plan), Results(), time.monotonic()

    def stage(name: str, action: Callable[[], None]) -> None:
        print(f"{time.monotonic() - began:5.0f} s  {name}", flush=True)
        action()

    models.folder()
    stage("Starts", lambda: stages.starts(plan, results))
    stage("SIGTERM and kill -9", lambda: stages.endings(results))
    with ExitStack() as stack:
        print(f"{time.monotonic() - began:5.0f} s  Servers", flush=True)
        found = stages.gathered(stack, results, arguments.peer)
        stage("Rounds", lambda: stages.rounds(plan, found, results))
        stage("Liveness", lambda: stages.liveliness(plan, found, results))
    stage("Clients of others", lambda: stages.conforming(plan, results))
    _write(arguments.output, run, results)
    print(f"{time.monotonic() - began:5.0f} s  Written to {arguments.output}", flush=True)
    return 1 if failures({cell: found for cell, found in results.samples.items() if cell.server == OURS}) else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-runtime", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short round, to see that all works; no figures")
    parser.add_argument("--peer", action="append", default=[], help="only these, by label")
    parser.add_argument("--output", type=Path, help="folder (default: docs/benchmarks, with --quick the cache)")
    arguments = parser.parse_args()
    if arguments.output is None:
        arguments.output = servers.cache() / "quick" if arguments.quick else machine.REPOSITORY / "docs" / "benchmarks"
    return arguments


def _run(plan: Plan) -> Run:
    """At the start: what else runs then is told, and not this run's own load."""
    kept = {peer.label: peer.version for peer in contenders.peers()}
    return Run(
        date=machine.today(),
        commit=machine.commit(),
        machine=f"{machine.described()}; {machine.load()}.",
        method=method.lines(rounds=plan.rounds, seconds=plan.seconds),
        versions={OURS: __version__, **kept, "onnxruntime": _onnxruntimes()},
    )


def _onnxruntimes() -> str:
    """Ours, and those of the peers' locks."""
    peers = {environments.version(peer, "onnxruntime") for peer in contenders.LOCKED}
    return f"{metadata.version('onnxruntime')}; the peers' {', '.join(sorted(peers))}"


def _write(folder: Path, run: Run, results: Results) -> None:
    rows = goals.verdicts(results)
    for row in rows:
        print(f"{row.name:4} {row.text:75} {row.wanted:>10} {row.measured:>12}  {row.outcome}", flush=True)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "runtime.md").write_text(page.page(run, results, rows))
    (folder / page.PLOT).write_text(plot.svg(rows))


if __name__ == "__main__":
    # The servers end with this process, also where it is told to.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    sys.exit(main())
