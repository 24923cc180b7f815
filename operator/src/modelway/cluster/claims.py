"""Which ModelDeployment claims which requests of a Gateway, and who of two came first. No I/O.

A claim is a host name and a path on a Gateway. Two of them meet where one request could be meant by both: names are
equal or one is a wildcard over the other, paths are of the same model or one takes every path.
"""

from collections.abc import Iterable, Iterator

from modelway import kinds
from modelway.cluster.snapshot import Claim, Key
from modelway.kinds import Kind, Manifest

_MODEL_PATH = "/v2/models/"
_Names = dict[str, set[Claim]]
"""Claims by the model in their paths."""


class Claims:
    """What the ModelDeployments ask for, found by Gateway, host name and path; and what their live routes have."""

    def __init__(self) -> None:
        self._wanted: dict[Key, frozenset[Claim]] = {}
        self._held: dict[Key, dict[str, frozenset[Claim]]] = {}
        self._births: dict[Key, str] = {}
        self._index: dict[Key, dict[str, _Names]] = {}
        self._below: dict[tuple[Key, str], set[str]] = {}
        """Of a Gateway and a domain: the host names claimed below it."""

    def want(self, owner: Key, manifest: Manifest) -> None:
        """Take the claims of a ModelDeployment's spec."""
        self._births[owner] = manifest["metadata"].get("creationTimestamp") or ""
        wanted = frozenset(of_spec(manifest))
        if wanted == self._wanted.get(owner, frozenset()):
            return
        self._forget_index(owner)
        self._wanted[owner] = wanted
        for claim in wanted:
            self._names(claim).setdefault(claim.model, set()).add(claim)
            for domain in _domains(claim.hostname):
                self._below.setdefault((claim.gateway, domain), set()).add(claim.hostname)

    def drop(self, owner: Key) -> None:
        """The ModelDeployment is gone."""
        self._forget_index(owner)
        self._wanted.pop(owner, None)
        self._births.pop(owner, None)

    def hold(self, owner: Key, route: Manifest) -> None:
        """Take what a live HTTPRoute of a ModelDeployment has."""
        self._held.setdefault(owner, {})[route["metadata"]["name"]] = frozenset(_of_route(owner, route))

    def release(self, owner: Key, route: Manifest) -> None:
        """That HTTPRoute is gone."""
        held = self._held.get(owner, {})
        held.pop(route["metadata"]["name"], None)
        if not held:
            self._held.pop(owner, None)

    def neighbours(self, kind: Kind, owner: Key, manifest: Manifest) -> tuple[Key, ...]:
        """Other ModelDeployments that claim something of what this ModelDeployment, or HTTPRoute of one, does."""
        found = {other.owner for claim in _of(kind, owner, manifest) for other in self._meeting(claim)}
        return tuple(sorted(found))

    def rival(self, owner: Key) -> Claim | None:
        """The first claim that came before one of this ModelDeployment."""
        found = (
            other
            for claim in self._wanted.get(owner, ())
            for other in self._meeting(claim)
            if self._is_before(other, claim)
        )
        return min(found, key=lambda claim: (self._age(claim.owner), claim.place), default=None)

    def _is_before(self, one: Claim, other: Claim) -> bool:
        """Whoever has the requests keeps them; between two who have or have not, the older one is first."""
        if self._is_held(one) != self._is_held(other):
            return self._is_held(one)
        return self._age(one.owner) < self._age(other.owner)

    def _is_held(self, claim: Claim) -> bool:
        return any(claim in held for held in self._held.get(claim.owner, {}).values())

    def _age(self, owner: Key) -> tuple[str, Key]:
        return self._births.get(owner, ""), owner

    def _names(self, claim: Claim) -> _Names:
        return self._index.setdefault(claim.gateway, {}).setdefault(claim.hostname, {})

    def _meeting(self, claim: Claim) -> Iterator[Claim]:
        """Claims of others that could mean the same request."""
        hostnames = self._index.get(claim.gateway, {})
        for hostname in self._covering(claim) & hostnames.keys():
            names = hostnames[hostname]
            found = (names.get(claim.model, ()), names.get("", ())) if claim.model else tuple(names.values())
            for other in {item for group in found for item in group}:
                if other.owner != claim.owner and _share_listener(one=claim, other=other):
                    yield other

    def _covering(self, claim: Claim) -> set[str]:
        """Host names that could mean the same host as this one."""
        if not claim.hostname:
            return set(self._index.get(claim.gateway, {}))
        found = {"", claim.hostname, *(f"*.{domain}" for domain in _domains(claim.hostname))}
        if claim.hostname.startswith("*."):
            found |= self._below.get((claim.gateway, claim.hostname.removeprefix("*.")), set())
        return found

    def _forget_index(self, owner: Key) -> None:
        for claim in self._wanted.get(owner, ()):
            hostnames = self._index[claim.gateway]
            names = hostnames[claim.hostname]
            names[claim.model].discard(claim)
            if not names[claim.model]:
                del names[claim.model]
            if not names:
                del hostnames[claim.hostname]
                for domain in _domains(claim.hostname):
                    self._below[claim.gateway, domain].discard(claim.hostname)


KINDS = (kinds.MODEL_DEPLOYMENT, kinds.HTTP_ROUTE)
"""Kinds of objects that claim something."""


def are_same(kind: Kind, owner: Key, one: Manifest, other: Manifest) -> bool:
    """Whether two states of an object claim the same."""
    return set(_of(kind, owner, one)) == set(_of(kind, owner, other))


def _of(kind: Kind, owner: Key, manifest: Manifest) -> Iterator[Claim]:
    return of_spec(manifest) if kind == kinds.MODEL_DEPLOYMENT else _of_route(owner, manifest)


def of_spec(manifest: Manifest) -> Iterator[Claim]:
    """What a ModelDeployment asks for: its host names, and those of its previews."""
    metadata, spec = manifest["metadata"], manifest.get("spec") or {}
    traffic, trial = spec.get("traffic") or {}, (spec.get("rollout") or {}).get("blueGreen") or {}
    owner = (metadata["namespace"], metadata["name"])
    model = "" if traffic.get("paths") == "All" else (spec.get("model") or {}).get("name") or metadata["name"]
    hostnames = [*(traffic.get("hostnames") or [""]), *(trial.get("previewHostnames") or ())]
    yield from _claims(owner, traffic.get("parentRefs") or (), hostnames, {model})


def _of_route(owner: Key, route: Manifest) -> Iterator[Claim]:
    spec = route["spec"]
    paths = [
        (match.get("path") or {}).get("value", "/")
        for rule in spec.get("rules") or ()
        for match in rule.get("matches") or ()
    ]
    models = {path.removeprefix(_MODEL_PATH) for path in paths if path.startswith(_MODEL_PATH)}
    models |= {""} if "/" in paths else set()
    yield from _claims(owner, spec.get("parentRefs") or (), spec.get("hostnames") or [""], models)


def _claims(
    owner: Key, parents: Iterable[Manifest], hostnames: Iterable[str], models: Iterable[str]
) -> Iterator[Claim]:
    hostnames, models = tuple(hostnames), tuple(models)
    for parent in parents:
        # Whoever got round the schema may have left anything out.
        if parent.get("kind", kinds.GATEWAY.name) != kinds.GATEWAY.name or not parent.get("name"):
            continue
        for hostname in hostnames:
            for model in models:
                yield Claim(
                    owner=owner,
                    gateway=(parent.get("namespace") or owner[0], parent["name"]),
                    section=parent.get("sectionName") or "",
                    port=parent.get("port") or 0,
                    hostname=hostname,
                    model=model,
                )


def _share_listener(*, one: Claim, other: Claim) -> bool:
    is_same_section = not one.section or not other.section or one.section == other.section
    return is_same_section and (not one.port or not other.port or one.port == other.port)


def _domains(hostname: str) -> Iterator[str]:
    """The domains that a host name lies below: `a.b.c` below `b.c` and `c`; `*.b.c` too."""
    labels = hostname.split(".")
    for index in range(1, len(labels)):
        yield ".".join(labels[index:])
