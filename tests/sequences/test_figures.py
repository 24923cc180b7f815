"""What status says of revisions: which images run, how many pods are warm, which was ready last."""

from modelway import kinds
from modelway.cluster.api import Invalid
from modelway.kinds import Manifest
from simulation import models
from simulation.server import always
from simulation.stories import TWO_STEPS, installed, reach, rest, serves_alone, upgrade
from simulation.world import World


def told(world: World, version: str) -> Manifest:
    """The entry of a revision."""
    name = world.revision_of(version)
    return next(item for item in world.status()["revisions"] if item["name"] == name)


def replace_pods(world: World, count: int) -> None:
    for pod in world.pods("v1")[:count]:
        world.evict(pod)
        world.run_for(30)


def test_45_a_tag_that_was_moved_is_told_when_pods_run_another_image() -> None:
    world = installed(TWO_STEPS)
    assert told(world, "v1")["imageDigest"] == "sha256:0123"
    assert "message" not in told(world, "v1")
    world.script("v1", image="sha256:4567")
    replace_pods(world, 1)
    for _ in range(2):
        assert told(world, "v1")["imageDigest"] == "sha256:0123"
        assert "another image (sha256:4567)" in told(world, "v1")["message"]
        assert "another image (sha256:4567)" in world.condition("Available")["message"]
        assert (world.status()["phase"], world.condition("Available")["status"]) == ("Healthy", "True")
        replace_pods(world, 2)
    assert rest(world, 600) == 0


def test_45_the_image_of_a_revision_is_known_after_its_pods_are_gone() -> None:
    world = installed(TWO_STEPS | {"bake": "0s"})
    world.script("v2", image="sha256:89ab")
    upgrade(world, "v2")
    world.run_to_phase("Healthy")
    world.run_for(120)
    assert world.pods("v1") == []
    assert [told(world, version)["imageDigest"] for version in ("v1", "v2")] == ["sha256:0123", "sha256:89ab"]
    world.script("v1", image="sha256:4567")
    world.command("undo")
    world.run_to_phase("RolledBack")
    assert "another image (sha256:4567)" in told(world, "v1")["message"]


def test_a_pod_that_is_busy_for_a_moment_is_still_warm() -> None:
    world = installed(TWO_STEPS)
    world.kubelet.unready.add(world.pods()[0]["metadata"]["uid"])
    world.run_for(5)
    assert told(world, "v1")["replicas"] == {"desired": 2, "ready": 1, "warmed": 2}
    upgrade(world, "v2")
    reach(world, 0, "Loading")
    assert told(world, "v2")["replicas"] == {"desired": 1, "ready": 0, "warmed": 0}


def test_the_latest_ready_revision_is_the_newest_that_ever_was() -> None:
    world = installed(TWO_STEPS)
    first = world.status()["latestReadyRevision"]
    assert first["name"] == world.revision_of("v1")
    world.script("v2", load_failure="ModelLoadFailed")
    upgrade(world, "v2")
    world.run_to_phase("RolledBack")
    assert world.status()["latestReadyRevision"] == first
    upgrade(world, "v3")
    reach(world, 0, "Holding", rollout=3)
    world.command("abort")
    world.run_to_phase("RolledBack")
    world.run_for(60)
    serves_alone(world, "v1")
    assert world.status()["latestReadyRevision"]["name"] == world.revision_of("v3")
    assert world.status()["latestReadyRevision"]["time"] > first["time"]


def test_65_a_refusal_that_stands_is_told_once_and_flips_nothing() -> None:
    world = installed(TWO_STEPS, replicas=None, autoscaling={"minReplicas": 2, "maxReplicas": 4})
    refusal = Invalid(422, "Invalid", "HorizontalPodAutoscaler is invalid", (("spec.metrics", "required"),))
    world.server.faults.rules.append(always(refusal, ["apply", "create"], kinds.HORIZONTAL_POD_AUTOSCALER))
    upgrade(world, "v2")
    world.run_until(lambda: bool(world.condition("Stalled")), within=60)
    since = world.condition("Stalled")["lastTransitionTime"]
    seen = len(world.server.writes)
    world.run_for(600)
    serves_alone(world, "v2")
    assert [reason for _, reason, _ in world.recorder.events].count("InvalidSpec") == 1
    assert world.condition("Stalled")["lastTransitionTime"] == since
    written = [write.after["status"] for write in world.server.writes[seen:] if write.verb == "status" and write.after]
    assert len(written) > 10
    assert {status["phase"] for status in written} == {"Stalled"}
    world.server.faults.rules.clear()
    world.edit(revisionHistoryLimit=3)
    world.run_to_phase("Healthy", within=60)


def test_65_no_pod_is_no_outage_where_none_is_wanted() -> None:
    world = installed(TWO_STEPS)
    world.edit(replicas=0)
    world.run_to_phase("Suspended")
    world.run_for(60)
    assert world.condition("Available")["status"] == "False"
    assert [event for event in world.recorder.events if event[0] == "Warning"] == []


def test_65_an_autoscaler_that_adds_pods_takes_nothing_back() -> None:
    world = installed(TWO_STEPS, replicas=None, autoscaling={"minReplicas": 2, "maxReplicas": 6})
    world.autoscaler.targets[world.revision_of("v1")] = 5
    seen = len(world.server.writes)
    world.run_for(120)
    assert len(world.pods("v1", ready=True)) == 5
    written = [write.after["status"] for write in world.server.writes[seen:] if write.verb == "status" and write.after]
    assert {status["phase"] for status in written} == {"Healthy"}


def test_65_traffic_says_since_when_the_gateway_has_confirmed_it() -> None:
    world = installed(models.canary({"weight": 10, "hold": "1h"}))
    upgrade(world, "v2")
    reach(world, 0, "Holding")
    before = {item["revision"]: item["lastProgrammedTime"] for item in world.status()["traffic"]}
    world.run_for(600)
    assert {item["revision"]: item["lastProgrammedTime"] for item in world.status()["traffic"]} == before
    assert set(before) == {world.revision_of("v1"), world.revision_of("v2")}
