"""URL paths of kinds and objects in the API. Pure."""

from urllib.parse import quote

from modelway.kinds import Kind


def group(kind: Kind) -> str:
    """Where discovery lists the resources of the kind's group and version."""
    return f"/apis/{kind.group}/{kind.version}" if kind.group else f"/api/{kind.version}"


def collection(kind: Kind, namespace: str | None) -> str:
    """All objects of a kind, in one namespace or (None) in all."""
    scope = f"/namespaces/{quote(namespace, safe='')}" if namespace and kind.namespaced else ""
    return f"{group(kind)}{scope}/{kind.plural}"


def single(kind: Kind, namespace: str | None, name: str, subresource: str = "") -> str:
    """One object, or a subresource of it."""
    path = f"{collection(kind, namespace)}/{quote(name, safe='')}"
    return f"{path}/{subresource}" if subresource else path
