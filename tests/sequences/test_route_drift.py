"""What others change in a route is put back."""

from collections.abc import Callable
from typing import Any

import pytest

from modelway import kinds
from modelway.kinds import Kind, Manifest
from simulation import models, rules
from simulation.stories import rest
from simulation.ways_in import (
    MATCHED,
    SHOWN,
    at,
    leading,
    route,
)
from simulation.world import World


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
