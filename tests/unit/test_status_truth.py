"""The status in every phase: conditions, what kstatus makes of them, closed reasons, and bounds that the CRD sets."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import pytest

from modelway import kinds
from modelway.api import Status, reasons
from modelway.api.rules import Struct
from modelway.cluster.snapshot import Snapshot
from modelway.kinds import Manifest
from modelway.observe import observe
from modelway.plan.observed import Features, Observed
from modelway.plan.planner import plan
from modelway.plan.trouble import Trouble
from modelway.status import is_news, status, words
from simulation import models
from simulation.stories import GATED, TWO_STEPS, installed, reach, upgrade
from simulation.world import World

SLOW = models.canary({"weight": 10, "hold": "1m"}, bake="0s")


def initializing() -> World:
    world = World()
    world.apply(models.spec("v1", rollout=TWO_STEPS))
    world.run_to_phase("Initializing")
    return world


def healthy() -> World:
    return installed(TWO_STEPS)


def service_only() -> World:
    return installed(models.rolling(), gateway=False)


def progressing() -> World:
    world = installed(TWO_STEPS)
    upgrade(world, "v2")
    reach(world, 0, "Loading")
    return world


def waiting_for_an_image() -> World:
    world = installed(TWO_STEPS)
    world.script("v2", image_is_missing=True)
    upgrade(world, "v2")
    world.run_for(60)
    return world


def holding() -> World:
    world = installed(TWO_STEPS)
    upgrade(world, "v2")
    reach(world, 0, "Holding")
    return world


def waiting_for_approval() -> World:
    world = installed(GATED)
    upgrade(world, "v2")
    reach(world, 1, "Holding")
    return world


def paused() -> World:
    world = holding()
    world.edit(rollout=TWO_STEPS | {"paused": True})
    world.run_for(5)
    return world


def promoting() -> World:
    world = installed(SLOW)
    upgrade(world, "v2")
    world.run_to_phase("Promoting", within=900)
    return world


def rolling_back() -> World:
    world = holding()
    world.gateway.is_frozen = True
    world.command("abort")
    world.run_to_phase("RollingBack")
    return world


def aborted() -> World:
    world = holding()
    world.command("abort")
    world.run_to_phase("RolledBack")
    return world


def refused() -> World:
    world = installed(TWO_STEPS)
    world.script("v2", load_failure="ModelLoadFailed", message="AWS_SECRET_ACCESS_KEY=hunter2 \x1b[31m" + "é" * 5000)
    upgrade(world, "v2")
    world.run_to_phase("RolledBack")
    return world


def refused_before() -> World:
    world = refused()
    upgrade(world, "v3")
    world.run_to_phase("Healthy", within=900)
    upgrade(world, "v2")
    world.run_to_phase("RolledBack")
    return world


def undone() -> World:
    world = installed(SLOW)
    upgrade(world, "v2")
    world.run_to_phase("Healthy", within=900)
    world.command("undo")
    world.run_to_phase("RolledBack", within=900)
    return world


def degraded() -> World:
    world = installed(TWO_STEPS)
    world.script("v1", load_failure="ModelLoadFailed")
    for pod in world.pods():
        world.kubelet.kill(pod)
    world.run_to_phase("Degraded")
    return world


def invalid() -> World:
    world = installed(TWO_STEPS)
    world.edit(replicas=-1)
    world.run_to_phase("Stalled")
    return world


def invalid_while_it_holds() -> World:
    world = holding()
    world.edit(replicas=-1)
    world.run_to_phase("Stalled")
    return world


def without_runtime() -> World:
    world = installed(TWO_STEPS)
    upgrade(world, "v2", model={"format": "torch"})
    world.run_to_phase("Stalled")
    return world


def overdue() -> World:
    world = installed(TWO_STEPS)
    world.script("v2", fetch_failure="ArtifactNotFound")
    upgrade(world, "v2")
    world.run_for(660)
    return world


def first_is_overdue() -> World:
    world = World()
    world.script("v1", fetch_failure="ArtifactNotFound")
    world.apply(models.spec("v1", rollout=TWO_STEPS))
    world.run_for(660)
    return world


def first_is_refused() -> World:
    world = World()
    world.script("v1", load_failure="ModelLoadFailed")
    world.apply(models.spec("v1", rollout=TWO_STEPS))
    world.run_for(60)
    return world


def coarse() -> World:
    world = installed(models.canary({"weight": 5, "hold": "1m"}), gateway=False)
    upgrade(world, "v2")
    world.run_to_phase("Stalled")
    return world


def suspended() -> World:
    return installed(TWO_STEPS, replicas=0)


def suspended_while_overdue() -> World:
    world = World()
    world.script("v1", fetch_failure="ArtifactNotFound")
    world.apply(models.spec("v1", rollout=TWO_STEPS))
    world.run_for(60)
    world.edit(replicas=0)
    world.run_for(900)
    world.edit(revisionHistoryLimit=3)
    world.run_for(5)
    return world


def suspended_after_a_refusal() -> World:
    world = refused()
    world.edit(replicas=0)
    world.run_to_phase("Suspended")
    return world


def serving_while_it_holds() -> World:
    world = installed(GATED | {"readyWhen": "Serving"})
    upgrade(world, "v2")
    reach(world, 1, "Holding")
    return world


def refused_though_serving_is_enough() -> World:
    world = installed(TWO_STEPS | {"readyWhen": "Serving"})
    world.script("v2", load_failure="ModelLoadFailed")
    upgrade(world, "v2")
    world.run_to_phase("RolledBack")
    return world


def replaced_while_broken() -> World:
    world = installed(TWO_STEPS)
    world.script("v1", crashes=True)
    for pod in world.pods():
        world.kubelet.kill(pod)
    upgrade(world, "v2")
    world.run_until(lambda: world.weights().get("v2") == 100, within=300)
    world.run_for(2)
    return world


Row = tuple[Callable[[], World], str, str, str, str, str, str]
ROWS: tuple[Row, ...] = (
    # beginning, phase, Ready, Reconciling, Stalled, others that are true, kstatus
    (initializing, "Initializing", "False/RolloutInProgress", "*", "", "", "InProgress"),
    (healthy, "Healthy", "True/RevisionPromoted", "", "", "Available TrafficProgrammed", "Current"),
    (service_only, "Healthy", "True/RevisionPromoted", "", "", "Available TrafficProgrammed", "Current"),
    (progressing, "Progressing", "False/RolloutInProgress", "LoadingModel", "", "Available", "InProgress"),
    (waiting_for_an_image, "Progressing", "False/RolloutInProgress", "ImagePullFailed", "", "Available", "InProgress"),
    (holding, "Paused", "False/RolloutPaused", "Paused", "", "Paused/StepPause Available", "InProgress"),
    (waiting_for_approval, "Paused", "False/RolloutPaused", "Paused", "", "Paused/AwaitingApproval", "InProgress"),
    (paused, "Paused", "False/RolloutPaused", "Paused", "", "Paused/UserPause", "InProgress"),
    (promoting, "Promoting", "False/RolloutInProgress", "Draining", "", "Available", "InProgress"),
    (rolling_back, "RollingBack", "False/RolloutInProgress", "ShiftingTraffic", "", "Available", "InProgress"),
    (aborted, "RolledBack", "False/RolloutAborted", "", "RolloutAborted", "RolledBack/UserAbort Available", "Failed"),
    (
        refused,
        "RolledBack",
        "False/RolloutFailed",
        "",
        "RolloutFailed",
        "RolledBack/ModelLoadFailed RevisionFailed/ModelLoadFailed Available",
        "Failed",
    ),
    (
        refused_before,
        "RolledBack",
        "False/RolloutFailed",
        "",
        "RolloutFailed",
        "RolledBack/ModelLoadFailed RevisionFailed/ModelLoadFailed Available",
        "Failed",
    ),
    (undone, "RolledBack", "False/RolloutAborted", "", "RolloutAborted", "RolledBack/UserUndo Available", "Failed"),
    (degraded, "Degraded", "False/BelowMinimumReady", "*", "", "", "InProgress"),
    (invalid, "Stalled", "False/*", "", "InvalidSpec", "Available", "Failed"),
    (invalid_while_it_holds, "Stalled", "False/*", "", "InvalidSpec", "Available", "Failed"),
    (without_runtime, "Stalled", "False/*", "", "RuntimeNotFound", "Available", "Failed"),
    (overdue, "Stalled", "False/*", "", "ProgressDeadlineExceeded", "Available", "Failed"),
    (first_is_overdue, "Initializing", "False/*", "", "ProgressDeadlineExceeded", "", "Failed"),
    (first_is_refused, "Initializing", "False/*", "", "RolloutFailed", "RevisionFailed/ModelLoadFailed", "Failed"),
    (coarse, "Stalled", "False/*", "", "WeightNotReachable", "Available", "Failed"),
    (suspended, "Suspended", "True/ScaledToZero", "", "", "", "Current"),
    (suspended_while_overdue, "Suspended", "True/ScaledToZero", "", "", "", "Current"),
    (suspended_after_a_refusal, "Suspended", "True/ScaledToZero", "", "", "", "Current"),
    (serving_while_it_holds, "Paused", "True/RolloutInProgress", "", "", "Paused/AwaitingApproval", "Current"),
    (refused_though_serving_is_enough, "RolledBack", "False/RolloutFailed", "", "RolloutFailed", "Available", "Failed"),
    (replaced_while_broken, "*", "False/*", "*", "", "Available", "InProgress"),
)
BEGINNINGS = [pytest.param(row[0], id=row[0].__name__) for row in ROWS]


@cache
def world_of(beginning: Callable[[], World]) -> World:
    """Each beginning is simulated once."""
    return beginning()


def conditions(found: Manifest) -> dict[str, Manifest]:
    """Conditions by type."""
    return {item["type"]: item for item in found["conditions"]}


def shown(found: dict[str, Manifest], kind: str) -> str:
    """`True/Reason`, empty for an absent condition."""
    item = found.get(kind)
    return f"{item['status']}/{item['reason']}" if item else ""


def kstatus(manifest: Manifest) -> str:
    """The rules of kstatus for a custom resource, in their order."""
    found = manifest.get("status") or {}
    if "deletionTimestamp" in manifest["metadata"]:
        return "Terminating"
    if found.get("observedGeneration") != manifest["metadata"]["generation"]:
        return "InProgress"
    by_type = {item["type"]: item["status"] for item in found.get("conditions", ())}
    if by_type.get("Reconciling") == "True":
        return "InProgress"
    if by_type.get("Stalled") == "True":
        return "Failed"
    return "Current" if by_type.get("Ready", "True") == "True" else "InProgress"


def fits(value: str, pattern: str) -> bool:
    """`*` stands for any reason."""
    return value.startswith(pattern.removesuffix("*")) if pattern.endswith("*") else value == pattern


@pytest.mark.parametrize("row", [pytest.param(row, id=row[0].__name__) for row in ROWS])
def test_each_phase_has_its_conditions_and_its_one_result_for_tools(row: Row) -> None:
    beginning, phase, ready, reconciling, stalled, others, result = row
    world = world_of(beginning)
    found = conditions(world.status())
    assert fits(world.status()["phase"], phase), world.picture()
    assert fits(shown(found, "Ready"), ready), shown(found, "Ready")
    assert fits(shown(found, "Reconciling"), f"True/{reconciling}" if reconciling else "")
    assert shown(found, "Stalled") == (f"True/{stalled}" if stalled else "")
    for other in others.split():
        kind, _, reason = other.partition("/")
        assert fits(shown(found, kind), f"True/{reason or '*'}"), (other, shown(found, kind))
    assert kstatus(world.model()) == result


def test_an_unseen_generation_is_in_progress() -> None:
    model = healthy().model()
    assert kstatus(model | {"metadata": model["metadata"] | {"generation": 99}}) == "InProgress"


@pytest.mark.parametrize("beginning", [item for item in BEGINNINGS if "invalid" in str(item.id)])
def test_an_invalid_spec_is_told_with_its_field_and_hides_nothing(beginning: Callable[[], World]) -> None:
    found = world_of(beginning).status()
    assert "replicas" in found["message"]
    assert found["stableRevision"]
    assert found["address"]["url"] == "http://fraud.example.com/v2/models/fraud"
    assert found["weight"] in (10, 100)
    assert "Paused" not in conditions(found)


PROGRESSING = (
    (healthy, "False/Complete"),
    (holding, "False/Paused"),
    (aborted, "False/Aborted"),
    (refused, "False/FailFast"),
    (overdue, "False/ProgressDeadlineExceeded"),
    (first_is_overdue, "False/ProgressDeadlineExceeded"),
    (progressing, "True/LoadingModel"),
    (promoting, "True/Draining"),
    (suspended, "False/Complete"),
    (suspended_while_overdue, "False/Complete"),
)


@pytest.mark.parametrize(("beginning", "expected"), [pytest.param(*row, id=row[0].__name__) for row in PROGRESSING])
def test_progressing_says_why_it_moves_or_not(beginning: Callable[[], World], expected: str) -> None:
    assert shown(conditions(world_of(beginning).status()), "Progressing") == expected


def statuses(world: World) -> Iterator[Manifest]:
    """Every status that was ever written."""
    yield from (write.after["status"] for write in world.server.writes if write.verb == "status" and write.after)


@pytest.mark.parametrize("beginning", BEGINNINGS)
def test_every_reason_is_in_the_closed_list(beginning: Callable[[], World]) -> None:
    world = world_of(beginning)
    used = {item["reason"] for found in statuses(world) for item in found["conditions"]}
    used |= {reason for _, reason, _ in world.recorder.events}
    assert {reason for reason in used if reasons.find(reason) is None} == set()


@pytest.mark.parametrize("beginning", BEGINNINGS)
def test_programmed_is_never_the_reason_of_a_failure(beginning: Callable[[], World]) -> None:
    for found in statuses(world_of(beginning)):
        assert shown(conditions(found), "TrafficProgrammed") != "False/Programmed"


def unknown(model: type[Struct], found: Manifest, path: str = "") -> Iterator[str]:
    """Fields that the CRD does not know, so that the API server would drop them at each write."""
    fields = {field.serialization_alias or field.alias or name: field for name, field in model.model_fields.items()}
    for key, value in found.items():
        if key not in fields:
            yield f"{path}{key}"
            continue
        inner = next((item for item in _parts(fields[key].annotation)), None)
        for item in (value if isinstance(value, list) else [value]) if inner else ():
            yield from unknown(inner, item, f"{path}{key}.")


def _parts(annotation: Any) -> Iterator[type[Struct]]:
    if isinstance(annotation, type) and issubclass(annotation, Struct):
        yield annotation
    for argument in getattr(annotation, "__args__", ()):
        yield from _parts(argument)


@pytest.mark.parametrize("beginning", BEGINNINGS)
def test_the_crd_keeps_every_field_as_it_is_written(beginning: Callable[[], World]) -> None:
    for found in statuses(world_of(beginning)):
        assert list(unknown(Status, found)) == []
        Status.model_validate(found)


@pytest.mark.parametrize("beginning", BEGINNINGS)
def test_messages_are_short_printable_and_hold_no_secret(beginning: Callable[[], World]) -> None:
    world = world_of(beginning)
    for found in statuses(world):
        texts = [found["message"], *(item["message"] for item in found["conditions"])]
        assert all(text and len(text) <= 1024 and text.isprintable() for text in texts)
    assert "hunter2" not in json.dumps(list(statuses(world)))
    assert not any("hunter2" in message for _, _, message in world.recorder.events)


@pytest.mark.parametrize("beginning", BEGINNINGS)
def test_the_generation_stands_everywhere_and_times_change_with_the_status_alone(
    beginning: Callable[[], World],
) -> None:
    before: dict[str, Manifest] = {}
    for found in statuses(world_of(beginning)):
        now = conditions(found)
        assert {item["observedGeneration"] for item in now.values()} == {found["observedGeneration"]}
        for kind in now.keys() & before.keys():
            is_flipped = now[kind]["status"] != before[kind]["status"]
            if not is_flipped:
                assert now[kind]["lastTransitionTime"] == before[kind]["lastTransitionTime"]
        before = now


def test_a_revision_refused_before_is_named_with_its_reason_again() -> None:
    found = conditions(world_of(refused_before).status())["RevisionFailed"]
    assert world_of(refused_before).revision_of("v2") in found["message"]


def test_steps_edited_in_mid_rollout_are_not_shown_before_they_count() -> None:
    world = holding()
    world.edit(rollout=models.canary({"name": "all", "weight": 90}))
    world.run_for(2)
    found = world.rollout()
    assert (found["stepName"], found["stepCount"]) == ("taste", 3)


def at_rest(world: World, *, now: datetime | None = None) -> Observed:
    """What a pass would see."""
    snapshot = world.process.view.cache.snapshot((models.NAMESPACE, "fraud"))
    features = Features(gateway=True, runtime_image="")
    return observe(snapshot, now=now or world.clock(), epoch=1, features=features)


def test_another_epoch_alone_is_no_news() -> None:
    seen = at_rest(world_of(healthy))
    one, other = (status(replace(seen, epoch=epoch), plan(seen)) for epoch in (1, 2))
    assert one != other
    assert not is_news(one, other)


def test_planning_again_at_rest_says_nothing_new() -> None:
    seen = at_rest(world_of(healthy), now=world_of(healthy).clock() + timedelta(hours=1))
    assert not is_news(dict(seen.status), status(seen, plan(seen)))


def many(world: World, count: int) -> Observed:
    """The same model with many more revisions that ran before."""
    snapshot = world.process.view.cache.snapshot((models.NAMESPACE, "fraud"))
    (only,) = snapshot.children[kinds.CONTROLLER_REVISION]
    copies = []
    for number in range(count):
        metadata = only["metadata"]
        labels = metadata["labels"] | {"serving.modelway.io/revision": f"{number:010}", "serving.modelway.io/role": ""}
        copies.append(
            only | {"revision": number + 2, "metadata": metadata | {"name": f"fraud-{number:010}", "labels": labels}}
        )
    children = dict(snapshot.children) | {kinds.CONTROLLER_REVISION: (only, *copies)}
    crowded = Snapshot(owner=snapshot.owner, children=children, runtimes=snapshot.runtimes)
    return observe(crowded, now=world.clock(), epoch=1, features=Features(gateway=True, runtime_image=""))


@pytest.mark.parametrize("count", [49, 60])
def test_a_long_history_stays_small_and_never_hides_who_serves(count: int) -> None:
    seen = many(world_of(healthy), count)
    found = status(seen, plan(seen))
    assert len(found["revisions"]) == 50
    assert found["stableRevision"]["name"] in [item["name"] for item in found["revisions"]]
    assert len(json.dumps(found)) < 32 * 1024


ADDRESSES: list[Any] = [
    pytest.param(None, "http://fraud.payments.svc/v2/models/fraud", id="service-only"),
    pytest.param({"parentRefs": [{"name": "p"}]}, "http://fraud.payments.svc/v2/models/fraud", id="no-hostname"),
    pytest.param(
        {"parentRefs": [{"name": "p"}], "hostnames": ["a.example.com"]},
        "http://a.example.com/v2/models/fraud",
        id="http",
    ),
    pytest.param(
        {"parentRefs": [{"name": "p", "sectionName": "https"}], "hostnames": ["a.example.com"]},
        "https://a.example.com/v2/models/fraud",
        id="https-by-section",
    ),
    pytest.param(
        {"parentRefs": [{"name": "p", "port": 443}], "hostnames": ["a.example.com"]},
        "https://a.example.com/v2/models/fraud",
        id="https-by-port",
    ),
    pytest.param(
        {"parentRefs": [{"name": "p"}], "hostnames": ["*.example.com", "b.example.com"]},
        "http://b.example.com/v2/models/fraud",
        id="wildcard-and-name",
    ),
    pytest.param(
        {"parentRefs": [{"name": "p"}], "hostnames": ["*.example.com"]},
        "http://fraud.payments.svc/v2/models/fraud",
        id="wildcard",
    ),
]


@pytest.mark.parametrize(("traffic", "url"), ADDRESSES)
def test_the_address_is_one_that_can_be_asked(traffic: Manifest | None, url: str) -> None:
    spec = {"model": models.model("v1")} | ({"traffic": traffic} if traffic else {})
    metadata = {"name": "fraud", "namespace": "payments", "uid": "u", "resourceVersion": "1", "generation": 1}
    snapshot = Snapshot(owner={"metadata": metadata, "spec": spec}, children={}, runtimes=())
    seen = observe(
        snapshot,
        now=datetime(2026, 11, 21, tzinfo=UTC),
        epoch=1,
        features=Features(gateway=True, runtime_image=""),
    )
    found = status(seen, plan(seen))["address"]
    assert found == {"url": url, "internal": "http://fraud.payments.svc"}


def test_what_the_uri_of_a_model_hides_stays_out_of_status_and_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    uri = "https://ada:hunter2@models.example.com/fraud.onnx?X-Amz-Signature=hunter2"
    world = World()
    world.apply(models.spec("v1", model=models.model("v1", uri=uri)))
    world.run_to_phase("Healthy")
    (revision,) = world.status()["revisions"]
    assert revision["model"]["uri"].startswith("https://[redacted]@models.example.com/fraud.onnx")
    assert "hunter2" not in json.dumps(world.status())
    assert "revision 1 of https://[redacted]@models.example.com" in caplog.text
    assert "hunter2" not in caplog.text


def test_a_cause_keeps_its_dots_and_ends_with_one() -> None:
    assert words.explained(Trouble(reason="Conflict", message="Service a..b is not ours.")).startswith(
        "Service a..b is not ours. "
    )
