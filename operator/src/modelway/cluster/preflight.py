"""Asked before anything starts: are our CRDs there, may we do what we must, is there a Gateway API."""

import asyncio
import logging
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from itertools import groupby

from modelway import kinds
from modelway.cluster import discovery, gateways
from modelway.cluster.api import ApiError
from modelway.cluster.client import Client
from modelway.cluster.discovery import GatewayApi
from modelway.kinds import Kind
from modelway.settings import Settings

PAUSE_SECONDS = 10.0

_READ = ("get", "list", "watch")
_FULL = (*_READ, "create", "patch", "delete")
_SCALED = (kinds.DEPLOYMENT,)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Right:
    """One thing that the operator must be allowed to do."""

    group: str
    resource: str
    subresource: str = ""
    namespace: str = ""
    """Empty: in all namespaces."""
    name: str = ""
    """Empty: whatever the name."""
    verb: str

    def attributes(self) -> Mapping[str, str]:
        """As the API server is asked."""
        return {field: value for field, value in asdict(self).items() if value}

    @property
    def target(self) -> str:
        """`deployments.apps/scale in all namespaces`."""
        resource = ".".join(filter(None, (self.resource, self.group)))
        parts = "/".join(filter(None, (resource, self.subresource, self.name)))
        return f"{parts} in {f'namespace {self.namespace}' if self.namespace else 'all namespaces'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """What was found."""

    version: tuple[int, int]
    gateway_api: GatewayApi

    @property
    def has_gateway(self) -> bool:
        """Whether HTTPRoutes are served."""
        return self.gateway_api.is_served

    @property
    def can_stream_lists(self) -> bool:
        """Whether a watch can begin with the objects themselves, at little cost in memory."""
        return self.version >= (1, 34)


class Preflight:
    """Asks until every answer is good, and says what is not."""

    def __init__(self, client: Client, settings: Settings) -> None:
        self._client = client
        self._settings = settings
        self.problem = "The pre-flight checks have not ended yet"
        """Why the operator does not start; empty when it does."""

    async def run(self) -> Cluster:
        """Wait until the cluster is fit."""
        while True:
            try:
                cluster, problem = await self.check()
            except ApiError as failure:
                cluster, problem = None, f"The API server cannot be asked: {failure}"
            if cluster is not None and not problem:
                self.problem = ""
                return cluster
            log.log(logging.ERROR if problem != self.problem else logging.INFO, "Waits: %s", problem)
            self.problem = problem
            await asyncio.sleep(PAUSE_SECONDS)

    async def check(self) -> tuple[Cluster, str]:
        """What was found, and what is wrong with it, empty when nothing is. Raises ApiError."""
        cluster = Cluster(
            version=await discovery.version(self._client),
            gateway_api=await discovery.gateway_api(self._client),
        )
        absent = [kind for kind in kinds.OWN_KINDS if not await discovery.is_served(self._client, kind)]
        if absent:
            return cluster, explain_kinds(absent)
        wanted = rights(self._settings, gateway=self._settings.gateway and cluster.has_gateway)
        allowed = await asyncio.gather(*(discovery.is_allowed(self._client, right.attributes()) for right in wanted))
        return cluster, explain_rights(right for right, yes in zip(wanted, allowed, strict=True) if not yes)


def rights(settings: Settings, *, gateway: bool) -> tuple[Right, ...]:
    """Everything that the operator does, no more."""
    scopes = settings.namespaces or ("",)
    spaced: list[tuple[Kind, str, tuple[str, ...]]] = [
        (kinds.MODEL_DEPLOYMENT, "", _READ),
        (kinds.MODEL_DEPLOYMENT, "status", ("update",)),
        (kinds.MODEL_RUNTIME, "", _READ),
        (kinds.POD, "", _READ),
        *((kind, "", _FULL) for kind in kinds.CHILD_KINDS if kind != kinds.POD),
        *((kind, "scale", ("patch",)) for kind in _SCALED),
        *(((kinds.HTTP_ROUTE, "", _FULL),) if gateway else ()),
        (kinds.EVENT, "", ("create",)),
    ]
    seeded = ("create", "patch") if settings.default_runtimes else ()
    shared: list[tuple[Kind, str, tuple[str, ...]]] = [
        (kinds.CLUSTER_MODEL_RUNTIME, "", (*_READ, *seeded)),
        *((kind, "", ("get", "list")) for kind in gateways.KINDS if gateway),
    ]
    return (
        *_expand(shared, ("",)),
        *_expand(spaced, scopes),
        *_lease_rights(settings),
    )


def _expand(rules: Iterable[tuple[Kind, str, tuple[str, ...]]], namespaces: tuple[str, ...]) -> Iterable[Right]:
    for kind, subresource, verbs in rules:
        for namespace in namespaces:
            for verb in verbs:
                yield Right(
                    group=kind.group,
                    resource=kind.plural,
                    subresource=subresource,
                    namespace=namespace,
                    verb=verb,
                )


def _lease_rights(settings: Settings) -> Iterable[Right]:
    """Only this one lease may be read and changed; RBAC cannot limit a creation to a name."""
    (create,) = _expand(((kinds.LEASE, "", ("create",)),), (settings.lease_namespace,))
    yield create
    for verb in ("get", "update"):
        yield replace(create, verb=verb, name=settings.lease_name)


def explain_kinds(absent: Iterable[Kind]) -> str:
    """Which CRDs lack, and where they come from."""
    crds = ", ".join(f"{kind.plural}.{kind.group}" for kind in absent)
    return (
        f"The cluster has no CustomResourceDefinition {crds}. Install the Helm chart with crds.install=true, "
        "or apply the files in crds/."
    )


def explain_rights(missing: Iterable[Right]) -> str:
    """One message that lists each kind with the verbs that lack; empty when none lacks."""
    by_target = groupby(sorted(missing, key=lambda right: right.target), key=lambda right: right.target)
    lines = [f"{', '.join(right.verb for right in rights)} {target}" for target, rights in by_target]
    if not lines:
        return ""
    return (
        f"The operator's service account lacks rights: {'; '.join(lines)}. Install the Helm chart's RBAC "
        "(rbac.create=true) or bind a role with these rules; it is checked again every 10 s."
    )
