"""kopf, which watches the cluster and does nothing else: no handler here writes, waits or decides."""

import asyncio
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import kopf

from modelway import names
from modelway.cluster.intake import Intake
from modelway.cluster.jitter import spread
from modelway.cluster.session import Connection
from modelway.cluster.streams import Streams
from modelway.cluster.watched import Watched, selector
from modelway.kinds import Kind

LARGEST_PAUSE_SECONDS = 15.0
LOGIN_PAUSE_SECONDS = 5.0
CHUNK = 250


class _NoDiffBase(kopf.DiffBaseStorage):
    """Stores nothing; saves kopf a deep copy of every object at every event."""

    def build(self, *, body: Any, extra_fields: Any = None, ignored_fields: Any = None) -> Any:
        return {}

    def fetch(self, *, body: Any) -> Any:
        return None

    def store(self, *, body: Any, patch: Any, essence: Any) -> None:
        return None


class _NoProgress(kopf.ProgressStorage):
    """Stores nothing."""

    def fetch(self, *, key: Any, body: Any) -> Any:
        return None

    def store(self, *, key: Any, record: Any, body: Any, patch: Any) -> None:
        return None

    def purge(self, *, key: Any, body: Any, patch: Any) -> None:
        return None

    def touch(self, *, body: Any, patch: Any, value: Any) -> None:
        return None

    def clear(self, *, essence: Any) -> Any:
        return essence


class _Pauses:
    """Never ends: kopf gives up, and the process with it, when the list of pauses does."""

    def __iter__(self) -> Iterator[float]:
        for attempt in itertools.count():
            yield spread(min(2.0 ** min(attempt, 10), LARGEST_PAUSE_SECONDS), 0.3)


@dataclass(slots=True)
class _Logins:
    """kopf asks for a new session as soon as one was refused; refused for good, it would ask without end."""

    last: float = float("-inf")

    async def pace(self) -> None:
        """Wait until the last login is a while ago."""
        clock = asyncio.get_running_loop().time
        await asyncio.sleep(max(0.0, self.last + LOGIN_PAUSE_SECONDS - clock()))
        self.last = clock()


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """Watches all kinds until told to stop."""

    connection: Connection
    watched: Watched
    intake: Intake
    streams: Streams
    streaming: bool
    """Whether the server can begin a watch with the objects themselves."""
    logins: _Logins = field(default_factory=_Logins)

    async def run(self, stop: asyncio.Event, started: Callable[[], None]) -> None:
        """Watch until `stop` is set; raises or returns when kopf ends by itself.

        Every task that is created after this began is cancelled when it ends. `started` is called once kopf
        has installed its signal handlers, which others may replace then.
        """
        earlier = frozenset(asyncio.all_tasks())
        tasks = await kopf.spawn_tasks(
            identity="modelway",  # type: ignore[arg-type]  # its type is private; without one kopf asks for a user name
            registry=self.registry(),
            settings=self.settings(),
            standalone=True,
            clusterwide=not self.watched.namespaces,
            namespaces=self.watched.namespaces,
            stop_flag=stop,
        )
        started()
        await kopf.run_tasks(tasks, ignored=earlier)

    def registry(self) -> kopf.OperatorRegistry:
        """One sink for each kind, and the session."""
        registry = kopf.OperatorRegistry()
        kopf.on.login(registry=registry)(self._login)
        for kind in self.watched.kinds:
            resource = (kind.group, kind.version, kind.plural)
            kopf.on.event(*resource, id=f"observe-{kind.plural}", registry=registry)(self._sink(kind))
        return registry

    def settings(self) -> kopf.OperatorSettings:
        """Nothing stored, posted or scanned; no pause that ends; children by label on the server's side."""
        settings = kopf.OperatorSettings()
        settings.posting.enabled = False
        settings.scanning.disabled = True
        settings.persistence.diffbase_storage = _NoDiffBase()
        settings.persistence.progress_storage = _NoProgress()
        settings.persistence.finalizer = f"{names.GROUP}/kopf-unused"
        settings.queueing.idle_timeout = 0.05
        settings.networking.request_timeout = 30
        settings.networking.connect_timeout = 5
        settings.networking.error_backoffs = _Pauses()
        settings.networking.enforce_retry_after = True
        settings.watching.connect_timeout = 10
        settings.watching.server_timeout = 600
        settings.watching.client_timeout = 660
        settings.watching.reconnect_backoff = 1.0
        settings.watching.initial_streaming = self.streaming
        settings.watching.chunk_size = None if self.streaming else CHUNK
        settings.process.ultimate_exiting_timeout = 25
        for kind in self.watched.kinds:
            if selector(kind):
                settings.watching.label_selectors[_is(kind)] = selector(kind)
        return settings

    def _sink(self, kind: Kind) -> Callable[..., Any]:
        async def observe(event: Any, **_: Any) -> None:
            self.intake.observe(kind, event["type"], event["object"])

        return observe

    async def _login(self, **_: Any) -> kopf.AiohttpSession:
        await self.logins.pace()
        return kopf.AiohttpSession(
            server=self.connection.server,
            aiohttp_session=self.connection.session(connections=0, middlewares=(self.streams.guard,)),
        )


def _is(kind: Kind) -> Callable[[Any], bool]:
    def matches(resource: Any) -> bool:
        return (resource.group, resource.version, resource.plural) == (kind.group, kind.version, kind.plural)

    return matches
