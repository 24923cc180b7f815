"""Constant real predictions through the gateway, and who answered them."""

import asyncio
import itertools
import json
import math
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus

import aiohttp

from demo import models
from demo.models import Models

_PATIENCE_SECONDS = 10
_PROBE_SECONDS = 0.1
_MOST_IN_FLIGHT = 100
_KEPT = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One prediction: when it came (monotonic seconds) and after how long, from which version, whether it was right."""

    at: float
    seconds: float
    version: str
    is_right: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """One request that got no prediction."""

    at: float
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where the predictions are asked for."""

    url: str
    host: str = ""
    is_kept_open: bool = True
    """Whether connections are used again. A Service divides connections, not requests."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Sent with every request."""
    keeps_cookies: bool = False
    """Whether cookies of an answer are sent with the next request, as a browser does."""


class Load:
    """Asks at a constant rate, whatever the answers do: a slow server meets more requests, not fewer."""

    def __init__(self, target: Target, known: Models, *, per_second: float) -> None:
        self._target = target
        self._per_second = per_second
        self._bodies = itertools.cycle(
            [
                (json.dumps(models.request(flower)).encode(), species)
                for flower, species in zip(known.flowers, known.species, strict=True)
            ]
        )
        self.answers: deque[Answer] = deque(maxlen=_KEPT)
        self.lost: list[Lost] = []
        self.total = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Load"]:
        """Ask until the block ends, then wait for what is still in flight."""
        stop = asyncio.Event()
        task = asyncio.create_task(self._ask_until(stop))
        try:
            yield self
        finally:
            stop.set()
            await task

    async def until_answered(self, count: int) -> None:
        """Wait until so many requests came to an end, one way or the other."""
        while len(self.answers) + len(self.lost) < count:
            await asyncio.sleep(1 / self._per_second)

    def shares(self, since: float, until: float = math.inf) -> Counter[str]:
        """Answers by version between two moments (monotonic seconds)."""
        return Counter(answer.version for answer in self._since(since) if answer.at < until)

    def accuracy(self, version: str, since: float = 0) -> float | None:
        """Share of right answers of a version; None while it gave none."""
        found = [answer.is_right for answer in self._since(since) if answer.version == version]
        return sum(found) / len(found) if found else None

    def _since(self, moment: float) -> Iterator[Answer]:
        return itertools.takewhile(lambda answer: answer.at >= moment, reversed(self.answers))

    async def _ask_until(self, stop: asyncio.Event) -> None:
        timeout = aiohttp.ClientTimeout(total=_PATIENCE_SECONDS)
        connector = aiohttp.TCPConnector(limit=_MOST_IN_FLIGHT, force_close=not self._target.is_kept_open)
        # A jar that is "unsafe" takes cookies of addresses that are numbers.
        jar = aiohttp.CookieJar(unsafe=True) if self._target.keeps_cookies else aiohttp.DummyCookieJar()
        async with (
            aiohttp.ClientSession(timeout=timeout, connector=connector, cookie_jar=jar) as session,
            asyncio.TaskGroup() as group,
        ):
            began = time.monotonic()
            for number in itertools.count():
                wait = began + number / self._per_second - time.monotonic()
                if await _is_set_within(stop, wait):
                    return
                group.create_task(self._ask(session))

    async def _ask(self, session: aiohttp.ClientSession) -> None:
        body, species = next(self._bodies)
        headers = {"Content-Type": "application/json", **self._target.headers}
        if self._target.host:
            headers["Host"] = self._target.host
        self.total += 1
        began = time.monotonic()
        try:
            async with session.post(self._target.url, data=body, headers=headers) as response:
                text = await response.read()
                if response.status != HTTPStatus.OK:
                    self._lose(f"{response.status}: {text[:200].decode(errors='replace')}")
                    return
                self._keep(response.headers.get("modelway-version", "?"), text, species, began)
        except (aiohttp.ClientError, TimeoutError) as error:
            self._lose(f"{type(error).__name__}: {error}")

    def _keep(self, version: str, text: bytes, species: int, began: float) -> None:
        outputs = {output["name"]: output["data"] for output in json.loads(text)["outputs"]}
        is_right = outputs["label"] == [species]
        now = time.monotonic()
        self.answers.append(Answer(at=now, seconds=now - began, version=version, is_right=is_right))

    def _lose(self, what: str) -> None:
        self.lost.append(Lost(at=time.monotonic(), what=what))


async def until_answered(target: Target) -> float:
    """Ask again and again until a prediction comes; how many seconds that took."""
    began = time.monotonic()
    body = json.dumps(models.request(models.TYPICAL[0])).encode()
    headers = {"Host": target.host} if target.host else {}
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_PATIENCE_SECONDS)) as session:
        while True:
            try:
                async with session.post(target.url, data=body, headers=headers) as response:
                    if response.status == HTTPStatus.OK:
                        return time.monotonic() - began
            except (aiohttp.ClientError, TimeoutError):
                pass
            await asyncio.sleep(_PROBE_SECONDS)


async def _is_set_within(stop: asyncio.Event, seconds: float) -> bool:
    """Wait that long for the event; at least let others run."""
    try:
        await asyncio.wait_for(stop.wait(), max(seconds, 0.0001))
    except TimeoutError:
        return False
    return True
