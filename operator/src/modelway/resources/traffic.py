"""The ways in to a model: its own Service, the preview of a candidate, and the HTTPRoutes. Pure."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from modelway import kinds, names
from modelway.api import CandidateMatch, Traffic
from modelway.kinds import Manifest
from modelway.resources import places
from modelway.resources.metadata import Parent, child, intent, selector
from modelway.resources.places import GRPC

REST_PORT, GRPC_PORT = 80, 8001
"""Of every Service of ours."""

OPTIONAL_FIELDS = ("name", "sessionPersistence")
"""Fields of an HTTPRoute rule that not every installed Gateway API has; the API server refuses unknown ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirror:
    """A Service that gets a copy of a share of the requests; nobody waits for its answers, which are dropped."""

    service: str
    percent: int
    """1 to 100."""
    port: int = REST_PORT


@dataclass(frozen=True, slots=True, kw_only=True)
class Division:
    """Which revisions get which requests."""

    weights: Mapping[str, int]
    """Percent by revision."""
    grpc: Mapping[str, int] = field(default_factory=dict)
    """The same of gRPC calls; empty: they are not routed."""
    candidate: str = ""
    """Revision that gets the requests that match, whatever the weights; empty: none does."""
    matches: tuple[CandidateMatch, ...] = ()
    speaks_grpc: bool = False
    """Whether that revision has a port for gRPC."""
    mirror: Mirror | None = None
    live: tuple[Manifest, ...] = ()
    """The rules of the route as it is, whose places are kept."""
    is_confirmed: bool = True
    """Whether the gateway has them, so that new ones among them may lead."""
    coming: tuple[str, ...] = ()
    """Kinds of rules that will soon lead a candidate its requests, and take their places beforehand."""
    is_quiet: bool = False
    """Whether they have been in force for long, so that what rests at their end may go."""


def service(parent: Parent, revision: str, ports: list[Manifest]) -> Manifest:
    """The Service that callers inside the cluster use: one revision's pods, or (without one) all of the model's."""
    spec: Manifest = {"selector": selector(parent.name, revision), "ports": ports}
    return child(kinds.SERVICE, parent, names.service(parent.name), annotations=intent(spec)) | {"spec": spec}


def preview_service(parent: Parent, revision: str, ports: list[Manifest]) -> Manifest:
    """The Service that leads to the candidate's pods. It lives as long as one rollout, and selects one revision."""
    labels = {names.REVISION_LABEL: revision}
    return child(kinds.SERVICE, parent, names.preview(parent.name), labels=labels) | {
        "spec": {"selector": selector(parent.name, revision), "ports": ports}
    }


def route(parent: Parent, traffic: Traffic, model: str, division: Division, *, fields: Collection[str]) -> Manifest:
    """The HTTPRoute: for each path of the model the same weights over the revisions' Services.

    Its lists are replaced as wholes by every writer, so the operator owns the object alone; users bring their filters
    and timeouts through the ModelDeployment. What they leave out is written as empty, so that it goes when they take
    it back. `fields`: which of `OPTIONAL_FIELDS` the cluster knows; the others are left out.
    """
    return _route(
        names.route(parent.name), parent, traffic, _placed(_rules(traffic, model, division), division), fields
    )


def preview_route(
    parent: Parent,
    traffic: Traffic,
    model: str,
    division: Division,
    *,
    hostnames: tuple[str, ...],
    fields: Collection[str],
) -> Manifest:
    """The HTTPRoute that leads from the preview host names to the candidate. Nobody is held to it by a session."""
    shown = traffic.model_copy(update={"hostnames": hostnames, "session_persistence": None})
    return _route(names.preview(parent.name), parent, shown, _placed(_rules(shown, model, division), division), fields)


def _placed(rules: Iterator[Manifest], division: Division) -> list[Manifest]:
    return places.placed(
        tuple(rules),
        division.live,
        coming=division.coming,
        is_confirmed=division.is_confirmed,
        is_quiet=division.is_quiet,
    )


def _route(name: str, parent: Parent, traffic: Traffic, rules: Iterable[Manifest], fields: Collection[str]) -> Manifest:
    spec: Manifest = {
        "parentRefs": [_PARENT | item.model_dump(by_alias=True, exclude_none=True) for item in traffic.parent_refs],
        "hostnames": list(traffic.hostnames),
        "rules": [_known(rule, fields) for rule in rules],
    }
    return child(kinds.HTTP_ROUTE, parent, name, annotations=intent(spec)) | {"spec": spec}


def reweighted(parent: Parent, live: Manifest, division: Division) -> Manifest:
    """A live route as it is, but for the shares; no rule leads requests that match, or gRPC that nobody speaks."""
    found = live["spec"].get("rules") or ()
    rest = {"backendRefs": _backends(division.weights, REST_PORT)}
    shared = next((rule | rest for rule in found if places.kind(rule) == places.REST), rest)
    rules = []
    for rule in found:
        kind = places.kind(rule)
        if kind == places.CALLS and division.grpc and not places.is_resting(rule):
            rules.append(rule | {"backendRefs": _backends(division.grpc, GRPC_PORT)})
        else:
            rules.append(rule | rest if kind == places.REST else places.resting(kind, shared))
    head = child(kinds.HTTP_ROUTE, parent, live["metadata"]["name"])
    return head | {"spec": live["spec"] | {"rules": rules}}


_PARENT: Manifest = {"group": "gateway.networking.k8s.io", "kind": "Gateway"}


def _known(rule: Manifest, fields: Collection[str]) -> Manifest:
    return {key: value for key, value in rule.items() if key not in OPTIONAL_FIELDS or key in fields}


def _rules(traffic: Traffic, model: str, division: Division) -> Iterator[Manifest]:
    """For all requests, for gRPC by its path, for requests that match: a gateway takes the most specific one."""
    rest = _persistent(traffic, _rule(traffic, places.REST, _paths(traffic, model), division.weights, REST_PORT))
    yield rest | {"filters": [*rest["filters"], *_mirrored(division.mirror)]}
    if division.grpc:
        yield _persistent(traffic, _rule(traffic, places.CALLS, [GRPC], division.grpc, GRPC_PORT))
    cohort = {division.candidate: 100}
    if division.candidate:
        yield _rule(traffic, places.CANDIDATE, _narrowed(_paths(traffic, model), division.matches), cohort, REST_PORT)
    if division.candidate and division.speaks_grpc:
        yield _rule(traffic, places.CANDIDATE_CALLS, _narrowed([GRPC], division.matches), cohort, GRPC_PORT)


def _rule(traffic: Traffic, name: str, matches: list[Manifest], weights: Mapping[str, int], port: int) -> Manifest:
    return {
        "name": name,
        "matches": matches,
        "backendRefs": _backends(weights, port),
        "timeouts": traffic.timeouts or {},
        "filters": _unmarked(traffic.filters),
    }


def _unmarked(filters: tuple[Manifest, ...]) -> list[Manifest]:
    """The user's filters, and that no caller passes for a comparator, whose requests are no evidence.

    A comparator asks the revisions' Services itself, so its requests pass no route. A rule may have one filter for the
    headers of requests, so where the user has one ours is laid into it.
    """
    of_user = next((item for item in filters if item.get("type") == _REQUEST_HEADERS), None)
    if of_user is None:
        return [{"type": _REQUEST_HEADERS, "requestHeaderModifier": _removing({})}, *filters]
    unmarked = of_user | {"requestHeaderModifier": _removing(of_user.get("requestHeaderModifier") or {})}
    return [unmarked if item is of_user else item for item in filters]


_REQUEST_HEADERS = "RequestHeaderModifier"


def _removing(modifier: Manifest) -> Manifest:
    """Names of headers are compared without regard to case."""
    removed = [name for name in modifier.get("remove") or () if name.lower() != names.SHADOW_HEADER]
    return modifier | {"remove": [names.SHADOW_HEADER, *removed]}


def _backends(weights: Mapping[str, int], port: int) -> list[Manifest]:
    """Those with a share: a session would hold its client also to one of weight 0."""
    return [
        {"group": "", "kind": "Service", "name": revision, "port": port, "weight": weight}
        for revision, weight in weights.items()
        if weight
    ]


def _persistent(traffic: Traffic, rule: Manifest) -> Manifest:
    """With the sessions that the user asked for.

    Not so the rules for requests that match: they lead to the candidate only while they match, and no session
    outlives them.
    """
    return rule | (
        {"sessionPersistence": traffic.session_persistence} if traffic.session_persistence is not None else {}
    )


def _mirrored(mirror: Mirror | None) -> Iterator[Manifest]:
    if mirror is None:
        return
    target = {"group": "", "kind": "Service", "name": mirror.service, "port": mirror.port}
    share = {"percent": mirror.percent} if mirror.percent < 100 else {}
    yield {"type": "RequestMirror", "requestMirror": {"backendRef": target} | share}


def _paths(traffic: Traffic, model: str) -> list[Manifest]:
    if traffic.paths == "All":
        return [{"path": {"type": "PathPrefix", "value": "/"}}]
    prefixes = [f"/v1/models/{model}", f"/v2/models/{model}"]
    return [
        *({"path": {"type": "PathPrefix", "value": prefix}} for prefix in prefixes),
        {"path": {"type": "Exact", "value": f"/v1/models/{model}:predict"}},
    ]


def _narrowed(paths: list[Manifest], matches: tuple[CandidateMatch, ...]) -> list[Manifest]:
    """Each path for requests with the headers of each match."""
    return [
        path | {"headers": [{"type": "Exact", "name": item.name, "value": item.value} for item in match.headers]}
        for match in matches
        for path in paths
    ]
