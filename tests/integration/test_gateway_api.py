"""The real CRDs of the Gateway API: what is found out about them, and whether they take our routes as they are."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from cluster import control_plane, tools
from cluster.gateway import without_descriptions
from cluster.versions import GATEWAY_API
from modelway import kinds
from modelway.api import CandidateMatch, Traffic
from modelway.cluster import discovery, gateway
from modelway.cluster.api import Invalid
from modelway.cluster.cache import Cache
from modelway.cluster.client import Client
from modelway.cluster.discovery import GatewayApi
from modelway.cluster.intake import Intake
from modelway.cluster.queue import WorkQueue
from modelway.cluster.session import Connection
from modelway.cluster.sync import Sync
from modelway.cluster.transport import Transport
from modelway.cluster.watched import watched
from modelway.kinds import Manifest
from modelway.metrics import Metrics
from modelway.resources import traffic
from modelway.resources.merge import holds
from modelway.resources.metadata import Parent
from modelway.resources.traffic import OPTIONAL_FIELDS, Division, Mirror

FIELDS = {"standard": frozenset({"name"}), "experimental": frozenset(OPTIONAL_FIELDS)}
PATIENCE_SECONDS = 60.0
WEIGHTS = {"fraud-1": 90, "fraud-2": 10}
BETA = CandidateMatch.model_validate({"headers": [{"name": "x-cohort", "value": "beta"}]})


@pytest.fixture
async def client(plane: control_plane.Running) -> AsyncIterator[Client]:
    connection = await Connection.open(kubeconfig=plane.kubeconfig)
    async with connection.session() as session:
        yield Client(Transport(session, connection.server, metrics=Metrics()))


@pytest.fixture(params=list(FIELDS))
def channel(request: pytest.FixtureRequest, kubectl: Any, tmp_path: Path) -> Iterator[str]:
    """The CRD of HTTPRoutes of one channel, which is gone after the test."""
    name: str = request.param
    folder = tools.module_folder("sigs.k8s.io/gateway-api", GATEWAY_API) / "config" / "crd" / name
    path = tmp_path / "httproutes.yaml"
    path.write_text(without_descriptions((folder / "gateway.networking.k8s.io_httproutes.yaml").read_text()))
    kubectl.install(path)
    yield name
    kubectl("delete", "-f", str(path), "--wait=true")


async def found(client: Client, wanted: GatewayApi) -> GatewayApi:
    """What is installed, once it is as wanted: the schema is published some seconds after the CRD."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while (seen := await discovery.gateway_api(client)) != wanted:
            await asyncio.sleep(0.1)
    return seen


async def test_the_fields_of_a_rule_are_those_of_the_installed_channel(client: Client, channel: str) -> None:
    assert await found(client, GatewayApi(is_served=True, rule_fields=FIELDS[channel]))


async def test_another_channel_is_noticed_while_a_model_has_a_gateway(client: Client, channel: str) -> None:
    cache = Cache()
    metadata = {"namespace": "a", "name": "b", "uid": "c", "resourceVersion": "1"}
    spec = {"traffic": {"parentRefs": [{"name": "public"}]}}
    cache.store(kinds.MODEL_DEPLOYMENT, {"metadata": metadata, "spec": spec})
    async with asyncio.timeout(PATIENCE_SECONDS):
        await gateway.change(client, cache, GatewayApi(is_served=True), pause=0.1)


def section(channel: str, **more: Any) -> Traffic:
    fields: Manifest = {
        "parentRefs": [{"name": "public"}, {"name": "private", "sectionName": "https", "port": 443}],
        "hostnames": ["a.example.com"],
        "timeouts": {"request": "10s"},
        "filters": [{"type": "RequestHeaderModifier", "requestHeaderModifier": {"remove": ["x-secret"]}}],
    }
    if channel == "experimental":
        fields["sessionPersistence"] = {"sessionName": "fraud"}
    return Traffic.model_validate(fields | more)


def whole(channel: str, namespace: str) -> list[Manifest]:
    """Routes with everything that they can have."""
    parent = Parent(namespace=namespace, name="fraud", uid="00000000-0000-0000-0000-000000000001")
    division = Division(
        weights=WEIGHTS,
        grpc=WEIGHTS,
        candidate="fraud-2",
        matches=(BETA,) * 2,
        speaks_grpc=True,
        mirror=Mirror(service="fraud-shadow", percent=20),
    )
    shown = Division(weights={"fraud-2": 100}, grpc={"fraud-2": 100})
    fields = FIELDS[channel]
    everything = section(channel, paths="All")
    return [
        traffic.route(parent, everything, "fraud", division, fields=fields),
        traffic.preview_route(parent, everything, "fraud", shown, hostnames=("p.example.com",), fields=fields),
    ]


@pytest.mark.parametrize("of_user", [{"remove": ["x-secret"]}, {"set": [{"name": "x-a", "value": "b"}]}, None])
async def test_the_mark_of_a_comparator_is_removed_beside_mirror_and_filters_of_the_user(
    client: Client, channel: str, namespace: str, of_user: Manifest | None
) -> None:
    theirs = [{"type": "RequestHeaderModifier", "requestHeaderModifier": of_user}] if of_user else []
    others = [{"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "log", "port": 80}}}] * 13
    parent = Parent(namespace=namespace, name="fraud", uid="00000000-0000-0000-0000-000000000001")
    division = Division(weights=WEIGHTS, grpc=WEIGHTS, mirror=Mirror(service="fraud-shadow", percent=20))
    spec = section(channel, paths="All", filters=[*theirs, *others])
    manifest = traffic.route(parent, spec, "fraud", division, fields=FIELDS[channel])
    stored = await client.create(kinds.HTTP_ROUTE, manifest)
    assert holds(stored, manifest)
    for rule in stored["spec"]["rules"]:
        assert rule["filters"][0]["requestHeaderModifier"]["remove"][0] == "modelway-shadow"
    for change in ({"remove": []}, {"set": [{"name": "modelway-shadow", "value": "1"}]}):
        altered = json.loads(json.dumps(stored))
        altered["spec"]["rules"][-1]["filters"][0]["requestHeaderModifier"] |= change
        assert not holds(altered, manifest)


@pytest.mark.usefixtures("channel")
async def test_routes_are_stored_as_they_are_wanted_and_need_no_second_write(
    client: Client, channel: str, namespace: str
) -> None:
    for manifest in whole(channel, namespace):
        stored = await client.create(kinds.HTTP_ROUTE, manifest)
        assert holds(stored, manifest)
        again = await client.apply(kinds.HTTP_ROUTE, manifest)
        assert holds(again, manifest)
        assert again["metadata"]["generation"] == stored["metadata"]["generation"]


async def test_the_longest_lists_fit(client: Client, channel: str, namespace: str) -> None:
    header = {"headers": [{"name": f"x-{number}", "value": "v" * 256} for number in range(8)]}
    matches = (CandidateMatch.model_validate(header),) * 8
    parent = Parent(namespace=namespace, name="fraud", uid="00000000-0000-0000-0000-000000000001")
    division = Division(weights=WEIGHTS, candidate="fraud-2", matches=matches)
    await client.create(
        kinds.HTTP_ROUTE, traffic.route(parent, section(channel), "fraud", division, fields=FIELDS[channel])
    )


async def test_a_field_of_another_channel_is_refused_which_is_why_we_ask(
    client: Client, channel: str, namespace: str
) -> None:
    parent = Parent(namespace=namespace, name="fraud", uid="00000000-0000-0000-0000-000000000001")
    held = section(channel, sessionPersistence={"type": "Cookie"})
    manifest = traffic.route(parent, held, "fraud", Division(weights=WEIGHTS), fields=OPTIONAL_FIELDS)
    if channel == "experimental":
        await client.create(kinds.HTTP_ROUTE, manifest)
        return
    with pytest.raises(Invalid, match="sessionPersistence"):
        await client.create(kinds.HTTP_ROUTE, manifest)
    await client.create(
        kinds.HTTP_ROUTE, traffic.route(parent, held, "fraud", Division(weights=WEIGHTS), fields=FIELDS[channel])
    )


@pytest.fixture
def gateways(kubectl: Any, tmp_path: Path) -> Iterator[str]:
    """The CRDs of Gateways and their classes, with a class that reports features and a Gateway of it; its namespace."""
    folder = tools.module_folder("sigs.k8s.io/gateway-api", GATEWAY_API) / "config" / "crd" / "standard"
    path = tmp_path / "gateways.yaml"
    texts = [(folder / f"gateway.networking.k8s.io_{name}.yaml").read_text() for name in ("gateways", "gatewayclasses")]
    path.write_text("\n---\n".join(map(without_descriptions, texts)))
    kubectl.install(path)
    kubectl("create", "namespace", "gateways-of-a-test")
    yield "gateways-of-a-test"
    kubectl("delete", "namespace", "gateways-of-a-test", "--wait=false")
    kubectl("delete", "-f", str(path), "--wait=true")


async def test_features_are_read_from_the_class_of_a_gateway_in_another_namespace(
    client: Client, kubectl: Any, gateways: str
) -> None:
    feature = "HTTPRouteRequestPercentageMirror"
    manifests = [
        {
            "apiVersion": kinds.GATEWAY_CLASS.api_version,
            "kind": kinds.GATEWAY_CLASS.name,
            "metadata": {"name": "test"},
            "spec": {"controllerName": "example.com/controller"},
        },
        {
            "apiVersion": kinds.GATEWAY.api_version,
            "kind": kinds.GATEWAY.name,
            "metadata": {"name": "public", "namespace": gateways},
            "spec": {
                "gatewayClassName": "test",
                "listeners": [{"name": "http", "port": 80, "protocol": "HTTP"}],
            },
        },
    ]
    kubectl("apply", "-f-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": manifests}))
    cache, metrics = Cache(), Metrics()
    parent = {"name": "public", "namespace": gateways}
    metadata = {"namespace": "a", "name": "b", "uid": "c", "resourceVersion": "1"}
    cache.store(kinds.MODEL_DEPLOYMENT, {"metadata": metadata, "spec": {"traffic": {"parentRefs": [parent]}}})
    queue = WorkQueue()
    scope = watched(gateway=True, namespaces=("a",))
    sync = Sync(client, cache, Intake(cache, queue, metrics), watched=scope, metrics=metrics)
    for kind in scope.polled:
        await sync.sweep(kind)
    assert cache.snapshot(("a", "b")).gateway_features == frozenset()
    status = {"status": {"supportedFeatures": [{"name": feature}]}}
    kubectl("patch", "gatewayclass", "test", "--subresource=status", "--type=merge", "-p", json.dumps(status))
    assert await sync.sweep(kinds.GATEWAY_CLASS) == 1
    assert cache.snapshot(("a", "b")).gateway_features == {feature}
