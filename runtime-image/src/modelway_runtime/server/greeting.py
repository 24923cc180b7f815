"""What a person sees who serves a model by hand: the URL and a request to try. Pure."""

import json
import math
import socket

from modelway_runtime.protocol.datatypes import JSON_TYPES
from modelway_runtime.protocol.tensors import TensorSpec
from modelway_runtime.server.state import State

_EXAMPLES: dict[type, object] = {float: 0.0, int: 0, bool: False, str: "text"}
_MOST_VALUES = 200


def text(state: State, bound: socket.socket, internal: socket.socket, *, grpc_port: int) -> str:
    """Three lines."""
    host, port = bound.getsockname()[:2]
    name = state.settings.name
    url = f"http://{host}:{port}/v2/models/{name}"
    specs = state.serving.model.inputs if state.serving else ()
    ports = (
        f"gRPC on port {grpc_port}, metrics on {internal.getsockname()[1]}"
        if grpc_port
        else f"metrics on port {internal.getsockname()[1]}"
    )
    lines = (
        f"Serving {name} at {url} ({ports})",
        f"Try:  curl -s {url}" + (f"/infer -d '{example(specs)}'" if _is_short(specs) else ""),
        "Stop with Ctrl-C.",
    )
    return "\n".join(lines)


def example(specs: tuple[TensorSpec, ...]) -> str:
    """A request body that the model takes: one row of zeros."""
    inputs = []
    for spec in specs:
        shape = _shape(spec)
        data = [_EXAMPLES[JSON_TYPES[spec.datatype]]] * math.prod(shape)
        inputs.append({"name": spec.name, "datatype": spec.datatype, "shape": shape, "data": data})
    return json.dumps({"inputs": inputs})


def _is_short(specs: tuple[TensorSpec, ...]) -> bool:
    return sum(math.prod(_shape(spec)) for spec in specs) <= _MOST_VALUES


def _shape(spec: TensorSpec) -> list[int]:
    return [max(1, size) for size in spec.shape]
