"""What a server says of itself and of its model: metadata, configuration, the index of its repository. Pure."""

from collections.abc import Iterable
from typing import Any

from modelway_runtime.protocol.tensors import Model, TensorSpec

EXTENSIONS = ("binary_tensor_data", "model_configuration", "statistics")
READY, LOADING, UNAVAILABLE = "READY", "LOADING", "UNAVAILABLE"
_CONFIGURED_NAMES = {"BYTES": "TYPE_STRING"}


def server(version: str) -> dict[str, Any]:
    """The server's metadata."""
    return {"name": "modelway-runtime", "version": version, "extensions": list(EXTENSIONS)}


def model(name: str, version: str, served: Model) -> dict[str, Any]:
    """The model's metadata; a model without a version has an empty list of them."""
    return {
        "name": name,
        "versions": [version] if version else [],
        "platform": served.platform,
        "inputs": [_tensor(spec) for spec in served.inputs],
        "outputs": [_tensor(spec) for spec in served.outputs],
    }


def config(name: str, served: Model, max_batch_size: int) -> dict[str, Any]:
    """The model's configuration in Triton's words, as far as it means anything here.

    Where requests are batched, dimensions are those of one row and `max_batch_size` is at least 1.
    """
    is_batched = served.is_batchable
    return {
        "name": name,
        "platform": served.platform,
        "backend": served.platform.partition("_")[0],
        "version_policy": {"latest": {"num_versions": 1}},
        "max_batch_size": max_batch_size if is_batched else 0,
        "input": list(_configured(served.inputs, is_batched=is_batched)),
        "output": list(_configured(served.outputs, is_batched=is_batched)),
        "instance_group": [{"name": name, "kind": "KIND_CPU", "count": 1}],
        **({"dynamic_batching": {"max_queue_delay_microseconds": 0}} if is_batched else {}),
    }


def index(name: str, version: str, state: str, reason: str = "") -> list[dict[str, str]]:
    """The index of the repository: the one model that there is."""
    return [{"name": name, "version": version, "state": state, "reason": reason}]


def _tensor(spec: TensorSpec) -> dict[str, Any]:
    columns = {"parameters": {"columns": list(spec.columns)}} if spec.columns else {}
    return {"name": spec.name, "datatype": spec.datatype, "shape": list(spec.shape), **columns}


def _configured(specs: Iterable[TensorSpec], *, is_batched: bool) -> Iterable[dict[str, Any]]:
    for spec in specs:
        dims = list(spec.shape[1:] if is_batched else spec.shape)
        datatype = _CONFIGURED_NAMES.get(spec.datatype, f"TYPE_{spec.datatype}")
        # A configuration cannot say "no dimension" but by a reshape.
        yield {
            "name": spec.name,
            "data_type": datatype,
            "dims": dims or [-1 if spec.is_any_shape else 1],
            **({} if dims or spec.is_any_shape else {"reshape": {"shape": []}}),
        }
