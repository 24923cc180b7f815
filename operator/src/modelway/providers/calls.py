"""One HTTP call to somebody else's service: bounded in time and size, straight to the host, nothing brought along.

No redirect is followed, no proxy of the environment is used, no cookie is kept, no credential is sent.
"""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp
from yarl import URL

from modelway import __version__
from modelway.providers import reach
from modelway.providers.failures import NoAnswer, short
from modelway.providers.lookup import Lookup
from modelway.providers.reach import Reach


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What to ask, and what it may cost."""

    url: str
    seconds: float
    """Time for all of it, from the look-up of the name to the last byte."""
    most_bytes: int
    method: str = "GET"
    params: Sequence[tuple[str, str]] = ()
    form: Mapping[str, str] | None = None
    body: object = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What came back, whatever the status."""

    peer: str
    """Host and port, for messages: a path or a query may hold a secret."""
    status: int
    content: bytes

    @property
    def is_ok(self) -> bool:
        """Whether the status is one of success."""
        return 200 <= self.status < 300

    def json(self) -> Any:
        """The content of a good answer. Raises NoAnswer for a bad one, or when it is no JSON."""
        if not self.is_ok:
            raise NoAnswer(f"{self.peer} answered {self.status}")
        value = self.parsed()
        if value is None:
            raise NoAnswer(f"{self.peer} answered something that is no JSON")
        return value

    def parsed(self) -> Any:
        """The content, whatever the status; None where it is no JSON."""
        try:
            return json.loads(self.content)
        except (ValueError, RecursionError):
            return None


def session(allowed: Reach, lookup: Lookup | None = None) -> aiohttp.ClientSession:
    """A session for all calls; the caller closes it. Each call has a connection of its own."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            limit=0, force_close=True, resolver=lookup or Lookup(), socket_factory=allowed.socket
        ),
        headers={
            "User-Agent": f"modelway-operator/{__version__}",
            "Accept": "application/json",
            "Accept-Encoding": "identity",
        },
        # A small answer that unpacks to gigabytes is no JSON instead.
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None),
        trust_env=False,
    )


class Caller:
    """Calls hosts over a session."""

    def __init__(self, session: aiohttp.ClientSession, hosts: Sequence[str] = ()) -> None:
        """`hosts`: those that may be called; none means all."""
        self._session = session
        self._hosts = tuple(hosts)

    async def ask(self, call: Call) -> Reply:
        """The reply. Raises NoAnswer when there is none, when it is too long, or when it points elsewhere."""
        url = self._checked(call.url)
        peer = f"{url.host_subcomponent}:{url.port}"
        try:
            async with asyncio.timeout(call.seconds):
                reply = await self._sent(call, url, peer)
        except TimeoutError as failure:
            raise NoAnswer(f"{peer} did not answer within {call.seconds:g} s") from failure
        except (aiohttp.ClientError, OSError, ValueError) as failure:
            raise NoAnswer(f"{peer} could not be asked: {short(_reason(failure))}") from failure
        if 300 <= reply.status < 400:
            raise NoAnswer(f"{peer} answered {reply.status}, and redirects are not followed")
        return reply

    def _checked(self, text: str) -> URL:
        try:
            url = URL(text)
            port = url.port
        except ValueError as failure:
            raise NoAnswer("The address is no URL") from failure
        if url.scheme not in ("http", "https") or not url.host or not port or url.user or url.password:
            raise NoAnswer("The address is no http or https URL of a host, without a user")
        if self._hosts and not reach.is_listed(url.host, self._hosts):
            raise NoAnswer(f"{short(url.host)} is none of the hosts that analyses may ask")
        return url

    async def _sent(self, call: Call, url: URL, peer: str) -> Reply:
        async with self._session.request(
            call.method,
            url,
            params=call.params or None,
            data=call.form,
            json=call.body,
            allow_redirects=False,
        ) as response:
            return Reply(peer=peer, status=response.status, content=await _content(response, call.most_bytes, peer))


async def _content(response: aiohttp.ClientResponse, most: int, peer: str) -> bytes:
    content = bytearray()
    async for part in response.content.iter_any():
        content += part
        if len(content) > most:
            raise NoAnswer(f"{peer} answered more than {most // 1024} KiB")
    return bytes(content)


def _reason(failure: Exception) -> str:
    """The cause in words, without the URL that aiohttp puts into some of its messages."""
    if isinstance(failure, aiohttp.ClientConnectorCertificateError):
        failure = failure.certificate_error
    if isinstance(failure, aiohttp.ClientConnectorError):
        failure = failure.os_error
    if isinstance(failure, OSError):
        return failure.strerror or str(failure) or type(failure).__name__
    return type(failure).__name__
