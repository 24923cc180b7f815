"""The proxy: plain HTTP in, the API server's TLS out with a kubeconfig's credentials, and faults between the two."""

import asyncio
import json
import socket
import struct
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from faults import calls
from faults.calls import Call
from faults.journal import Entry, Journal
from faults.script import STREAMS, Effect, Fault, Script
from modelway.cluster.session import Connection

LONGEST_STREAM_SECONDS = 3.0
"""A watch that is to end and has no line ends after this at the latest."""
LOOK_SECONDS = 0.2
"""How often an open watch looks whether a fault began."""
_HOP = frozenset({"host", "content-length", "connection", "accept-encoding", "transfer-encoding", "authorization"})
_CODES = {Effect.BROKEN: 500, Effect.UNAVAILABLE: 503, Effect.THROTTLED: 429, Effect.EXPIRED: 410}
_REASONS = {500: "InternalError", 503: "ServiceUnavailable", 429: "TooManyRequests", 410: "Expired"}
_BOOKMARK = b'{"type":"BOOKMARK","object":{"kind":"Pod","apiVersion":"v1","metadata":{"resourceVersion":"1"}}}\n'
_START_SECONDS = 30
_GOODBYE_SECONDS = 0.25
"""TLS connections are closed a moment after their session."""


class Lines:
    """A stream, line by line, however long the lines are."""

    def __init__(self, content: aiohttp.StreamReader) -> None:
        self._content = content
        self._whole: deque[bytes] = deque()
        self._rest = b""
        self.is_over = False

    async def next(self, within: float) -> bytes:
        """The next line; empty when none came within so many seconds, or the stream is over."""
        try:
            async with asyncio.timeout(within):
                while not self._whole and not self.is_over:
                    await self._read()
        except TimeoutError:
            return b""
        return self._whole.popleft() if self._whole else b""

    async def _read(self) -> None:
        chunk = await self._content.readany()
        self.is_over = not chunk
        *whole, self._rest = (self._rest + chunk).split(b"\n")
        self._whole += [line + b"\n" for line in whole]


class Proxy:
    """One way to the API server, in a thread of its own. `script` says what fails, `journal` what happened."""

    def __init__(self, kubeconfig: Path, *, seed: int, kept: int) -> None:
        self._kubeconfig = kubeconfig
        self.script = Script(seed)
        self.journal = Journal(kept=kept)
        self.port = 0
        self._lists: dict[str, tuple[int, str, bytes]] = {}
        self._bumps = 0
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._started = threading.Event()
        self._background: set[asyncio.Task[Any]] = set()
        self._thread = threading.Thread(target=self._run, name="fault proxy", daemon=True)

    def start(self) -> None:
        """Listen. Raises RuntimeError when it cannot."""
        self._thread.start()
        if not self._started.wait(_START_SECONDS) or not self.port:
            raise RuntimeError("The proxy did not start")

    def close(self) -> None:
        """End every connection, and the thread."""
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def write_kubeconfig(self, path: Path) -> Path:
        """A kubeconfig whose API server is this proxy; it carries no credentials."""
        cluster = {"server": f"http://127.0.0.1:{self.port}"}
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "proxy",
            "contexts": [{"name": "proxy", "context": {"cluster": "proxy", "user": "proxy"}}],
            "clusters": [{"name": "proxy", "cluster": cluster}],
            "users": [{"name": "proxy", "user": {}}],
        }
        path.write_text(json.dumps(content))
        return path

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            self._started.set()
            self._loop.close()

    async def _serve(self) -> None:
        connection = await Connection.open(kubeconfig=self._kubeconfig)
        async with connection.session(connections=0) as self._session:
            self._server = connection.server
            application = web.Application(client_max_size=2**24)
            application.router.add_route("*", "/{path:.*}", self._answer)
            runner = web.AppRunner(application, handler_cancellation=True, access_log=None, shutdown_timeout=0.1)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            self.port = runner.addresses[0][1]
            self._started.set()
            await self._stop.wait()
            await runner.cleanup()
            for task in tuple(self._background):
                task.cancel()
            await asyncio.gather(*self._background, return_exceptions=True)
        await asyncio.sleep(_GOODBYE_SECONDS)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        call = calls.read(request.method, request.path, request.query)
        body = await request.read()
        entry = self.journal.begin(Entry(call=call, sent=_json(body)))
        fault = self.script.draw(call)
        entry.effect = fault.effect if fault else None
        if fault and fault.effect is Effect.REFUSED:
            return _reset(request)
        if fault and fault.effect in _CODES:
            return _refusal(entry, fault)
        if call.verb == "watch":
            await self._pause(fault)
            return await self._stream(request, entry, fault)
        answer = await self._await(self._forwarded(request, entry, body, fault))
        if answer is None or (fault and fault.effect is Effect.LOST):
            return _reset(request)
        entry.told, kind, content = answer
        if fault and fault.effect is Effect.HALVED:
            content = content[: len(content) // 2]
        return web.Response(status=entry.told, body=content, headers={"Content-Type": kind})

    async def _await(self, work: Any) -> Any:
        """To its end, also when the client goes away meanwhile: what is on its way arrives."""
        task = asyncio.ensure_future(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return await asyncio.shield(task)

    async def _pause(self, fault: Fault | None) -> None:
        if fault and fault.effect is Effect.SLOW:
            await asyncio.sleep(self.script.between(*fault.delay))
        while fault and fault.effect is Effect.HELD and not self.script.is_over(fault):
            await asyncio.sleep(LOOK_SECONDS / 10)

    async def _forwarded(
        self, request: web.Request, entry: Entry, body: bytes, fault: Fault | None
    ) -> tuple[int, str, bytes] | None:
        """Status, content type and content of the answer; None when the API server gave none."""
        await self._pause(fault)
        key = f"{request.path_qs} {request.headers.get('Accept')}"
        if fault and fault.effect is Effect.STALE and key in self._lists:
            return self._lists[key]
        if fault and fault.effect is Effect.MOVED:
            await self._move(entry.call)
        try:
            async with self._request(request, body) as response:
                content = await response.read()
        except (aiohttp.ClientError, TimeoutError):
            return None
        entry.status = response.status
        if entry.call.is_write:
            entry.answer = _json(content)
        answer = (response.status, response.headers.get("Content-Type", "application/json"), content)
        if entry.call.verb == "list" and response.status == 200 and not (fault and fault.effect is Effect.STALE):
            self._lists[key] = answer
        return answer

    def _request(self, request: web.Request, body: bytes) -> Any:
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _HOP}
        return self._session.request(
            request.method, f"{self._server}{request.path_qs}", data=body or None, headers=headers
        )

    async def _move(self, call: Call) -> None:
        """Write something of no consequence to the object, so that whatever was read of it is old."""
        self._bumps += 1
        patch = {"metadata": {"annotations": {"faults.example.com/bump": str(self._bumps)}}}
        headers = {"Content-Type": "application/merge-patch+json"}
        async with self._session.patch(f"{self._server}{call.target}", json=patch, headers=headers) as response:
            await response.read()

    async def _stream(self, request: web.Request, entry: Entry, fault: Fault | None) -> web.StreamResponse:
        """Pass a watch on line by line, until it ends or a fault meets it, as may also happen to one that is open."""
        try:
            async with self._request(request, b"") as upstream:
                entry.status = entry.told = upstream.status
                if upstream.status != 200:
                    content = await upstream.read()
                    return web.Response(status=upstream.status, body=content, content_type="application/json")
                response = web.StreamResponse(headers={"Content-Type": "application/json"})
                await response.prepare(request)
                lines = Lines(upstream.content)
                doom = fault if fault and fault.effect in STREAMS else await self._passed(entry, lines, response)
                return await self._ended(request, response, lines, doom) if doom else response
        except (aiohttp.ClientError, ConnectionError):
            return _reset(request)

    async def _passed(self, entry: Entry, lines: Lines, response: web.StreamResponse) -> Fault | None:
        """Pass lines on until there are no more, or a fault begins that meets this watch: that fault."""
        begun = self.script.begun
        while not lines.is_over:
            if self.script.begun != begun:
                begun = self.script.begun
                fault = self.script.draw(entry.call)
                if fault and fault.effect in STREAMS:
                    entry.effect = fault.effect
                    return fault
            line = await lines.next(LOOK_SECONDS)
            if line:
                await response.write(line)
        return None

    async def _ended(
        self, request: web.Request, response: web.StreamResponse, lines: Lines, fault: Fault
    ) -> web.StreamResponse:
        """A few lines, then the end that the fault wants."""
        line, left = b"", int(self.script.between(0, 4))
        until = self._loop.time() + (self.script.between(*fault.delay) or LONGEST_STREAM_SECONDS)
        while not lines.is_over and self._loop.time() < until:
            line = await lines.next(until - self._loop.time())
            if not left:
                break
            await response.write(line)
            left, line = left - bool(line), b""
        match fault.effect:
            case Effect.TORN | Effect.SEVERED:
                await response.write((line or _BOOKMARK)[: len(line or _BOOKMARK) // 2])
            case Effect.EXPIRED_EVENT | Effect.ERROR_EVENT:
                await response.write(_event(410 if fault.effect is Effect.EXPIRED_EVENT else 500))
        return _reset(request, response) if fault.effect is Effect.SEVERED else response


@contextmanager
def running(kubeconfig: Path, *, seed: int = 0, kept: int = 100_000) -> Iterator[Proxy]:
    """A proxy to the API server of that kubeconfig, with fair weather to begin with; it remembers `kept` requests."""
    proxy = Proxy(kubeconfig, seed=seed, kept=kept)
    proxy.start()
    try:
        yield proxy
    finally:
        proxy.close()


def _json(content: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(content) if content else None
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _status(code: int) -> dict[str, Any]:
    reason = _REASONS[code]
    message = f"the proxy says {code}"
    return {
        "apiVersion": "v1",
        "kind": "Status",
        "metadata": {},
        "status": "Failure",
        "code": code,
        "reason": reason,
        "message": message,
    }


def _event(code: int) -> bytes:
    return json.dumps({"type": "ERROR", "object": _status(code)}).encode() + b"\n"


def _refusal(entry: Entry, fault: Fault) -> web.Response:
    entry.told = _CODES[fault.effect]
    is_throttled = fault.effect is Effect.THROTTLED and fault.retry_after
    headers = {"Retry-After": fault.retry_after} if is_throttled else {}
    return web.json_response(_status(entry.told), status=entry.told, headers=headers)


def _reset(request: web.Request, response: web.StreamResponse | None = None) -> web.StreamResponse:
    """End the connection as a crash does: the kernel says RST, not goodbye."""
    transport = request.transport
    if transport is not None:
        handle = transport.get_extra_info("socket")
        if handle is not None:
            handle.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    return response or web.Response()
