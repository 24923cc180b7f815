"""What a gateway cannot do, seen before anything starts; and the mirror, which waits for its gateway."""

from dataclasses import replace
from typing import Any

import pytest

from modelway import kinds
from modelway.observe import observe
from modelway.plan import gateways, routing
from modelway.plan.actions import Apply
from modelway.plan.observed import Features, Observed, Rival
from modelway.plan.planner import plan
from modelway.plan.scene import Scene
from modelway.resources.metadata import Parent
from modelway.resources.traffic import Mirror
from simulation import models
from simulation.stories import TWO_STEPS, installed
from simulation.world import World

SHARE, ALL = Mirror(service="fraud-shadow", percent=20), Mirror(service="fraud-shadow", percent=100)
PERCENT, WHOLE = "HTTPRouteRequestPercentageMirror", "HTTPRouteRequestMirror"


def seen(world: World, **features: Any) -> Observed:
    """What the planner reads of a model that serves."""
    world.process.view.deliver(None)
    snapshot = world.process.view.cache.snapshot((models.NAMESPACE, "fraud"))
    known = Features(gateway=True, runtime_image="x", route_fields=frozenset({"name"}))
    return observe(snapshot, now=world.clock(), epoch=1, features=replace(known, **features))


def scene(observed: Observed, mirror: Mirror | None) -> Scene:
    assert observed.spec is not None
    parent = Parent(namespace=models.NAMESPACE, name="fraud", uid=observed.owner.uid)
    return Scene(observed=observed, spec=observed.spec, parent=parent, record=observed.record, mirror=mirror)


SUPPORT: list[Any] = [
    pytest.param(None, set(), True, id="nothing-asked"),
    pytest.param(SHARE, {PERCENT}, True, id="a-share"),
    pytest.param(SHARE, {WHOLE}, False, id="a-share-of-a-gateway-that-copies-all-or-nothing"),
    pytest.param(ALL, {WHOLE}, True, id="all"),
    pytest.param(ALL, set(), False, id="all-of-a-gateway-that-copies-nothing"),
]


@pytest.mark.parametrize(("mirror", "features", "is_supported"), SUPPORT)
def test_a_mirror_needs_a_gateway_that_reports_it(
    mirror: Mirror | None, features: set[str], is_supported: bool
) -> None:
    observed = replace(seen(installed(TWO_STEPS)), gateway_features=frozenset(features))
    trouble = gateways.unmirrored(scene(observed, mirror))
    assert (trouble is None) == is_supported
    assert gateways.mirror(scene(observed, mirror)) == (mirror if is_supported else None)
    if trouble:
        assert trouble.reason == "FeatureNotSupported"
        assert "HTTPRouteRequest" in trouble.message


def test_12_a_mirror_changes_filters_only_and_the_route_stays_as_it_was_without_support() -> None:
    observed = seen(installed(TWO_STEPS))
    assert routing_of(observed, SHARE) == []
    able = replace(observed, gateway_features=frozenset({PERCENT}))
    (action,) = routing_of(able, SHARE)
    assert observed.route is not None
    live, rule = observed.route.manifest["spec"]["rules"][-1], action.manifest["spec"]["rules"][-1]
    assert rule["backendRefs"] == live["backendRefs"]
    assert [item["type"] for item in rule["filters"]] == ["RequestHeaderModifier", "RequestMirror"]


def routing_of(observed: Observed, mirror: Mirror) -> list[Apply]:
    """Writes of the route."""
    found = routing.actions(scene(observed, mirror))
    return [action for action in found if isinstance(action, Apply) and action.kind == kinds.HTTP_ROUTE]


def test_a_converged_route_is_not_written_again() -> None:
    assert not plan(seen(installed(TWO_STEPS))).actions


def test_what_the_class_reports_reaches_the_planner() -> None:
    world = installed(TWO_STEPS)
    assert seen(world).gateway_features == frozenset()
    world.add_gateway(PERCENT)
    world.run_for(1)
    assert seen(world).gateway_features == {PERCENT}


TROUBLES: list[Any] = [
    pytest.param({"gateway": False}, {}, None, "FeatureNotSupported", "Gateway API", id="no-gateway-api"),
    pytest.param({}, {"sessionPersistence": {}}, None, "FeatureNotSupported", "sessionPersistence", id="no-sessions"),
    pytest.param(
        {},
        {},
        Rival(namespace="other", name="x", place="a.example.com/v2/models/x", gateway="infra/public"),
        "Conflict",
        "ModelDeployment other/x has a.example.com/v2/models/x on the Gateway infra/public",
        id="a-rival",
    ),
]


@pytest.mark.parametrize(("features", "traffic", "rival", "reason", "words"), TROUBLES)
def test_what_stands_in_the_way_is_named_before_anything_starts(
    features: dict[str, Any], traffic: dict[str, Any], rival: Rival | None, reason: str, words: str
) -> None:
    world = World(has_gateway=False)
    world.apply(models.spec("v1", traffic=models.GATEWAY | traffic))
    decision = plan(replace(seen(world, **features), rival=rival))
    assert decision.blocked is not None
    assert decision.blocked.reason == reason
    assert words in decision.blocked.message
    assert decision.actions == ()


def test_sessions_are_taken_where_the_cluster_has_the_field() -> None:
    world = World(has_gateway=False)
    world.apply(models.spec("v1", traffic=models.GATEWAY | {"sessionPersistence": {}}))
    decision = plan(seen(world, route_fields=frozenset({"sessionPersistence"})))
    assert decision.blocked is None
    assert decision.actions
