"""Calls through grpcio's core: one thread takes what comes and hands it to the loop, which answers.

The servers that grpcio offers run a task or a thread for each call, which takes longer than all else of a small
model's call. This one uses the core as grpcio's own server does, by `cygrpc`, which is no public interface: the tests
of both backends hold what is relied on here. Nothing waits for a caller who is slow.
"""

import asyncio
import threading
from collections import deque
from contextlib import suppress
from functools import partial
from time import perf_counter, time
from typing import Any

from grpc._cython import cygrpc

from modelway_runtime import logs
from modelway_runtime.rpc.service import Metadata, Service
from modelway_runtime.server.deadlines import Pending

_HEAD_BYTES = 4096
"""What a message may have beside its tensors, so that the limit of the body is the service's to explain."""
_LOOK_SECONDS = 1.0
"""How often late messages are looked for while nothing else comes."""
_NO_FLAGS = 0
_OK, _UNIMPLEMENTED = 0, 12


class _Call:
    """A caller, from the head of the call to its status."""

    __slots__ = ("_call", "_metadata", "began", "is_over", "path", "payload", "pending")

    def __init__(self, event: Any) -> None:
        self._call = event.call
        self._metadata: Metadata = event.invocation_metadata or ()
        self.path = event.call_details.method.decode(errors="replace")
        self.began = perf_counter()
        self.payload = b""
        self.pending: Pending | None = None
        self.is_over = False

    def said(self) -> Metadata:
        """What came before the message."""
        return self._metadata

    def wait(self, operation: Any, tag: Any) -> None:
        """Asks for an event of this call, which the tag then takes."""
        self._call.start_server_batch((operation,), tag)

    def answer(self, payload: bytes, metadata: Metadata) -> None:
        """The end of a call with an answer."""
        self._end(cygrpc.SendMessageOperation(payload, _NO_FLAGS), code=_OK, text="", metadata=metadata)

    def refuse(self, code: int, text: str, metadata: Metadata) -> None:
        """The end of a call without one."""
        self._end(code=code, text=text, metadata=metadata)

    def _end(self, *message: Any, code: int, text: str, metadata: Metadata) -> None:
        self.is_over = True
        head = cygrpc.SendInitialMetadataOperation(None, _NO_FLAGS)
        status = cygrpc.SendStatusFromServerOperation(metadata, code, text.encode(), _NO_FLAGS)
        self._call.start_server_batch((head, *message, status), _passed)


class Front:
    """A listening port."""

    def __init__(self, service: Service, address: str) -> None:
        self._service = service
        self._paths = frozenset(service.paths)
        self._loop = asyncio.get_running_loop()
        self._has_ended = asyncio.Event()
        self._unread: dict[_Call, None] = {}
        """Calls whose message is still to come, oldest first. The thread's alone."""
        self._arrived: deque[_Call] = deque()
        """Calls for the loop to begin."""
        self._is_told = False
        """Whether the loop will look at them."""
        options = (
            ("grpc.max_receive_message_length", service.most_bytes + _HEAD_BYTES),
            ("grpc.max_send_message_length", -1),
            ("grpc.so_reuseport", 0),
        )
        self._events = cygrpc.CompletionQueue()
        self._server = cygrpc.Server(options, False)
        self._server.register_completion_queue(self._events)
        self.port: int = self._server.add_http2_port(address.encode())

    async def start(self) -> None:
        """Takes calls from now on."""
        self._server.start()
        self._expect()
        threading.Thread(target=self._take, name="grpc", daemon=True).start()

    async def close(self, grace: float) -> None:
        """Takes no more connections and calls, and ends when all have their answers or the grace in seconds is over."""
        self._server.shutdown(self._events, None)
        try:
            await asyncio.wait_for(self._has_ended.wait(), grace)
        except TimeoutError:
            self._server.cancel_all_calls()
            await self._has_ended.wait()
        self._server.destroy()

    # In the thread: what the core brings.

    def _take(self) -> None:
        while True:
            event = self._events.poll(time() + _LOOK_SECONDS if self._unread else None)
            if event.completion_type == cygrpc.CompletionType.queue_timeout:
                self._refuse_late()
            elif event.tag is None:
                self._soon(self._has_ended.set)
                return
            else:
                try:
                    event.tag(event)
                except Exception:  # noqa: BLE001 - one call must not end all others
                    logs.LOGGER.exception("Call failed by an error in the runtime itself")
            # It may hold a call that has ended, and the core would wait for that.
            del event

    def _expect(self) -> None:
        self._server.request_call(self._events, self._events, self._begin)

    def _begin(self, event: Any) -> None:
        """A call has begun."""
        if not event.success:
            return  # No more are taken.
        self._expect()
        call = _Call(event)
        call.wait(cygrpc.ReceiveCloseOnServerOperation(_NO_FLAGS), partial(self._close, call))
        if call.path not in self._paths:
            call.refuse(_UNIMPLEMENTED, f"there is no method {call.path[:200]}", ())
            return
        self._unread[call] = None
        call.wait(cygrpc.ReceiveMessageOperation(_NO_FLAGS), partial(self._read, call))
        self._refuse_late()

    def _read(self, call: _Call, event: Any) -> None:
        """The message of a call has come, or never will."""
        self._unread.pop(call, None)
        payload = event.batch_operations[0].message()
        if call.is_over:
            return
        if payload is None:
            # A caller that has left is told nothing by this, one whose message is too large has been told by the core.
            call.refuse(_UNIMPLEMENTED, "the call has no message", ())
            return
        call.payload = payload
        self._arrived.append(call)
        if not self._is_told:
            self._is_told = True
            self._soon(self._begin_arrived)

    def _close(self, call: _Call, event: Any) -> None:
        """A call is over, by its status or because the caller has left."""
        self._unread.pop(call, None)
        if not call.is_over and event.batch_operations[0].cancelled():
            self._soon(self._leave, call)

    def _refuse_late(self) -> None:
        """Ends calls whose time is over, and the oldest of too many: a call without its message holds 17 KiB."""
        over = perf_counter() - self._service.seconds
        while self._unread:
            call = next(iter(self._unread))
            if call.began > over and len(self._unread) <= self._service.most_waiting:
                return
            del self._unread[call]
            call.is_over = True
            self._soon(self._service.refuse_late, call.path, call.began, call)

    def _soon(self, action: Any, *arguments: Any) -> None:
        # The loop may have ended: nobody answers then.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(action, *arguments)

    # In the loop.

    def _begin_arrived(self) -> None:
        self._is_told = False
        while self._arrived:
            call = self._arrived.popleft()
            if not call.is_over:
                call.pending = self._service.begin(call.path, call.payload, call)
                call.payload = b""

    def _leave(self, call: _Call) -> None:
        call.is_over = True
        if call.pending is not None:
            self._service.gone(call.pending)


def _passed(event: Any) -> None:
    """A status has gone out, or its caller has left: `_close` is told of both."""
