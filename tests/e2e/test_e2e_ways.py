"""Other ways through a rollout: without a gateway, with autoscaling, by hand, and back by the old spec."""

import asyncio
import functools
from collections import Counter
from collections.abc import Callable

import pytest

from cluster.kubectl import Manifest
from demo import manifests, objects
from demo.load import Load, Target
from demo.manifests import Pace
from demo.models import Models
from demo.objects import Objects
from demo.place import Place
from modelway.cli.objects import Model

_QUICK = {"settle": "1s", "drain": "3s", "bake": "0s"}


@pytest.fixture(scope="module")
def where(furnished: Callable[[str], Place]) -> Place:
    return furnished("ways")


def _service(where: Place, name: str) -> Target:
    """The model's Service; each prediction over a connection of its own, as connections are what it divides."""
    service = where.kubectl.get(f"service/{name}", f"--namespace={where.namespace}")
    url = f"http://{service['spec']['clusterIP']}/v2/models/{name}/infer"
    return Target(url=url, is_kept_open=False)


def _pods(where: Place, name: str) -> dict[str, int]:
    """Restarts of each pod of a model, by uid."""
    scope = (f"--namespace={where.namespace}", f"--selector=serving.modelway.io/model={name}")
    found = where.kubectl.get("pods", *scope)["items"]
    return {pod["metadata"]["uid"]: _restarts(pod) for pod in found if "deletionTimestamp" not in pod["metadata"]}


def _restarts(pod: Manifest) -> int:
    return sum(item["restartCount"] for item in pod["status"].get("containerStatuses", ()))


def _canary(where: Place, name: str, version: str, *steps: Manifest) -> Manifest:
    """A canary through the gateway."""
    return manifests.model(
        where.namespace,
        manifests.source(version, where.storage.bucket),
        name=name,
        replicas=2,
        rollout={"strategy": "Canary", "steps": list(steps), **_QUICK},
        traffic=manifests.traffic(where.gateway, manifests.host(where.namespace, name)),
    )


def _without_gateway(where: Place, name: str, version: str) -> Manifest:
    steps = [{"weight": 50, "hold": "8s"}]
    return manifests.model(
        where.namespace,
        manifests.source(version, where.storage.bucket),
        name=name,
        replicas=2,
        rollout={"strategy": "Canary", "steps": steps, **_QUICK},
    )


async def test_a_canary_without_a_gateway_divides_by_pods_and_loses_nothing(
    where: Place, known: Models, objects_in: Callable[[Place], Objects]
) -> None:
    name, found = "plain", objects_in(where)
    found.apply(_without_gateway(where, name, "1"))
    await found.until(name, "version 1 serves", functools.partial(objects.serves, "1"))
    load = Load(_service(where, name), known, per_second=20)
    async with load.running():
        found.apply(_without_gateway(where, name, "2"))
        await found.until(name, "half of the pods are version 2", functools.partial(objects.holds_step, 0))
        await found.until(name, "version 2 serves", functools.partial(objects.serves, "2"))
    assert [lost.what for lost in load.lost] == []
    assert set(load.shares(0)) == {"1", "2"}
    assert load.answers[-1].version == "2"


async def test_approval_is_waited_for_and_given_by_promote(
    where: Place, known: Models, objects_in: Callable[[Place], Objects]
) -> None:
    name, found = "approved", objects_in(where)
    step = {"weight": 50, "approval": "Required"}
    found.apply(_canary(where, name, "1", step))
    await found.until(name, "version 1 serves", functools.partial(objects.serves, "1"))
    async with (load := Load(where.target(name), known, per_second=20)).running():
        found.apply(_canary(where, name, "2", step))
        await found.until(name, "it waits for approval", _waits_for_approval)
        refused = await asyncio.to_thread(where.modelway, "promote", name, "--dry-run")
        assert (await found.get(name)).active, refused
        await asyncio.to_thread(where.modelway, "promote", name, "--wait", "--timeout", "2m")
        await found.until(name, "version 2 serves", functools.partial(objects.serves, "2"))
    assert [lost.what for lost in load.lost] == []


def _waits_for_approval(model: Model) -> bool:
    paused = model.condition("Paused")
    return paused is not None and paused.status == "True" and paused.reason == "AwaitingApproval"


async def test_39_applying_the_old_spec_goes_back_without_starting_a_pod(
    where: Place, known: Models, objects_in: Callable[[Place], Objects]
) -> None:
    name, found = "returned", objects_in(where)
    step = {"weight": 50, "approval": "Required"}
    found.apply(_canary(where, name, "1", step))
    await found.until(name, "version 1 serves", functools.partial(objects.serves, "1"))
    before = _pods(where, name)
    async with (load := Load(where.target(name), known, per_second=20)).running():
        found.apply(_canary(where, name, "2", step))
        await found.until(name, "it waits for approval", _waits_for_approval)
        found.apply(_canary(where, name, "1", step))
        model = await found.until(name, "version 1 serves alone", functools.partial(objects.serves, "1"))
    assert [lost.what for lost in load.lost] == []
    assert [line.outcome for line in model.status.history][-1] in ("RolledBack", "Superseded")
    where.kubectl.run(
        "wait", "pods", f"--namespace={where.namespace}", "--for=delete", "--timeout=1m",
        f"--selector=serving.modelway.io/model={name},serving.modelway.io/revision={_other(model)}",
    )  # fmt: skip
    assert _pods(where, name) == before


def _other(model: Model) -> str:
    """Hash of the revision that does not serve."""
    stable = model.status.stable_revision
    assert stable is not None
    (other,) = (item.hash for item in model.status.revisions if item.name != stable.name)
    return str(other)


async def test_48_a_command_for_a_step_that_is_over_is_rejected_in_the_status(
    where: Place, objects_in: Callable[[Place], Objects]
) -> None:
    name, found = "stale", objects_in(where)
    found.apply(manifests.model(where.namespace, manifests.source("1", where.storage.bucket), name=name))
    model = await found.until(name, "version 1 serves", functools.partial(objects.serves, "1"))
    value = f'{{"verb": "promote", "uid": "{model.uid}", "rollout": 1, "step": 7, "id": "late"}}'
    scope = f"--namespace={where.namespace}"
    where.kubectl.run("annotate", "mdep", name, scope, f"serving.modelway.io/command={value}")
    model = await found.until(name, "the command is answered", lambda model: model.last_command is not None)
    assert model.last_command is not None
    assert (model.last_command.id, model.last_command.result) == ("late", "Rejected")
    assert model.is_true("Ready")


async def test_autoscaling_makes_an_autoscaler_that_reads_the_pods(
    where: Place, objects_in: Callable[[Place], Objects]
) -> None:
    name, found = "scaled", objects_in(where)
    target = {"type": "Utilization", "averageUtilization": 80}
    autoscaling = {
        "minReplicas": 1,
        "maxReplicas": 3,
        "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}],
    }
    source = manifests.source("1", where.storage.bucket)
    found.apply(manifests.model(where.namespace, source, name=name, autoscaling=autoscaling))
    model = await found.until(name, "version 1 serves", functools.partial(objects.serves, "1"))
    assert model.status.stable_revision is not None
    autoscaler = f"hpa/{model.status.stable_revision.name}"
    scope = f"--namespace={where.namespace}"
    wanted = ("--for=condition=ScalingActive", "--timeout=3m")
    await asyncio.to_thread(where.kubectl.run, "wait", autoscaler, scope, *wanted)
    assert where.kubectl.get(autoscaler, scope)["spec"]["maxReplicas"] == 3
    assert name in where.kubectl.run("top", "pods", scope)


async def test_65_when_kubectl_wait_says_ready_the_gateway_leads_to_the_right_model(
    where: Place, known: Models, objects_in: Callable[[Place], Objects]
) -> None:
    found = objects_in(where)
    for name, version in (("left", "1"), ("right", "2")):
        found.apply(_canary(where, name, version))
    for name, version in (("left", "1"), ("right", "2")):
        wanted = ("--for=condition=Ready", "--timeout=2m", f"--namespace={where.namespace}")
        await asyncio.to_thread(where.kubectl.run, "wait", f"mdep/{name}", *wanted)
        load = Load(where.target(name), known, per_second=20)
        async with load.running():
            await load.until_answered(20)
        assert load.lost == []
        assert Counter(answer.version for answer in load.answers).keys() == {version}


def test_the_pace_of_the_demo_is_what_the_story_tests() -> None:
    assert Pace() == Pace(hold="12s", settle="2s", drain="5s", bake="5s")
