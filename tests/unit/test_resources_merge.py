"""Overlays, and whether what is stored still holds what was asked for."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelway import kinds, names
from modelway.api import Autoscaling, Traffic
from modelway.kinds import Manifest
from modelway.resources import autoscaler, traffic
from modelway.resources.merge import holds, overlay
from modelway.resources.metadata import Parent

PARENT = Parent(namespace="payments", name="fraud", uid="uid-1")

KEYS = st.sampled_from(["a", "b", "name", "requests", "selector", "env", "timeouts", "sizeLimit"])
SCALARS = st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from(["", "x", "1", "1Gi"])
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=12
)
QUANTITY_FREE = VALUES.filter(lambda value: "requests" not in repr(value) and "sizeLimit" not in repr(value))
MANIFESTS = st.dictionaries(KEYS, VALUES, max_size=4)


@given(VALUES)
def test_everything_holds_itself(value: Any) -> None:
    assert holds(copy.deepcopy(value), value)


@given(MANIFESTS)
def test_an_overlay_of_nothing_changes_nothing(value: Manifest) -> None:
    assert overlay(value, {}) == value
    assert overlay({}, value) == value


@given(MANIFESTS)
def test_an_overlay_of_itself_changes_nothing_but_repeated_names(value: Manifest) -> None:
    once = overlay(value, value)
    assert overlay(once, once) == once


@given(MANIFESTS, MANIFESTS)
def test_an_overlay_leaves_both_as_they_were(base: Manifest, over: Manifest) -> None:
    before = copy.deepcopy((base, over))
    overlay(base, over)
    assert (base, over) == before


OVERLAYS: list[Any] = [
    pytest.param({"a": {"b": 1}}, {"a": {"c": 2}}, {"a": {"b": 1, "c": 2}}, id="maps-are-merged"),
    pytest.param({"a": [1, 2]}, {"a": [3]}, {"a": [3]}, id="plain-lists-are-replaced"),
    pytest.param(
        {"a": [{"name": "x", "b": 1}, {"name": "y"}]},
        {"a": [{"name": "y", "c": 2}, {"name": "z"}]},
        {"a": [{"name": "x", "b": 1}, {"name": "y", "c": 2}, {"name": "z"}]},
        id="named-lists-by-name",
    ),
    pytest.param({"a": [{"name": "x"}]}, {"a": [{"b": 1}]}, {"a": [{"b": 1}]}, id="unnamed-replace-named"),
    pytest.param({"a": 1}, {"a": None}, {"a": None}, id="null-replaces"),
    pytest.param({"a": {"b": 1}}, {"a": "x"}, {"a": "x"}, id="text-replaces-a-map"),
]


@pytest.mark.parametrize(("base", "over", "result"), OVERLAYS)
def test_overlay(base: Manifest, over: Manifest, result: Manifest) -> None:
    assert overlay(base, over) == result


HOLDING: list[Any] = [
    pytest.param({"a": 1, "b": 2}, {"a": 1}, id="more-fields"),
    pytest.param({}, {"a": {}, "b": [], "c": "", "d": None}, id="empty-is-absent"),
    pytest.param({"requests": {"cpu": "500m"}}, {"requests": {"cpu": "0.5"}}, id="quantity"),
    pytest.param({"limits": {"memory": "1Gi"}}, {"limits": {"memory": "1024Mi"}}, id="quantity-of-a-limit"),
    pytest.param({"limits": {"nvidia.com/gpu": "1"}}, {"limits": {"nvidia.com/gpu": 1}}, id="quantity-number"),
    pytest.param({"sizeLimit": "1Gi"}, {"sizeLimit": "1024Mi"}, id="size-of-a-volume"),
    pytest.param({"averageValue": "1"}, {"averageValue": "1000m"}, id="average"),
    pytest.param({"tolerance": "50m"}, {"tolerance": "0.05"}, id="tolerance-of-an-hpa"),
    pytest.param({"divisor": "1M"}, {"divisor": "1000k"}, id="divisor"),
    pytest.param({"hostNetwork": None}, {"hostNetwork": False}, id="false-that-the-server-drops"),
    pytest.param(
        {"containers": [{"name": "sidecar"}, {"name": "model", "image": "a", "tty": False}]},
        {"containers": [{"name": "model", "image": "a"}]},
        id="a-sidecar-of-somebody-else",
    ),
    pytest.param(
        {"env": [{"name": "A", "value": "1"}, {"name": "B"}]},
        {"env": [{"name": "A", "value": "1"}]},
        id="a-variable-of-somebody-else",
    ),
    pytest.param(
        {"ports": [{"port": 80, "targetPort": 8000, "nodePort": 30000}]},
        {"ports": [{"port": 80, "targetPort": 8000}]},
        id="a-port-with-more",
    ),
    pytest.param({"selector": {"a": "1"}}, {"selector": {"a": "1"}}, id="same-selector"),
    pytest.param({}, {"timeouts": {}}, id="no-timeouts"),
]
BROKEN: list[Any] = [
    pytest.param({}, {"a": 1}, id="absent"),
    pytest.param({"a": 1}, {"a": 2}, id="other"),
    pytest.param(None, {"a": 1}, id="nothing-stored"),
    pytest.param({"a": "x"}, {"a": {"b": 1}}, id="other-type"),
    pytest.param({"requests": {"cpu": "1"}}, {"requests": {"cpu": "2"}}, id="quantity"),
    pytest.param({}, {"requests": {"cpu": "1"}}, id="quantity-absent"),
    pytest.param({"rules": [{}, {}]}, {"rules": [{}]}, id="one-rule-more"),
    pytest.param({"rules": []}, {"rules": [{}]}, id="one-rule-less"),
    pytest.param({"rules": [{"a": 1, "retry": {}}]}, {"rules": [{"a": 1}]}, id="one-field-of-a-rule-more"),
    pytest.param({"matches": [{"headers": []}]}, {"matches": [{}]}, id="one-condition-of-a-match-more"),
    pytest.param({"hostnames": ["a", "b"]}, {"hostnames": ["a"]}, id="one-hostname-more"),
    pytest.param({"hostnames": ["a"]}, {"hostnames": []}, id="a-hostname-where-none-is-wanted"),
    pytest.param({"selector": {"a": "1", "b": "2"}}, {"selector": {"a": "1"}}, id="narrower-selector"),
    pytest.param({"selector": {"a": "1"}}, {"selector": {"a": "1", "b": "2"}}, id="wider-selector"),
    pytest.param({"timeouts": {"request": "1s"}}, {"timeouts": {}}, id="a-timeout-where-none-is-wanted"),
    pytest.param(
        {"containers": [{"name": "model", "image": "b"}]},
        {"containers": [{"name": "model", "image": "a"}]},
        id="another-image",
    ),
    pytest.param({"containers": [{"name": "sidecar"}]}, {"containers": [{"name": "model"}]}, id="container-gone"),
    pytest.param({}, {"allowPrivilegeEscalation": False}, id="confinement-gone"),
    pytest.param({}, {"automountServiceAccountToken": False}, id="token-let-in"),
    pytest.param({"enableServiceLinks": True}, {"enableServiceLinks": False}, id="true-instead-of-false"),
]


@pytest.mark.parametrize(("stored", "wanted"), HOLDING)
def test_what_is_stored_holds_what_is_wanted(stored: Any, wanted: Any) -> None:
    assert holds(stored, wanted)


@pytest.mark.parametrize(("stored", "wanted"), BROKEN)
def test_what_is_stored_is_not_what_is_wanted(stored: Any, wanted: Any) -> None:
    assert not holds(stored, wanted)


@given(QUANTITY_FREE, st.dictionaries(st.sampled_from(["x", "y"]), SCALARS))
def test_more_fields_are_tolerated(wanted: Any, more: Manifest) -> None:
    assert holds({"wanted": wanted} | more, {"wanted": wanted})


def route(weights: dict[str, int] | None = None, **fields: Any) -> Manifest:
    """The route of a traffic section."""
    section = Traffic.model_validate({"parentRefs": [{"name": "public"}]} | fields)
    division = traffic.Division(weights=weights or {"fraud-1": 90, "fraud-2": 10})
    return traffic.route(PARENT, section, "fraud", division, fields=traffic.OPTIONAL_FIELDS)


def test_a_route_for_a_model_names_its_paths_only() -> None:
    rule = route(hostnames=["a.example.com"])["spec"]["rules"][0]
    assert [match["path"] for match in rule["matches"]] == [
        {"type": "PathPrefix", "value": "/v1/models/fraud"},
        {"type": "PathPrefix", "value": "/v2/models/fraud"},
        {"type": "Exact", "value": "/v1/models/fraud:predict"},
    ]


def test_a_route_for_all_takes_the_whole_hostname() -> None:
    rules = route(hostnames=["a.example.com"], paths="All")["spec"]["rules"]
    assert [match["path"]["value"] for rule in rules for match in rule["matches"]] == ["/"]


def test_each_rule_of_a_route_has_the_same_weights_over_services() -> None:
    for paths in ("Model", "All"):
        for rule in route(hostnames=["a.example.com"], paths=paths)["spec"]["rules"]:
            assert [(item["name"], item["weight"], item["port"]) for item in rule["backendRefs"]] == [
                ("fraud-1", 90, 80),
                ("fraud-2", 10, 80),
            ]


def test_a_route_passes_on_what_the_user_says() -> None:
    filters = [{"type": "ResponseHeaderModifier", "responseHeaderModifier": {"set": [{"name": "a", "value": "b"}]}}]
    parents = [{"name": "public", "namespace": "infra", "sectionName": "https", "port": 443}]
    spec = route(parentRefs=parents, timeouts={"request": "1s"}, filters=filters)["spec"]
    assert spec["parentRefs"] == [{"group": "gateway.networking.k8s.io", "kind": "Gateway"} | parents[0]]
    assert spec["rules"][0]["timeouts"] == {"request": "1s"}
    assert spec["rules"][0]["filters"][1:] == filters


FULL: Manifest = {
    "parentRefs": [{"name": "public", "namespace": "infra", "sectionName": "https", "port": 443}],
    "hostnames": ["a.example.com", "b.example.com"],
    "timeouts": {"request": "10s", "backendRequest": "5s"},
    "filters": [{"type": "RequestHeaderModifier", "requestHeaderModifier": {"remove": ["a"], "set": []}}],
}
TAKEN_BACK: list[Any] = [
    pytest.param({"hostnames": []}, id="all-hostnames"),
    pytest.param({"hostnames": ["a.example.com"]}, id="a-hostname"),
    pytest.param({"timeouts": None}, id="timeouts"),
    pytest.param({"timeouts": {"request": "10s"}}, id="a-timeout"),
    pytest.param({"filters": []}, id="filters"),
    pytest.param({"filters": [{"type": "RequestHeaderModifier", "requestHeaderModifier": {}}]}, id="part-of-a-filter"),
    pytest.param({"parentRefs": [{"name": "public", "namespace": "infra"}]}, id="section-of-a-parent"),
]


@pytest.mark.parametrize("change", TAKEN_BACK)
def test_what_a_user_takes_back_is_seen_in_the_route(change: Manifest) -> None:
    stored, wanted = route(**FULL), route(**(FULL | change))
    assert not holds(stored, wanted)
    assert holds(wanted, wanted)


@pytest.mark.parametrize("more", ["set", "add"])
def test_a_header_that_somebody_else_adds_to_our_filter_is_seen(more: str) -> None:
    stored, wanted = route(**FULL), route(**FULL)
    modifier = stored["spec"]["rules"][0]["filters"][0]["requestHeaderModifier"]
    modifier[more] = [{"name": "modelway-shadow", "value": "1"}]
    assert not holds(stored, wanted)


def test_a_list_of_headers_that_is_empty_is_no_difference() -> None:
    stored, wanted = route(), route()
    stored["spec"]["rules"][0]["filters"][0]["requestHeaderModifier"]["add"] = []
    assert holds(stored, wanted)


@pytest.mark.parametrize("field", ["hostnames", "timeouts", "filters"])
def test_what_somebody_else_adds_to_the_route_is_seen(field: str) -> None:
    stored, wanted = route(), route()
    target = stored["spec"] if field == "hostnames" else stored["spec"]["rules"][0]
    target[field] = {"hostnames": ["x"], "timeouts": {"request": "1s"}, "filters": [{"type": "x"}]}[field]
    assert not holds(stored, wanted)


def test_the_defaults_of_the_api_server_are_no_difference_in_a_route() -> None:
    stored = copy.deepcopy(route())
    stored["metadata"] |= {"uid": "1", "resourceVersion": "2", "generation": 1}
    for parent in stored["spec"]["parentRefs"]:
        parent |= {"group": "gateway.networking.k8s.io", "kind": "Gateway"}
    del stored["spec"]["hostnames"], stored["spec"]["rules"][0]["timeouts"]
    assert holds(stored, route())


def scaled(floor: int = 1, ceiling: int = 8, **fields: Any) -> Manifest:
    """The autoscaler of an autoscaling section."""
    section = Autoscaling.model_validate({"minReplicas": 2, "maxReplicas": 8} | fields)
    return autoscaler.autoscaler("fraud-1", PARENT, "1", section, floor=floor, ceiling=ceiling)


@pytest.mark.parametrize(
    ("floor", "ceiling", "bounds"),
    [(0, 8, (1, 8)), (1, 8, (1, 8)), (5, 8, (5, 8)), (8, 8, (8, 8)), (9, 9, (8, 8)), (3, 3, (3, 3)), (0, 0, (1, 1))],
)
def test_an_autoscaler_stays_between_floor_and_ceiling_and_below_the_user(
    floor: int, ceiling: int, bounds: tuple[int, int]
) -> None:
    spec = scaled(floor, ceiling)["spec"]
    assert (spec["minReplicas"], spec["maxReplicas"]) == bounds
    assert spec["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": "fraud-1"}


METRIC = {"type": "Pods", "pods": {"metric": {"name": "queue"}, "target": {"type": "AverageValue"}}}


def test_an_autoscaler_passes_on_metrics_and_behaviour() -> None:
    spec = scaled(metrics=[METRIC], behavior={"scaleDown": {"stabilizationWindowSeconds": 5}})["spec"]
    assert spec["metrics"] == [METRIC]
    assert spec["behavior"]["scaleDown"]["stabilizationWindowSeconds"] == 5


AUTOSCALING: list[Any] = [
    pytest.param({"metrics": [METRIC]}, {}, id="metrics"),
    pytest.param({"behavior": {"scaleDown": {"selectPolicy": "Disabled"}}}, {}, id="behaviour"),
    pytest.param(
        {"behavior": {"scaleDown": {"selectPolicy": "Min"}, "scaleUp": {"selectPolicy": "Min"}}},
        {"behavior": {"scaleUp": {"selectPolicy": "Min"}}},
        id="part-of-the-behaviour",
    ),
]


@pytest.mark.parametrize(("before", "after"), AUTOSCALING)
def test_what_a_user_takes_back_is_seen_in_the_autoscaler(before: Manifest, after: Manifest) -> None:
    stored, wanted = scaled(**before), scaled(**after)
    assert not holds(stored, wanted)
    assert not holds(stored["spec"], wanted["spec"])


@pytest.mark.parametrize("manifest", [route(), scaled()], ids=["route", "autoscaler"])
def test_children_belong_to_the_model_and_delete_without_waiting(manifest: Manifest) -> None:
    metadata = manifest["metadata"]
    assert metadata["ownerReferences"] == [
        {
            "apiVersion": names.API_VERSION,
            "kind": kinds.MODEL_DEPLOYMENT.name,
            "name": "fraud",
            "uid": "uid-1",
            "controller": True,
            "blockOwnerDeletion": False,
        }
    ]
    assert metadata["labels"][names.MODEL_LABEL] == "fraud"
    assert metadata["labels"][names.MANAGED_BY_LABEL] == "modelway"
