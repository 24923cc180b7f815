"""What the cluster serves, and what we may do in it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from modelway import kinds
from modelway.cluster import paths
from modelway.cluster.api import NotFound
from modelway.cluster.client import Client
from modelway.kinds import Kind
from modelway.resources.traffic import OPTIONAL_FIELDS

_SCHEMAS = "/openapi/v3"
"""Every account may read it, which cannot be said of CustomResourceDefinitions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayApi:
    """What is installed of the Gateway API."""

    is_served: bool = False
    """Whether the API server knows HTTPRoutes."""
    rule_fields: frozenset[str] = frozenset()
    """Which of the optional fields a rule of theirs has: they differ by version and channel."""


_REVIEW = Kind("authorization.k8s.io", "v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview", False)


async def is_served(client: Client, kind: Kind) -> bool:
    """Whether the API server knows the kind in this very version."""
    try:
        answer = await client.read(paths.group(kind), verb="discover", kind=kind.name)
    except NotFound:
        return False
    return any(resource["name"] == kind.plural for resource in answer.get("resources") or ())


async def gateway_api(client: Client) -> GatewayApi:
    """What is installed of the Gateway API. A CRD's schema is published some seconds after the CRD itself."""
    if not await is_served(client, kinds.HTTP_ROUTE):
        return GatewayApi()
    try:
        path = f"{_SCHEMAS}/{paths.group(kinds.HTTP_ROUTE).removeprefix('/')}"
        answer = await client.read(path, verb="discover", kind=kinds.HTTP_ROUTE.name)
    except NotFound:
        return GatewayApi(is_served=True)
    return GatewayApi(is_served=True, rule_fields=frozenset(OPTIONAL_FIELDS).intersection(_rule_fields(answer)))


def _rule_fields(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """Of the schema of HTTPRoute in an OpenAPI document."""
    for schema in ((document.get("components") or {}).get("schemas") or {}).values():
        described = schema.get("x-kubernetes-group-version-kind") or ()
        if any(item.get("kind") == kinds.HTTP_ROUTE.name for item in described):
            found: Any = schema
            for key in ("spec", "rules"):
                found = (found.get("properties") or {}).get(key) or {}
            return (found.get("items") or {}).get("properties") or {}
    return {}


async def version(client: Client) -> tuple[int, int]:
    """Kubernetes' version, such as (1, 36)."""
    answer = await client.read("/version", verb="discover", kind="version")
    return int(answer["major"]), int("".join(filter(str.isdecimal, answer["minor"])))


async def is_allowed(client: Client, attributes: Mapping[str, str]) -> bool:
    """Whether we may do this, as the API server judges. Stores nothing."""
    body = {
        "apiVersion": _REVIEW.api_version,
        "kind": _REVIEW.name,
        "spec": {"resourceAttributes": dict(attributes)},
    }
    path = paths.collection(_REVIEW, None)
    answer = await client.write("POST", path, "create", _REVIEW, body, fenced=False)
    return bool(answer["status"]["allowed"])
