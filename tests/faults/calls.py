"""What a request asks of an API server, read off its method and URL. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
WRITES = frozenset(_VERBS.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request in the words of Kubernetes; discovery and the like have no resource."""

    method: str
    path: str
    verb: str
    resource: str = ""
    namespace: str = ""
    name: str = ""
    subresource: str = ""

    @property
    def is_write(self) -> bool:
        """Whether it may change something."""
        return self.verb in WRITES

    @property
    def target(self) -> str:
        """Path of the object itself, also where a subresource of it is meant."""
        return self.path.removesuffix(f"/{self.subresource}") if self.subresource else self.path


def read(method: str, path: str, query: Mapping[str, str]) -> Call:
    """`GET /apis/apps/v1/namespaces/a/deployments/b/scale` is get, deployments, a, b, scale; a dry run is verify."""
    parts = path.strip("/").split("/")
    parts = parts[2:] if parts[0] == "api" else parts[3:] if parts[0] == "apis" else []
    namespace = ""
    if len(parts) > 2 and parts[0] == "namespaces":
        namespace, parts = parts[1], parts[2:]
    resource, name, subresource = (*parts, "", "", "")[:3]
    verb = (
        "verify"
        if "dryRun" in query
        else _VERBS.get(method) or ("watch" if query.get("watch") else "get" if name or not resource else "list")
    )
    return Call(
        method=method,
        path=path,
        verb=verb,
        resource=resource,
        namespace=namespace,
        name=name,
        subresource=subresource,
    )
