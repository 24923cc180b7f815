"""What the cluster serves, and what we may do in it."""

from collections.abc import Mapping

from modelway.cluster import paths
from modelway.cluster.api import NotFound
from modelway.cluster.client import Client
from modelway.kinds import Kind

_REVIEW = Kind("authorization.k8s.io", "v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview", False)


async def is_served(client: Client, kind: Kind) -> bool:
    """Whether the API server knows the kind in this very version."""
    try:
        answer = await client.read(paths.group(kind), verb="discover", kind=kind.name)
    except NotFound:
        return False
    return any(resource["name"] == kind.plural for resource in answer.get("resources") or ())


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
