"""Revisions that cannot serve: each reason is named, and no traffic moves."""

from datetime import timedelta
from typing import Any

import pytest

from modelway import kinds
from modelway.cluster.api import ApiError, Conflict, Forbidden, Invalid, NotFound, Unreachable
from simulation import models
from simulation.clock import parse
from simulation.server import always
from simulation.stories import TWO_STEPS, compare, installed, reach, rest, serves_alone, upgrade
from simulation.world import World

VERDICTS: list[Any] = [
    pytest.param({"fetch_failure": "DigestMismatch"}, "DigestMismatch", id="digest"),
    pytest.param({"fetch_failure": "FormatMismatch"}, "FormatMismatch", id="format"),
    pytest.param({"fetch_failure": "UntrustedFormat"}, "UntrustedFormat", id="trust"),
    pytest.param({"fetch_failure": "ArtifactTooLarge"}, "ArtifactTooLarge", id="size"),
    pytest.param({"load_failure": "ModelLoadFailed", "message": "bad protobuf"}, "ModelLoadFailed", id="load"),
    pytest.param({"load_failure": "WarmupFailed"}, "WarmupFailed", id="warmup"),
    pytest.param({"answers_wrong": True}, "GoldenRequestFailed", id="golden"),
    pytest.param({"uses_too_much_memory": True}, "OutOfMemory", id="memory"),
    pytest.param({"crashes": True}, "CrashLoop", id="crash"),
]

ENVIRONMENT: list[Any] = [
    pytest.param({"fetch_failure": "ArtifactNotFound"}, "ArtifactNotFound", id="artifact"),
    pytest.param({"fetch_failure": "CredentialsDenied"}, "CredentialsDenied", id="credentials"),
    pytest.param({"fetch_failure": "DownloadTimeout"}, "DownloadTimeout", id="download"),
    pytest.param({"fetch_failure": "DiskFull"}, "DiskFull", id="disk"),
    pytest.param({"image_is_missing": True}, "ImagePullFailed", id="image"),
    pytest.param({"is_unschedulable": True}, "Unschedulable", id="scheduling"),
]


def with_broken(script: dict[str, Any], **fields: Any) -> World:
    world = installed(TWO_STEPS, validation={"requests": models.GOLDEN}, **fields)
    world.oracle.expects_no_outage = True
    world.script("v2", **script)
    upgrade(world, "v2")
    return world


@pytest.mark.parametrize(("script", "reason"), VERDICTS)
def test_35_a_verdict_takes_the_candidate_back_and_is_remembered(script: dict[str, Any], reason: str) -> None:
    world = with_broken(script)
    world.run_to_phase("RolledBack")
    world.run_for(90)
    assert world.condition("RevisionFailed")["reason"] == reason
    assert {kind: world.condition(kind)["status"] for kind in ("Ready", "Stalled", "Available", "RolledBack")} == {
        "Ready": "False",
        "Stalled": "True",
        "Available": "True",
        "RolledBack": "True",
    }
    assert world.rollout()["outcome"] == "Failed"
    assert world.status()["lastFailedRevision"]["reason"] == reason
    serves_alone(world, "v1")
    assert world.pods("v2") == []
    assert rest(world, 4 * 3600) == 0
    assert not any("v2" in world.version_of(name) for name in shares_ever(world))


def shares_ever(world: World) -> set[str]:
    history = world.gateway.history[f"{models.NAMESPACE}/fraud"]
    return {name for _, weights in history for name, weight in weights.items() if weight}


@pytest.mark.parametrize(("script", "reason"), ENVIRONMENT)
def test_34_a_fault_of_the_environment_is_named_within_a_minute_and_heals(script: dict[str, Any], reason: str) -> None:
    world = with_broken(script)
    world.run_for(60)
    assert world.condition("Reconciling")["reason"] == reason
    assert world.condition("Stalled") == {}
    world.script("v2")
    world.run_to_phase("Healthy", within=900)
    serves_alone(world, "v2")


@pytest.mark.parametrize(("script", "reason"), ENVIRONMENT)
def test_34_and_35_at_the_deadline_the_candidate_is_released_and_tried_again_later(
    script: dict[str, Any], reason: str
) -> None:
    world = with_broken(script)
    world.run_for(620)
    assert world.replicas("v2") == 0
    assert world.condition("Stalled")["reason"] == "ProgressDeadlineExceeded"
    assert reason in world.condition("Stalled")["message"]
    serves_alone(world, "v1")
    assert world.rollout()["id"] == 2
    world.run_for(300)
    assert world.rollout()["id"] == 3
    assert world.replicas("v2") > 0
    world.script("v2")
    world.run_to_phase("Healthy", within=1800)
    serves_alone(world, "v2")


def test_34_a_missing_secret_is_named_and_heals() -> None:
    world = installed(TWO_STEPS)
    upgrade(world, "v2", model={"credentials": {"secretRef": {"name": "s3-reader"}}})
    world.run_for(60)
    assert world.condition("Reconciling")["reason"] == "SecretNotFound"
    assert "s3-reader" in world.condition("Reconciling")["message"]
    world.scripts.secrets.add("s3-reader")
    world.run_to_phase("Healthy")


def test_34_a_quota_is_named_and_heals() -> None:
    world = installed(TWO_STEPS)
    world.workloads.quota = 'pods "fraud" is forbidden: exceeded quota: compute'
    upgrade(world, "v2")
    world.run_for(60)
    assert world.condition("Reconciling")["reason"] == "QuotaExceeded"
    world.workloads.quota = ""
    world.run_to_phase("Healthy")


def test_33_and_35_a_pod_that_is_never_ready_is_given_up_at_the_deadline() -> None:
    world = with_broken({"is_never_ready": True})
    world.run_for(620)
    assert world.condition("Stalled")["reason"] == "ProgressDeadlineExceeded"
    assert world.replicas("v2") == 0


def with_flapping(**rollout: Any) -> World:
    """Two of three candidate pods get ready, and one of them turns unready and ready again from then on."""
    world = installed(models.canary(**rollout), replicas=3)
    upgrade(world, "v2")
    world.run_until(lambda: len(world.pods("v2")) == 3)
    world.kubelet.unready.add(world.pods("v2")[-1]["metadata"]["uid"])
    world.run_until(lambda: len(world.pods("v2", ready=True)) == 2)
    world.run_for(1)
    return world


def flap(world: World, *, until: float) -> None:
    """A pod that was ready is so every other ten seconds."""
    pod = world.pods("v2", ready=True)[0]["metadata"]["uid"]
    while world.clock.elapsed < until and "outcome" not in world.rollout():
        world.kubelet.unready ^= {pod}
        world.run_for(10)


def test_33_a_pod_that_flaps_is_no_progress_and_the_deadline_comes_in_time() -> None:
    world = with_flapping(progressDeadline="5m")
    since = parse(world.rollout()["lastProgressAt"])
    flap(world, until=3600)
    assert (world.rollout()["outcome"], world.rollout()["reason"]) == ("Failed", "ProgressDeadlineExceeded")
    ended = parse(world.rollout()["finishedAt"])
    assert timedelta(minutes=5) <= ended - since <= timedelta(minutes=5, seconds=2)


def test_33_a_pause_does_not_count_towards_the_deadline() -> None:
    world = with_flapping(progressDeadline="5m")
    since = parse(world.rollout()["lastProgressAt"])
    flap(world, until=world.clock.elapsed + 100)
    world.command("pause")
    world.run_for(600)
    assert "outcome" not in world.rollout()
    world.command("resume")
    flap(world, until=3600)
    ended = parse(world.rollout()["finishedAt"])
    assert timedelta(minutes=15) <= ended - since <= timedelta(minutes=15, seconds=4)


def test_33_pods_that_an_autoscaler_adds_and_no_node_takes_miss_no_deadline() -> None:
    rollout = models.canary({"weight": 50, "hold": "30m"}, bake="0s", progressDeadline="5m")
    world = installed(rollout, replicas=None, autoscaling={"minReplicas": 2, "maxReplicas": 6})
    upgrade(world, "v2")
    reach(world, 0, "Holding")
    world.script("v2", is_unschedulable=True)
    world.autoscaler.targets[world.revision_of("v2")] = 6
    world.change(kinds.HORIZONTAL_POD_AUTOSCALER, world.revision_of("v2"), lambda item: item.update(status={}))
    world.run_for(1200)
    assert len(world.pods("v2")) == 6
    assert (world.rollout()["stepState"], world.weights()) == ("Holding", {"v1": 50, "v2": 50})
    world.script("v2")
    world.run_to_phase("Healthy", within=3600)


def test_54_a_missing_runtime_is_found_before_anything_starts() -> None:
    world = installed(TWO_STEPS)
    upgrade(world, "v2", model={"format": "torch"})
    world.run_for(60)
    assert world.condition("Stalled")["reason"] == "RuntimeNotFound"
    assert world.revision_of("v2") == ""
    assert rest(world, 3600) == 0
    serves_alone(world, "v1")
    world.change(
        kinds.CLUSTER_MODEL_RUNTIME, "modelway", lambda item: item["spec"]["formats"].append({"name": "torch"})
    )
    world.run_to_phase("Healthy")
    serves_alone(world, "v2")


def test_54_a_spec_that_the_dry_run_refuses_starts_nothing() -> None:
    world = installed(TWO_STEPS)
    refusal = Invalid(422, "Invalid", "Deployment is invalid", (("spec.template.spec.tolerations", "bad operator"),))
    world.server.faults.rules.append(always(refusal, ["verify"], kinds.DEPLOYMENT))
    upgrade(world, "v2")
    world.run_for(60)
    assert world.condition("Stalled")["reason"] == "InvalidSpec"
    assert "tolerations" in world.condition("Stalled")["message"]
    assert world.revision_of("v2") == ""
    serves_alone(world, "v1")
    world.server.faults.rules.clear()
    upgrade(world, "v3")
    world.run_to_phase("Healthy")
    serves_alone(world, "v3")


@pytest.mark.parametrize(
    "error", [Forbidden(403, "Forbidden", "admission webhook denied it"), Invalid(422, "Invalid", "no")]
)
def test_11_a_route_that_cannot_be_written_freezes_the_step(error: Exception) -> None:
    world = installed(TWO_STEPS)
    world.server.faults.rules.append(always(error, ["apply"], kinds.HTTP_ROUTE))  # type: ignore[arg-type]
    upgrade(world, "v2")
    world.run_for(120)
    assert world.weights() == {"v1": 100}
    assert world.rollout()["stepIndex"] == 0
    assert world.condition("TrafficProgrammed")["reason"] == "WriteDenied"
    world.server.faults.rules.clear()
    world.run_to_phase("Healthy")


REFUSALS: list[Any] = [
    pytest.param(Forbidden(403, "Forbidden", 'User "modelway" cannot patch resource "httproutes"'), id="rights"),
    pytest.param(Forbidden(403, "Forbidden", "admission webhook denied it"), id="policy"),
    pytest.param(Invalid(422, "Invalid", "no"), id="invalid"),
    pytest.param(Conflict(409, "Conflict", "the object has been modified"), id="conflict"),
    pytest.param(Unreachable(500, "InternalError", "failed calling webhook: context deadline exceeded"), id="webhook"),
    pytest.param(NotFound(404, "NotFound", "the server could not find the requested resource"), id="no-such-kind"),
]


@pytest.mark.parametrize("error", REFUSALS)
def test_11_whatever_refuses_the_route_in_mid_rollout_moves_nothing_else(error: ApiError) -> None:
    world = installed(TWO_STEPS)
    world.oracle.expects_no_outage = True
    upgrade(world, "v2")
    reach(world, 0, "Holding")
    world.server.faults.rules.append(always(error, ["apply"], kinds.HTTP_ROUTE))
    reach(world, 1, "Routing")
    world.run_for(5)
    before = world.replicas("v1"), world.replicas("v2")
    asked = len(world.server.requests)
    world.run_for(1800)
    assert world.weights() == {"v1": 90, "v2": 10}
    assert (world.status()["weight"], world.rollout()["stepIndex"], world.rollout()["stepState"]) == (10, 1, "Routing")
    assert (world.replicas("v1"), world.replicas("v2")) == before
    tried = [item for item in world.server.requests[asked:] if item[:2] == ("apply", kinds.HTTP_ROUTE)]
    assert 1 <= len(tried) <= 80
    world.server.faults.rules.clear()
    world.run_to_phase("Healthy")
    world.run_for(120)
    serves_alone(world, "v2")


def test_06_a_gateway_that_never_reports_freezes_the_step() -> None:
    world = installed(TWO_STEPS)
    world.gateway.is_frozen = True
    upgrade(world, "v2")
    world.run_for(300)
    assert world.rollout()["stepIndex"] == 0
    assert world.condition("TrafficProgrammed")["reason"] == "RouteNotProgrammed"
    assert world.replicas("v1") == 2
    world.gateway.is_frozen = False
    world.run_to_phase("Healthy")


def test_06_a_route_that_the_gateway_refuses_is_named() -> None:
    world = installed(TWO_STEPS)
    world.gateway.refusal = ("Accepted", "no listener allows it")
    upgrade(world, "v2")
    world.run_for(120)
    assert world.condition("TrafficProgrammed")["reason"] == "RouteNotAccepted"
    world.gateway.refusal = None
    world.run_to_phase("Healthy")


def test_34_a_first_revision_that_fails_is_kept_and_served_when_it_is_ready_after_all() -> None:
    world = World()
    world.script("v1", load_failure="ModelLoadFailed", message="bad file")
    world.apply(models.spec("v1"))
    world.run_for(120)
    assert world.condition("RevisionFailed")["reason"] == "ModelLoadFailed"
    assert world.condition("Ready")["status"] == "False"
    assert world.replicas("v1") >= 1
    world.script("v1")
    world.run_to_phase("Healthy", within=900)
    assert world.condition("RevisionFailed") == {}
    serves_alone(world, "v1")


def test_34_trouble_of_stable_marks_no_revision() -> None:
    world = installed(TWO_STEPS)
    for pod in world.pods():
        world.kubelet.kill(pod)
    world.script("v1", load_failure="ModelLoadFailed")
    world.run_for(40)
    assert world.status()["phase"] == "Degraded"
    assert world.condition("Available")["status"] == "False"
    assert world.condition("RevisionFailed") == {}
    world.script("v1")
    world.run_to_phase("Healthy", within=900)


def test_42_a_broken_stable_does_not_stop_its_successor() -> None:
    world = installed(TWO_STEPS)
    world.script("v1", crashes=True)
    for pod in world.pods():
        world.kubelet.kill(pod)
    upgrade(world, "v2")
    world.run_until(lambda: world.weights().get("v2") == 100, within=300)
    world.run_to_phase("Healthy", within=900)
    serves_alone(world, "v2")


def test_25_an_evicted_candidate_loses_its_weight_until_it_is_back() -> None:
    world = installed(models.canary({"weight": 10, "hold": "10m"}))
    upgrade(world, "v2")
    reach(world, 0, "Holding")
    world.run_for(30)
    world.evict(world.pods("v2")[0])
    world.run_for(2)
    assert world.weights() == {"v1": 100}
    world.run_for(30)
    assert world.weights() == {"v1": 90, "v2": 10}
    assert (world.rollout()["stepIndex"], world.rollout()["id"]) == (0, 2)
    world.run_to_phase("Healthy", within=900)


def test_the_golden_refusal_reads_like_this() -> None:
    world = with_broken({"answers_wrong": True, "message": "request setosa: label is 2, expected 0"})
    world.run_to_phase("RolledBack")
    world.run_for(60)
    compare(world, "golden-request-refused")


def test_54_an_invalid_spec_counts_no_pods_of_a_number_that_nobody_knows() -> None:
    world = installed(TWO_STEPS)
    world.edit(replicas=-1)
    world.run_for(5)
    assert world.condition("Stalled")["reason"] == "InvalidSpec"
    assert world.condition("Available")["message"].startswith("2 pods of ")
    serves_alone(world, "v1")
