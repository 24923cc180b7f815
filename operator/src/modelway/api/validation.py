"""`spec.validation`: golden requests, which a revision must answer before it gets traffic. Pure."""

import json
from collections.abc import Callable
from typing import Annotated, Any, Final

from pydantic import AfterValidator, Field, StringConstraints, WithJsonSchema

from modelway.api.rules import OPEN, JsonSchema, Rule, Struct
from modelway.api.scalars import Label, matching

_FILE = matching(
    "^[A-Za-z0-9_][-A-Za-z0-9_.]*(/[A-Za-z0-9_][-A-Za-z0-9_.]*)*$",
    "write a path inside the model's folder, such as golden.jsonl",
)


def _open(name: str) -> JsonSchema:
    """An open object of the V2 protocol, of which only one list is looked at."""
    items = {"type": "object", OPEN: True}
    description = f"The {name}, as in the V2 protocol."
    tensors = {"type": "array", "minItems": 1, "maxItems": 64, "items": items, "description": description}
    return {"type": "object", OPEN: True, "required": [name], "properties": {name: tensors}}


def _has(name: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    def check(value: dict[str, Any]) -> dict[str, Any]:
        if not value.get(name):
            raise ValueError(f"write {name}, as in the V2 protocol")
        return value

    return check


InferenceRequest = Annotated[dict[str, Any], AfterValidator(_has("inputs")), WithJsonSchema(_open("inputs"))]
InferenceAnswer = Annotated[dict[str, Any], AfterValidator(_has("outputs")), WithJsonSchema(_open("outputs"))]


class Tolerance(Struct):
    """How far an answer may be off: `|got - expected| <= absolute + relative * |expected|`; of whole numbers, which may
    be labels, only the absolute part counts.
    """

    absolute: Annotated[float, Field(ge=0, le=1e12)] = 1e-5
    """Absolute part. Absent: 0.00001."""
    relative: Annotated[float, Field(ge=0, le=1)] = 1e-3
    """Relative part, a ratio; for outputs of floating-point numbers. Absent: 0.001."""


class GoldenRequest(Struct):
    """A request with its right answer."""

    name: Label
    """Name that messages use."""
    request: InferenceRequest
    """Body of a V2 inference request: `inputs` with name, shape, datatype and data."""
    expect: InferenceAnswer
    """Part of the V2 answer: each output named in `outputs` must be there and equal within the tolerance."""
    tolerance: Tolerance = Tolerance()
    """How far numbers may be off. Absent: absolute 0.00001, relative 0.001."""


MAX_BYTES: Final = 32 * 1024
"""All golden requests together as JSON; they are copied into a ConfigMap."""


def _small(requests: tuple[GoldenRequest, ...]) -> tuple[GoldenRequest, ...]:
    size = sum(len(json.dumps([request.request, request.expect])) for request in requests)
    if size > MAX_BYTES:
        raise ValueError(
            f"the golden requests are {size} bytes and may be {MAX_BYTES}: write fewer, "
            "or put them into the model's folder and name the file in validation.file"
        )
    return requests


class Validation(Struct):
    """Golden requests. They are copied when a revision is born; a change makes no new revision."""

    requests: Annotated[tuple[GoldenRequest, ...], Field(max_length=64), AfterValidator(_small)] = ()
    """The golden requests, at most 32 KiB together."""
    file: Annotated[str, StringConstraints(min_length=1, max_length=255), _FILE] | None = None
    """A file of golden requests in the model's folder, one JSON object a line, covered by the model's
    digest."""

    rules = (
        Rule(
            cel="!(has(self.file) && has(self.requests) && size(self.requests) > 0)",
            message="write the golden requests in requests or in the model's file, not in both",
            holds=lambda validation: validation.file is None or not validation.requests,
        ),
    )
