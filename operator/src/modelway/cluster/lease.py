"""Leader election by a coordination.k8s.io Lease: one process at a time may write.

A holder renews every 2 s. It stops writing 10 s after it last *began* a successful renewal, while others wait
for 15 s from when they first *saw* a renewal, each on its own monotonic clock: no wall clock takes part. Each
write is a compare-and-swap by resourceVersion. The epoch is `leaseTransitions`: it grows with each holder.
"""

import asyncio
import logging
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime

from modelway import kinds
from modelway.cluster import paths
from modelway.cluster.api import AlreadyExists, ApiError, Conflict, NotFound, Superseded
from modelway.cluster.client import Client
from modelway.cluster.jitter import spread
from modelway.kinds import Manifest
from modelway.metrics import Metrics

LEASE_SECONDS = 15.0
RENEW_DEADLINE_SECONDS = 10.0
RETRY_SECONDS = 2.0
ATTEMPT_SECONDS = 5.0
MICROTIME = "%Y-%m-%dT%H:%M:%S.%fZ"

log = logging.getLogger(__name__)


class Election:
    """This process' part in the election. `run` takes part in it until cancelled; then `release`."""

    def __init__(
        self,
        client: Client,
        *,
        namespace: str,
        name: str,
        identity: str,
        metrics: Metrics,
        floor: Callable[[], int] = lambda: 0,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`floor` is the highest epoch found in any object's status."""
        self._client = client
        self._namespace = namespace
        self._name = name
        self.identity = f"{identity}_{uuid.uuid4().hex[:8]}"
        self._metrics = metrics
        self._floor = floor
        self._clock = clock
        self._now = now
        self._leading = asyncio.Event()
        self._epoch: int | None = None
        self._renewed_at = float("-inf")
        self._led_since = float("inf")
        self._seen: tuple[str, str] = ("", "")
        self._seen_at = float("-inf")
        self._held: Manifest | None = None

    @property
    def epoch(self) -> int | None:
        """The epoch in which this process leads or led; None before."""
        return self._epoch

    def fence(self) -> bool:
        """Whether a write may begin now."""
        return self._leading.is_set() and self._clock() - self._renewed_at < RENEW_DEADLINE_SECONDS

    def leading_seconds(self) -> float:
        """How long this process has led without a break; 0 while it does not."""
        return self._clock() - self._led_since if self.fence() else 0.0

    async def leadership(self) -> int:
        """Wait until this process leads; its epoch."""
        while not self.fence() or self._epoch is None:
            self._leading.clear()
            await self._leading.wait()
        return self._epoch

    async def run(self) -> None:
        """Take part for ever. Raises Superseded when another process took over from this one."""
        while True:
            try:
                async with asyncio.timeout(ATTEMPT_SECONDS):
                    await self.attempt()
            except (ApiError, TimeoutError) as failure:
                log.warning("Lease was not renewed: %s", str(failure) or "no answer in time")
            if self._leading.is_set() and not self.fence():
                self._pause()
            await asyncio.sleep(spread(RETRY_SECONDS, 0.1))

    async def attempt(self) -> None:
        """Renew the lease, or take it when it is free. Raises ApiError and Superseded."""
        began = self._clock()
        lease = self._held or await self._read()
        spec = lease.get("spec") or {} if lease else {}
        if spec.get("holderIdentity") != self.identity:
            self._refuse_if_led(spec)
            if not self._is_free(spec):
                return
        try:
            self._held = await self._write(self._claim(lease))
        except (Conflict, AlreadyExists):
            self._held = None  # Another process was faster; the next attempt reads what it did.
            return
        except NotFound:
            if self._held is None:
                raise  # The namespace, not the lease.
            self._held = None
            return
        self._lead(began, self._held["spec"]["leaseTransitions"])

    async def release(self) -> None:
        """Give the lease back at once, so that the next process need not wait for it to expire."""
        held, self._held = self._held, None
        self._leading.clear()
        self._metrics.leader.set(0)
        if held is None:
            return
        spec = held["spec"] | {"holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": self._time()}
        try:
            async with asyncio.timeout(ATTEMPT_SECONDS):
                await self._write(held | {"spec": spec})
            log.info("Released lease %s/%s", self._namespace, self._name)
        except (ApiError, TimeoutError) as failure:
            log.warning("Lease was not released: %s", str(failure) or "no answer in time")

    def _is_free(self, spec: Manifest) -> bool:
        """Released, or not renewed for its duration since this process saw the last renewal."""
        holder, renewed = spec.get("holderIdentity") or "", spec.get("renewTime") or ""
        if not holder:
            return True
        if (holder, renewed) != self._seen:
            self._seen, self._seen_at = (holder, renewed), self._clock()
            return False
        return self._clock() - self._seen_at >= float(spec.get("leaseDurationSeconds") or LEASE_SECONDS)

    def _claim(self, lease: Manifest | None) -> Manifest:
        """The Lease with this process as holder; the epoch grows unless it already was.

        It grows beyond every epoch that was seen, so that a deleted Lease does not set it back.
        """
        spec = (lease or {}).get("spec") or {}
        is_renewal = spec.get("holderIdentity") == self.identity
        previous = int(spec.get("leaseTransitions") or 0)
        epoch = previous if is_renewal else max(previous, self._epoch or 0, self._floor()) + 1
        time_now = self._time()
        return {
            "apiVersion": kinds.LEASE.api_version,
            "kind": kinds.LEASE.name,
            "metadata": lease["metadata"] if lease else {"namespace": self._namespace, "name": self._name},
            "spec": {
                "holderIdentity": self.identity,
                "leaseDurationSeconds": int(LEASE_SECONDS),
                "acquireTime": spec.get("acquireTime", time_now) if is_renewal else time_now,
                "renewTime": time_now,
                "leaseTransitions": epoch,
            },
        }

    def _refuse_if_led(self, spec: Manifest) -> None:
        """Who led and lost may hold work planned in the old epoch: only a new process may lead again."""
        taken = int(spec.get("leaseTransitions") or 0)
        if self._epoch is not None and taken > self._epoch:
            self._pause()
            raise Superseded(f"{spec.get('holderIdentity') or 'Nobody'} holds the lease in epoch {taken}")

    def _lead(self, began: float, epoch: int) -> None:
        if not self.fence():
            self._led_since = self._clock()
        self._renewed_at = began
        if not self._leading.is_set():
            log.info("Leads in epoch %d as %s", epoch, self.identity)
        self._epoch = epoch
        self._leading.set()
        self._metrics.leader.set(1)

    def _pause(self) -> None:
        log.warning("Stopped writing: the lease was not renewed for %d s", RENEW_DEADLINE_SECONDS)
        self._leading.clear()
        self._metrics.leader.set(0)

    async def _read(self) -> Manifest | None:
        try:
            return await self._client.get(kinds.LEASE, self._namespace, self._name)
        except NotFound:
            return None

    async def _write(self, lease: Manifest) -> Manifest:
        """POST a new Lease, PUT one that was read: the resourceVersion in it makes it a compare-and-swap."""
        if "resourceVersion" not in lease["metadata"]:
            path = paths.collection(kinds.LEASE, self._namespace)
            return await self._client.write("POST", path, "create", kinds.LEASE, lease, fenced=False)
        path = paths.single(kinds.LEASE, self._namespace, self._name)
        return await self._client.write("PUT", path, "update", kinds.LEASE, lease, fenced=False)

    def _time(self) -> str:
        return self._now().strftime(MICROTIME)
