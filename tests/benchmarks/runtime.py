"""`make bench-runtime`: the runtime beside MLServer on the ONNX iris model over V2 REST JSON.

Both servers run at once on CPU 0, and `wrk` asks one after the other from CPU 1, so that noise from outside meets both
alike. The medians of the rounds count; read the ratio, not the absolute figures.
"""

import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from skl2onnx import to_onnx
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from benchmarks import servers
from benchmarks.servers import Server
from cluster import packages, shell

LOAD_CPU = 1
GOAL = 6.0
READY_GOAL_SECONDS = 1.5
Start: TypeAlias = Callable[[Path], AbstractContextManager[Server]]
_REQUEST = '{"inputs":[{"name":"X","shape":[1,4],"datatype":"FP32","data":[5.1,3.5,1.4,0.2]}]}'
_PROGRAMS = {"wrk": "wrk", "taskset": "util-linux"}
"""And the packages that hold them."""
_UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3}


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """One server in one round."""

    per_second: float
    p50_ms: float
    p99_ms: float
    cpu_us: float
    failed: int


def main() -> int:
    """Prints a table and the ratio."""
    arguments = _arguments()
    model, script = iris(), _script()
    starts = [_ready_seconds(start, model, arguments.starts) for start in (servers.modelway, servers.mlserver)]
    with ExitStack() as stack:
        compared = [
            stack.enter_context(servers.modelway(model)),
            stack.enter_context(servers.mlserver(model)),
        ]
        measured: dict[str, list[Figures]] = {server.label: [] for server in compared}
        for server in compared:
            _measure(server, script, arguments.connections, 1)
        for number in range(arguments.rounds):
            for server in compared:
                figures = _measure(server, script, arguments.connections, arguments.seconds)
                measured[server.label].append(figures)
                print(f"round {number + 1}  {server.label:15} {figures.per_second:9.0f} req/s", flush=True)
    _report_starts(starts, arguments.starts)
    return _report(measured, arguments.connections)


def _ready_seconds(start: Start, model: Path, times: int) -> tuple[str, float]:
    """Label and median over several starts, one after the other, with nothing else on the core."""
    seen: dict[str, list[float]] = {}
    for _ in range(times):
        with start(model) as server:
            seen.setdefault(server.label, []).append(server.ready_seconds)
    ((label, seconds),) = seen.items()
    return label, statistics.median(seconds)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-runtime", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=8, help="of each server in each round")
    parser.add_argument("--starts", type=int, default=5)
    parser.add_argument("--connections", type=int, default=16)
    arguments = parser.parse_args()
    if (os.cpu_count() or 1) <= LOAD_CPU:
        raise SystemExit("Two CPUs are needed: one for the servers, one for the load")
    require(_PROGRAMS)
    return arguments


def require(programs: Mapping[str, str]) -> None:
    """Install the packages of programs, which are given by name, where these are missing."""
    missing = tuple(package for program, package in programs.items() if shutil.which(program) is None)
    if not missing:
        return
    try:
        packages.ensure(missing)
    except shell.ClusterError as failure:
        raise SystemExit(f"The benchmark needs {', '.join(missing)}. {failure}") from failure


def iris() -> Path:
    """Logistic regression on iris as ONNX, without the map of probabilities."""
    path = servers.cache() / "iris" / "model.onnx"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        features, labels = load_iris(return_X_y=True)
        estimator = LogisticRegression(max_iter=1000).fit(features, labels)
        converted = to_onnx(estimator, features[:1].astype(np.float32), options={"zipmap": False})
        path.write_bytes(converted.SerializeToString())
    return path


def _script() -> Path:
    path = servers.cache() / "post.lua"
    lines = ('wrk.method = "POST"', 'wrk.headers["Content-Type"] = "application/json"', f"wrk.body = '{_REQUEST}'")
    path.write_text("\n".join(lines))
    return path


def _measure(server: Server, script: Path, connections: int, seconds: int) -> Figures:
    before = servers.cpu_seconds(server.pid)
    command = ["taskset", "--cpu-list", str(LOAD_CPU), "wrk", "-t1", f"-c{connections}", f"-d{seconds}s"]
    done = subprocess.run(
        [*command, "--latency", "-s", script, server.infer_url], check=True, capture_output=True, text=True
    )
    used = servers.cpu_seconds(server.pid) - before
    output = done.stdout
    requests = int(_found(r"(\d+) requests in", output))
    errors = re.search(r"Non-2xx or 3xx responses: (\d+)", output)
    return Figures(
        per_second=float(_found(r"Requests/sec:\s+([\d.]+)", output)),
        p50_ms=_milliseconds(_found(r"\n\s+50%\s+(\S+)", output)),
        p99_ms=_milliseconds(_found(r"\n\s+99%\s+(\S+)", output)),
        cpu_us=used / max(1, requests) * 1e6,
        failed=int(errors[1]) if errors else 0,
    )


def _found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    if match is None:
        raise SystemExit(f"wrk answered something unexpected:\n{text}")
    return match[1]


def _milliseconds(text: str) -> float:
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s)", text).groups()  # type: ignore[union-attr]
    return float(number) * _UNITS[unit]


def _report_starts(starts: list[tuple[str, float]], times: int) -> None:
    print(f"\nReady after the start of the process, medians of {times} starts")
    for label, seconds in starts:
        print(f"{label:15} {seconds:9.2f} s")
    print(f"\n{starts[0][1]:.2f} s until ready (goal ≤ {READY_GOAL_SECONDS} s)")


def _report(measured: dict[str, list[Figures]], connections: int) -> int:
    print(f"\nONNX iris, V2 REST JSON, {connections} connections, one core, medians")
    print(f"{'server':15} {'req/s':>9} {'p50 ms':>8} {'p99 ms':>8} {'CPU µs/req':>11} {'failed':>7}")
    rates, costs = [], []
    for label, rounds in measured.items():
        rate = statistics.median(one.per_second for one in rounds)
        p50, p99 = (statistics.median(getattr(one, name) for one in rounds) for name in ("p50_ms", "p99_ms"))
        cost = statistics.median(one.cpu_us for one in rounds)
        failed = sum(one.failed for one in rounds)
        print(f"{label:15} {rate:9.0f} {p50:8.2f} {p99:8.2f} {cost:11.1f} {failed:7}")
        rates.append(rate)
        costs.append(cost)
    ratio, saved = rates[0] / rates[1], costs[1] / costs[0]
    print(f"\nP1: {ratio:.1f} × the requests per second (goal ≥ {GOAL:g}), {saved:.1f} × less CPU for each")
    return 0 if not any(one.failed for rounds in measured.values() for one in rounds) else 1


if __name__ == "__main__":
    sys.exit(main())
