"""The stages of a run, each of which adds to the results; what fails is a reason there, and the run goes on."""

import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from benchmarks.runtime import conformance, contenders, ends, figures, floors, goals, liveness, load, machine, servers
from benchmarks.runtime.conformance import NotRun
from benchmarks.runtime.contenders import Contender
from benchmarks.runtime.environments import NotInstalled
from benchmarks.runtime.figures import Cell, Results
from benchmarks.runtime.load import NoAnswer
from benchmarks.runtime.names import (
    BINARY,
    FLOOR,
    GRPC,
    INLINE,
    IRIS,
    JSON,
    KSERVE,
    MLP,
    MLSERVER,
    MLSERVER_DEFAULT,
    NATIVE,
    OURS,
    SLOW,
    TRITON,
    UNBATCHED,
)
from benchmarks.runtime.outputs import Unexpected
from benchmarks.runtime.servers import NotStarted, Server
from clients import table

V2_PEERS = (MLSERVER, MLSERVER_DEFAULT, KSERVE, TRITON)
_BROKEN = (NoAnswer, Unexpected, subprocess.SubprocessError, OSError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How long and how often."""

    rounds: int
    seconds: float
    starts: int
    conformance_seconds: float


@dataclass(slots=True)
class Field:
    """The servers that run, each with the models that it answers for."""

    running: dict[tuple[str, str], tuple[Contender, Server]] = field(default_factory=dict)

    def find(self, label: str, model: str) -> tuple[Contender, Server] | None:
        """Ours serve one model each, the others all."""
        return self.running.get((label, model)) or self.running.get((label, ""))


def starts(plan: Plan, results: Results) -> None:
    """P9: ours alone, several times, on an empty core."""
    for _ in range(plan.starts):
        with contenders.modelway(OURS, IRIS).start() as server:
            results.facts.setdefault(goals.READY + OURS, []).append(server.ready_seconds)
            results.facts.setdefault(goals.PSS + OURS, []).append(servers.pss_mb(server.pid))


def gathered(stack: ExitStack, results: Results, wanted: Sequence[str]) -> Field:
    """Starts all of them, one after the other; who does not start is absent."""
    found = Field()
    own = (
        (contenders.modelway(OURS, IRIS), IRIS),
        (contenders.modelway(NATIVE, IRIS, "--grpc", "native"), IRIS),
        (contenders.modelway(OURS, MLP), MLP),
        (contenders.modelway(UNBATCHED, MLP, "--max-batch-size", "1"), MLP),
        (contenders.modelway(INLINE, MLP, is_inline=True), MLP),
        (contenders.modelway(OURS, SLOW), SLOW),
        (contenders.floor(), ""),
    )
    others = ((peer, "") for peer in contenders.peers() if not wanted or peer.label in wanted)
    for contender, model in (*own, *others):
        try:
            server = stack.enter_context(contender.start())
        except (NotStarted, NotInstalled, OSError) as failure:
            results.absent[contender.label] = str(failure)
            print(f"  {contender.label}: {failure}", flush=True)
            continue
        found.running[contender.label, model] = contender, server
        print(f"  {contender.label} {model}: ready after {server.ready_seconds:.1f} s", flush=True)
        if contender.label not in (OURS, NATIVE, UNBATCHED, INLINE, FLOOR):
            results.facts[goals.READY + contender.label] = [server.ready_seconds]
            results.facts[goals.PSS + contender.label] = [servers.pss_mb(server.pid)]
    return found


def cells(peers: Sequence[str]) -> Iterator[Cell]:
    """What each round goes through; what is compared stands close together."""
    yield from (Cell(label, IRIS, JSON, 16) for label in (OURS, FLOOR, *peers))
    yield from (Cell(label, IRIS, JSON, 64) for label in (OURS, FLOOR))
    yield from (Cell(label, MLP, JSON, 16) for label in (OURS, *peers))
    yield from (Cell(label, MLP, BINARY, count) for count in (1, 16, 64) for label in (OURS, UNBATCHED, INLINE))
    yield from (Cell(label, IRIS, GRPC, 16) for label in (OURS, NATIVE, *(one for one in V2_PEERS if one in peers)))


def rounds(plan: Plan, found: Field, results: Results) -> None:
    """P1 to P6: every cell once in each round, after a second each to warm up."""
    wanted = list(cells([label for label, model in found.running if not model and label != FLOOR]))
    for number in range(plan.rounds + 1):
        began, others = time.monotonic(), machine.Others([server.pid for _, server in found.running.values()])
        for cell in wanted:
            _measure(cell, found, results, plan.seconds if number else 1)
        if number == 0:
            results.samples.clear()
            print(f"  warmed up {len(wanted)} cells in {time.monotonic() - began:.0f} s", flush=True)
            continue
        results.facts.setdefault(goals.FOREIGN, []).append(others.percent())
        calls = floors.measured(MLP, min(plan.seconds, 2))
        results.facts.setdefault(goals.IN_PROCESS, []).append(calls)
        print(f"  round {number} of {plan.rounds}: {time.monotonic() - began:.0f} s", flush=True)


def _measure(cell: Cell, found: Field, results: Results, seconds: float) -> None:
    place = found.find(cell.server, cell.model)
    if place is None or figures.name(cell) in results.absent:
        return
    contender, server = place
    try:
        sample = load.measure(server, contender, cell, seconds)
    except _BROKEN as failure:
        results.absent[figures.name(cell)] = str(failure)
        print(f"  {cell.server} {cell.model}: {failure}", flush=True)
        return
    results.samples.setdefault(cell, []).append(sample)
    print(
        f"  {cell.server:24} {cell.model:5} {cell.way:21} {cell.connections:3} {sample.per_second:9,.0f}/s", flush=True
    )


def liveliness(plan: Plan, found: Field, results: Results) -> None:
    """P7, and the same of the peers that have the path."""
    for label in (OURS, *V2_PEERS):
        place = found.find(label, SLOW)
        if place is None:
            continue
        contender, server = place
        try:
            results.facts[goals.LIVE + label] = [liveness.p99_ms(server, contender, plan.seconds)]
        except _BROKEN as failure:
            results.absent[goals.LIVE + label] = str(failure)


def endings(results: Results) -> None:
    """P8."""
    failed, status = ends.drained()
    results.facts[goals.DRAIN_FAILED], results.facts[goals.DRAIN_EXIT] = [failed], [status]
    if ends.has_workers():
        seconds, lost = ends.killed()
        results.facts[goals.KILL_SECONDS], results.facts[goals.KILL_LOST] = [seconds], [lost]
    else:
        reason = "`serve` has no `--workers`: the model runs in the server's own process"
        results.absent[goals.KILL_SECONDS] = results.absent[goals.KILL_LOST] = reason


def conforming(plan: Plan, results: Results) -> None:
    """P10."""
    for client in table.clients():
        results.facts[f"{goals.CALLS}{client.title} {client.version}"] = [len(client.calls)]
    if not plan.conformance_seconds:
        results.absent[goals.CLIENTS_FAILED] = results.absent[goals.FUZZ_FAILED] = "left out by --quick"
        return
    try:
        found = conformance.outcomes(seconds=plan.conformance_seconds)
    except NotRun as reason:
        results.absent[goals.CLIENTS_FAILED] = results.absent[goals.FUZZ_FAILED] = str(reason)
        return
    for file, name in (("test_clients", goals.CLIENTS_FAILED), ("test_fuzzing", goals.FUZZ_FAILED)):
        if file in found:
            results.facts[name] = [found[file]["failed"] + found[file]["skipped"]]


def cores() -> None:
    """Two are needed; raises SystemExit."""
    if (os.cpu_count() or 1) < 2:
        raise SystemExit("Two cores are needed: one for the servers, one for the load")
