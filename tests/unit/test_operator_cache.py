"""The cache: what gets in, what never comes back, and whom it concerns."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelway import kinds, names
from modelway.cluster import cache as cache_module
from modelway.cluster.cache import Cache
from modelway.kinds import Kind, Manifest

KEY = ("ns", "iris")


def model(name: str = "iris", *, uid: str = "u1", version: int = 1, **more: Any) -> Manifest:
    metadata = {"namespace": "ns", "name": name, "uid": uid, "resourceVersion": str(version)}
    return {"metadata": metadata, "spec": {}, **more}


def child(
    name: str = "iris-1", *, uid: str = "c1", version: int = 1, owner: str | None = "u1", label: str = "iris"
) -> Manifest:
    reference = {
        "apiVersion": names.API_VERSION,
        "kind": "ModelDeployment",
        "name": "iris",
        "uid": owner,
        "controller": True,
    }
    metadata: Manifest = {"namespace": "ns", "name": name, "uid": uid, "resourceVersion": str(version)}
    metadata["labels"] = {names.MODEL_LABEL: label} if label else {}
    metadata["ownerReferences"] = [reference] if owner else []
    return {"metadata": metadata}


def runtime(name: str, *, namespace: str = "", version: int = 1) -> Manifest:
    metadata = {"name": name, "uid": f"{namespace}-{name}", "resourceVersion": str(version)}
    return {"metadata": metadata | ({"namespace": namespace} if namespace else {}), "spec": {}}


def known(cache: Cache, kind: Kind) -> list[str]:
    return [item["metadata"]["resourceVersion"] for item in cache.objects(kind)]


def test_a_snapshot_holds_the_owner_its_children_and_the_runtimes_it_can_use() -> None:
    cache = Cache()
    cache.observe(kinds.MODEL_DEPLOYMENT, None, model())
    cache.observe(kinds.DEPLOYMENT, None, child())
    cache.observe(kinds.POD, None, child("iris-1-x", uid="p1", owner=None))
    cache.observe(kinds.DEPLOYMENT, None, child("other-1", uid="c2", owner=None, label="other"))
    cache.observe(kinds.MODEL_RUNTIME, None, runtime("here", namespace="ns"))
    cache.observe(kinds.MODEL_RUNTIME, None, runtime("there", namespace="other"))
    cache.observe(kinds.CLUSTER_MODEL_RUNTIME, None, runtime("everywhere"))
    snapshot = cache.snapshot(KEY)
    assert snapshot.owner is not None
    assert {kind.name: len(children) for kind, children in snapshot.children.items()} == {"Deployment": 1, "Pod": 1}
    assert [item["metadata"]["name"] for item in snapshot.runtimes] == ["here", "everywhere"]
    assert snapshot.children[kinds.POD][0]["kind"] == "Pod"


def test_children_of_a_deleted_owner_are_still_shown() -> None:
    cache = Cache()
    cache.observe(kinds.DEPLOYMENT, None, child())
    assert cache.snapshot(KEY).owner is None
    assert cache.snapshot(KEY).children[kinds.DEPLOYMENT]


def test_what_nobody_reads_is_not_kept() -> None:
    cache = Cache()
    manifest = model()
    manifest["metadata"]["managedFields"] = [
        {"manager": "kubectl", "time": "2026-11-21T10:00:00Z", "fieldsV1": {"f:spec": {"f:model": {"f:uri": {}}}}},
        {"manager": "helm", "fieldsV1": {"f:metadata": {"f:labels": {"f:team": {}}, "f:annotations": {"f:mine": {}}}}},
        {"manager": "modelway", "subresource": "status"},
    ]
    manifest["metadata"]["annotations"] = {
        "kubectl.kubernetes.io/last-applied-configuration": "{}",
        "mine": "stays",
    }
    cache.observe(kinds.MODEL_DEPLOYMENT, "ADDED", manifest)
    (kept,) = cache.objects(kinds.MODEL_DEPLOYMENT)
    assert kept["metadata"]["managedFields"] == [
        {"manager": "kubectl", "time": "2026-11-21T10:00:00Z", "fieldsV1": {"f:spec": {}}},
        {"manager": "helm", "fieldsV1": {"f:metadata": {"f:annotations": {"f:mine": {}}}}},
        {"manager": "modelway", "subresource": "status", "fieldsV1": {}},
    ]
    assert kept["metadata"]["annotations"] == {"mine": "stays"}
    fields = manifest["metadata"]["managedFields"][0]["fieldsV1"]
    assert fields == {"f:spec": {"f:model": {"f:uri": {}}}}, "the event's own object is left alone"


def test_field_ownership_of_children_is_not_kept() -> None:
    cache = Cache()
    manifest = child()
    manifest["metadata"]["managedFields"] = [{"manager": "modelway", "fieldsV1": {"f:spec": {}}}]
    cache.observe(kinds.DEPLOYMENT, "ADDED", manifest)
    (kept,) = cache.objects(kinds.DEPLOYMENT)
    assert "managedFields" not in kept["metadata"]


@pytest.mark.parametrize(
    ("version", "keys"),
    [pytest.param(4, (), id="older"), pytest.param(5, (), id="same"), pytest.param(6, (KEY,), id="newer")],
)
def test_62_only_a_newer_state_is_taken_and_concerns_anybody(version: int, keys: tuple[Any, ...]) -> None:
    cache = Cache()
    cache.store(kinds.MODEL_DEPLOYMENT, model(version=5))
    assert cache.observe(kinds.MODEL_DEPLOYMENT, "MODIFIED", model(version=version)) == keys
    assert known(cache, kinds.MODEL_DEPLOYMENT) == [str(max(version, 5))]


def test_versions_are_compared_as_numbers() -> None:
    cache = Cache()
    cache.store(kinds.MODEL_DEPLOYMENT, model(version=9))
    cache.store(kinds.MODEL_DEPLOYMENT, model(version=10))
    assert known(cache, kinds.MODEL_DEPLOYMENT) == ["10"]


def test_62_a_late_event_does_not_bring_a_deleted_object_back() -> None:
    cache = Cache()
    cache.observe(kinds.DEPLOYMENT, "ADDED", child(version=5))
    assert cache.observe(kinds.DEPLOYMENT, "DELETED", child(version=8)) == (KEY,)
    assert cache.observe(kinds.DEPLOYMENT, "MODIFIED", child(version=7)) == ()
    assert known(cache, kinds.DEPLOYMENT) == []


def test_an_object_that_we_deleted_stays_away_whatever_still_arrives_about_it() -> None:
    cache = Cache()
    cache.observe(kinds.DEPLOYMENT, "ADDED", child(version=5))
    cache.forget(kinds.DEPLOYMENT, "ns", "iris-1", "c1")
    assert cache.observe(kinds.DEPLOYMENT, "MODIFIED", child(version=99)) == ()
    assert known(cache, kinds.DEPLOYMENT) == []


def test_the_end_of_our_own_deletion_wakes_who_waits_for_the_name() -> None:
    cache = Cache()
    cache.observe(kinds.DEPLOYMENT, "ADDED", child(version=5))
    cache.forget(kinds.DEPLOYMENT, "ns", "iris-1", "c1")
    assert cache.observe(kinds.DEPLOYMENT, "DELETED", child(version=6)) == (KEY,)


def test_the_deletion_of_an_unknown_object_wakes_its_owner() -> None:
    assert Cache().observe(kinds.DEPLOYMENT, "DELETED", child(owner="dead")) == (KEY,)


def test_a_new_object_of_an_old_name_is_taken_and_outlives_late_news_of_the_old_one() -> None:
    cache = Cache()
    cache.observe(kinds.DEPLOYMENT, "ADDED", child(uid="old", version=5))
    cache.observe(kinds.DEPLOYMENT, "ADDED", child(uid="new", version=9))
    cache.observe(kinds.DEPLOYMENT, "DELETED", child(uid="old", version=8))
    cache.observe(kinds.DEPLOYMENT, "MODIFIED", child(uid="old", version=7))
    cache.forget(kinds.DEPLOYMENT, "ns", "iris-1", "old")
    assert [item["metadata"]["uid"] for item in cache.objects(kinds.DEPLOYMENT)] == ["new"]


def test_an_object_that_lost_our_label_comes_back_when_the_label_does() -> None:
    cache = Cache()
    cache.observe(kinds.DEPLOYMENT, "ADDED", child(version=5))
    assert cache.observe(kinds.DEPLOYMENT, "DELETED", child(version=6)) == (KEY,)
    cache.store(kinds.DEPLOYMENT, child(version=7))
    assert known(cache, kinds.DEPLOYMENT) == ["7"]
    assert cache.observe(kinds.DEPLOYMENT, "DELETED", child(version=6)) == ()
    assert known(cache, kinds.DEPLOYMENT) == ["7"]


def test_a_child_that_changes_hands_concerns_both() -> None:
    cache = Cache()
    cache.observe(kinds.DEPLOYMENT, "ADDED", child(owner=None, label="first"))
    keys = cache.observe(kinds.DEPLOYMENT, "MODIFIED", child(version=2, owner=None, label="second"))
    assert set(keys) == {("ns", "first"), ("ns", "second")}
    assert kinds.DEPLOYMENT not in cache.snapshot(("ns", "first")).children


def test_a_changed_runtime_concerns_every_model_that_may_use_it() -> None:
    cache = Cache()
    cache.observe(kinds.MODEL_DEPLOYMENT, None, model())
    elsewhere = model("wine", uid="u2")
    elsewhere["metadata"]["namespace"] = "other"
    cache.observe(kinds.MODEL_DEPLOYMENT, None, elsewhere)
    assert cache.observe(kinds.MODEL_RUNTIME, None, runtime("r", namespace="ns")) == (KEY,)
    assert set(cache.observe(kinds.CLUSTER_MODEL_RUNTIME, None, runtime("r"))) == {KEY, ("other", "wine")}


def test_62_a_sweep_drops_what_the_list_lacks_and_keeps_what_is_newer_than_the_list() -> None:
    cache = Cache()
    cache.observe(kinds.DEPLOYMENT, None, child("stays", uid="1", version=3))
    cache.observe(kinds.DEPLOYMENT, None, child("gone", uid="2", version=4))
    cache.store(kinds.DEPLOYMENT, child("just-made", uid="3", version=12))
    dropped = cache.sweep(kinds.DEPLOYMENT, None, [child("stays", uid="1", version=3)], "10")
    assert [item["metadata"]["name"] for item in dropped] == ["gone"]
    assert sorted(item["metadata"]["name"] for item in cache.objects(kinds.DEPLOYMENT)) == ["just-made", "stays"]
    assert cache.observe(kinds.DEPLOYMENT, "MODIFIED", child("gone", uid="2", version=9)) == ()


def test_a_sweep_of_one_namespace_leaves_the_others_alone() -> None:
    cache = Cache()
    cache.observe(kinds.DEPLOYMENT, None, child())
    assert cache.sweep(kinds.DEPLOYMENT, "other", [], "10") == ()


def test_tombstones_are_dropped_after_a_while() -> None:
    now = 0.0
    cache = Cache(clock=lambda: now)
    for number in range(100):
        now += cache_module.TOMBSTONE_SECONDS / 10
        cache.forget(kinds.DEPLOYMENT, "ns", "x", str(number))
    assert len(cache._tombstones) == 11


def test_the_highest_epoch_is_that_of_any_object() -> None:
    cache = Cache()
    assert cache.highest_epoch() == 0
    cache.observe(kinds.MODEL_DEPLOYMENT, None, model("a", uid="1", status={"epoch": 3}))
    cache.observe(kinds.MODEL_DEPLOYMENT, None, model("b", uid="2", status={"epoch": 7}))
    cache.observe(kinds.MODEL_DEPLOYMENT, None, model("c", uid="3"))
    assert cache.highest_epoch() == 7
    assert (cache.epoch(("ns", "a")), cache.epoch(("ns", "c")), cache.epoch(("ns", "absent"))) == (3, 0, 0)


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[tuple[str, Manifest]], Manifest | None]:
    """Lives of objects of one name, one after the other, and what is there at the end."""
    events: list[tuple[str, Manifest]] = []
    version, last = 0, None
    for life in range(draw(st.integers(1, 3))):
        changes = draw(st.integers(1, 4))
        for change in range(changes):
            version += 1
            last = child(uid=str(life), version=version)
            events.append(("ADDED" if change == 0 else "MODIFIED", last))
        is_last_life = draw(st.booleans())
        if is_last_life:
            return events, last
        version += 1
        events.append(("DELETED", child(uid=str(life), version=version)))
        last = None
    return events, last


@given(histories(), st.data())
def test_62_late_and_repeated_events_never_change_the_outcome(
    history: tuple[list[tuple[str, Manifest]], Manifest | None], data: st.DataObject
) -> None:
    """The watch tells everything in order; our own writes and old lists tell parts of it at any later time."""
    events, last = history
    cache = Cache()
    for index, (event, manifest) in enumerate(events):
        cache.observe(kinds.DEPLOYMENT, event, manifest)
        for echo in data.draw(st.lists(st.integers(0, index), max_size=3)):
            earlier, stale = events[echo]
            if data.draw(st.booleans()) and earlier != "DELETED":
                cache.store(kinds.DEPLOYMENT, stale)
            else:
                cache.observe(kinds.DEPLOYMENT, earlier, stale)
            expected = [] if event == "DELETED" else [manifest["metadata"]["resourceVersion"]]
            assert known(cache, kinds.DEPLOYMENT) == expected
    assert known(cache, kinds.DEPLOYMENT) == ([] if last is None else [last["metadata"]["resourceVersion"]])
    assert bool(cache.snapshot(KEY).children) == (last is not None)
