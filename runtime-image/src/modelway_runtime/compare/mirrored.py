"""A request that a gateway mirrored, and what of it is sent on."""

import secrets
from dataclasses import dataclass

from modelway_runtime.compare import dialects
from modelway_runtime.compare.dialects import Dialect
from modelway_runtime.server import body, shadow
from modelway_runtime.server.answers import Headers, Scope

_ID = b"x-request-id"

_KEPT_BACK = frozenset(
    (
        # Who the caller is. A comparator needs no rights of his.
        b"authorization",
        b"cookie",
        b"proxy-authorization",
        # About the connection on which the request came, or said anew for the next.
        b"accept-encoding",
        b"connection",
        b"content-length",
        b"expect",
        b"host",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        shadow.NAME,
        _ID,
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirrored:
    """What both revisions are asked: path with query, headers without the caller's secrets, body."""

    dialect: Dialect
    request_id: str
    target: bytes
    headers: Headers
    body: bytes


def dialect(scope: Scope) -> Dialect | None:
    """That of a request for a prediction; None where it is none: a gateway mirrors all that goes to a model."""
    return dialects.of(scope["path"]) if scope["method"] == "POST" else None


def is_marked(scope: Scope) -> bool:
    """Whether a comparator sent it, this or another one."""
    return bool(body.header(scope, shadow.NAME))


def mirrored(scope: Scope, content: bytes, dialect: Dialect) -> Mirrored:
    """The request to send on; it keeps its id or gets one, so that logs of both revisions can be joined."""
    request_id = body.header(scope, _ID) or secrets.token_hex(8).encode()
    named = body.header(scope, b"connection").lower().replace(b" ", b"").split(b",")
    kept = tuple((name, value) for name, value in scope["headers"] if name not in _KEPT_BACK and name not in named)
    query = b"?" + scope["query_string"] if scope["query_string"] else b""
    return Mirrored(
        dialect=dialect,
        request_id=request_id.decode("ascii", "replace"),
        target=scope["raw_path"] + query,
        headers=(*kept, (_ID, request_id), shadow.MARK),
        body=content,
    )
