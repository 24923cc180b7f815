"""The client against a real API server: every verb, every error, and what server-side apply does to our fields."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster import control_plane
from modelway import kinds, names
from modelway.cluster import gateway
from modelway.cluster.api import AlreadyExists, ApiError, Conflict, Invalid, NotFound
from modelway.cluster.cache import Cache
from modelway.cluster.client import Client
from modelway.cluster.discovery import GatewayApi
from modelway.cluster.intake import Intake
from modelway.cluster.lease import Election
from modelway.cluster.queue import WorkQueue
from modelway.cluster.session import Connection
from modelway.cluster.sync import Sync
from modelway.cluster.transport import Transport
from modelway.cluster.watched import watched
from modelway.kinds import Kind, Manifest
from modelway.metrics import Metrics

OTHER_UID = "00000000-0000-0000-0000-000000000000"


@pytest.fixture
async def client(plane: control_plane.Running) -> AsyncIterator[Client]:
    connection = await Connection.open(kubeconfig=plane.kubeconfig)
    async with connection.session() as session:
        yield Client(Transport(session, connection.server, metrics=Metrics()))


def config_map(namespace: str, *, name: str = "thing", **data: str) -> Manifest:
    metadata = {"namespace": namespace, "name": name, "labels": {names.MANAGED_BY_LABEL: names.MANAGED_BY}}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def deployment(namespace: str) -> Manifest:
    labels = {"app": "thing"}
    container = {"name": "model", "image": "example.com/none"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"namespace": namespace, "name": "thing"},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }


def model(namespace: str, **traffic: Any) -> Manifest:
    return {
        "apiVersion": names.API_VERSION,
        "kind": "ModelDeployment",
        "metadata": {"namespace": namespace, "name": "iris"},
        "spec": {"model": {"uri": "s3://models/iris", "format": "onnx"}, "traffic": traffic},
    }


async def test_an_object_is_created_read_listed_and_deleted(client: Client, namespace: str) -> None:
    created = await client.create(kinds.CONFIG_MAP, config_map(namespace, a="1"))
    assert await client.get(kinds.CONFIG_MAP, namespace, "thing") == created
    (listed,) = await client.list(kinds.CONFIG_MAP, namespace, names.CHILD_SELECTOR)
    assert (listed["kind"], listed["apiVersion"], listed["data"]) == ("ConfigMap", "v1", {"a": "1"})
    await client.delete(kinds.CONFIG_MAP, namespace, "thing", created["metadata"]["uid"])
    with pytest.raises(NotFound, match="thing"):
        await client.get(kinds.CONFIG_MAP, namespace, "thing")
    await client.delete(kinds.CONFIG_MAP, namespace, "thing", created["metadata"]["uid"])


async def test_27_a_second_birth_is_refused_as_such(client: Client, namespace: str) -> None:
    await client.create(kinds.CONFIG_MAP, config_map(namespace))
    with pytest.raises(AlreadyExists):
        await client.create(kinds.CONFIG_MAP, config_map(namespace))


async def test_an_unknown_or_wrong_field_is_refused_by_name(client: Client, namespace: str) -> None:
    unknown = deployment(namespace)
    unknown["spec"]["template"]["spec"]["nodeSelektor"] = {}
    with pytest.raises(Invalid, match="nodeSelektor"):
        await client.create(kinds.DEPLOYMENT, unknown, dry_run=True)
    with pytest.raises(Invalid) as caught:
        await client.apply(kinds.DEPLOYMENT, unknown, dry_run=True)
    assert caught.value.causes == (("spec.template.spec.nodeSelektor", "field not declared in schema"),)
    wrong = deployment(namespace)
    wrong["spec"]["template"]["spec"]["containers"][0]["name"] = "No Name"
    with pytest.raises(Invalid) as caught:
        await client.apply(kinds.DEPLOYMENT, wrong, dry_run=True)
    assert caught.value.causes[0][0] == "spec.template.spec.containers[0].name"


async def test_an_amount_that_is_none_is_refused_and_not_taken_for_an_outage(client: Client, namespace: str) -> None:
    wrong = deployment(namespace)
    wrong["spec"]["template"]["spec"]["containers"][0]["resources"] = {"limits": {"memory": "1GB"}}
    with pytest.raises(Invalid, match="quantities must match"):
        await client.apply(kinds.DEPLOYMENT, wrong, dry_run=True)


async def test_a_dry_run_changes_nothing(client: Client, namespace: str) -> None:
    await client.create(kinds.CONFIG_MAP, config_map(namespace), dry_run=True)
    await client.apply(kinds.CONFIG_MAP, config_map(namespace), dry_run=True)
    assert await client.list(kinds.CONFIG_MAP, namespace, names.CHILD_SELECTOR) == []


async def test_64_only_the_object_that_was_meant_is_deleted(client: Client, namespace: str) -> None:
    created = await client.create(kinds.CONFIG_MAP, config_map(namespace))
    with pytest.raises(Conflict):
        await client.delete(kinds.CONFIG_MAP, namespace, "thing", OTHER_UID)
    with pytest.raises(Conflict):
        await client.delete(kinds.CONFIG_MAP, namespace, "thing", created["metadata"]["uid"], "1")
    assert await client.get(kinds.CONFIG_MAP, namespace, "thing")


async def test_62_an_apply_after_a_change_by_others_conflicts_when_it_names_a_version(
    client: Client, namespace: str
) -> None:
    created = await client.create(kinds.CONFIG_MAP, config_map(namespace, a="1"))
    await client.apply(kinds.CONFIG_MAP, config_map(namespace, a="2"))
    planned = config_map(namespace, a="3")
    planned["metadata"]["resourceVersion"] = created["metadata"]["resourceVersion"]
    with pytest.raises(Conflict):
        await client.apply(kinds.CONFIG_MAP, planned)


async def test_64_an_apply_to_an_object_that_is_gone_or_another_one_creates_nothing(
    client: Client, namespace: str
) -> None:
    created = await client.create(kinds.CONFIG_MAP, config_map(namespace, a="1"))
    meant = config_map(namespace, a="2")
    meant["metadata"]["uid"] = created["metadata"]["uid"]
    assert (await client.apply(kinds.CONFIG_MAP, meant))["data"] == {"a": "2"}
    await client.delete(kinds.CONFIG_MAP, namespace, "thing", created["metadata"]["uid"])
    with pytest.raises(Conflict):
        await client.apply(kinds.CONFIG_MAP, meant)
    await client.create(kinds.CONFIG_MAP, config_map(namespace, a="3"))
    with pytest.raises(Conflict):
        await client.apply(kinds.CONFIG_MAP, meant)
    assert (await client.get(kinds.CONFIG_MAP, namespace, "thing"))["data"] == {"a": "3"}


async def test_a_field_of_the_birth_goes_away_when_an_apply_leaves_it_out(client: Client, namespace: str) -> None:
    await client.create(kinds.CONFIG_MAP, config_map(namespace, a="1", b="2"))
    applied = await client.apply(kinds.CONFIG_MAP, config_map(namespace, a="1"))
    assert applied["data"] == {"a": "1"}
    ours = [entry for entry in applied["metadata"]["managedFields"] if entry["manager"] == names.FIELD_MANAGER]
    assert [entry["operation"] for entry in ours] == ["Apply"]
    emptied = await client.apply(kinds.CONFIG_MAP, config_map(namespace))
    assert not emptied.get("data")


async def test_an_apply_that_changes_nothing_leaves_the_version(client: Client, namespace: str) -> None:
    await client.create(kinds.CONFIG_MAP, config_map(namespace, a="1"))
    first = await client.apply(kinds.CONFIG_MAP, config_map(namespace, a="1"))
    second = await client.apply(kinds.CONFIG_MAP, config_map(namespace, a="1"))
    assert second["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]


async def test_45_the_data_of_a_revision_survives_an_apply_of_its_labels(client: Client, namespace: str) -> None:
    """The API server compares it byte by byte with what was sent at birth."""
    manifest = {
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": {"namespace": namespace, "name": "thing", "labels": {"role": "a"}},
        "revision": 1,
        "data": {"b": "<a&b>", "a": {"d": "Zürich \u2028", "c": [0.5, 1, True, None]}},
    }
    await client.create(kinds.CONTROLLER_REVISION, manifest)
    manifest["metadata"] |= {"labels": {"role": "b"}}  # type: ignore[operator]
    assert (await client.apply(kinds.CONTROLLER_REVISION, manifest))["metadata"]["labels"] == {"role": "b"}


async def test_62_the_count_is_set_by_the_scale_subresource_at_the_planned_version(
    client: Client, namespace: str
) -> None:
    created = await client.create(kinds.DEPLOYMENT, deployment(namespace))
    version = created["metadata"]["resourceVersion"]
    assert (await client.scale(kinds.DEPLOYMENT, namespace, "thing", 3, version))["spec"]["replicas"] == 3
    with pytest.raises(Conflict):
        await client.scale(kinds.DEPLOYMENT, namespace, "thing", 5, version)
    without_count = deployment(namespace)
    del without_count["spec"]["replicas"]
    applied = await client.apply(kinds.DEPLOYMENT, without_count)
    assert applied["spec"]["replicas"] == 3, "an apply without a count leaves the count alone"


@pytest.mark.usefixtures("kubectl")
async def test_62_a_status_is_replaced_at_the_version_that_was_read(client: Client, namespace: str) -> None:
    read = await client.create(kinds.MODEL_DEPLOYMENT, model(namespace))
    written = await client.put_status({**read, "status": {"phase": "Initializing", "epoch": 1}})
    assert (written["status"]["epoch"], written["spec"]) == (1, read["spec"])
    with pytest.raises(Conflict):
        await client.put_status({**read, "status": {"phase": "Ready", "epoch": 2}})


@pytest.mark.usefixtures("kubectl")
async def test_the_gateway_api_is_noticed_when_it_appears(client: Client, namespace: str) -> None:
    parent = {"name": "public", "namespace": namespace}
    manifest = await client.create(kinds.MODEL_DEPLOYMENT, model(namespace, parentRefs=[parent]))
    cache = Cache()
    cache.store(kinds.MODEL_DEPLOYMENT, manifest)
    crd_kind = Kind("apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", False)
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    crd = {
        "apiVersion": crd_kind.api_version,
        "kind": crd_kind.name,
        "metadata": {
            "name": "httproutes.gateway.networking.k8s.io",
            "annotations": {"api-approved.kubernetes.io": "unapproved, for a test"},
        },
        "spec": {
            "group": kinds.HTTP_ROUTE.group,
            "names": {"plural": "httproutes", "kind": "HTTPRoute"},
            "scope": "Namespaced",
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
        },
    }
    created = await client.create(crd_kind, crd)
    try:
        await gateway.change(client, cache, GatewayApi(), pause=0.05)
    finally:
        await client.delete(crd_kind, "", crd["metadata"]["name"], created["metadata"]["uid"])  # type: ignore[index]


@pytest.mark.usefixtures("kubectl")
async def test_62_a_sweep_finds_what_no_watch_told(client: Client, namespace: str) -> None:
    cache, queue, metrics = Cache(), WorkQueue(), Metrics()
    intake = Intake(cache, queue, metrics)
    scope = watched(gateway=False, namespaces=(namespace,))
    sync = Sync(client, cache, intake, watched=scope, metrics=metrics)
    gone = await client.create(kinds.CONFIG_MAP, config_map(namespace, name="gone"))
    await client.create(kinds.CONFIG_MAP, config_map(namespace, name="changed", a="1"))
    await sync.prime()
    assert await sync.sweep(kinds.CONFIG_MAP) == 0
    await client.delete(kinds.CONFIG_MAP, namespace, "gone", gone["metadata"]["uid"])
    await client.apply(kinds.CONFIG_MAP, config_map(namespace, name="changed", a="2"))
    await client.create(kinds.CONFIG_MAP, config_map(namespace, name="new"))
    assert await sync.sweep(kinds.CONFIG_MAP) >= 1
    found = {item["metadata"]["name"]: item.get("data") for item in cache.objects(kinds.CONFIG_MAP)}
    assert found == {"changed": {"a": "2"}, "new": None}


async def test_the_lease_changes_hands_when_it_is_released(client: Client, namespace: str) -> None:
    one, two = (
        Election(client, namespace=namespace, name="lease", identity=identity, metrics=Metrics())
        for identity in ("one", "two")
    )
    await one.attempt()
    await two.attempt()
    await one.attempt()
    assert (one.fence(), one.epoch, two.fence()) == (True, 1, False)
    await one.release()
    await two.attempt()
    assert (one.fence(), two.fence(), two.epoch) == (False, True, 2)


async def test_63_of_two_processes_that_take_a_new_lease_at_once_one_leads(client: Client, namespace: str) -> None:
    one, two = (
        Election(client, namespace=namespace, name="lease", identity=identity, metrics=Metrics())
        for identity in ("one", "two")
    )
    await asyncio.gather(one.attempt(), two.attempt())
    assert sorted([one.fence(), two.fence()]) == [False, True]


Change = Callable[[dict[str, Any], control_plane.Running, Path], None]


def _insecure(cluster: dict[str, Any], plane: control_plane.Running, folder: Path) -> None:
    cluster["clusters"][0]["cluster"] = {"server": plane.server, "insecure-skip-tls-verify": True}


def _embedded(cluster: dict[str, Any], plane: control_plane.Running, folder: Path) -> None:
    authority = base64.b64encode(plane.authority.read_bytes()).decode()
    cluster["clusters"][0]["cluster"] = {"server": plane.server, "certificate-authority-data": authority}


def _other_name(cluster: dict[str, Any], plane: control_plane.Running, folder: Path) -> None:
    cluster["clusters"][0]["cluster"] = {
        "server": plane.server,
        "certificate-authority": str(plane.authority),
        "tls-server-name": "kubernetes.default.svc",
    }


@pytest.mark.parametrize("change", [_insecure, _embedded, _other_name], ids=lambda change: change.__name__.strip("_"))
async def test_a_kubeconfig_is_followed(plane: control_plane.Running, tmp_path: Path, change: Change) -> None:
    content = yaml.safe_load(plane.kubeconfig.read_text())
    change(content, plane, tmp_path)
    path = tmp_path / "config"
    path.write_text(json.dumps(content))
    connection = await Connection.open(kubeconfig=path)
    async with connection.session() as session:
        client = Client(Transport(session, connection.server, metrics=Metrics()))
        assert (await client.get(kinds.CONFIG_MAP, "kube-system", "extension-apiserver-authentication"))["data"]


async def test_a_rotated_token_is_read_again_and_a_wrong_one_is_an_error(
    plane: control_plane.Running, tmp_path: Path
) -> None:
    content = yaml.safe_load(plane.kubeconfig.read_text())
    token, path = tmp_path / "token", tmp_path / "config"
    content["users"][0]["user"] = {"tokenFile": str(token)}
    path.write_text(json.dumps(content))
    token.write_text("an-old-token")
    connection = await Connection.open(kubeconfig=path)
    async with connection.session() as session:
        client = Client(Transport(session, connection.server, metrics=Metrics()))
        token.write_text(plane.token)
        assert await client.list(kinds.SERVICE, "default") is not None
    token.write_text("wrong")
    connection = await Connection.open(kubeconfig=path)
    async with connection.session() as session:
        with pytest.raises(ApiError) as caught:
            await Client(Transport(session, connection.server, metrics=Metrics())).list(kinds.SERVICE, "default")
        assert caught.value.status == 401
