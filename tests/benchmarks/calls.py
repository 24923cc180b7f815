"""`make bench-calls`: gRPC of the runtime, by both libraries that can take its calls, beside MLServer's.

All servers run at once on CPU 0 with the ONNX iris model, and `h2load` calls one after the other from CPU 1, four
connections with four calls at a time, so that noise from outside meets all alike. The medians of the rounds count; read
the ratios, not the absolute figures.
"""

import argparse
import functools
import re
import statistics
import struct
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks import servers
from benchmarks.runtime import LOAD_CPU, iris, require
from benchmarks.servers import NAME, Server
from modelway_runtime.rpc.messages import SERVICE, message

_PROGRAMS = {"h2load": "nghttp2-client", "taskset": "util-linux"}
_CONNECTIONS, _AT_ONCE = 4, 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """One server in one round."""

    per_second: float
    cpu_us: float
    failed: int


def main() -> int:
    """Prints a table and the ratios."""
    parser = argparse.ArgumentParser(prog="make bench-calls", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=5, help="of each server in each round")
    arguments = parser.parse_args()
    require(_PROGRAMS)
    model, body = iris(), _body()
    starts = (
        functools.partial(servers.modelway, model, grpc="native"),
        functools.partial(servers.modelway, model),
        functools.partial(servers.mlserver, model),
    )
    with ExitStack() as stack:
        compared = [stack.enter_context(start()) for start in starts]
        for server in compared:
            _measure(server, body, 1)
        measured: dict[str, list[Figures]] = {server.label: [] for server in compared}
        for _ in range(arguments.rounds):
            for server in compared:
                measured[server.label].append(_measure(server, body, arguments.seconds))
    return _report(measured)


def _body() -> Path:
    """A call as it stands in an HTTP/2 stream: a flag, the length, the message."""
    asked = message("ModelInferRequest")(model_name=NAME)
    asked.inputs.add(name="X", datatype="FP32", shape=[1, 4])
    asked.raw_input_contents.append(np.array([5.1, 3.5, 1.4, 0.2], dtype=np.float32).tobytes())
    payload = asked.SerializeToString()
    path = servers.cache() / "call"
    path.write_bytes(b"\0" + struct.pack(">I", len(payload)) + payload)
    return path


def _measure(server: Server, body: Path, seconds: int) -> Figures:
    before = servers.cpu_seconds(server.pid)
    load = ["h2load", "-d", str(body), "-H", "content-type: application/grpc", "-H", "te: trailers"]
    amount = ["-c", str(_CONNECTIONS), "-m", str(_AT_ONCE), "-D", str(seconds)]
    url = f"http://127.0.0.1:{server.grpc_port}/{SERVICE}/ModelInfer"
    command = ["taskset", "--cpu-list", str(LOAD_CPU), *load, *amount, url]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    used = servers.cpu_seconds(server.pid) - before
    rate = re.search(r"finished in [\d.]+m?s, ([\d.]+) req/s", output)
    counts = re.search(r"(\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout", output)
    if rate is None or counts is None:
        raise SystemExit(f"h2load answered something unexpected:\n{output}")
    done, _, *bad = map(int, counts.groups())
    return Figures(per_second=float(rate[1]), cpu_us=used / max(1, done) * 1e6, failed=sum(bad))


def _report(measured: dict[str, list[Figures]]) -> int:
    print(f"ONNX iris, V2 over gRPC, {_CONNECTIONS * _AT_ONCE} calls at a time, one core, medians")
    print(f"{'server':20} {'calls/s':>9} {'CPU µs/call':>12} {'failed':>7}")
    seen = []
    for label, rounds in measured.items():
        rate, cost = (statistics.median(getattr(one, name) for one in rounds) for name in ("per_second", "cpu_us"))
        print(f"{label:20} {rate:9.0f} {cost:12.1f} {sum(one.failed for one in rounds):7}")
        seen.append((label, rate, cost))
    *ours, (peer, rate, cost) = seen
    print()
    for label, own, spent in ours:
        print(f"{label}: {own / rate:.1f} × the calls per second of {peer}, {cost / spent:.1f} × less CPU for each")
    return 1 if any(one.failed for rounds in measured.values() for one in rounds) else 0


if __name__ == "__main__":
    sys.exit(main())
