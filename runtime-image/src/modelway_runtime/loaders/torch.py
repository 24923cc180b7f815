"""PyTorch: exported programs, TorchScript, and weights beside the class that they belong to."""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias
from zipfile import ZipFile

import safetensors.torch
import torch

from modelway_runtime.loaders import declared, wrong
from modelway_runtime.loaders.loader import Artifact
from modelway_runtime.protocol.tensors import DYNAMIC, Array, Arrays, TensorSpec
from modelway_runtime.reasons import Failure, Reason

_Specs: TypeAlias = tuple[TensorSpec, ...]
_DATATYPES = {
    torch.bool: "BOOL",
    torch.uint8: "UINT8",
    torch.int8: "INT8",
    torch.int16: "INT16",
    torch.int32: "INT32",
    torch.int64: "INT64",
    torch.float16: "FP16",
    torch.float32: "FP32",
    torch.float64: "FP64",
}


def load(artifact: Artifact) -> "TorchModel":
    """Opens the file by its ending; each of them runs code, so only a trusted one gets here."""
    torch.set_num_threads(artifact.threads)
    _check(artifact)
    if artifact.file.suffix == ".safetensors":
        return _weights(artifact)
    try:
        if artifact.file.suffix == ".pt2":
            return _exported(artifact)
        return _script(artifact) if _is_script(artifact) else _pickled(artifact)
    except Failure:
        raise
    except Exception as error:  # a file can break the library anywhere
        raise wrong.broken(artifact.file.name, str(error).replace(str(artifact.file), artifact.file.name)) from error


class TorchModel:
    """A function of tensors in the order of the inputs."""

    platform = "pytorch"

    def __init__(
        self, call: Callable[..., Any], inputs: _Specs, outputs: _Specs, *, is_concurrent: bool = True
    ) -> None:
        self._call = call
        self.inputs, self.outputs = inputs, outputs
        self.is_concurrent = is_concurrent
        self.is_batchable = all(spec.shape[:1] == (DYNAMIC,) for spec in inputs + outputs)

    def predict(self, inputs: Mapping[str, Array]) -> Arrays:
        """One call without gradients; it releases the interpreter's lock."""
        with torch.inference_mode():
            # A tensor that a request shares with others must not be written to.
            found = self._call(*(torch.tensor(inputs[spec.name]) for spec in self.inputs))
        if isinstance(found, Mapping):
            return {spec.name: found[spec.name].numpy() for spec in self.outputs}
        given = found if isinstance(found, tuple | list) else (found,)
        return {spec.name: tensor.numpy() for spec, tensor in zip(self.outputs, given, strict=True)}


def _exported(artifact: Artifact) -> TorchModel:
    """Says itself what it takes and gives."""
    program = torch.export.load(artifact.file)
    nodes = {node.name: node.meta["val"] for node in program.graph.nodes if "val" in node.meta}
    signature = program.graph_signature
    inputs = tuple(_spec(name, nodes[name]) for name in signature.user_inputs)
    names = _outputs(len(signature.user_outputs))
    outputs = tuple(_spec(name, nodes[node]) for name, node in zip(names, signature.user_outputs, strict=True))
    return TorchModel(program.module(), inputs, outputs)


def _script(artifact: Artifact) -> TorchModel:
    """Says how many tensors it takes and gives, but not of which kind: the request decides."""
    module = torch.jit.load(artifact.file, map_location="cpu").eval()
    schema = module.forward.schema
    inputs = tuple(_unknown(argument.name) for argument in schema.arguments[1:] if not argument.has_default_value())
    (returned,) = schema.returns
    kind = returned.type.kind()
    if kind not in ("TensorType", "TupleType"):
        message = f"{artifact.file.name} gives a {kind}; a tensor or a tuple of tensors can be answered"
        raise Failure(Reason.MODEL_LOAD_FAILED, message)
    count = len(returned.type.elements()) if kind == "TupleType" else 1
    outputs = tuple(TensorSpec(name=name, datatype="FP32", shape=(DYNAMIC,)) for name in _outputs(count))
    return TorchModel(module, inputs, outputs)


def _is_script(artifact: Artifact) -> bool:
    """Only MLflow gives a pickled module and a program the same name."""
    if artifact.file.suffix != ".pth":
        return True
    with ZipFile(artifact.file) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())


def _pickled(artifact: Artifact) -> TorchModel:
    """A module as an object, which needs the classes that it was made of; only a trusted file gets here."""
    try:
        module = torch.load(artifact.file, map_location="cpu", weights_only=False)
    except ModuleNotFoundError as error:
        raise wrong.broken(artifact.file.name, error) from error
    if not isinstance(module, torch.nn.Module):
        raise Failure(
            Reason.FORMAT_MISMATCH, f"{artifact.file.name} holds a {type(module).__name__}, which is no module"
        )
    prediction = TensorSpec(name="prediction", datatype="FP32", shape=(DYNAMIC,))
    return TorchModel(module.eval(), (_unknown("input"),), (prediction,))


def _weights(artifact: Artifact) -> TorchModel:
    """Weights for the class `Model` of `model.py`, a module that is made without arguments."""
    code = artifact.root / "model.py"
    with declared.running(code):
        module = declared.model_class(code)()
    if not isinstance(module, torch.nn.Module):
        raise Failure(Reason.FORMAT_MISMATCH, "The class Model of model.py is no torch.nn.Module")
    try:
        module.load_state_dict(safetensors.torch.load_file(artifact.file))
    except (RuntimeError, safetensors.SafetensorError) as error:
        raise wrong.broken(artifact.file.name, error) from error
    inputs = declared.tensors(module, "inputs", code.name) or (_unknown("input"),)
    outputs = declared.tensors(module, "outputs", code.name)
    any_output = (TensorSpec(name="prediction", datatype="FP32", shape=(DYNAMIC,)),)
    # Anybody's code, which may keep something from one call to the next.
    return TorchModel(module.eval(), inputs, outputs or any_output, is_concurrent=False)


def _unknown(name: str) -> TensorSpec:
    return TensorSpec(name=name, datatype="FP32", shape=(), is_open=True, is_any_shape=True)


def _outputs(count: int) -> tuple[str, ...]:
    return ("prediction",) if count == 1 else tuple(f"output_{index}" for index in range(count))


def _spec(name: str, value: Any) -> TensorSpec:
    datatype = _DATATYPES.get(value.dtype) if isinstance(value, torch.Tensor) else None
    if datatype is None:
        raise Failure(Reason.MODEL_LOAD_FAILED, f"{name} is no tensor of a type that the protocol has")
    shape = tuple(size if isinstance(size, int) else DYNAMIC for size in value.shape)
    return TensorSpec(name=name, datatype=datatype, shape=shape)


def _check(artifact: Artifact) -> None:
    name = artifact.file.name
    with artifact.file.open("rb") as stream:
        first = stream.read(2)
    if not first:
        raise wrong.empty(name)
    if artifact.file.suffix != ".safetensors" and first != b"PK":
        raise wrong.foreign(name, "a program that torch.export.save or torch.jit.save wrote")
