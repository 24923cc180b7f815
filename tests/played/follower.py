"""Follows the objects of a kind on a real API server, by list and watch, and hands each to somebody who acts."""

import asyncio
import json
from collections.abc import Awaitable, Callable

import aiohttp

from modelway import names
from modelway.cluster import paths
from modelway.kinds import Kind, Manifest

PAUSE_SECONDS = 0.5


class Follower:
    """`run` never ends; what its actor raises of an API server that has changed its mind meanwhile is passed over."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        server: str,
        kind: Kind,
        act: Callable[[Manifest], Awaitable[None]],
    ) -> None:
        self._session = session
        self._url = f"{server}{paths.collection(kind, None)}"
        self._act = act
        self._objects: dict[str, Manifest] = {}

    @property
    def objects(self) -> tuple[Manifest, ...]:
        """What there is, as far as is known."""
        return tuple(self._objects.values())

    async def again(self) -> None:
        """Act on everything once more."""
        for item in self.objects:
            await self._act(item)

    async def run(self) -> None:
        """Follow for ever, also an API server that comes and goes, and a kind that does."""
        while True:
            try:
                await self._watch(await self._list())
            except (aiohttp.ClientError, TimeoutError):
                pass
            await asyncio.sleep(PAUSE_SECONDS)

    async def _list(self) -> str:
        """Take what is there; its resourceVersion."""
        async with self._session.get(self._url, params={"labelSelector": names.CHILD_SELECTOR}) as response:
            response.raise_for_status()
            found = await response.json()
        self._objects = {item["metadata"]["uid"]: item for item in found["items"]}
        await self.again()
        return str(found["metadata"]["resourceVersion"])

    async def _watch(self, version: str) -> None:
        query = {"labelSelector": names.CHILD_SELECTOR, "watch": "true", "resourceVersion": version}
        async with self._session.get(self._url, params=query) as response:
            response.raise_for_status()
            rest = b""
            async for chunk in response.content.iter_any():
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    await self._take(json.loads(line))

    async def _take(self, event: Manifest) -> None:
        item = event["object"]
        if event["type"] == "ERROR":
            raise aiohttp.ClientPayloadError(item.get("message"))
        if event["type"] == "DELETED":
            self._objects.pop(item["metadata"]["uid"], None)
            return
        self._objects[item["metadata"]["uid"]] = item
        await self._act(item)
