"""Waits for the Gateway API to be installed while a ModelDeployment needs it."""

import asyncio
import logging

from modelway import kinds
from modelway.cluster import discovery
from modelway.cluster.api import ApiError
from modelway.cluster.cache import Cache
from modelway.cluster.client import Client

PAUSE_SECONDS = 60.0

log = logging.getLogger(__name__)


async def appearance(client: Client, cache: Cache, *, pause: float = PAUSE_SECONDS) -> None:
    """Return once an object names a parent and the cluster serves HTTPRoutes."""
    while True:
        await asyncio.sleep(pause)
        if not is_wanted(cache):
            continue
        try:
            if await discovery.is_served(client, kinds.HTTP_ROUTE):
                return
        except ApiError as failure:
            log.warning("Gateway API was not looked for: %s", failure)


def is_wanted(cache: Cache) -> bool:
    """Whether any ModelDeployment asks for a route."""
    models = cache.objects(kinds.MODEL_DEPLOYMENT)
    return any((model["spec"].get("traffic") or {}).get("parentRefs") for model in models)
