"""One pass against a simulated API server: what is there already, what is refused, and what is written at all."""

from typing import Any

import pytest

from modelway import kinds, names
from modelway.analysis.figures import Readings
from modelway.analysis.inquiry import Inquiry
from modelway.api import ModelDeploymentSpec, reasons
from modelway.cluster.api import ApiError, Conflict, Forbidden, Invalid, Unreachable
from modelway.cluster.cache import Cache
from modelway.cluster.snapshot import Key
from modelway.kinds import Kind, Manifest
from modelway.reconcile import Reconciler
from modelway.resources import revision
from modelway.settings import Settings
from simulation import models
from simulation.clock import Clock
from simulation.recorder import Recorder
from simulation.server import Server, always
from simulation.store import Store

KEY = (models.NAMESPACE, "fraud")
IDENTITY = revision.identity(revision.source(ModelDeploymentSpec.model_validate(models.spec())))
NAME = names.revision("fraud", IDENTITY)
OURS = {names.MODEL_LABEL: "fraud", names.MANAGED_BY_LABEL: "modelway", names.REVISION_LABEL: IDENTITY}


class Desk:
    """Keeps what it is asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[Key, Inquiry | None]] = []

    def ask(self, key: Key, inquiry: Inquiry | None) -> None:
        self.asked.append((key, inquiry))

    def readings(self, key: Key) -> Readings | None:
        return None


class Place:
    """A reconciler whose cache knows the model and its runtime, and learns only from its own writes."""

    def __init__(self, **spec: Any) -> None:
        self.clock = Clock()
        self.store = Store(self.clock)
        self.server = Server(self.store, self.clock)
        self.cache = Cache()
        self.said: list[str] = []
        self.store.insert(kinds.CLUSTER_MODEL_RUNTIME, models.RUNTIME)
        metadata = {"name": "fraud", "namespace": models.NAMESPACE}
        self.uid = self.store.insert(kinds.MODEL_DEPLOYMENT, {"metadata": metadata, "spec": models.spec(**spec)})[
            "metadata"
        ]["uid"]
        for kind in (kinds.CLUSTER_MODEL_RUNTIME, kinds.MODEL_DEPLOYMENT):
            for manifest in self.store.all(kind):
                self.cache.store(kind, manifest)
        recorder = Recorder(self.said.append)
        self.desk = Desk()
        self.reconciler = Reconciler(
            asker=self.desk,
            api=self.server,
            cache=self.cache,
            clock=self.clock,
            settings=Settings(gateway=True, runtime_image="own:1"),
            events=recorder,
            counters=recorder,
        )

    async def reconcile(self, passes: int = 1) -> None:
        """So many passes."""
        for _ in range(passes):
            await self.reconciler.reconcile(KEY, 1)

    def condition(self, kind: str) -> Manifest:
        """A condition that is stored, empty when absent."""
        found = self.store.find(kinds.MODEL_DEPLOYMENT, *KEY)
        assert found is not None
        stored = found.get("status", {}).get("conditions", ())
        return next((item for item in stored if item["type"] == kind), {})

    def written(self, verb: str) -> list[Kind]:
        """Kinds that were written that way."""
        return [write.kind for write in self.server.writes if write.verb == verb]

    def controller_revision(self) -> Manifest | None:
        """The first revision."""
        return self.store.find(kinds.CONTROLLER_REVISION, models.NAMESPACE, NAME)


async def born() -> Manifest:
    """The ControllerRevision of the same spec."""
    place = Place()
    await place.reconcile()
    found = place.controller_revision()
    assert found is not None
    return found


def owned(uid: str, name: str = "fraud", kind: str = "ModelDeployment") -> Manifest:
    """Metadata of an object with a controller."""
    owner = {"apiVersion": "x/v1", "kind": kind, "name": name, "uid": uid, "controller": True}
    return {"ownerReferences": [owner]}


THERE: list[Any] = [
    pytest.param(OURS, "ours", "", id="ours"),
    pytest.param({}, "ours", "", id="ours-without-labels"),
    pytest.param(OURS, None, "", id="an-orphan-of-ours"),
    pytest.param({}, None, "Conflict", id="an-orphan-of-nobody"),
    pytest.param({names.MODEL_LABEL: "fraud"}, None, "Conflict", id="an-orphan-with-half-of-our-labels"),
    pytest.param(OURS | {names.MODEL_LABEL: "other"}, None, "Conflict", id="an-orphan-of-another-model"),
    pytest.param(OURS, owned("uid-0"), "WaitingForDeletion", id="of-an-earlier-object"),
    pytest.param(OURS, owned("uid-9", "other"), "Conflict", id="of-another-model"),
    pytest.param({}, owned("uid-9", "fraud", "StatefulSet"), "Conflict", id="of-another-kind"),
]


@pytest.mark.parametrize(("labels", "owner", "reason"), THERE)
async def test_27_and_64_an_object_that_is_there_already_is_judged_by_whose_it_is(
    labels: Manifest, owner: Any, reason: str
) -> None:
    place = Place()
    metadata = {"name": NAME, "namespace": models.NAMESPACE, "labels": labels}
    metadata |= owned(place.uid) if owner == "ours" else owner or {}
    data = (await born())["data"]
    before = place.store.insert(kinds.CONTROLLER_REVISION, {"metadata": metadata, "revision": 1, "data": data})
    await place.reconcile()
    after = place.controller_revision()
    assert after is not None
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    if reason:
        assert after == before
        assert place.condition("Stalled")["reason"] == reason
        assert NAME in place.condition("Stalled")["message"]
        return
    assert after["metadata"]["ownerReferences"][0]["uid"] == place.uid
    assert after["metadata"]["labels"][names.MODEL_LABEL] == "fraud"
    assert place.condition("Stalled") == {}


RBAC = (
    'deployments.apps is forbidden: User "system:serviceaccount:modelway:operator" cannot create resource '
    '"deployments" in API group "apps" in the namespace "payments"'
)
CAUSES = (("spec.template.spec.containers[0].ports[0].containerPort", "must be between 1 and 65535"),)
QUOTA = 'deployments.apps "x" is forbidden: exceeded quota: objects, requested: count/deployments.apps=1'
WEBHOOK = 'admission webhook "policy.example.com" denied the request: no latest tags'
REFUSALS: list[Any] = [
    pytest.param(Invalid(422, "Invalid", "Deployment is invalid", CAUSES), "InvalidSpec", CAUSES[0][0], id="invalid"),
    pytest.param(Invalid(400, "BadRequest", 'unknown field "spec.foo"'), "InvalidSpec", "spec.foo", id="bad-request"),
    pytest.param(Forbidden(403, "Forbidden", RBAC), "RBACDenied", "cannot create resource", id="rbac"),
    pytest.param(Forbidden(403, "Forbidden", QUOTA), "QuotaExceeded", "objects", id="quota"),
    pytest.param(Forbidden(403, "Forbidden", WEBHOOK), "WriteDenied", "no latest tags", id="webhook"),
    pytest.param(Forbidden(403, "Forbidden", "x" * 9000), "WriteDenied", "xxx", id="long"),
]


def told_by(reason: str) -> str:
    """The condition that tells it: what heals by itself keeps nobody from going on."""
    found = reasons.find(reason)
    assert found is not None
    return "Reconciling" if found.category is reasons.Class.ENVIRONMENT else "Stalled"


@pytest.mark.parametrize(("error", "reason", "says"), REFUSALS)
async def test_54_a_refused_dry_run_is_named_and_no_revision_is_born(error: ApiError, reason: str, says: str) -> None:
    place = Place()
    place.server.faults.rules.append(always(error, ["verify"], kinds.DEPLOYMENT))
    await place.reconcile(3)
    assert place.written("create") == []
    found = place.condition(told_by(reason))
    assert found["reason"] == reason
    assert says in found["message"]
    assert len(found["message"]) <= 1024


@pytest.mark.parametrize(("error", "reason", "says"), REFUSALS)
async def test_11_a_refused_write_is_named_and_tried_again(error: ApiError, reason: str, says: str) -> None:
    place = Place()
    place.server.faults.rules.append(always(error, ["create"], kinds.DEPLOYMENT))
    await place.reconcile(4)
    assert place.condition(told_by(reason))["reason"] == reason
    assert says in place.condition(told_by(reason))["message"]
    wake = await place.reconciler.reconcile(KEY, 1)
    assert wake is not None
    place.server.faults.rules.clear()
    await place.reconcile(3)
    assert kinds.DEPLOYMENT in place.written("create")
    assert place.condition("Stalled") == {}


RISING = [
    pytest.param(Conflict(409, "Conflict", "the object has been modified"), id="conflict"),
    pytest.param(Unreachable(0, "Unreachable", "the connection was reset"), id="no-answer"),
]


@pytest.mark.parametrize("error", RISING)
@pytest.mark.parametrize(
    ("verb", "kind"),
    [
        pytest.param("status", kinds.MODEL_DEPLOYMENT, id="status"),
        pytest.param("create", kinds.CONTROLLER_REVISION, id="create"),
        pytest.param("verify", kinds.DEPLOYMENT, id="dry-run"),
    ],
)
async def test_what_may_work_the_next_time_rises(verb: str, kind: Kind, error: ApiError) -> None:
    place = Place()
    place.server.faults.rules.append(always(error, [verb], kind))
    with pytest.raises(type(error)):
        await place.reconcile(3)
    place.server.faults.rules.clear()
    await place.reconcile(3)
    assert place.controller_revision() is not None


async def test_27_the_intent_is_stored_before_its_effects() -> None:
    place = Place()
    await place.reconcile(2)
    first_deployment = next(index for index, write in enumerate(place.server.writes) if write.kind is kinds.DEPLOYMENT)
    statuses = [write.after for write in place.server.writes[:first_deployment] if write.verb == "status"]
    assert any(after and after["status"].get("rollout", {}).get("id") == 1 for after in statuses)


async def test_61_a_pass_writes_the_status_at_most_twice_and_only_for_news() -> None:
    place = Place()
    for _ in range(10):
        before = len(place.written("status"))
        await place.reconcile()
        assert len(place.written("status")) - before <= 2
    before = len(place.server.writes)
    await place.reconcile(5)
    assert len(place.server.writes) == before


async def test_66_a_model_that_is_gone_or_going_is_left_alone() -> None:
    place = Place()
    assert await place.reconciler.reconcile((models.NAMESPACE, "other"), 1) is None
    live = place.store.find(kinds.MODEL_DEPLOYMENT, *KEY)
    assert live is not None
    metadata = live["metadata"] | {"deletionTimestamp": "2026-11-21T10:00:00Z"}
    place.cache.store(
        kinds.MODEL_DEPLOYMENT, place.store.replace(kinds.MODEL_DEPLOYMENT, live, live | {"metadata": metadata})
    )
    await place.reconcile()
    assert place.server.writes == []
    assert place.desk.asked == [((models.NAMESPACE, "other"), None), (KEY, None)]


async def test_each_pass_says_what_to_read_from_now_on() -> None:
    place = Place()
    await place.reconcile(2)
    assert place.desk.asked == [(KEY, None)] * 2


UNFIT: list[Any] = [
    pytest.param({"spec": {"containers": [{"image": "x"}]}}, "spec.runtime.template.spec.containers[0]", id="unnamed"),
    pytest.param({"spec": None}, "spec.runtime.template.spec", id="null"),
]


@pytest.mark.parametrize(("template", "path"), UNFIT)
async def test_54_a_template_that_cannot_be_rendered_is_an_invalid_spec(template: Manifest, path: str) -> None:
    place = Place(runtime={"template": template})
    await place.reconcile(2)
    assert place.condition("Stalled")["reason"] == "InvalidSpec"
    assert path in place.condition("Stalled")["message"]
    assert place.written("create") == []


LEFT: list[Any] = [
    pytest.param(owned("uid-0"), "WaitingForDeletion", id="of-an-earlier-object"),
    pytest.param(owned("uid-9", "other"), "Conflict", id="of-another-model"),
]


@pytest.mark.parametrize(("owner", "reason"), LEFT)
async def test_63_and_64_a_child_of_somebody_else_that_is_known_already_is_waited_for_or_a_conflict(
    owner: Manifest, reason: str
) -> None:
    place = Place()
    metadata = {"name": "fraud", "namespace": models.NAMESPACE, "labels": OURS} | owner
    stranger = place.store.insert(kinds.SERVICE, {"metadata": metadata, "spec": {"selector": {}}})
    stranger["metadata"]["ownerReferences"][0]["apiVersion"] = names.API_VERSION
    place.cache.store(kinds.SERVICE, stranger)
    await place.reconcile(2)
    if reason == "WaitingForDeletion":
        assert place.condition("Stalled")["reason"] == reason
    assert place.store.find(kinds.SERVICE, models.NAMESPACE, "fraud") == stranger
