"""Worlds brought to each phase: the beginnings of everything that is said about statuses."""

from collections.abc import Callable
from functools import cache

from modelway import kinds
from modelway.cluster.api import Forbidden
from simulation import models
from simulation.server import always
from simulation.stories import GATED, TWO_STEPS, installed, reach, upgrade
from simulation.world import World

Beginning = Callable[[], World]
SLOW = models.canary({"weight": 10, "hold": "1m"}, bake="0s")


@cache
def world_of(beginning: Beginning) -> World:
    """Each beginning is simulated once a process; nobody moves such a world on."""
    return beginning()


def pending() -> World:
    """The object is accepted, and its first revision is about to be born."""
    world = World()
    world.apply(models.spec("v1", rollout=TWO_STEPS))
    world.run_to_phase("Pending")
    return world


def initializing() -> World:
    """The first revision is being loaded; nothing serves yet."""
    world = World()
    world.apply(models.spec("v1", rollout=TWO_STEPS))
    world.run_to_phase("Initializing")
    return world


def first_is_paused() -> World:
    """Somebody paused the rollout of the first revision."""
    world = initializing()
    world.edit(rollout=TWO_STEPS | {"paused": True})
    world.run_for(5)
    return world


def healthy() -> World:
    """The revision of the spec serves all of the traffic."""
    return installed(TWO_STEPS)


def service_only() -> World:
    """Without a gateway: the Service of the model serves all of the traffic."""
    return installed(models.rolling(), gateway=False)


def scaled_up() -> World:
    """More pods are wanted than there are."""
    world = healthy()
    world.edit(replicas=4)
    world.run_for(1)
    return world


def resuming() -> World:
    """Pods are wanted again after none were."""
    world = healthy()
    world.edit(replicas=0)
    world.run_to_phase("Suspended")
    world.run_for(60)
    world.edit(replicas=2)
    world.run_for(3)
    return world


def unanswered() -> World:
    """The gateway has not answered to a change of the route."""
    world = healthy()
    world.gateway.is_frozen = True
    world.edit(traffic=models.GATEWAY | {"hostnames": ["other.example.com"]})
    world.run_for(30)
    return world


def progressing() -> World:
    """A new version is being loaded beside the one that serves."""
    world = installed(TWO_STEPS)
    upgrade(world, "v2")
    reach(world, 0, "Loading")
    return world


def waiting_for_an_image() -> World:
    """A new version cannot start, as its image is missing: named, waited for, and it heals by itself."""
    world = installed(TWO_STEPS)
    world.script("v2", image_is_missing=True)
    upgrade(world, "v2")
    world.run_for(60)
    return world


def short_of_quota() -> World:
    """A quota keeps the new version's Deployment from being created: it heals by itself."""
    world = healthy()
    refusal = Forbidden(403, "Forbidden", 'deployments.apps "fraud" is forbidden: exceeded quota: objects')
    world.server.faults.rules.append(always(refusal, ["create"], kinds.DEPLOYMENT))
    upgrade(world, "v2")
    world.run_for(5)
    return world


def holding() -> World:
    """A step of a canary holds for its time; then it goes on by itself."""
    world = installed(TWO_STEPS)
    upgrade(world, "v2")
    reach(world, 0, "Holding")
    return world


def waiting_for_approval() -> World:
    """A step of a canary waits until somebody promotes it."""
    world = installed(GATED)
    upgrade(world, "v2")
    reach(world, 1, "Holding")
    return world


def paused() -> World:
    """Somebody paused the rollout in the spec."""
    world = holding()
    world.edit(rollout=TWO_STEPS | {"paused": True})
    world.run_for(5)
    return world


def promoting() -> World:
    """The new version is taking over the model's own Service, as the last thing before it is stable."""
    world = installed(SLOW)
    upgrade(world, "v2")
    world.run_to_phase("Promoting", within=900)
    return world


def rolling_back() -> World:
    """The rollout was aborted, and the gateway has not confirmed the way back yet."""
    world = holding()
    world.gateway.is_frozen = True
    world.command("abort")
    world.run_to_phase("RollingBack")
    return world


def aborted() -> World:
    """The rollout was aborted: the former version serves, the spec still asks for the other one."""
    world = holding()
    world.command("abort")
    world.run_to_phase("RolledBack")
    world.run_for(60)
    return world


def refused() -> World:
    """The new version cannot be loaded: it was taken back and is remembered, the former one serves."""
    world = installed(TWO_STEPS)
    world.script("v2", load_failure="ModelLoadFailed", message="model.onnx cannot be loaded: INVALID_PROTOBUF")
    upgrade(world, "v2")
    world.run_to_phase("RolledBack")
    world.run_for(60)
    return world


def refused_before() -> World:
    """The spec asks again for a version that was refused before."""
    world = refused()
    upgrade(world, "v3")
    world.run_to_phase("Healthy", within=900)
    upgrade(world, "v2")
    world.run_to_phase("RolledBack")
    return world


def undone() -> World:
    """Somebody went back to the former version by command; the spec still asks for the other one."""
    world = installed(SLOW)
    upgrade(world, "v2")
    world.run_to_phase("Healthy", within=900)
    world.command("undo")
    world.run_to_phase("RolledBack", within=900)
    return world


def degraded() -> World:
    """The version that serves has lost all of its pods."""
    world = installed(TWO_STEPS)
    world.script("v1", load_failure="ModelLoadFailed")
    for pod in world.pods():
        world.kubelet.kill(pod)
    world.run_to_phase("Degraded")
    return world


def degraded_in_mid_rollout() -> World:
    """Neither the version that serves nor the new one has a pod left that answers."""
    world = holding()
    world.kubelet.unready |= {pod["metadata"]["uid"] for pod in world.pods()}
    world.run_for(5)
    return world


def degraded_after_a_refusal() -> World:
    """The version that serves has lost all of its pods, and the one that the spec asks for was refused."""
    world = refused()
    world.kubelet.unready |= {pod["metadata"]["uid"] for pod in world.pods("v1")}
    world.run_for(5)
    return world


def invalid() -> World:
    """The spec cannot be read: what runs stays as it is."""
    world = installed(TWO_STEPS)
    world.edit(replicas=-1)
    world.run_to_phase("Stalled")
    return world


def invalid_while_it_holds() -> World:
    """The spec cannot be read, in mid-rollout."""
    world = holding()
    world.edit(replicas=-1)
    world.run_to_phase("Stalled")
    return world


def without_runtime() -> World:
    """No runtime serves the format of the new version: nothing was started."""
    world = installed(TWO_STEPS)
    upgrade(world, "v2", model={"format": "torch"})
    world.run_to_phase("Stalled")
    return world


def overdue() -> World:
    """The new version could not be fetched within the deadline: it was released, and is tried again by clock."""
    world = installed(TWO_STEPS)
    world.script("v2", fetch_failure="ArtifactNotFound")
    upgrade(world, "v2")
    world.run_for(660)
    return world


def tried_again() -> World:
    """The new version could not be fetched within the deadline, and its second attempt is under way."""
    world = overdue()
    world.run_for(250)
    return world


def first_is_overdue() -> World:
    """The first version could not be fetched within the deadline; as nothing else serves, it goes on trying."""
    world = World()
    world.script("v1", fetch_failure="ArtifactNotFound")
    world.apply(models.spec("v1", rollout=TWO_STEPS))
    world.run_for(660)
    return world


def first_is_refused() -> World:
    """The first version cannot be loaded; as nothing else serves, it goes on trying."""
    world = World()
    world.script("v1", load_failure="ModelLoadFailed")
    world.apply(models.spec("v1", rollout=TWO_STEPS))
    world.run_for(60)
    return world


def write_denied() -> World:
    """A policy of the cluster refuses the change of the route."""
    world = healthy()
    refusal = Forbidden(403, "Forbidden", 'admission webhook "routes.example.com" denied the request: frozen')
    world.server.faults.rules.append(always(refusal, ["apply"], kinds.HTTP_ROUTE))
    upgrade(world, "v2")
    world.run_for(30)
    return world


def route_refused() -> World:
    """The gateway refuses the route of a model that serves."""
    world = healthy()
    world.gateway.refusal = ("Accepted", "No listener of Gateway public admits fraud.example.com")
    world.run_for(5)
    return world


def coarse() -> World:
    """Without a gateway even one pod is more than the first step allows: nothing was started."""
    world = installed(models.canary({"weight": 5, "hold": "1m"}), gateway=False)
    upgrade(world, "v2")
    world.run_to_phase("Stalled")
    return world


def suspended() -> World:
    """No pod is wanted."""
    return installed(TWO_STEPS, replicas=0)


def suspended_while_overdue() -> World:
    """No pod is wanted, after a first version that never came up."""
    world = World()
    world.script("v1", fetch_failure="ArtifactNotFound")
    world.apply(models.spec("v1", rollout=TWO_STEPS))
    world.run_for(60)
    world.edit(replicas=0)
    world.run_for(900)
    world.edit(revisionHistoryLimit=3)
    world.run_for(5)
    return world


def suspended_after_a_refusal() -> World:
    """No pod is wanted, after a version that was refused."""
    world = refused()
    world.edit(replicas=0)
    world.run_to_phase("Suspended")
    return world


def serving_while_it_holds() -> World:
    """`readyWhen: Serving`: ready although a step waits for approval."""
    world = installed(GATED | {"readyWhen": "Serving"})
    upgrade(world, "v2")
    reach(world, 1, "Holding")
    return world


def refused_though_serving_is_enough() -> World:
    """`readyWhen: Serving`, but the new version was refused."""
    world = installed(TWO_STEPS | {"readyWhen": "Serving"})
    world.script("v2", load_failure="ModelLoadFailed")
    upgrade(world, "v2")
    world.run_to_phase("RolledBack")
    return world


def replaced_while_broken() -> World:
    """A new version has all of the traffic, as the former one had no pod left."""
    world = installed(TWO_STEPS)
    world.script("v1", crashes=True)
    for pod in world.pods():
        world.kubelet.kill(pod)
    upgrade(world, "v2")
    world.run_until(lambda: world.weights().get("v2") == 100, within=300)
    world.run_for(2)
    return world


ALL: tuple[Beginning, ...] = (
    pending,
    initializing,
    first_is_paused,
    healthy,
    service_only,
    scaled_up,
    resuming,
    unanswered,
    progressing,
    waiting_for_an_image,
    short_of_quota,
    holding,
    waiting_for_approval,
    paused,
    promoting,
    rolling_back,
    aborted,
    refused,
    refused_before,
    undone,
    degraded,
    degraded_in_mid_rollout,
    degraded_after_a_refusal,
    invalid,
    invalid_while_it_holds,
    without_runtime,
    overdue,
    tried_again,
    first_is_overdue,
    first_is_refused,
    write_denied,
    route_refused,
    coarse,
    suspended,
    suspended_while_overdue,
    suspended_after_a_refusal,
    serving_while_it_holds,
    refused_though_serving_is_enough,
    replaced_while_broken,
)
