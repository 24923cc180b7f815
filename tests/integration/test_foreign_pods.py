"""Pods of runtimes that are not ours, as the API server takes them."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from modelway.api import ModelDeploymentSpec, RuntimeSpec
from modelway.resources import pod, revision
from modelway.resources.metadata import Parent

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.parametrize("name", ["mlserver", "triton", "tensorflow-serving", "torchserve", "own-runtime"])
def test_a_ready_made_definition_makes_pods_that_the_server_takes_to_the_letter(
    kubectl: Any, namespace: str, name: str
) -> None:
    serves, deployed = yaml.safe_load_all((EXAMPLES / f"{name}.yaml").read_text(encoding="utf-8"))
    build = pod.Build(
        parent=Parent(namespace=namespace, name=deployed["metadata"]["name"], uid="uid-1"),
        spec=ModelDeploymentSpec.model_validate(deployed["spec"]),
        revision="0123456789",
        runtime=RuntimeSpec.model_validate(serves["spec"]),
        runtime_image="localhost/modelway-runtime:0.1.0",
    )
    birth = revision.Birth(build=build, number=1, runtime_kind=serves["kind"], runtime_name=serves["metadata"]["name"])
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "rendered", "namespace": namespace},
        "spec": revision.controller_revision(birth)["data"]["rendered"]["deployment"],
    }
    said = kubectl("create", "--dry-run=server", "--validate=strict", "-f-", stdin=json.dumps(deployment))
    assert said == "deployment.apps/rendered created (server dry run)\n"
