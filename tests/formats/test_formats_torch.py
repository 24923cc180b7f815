"""PyTorch in an environment of its own: programs and weights answer as PyTorch does."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch

from modelway_runtime import formats
from modelway_runtime.loaders import mlflow
from modelway_runtime.loaders import torch as loader
from modelway_runtime.loaders.loader import Artifact
from modelway_runtime.loaders.mlflow import MlflowModel
from modelway_runtime.protocol.tensors import TensorSpec
from modelway_runtime.reasons import Failure, Reason

ROWS = np.random.default_rng(7).normal(size=(20, 4)).astype(np.float32)
CODE = """
import torch

class Model(torch.nn.Module):
    inputs = [{"name": "rows", "datatype": "FP32", "shape": [-1, 4]}]
    outputs = [{"name": "scores", "datatype": "FP32", "shape": [-1, 3]}]

    def __init__(self):
        super().__init__()
        self.layers = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3))

    def forward(self, rows):
        return self.layers(rows)
"""


class Network(torch.nn.Module):
    """The same, and the sum of each row."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3))

    def forward(self, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.layers(rows), rows.sum(dim=1)


@pytest.fixture
def network() -> Network:
    torch.manual_seed(7)
    return Network().eval()


def _load(folder: Path, trust: str = "Any") -> Any:
    found = formats.find(tuple(path.name for path in folder.iterdir()), "torch")
    formats.check_trust(found, trust)
    return loader.load(Artifact(root=folder, file=folder / found.path, trust=trust, threads=1, options={}))


def _answers(network: Network) -> list[Any]:
    with torch.inference_mode():
        return [tensor.numpy() for tensor in network(torch.tensor(ROWS))]


def test_an_exported_program_says_what_it_takes_and_answers_as_pytorch(tmp_path: Path, network: Network) -> None:
    rows = torch.export.Dim("rows")
    program = torch.export.export(network, (torch.tensor(ROWS),), dynamic_shapes={"rows": {0: rows}})
    torch.export.save(program, tmp_path / "model.pt2")
    model = _load(tmp_path)
    assert model.inputs == (TensorSpec(name="rows", datatype="FP32", shape=(-1, 4)),)
    assert model.outputs == (
        TensorSpec(name="output_0", datatype="FP32", shape=(-1, 3)),
        TensorSpec(name="output_1", datatype="FP32", shape=(-1,)),
    )
    assert model.is_batchable
    for answer, expected in zip(model.predict({"rows": ROWS}).values(), _answers(network), strict=True):
        np.testing.assert_array_equal(answer, expected)


def test_torchscript_answers_as_pytorch(tmp_path: Path, network: Network) -> None:
    torch.jit.script(network).save(str(tmp_path / "model.pt"))
    model = _load(tmp_path)
    assert [spec.name for spec in model.inputs] == ["rows"]
    for answer, expected in zip(model.predict({"rows": ROWS}).values(), _answers(network), strict=True):
        np.testing.assert_array_equal(answer, expected)


def test_weights_are_taken_by_the_class_beside_them(tmp_path: Path, network: Network) -> None:
    safetensors.torch.save_file(network.state_dict(), tmp_path / "model.safetensors")
    (tmp_path / "model.py").write_text(CODE)
    assert formats.guess(("model.py", "model.safetensors")) == "torch"
    model = _load(tmp_path)
    assert [(spec.name, spec.shape) for spec in model.inputs + model.outputs] == [
        ("rows", (-1, 4)),
        ("scores", (-1, 3)),
    ]
    np.testing.assert_array_equal(model.predict({"rows": ROWS})["scores"], _answers(network)[0])


def test_weights_of_another_class_are_refused(tmp_path: Path) -> None:
    safetensors.torch.save_file({"other": torch.zeros(2)}, tmp_path / "model.safetensors")
    (tmp_path / "model.py").write_text(CODE)
    with pytest.raises(Failure, match="Missing key") as raised:
        _load(tmp_path)
    assert raised.value.reason is Reason.MODEL_LOAD_FAILED


@pytest.mark.parametrize("name", ["model.pt2", "model.pt"])
def test_every_program_needs_trust(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    with pytest.raises(Failure, match="set trust to Any") as raised:
        _load(tmp_path, "Safe")
    assert raised.value.reason is Reason.UNTRUSTED_FORMAT


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("model.pt", b"", Reason.MODEL_LOAD_FAILED),
        ("model.pt", b"<html>", Reason.FORMAT_MISMATCH),
        ("model.pt", b"PK\x03\x04cut", Reason.MODEL_LOAD_FAILED),
        ("model.pt2", b"PK\x03\x04cut", Reason.MODEL_LOAD_FAILED),
        ("model.pt2", b"<html>", Reason.FORMAT_MISMATCH),
    ],
)
def test_each_kind_of_wrong_file_has_its_reason(tmp_path: Path, name: str, content: bytes, reason: Reason) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(Failure) as raised:
        _load(tmp_path)
    assert raised.value.reason is reason


def _mlflow(folder: Path) -> MlflowModel:
    """The model of a folder as MLflow writes it; MLflow itself is not in the image."""
    signature = r'[{"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 4]}}]'
    flavor = f"{{model_data: data, pytorch_version: {torch.__version__}}}"
    (folder / "MLmodel").write_text(f"flavors: {{pytorch: {flavor}}}\nsignature:\n  inputs: '{signature}'\n")
    return mlflow.load(Artifact(root=folder, file=folder / "MLmodel", trust="Any", threads=1, options={}))


@pytest.mark.parametrize("kind", ["exported", "script", "pickled"])
def test_a_network_in_a_folder_of_mlflow_answers_as_pytorch(tmp_path: Path, kind: str) -> None:
    torch.manual_seed(7)
    network = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)).eval()
    (tmp_path / "data").mkdir()
    if kind == "exported":
        dynamic = ({0: torch.export.Dim("rows")},)
        program = torch.export.export(network, (torch.tensor(ROWS),), dynamic_shapes=dynamic)
        torch.export.save(program, tmp_path / "data/model.pt2")
    elif kind == "script":
        torch.jit.script(network).save(str(tmp_path / "data/model.pth"))
    else:
        torch.save(network, tmp_path / "data/model.pth")
    model = _mlflow(tmp_path)
    assert [(spec.datatype, spec.shape) for spec in model.inputs] == [("FP32", (-1, 4))]
    (answer,) = model.predict({model.inputs[0].name: ROWS}).values()
    with torch.inference_mode():
        np.testing.assert_array_equal(answer, network(torch.tensor(ROWS)).numpy())


def test_a_pickle_that_is_no_module_is_told(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    torch.save({"weights": torch.zeros(1)}, tmp_path / "data/model.pth")
    with pytest.raises(Failure, match="holds a dict, which is no module") as raised:
        _mlflow(tmp_path)
    assert raised.value.reason is Reason.FORMAT_MISMATCH
