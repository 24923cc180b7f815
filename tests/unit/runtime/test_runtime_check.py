"""`modelway-runtime check`: what a pod would find out about a model, before there is a pod."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).resolve().parent
ROW = {"inputs": [{"name": "X", "shape": [1, 4], "datatype": "FP32", "data": [6.3, 3.3, 6.0, 2.5]}]}


def check(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The program in a process of its own."""
    sources = os.pathsep.join((str(HERE), str(HERE.parents[2] / "runtime-image" / "src")))
    command = [sys.executable, "-m", "modelway_runtime", "check", *arguments]
    environ = {**os.environ, "PYTHONPATH": sources, "MODELWAY_TERMINATION_LOG": os.devnull}
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)


def golden(output: str) -> dict[str, Any]:
    """The golden request that was printed."""
    found: dict[str, Any] = json.loads(output.splitlines()[-1].removeprefix("- "))
    return found


def test_it_tells_what_the_model_takes_and_gives(models: Path) -> None:
    done = check(str(models / "iris" / "model.onnx"))
    assert done.returncode == 0, done.stderr
    first, times, *tensors = done.stdout.splitlines()[:5]
    assert first.startswith("model.onnx: onnx_onnxv1, ")
    assert "sha256:" in first
    assert times.endswith("up to 32 rows run together")
    assert tensors == ["inputs   X FP32 [-1, 4]", "outputs  label INT64 [-1]", "outputs  probabilities FP32 [-1, 3]"]
    assert golden(done.stdout)["request"]["inputs"][0]["data"] == [0.0] * 4


def test_the_golden_request_that_it_prints_is_answered_as_expected(models: Path, tmp_path: Path) -> None:
    request, kept = tmp_path / "request.json", tmp_path / "golden.json"
    request.write_text(json.dumps(ROW))
    found = golden(check(str(models / "iris"), "--request", str(request)).stdout)
    assert (found["request"], found["expect"]["outputs"][0]) == (ROW, {"name": "label", "data": [2]})
    kept.write_text(json.dumps([found]))
    assert "1 golden requests answered as expected" in check(str(models / "iris"), "--golden", str(kept)).stdout
    found["expect"]["outputs"][0]["data"] = [1]
    kept.write_text(json.dumps([found]))
    done = check(str(models / "iris"), "--golden", str(kept))
    assert (done.returncode, "GoldenRequestFailed" in done.stderr) == (1, True)


@pytest.mark.parametrize(
    ("model", "arguments", "status", "message"),
    [
        ("truncated", (), 1, "ModelLoadFailed"),
        ("joblib", (), 1, "UntrustedFormat"),
        ("joblib", ("--trust", "Any"), 0, ""),
        ("absent", (), 2, "does not exist"),
        ("iris", ("--request", "absent.json"), 2, "absent.json does not exist"),
        ("iris", ("--request", "-"), 2, "does not exist"),
    ],
)
def test_it_ends_as_a_pod_would(
    models: Path, model: str, arguments: tuple[str, ...], status: int, message: str
) -> None:
    done = check(str(models / model), *arguments)
    assert (done.returncode, message in done.stderr) == (status, True), done.stderr


@pytest.mark.parametrize(
    ("content", "status", "message"),
    [
        ("{", 2, "is not JSON"),
        ("[]", 2, "holds no V2 request"),
        ('{"inputs": []}', 1, "inputs: 'X' missing"),
        (" " * (1 << 20) + "{}", 2, "is larger than 1.0 MiB"),
    ],
    ids=["no-json", "no-object", "nothing", "large"],
)
def test_a_request_that_cannot_be_asked_is_named(
    models: Path, tmp_path: Path, content: str, status: int, message: str
) -> None:
    request = tmp_path / "request.json"
    request.write_text(content)
    done = check(str(models / "iris"), "--request", str(request))
    assert (done.returncode, message in done.stderr) == (status, True), done.stderr


def test_a_model_that_takes_no_zeros_asks_for_a_request(models: Path) -> None:
    done = check(str(models / "pairs"))
    assert done.returncode == 0, done.stderr
    assert "requests run one by one" in done.stdout
