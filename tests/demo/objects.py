"""ModelDeployments of one namespace: apply them, and look at them until something is so."""

import asyncio
import time
from collections.abc import Callable

import yaml

from cluster.kubectl import Kubectl
from demo.manifests import Manifest
from modelway.cli.client import Access, Client
from modelway.cli.objects import Model

LOOK_SECONDS = 0.3
PATIENCE_SECONDS = 120.0


class StoryError(Exception):
    """Something did not come about in time."""


class Objects:
    """Reads through one kept connection: looking costs next to nothing beside the load."""

    def __init__(self, kubectl: Kubectl, namespace: str) -> None:
        self.kubectl = kubectl
        self.namespace = namespace
        access = Access(kubeconfig=kubectl.kubeconfig or None, context=kubectl.context or None, namespace=namespace)
        self._client = Client(access)

    def apply(self, *manifests: Manifest) -> None:
        """As `kubectl apply` does."""
        self.kubectl.run("apply", "--filename=-", stdin=yaml.safe_dump_all(manifests))

    async def get(self, name: str) -> Model:
        """The object as it is now."""
        return Model.parse(await asyncio.to_thread(self._client.get, name))

    async def until(
        self,
        name: str,
        what: str,
        holds: Callable[[Model], bool],
        *,
        saw: Callable[[Model], None] = lambda model: None,
        patience: float = PATIENCE_SECONDS,
    ) -> Model:
        """Look until it holds. Raises StoryError with the status when that takes too long."""
        end = time.monotonic() + patience
        while True:
            model = await self.get(name)
            saw(model)
            if holds(model):
                return model
            if time.monotonic() > end:
                told = f"phase {model.status.phase}: {model.status.message}"
                raise StoryError(f"{name}: after {patience:.0f} s still not: {what}. {told}")
            await asyncio.sleep(LOOK_SECONDS)


def is_alone(model: Model, version: str) -> bool:
    """That version is stable, nothing moves, and no other revision has a pod left."""
    stable = model.status.stable_revision
    others = (item for item in model.status.revisions if stable and item.name != stable.name)
    are_gone = all(not (item.replicas and item.replicas.desired) for item in others)
    return model.is_observed and model.active is None and bool(stable and stable.version == version) and are_gone


def serves(version: str, model: Model) -> bool:
    """That version is all there is, and the object is Ready."""
    return is_alone(model, version) and model.is_true("Ready") and model.is_true("Available")


def holds_step(index: int, model: Model) -> bool:
    """The rollout holds at that step."""
    rollout = model.active
    is_there = rollout is not None and (rollout.step_index or 0) == index and rollout.step_state == "Holding"
    return model.is_observed and is_there


def has_failed(version: str, reason: str, model: Model) -> bool:
    """That version failed for that reason, and was released."""
    failed = model.status.last_failed_revision
    is_it = failed is not None and (failed.version, failed.reason) == (version, reason)
    return is_it and model.is_observed and model.active is None and model.is_true("RevisionFailed")
