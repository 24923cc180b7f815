"""What was taken back stays back, and what is gone back to is what it was."""

import asyncio
import functools
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from cluster.kubectl import Manifest
from demo import objects, place, street
from demo.models import Models
from demo.objects import Objects
from demo.place import Place
from modelway import names
from modelway.cli.objects import Model

HELD = {"strategy": "Canary", "steps": [{"weight": 50, "approval": "Required"}], "bake": "0s"}
AT_ONCE = {"strategy": "Canary", "steps": [{"weight": 100}], "bake": "0s"}


@pytest.fixture(scope="module")
def where(furnished: Callable[[str], Place]) -> Place:
    return furnished("returns")


async def observed(found: Objects, where: Place, name: str, number: int) -> Model:
    """The object, once the operator has surely looked at it: it has answered a command that means nothing."""
    value = f'{{"verb": "nonsense", "id": "look-{number}"}}'
    scope = f"--namespace={where.namespace}"
    command = f"{names.COMMAND_ANNOTATION}={value}"
    await asyncio.to_thread(where.kubectl.run, "annotate", "--overwrite", "mdep", name, scope, command)
    return await found.until(name, "the operator has looked", lambda model: has_answered(f"look-{number}", model))


def has_answered(command: str, model: Model) -> bool:
    return model.last_command is not None and model.last_command.id == command


async def test_44_nothing_but_a_new_version_or_a_retry_brings_back_what_was_taken_back(
    where: Place, objects_in: Callable[[Place], Objects]
) -> None:
    name, found = "gone", objects_in(where)
    wanted = {version: street.model(where, name, version, HELD) for version in ("1", "2")}
    found.apply(wanted["1"])
    await found.until(name, "version 1 serves", functools.partial(objects.serves, "1"))
    found.apply(wanted["2"])
    await found.until(name, "it holds", functools.partial(objects.holds_step, 0))
    await asyncio.to_thread(where.modelway, "abort", name)
    before = await found.until(name, "it is taken back", street.is_rolled_back)
    assert before.rollout is not None
    scope = f"--namespace={where.namespace}"
    system = (f"deployment/{place.RELEASE}", f"--namespace={place.SYSTEM}")
    healing = ("apply", "--server-side", "--force-conflicts", "--field-manager=argocd-controller", "--filename=-")

    def restart() -> None:
        where.kubectl.run("rollout", "restart", *system)
        where.kubectl.run("rollout", "status", *system, "--timeout=2m")

    deeds: list[Callable[[], Any]] = [
        lambda: found.apply(wanted["2"]),
        lambda: where.kubectl.run(*healing, stdin=yaml.safe_dump(wanted["2"])),
        lambda: where.kubectl.run("label", "mdep", name, scope, "team=risk"),
        restart,
    ]
    for number, deed in enumerate(deeds):
        await asyncio.to_thread(deed)
        after = await observed(found, where, name, number)
        assert after.rollout is not None
        assert (after.status.phase, after.rollout.id) == ("RolledBack", before.rollout.id)
        assert not after.active
    await asyncio.to_thread(where.modelway, "retry", name)
    again = await found.until(name, "it holds again", functools.partial(objects.holds_step, 0))
    assert again.rollout is not None
    assert again.rollout.id == before.rollout.id + 1


async def test_45_a_revision_that_is_gone_back_to_has_the_same_template_and_the_same_bytes_or_does_not_serve(
    where: Place, known: Models, objects_in: Callable[[Place], Objects]
) -> None:
    name, found = "same", objects_in(where)
    files = {version.name: version.file for version in known.versions}
    key = f"same-bytes/{where.namespace}"
    place.upload(where.storage, {f"{key}/model.onnx": files["1"]})
    own = street.model(where, name, "1", AT_ONCE)
    own["spec"]["model"]["uri"] = f"s3://{where.storage.bucket}/{key}"
    found.apply(own)
    model = await found.until(name, "version 1 serves", functools.partial(objects.serves, "1"))
    assert model.status.stable_revision is not None
    revision = model.status.stable_revision.name
    template, lock = parts(where, revision)
    found.apply(street.model(where, name, "2", AT_ONCE))
    await found.until(name, "version 2 serves", functools.partial(objects.serves, "2"))
    await found.until(name, "version 1 has no pod", lambda _: pods_of(where, revision) == 0)
    await asyncio.to_thread(where.modelway, "undo", name, "--wait", "--timeout", "1m")
    assert parts(where, revision) == (template, lock)
    await asyncio.to_thread(where.modelway, "undo", name, "--wait", "--timeout", "1m")
    await found.until(name, "version 1 has no pod", lambda _: pods_of(where, revision) == 0)
    place.upload(where.storage, {f"{key}/model.onnx": files["2"]})
    await asyncio.to_thread(where.modelway, "undo", name, "--to-revision", "1")
    await found.until(name, "the other bytes are refused", has_other_bytes)
    await found.until(name, "version 2 serves alone", lambda model: objects.is_alone(model, "2"))


def has_other_bytes(model: Model) -> bool:
    """Whether the way back ended, and why."""
    failed = model.status.last_failed_revision
    return not model.active and failed is not None and (failed.version, failed.reason) == ("1", "DigestMismatch")


def parts(where: Place, revision: str) -> tuple[Manifest, Manifest]:
    """The pod template of a revision, and what its lock holds it to."""
    scope = f"--namespace={where.namespace}"
    deployment = where.kubectl.get(f"deployment/{revision}", scope)
    lock = where.kubectl.get(f"configmap/{names.lock(revision)}", scope)
    return deployment["spec"]["template"], lock["data"]


def pods_of(where: Place, revision: str) -> int:
    """Pods of a revision, also such as are ending."""
    identity = revision.rpartition("-")[2]
    selector = f"--selector={names.REVISION_LABEL}={identity}"
    return len(where.kubectl.get("pods", f"--namespace={where.namespace}", selector)["items"])
