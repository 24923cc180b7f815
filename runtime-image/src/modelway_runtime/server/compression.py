"""Bodies under gzip and deflate. What a small body grows to is limited while it grows, never after it."""

import asyncio
import zlib
from collections.abc import Callable

from modelway_runtime import units
from modelway_runtime.server.answers import Headers, Refused

SMALLEST = 4096
"""Answers below this go out as they are: they fill no more than a few packets, and packing takes longer than sending.

Most HTTP libraries ask for compressed answers without being told to.
"""

_INLINE_BYTES = 256 * 1024
"""What is larger is worked on beside the loop, since it takes milliseconds."""
_FASTEST = 1
_GZIP, _ZLIB, _RAW = 31, 15, -15
_WINDOWS = {b"gzip": _GZIP, b"x-gzip": _GZIP, b"deflate": _ZLIB}
_UNSUPPORTED, _TOO_LARGE = 415, 413
_OFFER: Headers = ((b"accept-encoding", b"gzip, deflate"),)


async def unpacked(body: bytes, encoding: bytes, limit: int) -> bytes:
    """The body of a request without its content encoding; raises Refused, also when it grows over the limit."""
    window = _window(encoding.strip().lower(), body)
    if window is None:
        return body
    pieces = _Pieces(window, body, limit)
    pieces.grow(_INLINE_BYTES)
    if not pieces.is_whole:
        await asyncio.to_thread(pieces.grow, limit + 1)
    return bytes(pieces.content)


async def packed(body: bytes, accepted: bytes) -> tuple[Headers, bytes]:
    """An answer under an encoding that its caller accepts, where that is of use."""
    chosen = _chosen(accepted) if len(body) >= SMALLEST else b""
    if not chosen:
        return (), body
    pack = _packer(_WINDOWS[chosen], body)
    content = pack() if len(body) <= _INLINE_BYTES else await asyncio.to_thread(pack)
    return ((b"content-encoding", chosen),), content


class _Pieces:
    """A body that is unpacked until it is whole or too large."""

    def __init__(self, window: int, packed_body: bytes, limit: int) -> None:
        self._window = window
        self._stream = zlib.decompressobj(window)
        self._rest = packed_body
        self._limit = limit
        self.content = bytearray()
        self.is_whole = False

    def grow(self, most: int) -> None:
        """Unpacks so many bytes, or all that there are."""
        while len(self.content) < most and not self.is_whole:
            # In pieces, since what is copied keeps the interpreter from everything else.
            room = min(most - len(self.content), self._limit + 1 - len(self.content), _INLINE_BYTES)
            try:
                piece = self._stream.decompress(self._rest, room)
            except zlib.error as error:
                raise Refused(400, f"the body is not of its content-encoding: {error}") from error
            self.content += piece
            if len(self.content) > self._limit:
                raise Refused(_TOO_LARGE, f"the body unpacks to more than {units.text(self._limit)}", limit="body")
            self._go_on(has_grown=bool(piece))

    def _go_on(self, *, has_grown: bool) -> None:
        """To the rest of the stream; a gzip file may be several streams, one after the other."""
        if not self._stream.eof:
            self._rest = self._stream.unconsumed_tail
            if not self._rest and not has_grown:
                raise Refused(400, "the body is not of its content-encoding: it is cut off")
            return
        self._rest = self._stream.unused_data
        self.is_whole = not self._rest
        if self._rest:
            self._stream = zlib.decompressobj(self._window)


def _window(encoding: bytes, body: bytes) -> int | None:
    """What zlib calls an encoding; some clients send deflate without the header that belongs to it."""
    if encoding in (b"", b"identity"):
        return None
    if encoding not in _WINDOWS:
        name = encoding.decode("ascii", "replace")[:50]
        raise Refused(_UNSUPPORTED, f"content-encoding {name} is not served; send gzip or deflate", _OFFER)
    if encoding == b"deflate" and int.from_bytes(body[:2], "big") % 31:
        return _RAW
    return _WINDOWS[encoding]


def _chosen(accepted: bytes) -> bytes:
    """The first of ours that a list of encodings does not rule out."""
    for item in accepted.lower().replace(b" ", b"").split(b","):
        name, _, weight = item.partition(b";q=")
        is_refused = bool(weight) and not weight.strip(b"0.")
        if name in (b"gzip", b"deflate") and not is_refused:
            return name
    return b""


def _packer(window: int, body: bytes) -> Callable[[], bytes]:
    def pack() -> bytes:
        stream = zlib.compressobj(_FASTEST, wbits=window)
        return stream.compress(body) + stream.flush()

    return pack
