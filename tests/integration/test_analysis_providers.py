"""What analyses ask, asked of a real Prometheus that scrapes a runtime's figures, and of a real Alertmanager."""

import asyncio
import json
import signal
import socket
import threading
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry, generate_latest

from cluster import debian, processes, scratch, waiting
from cluster.control_plane import DIE_WITH_PARENT
from modelway.analysis.figures import Answer, Readings
from modelway.analysis.inquiry import Inquiry
from modelway.api.analysis import Metric
from modelway.metrics import Metrics
from modelway.providers import calls
from modelway.providers.calls import Caller
from modelway.providers.inquirer import Inquirer, SystemClock
from modelway.providers.pods import Pods
from modelway.providers.reach import Reach
from modelway.providers.reader import Reader
from modelway_runtime.server.metrics import Metrics as RuntimeMetrics

CANDIDATE, STABLE = "fb5b2ffc90", "096284054e"
COUNTS = {CANDIDATE: (95, 5), STABLE: (198, 2)}
"""Good and bad answers of each revision."""
KEY = ("payments", "fraud")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def answer(url: str, body: Any = None) -> Any:
    """The JSON that it answers; None when it does not."""
    content = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, content, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=5) as response:
            return json.loads(response.read() or b"null")
    except (OSError, ValueError):
        return None


def is_ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/-/ready", timeout=5) as response:
            return bool(response.status == 200)
    except OSError:
        return False


@contextmanager
def exporter(good: int, bad: int) -> Iterator[str]:
    """A pod's port 8002: the runtime's own metrics after so many requests."""
    figures = RuntimeMetrics("fraud", "2026-11-20")
    for _ in range(good):
        figures.answered.observe(0.004)
    for _ in range(bad):
        figures.request("500").observe(0.004)
    registry = CollectorRegistry()
    registry.register(figures)

    class Pod(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(generate_latest(registry))

        def log_message(self, format: str, *arguments: Any) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Pod) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


class Provider:
    """A process that listens on the loopback."""

    def __init__(self, name: str, command: tuple[str, ...], folder: Path, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.address = self.url.removeprefix("http://")
        self.process = processes.start(name, command, folder)

    def wait(self, is_true: Any, what: str) -> None:
        waiting.until(is_true, (self.process,), what)


@contextmanager
def provider(name: str, command: tuple[str, ...], flags: tuple[str, ...], settings: Any) -> Iterator[Provider]:
    """One with its own folder and a free port; gone without a trace afterwards. Flags may name both."""
    with scratch.folder(f"modelway-{name}-") as folder:
        (folder / "settings.yaml").write_text(yaml.safe_dump(settings))
        port = free_port()
        filled = tuple(flag.format(folder=folder, port=port) for flag in flags)
        started = Provider(name, (*command, *filled), folder, port)
        try:
            started.wait(lambda: is_ready(started.url), f"{name} is ready")
            yield started
        finally:
            processes.kill_marked(folder)
            started.process.handle.wait()


@pytest.fixture(scope="module")
def prometheus() -> Iterator[Provider]:
    """Scrapes a pod of each revision, with the label that discovery takes from the pod."""
    with exporter(*COUNTS[CANDIDATE]) as candidate, exporter(*COUNTS[STABLE]) as stable:
        pods = {CANDIDATE: candidate, STABLE: stable}
        settings = {
            "global": {"scrape_interval": "100ms"},
            "scrape_configs": [
                {
                    "job_name": "models",
                    "static_configs": [
                        {"targets": [address], "labels": {"revision": revision, "namespace": "payments"}}
                        for revision, address in pods.items()
                    ],
                }
            ],
        }
        flags = (
            "--config.file={folder}/settings.yaml",
            "--storage.tsdb.path={folder}/data",
            "--web.listen-address=127.0.0.1:{port}",
        )
        command = (*DIE_WITH_PARENT, *debian.program("prometheus", "prometheus"))
        with provider("prometheus", command, flags, settings) as running:
            twice = f"{running.url}/api/v1/query?query=count(count_over_time(up%5B1m%5D)%3E1)"
            running.wait(lambda: _first_value(answer(twice)) == "2", "both pods were scraped twice")
            yield running


def _first_value(body: Any) -> str:
    result = body["data"]["result"] if body else []
    return str(result[0]["value"][1]) if result else ""


@pytest.fixture(scope="module")
def alertmanager() -> Iterator[Provider]:
    flags = (
        "--config.file={folder}/settings.yaml",
        "--storage.path={folder}/data",
        "--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
    )
    settings = {"route": {"receiver": "nobody"}, "receivers": [{"name": "nobody"}]}
    command = debian.program_in_place("prometheus-alertmanager", "prometheus-alertmanager")
    with provider("alertmanager", command, flags, settings) as running:
        yield running


@pytest.fixture
async def reader() -> AsyncIterator[Reader]:
    """One that may ask the loopback."""
    async with calls.session(Reach((ip_network("127.0.0.0/8"),))) as session:
        caller = Caller(session)
        yield Reader(Pods(caller), caller, Metrics())


def inquiry(**metric: Any) -> Inquiry:
    since = datetime.now(UTC) - timedelta(minutes=1)
    return Inquiry(
        id="3/0/1",
        interval=timedelta(seconds=5),
        metrics=(Metric.model_validate({"name": "figure", **metric}),),
        bindings={
            "candidate": CANDIDATE,
            "stable": STABLE,
            "namespace": "payments",
            "name": "fraud",
            "model": "fraud",
            "since": since.isoformat(),
        },
    )


async def asked(reader: Reader, **metric: Any) -> Answer:
    readings = await reader.read(inquiry(**metric), datetime.now(UTC))
    return readings.answers[0]


def query(provider: Provider, text: str) -> dict[str, Any]:
    return {"prometheus": {"address": provider.url, "query": text}, "max": 1}


REQUESTS = 'modelway_runtime_request_duration_seconds_count{namespace="{{namespace}}",revision="{{REVISION}}"'
SHARE = f'sum({REQUESTS},code="500"}}) / sum({REQUESTS}}})'


@pytest.mark.parametrize(("revision", "share"), [("candidate", 0.05), ("stable", 0.01)])
async def test_57_a_query_sees_the_revision_that_is_bound_and_no_other(
    prometheus: Provider, reader: Reader, revision: str, share: float
) -> None:
    text = SHARE.replace("REVISION", revision)
    assert await asked(reader, **query(prometheus, text)) == Answer(metric="figure", value=share)


async def test_57_the_window_is_a_range_that_prometheus_understands(prometheus: Provider, reader: Reader) -> None:
    text = 'count_over_time(modelway_runtime_model_ready{revision="{{candidate}}"}[{{window}}])'
    found = await asked(reader, **query(prometheus, text))
    assert found.problem == ""
    assert found.value is not None
    assert found.value >= 2


NOTHING = [
    pytest.param('modelway_runtime_inference_total{revision="none"}', id="no series"),
    pytest.param("sum(no_such_metric)", id="the sum of nothing"),
    pytest.param(
        'rate(modelway_runtime_inference_total{revision="{{candidate}}"}[{{window}}]) * 0 / 0', id="nothing by nothing"
    ),
    pytest.param("vector(1) / 0", id="infinite"),
]


@pytest.mark.parametrize("text", NOTHING)
async def test_56_nothing_to_count_is_no_value_and_no_problem(prometheus: Provider, reader: Reader, text: str) -> None:
    assert await asked(reader, **query(prometheus, text)) == Answer(metric="figure")


PROBLEMS = [
    pytest.param("sum(", "answered 400: bad_data:", id="no query"),
    pytest.param("rate(up)", "answered 400: bad_data:", id="a rate of no range"),
    pytest.param("modelway_runtime_model_ready", "gives 2 series", id="both revisions at once"),
    pytest.param('"text"', "gives a string", id="text"),
    pytest.param("up[1m]", "gives a matrix", id="a range"),
    pytest.param("up * on(job) up", "answered 422: execution:", id="cannot be executed"),
]


@pytest.mark.parametrize(("text", "says"), PROBLEMS)
async def test_55_what_prometheus_refuses_is_a_problem_in_its_words(
    prometheus: Provider, reader: Reader, text: str, says: str
) -> None:
    found = await asked(reader, **query(prometheus, text))
    assert found == Answer(metric="figure", problem=found.problem)
    assert says in found.problem


async def test_55_a_prometheus_that_stands_still_is_a_problem_until_it_goes_on(
    prometheus: Provider, reader: Reader
) -> None:
    read: asyncio.Queue[Readings] = asyncio.Queue()

    def wake(key: tuple[str, str]) -> None:
        found = inquirer.readings(key)
        assert found is not None
        read.put_nowait(found)

    inquirer = Inquirer(reader, wake=wake, clock=SystemClock(), spread=lambda _: 0.0)
    prometheus.process.handle.send_signal(signal.SIGSTOP)
    try:
        inquirer.ask(KEY, inquiry(**query(prometheus, SHARE.replace("REVISION", "candidate"))))
        (stopped,) = (await read.get()).answers
    finally:
        prometheus.process.handle.send_signal(signal.SIGCONT)
    assert stopped == Answer(metric="figure", problem=f"{prometheus.address} did not answer within 4 s")
    while not (found := (await read.get()).answers[0]).value:
        assert "did not answer" in found.problem
    assert found == Answer(metric="figure", value=0.05)
    await inquirer.stop()


def fire(alertmanager: Provider, name: str, **labels: str) -> None:
    """An alert as Prometheus sends it; returns when it is in force."""
    labels = {"alertname": name, **labels}
    answer(f"{alertmanager.url}/api/v2/alerts", [{"labels": labels}])
    shown = f"{alertmanager.url}/api/v2/alerts?active=true&filter=alertname%3D{name}"
    alertmanager.wait(lambda: answer(shown), f"{name} fires")


def veto(alertmanager: Provider, *matchers: str) -> dict[str, Any]:
    return {"alertmanager": {"address": alertmanager.url, "matchers": list(matchers)}}


async def test_57_an_alert_on_the_candidate_is_a_veto_and_one_on_another_revision_is_none(
    alertmanager: Provider, reader: Reader
) -> None:
    fire(alertmanager, "ModelErrors", revision=CANDIDATE, severity="page")
    asking = ('severity=~"page|ticket"', 'revision="{{candidate}}"')
    assert await asked(reader, **veto(alertmanager, *asking)) == Answer(
        metric="figure", verdict="Fail", note="ModelErrors"
    )
    other = ('severity=~"page|ticket"', 'revision="{{stable}}"')
    assert await asked(reader, **veto(alertmanager, *other)) == Answer(metric="figure", verdict="Pass")


async def test_a_silenced_alert_is_no_veto(alertmanager: Provider, reader: Reader) -> None:
    fire(alertmanager, "Noisy")
    assert (await asked(reader, **veto(alertmanager, 'alertname="Noisy"'))).verdict == "Fail"
    now = datetime.now(UTC)
    silence = {
        "matchers": [{"name": "alertname", "value": "Noisy", "isRegex": False}],
        "startsAt": now.isoformat(),
        "endsAt": (now + timedelta(hours=1)).isoformat(),
        "createdBy": "ada",
        "comment": "known",
    }
    assert answer(f"{alertmanager.url}/api/v2/silences", silence)
    asking = f"{alertmanager.url}/api/v2/alerts?silenced=false&filter=alertname%3DNoisy"
    alertmanager.wait(lambda: answer(asking) == [], "the silence is in force")
    assert await asked(reader, **veto(alertmanager, 'alertname="Noisy"')) == Answer(metric="figure", verdict="Pass")


async def test_55_a_matcher_that_alertmanager_refuses_is_a_problem_in_its_words(
    alertmanager: Provider, reader: Reader
) -> None:
    found = await asked(reader, **veto(alertmanager, "severity"))
    assert found.problem.startswith(f"{alertmanager.address} answered 400: bad matcher format")
    assert (found.verdict, found.value) == ("", None)


async def test_55_prometheus_where_alertmanager_should_be_is_a_problem(prometheus: Provider, reader: Reader) -> None:
    found = await asked(reader, **veto(prometheus, 'severity="page"'))
    assert found == Answer(metric="figure", problem=f"{prometheus.address} answered 404")
