"""The routes, rule by rule: requests that match, gRPC, sessions, mirrors, previews, and what a rival leaves of them."""

from typing import Any

import pytest

from modelway import names
from modelway.api import CandidateMatch, Traffic
from modelway.kinds import Manifest
from modelway.resources import traffic
from modelway.resources.metadata import Parent
from modelway.resources.traffic import OPTIONAL_FIELDS, Division, Mirror
from modelway_runtime.server import shadow

PARENT = Parent(namespace="payments", name="fraud", uid="u1")
WEIGHTS = {"fraud-1": 90, "fraud-2": 10}
BETA = CandidateMatch.model_validate({"headers": [{"name": "x-cohort", "value": "beta"}]})
DEBUG = CandidateMatch.model_validate(
    {"headers": [{"name": "x-debug", "value": "1"}, {"name": "x-team", "value": "a"}]}
)
SESSION = {"type": "Cookie", "sessionName": "fraud"}
UNMARKED = {"type": "RequestHeaderModifier", "requestHeaderModifier": {"remove": ["modelway-shadow"]}}
NO_STORE = {"type": "ResponseHeaderModifier", "responseHeaderModifier": {"remove": ["a"]}}


def section(**fields: Any) -> Traffic:
    """A traffic section for all paths of a host name."""
    return Traffic.model_validate(
        {"parentRefs": [{"name": "public"}], "hostnames": ["a.example.com"], "paths": "All"} | fields
    )


def rules(division: Division, fields: Any = OPTIONAL_FIELDS, **more: Any) -> dict[str, Manifest]:
    """The rules of a route by name, in order."""
    manifest = traffic.route(PARENT, section(**more), "fraud", division, fields={"name", *fields})
    return {rule["name"]: rule for rule in manifest["spec"]["rules"]}


def backends(rule: Manifest) -> list[tuple[str, int, int]]:
    return [(item["name"], item["port"], item["weight"]) for item in rule["backendRefs"]]


def test_weights_alone_are_one_rule() -> None:
    found = rules(Division(weights=WEIGHTS))
    assert list(found) == ["rest"]
    assert backends(found["rest"]) == [("fraud-1", 80, 90), ("fraud-2", 80, 10)]


def test_the_rule_of_all_requests_is_there_first_and_for_ever() -> None:
    division = Division(weights=WEIGHTS, grpc=WEIGHTS, candidate="fraud-2", matches=(BETA,), speaks_grpc=True)
    assert list(rules(division)) == ["rest", "grpc", "candidate", "candidate-grpc"]


def test_requests_that_match_go_to_the_candidate_on_every_path_of_the_model() -> None:
    division = Division(weights=WEIGHTS, candidate="fraud-2", matches=(BETA, DEBUG))
    rule = rules(division, paths="Model")["candidate"]
    assert backends(rule) == [("fraud-2", 80, 100)]
    assert [(match["path"]["value"], [item["name"] for item in match["headers"]]) for match in rule["matches"]] == [
        (path, names)
        for names in (["x-cohort"], ["x-debug", "x-team"])
        for path in ("/v1/models/fraud", "/v2/models/fraud", "/v1/models/fraud:predict")
    ]
    assert {item["type"] for match in rule["matches"] for item in match["headers"]} == {"Exact"}


def test_the_longest_list_of_matches_fits_into_one_rule() -> None:
    division = Division(weights=WEIGHTS, candidate="fraud-2", matches=(BETA,) * 8)
    assert len(rules(division, paths="Model")["candidate"]["matches"]) <= 64


def test_grpc_goes_by_its_path_to_the_grpc_port() -> None:
    rule = rules(Division(weights=WEIGHTS, grpc=WEIGHTS))["grpc"]
    assert rule["matches"] == [{"path": {"type": "PathPrefix", "value": "/inference.GRPCInferenceService"}}]
    assert backends(rule) == [("fraud-1", 8001, 90), ("fraud-2", 8001, 10)]


def test_a_candidate_that_speaks_no_grpc_gets_no_calls_that_match() -> None:
    division = Division(weights=WEIGHTS, grpc={"fraud-1": 100}, candidate="fraud-2", matches=(BETA,))
    assert list(rules(division)) == ["rest", "grpc", "candidate"]


def test_a_backend_without_a_share_is_left_out() -> None:
    assert backends(rules(Division(weights={"fraud-1": 100, "fraud-2": 0}))["rest"]) == [("fraud-1", 80, 100)]


def test_time_outs_and_filters_of_the_user_stand_in_every_rule() -> None:
    division = Division(weights=WEIGHTS, grpc=WEIGHTS, candidate="fraud-2", matches=(BETA,), speaks_grpc=True)
    found = rules(division, timeouts={"request": "5s"}, filters=[NO_STORE])
    assert len(found) == 4
    assert all(rule["timeouts"] == {"request": "5s"} for rule in found.values())
    assert all(rule["filters"] == [UNMARKED, NO_STORE] for rule in found.values())


def test_the_mark_of_a_comparator_is_the_one_that_the_runtime_reads() -> None:
    assert names.SHADOW_HEADER.encode() == shadow.NAME


OF_USERS: list[Any] = [
    pytest.param({"remove": ["a"]}, {"remove": ["modelway-shadow", "a"]}, id="removes-something-else"),
    pytest.param(
        {"set": [{"name": "a", "value": "b"}]},
        {"set": [{"name": "a", "value": "b"}], "remove": ["modelway-shadow"]},
        id="removes-nothing",
    ),
    pytest.param({"remove": ["Modelway-Shadow"]}, {"remove": ["modelway-shadow"]}, id="removes-it-already"),
    pytest.param(None, {"remove": ["modelway-shadow"]}, id="says-nothing"),
]


@pytest.mark.parametrize(("of_user", "merged"), OF_USERS)
def test_57_where_the_user_changes_headers_the_mark_is_removed_by_the_same_filter(
    of_user: Manifest | None, merged: Manifest
) -> None:
    filters = [NO_STORE, {"type": "RequestHeaderModifier", "requestHeaderModifier": of_user}]
    found = rules(Division(weights=WEIGHTS), filters=filters)["rest"]["filters"]
    assert found == [NO_STORE, {"type": "RequestHeaderModifier", "requestHeaderModifier": merged}]


def test_sessions_hold_the_shares_and_not_the_requests_that_match() -> None:
    division = Division(weights=WEIGHTS, grpc=WEIGHTS, candidate="fraud-2", matches=(BETA,), speaks_grpc=True)
    found = rules(division, sessionPersistence=SESSION)
    assert {name for name, rule in found.items() if rule.get("sessionPersistence") == SESSION} == {"grpc", "rest"}


@pytest.mark.parametrize("field", OPTIONAL_FIELDS)
def test_a_field_that_the_cluster_does_not_know_is_left_out(field: str) -> None:
    known = set(OPTIONAL_FIELDS) - {field}
    manifest = traffic.route(
        PARENT, section(sessionPersistence=SESSION), "fraud", Division(weights=WEIGHTS), fields=known
    )
    assert [set(OPTIONAL_FIELDS) & rule.keys() for rule in manifest["spec"]["rules"]] == [known]


MIRRORS: list[Any] = [
    pytest.param(Mirror(service="fraud-shadow", percent=20), {"percent": 20}, id="a-share"),
    pytest.param(Mirror(service="fraud-shadow", percent=100), {}, id="all"),
]


@pytest.mark.parametrize(("mirror", "share"), MIRRORS)
def test_12_a_mirror_is_a_filter_and_counts_in_no_weight(mirror: Mirror, share: Manifest) -> None:
    division = Division(weights=WEIGHTS, grpc=WEIGHTS, candidate="fraud-2", matches=(BETA,), mirror=mirror)
    found = rules(division, filters=[NO_STORE])
    target = {"group": "", "kind": "Service", "name": "fraud-shadow", "port": 80}
    assert found["rest"]["filters"] == [
        UNMARKED,
        NO_STORE,
        {"type": "RequestMirror", "requestMirror": {"backendRef": target} | share},
    ]
    assert backends(found["rest"]) == [("fraud-1", 80, 90), ("fraud-2", 80, 10)]
    assert found["candidate"]["filters"] == found["grpc"]["filters"] == [UNMARKED, NO_STORE]


def test_a_preview_leads_its_own_host_names_to_one_revision_without_sessions() -> None:
    whole = {"fraud-2": 100}
    manifest = traffic.preview_route(
        PARENT,
        section(sessionPersistence=SESSION, timeouts={"request": "5s"}),
        "fraud",
        Division(weights=whole, grpc=whole),
        hostnames=("preview.example.com",),
        fields=OPTIONAL_FIELDS,
    )
    assert manifest["metadata"]["name"] == "fraud-preview"
    assert manifest["spec"]["hostnames"] == ["preview.example.com"]
    assert [rule["name"] for rule in manifest["spec"]["rules"]] == ["rest", "grpc"]
    assert all("sessionPersistence" not in rule for rule in manifest["spec"]["rules"])
    assert all(rule["timeouts"] == {"request": "5s"} for rule in manifest["spec"]["rules"])
    assert all(rule["filters"] == [UNMARKED] for rule in manifest["spec"]["rules"])


def test_a_live_route_is_given_other_shares_and_keeps_all_else() -> None:
    division = Division(weights=WEIGHTS, grpc=WEIGHTS, candidate="fraud-2", matches=(BETA,), speaks_grpc=True)
    live = traffic.route(PARENT, section(timeouts={"request": "5s"}), "fraud", division, fields=OPTIONAL_FIELDS)
    found = traffic.reweighted(PARENT, live, Division(weights={"fraud-1": 100}, grpc={"fraud-1": 100}))
    assert [rule["name"] for rule in found["spec"]["rules"]] == [
        "rest",
        "grpc",
        "resting-candidate",
        "resting-candidate-grpc",
    ]
    whole, calls = [("fraud-1", 80, 100)], [("fraud-1", 8001, 100)]
    assert [backends(rule) for rule in found["spec"]["rules"]] == [whole, calls, whole, whole]
    assert {key: found["spec"][key] for key in ("parentRefs", "hostnames")} == {
        key: live["spec"][key] for key in ("parentRefs", "hostnames")
    }
    assert all(rule["timeouts"] == {"request": "5s"} for rule in found["spec"]["rules"])
    without = traffic.reweighted(PARENT, live, Division(weights={"fraud-1": 100}))
    assert [rule["name"] for rule in without["spec"]["rules"]][:2] == ["rest", "resting-grpc"]
    assert {tuple(backends(rule)) for rule in without["spec"]["rules"]} == {tuple(whole)}


def test_a_live_route_without_the_rule_of_all_requests_is_given_other_shares_all_the_same() -> None:
    division = Division(weights=WEIGHTS, candidate="fraud-2", matches=(BETA,))
    live = traffic.route(PARENT, section(), "fraud", division, fields=OPTIONAL_FIELDS)
    del live["spec"]["rules"][0]
    found = traffic.reweighted(PARENT, live, Division(weights={"fraud-1": 100}))
    assert [backends(rule) for rule in found["spec"]["rules"]] == [[("fraud-1", 80, 100)]]
