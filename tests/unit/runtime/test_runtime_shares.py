"""What is shared: CPUs among threads, instances and workers, memory between two processes; and when to give up."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from modelway_runtime import settings
from modelway_runtime.digest import File
from modelway_runtime.loaders import loader
from modelway_runtime.manifest import Manifest
from modelway_runtime.server import cores
from modelway_runtime.server.deaths import MOST, STEADY_SECONDS, Deaths
from modelway_runtime.workers.memory import KEPT_BYTES, Memory
from modelway_runtime.workers.messages import Placed


@pytest.mark.parametrize(
    ("given_", "file", "cpus", "shared"),
    [
        pytest.param({}, "model.onnx", 1, (1, 1, 0), id="one CPU"),
        pytest.param({}, "model.onnx", 4, (4, 1, 0), id="one inference uses all"),
        pytest.param({}, "model.skops", 4, (4, 1, 0), id="scikit-learn"),
        pytest.param({}, "model.txt", 4, (1, 4, 0), id="trees one by one"),
        pytest.param({"MODEL_FORMAT": "xgboost"}, "iris.json", 4, (1, 4, 0), id="format by name"),
        pytest.param({"THREADS": "2"}, "model.txt", 5, (2, 2, 0), id="trees with threads"),
        pytest.param({"THREADS": "8"}, "model.txt", 4, (8, 1, 0), id="trees with more threads than CPUs"),
        pytest.param({}, "model.py", 1, (1, 1, 0), id="code on one CPU"),
        pytest.param({}, "model.py", 4, (4, 1, 1), id="code apart"),
        pytest.param({"WORKERS": "0"}, "model.py", 4, (4, 1, 0), id="code in the server"),
        pytest.param({}, "unknown.bin", 4, (4, 1, 0), id="no format"),
        pytest.param({"INSTANCES": "2"}, "model.onnx", 4, (2, 2, 0), id="two share them"),
        pytest.param({"INSTANCES": "3"}, "model.onnx", 4, (1, 3, 0), id="no more than there are"),
        pytest.param({"INSTANCES": "8"}, "model.onnx", 4, (1, 4, 0), id="as many instances as CPUs"),
        pytest.param({"THREADS": "2", "INSTANCES": "4"}, "model.onnx", 4, (2, 2, 0), id="threads come first"),
        pytest.param({"THREADS": "8"}, "model.onnx", 4, (8, 1, 0), id="threads as told"),
        pytest.param({"WORKERS": "2"}, "model.skops", 4, (2, 1, 2), id="two workers"),
        pytest.param({"WORKERS": "3", "INSTANCES": "2"}, "model.txt", 2, (1, 1, 3), id="more workers than CPUs"),
        pytest.param({"WORKERS": "2", "THREADS": "3"}, "model.onnx", 4, (3, 1, 2), id="threads of each as told"),
    ],
)
def test_threads_instances_and_workers_share_the_cpus(
    given_: Mapping[str, str], file: str, cpus: int, shared: tuple[int, int, int]
) -> None:
    wanted = settings.serve({f"MODELWAY_{name}": value for name, value in given_.items()})
    folder = Manifest(root=Path(), digest="", files=(File(path=file, sha256="", size=1),))
    found = cores.shared(wanted, loader.library(wanted.model_format, folder), cpus)
    assert (found.threads, found.instances, found.workers) == shared


_CHECKED = """
import json, sys
from modelway_runtime.__main__ import main
main(["check", *sys.argv[1:]])
import threadpoolctl
print(json.dumps({one["filepath"]: one["num_threads"] for one in threadpoolctl.threadpool_info()}))
"""


@pytest.mark.parametrize(
    ("given_", "threads"),
    [({}, 1), ({"OPENBLAS_NUM_THREADS": "2", "OMP_NUM_THREADS": "2"}, 2)],
    ids=["as set", "as given"],
)
def test_no_library_has_more_threads_than_it_should(models: Path, given_: Mapping[str, str], threads: int) -> None:
    """That of numpy least of all, which is imported before anybody knows the model."""
    environ = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    command = [sys.executable, "-c", _CHECKED, str(models / "sklearn"), "--threads", "1"]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env={**environ, **given_})
    counts = json.loads(done.stdout.splitlines()[-1])
    assert any("numpy" in name for name in counts)
    assert set(counts.values()) == {min(threads, os.cpu_count() or 1)}


def test_pauses_grow_until_there_is_no_hope() -> None:
    deaths, pauses = Deaths(), []
    for _ in range(MOST - 1):
        deaths = deaths.after(1.0, has_answered=False)
        assert not deaths.is_hopeless
        pauses.append(deaths.pause)
    assert pauses == [0.0, 1.0, 2.0, 4.0]
    assert deaths.after(1.0, has_answered=False).is_hopeless


@pytest.mark.parametrize(("lived", "has_answered"), [(1.0, True), (STEADY_SECONDS, False)])
def test_who_has_answered_or_lived_long_begins_anew(lived: float, *, has_answered: bool) -> None:
    assert Deaths(4).after(lived, has_answered=has_answered) == Deaths(1)


_SHAPES = arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)
_NUMBERS = arrays.arrays(
    st.sampled_from(["?", "i1", "u8", "<f2", "<f4", ">f8", "<U3", "M8[s]"]), _SHAPES, elements=None
)
_STRINGS = arrays.arrays(np.object_, _SHAPES, elements=st.text(st.characters(codec="utf-8")) | st.binary())


@given(st.dictionaries(st.text(max_size=3), _NUMBERS | _STRINGS, max_size=3), st.booleans())
def test_tensors_cross_as_they_are(tensors: dict[str, Any], is_transposed: bool) -> None:
    writer = Memory.made()
    reader = Memory(os.dup(writer.number))
    if is_transposed:
        tensors = {name: tensor.T for name, tensor in tensors.items()}
    found = reader.read(writer.write(tensors))
    assert list(found) == list(tensors)
    for name, tensor in tensors.items():
        assert (found[name].dtype, found[name].shape) == (tensor.dtype, tensor.shape)
        assert found[name].tobytes() == tensor.tobytes() if tensor.dtype != np.object_ else True
        assert found[name].tolist() == tensor.tolist() or tensor.dtype.kind in "fM"
    reader.close()
    writer.close()


def test_what_was_read_stays_when_the_memory_is_written_again() -> None:
    writer = Memory.made()
    reader = Memory(os.dup(writer.number))
    first = reader.read(writer.write({"x": np.arange(9.0)}))
    reader.read(writer.write({"x": np.zeros(9)}))
    assert first["x"].tolist() == list(range(9))
    first["x"][0] = 5.0
    reader.close()
    writer.close()


def test_a_large_tensor_s_memory_is_given_back_and_taken_again() -> None:
    writer = Memory.made()
    reader = Memory(os.dup(writer.number))
    large = np.arange(KEPT_BYTES // 4, dtype=np.float64)
    for _ in range(2):
        placed = writer.write({"x": large})
        assert os.fstat(writer.number).st_size >= large.nbytes
        assert np.array_equal(reader.read(placed)["x"], large)
        assert os.fstat(writer.number).st_size == KEPT_BYTES
        assert reader.read(writer.write({"x": np.ones(3)}))["x"].tolist() == [1.0, 1.0, 1.0]
    reader.close()
    writer.close()


def test_what_is_not_there_is_not_read() -> None:
    memory = Memory.made()
    memory.write({"x": np.ones(3)})
    with pytest.raises(ValueError, match="1048576 bytes of shared memory are said to be there"):
        memory.read([Placed("x", "<f8", (1 << 17,), 0, 1 << 20)])
    memory.close()
