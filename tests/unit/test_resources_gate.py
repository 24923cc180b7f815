"""The gate beside a server that is not ours: when there is one, what it is told, and what the server gets."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from modelway.api import ModelDeploymentSpec, RuntimeSpec
from modelway.kinds import Manifest
from modelway.resources import gate, pod
from modelway.resources.metadata import Parent

ABLE = {"goldenRequests": True, "warmup": True, "drain": True}
CONTAINER = {"name": "model", "image": "example.com/mlserver:1"}


def runtime(**fields: Any) -> Manifest:
    """A foreign runtime."""
    return {
        "formats": [{"name": "sklearn"}],
        "ports": {"http": 8080, "grpc": 8081},
        "template": {"spec": {"containers": [CONTAINER]}},
    } | fields


def rendered(serves: Manifest, **spec: Any) -> Manifest:
    """The pod's spec."""
    wished = {"model": {"uri": "s3://models/iris/1", "format": "sklearn", "name": "iris"}} | spec
    build = pod.Build(
        parent=Parent(namespace="flowers", name="iris-prod", uid="uid-1"),
        spec=ModelDeploymentSpec.model_validate(wished),
        revision="0123456789",
        runtime=RuntimeSpec.model_validate(serves),
        runtime_image="own:1",
    )
    found: Manifest = pod.template(build)["spec"]
    return found


def gates(found: Manifest) -> list[Manifest]:
    """The gates of a pod."""
    return [item for item in found["initContainers"] if item["name"] == "gate"]


def told(container: Manifest) -> dict[str, str]:
    """A container's environment as a map."""
    return {item["name"]: item["value"] for item in container["env"]}


def server(found: Manifest) -> Manifest:
    """The container that serves."""
    model: Manifest = found["containers"][0]
    return model


NEEDED: list[Any] = [
    pytest.param(ABLE, False, id="able"),
    pytest.param(ABLE | {"metrics": "Modelway"}, False, id="ours"),
    *(pytest.param(ABLE | {lacking: False}, True, id=f"no-{lacking}") for lacking in ABLE),
    pytest.param({}, True, id="unable"),
]


@pytest.mark.parametrize(("capabilities", "is_needed"), NEEDED)
def test_a_gate_stands_beside_a_runtime_that_lacks_something(capabilities: Manifest, is_needed: bool) -> None:
    found = rendered(runtime(capabilities=capabilities))
    assert [item["name"] for item in found["initContainers"]] == ["fetch", *(["gate"] if is_needed else [])]


def test_a_gate_is_a_confined_sidecar_that_does_not_keep_the_server_from_starting() -> None:
    (found,) = gates(rendered(runtime()))
    assert found["restartPolicy"] == "Always"
    assert (found["image"], found["args"]) == ("own:1", ["gate"])
    assert "startupProbe" not in found
    assert found["readinessProbe"]["httpGet"] == {"path": "/ready", "port": 8002}
    assert found["securityContext"] == pod.SECURITY
    assert found["resources"]["limits"] == {"memory": "256Mi"}
    assert {item["name"]: item.get("readOnly", False) for item in found["volumeMounts"]} == {
        "model": True,
        "golden": True,
        "tmp": False,
    }


TOLD: list[Any] = [
    pytest.param({}, {"MODELWAY_SERVER_URL": "http://localhost:8080", "MODELWAY_GATE_PROTOCOL": "V2"}, id="server"),
    pytest.param({"protocols": ["Invocations", "V1"]}, {"MODELWAY_GATE_PROTOCOL": "V1"}, id="protocol"),
    pytest.param({}, {"MODELWAY_GATE_WARMUP": "true", "MODELWAY_GATE_GOLDEN": "true"}, id="does-both"),
    pytest.param({"capabilities": {"warmup": True}}, {"MODELWAY_GATE_WARMUP": "false"}, id="is-warm"),
    pytest.param({"capabilities": {"goldenRequests": True}}, {"MODELWAY_GATE_GOLDEN": "false"}, id="asks-itself"),
    pytest.param({}, {"MODELWAY_MODEL_NAME": "iris", "MODELWAY_REVISION": "0123456789"}, id="model"),
]


@pytest.mark.parametrize(("fields", "expected"), TOLD)
def test_a_gate_is_told_whom_to_ask_and_what_to_do(fields: Manifest, expected: dict[str, str]) -> None:
    (found,) = gates(rendered(runtime(**fields)))
    assert expected.items() <= told(found).items()


PORTS: list[Any] = [
    pytest.param({}, [], 8002, id="free"),
    pytest.param({"ports": {"http": 8000, "metrics": 8002}}, [], 8003, id="metrics"),
    pytest.param({"ports": {"http": 8002}}, [{"name": "proxy", "ports": [{"containerPort": 8003}]}], 8004, id="both"),
]


@pytest.mark.parametrize(("fields", "sidecars", "port"), PORTS)
def test_a_gate_listens_where_nobody_else_of_the_pod_does(
    fields: Manifest, sidecars: list[Manifest], port: int
) -> None:
    found = rendered(runtime(**fields), runtime={"template": {"spec": {"containers": sidecars}}})
    (stands,) = gates(found)
    assert told(stands)["MODELWAY_GATE_PORT"] == str(port)
    assert stands["ports"] == [{"name": "gate", "containerPort": port}]
    assert gate.port({"spec": found}) == port


def test_a_pod_without_a_gate_has_no_port_of_one() -> None:
    assert gate.port({"spec": rendered(runtime(capabilities=ABLE))}) is None


SLEEPS: list[Any] = [
    pytest.param({}, {}, 30, id="default"),
    pytest.param({}, {"rollout": {"drain": "1500ms"}}, 2, id="rounded-up"),
    pytest.param({}, {"rollout": {"drain": "0s"}}, None, id="none"),
    pytest.param({"capabilities": {"drain": True}}, {}, None, id="drains-itself"),
]


@pytest.mark.parametrize(("fields", "spec", "seconds"), SLEEPS)
def test_a_server_that_cannot_drain_is_ended_late(fields: Manifest, spec: Manifest, seconds: int | None) -> None:
    found = rendered(runtime(**fields), **spec)
    expected = {"preStop": {"sleep": {"seconds": seconds}}} if seconds else None
    assert server(found).get("lifecycle") == expected
    assert found["terminationGracePeriodSeconds"] > (seconds or 0)


def test_a_template_may_end_its_server_in_its_own_way() -> None:
    own = {"preStop": {"exec": {"command": ["/bin/stop"]}}}
    found = rendered(runtime(template={"spec": {"containers": [CONTAINER | {"lifecycle": own}]}}))
    assert server(found)["lifecycle"] == own


def test_a_server_may_be_told_in_its_own_words_what_ours_say() -> None:
    """Kubernetes fills in only those variables that come before."""
    own = {"name": "MLSERVER_MODEL_NAME", "value": "$(MODELWAY_MODEL_NAME)"}
    found = rendered(runtime(template={"spec": {"containers": [CONTAINER | {"env": [own]}]}}))
    variables = [item["name"] for item in server(found)["env"]]
    assert variables[-1] == "MLSERVER_MODEL_NAME"
    assert variables[0] == "MODELWAY_MODEL_NAME"


def mount(container: Manifest) -> Manifest:
    """Where a container sees the model."""
    return next(item for item in container["volumeMounts"] if item["name"] == "model")


@pytest.mark.parametrize("layout", ["TritonRepository", "TensorFlowServing"])
def test_a_server_sees_its_own_layout_alone(layout: str) -> None:
    found = rendered(runtime(model={"layout": layout, "mountPath": "/repository"}))
    fetch, beside = found["initContainers"]
    assert told(fetch)["MODELWAY_MODEL_LAYOUT"] == layout
    assert mount(server(found)) == {"name": "model", "mountPath": "/repository", "subPath": ".modelway/layout"}
    assert mount(fetch) == {"name": "model", "mountPath": "/repository"}
    assert mount(beside) == {"name": "model", "mountPath": "/repository", "readOnly": True}


def test_files_that_lie_as_they_were_uploaded_are_not_arranged() -> None:
    found = rendered(runtime())
    assert "MODELWAY_MODEL_LAYOUT" not in told(found["initContainers"][0])
    assert mount(server(found)) == {"name": "model", "mountPath": "/models"}


READY_MADE = Path(__file__).parents[2] / "examples"


@pytest.mark.parametrize("name", ["mlserver", "triton", "tensorflow-serving", "torchserve"])
def test_a_ready_made_definition_is_rendered_with_a_gate_on_a_port_of_its_own(name: str) -> None:
    serves, deployed = yaml.safe_load_all((READY_MADE / f"{name}.yaml").read_text(encoding="utf-8"))
    spec = deployed["spec"]
    found = rendered(serves["spec"], **spec)
    (stands,) = gates(found)
    ports = [port["containerPort"] for item in (server(found), stands) for port in item["ports"]]
    assert len(ports) == len(set(ports))
    assert server(found)["image"] == serves["spec"]["template"]["spec"]["containers"][0]["image"]
    assert {item["name"] for item in serves["spec"]["formats"]} >= {spec["model"]["format"]}
    assert spec["runtime"]["ref"]["name"] == serves["metadata"]["name"]
    assert server(found)["lifecycle"] == {"preStop": {"sleep": {"seconds": 30}}}


PROBES: list[Any] = [
    pytest.param(
        ["V1", "V2"],
        {"httpGet": {"path": "/v2/health/ready", "port": 8080}},
        {"httpGet": {"path": "/v2/health/live", "port": 8080}},
        id="v2",
    ),
    pytest.param(
        ["V1"],
        {"httpGet": {"path": "/v1/models/iris", "port": 8080}},
        {"tcpSocket": {"port": 8080}},
        id="v1",
    ),
    pytest.param(
        ["Invocations"],
        {"httpGet": {"path": "/ping", "port": 8080}},
        {"httpGet": {"path": "/ping", "port": 8080}},
        id="invocations",
    ),
]


@pytest.mark.parametrize(("protocols", "ready", "live"), PROBES)
def test_probes_are_asked_in_the_protocol_that_the_server_speaks(
    protocols: list[str], ready: Manifest, live: Manifest
) -> None:
    found = server(rendered(runtime(protocols=protocols)))
    assert ready.items() <= found["readinessProbe"].items()
    assert ready.items() <= found["startupProbe"].items()
    assert live.items() <= found["livenessProbe"].items()
