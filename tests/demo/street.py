"""One model under a constant load, of which no request may be lost."""

import asyncio
import functools
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from types import MappingProxyType

from demo import manifests, objects
from demo.load import Load
from demo.manifests import Manifest
from demo.models import Models
from demo.objects import Objects
from demo.place import Place
from modelway.cli.objects import Model

RATE = 300
QUICK: Manifest = {"settle": "1s", "drain": "3s"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Street:
    """The model, its load, and who looks at it."""

    where: Place
    name: str
    objects: Objects
    load: Load

    def apply(self, version: str, rollout: Manifest, **fields: Manifest) -> None:
        """What the user applies; `fields` are sections of the spec, of which `traffic` adds to the usual one."""
        self.objects.apply(model(self.where, self.name, version, rollout, **fields))

    async def until(self, what: str, holds: Callable[[Model], bool]) -> Model:
        """Wait until it is so."""
        return await self.objects.until(self.name, what, holds)

    async def say(self, *words: str) -> None:
        """Run the command line; `words` without the name of the program."""
        await asyncio.to_thread(self.where.modelway, *words)

    def pods(self) -> dict[str, str]:
        """Names of the pods that are not ending, by uid."""
        scope = (f"--namespace={self.where.namespace}", f"--selector=serving.modelway.io/model={self.name}")
        found = [pod["metadata"] for pod in self.where.kubectl.get("pods", *scope)["items"]]
        return {metadata["uid"]: metadata["name"] for metadata in found if "deletionTimestamp" not in metadata}


def model(where: Place, name: str, version: str, rollout: Manifest, **fields: Manifest) -> Manifest:
    """Two small pods, and steps that lose no time."""
    traffic = manifests.traffic(where.gateway, manifests.host(where.namespace, name)) | fields.pop("traffic", {})
    return manifests.model(
        where.namespace,
        manifests.source(version, where.storage.bucket),
        name=name,
        replicas=2,
        rollout=QUICK | rollout,
        traffic=traffic,
        **fields,
    )


@asynccontextmanager
async def street(
    where: Place,
    known: Models,
    name: str,
    rollout: Manifest,
    *,
    per_second: float = RATE,
    headers: Mapping[str, str] = MappingProxyType({}),
    **fields: Manifest,
) -> AsyncIterator[Street]:
    """Version 1 serves under load. Raises AssertionError at the end where a request failed; then the model goes."""
    found = Street(
        where=where,
        name=name,
        objects=Objects(where.kubectl, where.namespace),
        load=Load(replace(where.target(name), headers=headers), known, per_second=per_second),
    )
    found.apply("1", rollout, **fields)
    await found.until("version 1 serves", functools.partial(objects.serves, "1"))
    async with found.load.running():
        yield found
    assert not found.load.lost, found.load.lost[:5]
    assert len(found.load.answers) == found.load.total
    where.kubectl.run("delete", "mdep", name, f"--namespace={where.namespace}", "--wait=false")


def has_promoted(version: str, model: Model) -> bool:
    """Whether the version was promoted and is ready."""
    stable = model.status.stable_revision
    return model.is_observed and model.is_true("Ready") and bool(stable and stable.version == version)


def is_rolled_back(model: Model) -> bool:
    """Whether what the spec asks for was taken back."""
    return model.is_observed and model.status.phase == "RolledBack"
