"""The goals P1 to P10 and whether they are reached. Pure."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from benchmarks.runtime import figures
from benchmarks.runtime.figures import Cell, Missing, Results, Sample, Spread
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
    TRITON,
    UNBATCHED,
)

IN_PROCESS = "ORT calls/s in a process"
LIVE = "live p99 ms: "
DRAIN_FAILED, DRAIN_EXIT = "failed in the drain window", "exit status after SIGTERM"
KILL_SECONDS, KILL_LOST = "seconds from kill -9 to not ready", "requests without an answer after kill -9"
READY, PSS = "ready s: ", "PSS MB: "
CLIENTS_FAILED, FUZZ_FAILED = "client calls that failed", "fuzzing that failed"
CALLS = "client calls: "
FOREIGN = "CPU of others in %"
MISSED = "**missed**"
_TIE = 0.95
"""Two designs whose medians differ by less are not told apart by a run like this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """What must be at least, or at most, what."""

    name: str
    text: str
    limit: float
    read: Callable[[Results], Spread]
    is_least: bool = True
    unit: str = "×"
    digits: int = 1
    pair: tuple[Cell, Cell] | None = None
    """What is compared, where the CPU of each request can be compared, too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A row of the report, in words."""

    name: str
    text: str
    wanted: str
    measured: str
    spread: str
    outcome: str
    by_cpu: str = ""
    """How much less CPU a request takes, where two servers are compared."""
    ratio: float | None = None
    """What was measured by what was wanted, above 1 where it is reached; None where nothing was measured."""


def verdicts(results: Results) -> tuple[Verdict, ...]:
    """A row for each goal."""
    return tuple(_verdict(goal, results) for goal in GOALS)


def _verdict(goal: Goal, results: Results) -> Verdict:
    wanted = f"{'≥' if goal.is_least else '≤'} {_number(goal.limit, goal)}"
    try:
        found = goal.read(results)
    except Missing as reason:
        return Verdict(
            name=goal.name, text=goal.text, wanted=wanted, measured="", spread="", outcome=f"not measured: {reason}"
        )
    is_reached = found.median >= goal.limit if goal.is_least else found.median <= goal.limit
    return Verdict(
        name=goal.name,
        text=goal.text,
        wanted=wanted,
        measured=_number(found.median, goal),
        spread=f"{found.low:,.{goal.digits}f} to {found.high:,.{goal.digits}f}" if found.low != found.high else "",
        outcome="reached" if is_reached else MISSED,
        by_cpu=_saved(goal, results),
        ratio=_by_limit(found.median, goal),
    )


def _saved(goal: Goal, results: Results) -> str:
    if goal.pair is None:
        return ""
    ours, theirs = goal.pair
    return f"{figures.ratio(results, theirs, ours, figures.cpu_us).median:.1f} ×"


def _by_limit(value: float, goal: Goal) -> float | None:
    """How far on the good side; none for limits of zero, which know only yes and no."""
    if not goal.limit:
        return None
    if goal.is_least:
        return value / goal.limit
    return goal.limit / value if value > 0 else math.inf


def _number(value: float, goal: Goal) -> str:
    text = f"{value:,.{goal.digits}f}"
    return f"{text} {goal.unit}".strip() if goal.unit != "%" else f"{text} %"


def _ratio(ours: Cell, theirs: Cell, results: Results) -> Spread:
    return figures.ratio(results, ours, theirs)


def _share(ours: Cell, theirs: Cell, results: Results) -> Spread:
    return _percent(_ratio(ours, theirs, results))


def _percent(found: Spread) -> Spread:
    return Spread(100 * found.median, 100 * found.low, 100 * found.high)


def _in_process(cell: Cell, results: Results) -> Spread:
    pairs = zip(results.of(cell), results.fact(IN_PROCESS), strict=False)
    return _percent(figures.spread([sample.per_second / calls for sample, calls in pairs]))


def _cost(cell: Cell, results: Results) -> Spread:
    return figures.spread([sample.cpu_us for sample in results.of(cell)])


def _more(ours: Cell, theirs: Cell, of: Callable[[Sample], float], results: Results) -> Spread:
    return figures.difference(results, ours, theirs, of)


def _fact(name: str, results: Results) -> Spread:
    return figures.spread(results.fact(name))


def _cell(server: str, model: str, way: str = JSON, connections: int = 16) -> Cell:
    return Cell(server, model, way, connections)


def _beside(name: str, text: str, limit: float, ours: Cell, theirs: Cell, digits: int = 1) -> Goal:
    pair = ours, theirs
    return Goal(name=name, text=text, limit=limit, read=partial(_ratio, *pair), digits=digits, pair=pair)


def _against_peers() -> Iterator[Goal]:
    ours = _cell(OURS, IRIS)
    for peer, limit in ((MLSERVER, 6.0), (MLSERVER_DEFAULT, 12.0), (KSERVE, 8.0)):
        yield _beside("P1", f"requests/s, iris, beside {peer}", limit, ours, _cell(peer, IRIS))
    for model, limit in ((IRIS, 1.4), (MLP, 1.2)):
        text = f"requests/s, {model}, beside {TRITON}"
        yield _beside("P2", text, limit, _cell(OURS, model), _cell(TRITON, model))


def _against_floors() -> Iterator[Goal]:
    for connections, limit in ((16, 35), (64, 40)):
        read = partial(_share, _cell(OURS, IRIS, JSON, connections), _cell(FLOOR, IRIS, JSON, connections))
        text = f"of uvicorn's requests/s with a constant answer, {connections} connections"
        yield Goal(name="P3", text=text, limit=limit, read=read, unit="%", digits=0)
    yield Goal(
        name="P3",
        text="CPU of a request, iris, JSON",
        limit=70,
        read=partial(_cost, _cell(OURS, IRIS)),
        is_least=False,
        unit="µs",
    )
    yield Goal(
        name="P4",
        text="of onnxruntime's calls/s in a process, mlp, binary",
        limit=80,
        read=partial(_in_process, _cell(OURS, MLP, BINARY)),
        unit="%",
        digits=0,
    )
    pair = _cell(OURS, MLP, BINARY, 64), _cell(INLINE, MLP, BINARY, 64)
    yield _beside("P4", "requests/s beside inline, mlp, binary, 64 connections", 1.5, *pair, digits=2)


def _of_batching() -> Iterator[Goal]:
    alone = _cell(OURS, MLP, BINARY, 1), _cell(INLINE, MLP, BINARY, 1)
    yield Goal(
        name="P5",
        text="p50 that batching adds to inline, mlp, 1 connection",
        limit=0.1,
        read=partial(_more, *alone, figures.p50_ms),
        is_least=False,
        unit="ms",
        digits=3,
    )
    for connections in (1, 16, 64):
        pair = _cell(OURS, MLP, BINARY, connections), _cell(UNBATCHED, MLP, BINARY, connections)
        text = f"requests/s beside batches of 1, mlp, connections: {connections}"
        yield _beside("P5", text, _TIE, *pair, digits=2)


def _of_calls() -> Iterator[Goal]:
    for ours, peer, limit in ((OURS, KSERVE, 2.5), (NATIVE, KSERVE, 6), (NATIVE, TRITON, 1)):
        text = f"gRPC calls/s by {'grpcio' if ours == OURS else 'native'}, iris, beside {peer}"
        yield _beside("P6", text, limit, _cell(ours, IRIS, GRPC), _cell(peer, IRIS, GRPC))


def _at_most(name: str, text: str, limit: float, fact: str, unit: str = "", digits: int = 0) -> Goal:
    return Goal(name=name, text=text, limit=limit, read=partial(_fact, fact), is_least=False, unit=unit, digits=digits)


GOALS = (
    *_against_peers(),
    *_against_floors(),
    *_of_batching(),
    *_of_calls(),
    _at_most("P7", "p99 of `/v2/health/live` while a model of 200 ms is saturated", 10, LIVE + OURS, "ms", 1),
    _at_most("P8", "requests that fail from SIGTERM to the end of the drain", 0, DRAIN_FAILED),
    _at_most("P8", "exit status after it", 0, DRAIN_EXIT),
    _at_most("P8", "from `kill -9` of a worker to 503 and not ready", 1, KILL_SECONDS, "s", 2),
    _at_most("P8", "requests without an answer after it", 0, KILL_LOST),
    _at_most("P9", "ready after the start, iris", 1.5, READY + OURS, "s", 2),
    _at_most("P9", "memory (PSS) when ready, iris", 120, PSS + OURS, "MB"),
    _at_most("P10", "calls of other makers' clients that fail", 0, CLIENTS_FAILED),
    _at_most("P10", "what Schemathesis finds", 0, FUZZ_FAILED),
)
"""In the order of the report."""
