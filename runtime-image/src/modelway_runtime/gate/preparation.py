"""From a server that has loaded the model to one that may get requests: warm it, ask the golden requests."""

import math
from collections.abc import Mapping
from typing import Any

from modelway_runtime import golden, logs, manifest
from modelway_runtime.gate.dialects import DIALECTS
from modelway_runtime.gate.server import NotAnswered, Server
from modelway_runtime.gate.settings import GateSettings
from modelway_runtime.golden import Golden
from modelway_runtime.reasons import Failure, Reason

_ROUNDS = 3
"""How often the model is run in either size: servers have several workers, of which each is cold."""
_ZEROS: Mapping[str, Any] = {
    "BOOL": False,
    "BYTES": "",
    **{f"{sign}INT{size}": 0 for sign in ("", "U") for size in (8, 16, 32, 64)},
    **{f"FP{size}": 0.0 for size in (16, 32, 64)},
}
_LARGEST_TENSOR = 1 << 20


def golden_requests(settings: GateSettings) -> tuple[Golden, ...]:
    """Those of the spec, and those of the model's own file; raises Failure."""
    if not settings.golden_file:
        return golden.read(settings.golden_path, None)
    found = manifest.read(settings.model_path)
    if settings.golden_file not in found.paths:
        message = f"The model has no file {settings.golden_file} with golden requests"
        raise Failure(Reason.GOLDEN_REQUEST_FAILED, message)
    return golden.read(settings.golden_path, found.root / settings.golden_file)


async def warm(server: Server, requests: tuple[Golden, ...]) -> None:
    """Asks zeros of the model's own shapes, one row and a full batch, or else the golden requests.

    Zeros that the server refuses mean nothing to the model. One row of them on which it fails, though all sizes are
    known, is a model that does not work: raises Failure. What becomes of a full batch is only told, since the server
    may take less.
    """
    inputs = await server.inputs()
    asked = 0
    if inputs and all(_has_zeros(item) for item in inputs):
        asked = await _warm_with_zeros(server, inputs)
    if not asked:
        for request in requests:
            asked += await _is_answered(server, request.request)
    logs.write("Warmed model", requests=asked)


async def _warm_with_zeros(server: Server, inputs: tuple[Mapping[str, Any], ...]) -> int:
    asked = 0
    for rows in (1, server.settings.max_batch_size):
        if any(math.prod(_sizes(item, rows)) > _LARGEST_TENSOR for item in inputs):
            logs.write("Warm-up input is too large, going on", rows=rows)
            break
        request = {"inputs": [zeros(item, rows) for item in inputs]}
        try:
            for _ in range(_ROUNDS):
                await server.ask(request)
                asked += 1
        except NotAnswered as error:
            if rows == 1 and error.status >= 500 and all(_is_known(item) for item in inputs):
                message = f"The model fails on zeros of its own shapes: {error}"
                raise Failure(Reason.WARMUP_FAILED, message) from error
            logs.write("Warm-up input does not fit, going on", rows=rows, error=str(error))
            break
    return asked


async def _is_answered(server: Server, request: Mapping[str, Any]) -> bool:
    try:
        await server.ask(request)
    except (NotAnswered, LookupError, TypeError, ValueError) as error:
        logs.write("Warm-up request is not answered, going on", error=str(error)[:200])
        return False
    return True


def zeros(spec: Mapping[str, Any], rows: int) -> dict[str, Any]:
    """An input of zeros, or of empty strings; sizes that nobody knows are 1, but for the first, which is `rows`."""
    sizes = _sizes(spec, rows)
    data = [_ZEROS[spec["datatype"]]] * math.prod(sizes)
    return {"name": spec["name"], "datatype": spec["datatype"], "shape": sizes, "data": data}


def _sizes(spec: Mapping[str, Any], rows: int) -> list[int]:
    sizes = [1 if size < 0 else size for size in spec["shape"]]
    return [rows, *sizes[1:]] if sizes and spec["shape"][0] < 0 else sizes


def _has_zeros(spec: Mapping[str, Any]) -> bool:
    """Whether a description says enough to ask zeros of it."""
    sizes = spec.get("shape")
    is_shaped = isinstance(sizes, list) and all(isinstance(size, int) for size in sizes)
    return isinstance(spec.get("name"), str) and spec.get("datatype") in _ZEROS and is_shaped


def _is_known(spec: Mapping[str, Any]) -> bool:
    """Whether zeros must mean something to the model: all sizes but the first are known, and it takes no strings."""
    return spec["datatype"] != "BYTES" and all(size >= 0 for size in spec["shape"][1:])


async def validate(server: Server, requests: tuple[Golden, ...]) -> None:
    """Asks all golden requests; raises Failure at the first that is not answered as expected."""
    for request in requests:
        wrong = await _wrong(server, request)
        if wrong:
            raise Failure(Reason.GOLDEN_REQUEST_FAILED, f"Golden request {request.name!r}: {wrong}")
    logs.write("Validated model", goldenRequests=len(requests))


async def _wrong(server: Server, request: Golden) -> str:
    """What is wrong with the answer; empty when it is as expected."""
    protocol = server.settings.protocol
    try:
        answer = await server.ask(request.request)
    except NotAnswered as error:
        return str(error)
    except (LookupError, TypeError, ValueError) as error:
        return f"it cannot be asked in {protocol}: {type(error).__name__}: {error}"
    try:
        return golden.difference(request, {"outputs": DIALECTS[protocol].outputs(answer, request)})
    except (LookupError, TypeError, ValueError) as error:
        return f"the answer is none of {protocol}: {type(error).__name__}: {error}"
