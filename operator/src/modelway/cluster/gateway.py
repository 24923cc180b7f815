"""Waits for the installed Gateway API to become another one while a ModelDeployment needs it."""

import asyncio
import logging

from modelway import kinds
from modelway.cluster import discovery
from modelway.cluster.api import ApiError
from modelway.cluster.cache import Cache
from modelway.cluster.client import Client
from modelway.cluster.discovery import GatewayApi

PAUSE_SECONDS = 60.0

log = logging.getLogger(__name__)


async def change(client: Client, cache: Cache, known: GatewayApi, *, pause: float = PAUSE_SECONDS) -> None:
    """Return once an object names a parent and the Gateway API is not what was known of it, at two looks in a row.

    A single look may come just when the API server starts, or a CRD is replaced.
    """
    last = known
    while True:
        await asyncio.sleep(pause)
        if not is_wanted(cache):
            continue
        try:
            found = await discovery.gateway_api(client)
        except ApiError as failure:
            log.warning("Gateway API was not looked for: %s", failure)
            continue
        if found == last != known:
            return
        last = found


def is_wanted(cache: Cache) -> bool:
    """Whether any ModelDeployment asks for a route."""
    models = cache.objects(kinds.MODEL_DEPLOYMENT)
    return any((model["spec"].get("traffic") or {}).get("parentRefs") for model in models)
