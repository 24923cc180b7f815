"""The kubelet and the gateway in a thread, beside a control plane with its controllers."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import aiohttp

from modelway import kinds
from modelway.cluster import paths
from modelway.cluster.session import Connection
from modelway.kinds import Kind, Manifest
from played import pods, routes
from played.follower import Follower

_START_SECONDS = 30
_GOODBYE_SECONDS = 0.25
"""TLS connections are closed a moment after their session."""


class Node:
    """Makes every model Pod ready, or lets it fail as its model wants, and every route taken."""

    def __init__(self, kubeconfig: Path) -> None:
        self._kubeconfig = kubeconfig
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, name="played node", daemon=True)
        self._pods: Follower | None = None
        self._routes: Follower | None = None
        self._failure: BaseException | None = None
        self.holds_pods = False
        """Whether new Pods are left alone for now."""
        self.holds_routes = False
        """Whether the gateway says nothing for now."""

    def start(self) -> None:
        """Begin to play."""
        self._thread.start()
        self._started.wait(_START_SECONDS)

    def close(self) -> None:
        """End the play. Raises what had ended it before."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        if self._failure is not None:
            raise self._failure

    def resume(self) -> None:
        """Take up what was left alone."""
        self.holds_pods = self.holds_routes = False
        for follower in (self._pods, self._routes):
            if follower is not None:
                asyncio.run_coroutine_threadsafe(follower.again(), self._loop).result(_START_SECONDS)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._play())
        self._loop.close()

    async def _play(self) -> None:
        connection = await Connection.open(kubeconfig=self._kubeconfig)
        async with connection.session(connections=0) as self._session:
            self._session.headers["User-Agent"] = "played-node"
            self._server = connection.server
            self._pods = Follower(self._session, self._server, kinds.POD, self._settle)
            self._routes = Follower(self._session, self._server, kinds.HTTP_ROUTE, self._take)
            tasks = [asyncio.create_task(each.run()) for each in (self._pods, self._routes)]
            tasks.append(asyncio.create_task(self._ended()))
            self._started.set()
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._failure = next((task.exception() for task in done if task.exception()), None)
        await asyncio.sleep(_GOODBYE_SECONDS)

    async def _ended(self) -> None:
        await self._stop.wait()

    async def _settle(self, pod: Manifest) -> None:
        if self.holds_pods or pods.is_settled(pod):
            return
        now = datetime.now(UTC)
        await self._write(kinds.POD, pod, pods.failed(pod, now) if pods.is_broken(pod) else pods.ready(pod, now))

    async def _take(self, route: Manifest) -> None:
        if not self.holds_routes and not routes.is_taken(route):
            await self._write(kinds.HTTP_ROUTE, route, routes.taken(route, datetime.now(UTC)))

    async def _write(self, kind: Kind, item: Manifest, status: Manifest) -> None:
        """One that changed or went meanwhile is looked at again with its next event."""
        metadata = item["metadata"]
        path = paths.single(kind, metadata["namespace"], metadata["name"], "status")
        guard = {"resourceVersion": metadata["resourceVersion"], "uid": metadata["uid"]}
        try:
            async with self._session.patch(
                f"{self._server}{path}",
                json={"metadata": guard, "status": status},
                headers={"Content-Type": "application/merge-patch+json"},
            ) as response:
                if response.status not in (200, 404, 409):
                    raise RuntimeError(f"{kind} {metadata['name']}: {response.status} {await response.text()}")
        except aiohttp.ClientError:
            return


@contextmanager
def playing(kubeconfig: Path) -> Iterator[Node]:
    """A node that is gone afterwards."""
    node = Node(kubeconfig)
    node.start()
    try:
        yield node
    finally:
        node.close()
