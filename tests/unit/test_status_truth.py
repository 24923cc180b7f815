"""The status in every phase: closed reasons, messages for people, and the bounds that the CRD sets."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
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
from modelway.status import is_news, refusal, status, words
from simulation import beginnings, models
from simulation.beginnings import Beginning, world_of
from simulation.stories import installed, upgrade
from simulation.world import World

BEGINNINGS = [pytest.param(beginning, id=beginning.__name__) for beginning in beginnings.ALL]


def conditions(found: Manifest) -> dict[str, Manifest]:
    """Conditions by type."""
    return {item["type"]: item for item in found["conditions"]}


def shown(found: dict[str, Manifest], kind: str) -> str:
    """`True/Reason`, empty for an absent condition."""
    item = found.get(kind)
    return f"{item['status']}/{item['reason']}" if item else ""


@pytest.mark.parametrize("beginning", [item for item in BEGINNINGS if "invalid" in str(item.id)])
def test_54_an_invalid_spec_is_told_with_its_field_and_hides_nothing(beginning: Beginning) -> None:
    found = world_of(beginning).status()
    assert "replicas" in found["message"]
    assert found["stableRevision"]
    assert found["address"]["url"] == "http://fraud.example.com/v2/models/fraud"
    assert found["weight"] in (10, 100)
    assert "Paused" not in conditions(found)


def statuses(world: World) -> Iterator[Manifest]:
    """Every status that was ever written."""
    yield from (write.after["status"] for write in world.server.writes if write.verb == "status" and write.after)


@pytest.mark.parametrize("beginning", BEGINNINGS)
def test_65_every_reason_is_in_the_closed_list(beginning: Beginning) -> None:
    world = world_of(beginning)
    used = {item["reason"] for found in statuses(world) for item in found["conditions"]}
    used |= {reason for _, reason, _ in world.recorder.events}
    assert {reason for reason in used if reasons.find(reason) is None} == set()


@pytest.mark.parametrize("beginning", BEGINNINGS)
def test_65_programmed_is_never_the_reason_of_a_failure(beginning: Beginning) -> None:
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
def test_the_crd_keeps_every_field_as_it_is_written(beginning: Beginning) -> None:
    for found in statuses(world_of(beginning)):
        assert list(unknown(Status, found)) == []
        Status.model_validate(found)


def talkative() -> World:
    """A version fails with a long message that holds a secret and a terminal's control characters."""
    world = installed()
    world.script("v2", load_failure="ModelLoadFailed", message="AWS_SECRET_ACCESS_KEY=hunter2 \x1b[31m" + "é" * 5000)
    upgrade(world, "v2")
    world.run_to_phase("RolledBack")
    return world


@pytest.mark.parametrize("beginning", [*BEGINNINGS, pytest.param(talkative, id="talkative")])
def test_messages_are_short_printable_and_hold_no_secret(beginning: Beginning) -> None:
    world = world_of(beginning)
    for found in statuses(world):
        texts = [found["message"], *(item["message"] for item in found["conditions"])]
        assert all(text and len(text.encode()) <= 1024 and text.isprintable() for text in texts)
    assert "hunter2" not in json.dumps(list(statuses(world)))
    assert not any("hunter2" in message for _, _, message in world.recorder.events)


@pytest.mark.parametrize("beginning", BEGINNINGS)
def test_65_the_generation_stands_everywhere_and_times_change_with_the_status_alone(
    beginning: Beginning,
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
    found = conditions(world_of(beginnings.refused_before).status())["RevisionFailed"]
    assert world_of(beginnings.refused_before).revision_of("v2") in found["message"]


def test_30_steps_edited_in_mid_rollout_are_not_shown_before_they_count() -> None:
    world = beginnings.holding()
    world.edit(rollout=models.canary({"name": "all", "weight": 90}))
    world.run_for(2)
    found = world.rollout()
    assert (found["stepName"], found["stepCount"]) == ("taste", 3)


def at_rest(world: World, *, now: datetime | None = None) -> Observed:
    """What a pass would see."""
    snapshot = world.process.view.cache.snapshot((models.NAMESPACE, "fraud"))
    features = Features(gateway=True, runtime_image="", route_fields=frozenset({"name"}))
    return observe(snapshot, now=now or world.clock(), epoch=1, features=features)


def test_61_another_epoch_alone_is_no_news() -> None:
    seen = at_rest(world_of(beginnings.healthy))
    one, other = (status(replace(seen, epoch=epoch), plan(seen)) for epoch in (1, 2))
    assert one != other
    assert not is_news(one, other)


def test_61_planning_again_at_rest_says_nothing_new() -> None:
    seen = at_rest(world_of(beginnings.healthy), now=world_of(beginnings.healthy).clock() + timedelta(hours=1))
    assert not is_news(dict(seen.status), status(seen, plan(seen)))


def many(world: World, count: int, **model: str) -> Observed:
    """The same object with many more revisions that ran before."""
    snapshot = world.process.view.cache.snapshot((models.NAMESPACE, "fraud"))
    known = tuple(snapshot.children[kinds.CONTROLLER_REVISION])
    pattern = known[-1]
    source = pattern["data"]["source"]
    data = pattern["data"] | {"source": source | {"model": source["model"] | model}}
    copies = []
    for number in range(count):
        metadata = pattern["metadata"]
        labels = metadata["labels"] | {"serving.modelway.io/revision": f"{number:010}", "serving.modelway.io/role": ""}
        names = metadata | {"name": f"fraud-{number:010}", "labels": labels}
        copies.append(pattern | {"revision": number + len(known) + 1, "metadata": names, "data": data})
    children = dict(snapshot.children) | {kinds.CONTROLLER_REVISION: (*known, *copies)}
    crowded = Snapshot(owner=snapshot.owner, children=children, runtimes=snapshot.runtimes)
    return observe(crowded, now=world.clock(), epoch=1, features=Features(gateway=True, runtime_image=""))


def size(found: Manifest) -> int:
    """Bytes on the wire."""
    return len(json.dumps(found, ensure_ascii=False).encode())


@pytest.mark.parametrize("count", [49, 60])
def test_65_a_long_history_stays_small_and_never_hides_who_serves(count: int) -> None:
    seen = many(world_of(beginnings.healthy), count)
    found = status(seen, plan(seen))
    assert len(found["revisions"]) == 50
    assert found["stableRevision"]["name"] in [item["name"] for item in found["revisions"]]
    assert size(found) < 32 * 1024


def test_the_longest_words_of_everybody_make_no_large_status() -> None:
    face = "\N{GRINNING FACE}"
    world = talkative()
    world.gateway.refusal = ("Accepted", face * 5000)
    world.command("pause", value=face * 2000)
    world.command("abort", value=face * 2000)
    world.run_for(5)
    seen = many(world, 60, uri=f"s3://models/{face * 2000}")
    found = status(seen, plan(seen))
    assert 16 * 1024 < size(found) < 32 * 1024
    assert len(found["revisions"]) == 50
    assert sum("model" in item for item in found["revisions"]) >= 5
    assert found["revisions"][0]["name"] == found["stableRevision"]["name"]


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


def test_a_cause_that_was_explained_is_not_explained_again() -> None:
    once = words.explained(Trouble(reason="Conflict", message="Service a is not ours"))
    assert words.explained(Trouble(reason="Conflict", message=once)) == once


def stored(kind: str, reason: str, *, generation: int = 1, **more: str) -> Observed:
    """An object whose last status carries that condition."""
    seen = at_rest(world_of(beginnings.healthy))
    found = [{"type": kind, "reason": reason, "message": "why", "status": "True"}]
    found += [{"type": key, "reason": value, "status": "False"} for key, value in more.items()]
    return replace(seen, status={"observedGeneration": generation, "conditions": found})


STANDING: list[Any] = [
    pytest.param(stored("Stalled", "RBACDenied"), "RBACDenied", "", id="rights"),
    pytest.param(
        stored("Stalled", "WriteDenied", TrafficProgrammed="WriteDenied"), "WriteDenied", "HTTPRoute", id="route"
    ),
    pytest.param(stored("Stalled", "InvalidSpec", generation=0), "", "", id="of-another-spec"),
    pytest.param(stored("Stalled", "RuntimeNotFound"), "", "", id="not-of-the-api-server"),
    pytest.param(stored("Reconciling", "ImagePullFailed"), "", "", id="not-stalled"),
]


@pytest.mark.parametrize(("seen", "reason", "subject"), STANDING)
def test_a_refusal_of_the_api_server_stands_until_it_answers_otherwise(
    seen: Observed, reason: str, subject: str
) -> None:
    found = refusal(seen)
    assert ((found.reason, found.subject) if found else ("", "")) == (reason, subject)
