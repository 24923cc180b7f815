"""The figures that analysis reads: what counts, what is an error, and in which bucket a duration lies."""

import json
import re
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelway_runtime.server.figures import SECONDS
from modelway_runtime.server.metrics import Metrics

Serve = Callable[..., Any]
Eventually = Callable[[Callable[[], Any]], Any]

ROW = {"inputs": [{"name": "X", "datatype": "FP32", "shape": [1, 4], "data": [5.1, 3.5, 1.4, 0.2]}]}
GOLDEN = {"name": "setosa", "request": ROW, "expect": {"outputs": [{"name": "label", "data": [0]}]}}
SHADOW = {"modelway-shadow": "1"}


def _one(value: float) -> dict[str, Any]:
    return {"inputs": [{"name": "input", "datatype": "FP64", "shape": [1, 1], "data": [value]}]}


def _figures(runtime: Any) -> dict[str, Any]:
    found: dict[str, Any] = runtime.get("/internal/figures", internal=True).json
    return found


def _counts(runtime: Any) -> tuple[int, int, int, int]:
    """Requests, errors, answers and shadow requests."""
    found = _figures(runtime)
    return found["requests"], found["errors"], sum(found["latency"].values()), found["shadow"]


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    """A file without which the gated model does not answer."""
    path = tmp_path / "gate"
    path.touch()
    return path


@pytest.fixture
def pool() -> Any:
    with ThreadPoolExecutor(8) as executor:
        yield executor


@given(st.lists(st.floats(0, 100, exclude_min=True)))
def test_a_bucket_holds_the_durations_up_to_its_power_of_1_05_microseconds(durations: list[float]) -> None:
    metrics = Metrics("m", "1")
    for duration in durations:
        metrics.answered.observe(duration)
    latency = metrics.evidence().latency
    assert sum(latency) == len(durations)
    for bucket, count in enumerate(latency):
        above = 1.05 ** (bucket - 1) / 1e6 if bucket else 0.0
        assert count == sum(above < duration <= 1.05**bucket / 1e6 for duration in durations)


@pytest.mark.parametrize(
    ("microseconds", "bucket"),
    [(0.2, 0), (1, 0), (1.01, 1), (1.06, 2), (1000, 142), (30_000_000, 353), (1e12, 501)],
)
def test_buckets_of_some_durations(microseconds: float, bucket: int) -> None:
    metrics = Metrics("m", "1")
    metrics.answered.observe(microseconds / 1e6)
    assert metrics.evidence().latency.index(1) == bucket


@given(st.lists(st.floats(0, 100)), st.floats(0.001, 60))
def test_prometheus_and_the_limit_see_the_same_durations(durations: list[float], request_timeout: float) -> None:
    metrics = Metrics("m", "1", request_timeout=request_timeout)
    for duration in durations:
        metrics.answered.observe(duration)
    for (bound, count), upper in zip(metrics.answered.buckets(), (*SECONDS, float("inf")), strict=True):
        assert (float(bound), count) == (upper, sum(duration <= upper for duration in durations))
    assert metrics.evidence().errors == sum(duration > request_timeout for duration in durations)
    assert metrics.evidence().requests == len(durations)


@pytest.mark.parametrize(
    ("code", "requests", "errors"),
    [("400", 0, 0), ("408", 1, 1), ("413", 1, 1), ("429", 1, 1), ("500", 1, 1), ("503", 1, 1), ("504", 1, 1)],
)
def test_what_callers_suffer_is_an_error_and_what_they_do_wrong_is_nothing(
    code: str, requests: int, errors: int
) -> None:
    metrics = Metrics("m", "1")
    metrics.request(code).observe(0.01)
    metrics.answered.observe(0.01)
    evidence = metrics.evidence()
    assert (evidence.requests, evidence.errors, sum(evidence.latency)) == (requests + 1, errors, 1)


def test_each_start_of_the_process_counts_from_zero_and_says_which_it_is(
    fetched: Callable[..., Path], serve_fetched: Serve, models: Path
) -> None:
    place = fetched(models / "iris")
    (place / "requests.json").write_text(json.dumps([GOLDEN]))
    runs = set()
    for _ in range(2):
        runtime = serve_fetched(place, revision="abc123").wait_until_ready()
        found = _figures(runtime)
        # Warm-up and golden requests were answered by now.
        assert (found["state"], found["revision"], found["uptimeSeconds"] > 0) == ("Ready", "abc123", True)
        assert (found["requests"], found["errors"], found["latency"], found["shadow"]) == (0, 0, {}, 0)
        assert re.fullmatch("[0-9a-f]{16}", found["run"])
        assert runtime.infer(ROW).status == 200
        assert _figures(runtime)["run"] == found["run"]
        assert _counts(runtime) == (1, 0, 1, 0)
        runs.add(found["run"])
    assert len(runs) == 2


def test_only_inference_counts_and_what_the_caller_did_wrong_does_not(serve: Serve, models: Path) -> None:
    runtime = serve(models / "iris", max_body_bytes="1k", request_timeout="200ms").wait_until_ready()
    runtime.get("/v2/models/iris")
    runtime.get("/v2/models/iris/infer")
    runtime.infer(ROW, model="rose")
    runtime.infer(b"{")
    assert _counts(runtime) == (0, 0, 0, 0)
    assert runtime.infer(b"[" * 2000).status == 413
    assert _counts(runtime) == (1, 1, 0, 0)
    with socket.create_connection(("127.0.0.1", runtime.ports[0]), timeout=60) as connection:
        connection.sendall(b"POST /v2/models/iris/infer HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{")
        assert connection.recv(4096).startswith(b"HTTP/1.1 408")
    assert _counts(runtime) == (2, 2, 0, 0)


def test_errors_are_those_of_the_model_and_of_the_limits_and_who_left_counts_as_nothing(
    serve: Serve, models: Path, gate: Path, pool: ThreadPoolExecutor, eventually: Eventually
) -> None:
    runtime = serve(models / "gated", max_queue="1", request_timeout="3s", test_gate=str(gate)).wait_until_ready()
    assert runtime.infer(_one(13)).status == 500
    assert _counts(runtime) == (1, 1, 0, 0)
    gate.unlink()
    running = pool.submit(runtime.infer, _one(21))
    eventually(lambda: _started(runtime) == 2)
    body = json.dumps(_one(21)).encode()
    with socket.create_connection(("127.0.0.1", runtime.ports[0])) as connection:
        connection.sendall(b"POST /v2/models/iris/infer HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body))
        connection.sendall(body)
        eventually(lambda: _depth(runtime) == 1)
        assert runtime.infer(_one(21)).status == 429
    eventually(lambda: _figures(runtime)["inFlight"] <= 1)
    assert running.result().status == 504
    assert _counts(runtime) == (3, 3, 0, 0)


def test_shadow_requests_are_counted_apart_and_in_nothing_that_scales(
    serve: Serve, models: Path, gate: Path, pool: ThreadPoolExecutor, eventually: Eventually
) -> None:
    runtime = serve(models / "gated", max_queue="1", test_gate=str(gate)).wait_until_ready()
    assert runtime.infer(_one(21), headers=SHADOW).json["outputs"][0]["data"] == [42.0]
    assert runtime.infer(_one(13), headers=SHADOW).status == 500
    assert runtime.infer(b"{", headers=SHADOW).status == 400
    assert _counts(runtime) == (0, 0, 0, 3)
    gate.unlink()
    busy = pool.submit(runtime.infer, _one(21))
    eventually(lambda: _started(runtime) == 3)
    late = [pool.submit(runtime.infer, _one(21), headers=SHADOW) for _ in range(2)]
    eventually(lambda: any(answer.done() for answer in late))
    # One waits, for which there was room, and the other was refused.
    assert (_figures(runtime)["inFlight"], _depth(runtime)) == (1, 0)
    gate.touch()
    assert sorted(answer.result().status for answer in late) == [200, 429]
    assert busy.result().status == 200
    assert _counts(runtime) == (1, 0, 1, 5)
    metrics = runtime.metrics()
    assert not [name for name in metrics if name.startswith("modelway_runtime_rejected_total")]
    codes = [name for name in metrics if name.startswith("modelway_runtime_request_duration_seconds_count")]
    assert sum(metrics[name] for name in codes) == 1
    assert metrics['modelway_runtime_shadow_requests_total{model="iris",version=""}'] == 5


def test_only_the_comparator_s_own_mark_counts_apart(serve: Serve, models: Path) -> None:
    runtime = serve(models / "iris").wait_until_ready()
    assert runtime.infer(ROW, headers={"modelway-shadow": "0"}).status == 200
    assert runtime.infer(ROW, headers={"Modelway-Shadow": "1"}).status == 200
    assert _counts(runtime) == (1, 0, 1, 1)


def test_an_answer_after_the_limit_is_an_answer_and_an_error(
    serve: Serve, models: Path, eventually: Eventually
) -> None:
    # Limits are looked at ten times a second, so most answers come before.
    runtime = serve(models / "iris", request_timeout="1us").wait_until_ready()
    eventually(lambda: runtime.infer(ROW).status == 200)
    requests, errors, answered, _ = _counts(runtime)
    assert (requests, answered) == (errors, 1)


def _depth(runtime: Any) -> float:
    return float(runtime.metrics()['modelway_runtime_queue_depth{model="iris",version=""}'])


def _started(runtime: Any) -> float:
    """Requests that went from the queue to the model."""
    return float(runtime.metrics()['modelway_runtime_queue_duration_seconds_count{model="iris",version=""}'])
