"""`modelway-runtime check PATH`: does with a model what a pod does before it is ready, and prints what came of it."""

import asyncio
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from time import perf_counter
from typing import Any

from modelway_runtime import golden, manifest, settings, units
from modelway_runtime.conversion.optimization import Optimization
from modelway_runtime.golden import Golden
from modelway_runtime.manifest import Manifest
from modelway_runtime.protocol.codec import Codec
from modelway_runtime.protocol.tensors import BadRequest, InputRejected, Model, TensorSpec
from modelway_runtime.reasons import Failure, Reason, UsageError
from modelway_runtime.server import command, greeting, preparation
from modelway_runtime.settings import Environ, ServeSettings
from modelway_runtime.termination import Outcome

_MOST_VALUES = 200
_LARGEST_REQUEST = 1 << 20


def run(environ: Environ) -> Outcome:
    """Prints the report; raises Failure with the reason that a pod would have."""
    path = environ["MODELWAY_PATH"]
    wanted = settings.serve(command.local(environ, path))
    if environ.get("MODELWAY_GOLDEN_PATH"):
        command.existing(environ["MODELWAY_GOLDEN_PATH"])
    found = manifest.of_path(command.existing(path))
    request = _request(environ.get("MODELWAY_REQUEST", ""))
    print("\n".join(asyncio.run(_report(wanted, found, Path(path).resolve().name, request))))
    return Outcome(reason=Reason.COMPLETED, message="Checked", digest=found.digest, size=found.size)


def _request(path: str) -> dict[str, Any] | None:
    """The request of a file, None without one."""
    if not path:
        return None
    content = command.existing(path).read_bytes()[: _LARGEST_REQUEST + 1]
    if len(content) > _LARGEST_REQUEST:
        raise UsageError(f"{path} is larger than {units.text(_LARGEST_REQUEST)}")
    try:
        request = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} is not JSON: {error}") from error
    if not isinstance(request, dict):
        raise UsageError(f"{path} holds no V2 request: write a JSON object with inputs")
    return request


async def _report(wanted: ServeSettings, found: Manifest, title: str, request: dict[str, Any] | None) -> list[str]:
    began = perf_counter()
    model, optimization = preparation.optimize(preparation.load(wanted, found), wanted, found)
    loaded = perf_counter()
    rows = preparation.warm(model, wanted.max_batch_size)
    warmed = perf_counter()
    codec = Codec(wanted.name, wanted.version, model.inputs, model.outputs)
    asked = golden.read(wanted.golden_path, None) if wanted.golden_path.is_file() else ()
    right = await preparation.validate(model, codec, asked)
    lines = [
        f"{title}: {model.platform}, {units.text(found.size)}, {found.digest}",
        *_optimized(optimization),
        f"loaded in {loaded - began:.2f} s, warmed in {warmed - loaded:.2f} s; {_batches(rows)}",
        *_tensors("inputs", model.inputs),
        *_tensors("outputs", model.outputs),
    ]
    if asked:
        lines.append(f"{right} golden requests answered as expected")
    return [*lines, *_example(model, codec, request)]


def _optimized(found: Optimization) -> list[str]:
    """What became of `optimize`, where it was asked for."""
    if not found.described():
        return []
    return [f"optimize {found.asked}: " + (f"not done, {found.cause}" if found.cause else "answers the same")]


def _batches(rows: int) -> str:
    return f"up to {rows} rows run together" if rows > 1 else "requests run one by one"


def _tensors(title: str, specs: Iterable[TensorSpec]) -> Iterator[str]:
    for spec in specs:
        columns = f" columns {', '.join(spec.columns)}" if spec.columns else ""
        yield f"{title:8} {spec.name} {spec.datatype} {list(spec.shape)}{columns}"


def _example(model: Model, codec: Codec, given: dict[str, Any] | None) -> list[str]:
    """A golden request to paste: what was given, or zeros, with the answer of now."""
    request = given or json.loads(greeting.example(model.inputs))
    try:
        answer = preparation.answer(model, codec, Golden(name="example", request=request, outputs=()))
    except (BadRequest, InputRejected) as error:
        if given is not None:
            raise Failure(Reason.GOLDEN_REQUEST_FAILED, f"The request is refused: {error}") from error
        return [f"the model takes no zeros ({error}); give it a request of yours with --request FILE"]
    outputs = [{"name": one["name"], "data": one["data"]} for one in answer["outputs"]]
    values = sum(
        len(one["data"]) for one in (*outputs, *request.get("inputs", ())) if isinstance(one.get("data"), list)
    )
    if values > _MOST_VALUES:
        return [f"an example has {values} values, too many to print"]
    known = json.dumps({"name": "example", "request": request, "expect": {"outputs": outputs}})
    source = "of your request" if given is not None else "of zeros: better take an example whose answer you know"
    return [f"a golden request for spec.validation.requests, {source}:", f"- {known}"]
