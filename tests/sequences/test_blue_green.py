"""BlueGreen: a candidate is tried whole and without traffic, then takes all of it at once, or none."""

from functools import cache

import pytest

from modelway import kinds
from modelway.cluster.api import ApiError, Forbidden
from modelway.kinds import Kind, Manifest
from simulation import models
from simulation.notes import place
from simulation.stories import compare, installed, reach, rest, serves_alone, upgrade
from simulation.world import World

PREVIEW = "preview.fraud.example.com"
SHOWN = models.blue_green({"previewHostnames": [PREVIEW], "approval": "Required"})
PLAIN = models.blue_green({"hold": "1m"})
EITHER = pytest.mark.parametrize("gateway", [True, False], ids=["gateway", "service-only"])

Place = tuple[int, str]


def tried(rollout: Manifest = SHOWN, *, gateway: bool = True, step: int = 0, state: str = "Holding") -> World:
    """v1 serves, and v2 is there."""
    world = installed(rollout, gateway=gateway)
    world.oracle.expects_no_outage = True
    upgrade(world, "v2")
    reach(world, step, state)
    world.run_for(2)
    return world


def shares(world: World) -> list[dict[str, int]]:
    """Every division that the gateway has made, by version."""
    history = world.gateway.history[f"{models.NAMESPACE}/fraud"]
    return [{world.version_of(name): weight for name, weight in weights.items()} for _, weights in history]


def test_a_candidate_is_shown_whole_waits_for_approval_and_takes_everything_at_once() -> None:
    world = tried()
    assert world.weights() == {"v1": 100}
    assert len(world.pods("v2", ready=True)) == 2
    assert world.answers(host=PREVIEW) == {"v2"}
    assert world.answers() == {"v1"}
    assert world.status()["address"]["preview"] == f"http://{PREVIEW}/v2/models/fraud"
    assert world.condition("Paused")["reason"] == "AwaitingApproval"
    assert rest(world, 7200) == 0
    world.command("promote")
    world.run_to_phase("Healthy")
    world.run_for(180)
    serves_alone(world, "v2")
    assert shares(world) == [{"v1": 100}, {"v2": 100}]
    assert world.answers(host=PREVIEW) == set()
    assert "preview" not in world.status()["address"]
    assert world.store.find(kinds.SERVICE, models.NAMESPACE, "fraud-preview") is None
    assert world.replicas("v1") == 0
    compare(world, "blue-green")


def test_without_a_gateway_the_preview_is_a_service_and_the_switch_goes_by_union_then_subset() -> None:
    world = tried(models.blue_green({"approval": "Required"}), gateway=False)
    assert world.selected() == {"v1"}
    assert world.status()["address"]["preview"] == "http://fraud-preview.payments.svc/v2/models/fraud"
    service = world.store.find(kinds.SERVICE, models.NAMESPACE, "fraud-preview")
    assert service is not None
    assert service["spec"]["selector"]["serving.modelway.io/revision"] == world.revision_of("v2").rsplit("-", 1)[1]
    world.command("promote")
    world.run_to_phase("Healthy")
    world.run_for(180)
    serves_alone(world, "v2")
    assert world.store.find(kinds.SERVICE, models.NAMESPACE, "fraud-preview") is None
    compare(world, "service-only-blue-green")


@EITHER
def test_without_approval_it_switches_after_the_hold(gateway: bool) -> None:
    world = tried(PLAIN, gateway=gateway)
    begun = world.clock.elapsed
    world.run_until(lambda: world.rollout()["stepIndex"] == 1)
    assert 55 <= world.clock.elapsed - begun <= 62
    world.run_to_phase("Healthy")
    serves_alone(world, "v2")


@EITHER
def test_without_any_wish_it_switches_as_soon_as_all_pods_are_ready(gateway: bool) -> None:
    world = installed(models.blue_green(), gateway=gateway, replicas=3)
    world.oracle.expects_no_outage = True
    upgrade(world, "v2")
    world.run_to_phase("Healthy")
    serves_alone(world, "v2", 3)


def test_the_preview_begins_with_the_first_ready_pod_and_the_switch_waits_for_the_last() -> None:
    world = installed(SHOWN, replicas=3)
    upgrade(world, "v2")
    world.run_until(lambda: len(world.pods("v2", ready=True)) == 1)
    world.run_for(2)
    assert world.previewed() == {"v2"}
    assert place(world.rollout())[2] in ("Scaling", "Loading")


def test_a_switch_that_lacks_a_pod_stays_away_until_it_is_back() -> None:
    world = tried(SHOWN)
    world.gateway.is_frozen = True
    world.command("promote")
    reach(world, 1, "Verifying")
    world.oracle.expects_no_outage = False
    for pod in world.pods("v2"):
        world.kubelet.unready.add(pod["metadata"]["uid"])
    world.run_for(5)
    assert world.weights() == {"v1": 100}
    world.kubelet.unready.remove(world.pods("v2")[0]["metadata"]["uid"])
    world.run_for(5)
    assert world.weights() == {"v1": 100}
    world.kubelet.unready.clear()
    world.gateway.is_frozen = False
    world.run_to_phase("Healthy")
    assert {"v1": 50, "v2": 50} not in shares(world)


@pytest.mark.parametrize("weight", [1, 50, 99])
@pytest.mark.parametrize("step", [0, 1])
def test_10_a_partial_share_that_somebody_writes_is_put_back_in_one_pass(step: int, weight: int) -> None:
    world = tried(SHOWN | {"settle": "1m"})
    if step:
        world.command("promote")
        reach(world, 1, "Settling")
    before = world.weights()

    def divide(route: Manifest) -> None:
        backend = route["spec"]["rules"][-1]["backendRefs"][0]
        shares = {world.revision_of("v1"): 100 - weight, world.revision_of("v2"): weight}
        route["spec"]["rules"][-1]["backendRefs"] = [{**backend, "name": n, "weight": w} for n, w in shares.items()]

    world.change(kinds.HTTP_ROUTE, "fraud", divide)
    world.run_for(0.5)
    assert world.weights() == before


def test_10_a_share_that_somebody_writes_while_a_pod_is_missing_is_no_share_to_keep() -> None:
    world = tried(SHOWN | {"settle": "5m"})
    world.command("promote")
    reach(world, 1, "Settling")
    world.oracle.expects_no_outage = False
    world.kubelet.unready.add(world.pods("v2")[0]["metadata"]["uid"])
    world.run_for(2)
    assert world.weights() == {"v2": 100}

    def divide(route: Manifest) -> None:
        backend = route["spec"]["rules"][-1]["backendRefs"][0]
        stable = {**backend, "name": world.revision_of("v1"), "weight": 40}
        route["spec"]["rules"][-1]["backendRefs"] = [stable, {**backend, "weight": 60}]

    world.change(kinds.HTTP_ROUTE, "fraud", divide)
    world.run_for(0.5)
    assert world.weights() == {"v1": 100}
    world.kubelet.unready.clear()
    world.run_for(2)
    assert world.weights() == {"v2": 100}


def test_11_a_preview_that_cannot_be_written_keeps_the_step_from_going_on() -> None:
    world = installed(models.blue_green({"previewHostnames": [PREVIEW]}))
    world.oracle.expects_no_outage = True
    denial = Forbidden(403, "Forbidden", 'admission webhook "hosts" denied the request')

    def deny(verb: str, kind: Kind, name: str) -> ApiError | None:
        return denial if (verb, kind, name) == ("create", kinds.HTTP_ROUTE, "fraud-preview") else None

    world.server.faults.rules.append(deny)
    upgrade(world, "v2")
    world.run_for(300)
    assert (world.rollout()["stepIndex"], world.rollout()["stepState"]) == (0, "Routing")
    assert world.condition("Stalled")["reason"] == "WriteDenied"
    assert world.weights() == {"v1": 100}
    world.server.faults.rules.clear()
    world.run_to_phase("Healthy")
    serves_alone(world, "v2")


def test_promote_in_full_skips_the_approval_and_not_the_pods() -> None:
    world = installed(SHOWN)
    world.script("v2", load=120)
    upgrade(world, "v2")
    world.run_for(10)
    world.command("promote-full")
    world.run_for(60)
    assert world.weights() == {"v1": 100}
    world.run_to_phase("Healthy")
    assert world.rollout()["outcome"] == "FastPromoted"


def test_a_pause_stops_the_switch_and_not_the_preview() -> None:
    world = tried(PLAIN)
    world.command("pause")
    world.run_for(300)
    assert world.weights() == {"v1": 100}
    assert len(world.pods("v2", ready=True)) == 2
    world.command("resume")
    world.run_to_phase("Healthy")


def test_40_an_undo_within_the_bake_starts_no_pod() -> None:
    world = tried(models.blue_green(bake="1h"), step=1, state="Settling")
    world.run_to_phase("Healthy")
    world.run_for(60)
    pods = {pod["metadata"]["name"] for pod in world.pods("v1")}
    world.command("undo")
    world.run_until(lambda: world.weights() == {"v1": 100}, within=5)
    world.run_for(3)
    assert {pod["metadata"]["name"] for pod in world.pods("v1")} == pods


@cache
def places(gateway: bool) -> tuple[Place, ...]:
    """Every step and sub-state that a BlueGreen rollout can be found in."""
    world = installed(PLAIN | {"blueGreen": {"hold": "1m"}}, gateway=gateway)
    upgrade(world, "v2")
    found: list[Place] = []

    def note() -> bool:
        rollout = world.rollout()
        where = (rollout["stepIndex"], rollout["stepState"])
        if rollout["id"] == 2 and where not in found and "finishedAt" not in rollout:
            found.append(where)
        return world.status()["phase"] == "Healthy" and "finishedAt" in rollout and rollout["id"] == 2

    world.run_until(note)
    return tuple(found)


EVERYWHERE = pytest.mark.parametrize(
    ("gateway", "where"),
    [(gateway, where) for gateway in (True, False) for where in places(gateway)],
    ids=lambda value: f"{value[0]}-{value[1]}" if isinstance(value, tuple) else ("service-only", "gateway")[value],
)


def at(where: Place, *, gateway: bool) -> World:
    world = installed(PLAIN | {"blueGreen": _trial(gateway=gateway)}, gateway=gateway)
    world.oracle.expects_no_outage = True
    upgrade(world, "v2")
    world.run_until(lambda: place(world.rollout()) == (2, *where))
    return world


def _trial(*, gateway: bool) -> Manifest:
    return {"hold": "1m"} | ({"previewHostnames": [PREVIEW]} if gateway else {})


def is_clean(world: World) -> bool:
    """Whether nothing is left of any preview."""
    kept = (kinds.SERVICE, kinds.HTTP_ROUTE)
    return all(world.store.find(kind, models.NAMESPACE, "fraud-preview") is None for kind in kept)


@EVERYWHERE
def test_52_an_abort_ends_with_stable_alone_and_without_a_preview(where: Place, gateway: bool) -> None:
    world = at(where, gateway=gateway)
    world.command("abort")
    world.run_to_phase("RolledBack")
    assert is_clean(world)
    world.run_for(60)
    serves_alone(world, "v1")
    assert world.replicas("v2") == 0
    assert (world.rollout()["outcome"], world.rollout()["reason"]) == ("Aborted", "UserAbort")
    assert rest(world, 7200) == 0


@EVERYWHERE
def test_37_a_newer_version_takes_the_preview_over(where: Place, gateway: bool) -> None:
    world = at(where, gateway=gateway)
    upgrade(world, "v3")
    reach(world, 0, "Holding", rollout=3)
    service = world.store.find(kinds.SERVICE, models.NAMESPACE, "fraud-preview")
    assert service is not None
    assert service["spec"]["selector"]["serving.modelway.io/revision"] == world.revision_of("v3").rsplit("-", 1)[1]
    assert world.previewed() == ({"v3"} if gateway else set())
    world.run_to_phase("Healthy")
    world.run_for(180)
    serves_alone(world, "v3")
    assert is_clean(world)
    assert world.replicas("v1") == world.replicas("v2") == 0


@EVERYWHERE
def test_39_going_back_to_stable_needs_no_new_pods(where: Place, gateway: bool) -> None:
    world = at(where, gateway=gateway)
    before = {pod["metadata"]["name"] for pod in world.pods("v1")}
    upgrade(world, "v1")
    world.run_to_phase("Healthy")
    world.run_for(60)
    serves_alone(world, "v1")
    assert {pod["metadata"]["name"] for pod in world.pods("v1")} == before
    assert is_clean(world)


def test_a_preview_that_no_listener_admits_freezes_the_step_and_is_named() -> None:
    world = installed(SHOWN)
    world.gateway.refusals["fraud-preview"] = ("Accepted", "no listener admits preview.fraud.example.com")
    upgrade(world, "v2")
    world.run_for(120)
    assert world.rollout()["stepState"] == "Verifying"
    assert world.condition("TrafficProgrammed")["reason"] == "RouteNotAccepted"
    assert PREVIEW in world.condition("TrafficProgrammed")["message"]
    assert world.weights() == {"v1": 100}
    world.edit(rollout=SHOWN | {"blueGreen": SHOWN["blueGreen"] | {"previewHostnames": ["green.fraud.example.com"]}})
    world.gateway.refusals.clear()
    reach(world, 0, "Holding")
    assert world.answers(host="green.fraud.example.com") == {"v2"}
    assert world.answers(host=PREVIEW) == set()


def test_64_a_service_of_somebody_else_in_the_place_of_the_preview_is_left_alone_and_named() -> None:
    world = installed(PLAIN)
    stranger = {"metadata": {"name": "fraud-preview", "namespace": models.NAMESPACE}, "spec": {"selector": {"a": "b"}}}
    world.store.insert(kinds.SERVICE, stranger)
    upgrade(world, "v2")
    world.run_for(60)
    assert world.condition("Stalled")["reason"] == "Conflict"
    assert "fraud-preview" in world.condition("Stalled")["message"]
    world.command("abort")
    world.run_to_phase("RolledBack")
    world.run_for(60)
    serves_alone(world, "v1")
    found = world.store.find(kinds.SERVICE, models.NAMESPACE, "fraud-preview")
    assert found is not None
    assert found["spec"]["selector"] == {"a": "b"}


@pytest.mark.parametrize("seed", range(4))
@EITHER
def test_the_order_of_events_does_not_matter(gateway: bool, seed: int) -> None:
    world = installed(PLAIN | {"blueGreen": _trial(gateway=gateway)}, seed=seed, gateway=gateway, replicas=3)
    world.oracle.expects_no_outage = True
    upgrade(world, "v2")
    world.run_to_phase("Healthy")
    world.run_for(180)
    serves_alone(world, "v2", 3)
    assert is_clean(world)


def test_20_with_autoscaling_the_candidate_has_the_size_of_stable_before_the_switch() -> None:
    world = installed(SHOWN, replicas=None, autoscaling={"minReplicas": 2, "maxReplicas": 6})
    world.autoscaler.targets[world.revision_of("v1")] = 5
    world.run_for(60)
    assert world.replicas("v1") == 5
    upgrade(world, "v2")
    reach(world, 0, "Holding")
    assert len(world.pods("v2", ready=True)) == 5
    world.command("promote")
    world.run_to_phase("Healthy")
    assert len(world.pods("v2", ready=True)) >= 5


def test_61_a_preview_that_waits_is_quiet_also_after_a_restart() -> None:
    world = tried()
    world.run_for(60)
    before = len(world.server.writes) + len(world.recorder.events)
    for _ in range(20):
        world.process.add({(models.NAMESPACE, "fraud")})
        world.run_for(5)
    world.crash()
    world.run_for(60)
    assert len(world.server.writes) + len(world.recorder.events) == before, world.picture()


@EITHER
def test_66_deletion_in_the_midst_of_a_preview_leaves_nothing_behind(gateway: bool) -> None:
    world = at((0, "Holding"), gateway=gateway)
    world.oracle.expects_no_outage = False
    world.delete()
    world.run_for(60)
    assert [kind.name for kind, _ in world.store.everything() if kind != kinds.CLUSTER_MODEL_RUNTIME] == []


@EITHER
def test_66_an_orphaned_preview_is_adopted_or_ended(gateway: bool) -> None:
    world = at((0, "Holding"), gateway=gateway)
    spec, pods = world.model()["spec"], {pod["metadata"]["uid"] for pod in world.pods()}
    world.delete(orphan=True)
    world.run_for(60)
    world.apply(spec)
    world.run_to_phase("Healthy")
    assert {pod["metadata"]["uid"] for pod in world.pods()} >= pods
    world.run_for(120)
    serves_alone(world, "v2")
    assert is_clean(world)


@EITHER
def test_66_a_status_that_is_lost_in_a_preview_costs_no_pod(gateway: bool) -> None:
    world = at((0, "Holding"), gateway=gateway)
    pods = {pod["metadata"]["uid"] for pod in world.pods()}
    world.change(kinds.MODEL_DEPLOYMENT, "fraud", lambda item: item.pop("status"))
    world.crash()
    world.run_for(5)
    assert {pod["metadata"]["uid"] for pod in world.pods()} == pods
    assert world.status()["stableRevision"]["name"] == world.revision_of("v1")
    world.run_to_phase("Healthy")
    serves_alone(world, "v2")


@EITHER
def test_a_candidate_that_cannot_be_right_ends_its_preview_and_is_remembered(gateway: bool) -> None:
    world = installed(PLAIN | {"blueGreen": _trial(gateway=gateway)}, gateway=gateway)
    world.oracle.expects_no_outage = True
    world.script("v2", load_failure="ModelLoadFailed")
    upgrade(world, "v2")
    world.run_to_phase("RolledBack")
    world.run_for(60)
    assert world.condition("RevisionFailed")["reason"] == "ModelLoadFailed"
    serves_alone(world, "v1")
    assert is_clean(world)
    assert rest(world, 7200) == 0


def test_42_a_broken_stable_hands_everything_to_the_candidate_that_is_previewed() -> None:
    world = tried()
    world.oracle.expects_no_outage = False
    for pod in world.pods("v1"):
        world.kubelet.unready.add(pod["metadata"]["uid"])
    world.run_for(5)
    assert world.weights() == {"v2": 100}
    world.kubelet.unready.remove(world.pods("v1")[0]["metadata"]["uid"])
    world.run_for(5)
    assert world.weights() == {"v1": 50, "v2": 50}
    world.kubelet.unready.clear()
    world.run_for(5)
    assert world.weights() == {"v1": 100}
    assert (world.rollout()["stepIndex"], world.rollout()["stepState"]) == (0, "Holding")
