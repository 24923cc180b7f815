"""A canary under load while the operator's way to the API server fails: late, perhaps, but no request is lost.

The operator of this checkout runs on this machine, with the rights of the one in the cluster, which rests meanwhile: so
all that it asks of the API server goes through a proxy that breaks watches, loses answers and lets others write first.
"""

import asyncio
import functools
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from cluster import operator_process
from cluster.kubectl import Manifest
from cluster.operator_process import Operator
from demo import objects, place, street
from demo.load import Load
from demo.models import Models
from demo.objects import Objects
from demo.place import Place
from faults import proxy
from faults.calls import Call
from faults.proxy import Proxy
from faults.script import mixed
from modelway.cli.objects import Model

RATE = 100
SHARE = 0.05
_STEPS = [{"weight": 20, "hold": "3s"}, {"weight": 60, "hold": "3s"}]
_TAKEN = (
    "namespaces",
    "gateway",
    "runtime_image",
    "lease_name",
    "workers",
    "analysis_hosts",
    "analysis_local_networks",
)
"""Settings of the operator in the cluster that the one outside takes over."""


@pytest.fixture(scope="module")
def where(furnished: Callable[[str], Place]) -> Place:
    return furnished("faults")


def _scale(where: Place, count: int) -> None:
    """Let the operator in the cluster rest, or work again."""
    scope = f"--namespace={place.SYSTEM}"
    where.kubectl.run("scale", f"deployment/{place.RELEASE}", scope, f"--replicas={count}")
    if count:
        where.kubectl.run("rollout", "status", f"deployment/{place.RELEASE}", scope, "--timeout=2m")
        return
    where.kubectl.run("wait", "pods", "--all", scope, "--for=delete", "--timeout=1m")


@pytest.fixture
def failing(where: Place, tmp_path: Path) -> Iterator[Proxy]:
    """The way to the API server, with the credentials of the operator's own service account."""
    deployment = where.kubectl.get(f"deployment/{place.RELEASE}", f"--namespace={place.SYSTEM}")
    account = deployment["spec"]["template"]["spec"]["serviceAccountName"]
    token = where.kubectl.run("create", "token", account, f"--namespace={place.SYSTEM}").strip()
    content = yaml.safe_load(where.kubectl.run("config", "view", "--raw", "--minify", "--flatten"))
    for user in content["users"]:
        user["user"] = {"token": token}
    kubeconfig = tmp_path / "operator"
    kubeconfig.write_text(yaml.safe_dump(content))
    with proxy.running(kubeconfig, seed=11) as made:
        yield made


@pytest.fixture
def outside(where: Place, failing: Proxy, tmp_path: Path) -> Iterator[Operator]:
    """The operator on this machine instead of the one in the cluster, with the same settings."""
    deployment = where.kubectl.get(f"deployment/{place.RELEASE}", f"--namespace={place.SYSTEM}")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    variables = {item["name"]: item.get("value", "") for item in container["env"]}
    settings = {name: value for name in _TAKEN if (value := variables.get(f"MODELWAY_{name.upper()}"))}
    way = failing.write_kubeconfig(tmp_path / "through-proxy")
    _scale(where, 0)
    try:
        with operator_process.running(way, tmp_path, lease_namespace=place.SYSTEM, **settings) as operator:
            yield operator.wait_until_leading()
            assert operator.stop() == 0
    finally:
        _scale(where, 1)


def _model(where: Place, name: str, version: str) -> Manifest:
    return street.model(where, name, version, {"strategy": "Canary", "steps": _STEPS, "bake": "0s"})


def _was_taken_back(model: Model) -> bool:
    """The second rollout was aborted, and the candidate has no pod left."""
    return model.is_true("RolledBack") and objects.is_alone(model, "2")


async def test_62_and_16_a_canary_and_an_abort_lose_no_request_while_the_api_server_fails(
    where: Place, known: Models, outside: Operator, failing: Proxy, objects_in: Callable[[Place], Objects]
) -> None:
    name, found = "stormy", objects_in(where)
    found.apply(_model(where, name, "1"))
    await found.until(name, "version 1 serves", functools.partial(objects.serves, "1"))
    async with (load := Load(where.target(name), known, per_second=RATE)).running():
        failing.script.begin(*mixed(SHARE, seconds=240))
        found.apply(_model(where, name, "2"))
        await found.until(name, "version 2 serves", functools.partial(objects.serves, "2"))
        found.apply(_model(where, name, "3"))
        await found.until(name, "version 3 has a share", functools.partial(objects.holds_step, 0))
        await asyncio.to_thread(where.modelway, "abort", name)
        await found.until(name, "version 2 serves alone", _was_taken_back)
        taken_back = time.monotonic()
        await load.until_answered(load.total + RATE)
    failing.script.end()
    assert [lost.what for lost in load.lost] == []
    assert set(load.shares(0)) == {"1", "2", "3"}
    assert set(load.shares(taken_back)) == {"2"}
    assert len(failing.script.happened) >= 5, "the API server failed in many ways"
    assert outside.process.poll() is None
    assert [entry.call.path for entry in failing.journal.writes(is_wanted=_is_traffic) if not entry.guard] == []


def _is_traffic(call: Call) -> bool:
    """Writes that could undo each other: route and status."""
    is_status = call.resource == "modeldeployments" and call.subresource == "status"
    return call.verb in ("patch", "update") and (is_status or call.resource == "httproutes")
