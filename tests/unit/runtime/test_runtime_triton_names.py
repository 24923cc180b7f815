"""Figures under Triton's names: there on demand, with the values of the protocol's statistics."""

from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from modelway_runtime.observation.settings import observation
from modelway_runtime.observation.triton import REASONS, TritonNames
from modelway_runtime.reasons import UsageError
from modelway_runtime.server.metrics import GRPC, Metrics

ROWS = {"inputs": [{"name": "X", "datatype": "FP32", "shape": [2, 4], "data": [5.1, 3.5, 1.4, 0.2] * 2}]}
DURATIONS = {
    "request": "success",
    "queue": "queue",
    "compute_input": "compute_input",
    "compute_infer": "compute_infer",
    "compute_output": "compute_output",
}


def test_triton_s_names_have_the_values_of_the_statistics(serve: Any, models: Path) -> None:
    runtime = serve(models / "iris", model_version="v1", metrics_names="triton").wait_until_ready()
    for _ in range(3):
        runtime.infer(ROWS)
    runtime.infer({"inputs": []})
    figures = runtime.metrics()
    own = {
        name.partition("{")[0].removeprefix("nv_inference_"): value
        for name, value in figures.items()
        if name.startswith("nv_inference_") and name.endswith('{model="iris",version="v1"}')
    }
    (told,) = runtime.get("/v2/models/iris/stats").json["model_stats"]
    assert (own["request_success"], own["count"], own["exec_count"], own["pending_request_count"]) == (3, 6, 3, 0)
    for name, field in DURATIONS.items():
        assert own[f"{name}_duration_us"] == pytest.approx(told["inference_stats"][field]["ns"] / 1e3, abs=1)
        assert own[f"{name}_duration_us"] > 0
    assert 'modelway_runtime_inference_total{model="iris",version="v1"}' in figures


def test_they_are_left_out_unless_asked_for(serve: Any, models: Path) -> None:
    runtime = serve(models / "iris").wait_until_ready()
    assert not [name for name in runtime.metrics() if name.startswith("nv_")]


def test_failures_have_triton_s_reasons() -> None:
    metrics = Metrics("iris", "v1")
    for code, protocol in (
        ("429", GRPC),
        ("503", "rest"),
        ("500", "rest"),
        ("504", "rest"),
        ("413", "rest"),
        ("400", GRPC),
    ):
        metrics.request(code, protocol).observe(0.1)
    family = list(TritonNames(metrics).families())[-1]
    assert {sample.labels["reason"]: sample.value for sample in family.samples} == {
        "REJECTED": 2,
        "CANCELED": 0,
        "BACKEND": 1,
        "OTHER": 2,
    }
    assert [sample.labels["reason"] for sample in family.samples] == list(REASONS)


def test_a_name_is_written_as_triton_writes_it() -> None:
    metrics = Metrics("iris", "v1")
    metrics.others = (TritonNames(metrics).families,)
    registry = CollectorRegistry()
    registry.register(metrics)
    text = generate_latest(registry).decode()
    assert '\nnv_inference_request_success{model="iris",version="v1"} 0.0\n' in text
    assert '\nnv_inference_request_failure{model="iris",reason="REJECTED",version="v1"} 0.0\n' in text


def test_names_that_nobody_has_are_refused() -> None:
    with pytest.raises(UsageError, match="MODELWAY_METRICS_NAMES: 'mlserver' are no names of metrics"):
        observation({"MODELWAY_METRICS_NAMES": "mlserver"})
