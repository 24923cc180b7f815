"""The Python types: the same rules as the CRD, and what an identity is made from."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from modelway.api import (
    ClusterModelRuntime,
    ModelDeployment,
    ModelDeploymentSpec,
    ModelRuntime,
    Rollout,
    RuntimeSpec,
    Status,
)

TABLES = Path(__file__).parents[1] / "integration"
EXAMPLES = Path(__file__).parents[2] / "examples"
KINDS = {kind.__name__: kind for kind in (ModelDeployment, ModelRuntime, ClusterModelRuntime)}

MODEL = {"uri": "s3://models/fraud", "format": "onnx"}
RUNTIME: dict[str, Any] = {
    "formats": [{"name": "onnx"}],
    "template": {"spec": {"containers": [{"name": "model", "image": "example.com/runtime:1"}]}},
}


def table(name: str) -> list[Any]:
    """Rows of a table of refused manifests."""
    return [pytest.param(row, id=row["id"]) for row in yaml.safe_load((TABLES / name).read_text())]


def examples() -> list[Any]:
    """Each object of each example."""
    return [
        pytest.param(manifest, id=f"{path.stem}-{manifest['metadata']['name']}")
        for path in sorted(EXAMPLES.glob("*.yaml"))
        for manifest in yaml.safe_load_all(path.read_text())
        if manifest["kind"] in KINDS
    ]


def problems(error: ValidationError) -> str:
    """All messages of a validation error."""
    return "; ".join(problem["msg"] for problem in error.errors())


@pytest.mark.parametrize("row", table("refused_deployments.yaml"))
def test_python_refuses_what_the_api_server_refuses(row: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as caught:
        ModelDeploymentSpec.model_validate({"model": MODEL} | row["spec"])
    if row.get("rule"):
        assert row["says"] in problems(caught.value)


@pytest.mark.parametrize("row", table("refused_runtimes.yaml"))
def test_python_refuses_the_runtimes_that_the_api_server_refuses(row: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as caught:
        RuntimeSpec.model_validate(RUNTIME | row["spec"])
    if row.get("rule"):
        assert row["says"] in problems(caught.value)


@pytest.mark.parametrize("manifest", examples())
def test_an_example_survives_the_round_trip(manifest: dict[str, Any]) -> None:
    kind = KINDS[manifest["kind"]]
    first = kind.model_validate(manifest)
    assert kind.model_validate(first.model_dump(mode="json", exclude_none=True)) == first


def test_what_equals_its_default_is_not_dumped_so_that_it_changes_no_identity() -> None:
    written = {
        "model": MODEL | {"trust": "Safe"},
        "runtime": {
            "image": "",
            "env": [],
            "limits": {"maxBodyBytes": "65536Ki", "requestTimeout": "30000ms"},
        },
    }
    spec = ModelDeploymentSpec.model_validate(written)
    assert spec.model_dump(mode="json", exclude_defaults=True) == {"model": MODEL}


def test_one_amount_has_one_spelling_whatever_the_user_wrote() -> None:
    requests = {"cpu": "1000m", "memory": "1024Mi", "nvidia.com/gpu": 1}
    spec = ModelDeploymentSpec.model_validate({"model": MODEL, "runtime": {"resources": {"requests": requests}}})
    assert spec.runtime.resources.requests == {"cpu": "1", "memory": "1Gi", "nvidia.com/gpu": "1"}


@pytest.mark.parametrize(
    ("strategy", "surge", "bake"),
    [
        ("Rolling", "25%", timedelta(0)),
        ("Canary", "100%", timedelta(minutes=30)),
        ("BlueGreen", "100%", timedelta(minutes=30)),
    ],
)
def test_surge_and_bake_follow_the_strategy(strategy: str, surge: str, bake: timedelta) -> None:
    rollout = Rollout.model_validate({"strategy": strategy})
    assert (rollout.surge, rollout.bake_time) == (surge, bake)


TASTE = {"name": "taste", "weight": 5, "hold": "10m"}
WHOLE = {"weight": 100}
TRIAL = {"hold": "5m", "approval": "Required"}
STAGES: list[Any] = [
    pytest.param({}, "Rolling", [("", 100)], id="rolling"),
    pytest.param({"strategy": "Canary"}, "Canary", [("", 100)], id="canary-without-steps"),
    pytest.param({"strategy": "Canary", "steps": [TASTE]}, "Canary", [("taste", 5), ("", 100)], id="canary"),
    pytest.param(
        {"strategy": "Canary", "steps": [TASTE, WHOLE]}, "Canary", [("taste", 5), ("", 100)], id="canary-to-the-end"
    ),
    pytest.param({"strategy": "Canary", "steps": [TASTE]}, "Return", [("", 100)], id="undo"),
    pytest.param({"strategy": "BlueGreen"}, "BlueGreen", [("preview", 0), ("switch", 100)], id="blue-green"),
]


@pytest.mark.parametrize(("rollout", "strategy", "stages"), STAGES)
def test_a_rollout_goes_through_the_stages_of_its_strategy(
    rollout: dict[str, Any], strategy: str, stages: list[tuple[str, int]]
) -> None:
    found = Rollout.model_validate(rollout).stages(strategy)
    assert [(stage.name or "", stage.weight) for stage in found] == stages


def test_the_trial_of_a_blue_green_is_that_of_its_first_stage() -> None:
    first, last = Rollout.model_validate({"strategy": "BlueGreen", "blueGreen": TRIAL}).stages("BlueGreen")
    assert (first.hold, first.approval) == (timedelta(minutes=5), "Required")
    assert (last.hold, last.approval) == (timedelta(0), None)


@pytest.mark.parametrize(
    ("surge", "replicas", "pods"),
    [
        ("25%", 1, 1),
        ("25%", 4, 1),
        ("25%", 5, 2),
        ("100%", 3, 3),
        ("0%", 3, 0),
        (2, 5, 2),
        (0, 5, 0),
        ("100%", 0, 0),
    ],
)
def test_a_surge_in_percent_is_rounded_up(surge: int | str, replicas: int, pods: int) -> None:
    assert Rollout.model_validate({"maxSurge": surge}).surge_pods(replicas) == pods


def test_golden_requests_that_no_config_map_should_hold_are_refused_with_advice() -> None:
    requests = [
        {"name": f"r{number}", "request": {"inputs": [{"data": [0.5] * 1000}]}, "expect": {"outputs": [{"name": "y"}]}}
        for number in range(7)
    ]
    spec = {"model": MODEL, "validation": {"requests": requests}}
    with pytest.raises(ValidationError, match="name the file in validation"):
        ModelDeploymentSpec.model_validate(spec)


def test_a_status_of_a_later_version_is_read() -> None:
    status = Status.model_validate({"phase": "Healthy", "new": 1, "rollout": {"id": 3, "from": "a", "later": {}}})
    assert status.manifest() == {"phase": "Healthy", "rollout": {"id": 3, "from": "a"}}


def test_a_status_time_is_written_in_utc() -> None:
    status = Status.model_validate({"rollout": {"startedAt": "2026-11-20T12:00:00+02:00"}})
    assert status.manifest() == {"rollout": {"startedAt": "2026-11-20T10:00:00Z"}}


def test_an_object_of_the_api_cannot_be_changed() -> None:
    spec = ModelDeploymentSpec.model_validate({"model": MODEL})
    with pytest.raises(ValidationError, match="frozen"):
        spec.replicas = 3  # type: ignore[misc]  # that this fails is the point


@pytest.mark.parametrize(
    "template",
    [
        pytest.param({"spec": None}, id="no spec"),
        pytest.param({"spec": {"containers": None}}, id="no containers"),
        pytest.param({"spec": {"containers": [None, "model"]}}, id="containers that are none"),
    ],
)
def test_a_template_of_any_form_is_refused_and_breaks_nothing(template: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="name the container that serves"):
        RuntimeSpec.model_validate(RUNTIME | {"template": template})
