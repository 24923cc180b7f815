"""Label selectors, and which pods a Service sends requests to. Pure."""

from collections.abc import Iterable, Mapping

from modelway import names
from modelway.kinds import Manifest


def matches(selector: str, labels: Mapping[str, str]) -> bool:
    """Whether labels satisfy `a=b,c!=d,e,!f`."""
    return all(_term(term.strip(), labels) for term in selector.split(",") if term.strip())


def _term(term: str, labels: Mapping[str, str]) -> bool:
    if "!=" in term:
        key, value = term.split("!=", 1)
        return labels.get(key) != value
    if "=" in term:
        key, value = term.replace("==", "=").split("=", 1)
        return labels.get(key) == value
    if term.startswith("!"):
        return term[1:] not in labels
    return term in labels


def contains(labels: Mapping[str, str], selector: Mapping[str, str]) -> bool:
    """Whether labels have every pair of a map selector."""
    return all(labels.get(key) == value for key, value in selector.items())


def labels(manifest: Manifest) -> dict[str, str]:
    """An object's labels."""
    return manifest["metadata"].get("labels") or {}


def revision(manifest: Manifest) -> str:
    """The hash of the revision that an object belongs to, "" for none."""
    return str(labels(manifest).get(names.REVISION_LABEL, ""))


def is_ready(pod: Manifest) -> bool:
    """Whether an EndpointSlice lists the pod as ready: the Ready condition, and not terminating."""
    if "deletionTimestamp" in pod["metadata"]:
        return False
    conditions = pod.get("status", {}).get("conditions") or ()
    return any(item["type"] == "Ready" and item["status"] == "True" for item in conditions)


def endpoints(service: Manifest, pods: Iterable[Manifest]) -> list[Manifest]:
    """The ready pods that a Service selects."""
    selector = service.get("spec", {}).get("selector") or {}
    if not selector:
        return []
    namespace = service["metadata"].get("namespace")
    return [
        pod
        for pod in pods
        if pod["metadata"].get("namespace") == namespace and contains(labels(pod), selector) and is_ready(pod)
    ]
