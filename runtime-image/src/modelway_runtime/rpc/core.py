"""Calls through grpcio, on the loop that answers REST, too."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import grpc.aio

from modelway_runtime.rpc.service import Metadata, Service

_STATUS = {code.value[0]: code for code in grpc.StatusCode}
_HEAD_BYTES = 4096
"""What a message may have beside its tensors, so that the limit of the body is the service's to explain."""


class _Refused(Exception):
    """The status that ends a call."""


class _Call:
    """A caller whose task waits for a future."""

    __slots__ = ("_context", "future", "metadata")

    def __init__(self, context: Any, future: "asyncio.Future[bytes]") -> None:
        self._context = context
        self.future = future
        self.metadata: Metadata = ()

    def said(self) -> Metadata:
        """What came before the message."""
        return self._context.invocation_metadata() or ()

    def answer(self, payload: bytes, metadata: Metadata) -> None:
        """The end of a call with an answer."""
        self.metadata = metadata
        if not self.future.done():
            self.future.set_result(payload)

    def refuse(self, code: int, text: str, metadata: Metadata) -> None:
        """The end of a call without one."""
        self.metadata = metadata
        if not self.future.done():
            self.future.set_exception(_Refused(code, text))


class Front(grpc.GenericRpcHandler):  # type: ignore[misc]
    """A listening port."""

    def __init__(self, service: Service, address: str) -> None:
        self._service = service
        self._loop = asyncio.get_running_loop()
        self._handlers = {path: grpc.unary_unary_rpc_method_handler(self._handler(path)) for path in service.paths}
        options = [
            ("grpc.max_receive_message_length", service.most_bytes + _HEAD_BYTES),
            ("grpc.max_send_message_length", -1),
            ("grpc.so_reuseport", 0),
        ]
        self._server = grpc.aio.server(handlers=[self], options=options)
        self.port = self._server.add_insecure_port(address)

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        """The library asks who answers a method."""
        return self._handlers.get(handler_call_details.method)

    async def start(self) -> None:
        """Takes calls from now on."""
        await self._server.start()

    async def close(self, grace: float) -> None:
        """Takes no more connections and calls, and ends when all have their answers or the grace in seconds is over."""
        await self._server.stop(grace)

    def _handler(self, path: str) -> Callable[[bytes, Any], Awaitable[bytes]]:
        async def answer(payload: bytes, context: Any) -> bytes:
            call = _Call(context, self._loop.create_future())
            pending = self._service.begin(path, payload, call)
            try:
                said = await call.future
            except _Refused as refused:
                code, text = refused.args
                await context.abort(_STATUS[code], text, call.metadata)
                raise
            except asyncio.CancelledError:
                if pending is not None:
                    self._service.gone(pending)
                raise
            context.set_trailing_metadata(call.metadata)
            return said

        return answer
