"""The Api over HTTP: raw JSON objects, server-side apply, one field manager."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from modelway import kinds, names
from modelway.cluster import managed, paths
from modelway.cluster.api import Gone, NotFound
from modelway.cluster.transport import Request, Transport
from modelway.kinds import Kind, Manifest

CHUNK = 500
"""Objects in one answer to a list."""
MOST_BEGINNINGS = 3
METADATA_ONLY = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
_WRITE = {"fieldManager": names.FIELD_MANAGER, "fieldValidation": "Strict"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """Objects as they were together at one moment."""

    items: tuple[Manifest, ...]
    resource_version: str


class Client:
    """Implements `modelway.cluster.api.Api`; `read` and `write` serve the operator's own machinery."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def get(self, kind: Kind, namespace: str | None, name: str) -> Manifest:
        """The object as stored. Raises NotFound."""
        return await self.read(paths.single(kind, namespace, name), verb="get", kind=kind.name)

    async def list(self, kind: Kind, namespace: str | None = None, selector: str = "") -> list[Manifest]:
        """Every object of a kind, in one namespace or (None) in all."""
        return list((await self.listing(kind, namespace, selector)).items)

    async def listing(
        self, kind: Kind, namespace: str | None = None, selector: str = "", *, metadata_only: bool = False
    ) -> Listing:
        """The same with the moment's resourceVersion; begins anew when it takes too long for the server.

        Raises Gone when it always does.
        """
        accept = METADATA_ONLY if metadata_only else ""
        for _ in range(MOST_BEGINNINGS - 1):
            try:
                return await self._chunks(kind, namespace, selector, accept)
            except Gone:
                continue
        return await self._chunks(kind, namespace, selector, accept)

    async def _chunks(self, kind: Kind, namespace: str | None, selector: str, accept: str) -> Listing:
        path, items = paths.collection(kind, namespace), []
        params = {"limit": str(CHUNK)} | ({"labelSelector": selector} if selector else {})
        while True:
            answer = await self.read(path, verb="list", kind=kind.name, params=params, accept=accept)
            items += [_typed(kind, item) for item in answer.get("items") or ()]
            metadata = answer.get("metadata") or {}
            if not metadata.get("continue"):
                return Listing(items=tuple(items), resource_version=metadata.get("resourceVersion") or "")
            params["continue"] = metadata["continue"]

    async def create(self, kind: Kind, manifest: Manifest, *, dry_run: bool = False) -> Manifest:
        """POST, refusing unknown fields. Raises AlreadyExists."""
        path = paths.collection(kind, manifest["metadata"].get("namespace"))
        return await self.write("POST", path, "create", kind, manifest, params=_WRITE | _dry(dry_run))

    async def apply(self, kind: Kind, manifest: Manifest, *, dry_run: bool = False) -> Manifest:
        """Server-side apply; a `metadata.resourceVersion` in it is a precondition. Raises Conflict.

        What was created with POST is owned by a second entry of our field manager, which would keep every
        field that an apply leaves out. The first apply to such an object turns that entry into an applied one
        and applies again, so that from then on a left out field goes away.
        """
        answer = await self._apply(kind, manifest, dry_run=dry_run)
        fields = managed.adopt(answer["metadata"].get("managedFields") or ())
        if fields is None or dry_run:
            return answer
        version = answer["metadata"]["resourceVersion"]
        adopted = await self.write(
            "PATCH",
            _path(kind, answer),
            "adopt",
            kind,
            {"metadata": {"resourceVersion": version, "managedFields": fields}},
            params={"fieldManager": names.FIELD_MANAGER},
            content_type="application/merge-patch+json",
        )
        version = adopted["metadata"]["resourceVersion"]
        return await self._apply(
            kind, manifest | {"metadata": manifest["metadata"] | {"resourceVersion": version}}, dry_run=False
        )

    async def _apply(self, kind: Kind, manifest: Manifest, *, dry_run: bool) -> Manifest:
        return await self.write(
            "PATCH",
            _path(kind, manifest),
            "apply",
            kind,
            manifest,
            params=_WRITE | {"force": "true"} | _dry(dry_run),
            content_type="application/apply-patch+yaml",
        )

    async def scale(self, kind: Kind, namespace: str, name: str, replicas: int, resource_version: str) -> Manifest:
        """Set the count through the scale subresource. Answers the Scale, not the object. Raises Conflict."""
        body = {"metadata": {"resourceVersion": resource_version}, "spec": {"replicas": replicas}}
        return await self.write(
            "PATCH",
            paths.single(kind, namespace, name, "scale"),
            "scale",
            kind,
            body,
            params=_WRITE,
            content_type="application/merge-patch+json",
        )

    async def delete(
        self, kind: Kind, namespace: str, name: str, uid: str, resource_version: str | None = None
    ) -> None:
        """Delete this very object, its dependants in the background. An absent object is no error."""
        preconditions = {"uid": uid} | ({"resourceVersion": resource_version} if resource_version else {})
        options = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": "Background",
            "preconditions": preconditions,
        }
        try:
            await self.write("DELETE", paths.single(kind, namespace, name), "delete", kind, options)
        except NotFound:
            return

    async def put_status(self, manifest: Manifest) -> Manifest:
        """Replace the status of a ModelDeployment read at this resourceVersion. Raises Conflict."""
        kind = kinds.MODEL_DEPLOYMENT
        metadata = {name: value for name, value in manifest["metadata"].items() if name != "managedFields"}
        manifest = {**manifest, "metadata": metadata}
        path = paths.single(kind, metadata["namespace"], metadata["name"], "status")
        return await self.write("PUT", path, "put_status", kind, manifest, params=_WRITE)

    async def create_event(self, manifest: Manifest) -> None:
        """Write one events.k8s.io/v1 Event."""
        path = paths.collection(kinds.EVENT, manifest["metadata"]["namespace"])
        await self.write("POST", path, "create", kinds.EVENT, manifest, params=_WRITE)

    async def read(
        self, path: str, *, verb: str, kind: str, params: Mapping[str, str] | None = None, accept: str = ""
    ) -> dict[str, Any]:
        """GET any path as JSON."""
        request = Request(
            method="GET",
            path=path,
            verb=verb,
            kind=kind,
            params=dict(params or {}),
            accept=accept or "application/json",
        )
        return await self._transport.send(request)

    async def write(
        self,
        method: str,
        path: str,
        verb: str,
        kind: Kind,
        body: object,
        *,
        params: Mapping[str, str] | None = None,
        content_type: str = "application/json",
        fenced: bool = True,
    ) -> Manifest:
        """Send a body to any path; `fenced` unless it needs no leadership."""
        request = Request(
            method=method,
            path=path,
            verb=verb,
            kind=kind.name,
            params=dict(params or {}),
            body=body,
            content_type=content_type,
            fenced=fenced,
        )
        return await self._transport.send(request)


def _path(kind: Kind, manifest: Manifest) -> str:
    metadata = manifest["metadata"]
    return paths.single(kind, metadata.get("namespace"), metadata["name"])


def _typed(kind: Kind, item: Manifest) -> Manifest:
    """Items of a list come without what the list itself says."""
    return item | {"apiVersion": kind.api_version, "kind": kind.name}


def _dry(dry_run: bool) -> dict[str, str]:
    return {"dryRun": "All"} if dry_run else {}
