"""A server that is not ours, MLServer: a gate holds its versions back until they are right."""

import asyncio
import functools
import os
from collections.abc import Callable

import pytest
import yaml

from cluster import choice, images
from cluster.kubectl import Manifest
from demo import objects, street
from demo.models import Models, golden
from demo.place import Place
from modelway import names

CANARY = {"strategy": "Canary", "steps": [{"weight": 30, "hold": "3s"}], "bake": "0s", "drain": "5s"}
NAME = "mlserver"
TOLD = {
    "MLSERVER_MODEL_NAME": "$(MODELWAY_MODEL_NAME)",
    "MLSERVER_MODEL_URI": "$(MODELWAY_MODEL_PATH)/model.onnx",
    "MLSERVER_MODEL_IMPLEMENTATION": "onnx_runtime.OnnxModel",
    "MLSERVER_PARALLEL_WORKERS": "0",
    "MLSERVER_DEBUG": "false",
}


@pytest.fixture(scope="module")
def where(furnished: Callable[[str], Place]) -> Place:
    """A namespace whose nodes have the image."""
    choice.choose(os.environ.get("CONTEXT", "")).load((images.ensure_foreign(),))
    return furnished("foreign")


def runtime(where: Place) -> Manifest:
    """MLServer, which can do nothing of what ours can."""
    container = {
        "name": "model",
        "image": images.foreign().reference,
        "args": ["start", "/models"],
        "env": [{"name": name, "value": value} for name, value in TOLD.items()],
    }
    return {
        "apiVersion": "serving.modelway.io/v1alpha1",
        "kind": "ModelRuntime",
        "metadata": {"name": NAME, "namespace": where.namespace},
        "spec": {
            "formats": [{"name": "onnx"}],
            "ports": {"http": 8080, "grpc": 8081, "metrics": 8082},
            "template": {"spec": {"containers": [container]}},
        },
    }


def pod_specs(where: Place) -> list[Manifest]:
    """Of the pods that there are now."""
    scope = (f"--namespace={where.namespace}", f"--selector={names.MODEL_LABEL}={NAME}")
    return [pod["spec"] for pod in where.kubectl.get("pods", *scope)["items"]]


async def test_a_wrong_version_of_mlserver_is_held_back_and_a_right_one_loses_no_request(
    where: Place, known: Models
) -> None:
    where.kubectl.run("apply", "--filename=-", stdin=yaml.safe_dump(runtime(where)))
    fields = {
        "runtime": {
            "ref": {"kind": "ModelRuntime", "name": NAME},
            "resources": {"requests": {"cpu": "50m", "memory": "192Mi"}},
        },
        "validation": {"requests": golden()},
    }
    async with street.street(where, known, NAME, CANARY, per_second=250, **fields) as seen:
        for spec in pod_specs(where):
            assert [item["name"] for item in spec["initContainers"]] == ["fetch", "gate"]
            assert spec["containers"][0]["lifecycle"] == {"preStop": {"sleep": {"seconds": 5}}}
        seen.apply("3", CANARY, **fields)
        failed = functools.partial(objects.has_failed, "3", "GoldenRequestFailed")
        model = await seen.until("version 3 is refused", failed)
        assert "Golden request" in str(model.status.message)
        seen.apply("2", CANARY, **fields)
        await seen.until("version 2 serves", functools.partial(objects.serves, "2"))
        # Nobody moved its traffic away beforehand, and the server itself would end at once.
        victim, *_ = seen.pods().values()
        await asyncio.to_thread(where.kubectl.run, "delete", "pod", victim, f"--namespace={where.namespace}")
        await seen.until("another pod is in its place", functools.partial(objects.serves, "2"))
        # Whoever answered, it was not version 3, which is wrong about two species of three.
        accuracy = seen.load.accuracy("?")
        assert accuracy is not None
        assert accuracy > 0.8
