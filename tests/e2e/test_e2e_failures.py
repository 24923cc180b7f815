"""Failures on the real node: each gets its own name in the status while the stable revision serves on."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from demo import manifests, objects, place
from demo.load import Load, Target
from demo.manifests import Manifest
from demo.models import Models, golden
from demo.objects import Objects
from demo.place import Place
from modelway.api import reasons
from modelway.api.reasons import Class
from modelway.cli.objects import Model

_PATIENCE_SECONDS = 240
"""For all of them at once on a small machine; each alone takes seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A change of a served model that cannot work, and what it is called."""

    reason: str
    model: Manifest = field(default_factory=dict)
    runtime: Manifest = field(default_factory=dict)
    spec: Manifest = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The object's name: the reason in lower case."""
        return self.reason.lower()


CASES = (
    Case(reason="ArtifactNotFound", model={"uri": "s3://models/iris/none"}),
    Case(reason="SecretNotFound", model={"credentials": {"secretRef": {"name": "absent"}}}),
    Case(reason="RuntimeNotFound", model={"format": "no-such-format"}),
    Case(reason="DigestMismatch", model={"digest": f"sha256:{'0' * 64}"}),
    Case(reason="FormatMismatch", model={"uri": "s3://models/iris/text"}),
    Case(reason="ModelLoadFailed", model={"uri": "s3://models/iris/4"}),
    Case(
        reason="GoldenRequestFailed", model={"uri": "s3://models/iris/3"}, spec={"validation": {"requests": golden()}}
    ),
    Case(reason="ImagePullFailed", runtime={"image": "localhost/no-such-image:1"}),
    Case(reason="OutOfMemory", runtime={"resources": {"limits": {"memory": "24Mi"}}}),
    Case(reason="Unschedulable", runtime={"resources": {"requests": {"cpu": "1000"}}}),
    Case(reason="CrashLoop", runtime={"args": ["--no-such-option"]}),
)


def _good(where: Place, case: Case) -> Manifest:
    rollout = {"settle": "1s", "drain": "1s"}
    source = manifests.source("1", where.storage.bucket)
    return manifests.model(where.namespace, source, name=case.name, rollout=rollout)


def _bad(where: Place, case: Case) -> Manifest:
    wanted = _good(where, case)
    spec = wanted["spec"]
    spec["model"] = spec["model"] | {"version": "2"} | case.model
    if uri := case.model.get("uri"):
        spec["model"]["uri"] = uri.replace("models", where.storage.bucket)
    spec["runtime"] = spec["runtime"] | case.runtime
    return wanted | {"spec": spec | case.spec}


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What was seen of one case."""

    seconds: float
    model: Model
    lost: tuple[str, ...]
    answers: dict[str, int]


@pytest.fixture(scope="module")
def seen(furnished: Callable[[str], Place], known: Models) -> dict[str, Seen]:
    """All cases at once: each served first, then changed under load."""
    where = furnished("failures")
    place.upload(where.storage, {f"{manifests.MODEL}/text/model.onnx": b"This is no model.\n"})
    return asyncio.run(_all(where, known))


async def _all(where: Place, known: Models) -> dict[str, Seen]:
    found = Objects(where.kubectl, where.namespace)
    found.apply(*(_good(where, case) for case in CASES))
    for case in CASES:
        await found.until(case.name, "serves", lambda model: objects.serves("1", model), patience=_PATIENCE_SECONDS)
    began = time.monotonic()
    found.apply(*(_bad(where, case) for case in CASES))
    results = await asyncio.gather(*(_watch(found, where, known, case, began) for case in CASES))
    return {case.name: result for case, result in zip(CASES, results, strict=True)}


async def _watch(found: Objects, where: Place, known: Models, case: Case, began: float) -> Seen:
    """Ask the model all the time, through its Service, until the reason is in the status."""
    service = found.kubectl.get(f"service/{case.name}", f"--namespace={where.namespace}")
    url = f"http://{service['spec']['clusterIP']}/v2/models/{case.name}/infer"
    load = Load(Target(url=url, is_kept_open=False), known, per_second=4)
    async with load.running():
        await load.until_answered(4)
        model = await found.until(
            case.name, case.reason, lambda model: case.reason in _named(model), patience=_PATIENCE_SECONDS
        )
    return Seen(
        seconds=time.monotonic() - began,
        model=model,
        lost=tuple(lost.what for lost in load.lost),
        answers=dict(load.shares(0)),
    )


def _named(model: Model) -> set[str]:
    """Reasons that the status gives for what is wrong."""
    failed = model.status.last_failed_revision
    found = {failed.reason} if failed and failed.reason else set()
    return found | {item.reason for item in model.status.conditions if item.type in ("Stalled", "Reconciling")}


@pytest.mark.parametrize("case", CASES, ids=[case.reason for case in CASES])
def test_34_the_failure_is_named_in_the_status(seen: dict[str, Seen], case: Case) -> None:
    model = seen[case.name].model
    assert case.reason in _named(model)
    reason = reasons.find(case.reason)
    assert reason is not None
    if reason.category is Class.VERDICT:
        assert model.is_true("RevisionFailed")
    if reason.category is Class.BLOCKED:
        assert model.is_true("Stalled")


@pytest.mark.parametrize("case", CASES, ids=[case.reason for case in CASES])
def test_the_stable_revision_serves_on_and_nothing_is_lost(seen: dict[str, Seen], case: Case) -> None:
    result = seen[case.name]
    assert result.model.is_true("Available")
    assert result.lost == ()
    assert set(result.answers) == {"1"}


def test_how_long_each_took_is_printed(seen: dict[str, Seen], capsys: pytest.CaptureFixture[str]) -> None:
    with capsys.disabled():
        for case in CASES:
            print(f"\n  {case.reason:<20} named after {seen[case.name].seconds:5.1f} s", end="")
        print()
