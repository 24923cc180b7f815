"""What a request is and what its answer holds, by the protocol that its path tells. Pure."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from modelway_runtime.compare import predictions, response
from modelway_runtime.compare.response import Outputs
from modelway_runtime.protocol import payloads

Headers: TypeAlias = Mapping[bytes, bytes]
"""By names in small letters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """Reads bodies with their headers.

    `is_request`: whether a model can say anything about it. `outputs`: those of an answer; raises Unreadable.
    """

    is_request: Callable[[bytes, Headers], bool]
    outputs: Callable[[bytes, Headers], Outputs]


def _json_length(headers: Headers) -> int | None:
    """How many bytes are JSON, where binary tensors follow it."""
    return payloads.length(headers.get(payloads.JSON_LENGTH, b""))


def _content_type(headers: Headers) -> bytes:
    return headers.get(b"content-type", b"")


_V2 = Dialect(
    is_request=lambda body, headers: response.is_request(body, _json_length(headers)),
    outputs=lambda body, headers: response.parse(body, _json_length(headers)),
)
_TABULAR = Dialect(
    is_request=lambda body, headers: predictions.is_request(body, _content_type(headers)),
    outputs=lambda body, headers: predictions.parse(body, _content_type(headers)),
)
_BY_PATH = (
    (re.compile(r"/v2/models/[^/]+(/versions/[^/]+)?/infer"), _V2),
    (re.compile(r"/v1/models/[^/]+(/(versions|labels)/[^/]+)?:predict"), _TABULAR),
    (re.compile(r"/invocations"), _TABULAR),
)


def of(path: str) -> Dialect | None:
    """That of the predictions which are asked at a path; None where none are."""
    return next((dialect for pattern, dialect in _BY_PATH if pattern.fullmatch(path)), None)
