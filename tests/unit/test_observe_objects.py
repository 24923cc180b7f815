"""From raw objects to what the planner reads: whose they are, and whether the route is programmed."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from modelway import kinds, names
from modelway.analysis.figures import Readings
from modelway.cluster.snapshot import Snapshot
from modelway.kinds import Kind, Manifest
from modelway.observe import observe
from modelway.plan.observed import Features, Observed, Stranger

NOW = datetime(2026, 11, 21, 10, 0, 0, 123456, tzinfo=UTC)
UID = "uid-1"
OURS = {names.MODEL_LABEL: "fraud", names.MANAGED_BY_LABEL: "modelway"}


def reference(kind: str = "ModelDeployment", name: str = "fraud", uid: str = UID, **more: Any) -> Manifest:
    """An owner reference of a controller."""
    return {"apiVersion": "x/v1", "kind": kind, "name": name, "uid": uid, "controller": True, **more}


def child(name: str, *owners: Manifest, **body: Any) -> Manifest:
    """A child with our labels."""
    metadata = {"name": name, "namespace": "payments", "uid": f"of-{name}", "resourceVersion": "1", "labels": OURS}
    return {"metadata": metadata | ({"ownerReferences": list(owners)} if owners else {}), **body}


def owner(**metadata: Any) -> Manifest:
    """The ModelDeployment."""
    found = {"name": "fraud", "namespace": "payments", "uid": UID, "resourceVersion": "1", "generation": 3}
    return {"metadata": found | metadata, "spec": {"model": {"uri": "s3://models/fraud", "format": "onnx"}}}


def seen(
    children: dict[Kind, list[Manifest]],
    model: Manifest | None = None,
    *runtimes: Manifest,
    readings: Readings | None = None,
) -> Observed:
    """What is made of these objects."""
    snapshot = Snapshot(
        owner=model or owner(),
        children={kind: tuple(items) for kind, items in children.items()},
        runtimes=runtimes,
    )
    features = Features(gateway=True, runtime_image="")
    return observe(snapshot, now=NOW, epoch=1, features=features, readings=readings)


def test_time_is_in_whole_seconds() -> None:
    found = seen({})
    assert found.now == NOW.replace(microsecond=0)
    assert timedelta(0) < found.rounded_up - NOW < timedelta(seconds=1)


def test_figures_that_were_read_are_observed_as_they_came() -> None:
    readings = Readings(inquiry="3/half/1", at=NOW)
    assert seen({}, readings=readings).readings is readings
    assert seen({}).readings is None


SERVICE: Manifest = {"spec": {"selector": OURS}}
OWNERS: list[Any] = [
    pytest.param([reference()], True, None, id="ours"),
    pytest.param([], True, None, id="orphan"),
    pytest.param([reference("Argo", "app", "uid-9") | {"controller": False}], True, None, id="owned-not-controlled"),
    pytest.param([reference("Argo", "app", "uid-9") | {"controller": False}, reference()], True, None, id="two-owners"),
    pytest.param([reference(uid="uid-0")], False, True, id="of-an-earlier-object-of-this-name"),
    pytest.param([reference(name="other", uid="uid-2")], False, False, id="of-another-model"),
    pytest.param([reference("Rollout", "fraud", "uid-3")], False, False, id="of-another-kind"),
]


@pytest.mark.parametrize(("owners", "is_ours", "is_leaving"), OWNERS)
def test_64_a_child_is_ours_adopted_or_a_stranger(
    owners: list[Manifest], is_ours: bool, is_leaving: bool | None
) -> None:
    found = seen({kinds.SERVICE: [child("fraud", *owners, **SERVICE)]})
    strangers = () if is_ours else (Stranger(kind=kinds.SERVICE, name="fraud", is_leaving=bool(is_leaving)),)
    assert (found.service is not None) == is_ours
    assert found.strangers == strangers


def test_pods_of_others_are_no_strangers() -> None:
    assert seen({kinds.POD: [child("p", reference("ReplicaSet", "rs", "uid-5"))]}).strangers == ()


def test_a_model_that_is_being_deleted_is_known_as_such() -> None:
    assert seen({}, owner(deletionTimestamp="2026-11-21T10:00:00Z")).owner.is_deleting
    assert not seen({}).owner.is_deleting


def controller_revision(number: int, **changes: Any) -> Manifest:
    """A ControllerRevision as we write it."""
    found = child(
        f"fraud-{number}",
        reference(),
        revision=number,
        data={"source": {"model": {}, "runtime": {}}, "runtime": {}, "rendered": {}},
    )
    found["metadata"]["labels"] = OURS | {names.REVISION_LABEL: str(number)}
    return found | changes


def test_whoever_wrote_the_spec_or_a_command_last_is_known_by_field_manager() -> None:
    command = {"f:metadata": {"f:annotations": {f"f:{names.COMMAND_ANNOTATION}": {}}}}
    fields = [
        {"manager": "argocd", "time": "2026-11-21T10:00:00Z", "fieldsV1": {"f:spec": {}}},
        {"manager": "kubectl-edit", "time": "2026-11-21T11:00:00Z", "fieldsV1": {"f:spec": {}}},
        {"manager": "modelway-cli", "time": "2026-11-21T09:00:00Z", "fieldsV1": command},
        {"manager": "hpa", "time": "2026-11-21T12:00:00Z", "subresource": "scale", "fieldsV1": {"f:spec": {}}},
    ]
    found = seen({}, owner(managedFields=fields)).owner.writers
    assert found == {"spec": "kubectl-edit", names.COMMAND_ANNOTATION: "modelway-cli"}


def test_revisions_come_by_number() -> None:
    found = seen({kinds.CONTROLLER_REVISION: [controller_revision(number) for number in (10, 9, 2)]})
    assert [revision.number for revision in found.revisions] == [2, 9, 10]


def pod(name: str, *containers: Manifest, **status: Any) -> Manifest:
    """A pod of revision 1."""
    found = child(name, status={"containerStatuses": list(containers), **status})
    found["metadata"]["labels"] = OURS | {names.REVISION_LABEL: "1"}
    return found


def container(name: str = "model", **more: Any) -> Manifest:
    """What a node reports of a container that runs."""
    return {"name": name, "ready": True, "started": True, "restartCount": 0, "state": {"running": {}}, **more}


IMAGES: list[Any] = [
    pytest.param([container(imageID="example.com/runtime@sha256:a")], ("sha256:a",), id="pulled"),
    pytest.param([container(imageID="docker-pullable://example.com:5000/x@sha256:a")], ("sha256:a",), id="of-docker"),
    pytest.param([container(imageID="sha256:a")], ("sha256:a",), id="loaded"),
    pytest.param([container(imageID="")], (), id="not-there-yet"),
    pytest.param([container()], (), id="not-reported"),
    pytest.param([container("proxy", imageID="sha256:b"), container(imageID="sha256:a")], ("sha256:a",), id="sidecar"),
]


@pytest.mark.parametrize(("containers", "images"), IMAGES)
def test_the_image_is_that_of_the_model_container_by_digest(
    containers: list[Manifest], images: tuple[str, ...]
) -> None:
    (revision,) = seen(
        {kinds.CONTROLLER_REVISION: [controller_revision(1)], kinds.POD: [pod("p", *containers)]}
    ).revisions
    assert revision.images == images


def test_images_of_a_revision_are_each_named_once() -> None:
    pods = [pod(f"p{number}", container(imageID=f"sha256:{number % 2}")) for number in range(4)]
    (revision,) = seen({kinds.CONTROLLER_REVISION: [controller_revision(1)], kinds.POD: pods}).revisions
    assert revision.images == ("sha256:0", "sha256:1")


WARMED: list[Any] = [
    pytest.param([container()], True, id="started"),
    pytest.param([container(started=False)], False, id="loading"),
    pytest.param([container("proxy"), container(started=False)], False, id="only-the-sidecar-started"),
]


@pytest.mark.parametrize(("containers", "is_warmed"), WARMED)
def test_a_pod_is_warm_from_the_start_of_its_model_on(containers: list[Manifest], is_warmed: bool) -> None:
    (revision,) = seen(
        {kinds.CONTROLLER_REVISION: [controller_revision(1)], kinds.POD: [pod("p", *containers)]}
    ).revisions
    assert (revision.warmed, revision.ready) == (int(is_warmed), 0)


FOREIGN: list[Any] = [
    pytest.param({"data": None}, id="no-data"),
    pytest.param({"data": {}}, id="empty"),
    pytest.param({"data": {"spec": {"template": {}}}}, id="of-a-stateful-set"),
    pytest.param(
        {"metadata": controller_revision(1)["metadata"] | {"labels": OURS, "name": "fraud-1"}}, id="no-revision-label"
    ),
]


@pytest.mark.parametrize("changes", FOREIGN)
def test_a_controller_revision_that_holds_no_revision_is_passed_over(changes: Manifest) -> None:
    assert seen({kinds.CONTROLLER_REVISION: [controller_revision(1, **changes)]}).revisions == ()


LOCKS: list[Any] = [
    pytest.param({"data": {"digest": "sha256:1"}}, "sha256:1", id="locked"),
    pytest.param({"data": {}}, "", id="emptied"),
    pytest.param({}, "", id="without-data"),
    pytest.param({"data": None}, "", id="null"),
]


@pytest.mark.parametrize(("body", "digest"), LOCKS)
def test_a_lock_is_read_however_it_was_left(body: Manifest, digest: str) -> None:
    children = {
        kinds.CONTROLLER_REVISION: [controller_revision(1)],
        kinds.CONFIG_MAP: [child("fraud-1-lock", reference(), **body)],
    }
    assert seen(children).revisions[0].lock == digest


def test_what_a_revision_runs_is_found_by_name_and_its_pods_by_label() -> None:
    pod = child("fraud-1-x", reference("ReplicaSet", "fraud-1", "uid-4"))
    pod["metadata"]["labels"] = OURS | {names.REVISION_LABEL: "1"}
    children = {
        kinds.CONTROLLER_REVISION: [controller_revision(1)],
        kinds.DEPLOYMENT: [child("fraud-1", reference(), spec={"replicas": 3})],
        kinds.SERVICE: [child("fraud-1", reference(), **SERVICE)],
        kinds.HORIZONTAL_POD_AUTOSCALER: [child("fraud-1", reference(), spec={})],
        kinds.CONFIG_MAP: [child("fraud-1-golden", reference())],
        kinds.POD: [pod],
    }
    revision = seen(children).revisions[0]
    assert revision.replicas == 3
    assert revision.service is not None
    assert revision.autoscaler is not None
    assert revision.golden is not None
    assert [item.name for item in revision.pods] == ["fraud-1-x"]


INVALID: list[Any] = [
    pytest.param({}, "spec.model", id="empty"),
    pytest.param({"model": {"uri": "s3://a", "format": "onnx"}, "replicas": -1}, "spec.replicas", id="negative"),
    pytest.param({"model": {"uri": "ftp://a", "format": "onnx"}}, "spec.model.uri", id="scheme"),
    pytest.param({"model": {"uri": "s3://a", "format": "onnx"}, "rolout": {}}, "spec.rolout", id="typo"),
]


@pytest.mark.parametrize(("spec", "path"), INVALID)
def test_a_spec_that_cannot_be_read_is_named_by_its_path(spec: Manifest, path: str) -> None:
    found = seen({}, owner() | {"spec": spec})
    assert found.spec is None
    assert found.invalid.startswith(path)


def test_the_value_of_a_bad_field_is_not_quoted() -> None:
    environment = [{"name": "TOKEN", "value": {"secret": "hunter2"}}]
    found = seen({}, owner() | {"spec": owner()["spec"] | {"runtime": {"env": environment}}})
    assert found.invalid
    assert "hunter2" not in found.invalid


def test_a_runtime_that_cannot_be_read_is_as_good_as_absent() -> None:
    template = {"spec": {"containers": [{"name": "model", "image": "a"}]}}
    good = {"formats": [{"name": "onnx"}], "template": template}
    runtimes = [
        {"kind": "ClusterModelRuntime", "metadata": {"name": name}, "spec": spec}
        for name, spec in (("good", good), ("bad", {}), ("worse", {"formats": "onnx", "template": template}))
    ]
    assert [runtime.name for runtime in seen({}, None, *runtimes).runtimes] == ["good"]


PUBLIC: Manifest = {"name": "public", "namespace": "infra"}
ECHOED: Manifest = {"group": "gateway.networking.k8s.io", "kind": "Gateway", **PUBLIC}
HTTPS = PUBLIC | {"sectionName": "https"}


def condition(kind: str, status: str = "True", generation: int = 5, message: str = "why") -> Manifest:
    """One condition of a parent."""
    return {"type": kind, "status": status, "observedGeneration": generation, "message": message, "reason": "x"}


TAKEN = (condition("Accepted"), condition("ResolvedRefs"))


def parent(of: Manifest, *conditions: Manifest, controller: str = "a/b") -> Manifest:
    """What one controller says to one parent."""
    return {"parentRef": of, "controllerName": controller, "conditions": list(conditions)}


PROGRAMMED: list[Any] = [
    pytest.param([PUBLIC], [parent(ECHOED, *TAKEN)], "programmed", id="taken"),
    pytest.param([PUBLIC], [], "open", id="silent"),
    pytest.param([], [], "open", id="no-parents"),
    pytest.param([PUBLIC], [parent(ECHOED)], "open", id="no-conditions"),
    pytest.param([PUBLIC], [parent(ECHOED, TAKEN[0])], "open", id="half"),
    pytest.param(
        [PUBLIC],
        [parent(ECHOED, condition("Accepted", generation=4), condition("ResolvedRefs", generation=4))],
        "open",
        id="of-an-older-generation",
    ),
    pytest.param(
        [PUBLIC], [parent(ECHOED, TAKEN[0], condition("ResolvedRefs", generation=4))], "open", id="half-of-an-older"
    ),
    pytest.param([PUBLIC], [parent(ECHOED, TAKEN[0], condition("ResolvedRefs", "Unknown"))], "open", id="unknown"),
    pytest.param(
        [PUBLIC], [parent(ECHOED, condition("Accepted", "False"), TAKEN[1])], "RouteNotAccepted", id="refused"
    ),
    pytest.param(
        [PUBLIC], [parent(ECHOED, TAKEN[0], condition("ResolvedRefs", "False"))], "RefsNotResolved", id="unresolved"
    ),
    pytest.param(
        [PUBLIC],
        [parent(ECHOED, condition("Accepted", "False", 4), condition("ResolvedRefs", "True", 4))],
        "open",
        id="refused-before-the-last-change",
    ),
    pytest.param([PUBLIC, HTTPS], [parent(ECHOED, *TAKEN)], "open", id="one-of-two"),
    pytest.param(
        [PUBLIC, HTTPS],
        [parent(ECHOED, *TAKEN), parent(ECHOED | {"sectionName": "https"}, *TAKEN)],
        "programmed",
        id="both",
    ),
    pytest.param([HTTPS], [parent(ECHOED, *TAKEN)], "open", id="another-listener"),
    pytest.param([PUBLIC | {"port": 80}], [parent(ECHOED | {"port": 443}, *TAKEN)], "open", id="another-port"),
    pytest.param([PUBLIC], [parent(ECHOED | {"namespace": "other"}, *TAKEN)], "open", id="another-namespace"),
    pytest.param([PUBLIC], [parent(ECHOED | {"kind": "Service", "group": ""}, *TAKEN)], "open", id="another-kind"),
    pytest.param([{"name": "public"}], [parent(ECHOED | {"namespace": "payments"}, *TAKEN)], "programmed", id="own"),
    pytest.param(
        [PUBLIC],
        [parent(ECHOED, *TAKEN), parent(ECHOED | {"name": "other"}, condition("Accepted", "False"), TAKEN[1])],
        "programmed",
        id="a-parent-that-the-spec-no-longer-names",
    ),
    pytest.param(
        [PUBLIC],
        [parent(ECHOED, controller="c/d"), parent(ECHOED, *TAKEN)],
        "programmed",
        id="another-controller-says-nothing",
    ),
]


@pytest.mark.parametrize(("references", "parents", "result"), PROGRAMMED)
def test_06_a_route_is_programmed_when_every_parent_took_this_generation(
    references: list[Manifest], parents: list[Manifest], result: str
) -> None:
    route = child(
        "fraud",
        reference(),
        spec={"parentRefs": references, "rules": [{"backendRefs": [{"name": "fraud-1", "weight": 90}]}]},
        status={"parents": parents},
    )
    route["metadata"]["generation"] = 5
    found = seen({kinds.HTTP_ROUTE: [route]}).route
    assert found is not None
    assert found.weights == {"fraud-1": 90}
    assert found.is_programmed == (result == "programmed")
    assert (found.trouble or "open") == (result if result != "programmed" else "open")


ROUTES: list[Any] = [
    pytest.param({"spec": {}}, {}, id="empty"),
    pytest.param({"spec": {"rules": []}}, {}, id="no-rules"),
    pytest.param({"spec": {"rules": [{}]}}, {}, id="no-backends"),
    pytest.param({"spec": {"rules": [{"backendRefs": [{"name": "a"}]}]}}, {"a": 1}, id="the-default-weight"),
]


@pytest.mark.parametrize(("body", "weights"), ROUTES)
def test_a_route_that_somebody_broke_is_read_all_the_same(body: Manifest, weights: dict[str, int]) -> None:
    found = seen({kinds.HTTP_ROUTE: [child("fraud", reference(), **body)]}).route
    assert found is not None
    assert (found.weights, found.is_programmed) == (weights, False)
