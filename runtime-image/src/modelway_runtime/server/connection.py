"""A connection of uvicorn, with a limit for the head of a request and without other protocols on the same port."""

import re

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

_MOST_HEAD_BYTES = 64 * 1024
_UPGRADE = re.compile(rb"\r\nupgrade:[^\r\n]*", re.IGNORECASE)


class Connection(HttpToolsProtocol):
    """Counts the bytes of a head while it comes, since the parser stores whatever is sent.

    It also drops the header with which Java's client offers HTTP/2: the parser would take the body for that protocol.
    """

    _whole: RequestResponseCycle | None = None
    _head_bytes = 0

    def data_received(self, data: bytes) -> None:
        """Some bytes, mostly a whole request."""
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
        super().on_message_complete()
