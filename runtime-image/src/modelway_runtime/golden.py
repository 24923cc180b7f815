"""Golden requests: questions with known answers that a model must give before it is ready. Pure but for `read`."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelway_runtime.reasons import Failure, Reason

_SHOWN = 6
ABSOLUTE = 1e-5
RELATIVE = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class Golden:
    """A request as a V2 body, the outputs expected, and how far numbers may be off (as numpy.isclose)."""

    name: str
    request: Mapping[str, Any]
    outputs: tuple[Mapping[str, Any], ...]
    absolute: float = ABSOLUTE
    relative: float = RELATIVE


def read(path: Path, folder_file: Path | None) -> tuple[Golden, ...]:
    """All golden requests: of the mounted file, which need not exist, and of the model's own file."""
    found: list[Golden] = []
    if path.is_file():
        found += parse(path.read_bytes(), str(path))
    if folder_file is not None:
        if not folder_file.is_file():
            raise Failure(
                Reason.GOLDEN_REQUEST_FAILED, f"The model has no file {folder_file.name} with golden requests"
            )
        own = parse(folder_file.read_bytes(), folder_file.name)
        if not own:
            raise Failure(Reason.GOLDEN_REQUEST_FAILED, f"The model's file {folder_file.name} is empty")
        found += own
    return tuple(found)


def parse(text: bytes, where: str) -> list[Golden]:
    """Golden requests from a JSON list, or from lines of one JSON object each."""
    try:
        lines = (line for line in text.split(b"\n") if line.strip())
        body = json.loads(text) if text.lstrip()[:1] == b"[" else [json.loads(line) for line in lines]
        return [_golden(item, index) for index, item in enumerate(body)]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        message = f"{where} holds no golden requests: {type(error).__name__}: {error}"
        raise Failure(Reason.GOLDEN_REQUEST_FAILED, message) from error


def _golden(item: Mapping[str, Any], index: int) -> Golden:
    tolerance = item.get("tolerance") or {}
    outputs = item["expect"]["outputs"]
    if not isinstance(outputs, list) or not outputs or not all(isinstance(output, dict) for output in outputs):
        raise ValueError("expect.outputs is no list of outputs")
    return Golden(
        name=str(item.get("name") or f"#{index}"),
        request=item["request"],
        outputs=tuple(outputs),
        absolute=float(tolerance.get("absolute", ABSOLUTE)),
        relative=float(tolerance.get("relative", RELATIVE)),
    )


def difference(golden: Golden, response: Mapping[str, Any]) -> str:
    """What is wrong with a response, in one sentence; empty when it is as expected."""
    given = {output["name"]: output for output in response["outputs"]}
    for wanted in golden.outputs:
        name = wanted.get("name", "")
        if name not in given:
            return f"output {name!r} is missing; the model gives {', '.join(map(repr, given))}"
        found = _output_difference(golden, wanted, given[name])
        if found:
            return f"output {name!r}: {found}"
    return ""


def _output_difference(golden: Golden, wanted: Mapping[str, Any], given: Mapping[str, Any]) -> str:
    for field in ("shape", "datatype"):
        if field in wanted and wanted[field] != given[field]:
            return f"{field} is {given[field]}, expected {wanted[field]}"
    if "data" not in wanted:
        return ""
    expected, got = _flat(wanted["data"]), _flat(given["data"])
    if len(expected) != len(got):
        return f"{len(got)} values, expected {len(expected)}: got {_short(got)}, expected {_short(expected)}"
    for index, (one, other) in enumerate(zip(expected, got, strict=True)):
        if not _is_close(one, other, golden):
            return f"value {index} is {other!r}, expected {one!r} (got {_short(got)}, expected {_short(expected)})"
    return ""


def _is_close(expected: Any, got: Any, golden: Golden) -> bool:
    """Numbers within the tolerance; all else must be equal. No number is written as null in JSON."""
    if isinstance(expected, bool | str) or isinstance(got, bool | str) or expected is None or got is None:
        return type(expected) is type(got) and bool(expected == got)
    if not isinstance(expected, int | float):
        return False
    # A whole number may be a label, and the label beside the right one is wrong.
    relative = 0.0 if isinstance(got, int) else golden.relative
    return bool(abs(got - expected) <= golden.absolute + relative * abs(expected))


def _flat(data: Any) -> list[Any]:
    if not isinstance(data, Sequence) or isinstance(data, str):
        return [data]
    flat: list[Any] = []
    for item in data:
        flat += _flat(item)
    return flat


def _short(values: Iterable[Any]) -> str:
    shown = list(values)
    listed = ", ".join(f"{value:.6g}" if isinstance(value, float) else repr(value)[:40] for value in shown[:_SHOWN])
    return f"[{listed}{', …' if len(shown) > _SHOWN else ''}]"
