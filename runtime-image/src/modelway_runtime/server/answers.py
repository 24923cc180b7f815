"""Answers: a status, headers and a body, and how they go out through ASGI."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import orjson

from modelway_runtime.protocol.payloads import JSON, Headers
from modelway_runtime.settings import ServeSettings

__all__ = ("CLOSE", "JSON", "CallerGone", "Headers", "Message", "Receive", "Refused", "Scope", "Send")

Scope: TypeAlias = dict[str, Any]
Message: TypeAlias = dict[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
CLOSE: Headers = ((b"connection", b"close"),)


class Refused(Exception):
    """Ends a request with an error; the message is for the caller. `limit` is the one that refused, for metrics.

    `is_unread`: the caller may still be sending its body.
    """

    def __init__(
        self, status: int, message: str, headers: Headers = (), *, limit: str = "", is_unread: bool = False
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = headers
        self.limit = limit
        self.is_unread = is_unread


class CallerGone(Exception):
    """The connection was closed before the answer."""


async def send(send_message: Send, status: int, headers: Headers, body: bytes, *, is_end: bool = True) -> None:
    """A whole answer; without `is_end` the connection stays as it is until an empty body ends it."""
    length = (b"content-length", str(len(body)).encode())
    await send_message({"type": "http.response.start", "status": status, "headers": (*headers, length)})
    await send_message({"type": "http.response.body", "body": body, "more_body": not is_end})


def encoded(body: object) -> bytes:
    """A body as JSON."""
    return orjson.dumps(body)


def retry_after(seconds: int) -> Headers:
    """Tells the caller when to come again."""
    return ((b"retry-after", str(seconds).encode()),)


def identity(settings: ServeSettings) -> Headers:
    """Who answers; a header holds printable ASCII only."""
    pairs = ((b"modelway-revision", settings.revision), (b"modelway-version", settings.version))
    return tuple(
        (name, "".join(sign if " " <= sign <= "~" else "?" for sign in value).encode())
        for name, value in pairs
        if value
    )
