"""What the cluster itself says in the course of a rollout: Services, pods, counts, owners of fields."""

import asyncio
import functools
import subprocess
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
import yaml

from cluster.kubectl import Manifest
from demo import objects, street
from demo.load import Load
from demo.models import Models
from demo.objects import Objects
from demo.place import Place
from demo.watch import watching
from modelway import names
from modelway.cli.objects import Model

CANARY = {"strategy": "Canary", "steps": [{"weight": 20, "hold": "3s"}, {"weight": 60, "hold": "3s"}], "bake": "0s"}
HELD = {"strategy": "Canary", "steps": [{"weight": 50, "approval": "Required"}], "bake": "0s"}
GITOPS = "argocd-controller"
"""Field manager of a pipeline."""


@pytest.fixture(scope="module")
def where(furnished: Callable[[str], Place]) -> Place:
    return furnished("truths")


def of_revision(manifest: Manifest) -> str:
    """Hash of the revision that a child belongs to."""
    return str(manifest["metadata"]["labels"].get(names.REVISION_LABEL, ""))


async def test_07_selectors_are_not_repointed_under_load(where: Place, known: Models) -> None:
    name = "pointed"
    selector = f"--selector={names.MODEL_LABEL}={name}"
    with watching(where, "services", selector) as services, watching(where, "endpointslices", selector) as slices:
        async with street.street(where, known, name, CANARY, per_second=100) as seen:
            seen.apply("2", CANARY)
            await seen.until("version 2 serves", functools.partial(objects.serves, "2"))
    led: dict[str, list[Manifest]] = {}
    for service in services.states:
        led.setdefault(service["metadata"]["name"], []).append(service["spec"]["selector"])
    own = [selector.get(names.REVISION_LABEL, "") for selector in led.pop(name)]
    assert len(led) == 2
    assert all(selectors.count(selectors[0]) == len(selectors) for selectors in led.values()), led
    for former, latter in pairwise(own):
        assert former == latter or "" in (former, latter), "the model's own Service went over without a union"
    for item in slices.states:
        service = item["metadata"]["labels"]["kubernetes.io/service-name"]
        pods = [address["targetRef"]["name"] for address in item.get("endpoints") or ()]
        assert service == name or all(pod.startswith(f"{service}-") for pod in pods), (service, pods)


async def test_08_a_first_install_gets_no_route_before_a_pod_is_ready_and_is_ready_only_when_it_serves(
    where: Place, known: Models, objects_in: Callable[[Place], Objects]
) -> None:
    name, found = "first", objects_in(where)
    with watching(where, "modeldeployments") as states, watching(where, "httproutes") as routes:
        found.apply(street.model(where, name, "1", CANARY))
        await found.until(name, "it is ready", lambda model: model.is_observed and model.is_true("Ready"))
        async with (load := Load(where.target(name), known, per_second=20)).running():
            await load.until_answered(20)
    assert load.lost == []
    pods = where.kubectl.get("pods", f"--namespace={where.namespace}", f"--selector={names.MODEL_LABEL}={name}")
    (route,) = {item["metadata"]["creationTimestamp"] for item in routes.states if item["metadata"]["name"] == name}
    assert min(since(pod, "Ready") for pod in pods["items"]) <= route
    mine = [item for item in states.states if item["metadata"]["name"] == name]
    assert all(since(item, "Ready") >= route for item in mine if is_ready(item))
    rollouts = [item.get("status", {}).get("rollout") or {} for item in mine]
    assert {rollout["strategy"] for rollout in rollouts if rollout} == {"Initial"}
    assert not any("analysis" in rollout or rollout.get("stepIndex", 0) for rollout in rollouts)


def condition(manifest: Manifest, kind: str) -> Manifest:
    conditions = manifest.get("status", {}).get("conditions") or ()
    return next((item for item in conditions if item["type"] == kind), {})


def since(manifest: Manifest, kind: str) -> str:
    """When a condition became what it is."""
    return str(condition(manifest, kind)["lastTransitionTime"])


def is_ready(manifest: Manifest) -> bool:
    return condition(manifest, "Ready").get("status") == "True"


async def test_23_a_promotion_keeps_the_size_that_the_autoscaler_had_found(
    where: Place, objects_in: Callable[[Place], Objects]
) -> None:
    name, found = "sized", objects_in(where)

    def wanted(version: str, least: int) -> Manifest:
        manifest = street.model(where, name, version, HELD, autoscaling={"minReplicas": least, "maxReplicas": 4})
        manifest["spec"].pop("replicas")
        return manifest

    found.apply(wanted("1", 3))
    await found.until(name, "version 1 has three pods", lambda model: serves_with(3, model))
    found.apply(wanted("1", 1))
    await found.until(name, "the autoscaler may take pods away", lambda _: least_pods(where, name) == 1)
    found.apply(wanted("2", 1))
    await found.until(name, "it holds", functools.partial(objects.holds_step, 0))
    with watching(where, "modeldeployments", name) as states:
        await asyncio.to_thread(where.modelway, "promote", name)
        await found.until(name, "version 2 is promoted", functools.partial(street.has_promoted, "2"))
    promoted = [item["status"] for item in states.states if item["status"]["stableRevision"].get("version") == "2"]
    assert promoted
    ready = {item["name"]: item["replicas"]["ready"] for item in promoted[0]["revisions"]}
    assert ready[promoted[0]["stableRevision"]["name"]] >= 3


def serves_with(pods: int, model: Model) -> bool:
    return model.is_observed and model.is_true("Ready") and model.status.ready_replicas >= pods


def least_pods(where: Place, name: str) -> int:
    """`minReplicas` of the only autoscaler."""
    selector = f"--selector={names.MODEL_LABEL}={name}"
    (item,) = where.kubectl.get("hpa", f"--namespace={where.namespace}", selector)["items"]
    return int(item["spec"]["minReplicas"])


async def test_64_git_sees_no_difference_at_any_step_and_the_operator_owns_nothing_of_others(
    where: Place, known: Models, objects_in: Callable[[Place], Objects]
) -> None:
    name, found = "owned", objects_in(where)
    wanted = {version: street.model(where, name, version, HELD) for version in ("1", "2")}
    apply_as_pipeline(where, wanted["1"])
    await found.until(name, "version 1 serves", functools.partial(objects.serves, "1"))
    assert difference(where, wanted["1"]) == ""
    apply_as_pipeline(where, wanted["2"])
    for is_last, what, holds in (
        (False, "it holds", functools.partial(objects.holds_step, 0)),
        (True, "version 2 serves", functools.partial(objects.serves, "2")),
    ):
        await found.until(name, what, holds)
        assert difference(where, wanted["2"]) == ""
        assert owned(where, "modeldeployments", name) == {"status": {"f:status"}}
        for deployment in owned_by_deployment(where, name):
            assert "f:replicas" not in deployment
        if not is_last:
            await asyncio.to_thread(where.modelway, "promote", name)
    children = ("deployments", "services", "httproutes", "configmaps", "controllerrevisions", "pdb")
    scope = (f"--namespace={where.namespace}", f"--selector={names.MODEL_LABEL}={name}")
    stored = where.kubectl.get(",".join(children), *scope)["items"]
    assert {item["kind"] for item in stored} >= {"Deployment", "Service", "HTTPRoute", "ConfigMap"}
    assert [item["metadata"]["name"] for item in stored if item["metadata"].get("finalizers")] == []
    assert all(item["metadata"]["ownerReferences"][0]["controller"] for item in stored)


def apply_as_pipeline(where: Place, manifest: Manifest) -> None:
    words = ("apply", "--server-side", f"--field-manager={GITOPS}", "--filename=-")
    where.kubectl.run(*words, stdin=yaml.safe_dump(manifest))


def difference(where: Place, manifest: Manifest) -> str:
    """What a pipeline would find to do."""
    words = ("diff", "--server-side", f"--field-manager={GITOPS}", "--filename=-")
    done = subprocess.run(
        where.kubectl.command(*words), input=yaml.safe_dump(manifest), text=True, capture_output=True, check=False
    )
    assert done.returncode <= 1, done.stderr
    return done.stdout


def entries(manifest: Manifest) -> list[Manifest]:
    """What the operator owns of an object."""
    return [item for item in manifest["metadata"]["managedFields"] if item["manager"] == names.FIELD_MANAGER]


def owned(where: Place, kind: str, name: str) -> dict[str, Any]:
    """Top-level fields by subresource."""
    stored = where.kubectl.get(kind, name, f"--namespace={where.namespace}", "--show-managed-fields")
    return {item.get("subresource", ""): set(item["fieldsV1"]) for item in entries(stored)}


def owned_by_deployment(where: Place, name: str) -> list[set[str]]:
    """Fields of the spec of each Deployment that the operator owns through the Deployment itself."""
    scope = (f"--namespace={where.namespace}", f"--selector={names.MODEL_LABEL}={name}", "--show-managed-fields")
    stored = where.kubectl.get("deployments", *scope)["items"]
    applied = [item for manifest in stored for item in entries(manifest) if item["operation"] == "Apply"]
    assert applied
    return [set(item["fieldsV1"].get("f:spec", {})) for item in applied]
