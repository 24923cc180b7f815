"""The operator itself: killed in mid-rollout, and replaced by another version."""

import functools
import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from cluster import base_image, buildah, choice, paths
from demo import manifests, objects, place, street
from demo.load import Load
from demo.models import Models
from demo.objects import Objects
from demo.place import Place
from modelway.cli.objects import Model

PREVIOUS = "localhost/modelway-operator:previous"
_STEPS = [{"weight": 20, "approval": "Required"}, {"weight": 60, "hold": "3s"}]


@pytest.fixture(scope="module")
def where(furnished: Callable[[str], Place]) -> Place:
    return furnished("operator")


def _model(where: Place, name: str, version: str) -> dict[str, Any]:
    return street.model(where, name, version, {"strategy": "Canary", "steps": _STEPS, "bake": "0s"})


def _waits(model: Model) -> bool:
    return objects.holds_step(0, model) and model.is_true("Paused")


def _pods(where: Place) -> dict[str, int]:
    """Restarts of each model pod, by uid."""
    found = where.kubectl.get("pods", f"--namespace={where.namespace}")["items"]
    return {
        pod["metadata"]["uid"]: sum(item["restartCount"] for item in pod["status"].get("containerStatuses", ()))
        for pod in found
    }


def _operator_pod(where: Place) -> dict[str, Any]:
    (pod,) = where.kubectl.get("pods", f"--namespace={place.SYSTEM}")["items"]
    return dict(pod)


def _place_of(model: Model) -> tuple[int | None, int | None, str | None]:
    assert model.rollout is not None
    return model.rollout.id, model.rollout.step_index, model.rollout.step_state


def _signal(pod: dict[str, Any], number: signal.Signals) -> None:
    """To every process of the pod's operator, found by the pod's uid in their cgroups."""
    uid = pod["metadata"]["uid"]
    pattern = re.compile(rf"pod{uid}|pod{uid.replace('-', '_')}")
    for process in Path("/proc").glob("[0-9]*"):
        try:
            is_ours = pattern.search((process / "cgroup").read_text())
            command = (process / "cmdline").read_bytes()
        except OSError:
            continue
        if is_ours and b"modelway-operator" in command:
            os.kill(int(process.name), number)


def _wait_until_restarted(where: Place, pod: dict[str, Any]) -> None:
    restarts = "--for=jsonpath={.status.containerStatuses[0].restartCount}=1"
    name, scope = pod["metadata"]["name"], f"--namespace={place.SYSTEM}"
    where.kubectl.run("wait", f"pod/{name}", scope, "--timeout=1m", restarts)


def _holder(where: Place) -> str:
    lease = where.kubectl.get(f"lease/{place.RELEASE}", f"--namespace={place.SYSTEM}")
    return str(lease["spec"].get("holderIdentity", ""))


async def test_66_killed_in_mid_rollout_it_goes_on_at_the_same_step_and_restarts_no_pod(
    where: Place, known: Models, objects_in: Callable[[Place], Objects]
) -> None:
    name, found = "killed", objects_in(where)
    found.apply(_model(where, name, "1"))
    await found.until(name, "version 1 serves", functools.partial(objects.serves, "1"))
    async with (load := Load(where.target(name), known, per_second=20)).running():
        found.apply(_model(where, name, "2"))
        before = await found.until(name, "it waits at 20 %", _waits)
        pods, pod, holder = _pods(where), _operator_pod(where), _holder(where)
        _signal(pod, signal.SIGKILL)
        _wait_until_restarted(where, pod)
        where.kubectl.run(
            "annotate", "mdep", name, f"--namespace={where.namespace}", "serving.modelway.io/command=nonsense"
        )
        after = await found.until(name, "the new process answers", lambda model: model.last_command is not None)
        assert _holder(where) != holder
        assert _place_of(after) == _place_of(before)
        assert _pods(where) == pods
        where.modelway("promote", name, "--wait", "--timeout", "2m")
        await found.until(name, "version 2 serves", functools.partial(objects.serves, "2"))
    assert [lost.what for lost in load.lost] == []


async def test_63_a_leader_that_stands_still_is_followed_and_changes_nothing_when_it_wakes_up(
    where: Place, known: Models, objects_in: Callable[[Place], Objects]
) -> None:
    name, found = "followed", objects_in(where)
    found.apply(_model(where, name, "1"))
    await found.until(name, "version 1 serves", functools.partial(objects.serves, "1"))
    async with (load := Load(where.target(name), known, per_second=20)).running():
        found.apply(_model(where, name, "2"))
        await found.until(name, "it waits at 20 %", _waits)
        pods, leader, holder = _pods(where), _operator_pod(where), _holder(where)
        with _two_operators(where):
            _signal(leader, signal.SIGSTOP)
            try:
                await found.until(name, "another one leads", lambda _: _holder(where) != holder)
                where.modelway("promote", name)
                await found.until(name, "it is past the step", lambda model: not _waits(model))
                epoch = _epoch(where, name)
            finally:
                _signal(leader, signal.SIGCONT)
            _wait_until_restarted(where, leader)
            await found.until(name, "version 2 serves", functools.partial(objects.serves, "2"))
            assert _epoch(where, name) == epoch
        kept = _pods(where).keys() & pods.keys()
        assert kept
        assert {uid: _pods(where)[uid] for uid in kept} == {uid: pods[uid] for uid in kept}
    assert [lost.what for lost in load.lost] == []


@contextmanager
def _two_operators(where: Place) -> Iterator[None]:
    """Beside the one that leads another that waits."""
    scope, name = f"--namespace={place.SYSTEM}", f"deployment/{place.RELEASE}"
    where.kubectl.run("scale", name, scope, "--replicas=2")
    where.kubectl.run("rollout", "status", name, scope, "--timeout=2m")
    try:
        yield
    finally:
        where.kubectl.run("scale", name, scope, "--replicas=1")
        where.kubectl.run("rollout", "status", name, scope, "--timeout=2m")


def _epoch(where: Place, name: str) -> int:
    """The number of the leadership that wrote the status last."""
    return int(where.kubectl.get(f"mdep/{name}", f"--namespace={where.namespace}")["status"]["epoch"])


async def test_63_of_two_models_with_one_way_in_the_first_is_untouched(
    where: Place, known: Models, objects_in: Callable[[Place], Objects]
) -> None:
    found, rival = objects_in(where), _model(where, "rival", "2")
    found.apply(_model(where, "first", "1"))
    await found.until("first", "version 1 serves", functools.partial(objects.serves, "1"))
    rival["spec"]["model"]["name"] = "first"
    rival["spec"]["traffic"]["hostnames"] = [manifests.host(where.namespace, "first")]
    async with (load := Load(where.target("first"), known, per_second=20)).running():
        found.apply(rival)
        await found.until("rival", "it says for whom it waits", _conflicts)
        await load.until_answered(load.total + 40)
    assert [lost.what for lost in load.lost] == []
    assert set(load.shares(0)) == {"1"}
    where.kubectl.run("delete", "mdep", "first", f"--namespace={where.namespace}", "--wait=false")
    await found.until("rival", "it serves by itself", functools.partial(objects.serves, "2"))


def _conflicts(model: Model) -> bool:
    stalled = model.condition("Stalled")
    return stalled is not None and (stalled.status, stalled.reason) == ("True", "Conflict")


def _git(*words: str) -> str:
    answer = subprocess.run(["git", "-C", str(paths.REPOSITORY), *words], capture_output=True, text=True, check=False)
    return answer.stdout.strip() if answer.returncode == 0 else ""


@pytest.fixture(scope="module")
def previous(stage: Place, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The image tag of the operator as of the commit before; of this checkout where there is none before."""
    commit = _git("rev-parse", "--verify", "HEAD~1:operator/Dockerfile") and _git("rev-parse", "HEAD~1")
    source = paths.REPOSITORY
    if commit:
        source = tmp_path_factory.mktemp("previous")
        archive = subprocess.run(
            ["git", "-C", str(paths.REPOSITORY), "archive", commit], capture_output=True, check=True
        )
        subprocess.run(["tar", "--extract", "--directory", str(source)], input=archive.stdout, check=True)
    dockerfile = source / "operator" / "Dockerfile"
    base_image.ensure()
    recipe = buildah.Recipe(
        reference=PREVIOUS,
        dockerfile=dockerfile,
        context=source,
        digest=buildah.digest(dockerfile, source, base_image.digest(), PREVIOUS),
        arguments=(("BASE_IMAGE", base_image.REFERENCE),),
    )
    choice.choose(os.environ.get("CONTEXT", "")).load((buildah.build(recipe),))
    return PREVIOUS.rpartition(":")[2]


def _deployments(where: Place) -> dict[str, tuple[str, int]]:
    """Uid and generation of every Deployment."""
    found = where.kubectl.get("deployments", f"--namespace={where.namespace}")["items"]
    return {item["metadata"]["name"]: (item["metadata"]["uid"], item["metadata"]["generation"]) for item in found}


async def test_31_and_66_the_operator_of_the_commit_before_leaves_deployments_that_this_one_does_not_change(
    where: Place, build: str, previous: str, known: Models, objects_in: Callable[[Place], Objects]
) -> None:
    found, names = objects_in(where), ("settled", "moving")
    place.install(where, previous, "--set", f"image.tag={previous}")
    for name in names:
        found.apply(_model(where, name, "1"))
    for name in names:
        await found.until(name, "version 1 serves", functools.partial(objects.serves, "1"))
    found.apply(_model(where, "moving", "2"))
    before = await found.until("moving", "it waits at 20 %", _waits)
    deployments, pods = _deployments(where), _pods(where)
    place.install(where, build)
    for name in names:
        scope = f"--namespace={where.namespace}"
        where.kubectl.run("annotate", "mdep", name, scope, "serving.modelway.io/command=nonsense")
        await found.until(name, "this operator answers", lambda model: model.last_command is not None)
    assert _deployments(where) == deployments
    assert _pods(where) == pods
    assert _place_of(await found.get("moving")) == _place_of(before)
