"""The generated page: goals and verdicts, the peers side by side, machine, versions and method. Pure."""

import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.runtime.figures import Cell, Results, Sample
from benchmarks.runtime.goals import CALLS, FOREIGN, IN_PROCESS, LIVE, MISSED, PSS, READY, Verdict
from benchmarks.runtime.names import BINARY, GRPC, IRIS, JSON, MLP

PLOT = "runtime.svg"
_TABLES = (
    ("Iris over REST, JSON", IRIS, JSON),
    ("The mlp over REST, JSON", MLP, JSON),
    ("The mlp over REST, binary tensors", MLP, BINARY),
    ("Iris over gRPC", IRIS, GRPC),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Where, when and how."""

    date: str
    commit: str
    machine: str
    method: Sequence[str]
    versions: Mapping[str, str]


def page(run: Run, results: Results, rows: Sequence[Verdict]) -> str:
    """Markdown."""
    return "\n".join(_lines(run, results, rows)) + "\n"


def _lines(run: Run, results: Results, rows: Sequence[Verdict]) -> Iterator[str]:
    yield "# The runtime beside others"
    yield ""
    yield f"Written by `make bench-runtime` on {run.date} at {run.commit}. {summary(rows)}"
    yield ""
    yield f"Machine: {run.machine}{_foreign(results)}"
    yield ""
    yield f"![What was measured by what was to be reached]({PLOT})"
    yield ""
    yield "## Goals"
    yield ""
    yield from _table(
        ("", "", "goal", "median", "least to greatest", "less CPU", ""),
        ((row.name, row.text, row.wanted, row.measured, row.spread, row.by_cpu, row.outcome) for row in rows),
    )
    yield from _missed(results, rows)
    for title, model, way in _TABLES:
        yield from _peers(title, model, way, results)
    yield from _starts(results)
    yield from _conformance(results)
    yield from _absent(results)
    yield "## Method"
    yield ""
    yield from (f"- {line}" for line in run.method)
    yield ""
    yield from _table(("server", "version"), run.versions.items())


def _foreign(results: Results) -> str:
    values = results.facts.get(FOREIGN)
    return f" What others took of both cores in the rounds: {statistics.median(values):.0f} %." if values else ""


def _missed(results: Results, rows: Sequence[Verdict]) -> Iterator[str]:
    """Each goal that was missed, and why."""
    missed = [row for row in rows if row.outcome == MISSED]
    if not missed:
        return
    yield "## Missed, and why"
    yield ""
    for row in missed:
        yield f"- {row.name}, {row.text}: {_cause(results, row)}."
    yield ""


def _cause(results: Results, row: Verdict) -> str:
    shared = _foreign(results).strip().rstrip(".")
    by_cpu = f"by the CPU of each request it is {row.by_cpu}" if row.by_cpu else "the cause is not known"
    return f"{shared[:1].lower()}{shared[1:]}; {by_cpu}" if shared else by_cpu


def summary(rows: Sequence[Verdict]) -> str:
    """How many goals are reached."""
    reached = sum(row.outcome == "reached" for row in rows)
    unmeasured = sum(row.outcome.startswith("not measured") for row in rows)
    rest = f", {unmeasured} not measured" if unmeasured else ""
    return f"{reached} of {len(rows)} goals are reached, {len(rows) - reached - unmeasured} missed{rest}."


def _peers(title: str, model: str, way: str, results: Results) -> Iterator[str]:
    cells = [cell for cell in results.samples if (cell.model, cell.way) == (model, way) and results.samples[cell]]
    if not cells:
        return
    yield f"## {title}"
    yield ""
    head = ("server", "at a time", "requests/s", "least to greatest", "p50", "p99", "CPU for each", "failed")
    yield from _table(head, (_row(cell, results.samples[cell]) for cell in cells))


def _row(cell: Cell, samples: Sequence[Sample]) -> tuple[str, ...]:
    rates = [sample.per_second for sample in samples]
    return (
        cell.server,
        str(cell.connections),
        f"{statistics.median(rates):,.0f}",
        f"{min(rates):,.0f} to {max(rates):,.0f}",
        _milliseconds(sample.p50_ms for sample in samples),
        _milliseconds(sample.p99_ms for sample in samples),
        f"{statistics.median(sample.cpu_us for sample in samples):,.1f} µs",
        str(sum(sample.failed for sample in samples)),
    )


def _milliseconds(values: Iterable[float]) -> str:
    median = statistics.median(values)
    return f"{median:,.2f} ms" if median else ""


def _starts(results: Results) -> Iterator[str]:
    """What else is known of each server."""
    labels = [name.removeprefix(READY) for name in results.facts if name.startswith(READY)]
    yield "## Start, memory, liveness"
    yield ""
    rows = (
        (
            label,
            _fact(results, READY + label, "{:,.2f} s"),
            _fact(results, PSS + label, "{:,.0f} MB"),
            _fact(results, LIVE + label, "{:,.1f} ms"),
        )
        for label in labels
    )
    yield from _table(("server", "ready after the start", "memory (PSS)", "p99 of live, busy model"), rows)
    if IN_PROCESS in results.facts:
        calls = statistics.median(results.facts[IN_PROCESS])
        yield f"onnxruntime in a process with nothing else: {calls:,.0f} calls of the mlp a second on that core."
        yield ""


def _fact(results: Results, name: str, form: str) -> str:
    values = results.facts.get(name)
    return form.format(statistics.median(values)) if values else ""


def _conformance(results: Results) -> Iterator[str]:
    rows = [
        (name.removeprefix(CALLS), f"{results.facts[name][0]:.0f}") for name in results.facts if name.startswith(CALLS)
    ]
    if not rows:
        return
    yield "## Clients of other makers"
    yield ""
    yield "How many kinds of [calls](../protocols.md#clients) of each client are made:"
    yield ""
    yield from _table(("client", "calls"), rows)


def _absent(results: Results) -> Iterator[str]:
    if not results.absent:
        return
    yield "## Not measured"
    yield ""
    yield from _table(("", "why"), ((name, _plain(reason)) for name, reason in results.absent.items()))


def _plain(text: str) -> str:
    """As a cell of a table can hold it; no folder of the machine is named."""
    words = (word.rpartition("/")[2] if word.count("/") > 1 else word for word in text.replace("|", "/").split())
    return " ".join(words)[:200]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    yield from (f"| {' | '.join(row)} |" for row in rows)
    yield ""
