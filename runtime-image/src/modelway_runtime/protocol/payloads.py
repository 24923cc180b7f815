"""How a protocol writes a request and its answer, so that one server answers all of them. Pure."""

from collections.abc import Mapping
from typing import Any, Protocol, TypeAlias

from modelway_runtime.protocol.codec import Codec, Request
from modelway_runtime.protocol.tensors import Arrays, BadRequest

Headers: TypeAlias = tuple[tuple[bytes, bytes], ...]
Payload: TypeAlias = tuple[Headers, bytes]
"""An answer's own headers and its body."""

JSON: Headers = ((b"content-type", b"application/json"),)
_BINARY: Headers = ((b"content-type", b"application/octet-stream"),)
JSON_LENGTH = b"inference-header-content-length"
"""The header that tells where JSON ends and binary tensors begin."""
_MOST_DIGITS = 18


class Dialect(Protocol):
    """Reads requests and writes their answers; `decode` raises BadRequest."""

    def decode(self, body: bytes, headers: Mapping[bytes, bytes]) -> Any:
        """The request: `inputs` are the model's tensors, `id` its caller's, `outputs` those wanted, or None."""

    def encode(self, request: Any, results: Arrays) -> Payload:
        """The answer to a request that this dialect read."""


class V2:
    """The V2 inference protocol."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec

    def decode(self, body: bytes, headers: Mapping[bytes, bytes]) -> Request:
        """A header tells where binary tensors begin."""
        length = headers.get(JSON_LENGTH)
        return self._codec.decode(body, None if length is None else _number(length))

    def encode(self, request: Request, results: Arrays) -> Payload:
        """JSON, or JSON and binary tensors where the request asks for some."""
        content, length = self._codec.encode(request, results)
        if length is None:
            return JSON, content
        return (*_BINARY, (JSON_LENGTH, str(length).encode())), content


def length(text: bytes) -> int | None:
    """A number of bytes from a header; None where it is none."""
    return int(text) if text.isdigit() and len(text) <= _MOST_DIGITS else None


def _number(text: bytes) -> int:
    number = length(text)
    if number is None:
        shown = text.decode("ascii", "replace")[:50]
        raise BadRequest(f"header {JSON_LENGTH.decode()}: {shown!r} is not a number of bytes")
    return number
