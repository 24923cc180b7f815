"""Kubernetes Events about ModelDeployments, written in the background: no reconciliation waits for one."""

import asyncio
import logging
import time
import uuid
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, TypeAlias

from modelway import kinds
from modelway.cluster.api import Api, ApiError, Fenced
from modelway.kinds import Manifest
from modelway.metrics import Metrics

CONTROLLER = "serving.modelway.io/operator"
MOST_WAITING = 1000
MOST_BUCKETS = 10_000
NOTE_BYTES = 1024
BURST = 20
"""Events about one object at once; then one in 30 s."""
REFILL_SECONDS = 30.0

EventType: TypeAlias = Literal["Normal", "Warning"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Bucket:
    tokens: float
    at: float


class Recorder:
    """`record` only puts into memory; `run` writes."""

    def __init__(
        self,
        api: Api,
        *,
        instance: str,
        metrics: Metrics,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._api = api
        self._instance = instance[:128]
        self._metrics = metrics
        self._clock = clock
        self._now = now
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()
        self._waiting: deque[Manifest] = deque()
        self._arrived = asyncio.Event()

    def record(self, owner: Manifest, type: EventType, reason: str, message: str) -> None:
        """Say what happened to an object. Too many about one object, or in all, are dropped and counted."""
        if len(self._waiting) >= MOST_WAITING or not self._take_token(owner["metadata"]["uid"]):
            self._metrics.events_dropped.labels("rate").inc()
            return
        self._waiting.append(self._event(owner, type, reason, message))
        self._arrived.set()

    async def run(self) -> None:
        """Write for ever."""
        while True:
            await self._arrived.wait()
            await self.drain()

    async def drain(self) -> None:
        """Write what waits."""
        self._arrived.clear()
        while self._waiting:
            event = self._waiting.popleft()
            try:
                await self._api.create_event(event)
            except (ApiError, Fenced) as failure:
                self._metrics.events_dropped.labels("refused").inc()
                log.info("Event was not written: %s", failure, extra={"reason": event["reason"]})

    def _take_token(self, uid: str) -> bool:
        now = self._clock()
        bucket = self._buckets.pop(uid, _Bucket(BURST, now))
        tokens = min(float(BURST), bucket.tokens + (now - bucket.at) / REFILL_SECONDS)
        self._buckets[uid] = _Bucket(tokens - 1 if tokens >= 1 else tokens, now)
        if len(self._buckets) > MOST_BUCKETS:
            self._buckets.popitem(last=False)
        return tokens >= 1

    def _event(self, owner: Manifest, type: EventType, reason: str, message: str) -> Manifest:
        metadata = owner["metadata"]
        note = message.encode()[:NOTE_BYTES].decode(errors="ignore")
        return {
            "apiVersion": kinds.EVENT.api_version,
            "kind": kinds.EVENT.name,
            "metadata": {
                "namespace": metadata["namespace"],
                "name": f"{metadata['name']}.{uuid.uuid4().hex[:16]}",
            },
            "eventTime": self._now().strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "type": type,
            "reason": reason,
            "action": "Reconcile",
            "note": note,
            "regarding": {
                "apiVersion": kinds.MODEL_DEPLOYMENT.api_version,
                "kind": kinds.MODEL_DEPLOYMENT.name,
                "namespace": metadata["namespace"],
                "name": metadata["name"],
                "uid": metadata["uid"],
                "resourceVersion": metadata["resourceVersion"],
            },
            "reportingController": CONTROLLER,
            "reportingInstance": self._instance,
        }
