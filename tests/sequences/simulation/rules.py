"""How a gateway reads HTTPRoutes: which rule a request falls under, and who may get it. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from modelway.kinds import Manifest

RESTING = "modelway-resting"
GRPC_PATHS = ("/inference.GRPCInferenceService",)
GRPC = "/inference.GRPCInferenceService/ModelInfer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a client sends."""

    host: str = "fraud.example.com"
    path: str = "/v2/models/fraud/infer"
    headers: Mapping[str, str] = field(default_factory=dict)
    session: str = ""
    """Service that the client's cookie names."""


def shared(route: Manifest | None) -> Manifest:
    """The rule that divides all requests that no more special rule takes."""
    rules: list[Manifest] = (route or {}).get("spec", {}).get("rules") or []
    return next((rule for rule in rules if purpose(rule) == "all"), {})


def purpose(rule: Manifest) -> str:
    """What a rule of ours is for; nothing, where it only keeps its place."""
    matches = rule.get("matches") or ()
    if any(header["name"] == RESTING for match in matches for header in match.get("headers") or ()):
        return ""
    is_grpc = bool(matches) and all(match.get("path", {}).get("value") in GRPC_PATHS for match in matches)
    return ("special " if asks_for_headers(rule) else "") + ("grpc" if is_grpc else "all")


def asks_for_headers(rule: Manifest) -> bool:
    """Whether only requests with certain headers fall under it."""
    return any(match.get("headers") for match in rule.get("matches") or ())


def weights(route: Manifest | None) -> dict[str, int]:
    """Weights of that rule, by Service."""
    return {item["name"]: item.get("weight", 1) for item in shared(route).get("backendRefs") or ()}


def matched(route: Manifest | None) -> set[str]:
    """Services that requests with certain headers go to."""
    rules = (route or {}).get("spec", {}).get("rules") or ()
    special = (rule for rule in rules if purpose(rule).startswith("special"))
    return {item["name"] for rule in special for item in rule.get("backendRefs") or ()}


def reached(route: Manifest) -> frozenset[str]:
    """Services that some request may get to: with sessions also those of weight 0."""
    return frozenset(
        item["name"]
        for rule in route["spec"].get("rules") or ()
        for item in rule.get("backendRefs") or ()
        if item.get("weight", 1) or "sessionPersistence" in rule
    )


def answering(routes: Iterable[Manifest], request: Request) -> dict[str, int]:
    """Services that may get the request, with their weights; none where no rule takes it."""
    rule = taken(routes, request)
    backends = {item["name"]: item.get("weight", 1) for item in rule.get("backendRefs") or ()}
    if "sessionPersistence" in rule and request.session in backends:
        return {request.session: 100}
    return {name: weight for name, weight in backends.items() if weight}


def mirrors(routes: Iterable[Manifest], request: Request) -> dict[str, int]:
    """Services that get a copy of the request, with the percentage."""
    filters = taken(routes, request).get("filters") or ()
    copies = (item["requestMirror"] for item in filters if item["type"] == "RequestMirror")
    return {copy["backendRef"]["name"]: copy.get("percent", 100) for copy in copies}


def passed(rule: Manifest, headers: Mapping[str, str]) -> dict[str, str]:
    """The headers of a request as a rule's filter lets them through: it sets and adds, then removes."""
    filters = (item for item in rule.get("filters") or () if item["type"] == "RequestHeaderModifier")
    modifier: Manifest = next((item["requestHeaderModifier"] for item in filters), {})
    given = {name.lower(): value for name, value in headers.items()}
    for item in (*(modifier.get("set") or ()), *(modifier.get("add") or ())):
        given[item["name"].lower()] = item["value"]
    removed = {name.lower() for name in modifier.get("remove") or ()}
    return {name: value for name, value in given.items() if name not in removed}


def taken(routes: Iterable[Manifest], request: Request) -> Manifest:
    """The rule that takes the request: by host name, path, number of headers, then age of the route and order."""
    found: list[tuple[Any, Manifest]] = []
    for route in routes:
        host = max(
            (_host(name, request.host) for name in route["spec"].get("hostnames") or [""]), default=None, key=_or_least
        )
        for number, rule in enumerate(route["spec"].get("rules") or ()):
            for match in rule.get("matches") or ():
                place = _path(match.get("path") or {}, request.path)
                if host is not None and place is not None and _headers(match, request):
                    age = route["metadata"].get("creationTimestamp", ""), route["metadata"]["name"]
                    rank = (-host, *(-part for part in place), -len(match.get("headers") or ()), age, number)
                    found.append((rank, rule))
    return min(found, key=lambda item: item[0], default=((), {}))[1]


def _or_least(value: int | None) -> int:
    return -1 if value is None else value


def _host(pattern: str, host: str) -> int | None:
    """How special a host name is; None where it is another one."""
    if not pattern:
        return 0
    if pattern == host:
        return 1000
    return len(pattern) if pattern.startswith("*.") and host.endswith(pattern[1:]) else None


def _path(match: Manifest, path: str) -> tuple[int, int] | None:
    kind, value = match.get("type", "PathPrefix"), match.get("value", "/")
    if kind == "Exact":
        return (1, len(value)) if path == value else None
    is_below = value in ("/", path) or path.startswith(value.rstrip("/") + "/")
    return (0, len(value)) if is_below else None


def _headers(match: Manifest, request: Request) -> bool:
    given = {name.lower(): value for name, value in request.headers.items()}
    return all(given.get(item["name"].lower()) == item["value"] for item in match.get("headers") or ())
