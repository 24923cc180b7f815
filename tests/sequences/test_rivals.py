"""Two models that claim the same requests of a Gateway: the first keeps them, the second waits and says for whom."""

from typing import Any

import pytest

from modelway import kinds
from modelway.kinds import Manifest
from simulation import models
from simulation.stories import TWO_STEPS, reach, rest
from simulation.world import World

LONG = models.canary({"weight": 10, "hold": "1h"})
HOST = "fraud.example.com"


def traffic(*hostnames: str, **more: Any) -> Manifest:
    """`spec.traffic` on the common Gateway."""
    return {"parentRefs": models.GATEWAY["parentRefs"], "hostnames": list(hostnames)} | more


def claiming(version: str = "v9", *, model: str = "fraud", **fields: Any) -> Manifest:
    """The spec of another object, whose model is called the same unless said otherwise."""
    found = models.spec(version, **{"rollout": TWO_STEPS, "traffic": traffic(HOST)} | fields)
    return found | {"model": found["model"] | {"name": model}}


def first(spec: Manifest | None = None) -> World:
    """`fraud` serves and has its route."""
    world = World()
    world.oracle.expects_no_outage = True
    world.apply(spec or models.spec("v1", rollout=TWO_STEPS, traffic=traffic(HOST)))
    world.run_to_phase("Healthy")
    world.run_for(60)
    return world


def phase(world: World, name: str) -> str:
    return str(world.status(name).get("phase"))


def stored(world: World, name: str) -> Manifest:
    """What a model has in the cluster, but for the status."""
    return {
        f"{kind.name} {item['metadata']['name']}": item.get("spec") or item.get("data")
        for kind, item in world.store.everything()
        if (item["metadata"].get("labels") or {}).get("serving.modelway.io/model") == name and kind != kinds.POD
    }


def test_63_the_second_starts_nothing_names_the_first_and_leaves_it_untouched() -> None:
    world = first()
    before, status = stored(world, "fraud"), world.status("fraud")
    world.apply(claiming(), "imposter")
    world.run_for(300)
    stalled = world.condition("Stalled", "imposter")
    assert stalled["reason"] == "Conflict"
    assert all(word in stalled["message"] for word in ("payments/fraud", f"{HOST}/v2/models/fraud", "gateways/public"))
    assert stored(world, "imposter") == {}
    assert (stored(world, "fraud"), world.status("fraud")) == (before, status)
    assert world.answers() == {"v1"}
    assert rest(world, 3600) == 0


@pytest.mark.parametrize("way", ["deleted", "moved", "without-gateway"])
def test_63_the_second_begins_by_itself_when_the_first_goes(way: str) -> None:
    world = first()
    world.apply(claiming(), "imposter")
    world.run_for(60)
    assert phase(world, "imposter") == "Stalled"
    if way == "deleted":
        world.delete()
    elif way == "moved":
        world.edit(traffic=traffic("other.example.com"))
    else:
        world.edit(traffic=None)
    world.run_until(lambda: phase(world, "imposter") == "Healthy")
    world.run_for(5)
    assert world.answers() == {"v9"}


CLAIMS: list[Any] = [
    pytest.param(claiming(), True, id="same"),
    pytest.param(claiming(model="churn"), False, id="another-path"),
    pytest.param(claiming(traffic=traffic("churn.example.com")), False, id="another-host"),
    pytest.param(claiming(traffic=traffic("a.example.com", HOST)), True, id="one-of-two-hosts"),
    pytest.param(claiming(traffic=traffic("*.example.com")), True, id="wildcard-over-it"),
    pytest.param(claiming(traffic=traffic("*.com")), True, id="wide-wildcard"),
    pytest.param(claiming(traffic=traffic(f"*.{HOST}")), False, id="wildcard-below-it"),
    pytest.param(claiming(traffic=traffic()), True, id="every-host"),
    pytest.param(claiming(model="churn", traffic=traffic(HOST, paths="All")), True, id="all-paths-of-the-host"),
    pytest.param(
        claiming(traffic=traffic(HOST) | {"parentRefs": [{"name": "other", "namespace": "gateways"}]}),
        False,
        id="another-gateway",
    ),
    pytest.param(
        claiming(traffic=traffic(HOST) | {"parentRefs": [{"name": "public"}]}), False, id="gateway-of-its-namespace"
    ),
    pytest.param(
        claiming(rollout=models.blue_green({"previewHostnames": [HOST]}), traffic=traffic("churn.example.com")),
        True,
        id="as-a-preview",
    ),
    pytest.param(claiming(traffic=None), False, id="no-gateway"),
]


@pytest.mark.parametrize(("spec", "meets"), CLAIMS)
def test_63_only_claims_that_could_mean_one_request_meet(spec: Manifest, meets: bool) -> None:
    world = first()
    world.apply({key: value for key, value in spec.items() if value is not None}, "imposter")
    world.run_for(120)
    assert phase(world, "imposter") == ("Stalled" if meets else "Healthy")
    assert phase(world, "fraud") == "Healthy"
    assert world.answers() == {"v1"}


@pytest.mark.parametrize(("mine", "meets"), [("https", False), ("", True), ("http", True)])
def test_63_listeners_of_one_gateway_are_apart(mine: str, meets: bool) -> None:
    parent = models.GATEWAY["parentRefs"][0]
    world = first(models.spec("v1", traffic=traffic(HOST) | {"parentRefs": [parent | {"sectionName": "http"}]}))
    other = parent | ({"sectionName": mine} if mine else {})
    world.apply(claiming(traffic=traffic(HOST) | {"parentRefs": [other]}), "imposter")
    world.run_for(120)
    assert phase(world, "imposter") == ("Stalled" if meets else "Healthy")


def test_63_of_two_that_come_together_the_older_one_is_first_then_the_name() -> None:
    world = World()
    world.apply(claiming("v2"), "beta")
    world.apply(claiming("v1"), "alpha")
    world.run_for(120)
    assert (phase(world, "alpha"), phase(world, "beta")) == ("Healthy", "Stalled")
    world = World()
    world.apply(claiming("v2"), "beta")
    world.clock.step(world.gateway.delay)
    world.apply(claiming("v1"), "alpha")
    world.run_for(120)
    assert (phase(world, "alpha"), phase(world, "beta")) == ("Stalled", "Healthy")


def test_63_an_older_one_that_is_edited_takes_nothing_from_a_younger_one_that_serves() -> None:
    world = first(models.spec("v1", rollout=TWO_STEPS, traffic=traffic("old.example.com")))
    world.apply(claiming(), "younger")
    world.run_until(lambda: phase(world, "younger") == "Healthy")
    world.run_for(60)
    before = stored(world, "fraud"), stored(world, "younger")
    world.edit(traffic=traffic(HOST))
    world.run_for(60)
    assert (phase(world, "fraud"), phase(world, "younger")) == ("Stalled", "Healthy")
    assert world.answers() == {"v9"}
    assert world.answers(host="old.example.com") == {"v1"}
    assert (stored(world, "fraud"), stored(world, "younger")) == before
    world.edit(traffic=traffic("new.example.com"))
    world.run_until(lambda: world.answers(host="new.example.com") == {"v1"}, within=5)
    world.run_until(lambda: phase(world, "fraud") == "Healthy", within=5)
    assert world.answers(host="old.example.com") == set()


def test_63_whoever_is_suspended_gives_the_way_in_to_an_older_one_that_waits() -> None:
    world = first(models.spec("v1", rollout=TWO_STEPS, traffic=traffic("old.example.com")))
    world.apply(claiming(), "younger")
    world.run_until(lambda: phase(world, "younger") == "Healthy")
    world.edit(traffic=traffic(HOST))
    world.run_until(lambda: phase(world, "fraud") == "Stalled", within=60)
    world.oracle.expects_no_outage = False
    world.edit("younger", replicas=0)
    world.run_until(lambda: world.answers() == {"v1"}, within=60)
    world.edit("younger", replicas=2)
    world.run_for(60)
    assert (phase(world, "fraud"), phase(world, "younger")) == ("Healthy", "Stalled")
    assert world.answers() == {"v1"}


def frozen() -> World:
    """`late` is at 10 % of its own host name, and is then edited to claim what `fraud` has."""
    world = first()
    own = traffic("late.example.com")
    world.apply(claiming("v8", traffic=own, rollout=LONG), "late")
    world.run_until(lambda: phase(world, "late") == "Healthy")
    world.apply(claiming("v9", traffic=own, rollout=LONG), "late")
    world.run_until(lambda: world.rollout("late").get("stepState") == "Holding")
    world.run_for(30)
    world.apply(claiming("v9", traffic=traffic(HOST), rollout=LONG), "late")
    world.run_for(60)
    assert phase(world, "late") == "Stalled"
    return world


def late(world: World) -> set[str]:
    return world.answers(host="late.example.com")


def test_63_a_rollout_of_the_second_stands_still_until_the_first_goes() -> None:
    world = frozen()
    writes = len(world.server.writes)
    world.run_for(7200)
    assert len(world.server.writes) == writes
    assert world.weights("late") == {"v8": 90, "v9": 10}
    assert late(world) == {"v8", "v9"}
    world.delete()
    world.run_until(lambda: phase(world, "late") == "Healthy", within=3600)
    assert world.answers() == {"v9"}
    assert late(world) == set()


def test_01_the_second_gives_no_weight_to_emptiness_while_it_stands_still() -> None:
    world = frozen()
    world.oracle.expects_no_outage = False
    for pod in world.pods():
        if world.version_of(pod["metadata"]["name"].rsplit("-", 2)[0]) == "v9":
            world.kubelet.unready.add(pod["metadata"]["uid"])
    world.run_for(5)
    assert world.weights("late") == {"v8": 100}
    assert late(world) == {"v8"}
    world.kubelet.unready.clear()
    world.run_for(5)
    assert world.weights("late") == {"v8": 90, "v9": 10}


def test_52_an_abort_of_the_second_is_obeyed_at_its_old_host_name() -> None:
    world = frozen()
    world.command("abort", "late")
    world.run_until(lambda: world.weights("late") == {"v8": 100}, within=5)
    world.run_for(120)
    assert world.status("late")["history"][-1]["outcome"] == "Aborted"
    assert late(world) == {"v8"}
    assert world.answers() == {"v1"}


def test_63_a_preview_at_a_host_name_that_another_has_is_not_shown() -> None:
    world = first()
    own, trial = traffic("late.example.com"), {"approval": "Required", "previewHostnames": ["preview.example.com"]}
    for version in ("v8", "v9"):
        world.apply(claiming(version, traffic=own, rollout=models.blue_green(trial)), "late")
        world.run_for(120)
    assert world.answers(host="preview.example.com") == {"v9"}
    taken = models.blue_green(trial | {"previewHostnames": [HOST]})
    world.apply(claiming("v9", traffic=own, rollout=taken), "late")
    world.run_for(60)
    assert world.condition("Stalled", "late")["reason"] == "Conflict"
    assert world.store.find(kinds.HTTP_ROUTE, models.NAMESPACE, "late-preview") is None
    assert world.answers() == {"v1"}
    world.apply(claiming("v9", traffic=own, rollout=models.blue_green(trial)), "late")
    world.run_for(60)
    assert world.answers(host="preview.example.com") == {"v9"}


def test_63_a_restart_keeps_the_order() -> None:
    world = frozen()
    before = stored(world, "fraud"), stored(world, "late")
    world.crash()
    world.run_for(60)
    assert (stored(world, "fraud"), stored(world, "late")) == before
    assert (phase(world, "fraud"), phase(world, "late")) == ("Healthy", "Stalled")


@pytest.mark.parametrize("seed", range(5))
def test_63_in_any_order_of_events_one_serves_and_the_others_wait(seed: int) -> None:
    world = World(seed=seed)
    for number in range(4):
        world.apply(claiming(f"v{number}"), f"model-{number}")
    world.run_for(180)
    assert [phase(world, f"model-{number}") for number in range(4)] == ["Healthy", "Stalled", "Stalled", "Stalled"]
    world.delete("model-0")
    world.run_for(180)
    assert [phase(world, f"model-{number}") for number in range(1, 4)] == ["Healthy", "Stalled", "Stalled"]
    assert world.answers() == {"v1"}


def test_a_rollout_of_the_first_goes_on_beside_one_that_waits() -> None:
    world = first()
    world.apply(claiming(), "imposter")
    world.run_for(30)
    world.apply(models.spec("v2", rollout=TWO_STEPS, traffic=traffic(HOST)))
    reach(world, 0, "Holding")
    assert world.answers() == {"v1", "v2"}
    world.run_to_phase("Healthy")
    assert world.answers() == {"v2"}
