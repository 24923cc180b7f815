"""What the documents show is what the program prints: outputs, whole files, the tables of invariants and of clients.

`UPDATE_DOCS=1` writes them anew. The outputs are those of the command line, over a rollout in the simulated cluster.
"""

import functools
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.metrics import MetricWrapperBase

from clients import table
from modelway.cli import commands, history, view
from modelway.cli.commands import Caller, Verb
from modelway.cli.objects import Model
from modelway.cluster.cache import Cache
from modelway.cluster.queue import WorkQueue
from modelway.cluster.scrape import CacheCollector, QueueCollector
from modelway.kinds import Manifest
from modelway.metrics import Metrics
from modelway_runtime.compare.backlog import Backlog
from modelway_runtime.compare.tally import Pair, Tally
from modelway_runtime.observation.access_log import AccessLog
from modelway_runtime.observation.payload_log import PayloadFigures
from modelway_runtime.server.metrics import Metrics as RuntimeMetrics
from simulation.oracle import CHECKS, WATCHED
from simulation.scripts import Script
from simulation.stories import reach
from simulation.world import World

REPOSITORY = Path(__file__).parents[2]
PAGES = (REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md")))
Row = tuple[str, str, tuple[str, ...], str]
"""Name, type, labels and text of a metric."""

_SHOWN = re.compile(
    r"<!-- (shown|file|tests|metrics|clients): (\S+) -->\n(?:```\w*\n(.*?)^```$|(.*?)^<!-- end -->$)",
    re.MULTILINE | re.DOTALL,
)
_GOLDEN = {
    "name": "small-payment",
    "request": {"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [12.5, 1.0]}]},
    "expect": {"outputs": [{"name": "label", "data": [0]}]},
}
_WRONG = "Golden request 'small-payment': output 'label': value 0 is 1, expected 0 (got [1], expected [0])"


def _spec(version: str, example: str = "onnx-canary", **more: Any) -> Manifest:
    text = (REPOSITORY / "examples" / f"{example}.yaml").read_text(encoding="utf-8")
    spec = yaml.safe_load(text)["spec"]
    return {**spec, "model": spec["model"] | {"uri": f"s3://models/fraud/{version}", "version": version}, **more}


@functools.cache
def _story() -> Mapping[str, str]:
    """Every output that a page shows, by name."""
    world, shown = World(), dict[str, str]()

    def show(point: str) -> None:
        model = Model.parse(world.model())
        shown[f"{point}.status"] = view.page(model, world.clock())
        shown[f"{point}.head"] = shown[f"{point}.status"].partition("\n\nConditions\n")[0] + "\n"
        shown[f"{point}.table"] = view.table([model])
        shown[f"{point}.history"] = history.page(model)
        shown[f"{point}.get"] = _get(world.model(), world.clock())

    world.scripts.secrets.add("s3-reader")
    world.apply(_spec("2026-11-13"))
    world.run_to_phase("Healthy")
    world.run_for(3600)
    show("serving")
    world.apply(_spec("2026-11-20"))
    reach(world, 0, "Holding")
    world.run_for(130)
    show("holding")
    reach(world, 1, "Holding")
    world.run_for(300)
    show("approval")
    _ask(world, Verb.PROMOTE)
    world.run_to_phase("Healthy")
    world.run_for(60)
    show("promoted")
    world.run_for(7200)
    _refuse(world, "2026-11-27", Script(answers_wrong=True, message=_WRONG))
    show("golden")
    cut_off = (
        "model.onnx cannot be loaded: [ONNXRuntimeError] : 7 : INVALID_PROTOBUF : Load model from model.onnx failed"
    )
    _refuse(world, "2026-11-28", Script(load_failure="ModelLoadFailed", message=cut_off))
    show("broken")
    world.apply(_spec("2026-11-29"))
    reach(world, 0, "Holding", rollout=5)
    _ask(world, Verb.ABORT)
    world.run_for(60)
    show("aborted")
    _ask(world, Verb.UNDO)
    world.run_for(120)
    show("undone")
    return shown | _preview() | _segments()


def _preview() -> Mapping[str, str]:
    """A candidate that is shown before it takes the traffic."""
    world = World()
    world.scripts.secrets.add("s3-reader")
    for version in ("2026-11-13", "2026-11-20"):
        world.apply(_spec(version, "blue-green"))
        world.run_for(3600)
    return {"preview.status": view.page(Model.parse(world.model()), world.clock())}


def _segments() -> Mapping[str, str]:
    """A candidate that is bad in one language: its rollout while nothing is proven, and its end."""
    world, shown = World(), {}
    world.scripts.secrets.add("s3-reader")
    world.callers.rate, world.callers.languages = 100.0, {"en": 0.7, "de": 0.2, "fr": 0.09, "is": 0.01}
    world.apply(_spec("2026-11-13", "canary-by-segment"))
    world.run_to_phase("Healthy")
    world.scripts.by_uri["s3://models/fraud/2026-11-20"] = Script(errors_of={"de": 0.045, "en": 0.003})
    world.apply(_spec("2026-11-20", "canary-by-segment"))
    reach(world, 0, "Holding")
    world.run_for(300)
    shown["segments.holding"] = _of_rollout(world)
    world.run_to_phase("RolledBack", within=1800)
    shown["segments.failed"] = _of_rollout(world)
    return shown


def _of_rollout(world: World) -> str:
    return view.page(Model.parse(world.model()), world.clock()).split("\n\n")[1] + "\n"


def _refuse(world: World, version: str, script: Script) -> None:
    world.scripts.by_uri[f"s3://models/fraud/{version}"] = script
    world.apply(_spec(version, validation={"requests": [_GOLDEN]}))
    world.run_to_phase("RolledBack")
    world.run_for(60)


def _ask(world: World, verb: Verb) -> None:
    """Ada runs a command, as the command line writes it."""
    caller = Caller(id="c0ffee00", by="ada", at="2026-11-20T12:00:00Z")
    command = commands.make(verb, Model.parse(world.model()), caller)
    world.command(verb.value, value=command.value)


def _get(manifest: Manifest, now: datetime) -> str:
    """What `kubectl get mdep` prints, from the CRD's printer columns."""
    crd = yaml.safe_load((REPOSITORY / "crds" / "modeldeployments.yaml").read_text(encoding="utf-8"))
    columns = [item for item in crd["spec"]["versions"][0]["additionalPrinterColumns"] if not item.get("priority")]
    cells = [("NAME", manifest["metadata"]["name"])]
    for column in columns:
        found: Any = functools.reduce(lambda part, key: part[key], column["jsonPath"].split(".")[1:], manifest)
        is_date = column["type"] == "date"
        cells.append((column["name"].upper(), _age(now - datetime.fromisoformat(found)) if is_date else str(found)))
    widths = [max(map(len, cell)) for cell in cells]
    rows = ("   ".join(map(str.ljust, row, widths)).rstrip() for row in zip(*cells, strict=True))
    return "\n".join(rows) + "\n"


def _age(age: timedelta) -> str:
    """As kubectl rounds it."""
    minutes = int(age.total_seconds()) // 60
    return f"{minutes}m" if minutes < 180 else f"{minutes // 60}h"


INVARIANTS = 66
_TIERS = ("unit", "sequences", "integration", "e2e")
_NUMBERED = re.compile(r"^(?:async )?def test_(\d+(?:_and_\d+)*)_(\w+)", re.MULTILINE)


def _holders() -> Mapping[int, list[str]]:
    """What holds the program to each invariant: checks of the simulation, and tests that carry its number."""
    found: dict[int, list[str]] = {number: [] for number in range(1, INVARIANTS + 1)}
    for name, moment in [*((name, "every write") for name in CHECKS), (WATCHED, "every moment")]:
        number, _, rest = name.partition(" ")
        if number.removesuffix("b").isdecimal():
            found[int(number.removesuffix("b"))].append(f"*{moment}*: {rest}")
    for tier in _TIERS:
        for path in sorted((REPOSITORY / "tests" / tier).rglob("test_*.py")):
            for numbers, name in _NUMBERED.findall(path.read_text(encoding="utf-8")):
                for number in map(int, numbers.split("_and_")):
                    found[number].append(f"`{tier}/{path.stem}`: {name.replace('_', ' ')}")
    return found


def _table(text: str) -> Iterator[str]:
    """The table with its last column renewed: a row for each invariant, also for one that nothing checks yet."""
    holders, rows = _holders(), []
    for row in text.splitlines(keepends=True):
        number, _, _ = row.removeprefix("| ").partition(" ")
        if not number.isdecimal():
            yield row
            continue
        rows.append(int(number))
        held = "<br>".join(holders[int(number)]) or "**nothing yet**"
        yield "|".join([*row.split("|")[:3], f" {held} |\n"])
    assert rows == list(holders), "a row for each invariant, in order"


def _metrics(program: str) -> Iterator[str]:
    """Rows of the table of metrics: those that a scrape shows, of our own prefix."""
    yield "\n| metric | labels | is |\n|---|---|---|\n"
    of_program = {
        "operator": _of_operator,
        "runtime": _of_runtime,
        "observation": _of_observation,
        "comparator": _of_comparator,
    }[program]
    for name, kind, labels, text in sorted(of_program()):
        shown = ", ".join(f"`{label}`" for label in labels)
        yield f"| `{name}{'_total' if kind == 'counter' else ''}` | {shown} | {text} |\n"
    yield "\n"


def _of_operator() -> Iterator[Row]:
    """Those that the process counts, and those read from the cache and the queue at each scrape."""
    for one in Metrics().registry._collector_to_names:
        assert isinstance(one, MetricWrapperBase)
        yield one._name, str(one._type), tuple(one._labelnames), one._documentation
    yield from _families((*CacheCollector(Cache()).collect(), *QueueCollector(WorkQueue(), lambda: 0.0).collect()))


def _of_runtime() -> Iterator[Row]:
    return _families(RuntimeMetrics("", "").collect())


def _of_observation() -> Iterator[Row]:
    yield from _families(AccessLog.figures(("", ""), {}))
    yield from _families(PayloadFigures.zero().families(("", "")))


def _of_comparator() -> Iterator[Row]:
    backlog = Backlog(requests=1, size=1, per_second=1, now=0.0)
    return _families(Tally(Pair(stable="", candidate=""), backlog, is_redacted=False).collect())


def _families(families: Iterable[Any]) -> Iterator[Row]:
    for one in families:
        yield one.name, one.type, tuple(one._labelnames), one.documentation


def _shown_now(kind: str, what: str, old: str) -> str:
    if kind == "file":
        return (REPOSITORY / what).read_text(encoding="utf-8")
    if kind == "metrics":
        return "".join(_metrics(what))
    if kind == "clients":
        return "".join(table.rows())
    return _story()[what] if kind == "shown" else "".join(_table(old))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_a_page_shows_what_is_so(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    fresh = _SHOWN.sub(_renewed, text)
    if os.environ.get("UPDATE_DOCS") == "1":
        page.write_text(fresh, encoding="utf-8")
    assert page.read_text(encoding="utf-8") == fresh, "if this is wanted: UPDATE_DOCS=1 rewrites the page"


def _renewed(match: re.Match[str]) -> str:
    """The same marker and fence around what is so now."""
    kind, what, fenced, plain = match.groups()
    lines = match[0].split("\n")
    head = lines[:1] if fenced is None else lines[:2]
    return "\n".join(head) + "\n" + _shown_now(kind, what, plain or "") + lines[-1]
