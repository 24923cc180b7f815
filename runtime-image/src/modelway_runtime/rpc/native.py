"""Calls through pygrpc-native: HTTP/2 in Rust threads, outside the interpreter's lock.

It answers more than twice as many calls as grpcio but reads a message whole, whatever its size, before that can be
refused.
"""

import asyncio
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from pygrpc_native import EVENT_CANCEL, NativeGrpcFront

from modelway_runtime.rpc.service import Metadata, Service
from modelway_runtime.server.deadlines import Pending

if TYPE_CHECKING:
    from pygrpc_native._native import CallDetails, DetailedEvent

_MOST_EVENTS = 64
_IO_THREADS = 1
_WRITING_SECONDS = 0.25
"""The library tells nobody when an answer has been written, and what has not is lost when it is closed."""


class _Call:
    """A caller, by the number that the library gave the call."""

    __slots__ = ("_details", "_front", "_number")

    def __init__(self, front: "Front", number: int, details: "CallDetails | None") -> None:
        self._front = front
        self._number = number
        self._details = details

    def said(self) -> "Metadata":
        """What came before the message."""
        return self._details[0] if self._details is not None else ()

    def answer(self, payload: bytes, metadata: Metadata) -> None:
        """The end of a call with an answer."""
        self._front.ended(self._number)
        self._front.native.respond(self._number, payload, trailing_metadata=metadata)

    def refuse(self, code: int, text: str, metadata: Metadata) -> None:
        """The end of a call without one."""
        self._front.ended(self._number)
        self._front.native.fail(self._number, code, text, trailing_metadata=metadata)


class Front:
    """A listening port. One thread takes what comes in bunches and hands it to the loop."""

    def __init__(self, service: Service, address: str) -> None:
        self._service = service
        self._paths = service.paths
        self._loop = asyncio.get_running_loop()
        self._pending: dict[int, Pending] = {}
        self._last_has_ended: asyncio.Event | None = None
        self.native = NativeGrpcFront(
            address,
            [(path, False) for path in self._paths],
            io_threads=_IO_THREADS,
            call_details=True,  # without them it does not tell of callers that left
            keepalive_permit_without_calls=False,
        )
        self.port = self.native.bound_port

    async def start(self) -> None:
        """Takes calls from now on."""
        self.native.start()
        threading.Thread(target=self._take, name="grpc", daemon=True).start()

    async def close(self, grace: float) -> None:
        """Takes no more connections and calls, and ends when all have their answers or the grace in seconds is over."""
        if self._pending:
            self._last_has_ended = asyncio.Event()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._last_has_ended.wait(), grace)
        await asyncio.sleep(_WRITING_SECONDS)
        await self._loop.run_in_executor(None, self.native.close)

    def ended(self, number: int) -> None:
        """A call is over."""
        self._pending.pop(number, None)
        if self._last_has_ended is not None and not self._pending:
            self._last_has_ended.set()

    def _take(self) -> None:
        while (events := self.native.recv_batch_details(_MOST_EVENTS)) is not None:
            try:
                self._loop.call_soon_threadsafe(self._begin, events)
            except RuntimeError:
                # The loop has ended: nobody answers.
                return

    def _begin(self, events: "list[DetailedEvent]") -> None:
        for kind, number, method, payload, _, details in events:
            if kind == EVENT_CANCEL:
                if number in self._pending:
                    self._service.gone(self._pending[number])
                    self.ended(number)
                continue
            pending = self._service.begin(self._paths[method], payload or b"", _Call(self, number, details))
            if pending is not None:
                self._pending[number] = pending
