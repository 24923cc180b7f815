"""Names to addresses, each in a thread of its own: a name server that hangs holds up only who asked for that name.

The event loop's own pool has four threads, which the client of the API server needs, too.
"""

import asyncio
import socket
import threading
from collections.abc import Callable
from typing import Any, TypeAlias

from aiohttp.abc import AbstractResolver, ResolveResult

MOST_AT_ONCE = 64

Info: TypeAlias = tuple[socket.AddressFamily, socket.SocketKind, int, str, tuple[Any, ...]]
Question: TypeAlias = Callable[[str, int, socket.AddressFamily], list[Info]]
"""Host, port and family to addresses. Raises OSError, and UnicodeError for what cannot be a name."""


def _question(host: str, port: int, family: socket.AddressFamily) -> list[Info]:
    return [*socket.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM)]


class Lookup(AbstractResolver):
    """The system's resolver. Threads are daemons, so that none keeps the process from its end."""

    def __init__(self, question: Question = _question) -> None:
        self._question = question
        self._count = 0

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Every address of a name. Raises OSError when there is none, or when too many questions are open."""
        if self._count >= MOST_AT_ONCE:
            raise OSError("too many names wait for an answer of the name server")
        self._count += 1
        try:
            found = await self._asked(host, port, family)
        finally:
            self._count -= 1
        return [
            ResolveResult(
                hostname=host,
                host=target[0],
                port=target[1],
                family=kind,
                proto=protocol,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for kind, _, protocol, _, target in found
        ]

    async def close(self) -> None:
        """Nothing is held."""

    async def _asked(self, host: str, port: int, family: socket.AddressFamily) -> list[Info]:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[list[Info]] = loop.create_future()

        def settle(found: list[Info], failure: OSError | UnicodeError | None) -> None:
            if future.done():
                return
            if failure is None:
                future.set_result(found)
            else:
                future.set_exception(failure)

        def work() -> None:
            found: list[Info] = []
            failure: OSError | UnicodeError | None = None
            try:
                found = self._question(host, port, family)
            except (OSError, UnicodeError) as error:
                failure = error
            try:
                loop.call_soon_threadsafe(settle, found, failure)
            except RuntimeError:
                return  # The loop has ended, and nobody waits any more.

        threading.Thread(target=work, name=f"lookup of {host}", daemon=True).start()
        return await future
