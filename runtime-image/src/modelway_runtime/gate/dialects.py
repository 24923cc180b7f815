"""How a golden request, which is written in V2, is asked in the protocol of a server, and its answer read. Pure."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from modelway_runtime.golden import Golden

Json = Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """Paths with `{}` for the model's name, and what bodies look like.

    `ready`: asked in this order, the next one only where the server does not know the one before (404).
    `is_ready`: whether an answer with status 200 to it means ready. `outputs`: those of an answer, as V2 has them.
    """

    ready: tuple[str, ...]
    is_ready: Callable[[Json], bool]
    infer: str
    body: Callable[[Mapping[str, Any]], Json]
    outputs: Callable[[Json, Golden], list[Mapping[str, Any]]]


def path(template: str, name: str) -> bytes:
    """A path of a model."""
    return template.format(quote(name, safe="")).encode()


def _v2_body(request: Mapping[str, Any]) -> Json:
    """The request itself, answered in JSON whatever it asks for."""
    outputs = [_without(item, "binary_data") for item in request.get("outputs") or ()]
    return {**_without(request, "binary_data_output"), **({"outputs": outputs} if outputs else {})}


def _without(item: Mapping[str, Any], parameter: str) -> Mapping[str, Any]:
    parameters = {key: value for key, value in (item.get("parameters") or {}).items() if key != parameter}
    rest = {key: value for key, value in item.items() if key != "parameters"}
    return {**rest, "parameters": parameters} if parameters else rest


def _v2_outputs(answer: Json, _: Golden) -> list[Mapping[str, Any]]:
    return [{"shape": None, "datatype": None, **output} for output in answer["outputs"]]


def _columns(request: Mapping[str, Any]) -> Json:
    """Nested lists by name, which V1 calls its columnar format, and MLflow its tensor input."""
    return {"inputs": {item["name"]: nested(_flat(item["data"]), item["shape"]) for item in request["inputs"]}}


def nested(values: Sequence[Any], shape: Sequence[int]) -> Any:
    """Flat values in the nested lists of their shape: [1, 2, 3, 4] of [2, 2] is [[1, 2], [3, 4]]."""
    if not shape:
        return values[0]
    step = len(values) // max(1, shape[0])
    return [nested(values[row * step : (row + 1) * step], shape[1:]) for row in range(shape[0])]


def _flat(data: Any) -> list[Any]:
    return [value for item in data for value in _flat(item)] if isinstance(data, list) else [data]


def _named_outputs(answer: Json, golden: Golden) -> list[Mapping[str, Any]]:
    """Tensors by name, rows of named values, or one tensor without a name; of datatypes these protocols say nothing."""
    given = answer["outputs"] if "outputs" in answer else answer["predictions"]
    if isinstance(given, list) and given and all(isinstance(row, dict) for row in given):
        given = {name: [row[name] for row in given] for name in given[0]}
    named = given if isinstance(given, dict) else {item.get("name", ""): given for item in golden.outputs[:1]}
    datatypes = {item.get("name", ""): item.get("datatype") for item in golden.outputs}
    return [
        {"name": name, "datatype": datatypes.get(name), "shape": shape(data), "data": data}
        for name, data in named.items()
    ]


def shape(data: Any) -> list[int]:
    """The shape of nested lists."""
    return [len(data), *(shape(data[0]) if data else ())] if isinstance(data, list) else []


def _is_available(answer: Json) -> bool:
    """Of a model's status in TensorFlow Serving, or of one that only says that it is ready."""
    states = [item.get("state") for item in answer.get("model_version_status") or ()]
    return "AVAILABLE" in states if states else answer.get("ready", True) in (True, "true", "True")


def _always(_: Json) -> bool:
    return True


DIALECTS: Mapping[str, Dialect] = {
    "V2": Dialect(
        ready=("/v2/models/{}/ready", "/v2/health/ready"),
        is_ready=_always,
        infer="/v2/models/{}/infer",
        body=_v2_body,
        outputs=_v2_outputs,
    ),
    "V1": Dialect(
        ready=("/v1/models/{}",),
        is_ready=_is_available,
        infer="/v1/models/{}:predict",
        body=_columns,
        outputs=_named_outputs,
    ),
    "Invocations": Dialect(
        ready=("/ping",),
        is_ready=_always,
        infer="/invocations",
        body=_columns,
        outputs=_named_outputs,
    ),
}
"""By protocol; golden requests are asked in the first of them that a server speaks."""


def parsed(content: bytes) -> Json:
    """A body as JSON; an empty map where it is none, as of servers that say ready in a status alone."""
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
