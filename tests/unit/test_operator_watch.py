"""How kopf is used: what it may store and ask for, and how often it may log in."""

import asyncio
from contextlib import suppress

from modelway.cluster.cache import Cache
from modelway.cluster.intake import Intake
from modelway.cluster.queue import WorkQueue
from modelway.cluster.session import Connection
from modelway.cluster.streams import Streams
from modelway.cluster.watched import watched
from modelway.handlers import Watch
from modelway.metrics import Metrics


def watch() -> Watch:
    scope = watched(gateway=False)
    return Watch(
        connection=Connection(),
        watched=scope,
        intake=Intake(Cache(), WorkQueue(), Metrics()),
        streams=Streams(scope, begun=lambda kind: None, ended=lambda code, why: None),
        streaming=True,
    )


async def test_refused_credentials_are_not_tried_again_at_once() -> None:
    one = watch()
    first = await one._login()
    await first.aiohttp_session.close()
    second = asyncio.create_task(one._login())
    done, _ = await asyncio.wait((second,), timeout=0.1)
    assert not done
    second.cancel()
    with suppress(asyncio.CancelledError):
        await second


def test_kopf_stores_posts_and_scans_nothing() -> None:
    settings = watch().settings()
    assert (settings.posting.enabled, settings.scanning.disabled) == (False, True)
    assert settings.persistence.diffbase_storage.build(body={"spec": {"a": 1}}) == {}
    assert settings.persistence.progress_storage.fetch(key="k", body={}) is None
