"""A connection of uvicorn, with limits for the head of a request and the time it takes, and without other protocols."""

import asyncio
import re
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

_MOST_HEAD_BYTES = 64 * 1024
_UPGRADE = re.compile(rb"\r\nupgrade:[^\r\n]*", re.IGNORECASE)
_GRACE_SECONDS = 1.0
"""Whoever reads a body has the same limit and ends it with a better answer."""
_LATE = (
    b"HTTP/1.1 408 Request Timeout\r\ncontent-type: application/json\r\nconnection: close\r\n"
    b'content-length: 46\r\n\r\n{"error":"the request\'s head came too slowly"}'
)


class Connection(HttpToolsProtocol):
    """Counts the bytes of a head while it comes, since the parser stores whatever is sent, and bounds its time.

    It also drops the header with which Java's client offers HTTP/2: the parser would take the body for that protocol.
    `patience` is the time in seconds that a request may take from its first byte to its last.
    """

    _whole: RequestResponseCycle | None = None
    _head_bytes = 0
    _overdue: asyncio.TimerHandle | None = None

    def __init__(self, *positional: Any, patience: float, **named: Any) -> None:
        super().__init__(*positional, **named)
        self._patience = patience + _GRACE_SECONDS

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A connection that is never used ends like one that is used no more."""
        super().connection_made(transport)
        self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody sends any more."""
        self._unset_keepalive_if_required()
        self._in_time()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Some bytes, mostly a whole request; only one that comes in pieces costs a timer."""
        self._take(data)
        if (self._head_bytes or self.cycle is not self._whole) and self._overdue is None:
            self._overdue = self.loop.call_later(self._patience, self._give_up)

    def _take(self, data: bytes) -> None:
        before = self.cycle
        if before is not self._whole:
            super().data_received(data)
            return
        if b"pgrade:" in data:
            head, end, rest = data.partition(b"\r\n\r\n")
            data = _UPGRADE.sub(b"", head) + end + rest
        super().data_received(data)
        self._head_bytes = self._head_bytes + len(data) if self.cycle is before else 0
        if self._head_bytes > _MOST_HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response("The head of the request is too large.")

    def on_message_complete(self) -> None:
        """The request is whole; what follows is the head of the next."""
        self._whole = self.cycle
        self._in_time()
        super().on_message_complete()

    def _in_time(self) -> None:
        if self._overdue is not None:
            self._overdue.cancel()
            self._overdue = None

    def _give_up(self) -> None:
        """The request takes too long. An answer that is under way goes out first."""
        self._overdue = None
        is_idle = self._whole is None or self._whole.response_complete
        if self.transport.is_closing():
            return
        if self.cycle is not self._whole:
            self.transport.close()
            return
        if is_idle:
            self.transport.write(_LATE)
        self.shutdown()
