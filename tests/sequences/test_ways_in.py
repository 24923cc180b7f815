"""The rules of the routes, a function of the state: requests that match, gRPC, sessions, previews, repairs."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from modelway import kinds
from modelway.cluster.api import ApiError, Invalid
from modelway.kinds import Kind, Manifest
from simulation import models, rules
from simulation.server import Write
from simulation.stories import TWO_STEPS, installed, reach, rest, serves_alone, upgrade
from simulation.world import World

BETA = {"x-cohort": "beta"}
PREVIEW = "preview.fraud.example.com"
MATCHED = TWO_STEPS | {"candidateMatches": models.BETA}
LONG = models.canary({"weight": 10, "hold": "10m"}, {"weight": 50, "hold": "10m"}, candidateMatches=models.BETA)
SHOWN = models.blue_green({"previewHostnames": [PREVIEW], "hold": "10m"}, candidateMatches=models.BETA)
GRPC_RUNTIME: Manifest = {"spec": models.RUNTIME["spec"] | {"ports": {"http": 8000, "grpc": 8001, "metrics": 8002}}}
EVERYTHING = models.GATEWAY | {"paths": "All"}
STICKY = models.GATEWAY | {"sessionPersistence": {"type": "Cookie", "sessionName": "fraud"}}
EXPERIMENTAL = frozenset({"name", "sessionPersistence"})


def route(world: World, name: str = "fraud") -> Manifest:
    """A live route's spec."""
    found = world.store.find(kinds.HTTP_ROUTE, models.NAMESPACE, name)
    assert found is not None, world.picture()
    spec: Manifest = found["spec"]
    return spec


def at(rollout: Manifest, step: int, state: str = "Holding", **fields: Any) -> World:
    """v1 serves, v2 is at that step."""
    world = installed(rollout, **fields)
    upgrade(world, "v2")
    reach(world, step, state)
    world.run_for(2)
    return world


# Requests that match


@pytest.mark.parametrize("step", [0, 1])
def test_09_requests_that_match_go_to_the_candidate_whatever_its_weight(step: int) -> None:
    world = at(MATCHED, step)
    assert world.answers(headers=BETA) == {"v2"}
    assert world.answers(headers={"X-Cohort": "beta", "accept": "*/*"}) == {"v2"}
    assert world.answers(headers={"x-cohort": "alpha"}) == world.answers() == {"v1", "v2"}
    assert {share["revision"]: share.get("match") for share in world.status()["traffic"]} == {
        world.revision_of("v1"): None,
        world.revision_of("v2"): "candidateMatches",
    }
    world.run_to_phase("Healthy")
    world.run_for(120)
    assert world.matched() == set()
    serves_alone(world, "v2")


def test_requests_that_match_reach_the_first_ready_pod_before_any_weight_does() -> None:
    world = installed(models.canary({"weight": 0, "hold": "5m"}, candidateMatches=models.BETA), replicas=3)
    world.oracle.expects_no_outage = True
    upgrade(world, "v2")
    world.run_until(lambda: bool(world.pods("v2")))
    assert world.matched() == set()
    world.run_until(lambda: bool(world.pods("v2", ready=True)))
    world.run_for(2)
    assert world.answers(headers=BETA) == {"v2"}
    assert world.answers() == {"v1"}


def test_any_of_the_matches_is_enough_and_all_headers_of_one_are_needed() -> None:
    matches = [
        {"headers": [{"name": "x-team", "value": "risk"}, {"name": "x-cohort", "value": "beta"}]},
        {"headers": [{"name": "x-debug", "value": "1"}]},
    ]
    world = at(models.canary({"weight": 0, "hold": "5m"}, candidateMatches=matches), 0)
    assert world.answers(headers={"x-debug": "1"}) == {"v2"}
    assert world.answers(headers={"x-team": "risk", "x-cohort": "beta"}) == {"v2"}
    assert world.answers(headers=BETA) == {"v1"}


def test_a_rolling_update_and_a_blue_green_take_matches_too() -> None:
    world = installed(models.rolling(candidateMatches=models.BETA), replicas=4)
    upgrade(world, "v2")
    world.run_until(lambda: bool(world.pods("v2", ready=True)))
    world.run_for(1.5)
    assert world.answers(headers=BETA) == {"v2"}
    world = at(SHOWN, 0)
    assert world.answers(headers=BETA) == {"v2"}
    assert world.answers() == {"v1"}


def test_50_a_first_install_and_an_undo_lead_nobody_aside() -> None:
    world = installed(MATCHED)
    assert world.matched() == set()
    upgrade(world, "v2")
    world.run_to_phase("Healthy")
    world.run_for(120)
    world.command("undo")
    world.run_until(lambda: world.weights() == {"v1": 100}, within=60)
    assert world.matched() == set()


@pytest.mark.parametrize(
    ("rollout", "step"), [(LONG, 0), (LONG, 1), (SHOWN, 0)], ids=["canary-at-10", "canary-at-50", "blue-green"]
)
def test_13_a_candidate_without_a_ready_pod_is_led_to_by_no_rule(rollout: Manifest, step: int) -> None:
    world = at(rollout, step)
    weights = world.weights()
    for pod in world.pods("v2"):
        world.kubelet.unready.add(pod["metadata"]["uid"])
    world.run_for(2)
    assert world.matched() == world.previewed() == set()
    assert world.answers(headers=BETA) == {"v1"}
    assert world.answers(host=PREVIEW) == set()
    assert rest(world, 60) == 0
    world.kubelet.unready.clear()
    world.run_for(2)
    assert world.answers(headers=BETA) == {"v2"}
    assert world.previewed() == ({"v2"} if rollout is SHOWN else set())
    assert (world.weights(), world.rollout()["stepIndex"]) == (weights, step)


@pytest.mark.parametrize("rollout", [MATCHED, SHOWN], ids=["canary", "blue-green"])
def test_13_an_evicted_last_pod_takes_the_rules_with_it_until_another_is_ready(rollout: Manifest) -> None:
    world = at(rollout, 0)
    for pod in world.pods("v2"):
        world.evict(pod)
    world.run_for(1.5)
    assert world.matched() == world.previewed() == set()
    world.run_for(30)
    assert world.answers(headers=BETA) == {"v2"}


@pytest.mark.parametrize("rollout", [MATCHED, SHOWN], ids=["canary", "blue-green"])
def test_14_within_the_drain_of_an_abort_nobody_who_matches_gets_to_the_candidate(rollout: Manifest) -> None:
    world = at(rollout, 0)
    world.oracle.expects_no_outage = True
    world.command("abort")
    world.run_for(2)
    assert world.answers(headers=BETA) == {"v1"}
    assert world.answers(host=PREVIEW) == set()
    assert world.pods("v2")
    world.run_to_phase("RolledBack")
    world.run_for(60)
    assert world.pods("v2") == []
    serves_alone(world, "v1")


def test_05_pods_go_only_after_the_last_rule_that_led_to_them() -> None:
    """Checked at every write: here the gateway is slow to take the rule away."""
    world = at(models.canary({"weight": 0, "hold": "5m"}, candidateMatches=models.BETA), 0)
    world.gateway.is_frozen = True
    world.command("abort")
    world.run_for(300)
    assert world.pods("v2", ready=True)
    assert world.status()["phase"] == "RollingBack"
    world.gateway.is_frozen = False
    world.run_to_phase("RolledBack")
    world.run_for(60)
    assert world.pods("v2") == []


def test_30_an_edit_of_the_matches_counts_from_the_next_rollout() -> None:
    world = at(MATCHED, 0)
    world.edit(rollout=MATCHED | {"candidateMatches": [{"headers": [{"name": "x-other", "value": "1"}]}]})
    world.run_for(5)
    assert world.answers(headers=BETA) == {"v2"}
    world.run_to_phase("Healthy")
    upgrade(world, "v3")
    reach(world, 0, "Holding", rollout=3)
    assert world.answers(headers={"x-other": "1"}) == {"v3"}
    assert world.answers(headers=BETA) == {"v2", "v3"}


# Drift


def no_rule(spec: Manifest) -> None:
    del spec["rules"][-1]


def other_header(spec: Manifest) -> None:
    spec["rules"][-1]["matches"][0]["headers"][0]["value"] = "gamma"


def narrower(spec: Manifest) -> None:
    spec["rules"][0]["matches"][0]["headers"] = [{"type": "Exact", "name": "x-internal", "value": "1"}]


def other_method(spec: Manifest) -> None:
    spec["rules"][0]["matches"][0]["method"] = "GET"


def one_more_rule(spec: Manifest) -> None:
    spec["rules"].append({**spec["rules"][0], "name": "mine"})


def elsewhere(spec: Manifest) -> None:
    spec["rules"][0]["backendRefs"][0]["name"] = "somewhere"


def a_mirror(spec: Manifest) -> None:
    copied = {"backendRef": {"group": "", "kind": "Service", "name": "spy", "port": 80}}
    spec["rules"][0]["filters"] = [{"type": "RequestMirror", "requestMirror": copied}]


def a_session(spec: Manifest) -> None:
    spec["rules"][0]["sessionPersistence"] = {"type": "Cookie"}


def a_filter_of_one_backend(spec: Manifest) -> None:
    headers = {"remove": ["authorization"]}
    spec["rules"][0]["backendRefs"][0]["filters"] = [
        {"type": "RequestHeaderModifier", "requestHeaderModifier": headers}
    ]


def another_namespace(spec: Manifest) -> None:
    spec["rules"][0]["backendRefs"][0]["namespace"] = "elsewhere"


def another_listener(spec: Manifest) -> None:
    spec["parentRefs"][0]["sectionName"] = "internal"


def no_filter(spec: Manifest) -> None:
    spec["rules"][0]["filters"] = []


def a_mark(spec: Manifest) -> None:
    """With which the callers' requests would be no evidence."""
    marking = [{"name": "modelway-shadow", "value": "1"}]
    spec["rules"][0]["filters"][0]["requestHeaderModifier"] = {"set": marking, "remove": ["x-secret"]}


def more_headers(spec: Manifest) -> None:
    spec["rules"][0]["filters"][0]["requestHeaderModifier"]["add"] = [{"name": "x-spy", "value": "1"}]


def no_weight(spec: Manifest) -> None:
    for item in spec["rules"][0]["backendRefs"]:
        item["weight"] = 0


def everything_to_the_candidate(spec: Manifest) -> None:
    spec["rules"][0]["backendRefs"] = spec["rules"][1]["backendRefs"]


ALTERATIONS = [
    other_header,
    narrower,
    other_method,
    one_more_rule,
    elsewhere,
    a_mirror,
    a_session,
    a_filter_of_one_backend,
    another_namespace,
    another_listener,
    no_filter,
    a_mark,
    more_headers,
    no_weight,
    everything_to_the_candidate,
]
FILTERED = models.GATEWAY | {
    "timeouts": {"request": "10s"},
    "filters": [{"type": "RequestHeaderModifier", "requestHeaderModifier": {"remove": ["x-secret"]}}],
}
WHERE: list[Any] = [
    pytest.param(MATCHED, 0, "Holding", id="at-10"),
    pytest.param(MATCHED, 1, "Holding", id="at-50"),
    pytest.param(MATCHED, 2, "Settling", id="at-100"),
    pytest.param(SHOWN, 0, "Holding", id="previewed"),
]


ALTERED = [
    pytest.param(alter, *where.values, id=f"{alter.__name__}-{where.id}")
    for alter in ALTERATIONS
    for where in WHERE
    if (alter, where.id) != (everything_to_the_candidate, "at-100")
]


def strangers(world: World) -> list[Manifest]:
    """Routes of others on the same Gateway."""
    return [found for found in world.store.all(kinds.HTTP_ROUTE) if found["metadata"]["namespace"] == "shop"]


def leading(spec: Manifest) -> Manifest:
    """A route without rules that only keep their places, whatever the places of the others."""
    return spec | {"rules": {rule["name"]: rule for rule in spec["rules"] if rules.purpose(rule)}}


@pytest.mark.parametrize(("alter", "rollout", "step", "state"), ALTERED)
def test_10_what_somebody_alters_in_the_route_is_put_back_in_one_pass(
    alter: Callable[[Manifest], None], rollout: Manifest, step: int, state: str
) -> None:
    world = at(rollout | {"settle": "20s"}, step, state, traffic=FILTERED)
    other = {"metadata": {"name": "cart", "namespace": "shop"}, "spec": {"parentRefs": models.GATEWAY["parentRefs"]}}
    world.store.insert(kinds.HTTP_ROUTE, other)
    world.run_for(2)
    wanted, place, others = leading(route(world)), world.rollout()["stepIndex"], strangers(world)
    writes = len(world.server.writes)
    world.change(kinds.HTTP_ROUTE, "fraud", lambda item: alter(item["spec"]))
    assert leading(route(world)) != wanted
    world.run_for(0.5)
    assert leading(route(world)) == wanted, world.picture()
    assert world.rollout()["stepIndex"] == place
    assert [write.kind for write in world.server.writes[writes:] if write.verb != "status"] == [kinds.HTTP_ROUTE]
    assert strangers(world) == others


@pytest.mark.parametrize(("rollout", "step", "state"), WHERE)
def test_16_a_rule_that_somebody_takes_away_leads_when_the_gateway_has_its_place_again(
    rollout: Manifest, step: int, state: str
) -> None:
    world = at(rollout | {"settle": "20s"}, step, state)
    assert rules.matched({"spec": route(world)}) != set()
    wanted, shares = leading(route(world)), rules.weights({"spec": route(world)})
    writes = len(world.server.writes)
    world.change(kinds.HTTP_ROUTE, "fraud", lambda item: no_rule(item["spec"]))
    world.run_for(0.5)
    assert rules.weights({"spec": route(world)}) == shares != {}
    assert rules.matched({"spec": route(world)}) == set()
    world.run_for(2)
    assert leading(route(world)) == wanted, world.picture()
    changed = [write.kind for write in world.server.writes[writes:] if write.verb != "status"]
    assert changed == [kinds.HTTP_ROUTE] * 2


def deleted(kind: Kind, name: str) -> Callable[[World], None]:
    def act(world: World) -> None:
        found = world.store.find(kind, models.NAMESPACE, name)
        assert found is not None
        world.store.remove(kind, found)

    return act


def altered(kind: Kind, name: str, change: Callable[[Manifest], Any]) -> Callable[[World], None]:
    return lambda world: world.change(kind, name, lambda item: change(item["spec"]))


def restarted(world: World) -> None:
    world.crash()


FAULTS: list[Any] = [
    pytest.param(deleted(kinds.HTTP_ROUTE, "fraud"), id="route-deleted"),
    pytest.param(deleted(kinds.HTTP_ROUTE, "fraud-preview"), id="preview-deleted"),
    pytest.param(deleted(kinds.SERVICE, "fraud-preview"), id="preview-service-deleted"),
    pytest.param(altered(kinds.HTTP_ROUTE, "fraud-preview", narrower), id="preview-narrowed"),
    pytest.param(
        altered(kinds.HTTP_ROUTE, "fraud-preview", lambda spec: spec.update(hostnames=["a.example.com"])),
        id="preview-renamed",
    ),
    pytest.param(
        altered(kinds.HTTP_ROUTE, "fraud-preview", lambda spec: spec["rules"][0]["backendRefs"][0].update(name="x")),
        id="preview-of-another",
    ),
    pytest.param(
        altered(kinds.SERVICE, "fraud-preview", lambda spec: spec.update(selector={"a": "b"})),
        id="preview-service-re-pointed",
    ),
    pytest.param(restarted, id="restarted"),
]


@pytest.mark.parametrize("fault", FAULTS)
def test_09_the_ways_in_are_a_function_of_the_state(fault: Callable[[World], None]) -> None:
    world = at(SHOWN, 0)

    def found() -> list[Any]:
        kept = [(kinds.HTTP_ROUTE, "fraud"), (kinds.HTTP_ROUTE, "fraud-preview"), (kinds.SERVICE, "fraud-preview")]
        stored = [world.store.find(kind, models.NAMESPACE, name) for kind, name in kept]
        return [item and item["spec"] for item in stored]

    wanted = found()
    fault(world)
    world.run_for(3)
    assert found() == wanted, world.picture()
    assert rest(world, 60) == 0
    assert world.rollout()["stepState"] == "Holding"


# gRPC


def speaking(world: World, *, grpc: bool) -> None:
    """The runtime has, or has no more, a port for gRPC."""
    ports = {"http": 8000, "metrics": 8002} | ({"grpc": 8001} if grpc else {})
    world.change(kinds.CLUSTER_MODEL_RUNTIME, "modelway", lambda item: item["spec"].update(ports=ports))


def all_paths(*, grpc: bool, rollout: Manifest = MATCHED) -> World:
    world = World()
    speaking(world, grpc=grpc)
    world.oracle.expects_no_outage = True
    world.apply(models.spec("v1", rollout=rollout, traffic=EVERYTHING))
    world.run_to_phase("Healthy")
    return world


def calls(world: World, **headers: str) -> set[str]:
    """Versions that may answer a gRPC call."""
    return world.answers(path=rules.GRPC, headers=headers)


def test_grpc_is_divided_as_rest_is_where_the_runtime_speaks_it() -> None:
    world = all_paths(grpc=True)
    assert calls(world) == {"v1"}
    assert world.status()["address"]["grpc"] == "fraud.example.com:80"
    upgrade(world, "v2")
    reach(world, 0, "Holding")
    assert [rule["name"] for rule in route(world)["rules"]] == ["rest", "grpc", "candidate", "candidate-grpc"]
    weights = [{item["name"]: item["weight"] for item in rule["backendRefs"]} for rule in route(world)["rules"][:2]]
    assert weights[0] == weights[1]
    assert {item["port"] for item in route(world)["rules"][1]["backendRefs"]} == {8001}
    assert calls(world, **BETA) == {"v2"}
    world.run_to_phase("Healthy")
    assert calls(world) == {"v2"}


def test_without_a_port_for_grpc_nothing_but_rest_is_routed() -> None:
    world = all_paths(grpc=False)
    assert [rule["name"] for rule in route(world)["rules"]] == ["rest"]
    assert "grpc" not in world.status()["address"]


def test_paths_of_the_model_alone_lead_no_grpc() -> None:
    world = World()
    speaking(world, grpc=True)
    world.apply(models.spec("v1"))
    world.run_to_phase("Healthy")
    assert calls(world) == set()
    assert world.status()["address"]["grpc"] == "fraud.payments.svc:8001"


def test_a_candidate_that_no_longer_speaks_grpc_gets_none_of_it() -> None:
    world = all_paths(grpc=True)
    speaking(world, grpc=False)
    upgrade(world, "v2", runtime={"refresh": "1"})
    reach(world, 1, "Holding")
    assert world.weights() == {"v1": 50, "v2": 50}
    assert calls(world) == calls(world, **BETA) == {"v1"}
    world.run_to_phase("Healthy")
    world.run_for(120)
    assert [rules.purpose(rule) for rule in route(world)["rules"]] == ["all", "", ""]


def test_a_candidate_that_alone_speaks_grpc_gets_it_with_the_promotion() -> None:
    world = all_paths(grpc=False)
    speaking(world, grpc=True)
    upgrade(world, "v2", runtime={"refresh": "1"})
    reach(world, 1, "Holding")
    assert "grpc" not in [rule["name"] for rule in route(world)["rules"]]
    assert calls(world, **BETA) == {"v2"}
    world.run_to_phase("Healthy")
    assert calls(world) == {"v2"}


def test_a_preview_leads_grpc_too() -> None:
    world = all_paths(grpc=True, rollout=SHOWN)
    upgrade(world, "v2")
    reach(world, 0, "Holding")
    assert world.answers(host=PREVIEW, path=rules.GRPC) == {"v2"}
    assert calls(world) == {"v1"}


# The mark of a comparator

MARKED = {"modelway-shadow": "1"}


@pytest.mark.parametrize("rollout", [MATCHED, SHOWN], ids=["canary", "blue-green"])
def test_57_no_caller_drops_out_of_the_evidence_by_whatever_rule(rollout: Manifest) -> None:
    world = all_paths(grpc=True, rollout=rollout)
    upgrade(world, "v2")
    reach(world, 0, "Holding")
    world.run_for(2)
    routes = [found["spec"] for found in world.store.all(kinds.HTTP_ROUTE)]
    found = {rule["name"] for spec in routes for rule in spec["rules"]}
    assert found == {"candidate-grpc", "candidate", "grpc", "rest"}
    assert len(routes) == (2 if rollout is SHOWN else 1)
    assert all(rules.passed(rule, MARKED | BETA) == BETA for spec in routes for rule in spec["rules"])


# Sessions


def sticky(rollout: Manifest, step: int = 0) -> World:
    world = World(route_fields=EXPERIMENTAL)
    world.apply(models.spec("v1", rollout=rollout, traffic=STICKY))
    world.run_to_phase("Healthy")
    world.oracle.expects_no_outage = True
    upgrade(world, "v2")
    reach(world, step, "Holding")
    return world


def held(world: World, version: str) -> set[str]:
    """Versions that may answer a client whose cookie names one."""
    return world.answers(session=world.revision_of(version))


def test_a_session_stays_with_its_revision_while_that_has_a_share() -> None:
    world = sticky(TWO_STEPS)
    assert held(world, "v1") == {"v1"}
    assert held(world, "v2") == {"v2"}
    assert world.answers() == {"v1", "v2"}
    assert route(world)["rules"][-1]["sessionPersistence"] == STICKY["sessionPersistence"]
    world.run_to_phase("Healthy")
    assert held(world, "v1") == {"v2"}


@pytest.mark.parametrize("step", [0, 1])
def test_14_an_abort_is_obeyed_by_clients_that_hold_the_candidates_cookie(step: int) -> None:
    world = sticky(TWO_STEPS | {"candidateMatches": models.BETA}, step)
    assert held(world, "v2") == {"v2"}
    world.command("abort")
    world.run_for(2)
    assert held(world, "v2") == {"v1"}
    assert world.answers(session=world.revision_of("v2"), headers=BETA) == {"v1"}
    assert world.revision_of("v2") not in str(route(world))
    world.run_to_phase("RolledBack")
    world.run_for(60)
    assert world.pods("v2") == []


def test_14_also_where_stable_gave_up_pods_and_takes_its_share_back_by_and_by() -> None:
    world = sticky(TWO_STEPS | {"maxSurge": "50%"}, 1)
    world.command("abort")
    world.run_to_phase("RolledBack")
    assert held(world, "v2") == {"v1"}
    world.run_for(60)
    assert world.pods("v2") == []


@pytest.mark.parametrize("version", ["v1", "v3"])
def test_14_sessions_do_not_outlive_a_candidate_that_another_spec_ends(version: str) -> None:
    world = sticky(TWO_STEPS)
    gone = world.revision_of("v2")
    upgrade(world, version)
    world.run_for(5)
    assert world.answers(session=gone) == {"v1"}


def test_a_request_that_matches_gets_no_session() -> None:
    world = sticky(MATCHED)
    assert ["sessionPersistence" in rule for rule in route(world)["rules"]] == [True, False]
    assert world.answers(session=world.revision_of("v1"), headers=BETA) == {"v2"}


def test_a_session_that_the_user_takes_back_leaves_the_route() -> None:
    world = sticky(TWO_STEPS)
    world.edit(traffic=models.GATEWAY)
    world.run_for(5)
    assert all("sessionPersistence" not in rule for rule in route(world)["rules"])


def test_sessions_without_the_field_in_the_cluster_start_nothing_and_are_named() -> None:
    world = World()
    world.apply(models.spec("v1", traffic=STICKY))
    world.run_for(60)
    assert world.condition("Stalled")["reason"] == "FeatureNotSupported"
    assert "sessionPersistence" in world.condition("Stalled")["message"]
    assert world.revision_of("v1") == ""
    world.edit(traffic=models.GATEWAY)
    world.run_to_phase("Healthy")


def test_41_sessions_that_the_cluster_does_not_have_stop_neither_serving_nor_an_abort() -> None:
    world = at(TWO_STEPS, 1)
    world.edit(traffic=STICKY)
    world.run_for(10)
    assert world.condition("Stalled")["reason"] == "FeatureNotSupported"
    assert world.condition("TrafficProgrammed")["reason"] == "FeatureNotSupported"
    assert all("sessionPersistence" not in rule for rule in route(world)["rules"])
    world.command("abort")
    world.run_until(lambda: world.weights() == {"v1": 100}, within=5)


# The Gateway API itself


def test_names_of_rules_are_left_out_where_the_cluster_does_not_know_them() -> None:
    world = World(route_fields=frozenset())
    world.apply(models.spec("v1", rollout=MATCHED))
    world.run_to_phase("Healthy")
    assert all("name" not in rule for rule in route(world)["rules"])
    upgrade(world, "v2")
    reach(world, 0, "Holding")
    assert world.answers(headers=BETA) == {"v2"}


def test_11_a_gateway_api_that_goes_in_mid_rollout_freezes_it_and_heals() -> None:
    world = at(LONG, 0)
    world.server.absent.add(kinds.HTTP_ROUTE)
    for found in world.store.all(kinds.HTTP_ROUTE):
        world.store.remove(kinds.HTTP_ROUTE, found)
    world.run_for(300)
    assert world.rollout()["stepIndex"] == 0
    assert world.condition("TrafficProgrammed")["reason"] == "FeatureNotSupported"
    assert world.condition("Stalled")["reason"] == "FeatureNotSupported"
    assert len(world.pods("v1", ready=True)) == 2
    world.server.absent.clear()
    world.run_for(60)
    assert world.answers(headers=BETA) == {"v2"}
    world.run_to_phase("Healthy", within=1800)
    serves_alone(world, "v2")


def test_a_gateway_api_that_comes_lets_a_model_begin() -> None:
    world = World(has_gateway=False)
    world.apply(models.spec("v1"))
    world.run_for(60)
    assert world.condition("Stalled")["reason"] == "FeatureNotSupported"
    assert not [request for request in world.server.requests if request[:2] == ("create", kinds.HTTP_ROUTE)]
    world.gain_gateway()
    world.run_to_phase("Healthy")
    serves_alone(world, "v1")


def test_matches_that_the_gateway_api_refuses_are_found_before_a_candidate_starts() -> None:
    world = installed(TWO_STEPS)
    refusal = Invalid(422, "Invalid", "HTTPRoute is invalid", (("spec.rules[0].matches", "exactly one PathPrefix"),))

    def refuse(verb: str, kind: Kind, name: str) -> ApiError | None:
        is_matched = bool(world.model()["spec"]["rollout"].get("candidateMatches"))
        return refusal if (verb, kind) == ("verify", kinds.HTTP_ROUTE) and is_matched else None

    world.server.faults.rules.append(refuse)
    upgrade(world, "v2", rollout=MATCHED)
    world.run_for(60)
    assert world.condition("Stalled")["reason"] == "InvalidSpec"
    assert "spec.rules[0].matches" in world.condition("Stalled")["message"]
    assert world.revision_of("v2") == ""
    world.edit(rollout=TWO_STEPS)
    world.run_to_phase("Healthy")
    serves_alone(world, "v2")


def test_41_a_spec_that_goes_back_is_followed_whatever_is_missing() -> None:
    world = at(TWO_STEPS, 1)
    world.edit(traffic=STICKY)
    world.run_for(5)
    upgrade(world, "v1")
    world.run_until(lambda: world.weights() == {"v1": 100}, within=5)
    world.run_for(60)
    assert world.rollout()["outcome"] == "RolledBack"
    assert world.condition("Stalled")["reason"] == "FeatureNotSupported"


# What is told of an edit

EDITS: list[Any] = [
    pytest.param({"timeouts": {"request": "9s"}}, id="time-outs"),
    pytest.param({"hostnames": ["fraud.example.com", "new.example.com"]}, id="host-names"),
    pytest.param({"parentRefs": [{"name": "public"}, {"name": "private"}]}, id="parents"),
]
MOMENTS: list[Any] = [
    pytest.param(MATCHED, 0, "Holding", id="canary"),
    pytest.param(LONG, 0, "Settling", id="settling"),
    pytest.param(SHOWN, 0, "Holding", id="previewed"),
    pytest.param(TWO_STEPS, None, "", id="between-rollouts"),
]


@pytest.mark.parametrize("seed", [None, 3])
@pytest.mark.parametrize("edit", EDITS)
@pytest.mark.parametrize(("rollout", "step", "state"), MOMENTS)
def test_65_an_edit_of_traffic_is_not_called_programmed_before_the_gateway_has_it(
    rollout: Manifest, step: int | None, state: str, edit: Manifest, seed: int | None
) -> None:
    world = installed(rollout, seed=seed) if step is None else at(rollout, step, state, seed=seed)
    world.gateway.delay = timedelta(seconds=3)
    before = len(world.server.writes)
    world.edit(traffic=models.GATEWAY | edit)
    generation = world.model()["metadata"]["generation"]
    world.run_until(lambda: world.condition("TrafficProgrammed")["status"] == "False", within=2)
    world.run_for(30)
    written = [write for write in world.server.writes[before:] if write.kind == kinds.HTTP_ROUTE]
    told = [write for write in world.server.writes[before:] if is_programmed(write, generation)]
    assert told[0].at >= written[-1].at + world.gateway.delay


def is_programmed(write: Write, generation: int) -> bool:
    """Whether it says so of that generation."""
    status = (write.after or {}).get("status") or {}
    found = [item for item in status.get("conditions", ()) if item["type"] == "TrafficProgrammed"]
    is_status = write.kind == kinds.MODEL_DEPLOYMENT and bool(found)
    return is_status and (found[0]["status"], found[0]["observedGeneration"]) == ("True", generation)


# Places


@pytest.mark.parametrize("end", ["abort", "promote-full"])
def test_16_a_rule_that_leads_nobody_any_more_rests_until_the_next_rollout(end: str) -> None:
    world = at(LONG, 0)
    assert [rules.purpose(rule) for rule in route(world)["rules"]] == ["all", "special all"]
    world.command(end)
    world.run_until(lambda: world.matched() == set(), within=60)
    world.run_for(7200)
    assert [rules.purpose(rule) for rule in route(world)["rules"]] == ["all", ""]
    shares, resting = (rule["backendRefs"] for rule in route(world)["rules"])
    assert resting == shares
    assert rest(world, 600) == 0
    upgrade(world, "v3", rollout=TWO_STEPS)
    reach(world, 0, "Holding", rollout=3)
    assert [rules.purpose(rule) for rule in route(world)["rules"]] == ["all"]


def test_16_a_rule_that_rests_leads_the_next_candidate() -> None:
    world = at(LONG, 0)
    world.command("abort")
    world.run_to_phase("RolledBack")
    upgrade(world, "v3")
    reach(world, 0, "Holding", rollout=3)
    assert [rules.purpose(rule) for rule in route(world)["rules"]] == ["all", "special all"]
    assert world.answers(headers=BETA) == {"v3"}


def test_another_order_of_the_rules_is_left_as_it_is() -> None:
    world = at(LONG, 0)
    writes = len(world.server.writes)
    world.change(kinds.HTTP_ROUTE, "fraud", lambda item: item["spec"]["rules"].reverse())
    world.run_for(5)
    assert [rules.purpose(rule) for rule in route(world)["rules"]] == ["special all", "all"]
    assert len([write for write in world.server.writes[writes:] if write.kind == kinds.HTTP_ROUTE]) <= 1
    assert rest(world, 60) == 0
    assert (world.answers(headers=BETA), world.answers()) == ({"v2"}, {"v1", "v2"})


def test_16_a_rule_for_grpc_takes_no_place_of_another() -> None:
    world = all_paths(grpc=False, rollout=LONG)
    speaking(world, grpc=True)
    upgrade(world, "v2", runtime={"refresh": "1"})
    reach(world, 0, "Holding")
    assert [rules.purpose(rule) for rule in route(world)["rules"]] == ["all", "special all", "special grpc"]
    world.run_to_phase("Healthy", within=7200)
    world.run_for(7200)
    assert [rules.purpose(rule) for rule in route(world)["rules"]] == ["all", "", "", "grpc"]
    assert calls(world) == {"v2"}
    assert rest(world, 600) == 0
