"""Models in processes of their own: what becomes of requests, the server and the process when it dies or hangs."""

import os
import re
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

Serve = Callable[..., Any]
Eventually = Callable[[Callable[[], Any]], Any]

CODE = """
import ctypes, os, time
from pathlib import Path
from modelway_runtime.protocol.tensors import InputRejected

PLACE = Path(os.environ["MODELWAY_TEST_PLACE"])

def wait_while(name):
    while (PLACE / name).exists():
        time.sleep(0.005)

class Model:
    inputs = [{"name": "x", "datatype": "FP64", "shape": [-1]}]
    outputs = [{"name": "y", "datatype": "FP64", "shape": [-1]}, {"name": "pid", "datatype": "INT64", "shape": [-1]}]

    def load(self, folder):
        (PLACE / "loads").open("a").write(f"{os.getpid()} ")
        wait_while("no-load")
        if (PLACE / "crash-at-load").exists():
            ctypes.string_at(0)

    def predict(self, inputs):
        x = inputs["x"]
        if 0.0 not in x:
            (PLACE / f"asked-{os.getpid()}").touch()
            wait_while("no-answer")
        if 13.0 in x:
            raise ValueError("thirteen")
        if 14.0 in x:
            raise InputRejected("fourteen")
        if 66.0 in x:
            ctypes.string_at(0)
        if 77.0 in x:
            ctypes.PyDLL(None).sleep(90)
        return {"y": x * 2, "pid": [os.getpid()] * len(x)}
"""


def _body(*values: float) -> dict[str, Any]:
    return {"inputs": [{"name": "x", "datatype": "FP64", "shape": [len(values)], "data": list(values)}]}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Where a test tells the model what to do, and the model tells what it did."""
    folder = tmp_path / "place"
    folder.mkdir()
    return folder


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "coded"
    folder.mkdir()
    (folder / "model.py").write_text(CODE)
    return folder


@pytest.fixture
def start(serve: Serve, model: Path, place: Path) -> Serve:
    """Starts a server of the model in so many processes."""
    return lambda workers=1, **settings: serve(model, workers=str(workers), test_place=str(place), **settings)


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as executor:
        yield executor


def _answered(answer: Any) -> tuple[list[float], int]:
    """The doubled values, and the process that doubled them."""
    assert answer.status == 200, answer.body
    doubled, pids = answer.json["outputs"]
    return doubled["data"], pids["data"][0]


def _asked(place: Path) -> set[int]:
    return {int(path.name.removeprefix("asked-")) for path in place.glob("asked-*")}


def _is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def _counted(runtime: Any, name: str) -> float:
    value: float = runtime.metrics()[f'modelway_runtime_{name}{{model="iris",version=""}}']
    return value


def test_the_server_does_not_hold_the_model_and_its_process_answers(start: Serve, place: Path) -> None:
    runtime = start().wait_until_ready()
    values, pid = _answered(runtime.infer(_body(1.0, 2.0)))
    assert values == [2.0, 4.0]
    assert (place / "loads").read_text().split() == [str(pid)]
    assert pid != runtime.process.pid
    assert (_counted(runtime, "workers"), _counted(runtime, "worker_restarts_total")) == (1, 0)


@pytest.mark.parametrize(
    ("value", "status", "error"),
    [(13.0, 500, "the model failed: ValueError: thirteen"), (14.0, 400, "inputs: fourteen")],
)
def test_what_the_model_raises_is_told_in_the_same_words(start: Serve, value: float, status: int, error: str) -> None:
    runtime = start().wait_until_ready()
    answer = runtime.infer(_body(value))
    assert (answer.status, answer.json) == (status, {"error": error})


def test_strings_and_labels_cross(serve: Serve, models: Path) -> None:
    runtime = serve(models / "words", workers="1").wait_until_ready()
    row = {"inputs": [{"name": "input", "datatype": "FP64", "shape": [1, 4], "data": [5.1, 3.5, 1.4, 0.2]}]}
    label, _ = runtime.infer(row).json["outputs"]
    assert (label["datatype"], label["data"]) == ("BYTES", ["red"])


def test_a_killed_process_is_replaced_and_requests_wait_for_the_next_one(
    start: Serve, place: Path, pool: ThreadPoolExecutor, eventually: Eventually
) -> None:
    runtime = start().wait_until_ready()
    _, pid = _answered(runtime.infer(_body(1.0)))
    (place / "no-load").touch()
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: runtime.get("/v2/health/ready").status == 503)
    assert runtime.get("/v2/health/live").status == 200
    assert runtime.get("/internal/state", internal=True).json["state"] == "Loading"
    assert (_counted(runtime, "workers"), _counted(runtime, "model_ready")) == (0, 0)
    waiting = pool.submit(runtime.infer, _body(3.0))
    eventually(lambda: _counted(runtime, "queue_depth") == 1)
    (place / "no-load").unlink()
    values, other = _answered(waiting.result())
    assert (values, other != pid) == ([6.0], True)
    assert runtime.get("/v2/health/ready").status == 200
    assert (_counted(runtime, "workers"), _counted(runtime, "worker_restarts_total")) == (1, 1)
    died = next(line for line in runtime.lines if line["message"] == "Worker died")
    assert (died["pid"], died["cause"]) == (pid, "was killed by SIGKILL, as happens where memory runs out")


def test_a_request_whose_process_is_killed_is_answered_by_another_one(
    start: Serve, place: Path, pool: ThreadPoolExecutor, eventually: Eventually
) -> None:
    runtime = start(2).wait_until_ready()
    (place / "no-answer").touch()
    in_flight = pool.submit(runtime.infer, _body(1.0))
    (pid,) = eventually(lambda: _asked(place))
    (place / "no-load").touch()
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: len(_asked(place)) == 2)
    assert runtime.get("/v2/health/ready").status == 200
    (place / "no-answer").unlink()
    values, other = _answered(in_flight.result())
    assert (values, other != pid) == ([2.0], True)
    (place / "no-load").unlink()
    eventually(lambda: _counted(runtime, "workers") == 2)


def test_a_request_that_crashes_every_process_is_refused_and_hurts_no_other(
    start: Serve, place: Path, pool: ThreadPoolExecutor, eventually: Eventually
) -> None:
    runtime = start(2).wait_until_ready()
    (place / "no-answer").touch()
    busy = [pool.submit(runtime.infer, _body(1.0)) for _ in range(2)]
    eventually(lambda: _counted(runtime, "inflight_requests") == 2)
    # Those that come meanwhile run together.
    batch = [pool.submit(runtime.infer, _body(value)) for value in (66.0, 2.0, 3.0)]
    eventually(lambda: _counted(runtime, "inflight_requests") == 5)
    (place / "no-answer").unlink()
    crashing, *others = (one.result() for one in batch)
    assert [_answered(one.result())[0] for one in busy] == [[2.0], [2.0]]
    assert [_answered(other)[0] for other in others] == [[4.0], [6.0]]
    assert (crashing.status, crashing.headers["retry-after"]) == (503, "1")
    assert crashing.json["error"] == "the process that ran the model for this request was killed by SIGSEGV, twice"
    eventually(lambda: _counted(runtime, "workers") == 2)


def test_a_process_that_hangs_is_replaced_after_its_callers_have_been_told(
    start: Serve, place: Path, eventually: Eventually
) -> None:
    runtime = start(request_timeout="300ms").wait_until_ready()
    answer = runtime.infer(_body(77.0))
    assert (answer.status, answer.json["error"]) == (504, "the model did not answer in time")
    (hung,) = _asked(place)
    eventually(lambda: _counted(runtime, "worker_restarts_total") == 1)
    assert not _is_running(hung)
    assert _answered(runtime.infer(_body(1.0)))[0] == [2.0]


def test_a_server_whose_process_dies_again_and_again_ends_and_says_why(
    start: Serve, place: Path, eventually: Eventually
) -> None:
    runtime = start().wait_until_ready()
    _, pid = _answered(runtime.infer(_body(1.0)))
    (place / "crash-at-load").touch()
    os.kill(pid, signal.SIGKILL)
    # From the second time on nobody is kept waiting.
    refused = eventually(lambda: (answer := runtime.infer(_body(1.0))).status == 503 and answer)
    assert refused.headers["retry-after"]
    assert "no process runs the model" in refused.json["error"]
    assert runtime.get("/v2/health/live").status == 200
    assert runtime.process.wait(60) == 1
    assert runtime.termination["reason"] == "WorkerDied"
    assert re.search(r"died 5 times in a row: .* was killed by SIGSEGV", runtime.termination["message"])
    assert len((place / "loads").read_text().split()) == 5


def test_no_process_outlives_a_server_that_is_killed(
    start: Serve, place: Path, pool: ThreadPoolExecutor, eventually: Eventually
) -> None:
    runtime = start(2).wait_until_ready()
    # One keeps the interpreter's lock, so that it cannot notice anything by itself; the other one waits.
    pool.submit(runtime.infer, _body(77.0))
    eventually(lambda: _asked(place))
    pids = [int(pid) for pid in (place / "loads").read_text().split()]
    assert all(map(_is_running, pids))
    runtime.process.kill()
    eventually(lambda: not any(map(_is_running, pids)))


def test_the_drain_waits_for_what_a_process_answers_and_leaves_none_behind(
    start: Serve, place: Path, pool: ThreadPoolExecutor, eventually: Eventually
) -> None:
    runtime = start().wait_until_ready()
    (place / "no-answer").touch()
    in_flight = pool.submit(runtime.infer, _body(1.0))
    (pid,) = eventually(lambda: _asked(place))
    runtime.process.terminate()
    eventually(lambda: any(line["message"] == "Draining" for line in runtime.lines))
    (place / "no-answer").unlink()
    assert _answered(in_flight.result()) == ([2.0], pid)
    assert runtime.process.wait(60) == 0
    assert not _is_running(pid)
    assert runtime.termination["reason"] == "Completed"


def test_sigterm_while_the_process_loads_ends_both(start: Serve, place: Path, eventually: Eventually) -> None:
    (place / "no-load").touch()
    runtime = start()
    pid = int(eventually(lambda: (place / "loads").exists() and (place / "loads").read_text()))
    assert runtime.get("/v2/health/live").status == 200
    assert runtime.end() == 0
    assert not _is_running(pid)


def test_files_that_crash_the_process_end_the_server_with_a_reason(start: Serve, place: Path) -> None:
    (place / "crash-at-load").touch()
    runtime = start()
    assert runtime.process.wait(60) == 1
    assert runtime.termination["reason"] == "ModelLoadFailed"
    assert "was killed by SIGSEGV" in runtime.termination["message"]


@pytest.mark.parametrize(
    ("name", "settings", "reason"),
    [
        pytest.param("truncated-skops", {}, "ModelLoadFailed", id="broken"),
        pytest.param("joblib", {"trust": "Safe"}, "UntrustedFormat", id="untrusted"),
        pytest.param("text", {}, "FormatMismatch", id="other format"),
    ],
)
def test_a_model_that_cannot_be_opened_has_the_same_reason_as_in_the_server(
    serve: Serve, models: Path, name: str, settings: dict[str, str], reason: str
) -> None:
    runtime = serve(models / name, workers="2", **settings)
    assert runtime.process.wait(60) == 1
    assert runtime.termination["reason"] == reason


def test_a_process_optimizes_its_model_and_the_server_tells_what_became_of_it(serve: Serve, models: Path) -> None:
    runtime = serve(models / "skops", workers="1", options='{"optimize": "Onnx"}').wait_until_ready()
    state = runtime.get("/internal/state", internal=True).json
    assert (state["optimize"], state["served"]) == ("Onnx", "Onnx")
