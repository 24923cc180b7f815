"""Answers compared on mirrored requests: a comparator that comes and goes with its rollout, and finds flips."""

from typing import Any

from modelway import kinds, names
from modelway.cli import view
from modelway.cli.objects import Model
from modelway.kinds import Manifest
from simulation import models, rules
from simulation.rules import Request
from simulation.stories import reach, rest, serves_alone, upgrade
from simulation.world import World

FLIPS = {"name": "answers", "builtin": "Disagreement", "max": 0.01}
MIRRORING = ["HTTPRouteRequestMirror", "HTTPRouteRequestPercentageMirror"]


def compared(*metrics: Any, **shadow: Any) -> Any:
    """`spec.rollout` with shadow."""
    return models.canary(
        {"weight": 10, "hold": "5m"},
        bake="0s",
        shadow={"percent": 20} | shadow,
        analysis={"metrics": list(metrics or (FLIPS,))},
    )


def serving(rollout: Any, *features: str, rate: float = 100.0) -> World:
    """A cluster in which v1 serves behind a gateway that reports those features."""
    world = World()
    place = {"name": "public", "namespace": "gateways"}
    world.store.insert(kinds.GATEWAY, {"metadata": place, "spec": {"gatewayClassName": "test"}})
    reported = {"supportedFeatures": [{"name": name} for name in features]}
    world.store.insert(kinds.GATEWAY_CLASS, {"metadata": {"name": "test"}, "spec": {}, "status": reported})
    world.apply(models.spec("v1", rollout=models.canary(bake="0s")))
    world.run_to_phase("Healthy")
    world.oracle.expects_no_outage = True
    world.callers.rate = rate
    world.edit(rollout=rollout)
    world.run_for(30)
    return world


def comparators(world: World) -> list[str]:
    found = (*world.store.all(kinds.DEPLOYMENT, models.NAMESPACE), *world.store.all(kinds.SERVICE, models.NAMESPACE))
    return sorted(item["metadata"]["name"] for item in found if "compare" in item["metadata"]["name"])


def mirrors(world: World) -> dict[str, int]:
    """Who gets copies by the route as it is written."""
    route = world.store.find(kinds.HTTP_ROUTE, models.NAMESPACE, "fraud")
    assert route is not None
    return rules.mirrors([route], Request())


def test_12_a_comparator_gets_copies_once_it_is_ready_and_goes_with_the_rollout() -> None:
    world = serving(compared(), *MIRRORING)
    upgrade(world, "v2")
    reach(world, 0, "Holding")
    world.run_until(lambda: bool(mirrors(world)), within=60)
    assert mirrors(world) == {names.comparator("fraud", 2): 20}
    assert world.weights() == {"v1": 90, "v2": 10}
    world.run_for(2)
    shares = {share["revision"]: share.get("mirrorPercent") for share in world.status()["traffic"]}
    assert shares == {world.revision_of("v1"): None, world.revision_of("v2"): 20}
    assert "(and copies of 20 %)" in view.page(Model.parse(world.model()), world.clock())
    world.run_to_phase("Healthy", within=3600)
    assert all("mirrorPercent" not in share for share in world.status()["traffic"])
    assert (comparators(world), mirrors(world)) == ([], {})
    world.run_for(60)
    assert rest(world, 3600) == 0
    serves_alone(world, "v2")


def test_copies_are_shown_of_a_candidate_that_has_no_weight() -> None:
    steps = compared() | {"steps": [{"weight": 0, "hold": "5m"}]}
    world = serving(steps, *MIRRORING)
    upgrade(world, "v2")
    reach(world, 0, "Holding")
    world.run_for(60)
    shares = {share["revision"]: share for share in world.status()["traffic"]}
    assert shares[world.revision_of("v1")]["desiredWeight"] == 100
    candidate = shares[world.revision_of("v2")]
    assert (candidate["desiredWeight"], candidate["mirrorPercent"]) == (0, 20)


def test_a_version_that_flips_answers_is_taken_back_with_examples_of_the_evidence() -> None:
    world = serving(compared(), *MIRRORING)
    world.script("v2", flips=0.05)
    upgrade(world, "v2")
    world.run_to_phase("RolledBack", within=900)
    assert world.rollout()["reason"] == "AnalysisFailed"
    assert "answers" in world.rollout()["message"]
    world.run_for(60)
    assert (comparators(world), mirrors(world)) == ([], {})
    serves_alone(world, "v1")


def test_9_a_comparator_that_is_not_ready_gets_no_copies_and_holds_nothing_up() -> None:
    errors = {"name": "errors", "builtin": "ErrorRate", "max": 0.01}
    world = serving(compared(errors), *MIRRORING)
    upgrade(world, "v2")
    world.run_until(lambda: bool(mirrors(world)), within=120)
    pod = next(item for item in world.store.all(kinds.POD) if "compare" in item["metadata"]["name"])
    world.kubelet.unready.add(pod["metadata"]["uid"])
    world.run_for(5)
    assert mirrors(world) == {}
    world.run_to_phase("Healthy", within=3600)


def test_9_a_comparator_that_somebody_deletes_is_made_again() -> None:
    world = serving(compared(), *MIRRORING)
    upgrade(world, "v2")
    world.run_until(lambda: bool(mirrors(world)), within=120)
    found = world.store.find(kinds.DEPLOYMENT, models.NAMESPACE, names.comparator("fraud", 2))
    assert found is not None
    world.store.remove(kinds.DEPLOYMENT, found)
    world.run_for(60)
    assert mirrors(world) == {names.comparator("fraud", 2): 20}


def test_a_gateway_that_cannot_mirror_is_named_before_a_pod_starts() -> None:
    world = serving(compared())
    upgrade(world, "v2")
    world.run_for(120)
    assert world.condition("Stalled")["reason"] == "FeatureNotSupported"
    assert "RequestPercentageMirror" in world.condition("Stalled")["message"]
    assert world.pods("v2") == []
    serves_alone(world, "v1")
    gateway_class = world.store.find(kinds.GATEWAY_CLASS, "", "test")
    assert gateway_class is not None

    def report(live: Manifest) -> None:
        live["status"] = {"supportedFeatures": [{"name": name} for name in MIRRORING]}

    world.change(kinds.GATEWAY_CLASS, "test", report)
    world.run_to_phase("Healthy", within=3600)


def test_37_a_newer_version_gets_a_comparator_of_its_own() -> None:
    world = serving(compared(), *MIRRORING)
    upgrade(world, "v2")
    world.run_until(lambda: bool(mirrors(world)), within=120)
    upgrade(world, "v3")
    world.run_until(lambda: mirrors(world) == {names.comparator("fraud", 3): 20}, within=300)
    assert comparators(world) == [names.comparator("fraud", 3)] * 2


def test_52_an_abort_takes_the_mirror_away_with_the_weight() -> None:
    world = serving(compared(), *MIRRORING)
    upgrade(world, "v2")
    world.run_until(lambda: bool(mirrors(world)), within=120)
    world.command("abort")
    world.run_for(1)
    assert (mirrors(world), world.weights()) == ({}, {"v1": 100})
