"""Logs, probes, metrics and the end of the process."""

import asyncio
import io
import json
import logging
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from aiohttp import ClientSession

from modelway import __version__, kinds, logs
from modelway.cluster import health
from modelway.cluster.cache import Cache
from modelway.cluster.lease import Election
from modelway.cluster.queue import WorkQueue
from modelway.cluster.scrape import CacheCollector, QueueCollector
from modelway.cluster.workers import Workers
from modelway.kinds import Manifest
from modelway.metrics import Metrics
from modelway.server import Server
from modelway.stop import Stop

KEY = ("ns", "iris")


def model(version: int = 1, **more: Any) -> Manifest:
    metadata = {"namespace": "ns", "name": "iris", "uid": "u1", "resourceVersion": str(version)}
    return {"metadata": metadata, "spec": {}, **more}


def test_a_log_line_is_json_and_carries_the_object_that_is_reconciled() -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logs.JsonFormatter())
    log = logging.getLogger("modelway.test")
    log.setLevel(logging.INFO)
    log.addHandler(handler)
    with logs.context(namespace="ns", name="iris"), logs.context(reconcile="7"):
        log.info("Applied %s", "it", extra={"kind": "Deployment"})
    try:
        raise ValueError("bad")
    except ValueError:
        log.exception("Failed")
    first, second = (json.loads(line) for line in stream.getvalue().splitlines())
    assert datetime.fromisoformat(first.pop("time")).tzinfo is UTC
    assert first == {
        "level": "INFO",
        "logger": "modelway.test",
        "message": "Applied it",
        "namespace": "ns",
        "name": "iris",
        "reconcile": "7",
        "kind": "Deployment",
    }
    assert "ValueError: bad" in second["exception"]
    assert "namespace" not in second


@pytest.fixture
async def http() -> AsyncIterator[tuple[list[str], Metrics, str]]:
    problems: list[str] = []

    def found() -> Iterator[str]:
        yield from problems

    metrics = Metrics()
    server = Server(live=lambda: (), ready=found, metrics=metrics)
    port = await server.start(0, "127.0.0.1")
    yield problems, metrics, f"http://127.0.0.1:{port}"
    await server.stop()


async def test_probes_answer_with_the_problems(http: tuple[list[str], Metrics, str]) -> None:
    problems, _, url = http
    async with ClientSession() as session:
        async with session.get(f"{url}/readyz") as answer:
            assert (answer.status, await answer.text()) == (200, "ok")
        problems += ["one", "two"]
        async with session.get(f"{url}/readyz") as answer:
            assert (answer.status, await answer.text()) == (503, "one\ntwo")
        async with session.get(f"{url}/healthz") as answer:
            assert answer.status == 200


async def test_metrics_show_objects_as_long_as_they_exist(http: tuple[list[str], Metrics, str]) -> None:
    _, metrics, url = http
    cache, queue = Cache(), WorkQueue()
    metrics.registry.register(CacheCollector(cache))
    metrics.registry.register(QueueCollector(queue, lambda: 0.0))
    cache.observe(kinds.MODEL_DEPLOYMENT, None, model(status={"phase": "Ready", "rollout": {"id": 2, "stepIndex": 1}}))
    queue.add(KEY)
    async with ClientSession() as session:
        async with session.get(f"{url}/metrics") as answer:
            text = await answer.text()
        assert 'modelway_phase{name="iris",namespace="ns",phase="Ready"} 1.0' in text
        assert 'modelway_step_index{name="iris",namespace="ns"} 1.0' in text
        assert 'modelway_queue_depth{lane="high"} 1.0' in text
        assert 'modelway_build_info{python="' in text
        assert f'version="{__version__}"' in text
        cache.observe(kinds.MODEL_DEPLOYMENT, "DELETED", model(version=2))
        async with session.get(f"{url}/metrics") as answer:
            text = await answer.text()
            assert "modelway_phase{" not in text
            assert "modelway_step_index{" not in text


@pytest.mark.parametrize(("leading", "problems"), [(0.0, 0), (30.0, 0), (301.0, 1)])
async def test_what_waited_while_another_process_led_is_no_reason_to_restart(leading: float, problems: int) -> None:
    now = [0.0]
    queue, metrics = WorkQueue(clock=lambda: now[0]), Metrics()
    queue.add(KEY)
    now[0] = 4000.0

    async def reconcile(key: tuple[str, str], epoch: int) -> None:
        """Never called: nobody runs the workers."""

    workers = Workers(
        queue,
        reconcile,
        leadership=Election(cast("Any", None), namespace="ns", name="lease", identity="one", metrics=metrics),
        superseded=lambda why: None,
        metrics=metrics,
    )
    assert len(list(health.work_problems(queue, workers, lambda: leading))) == problems
    (*_, oldest, _) = QueueCollector(queue, lambda: leading).collect()
    assert oldest.samples[0].value == leading


async def test_the_first_reason_to_stop_counts() -> None:
    stop = Stop()
    stop.request(3, "first")
    stop.request(0, "second")
    await stop.wait()
    assert stop.code == 3


async def test_work_that_should_never_end_stops_the_process_when_it_does(caplog: pytest.LogCaptureFixture) -> None:
    async def fail() -> None:
        raise RuntimeError("bug")

    stop = Stop()
    stop.follow(fail(), "The sweep")
    await stop.wait()
    assert stop.code == 1
    assert "The sweep failed" in caplog.text


async def test_work_may_end_but_not_fail_in_the_background() -> None:
    async def work(failure: Exception | None) -> None:
        if failure:
            raise failure

    stop = Stop()
    await stop.background(work(None), "One")
    assert await stop.unless(asyncio.sleep(0, result=True)) is True
    stop.background(work(ValueError("bad")), "Two")
    await stop.wait()
    assert stop.code == 1


async def test_work_is_given_up_when_the_process_should_end() -> None:
    async def one() -> int:
        return 1

    stop = Stop()
    assert await stop.unless(one()) == 1
    stop.request(0, "enough")
    assert await stop.unless(asyncio.Event().wait()) is None
