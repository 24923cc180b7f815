"""The pod of a revision: what it is made of, what a template may change and what it may not."""

import json
from typing import Any

import pytest

from modelway import names
from modelway.api import ModelDeploymentSpec, RuntimeSpec
from modelway.kinds import Manifest
from modelway.resources import pod
from modelway.resources.metadata import Parent

PARENT = Parent(namespace="payments", name="fraud", uid="uid-1")
RUNTIME: Manifest = {
    "formats": [{"name": "onnx"}],
    "ports": {"http": 8000, "metrics": 8002},
    "capabilities": {"goldenRequests": True, "warmup": True, "drain": True, "metrics": "Modelway"},
    "template": {"spec": {"containers": [{"name": "model", "image": "example.com/runtime:1", "args": ["serve"]}]}},
}
SPEC: Manifest = {"model": {"uri": "s3://models/fraud/1", "format": "onnx"}}


def build(spec: Manifest | None = None, runtime: Manifest | None = None, *, image: str = "own:1") -> pod.Build:
    """What a pod is made from; `spec` and `runtime` are laid over the smallest ones."""
    found = spec or {}
    whole = SPEC | found | {"model": SPEC["model"] | found.get("model", {})}
    return pod.Build(
        parent=PARENT,
        spec=ModelDeploymentSpec.model_validate(whole),
        revision="0123456789",
        runtime=RuntimeSpec.model_validate(RUNTIME | (runtime or {})),
        runtime_image=image,
    )


def rendered(spec: Manifest | None = None, runtime: Manifest | None = None, *, image: str = "own:1") -> Manifest:
    """The pod's spec."""
    found: Manifest = pod.template(build(spec, runtime, image=image))["spec"]
    return found


def over(**template: Any) -> Manifest:
    """A spec whose template holds this pod spec."""
    return {"runtime": {"template": {"spec": template}}}


def named(items: list[Manifest], name: str) -> Manifest:
    """The item of that name."""
    return next(item for item in items if item["name"] == name)


def server(spec: Manifest) -> Manifest:
    """The container that serves."""
    return named(spec["containers"], "model")


def fetch(spec: Manifest) -> Manifest:
    """The container that fetches."""
    return named(spec["initContainers"], "fetch")


def environment(container: Manifest) -> dict[str, Any]:
    """Its environment as a map."""
    return {item["name"]: item.get("value") for item in container["env"]}


ENVIRONMENT: list[Any] = [
    pytest.param({}, "MODELWAY_MODEL_NAME", "fraud", id="name-of-the-object"),
    pytest.param({"model": {"name": "scam"}}, "MODELWAY_MODEL_NAME", "scam", id="name"),
    pytest.param({}, "MODELWAY_MODEL_URI", "s3://models/fraud/1", id="uri"),
    pytest.param({}, "MODELWAY_MODEL_FORMAT", "onnx", id="format"),
    pytest.param({}, "MODELWAY_MODEL_VERSION", "", id="no-version"),
    pytest.param({"model": {"version": "7"}}, "MODELWAY_MODEL_VERSION", "7", id="version"),
    pytest.param({}, "MODELWAY_MODEL_DIGEST", "", id="no-digest"),
    pytest.param(
        {"model": {"digest": "sha256:" + 64 * "a"}}, "MODELWAY_MODEL_DIGEST", "sha256:" + 64 * "a", id="digest"
    ),
    pytest.param({}, "MODELWAY_TRUST", "Safe", id="safe"),
    pytest.param({"model": {"trust": "Any"}}, "MODELWAY_TRUST", "Any", id="trust"),
    pytest.param({}, "MODELWAY_REVISION", "0123456789", id="revision"),
    pytest.param({}, "MODELWAY_MODEL_PATH", "/models", id="path"),
    pytest.param({}, "MODELWAY_LOCK_PATH", "/etc/modelway/lock/digest", id="lock"),
    pytest.param({}, "MODELWAY_GOLDEN_PATH", "/etc/modelway/golden/requests.json", id="golden"),
    pytest.param({}, "MODELWAY_GOLDEN_FILE", "", id="no-golden-file"),
    pytest.param({"validation": {"file": "g.jsonl"}}, "MODELWAY_GOLDEN_FILE", "g.jsonl", id="golden-file"),
    pytest.param({}, "MODELWAY_DRAIN", "30s", id="default-drain"),
    pytest.param({"rollout": {"drain": "90s"}}, "MODELWAY_DRAIN", "1m30s", id="drain"),
    pytest.param({}, "MODELWAY_MAX_BODY_BYTES", "67108864", id="default-body"),
    pytest.param({"runtime": {"limits": {"maxBodyBytes": "1Mi"}}}, "MODELWAY_MAX_BODY_BYTES", "1048576", id="body"),
    pytest.param({}, "MODELWAY_MAX_QUEUE", "1000", id="queue"),
    pytest.param({"runtime": {"limits": {"requestTimeout": "500ms"}}}, "MODELWAY_REQUEST_TIMEOUT", "500ms", id="time"),
    pytest.param({}, "MODELWAY_MAX_BATCH_SIZE", "32", id="batch"),
    pytest.param({"runtime": {"batching": {"maxDelay": "5ms"}}}, "MODELWAY_MAX_DELAY", "5ms", id="delay"),
    pytest.param({}, "MODELWAY_OPTIONS", "{}", id="no-options"),
    pytest.param({"model": {"options": {"b": "2", "a": "1"}}}, "MODELWAY_OPTIONS", '{"a":"1","b":"2"}', id="options"),
]


@pytest.mark.parametrize(("spec", "name", "value"), ENVIRONMENT)
def test_both_containers_are_told_the_same(spec: Manifest, name: str, value: str) -> None:
    found = rendered(spec)
    assert environment(server(found))[name] == value
    assert environment(fetch(found))[name] == value


def test_every_variable_of_the_contract_is_there_and_is_a_string() -> None:
    found = environment(server(rendered()))
    assert {row.values[1] for row in ENVIRONMENT} == set(found)
    assert all(isinstance(value, str) for value in found.values())


def test_the_pod_is_confined() -> None:
    found = rendered()
    confined = {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert server(found)["securityContext"] == confined
    assert fetch(found)["securityContext"] == confined
    assert found["securityContext"]["runAsNonRoot"] is True
    assert found["securityContext"]["runAsUser"] == 65532
    assert found["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert found["automountServiceAccountToken"] is False
    assert found["enableServiceLinks"] is False


UNMOVED: list[Any] = [
    pytest.param(over(automountServiceAccountToken=True), ("automountServiceAccountToken",), id="token"),
    pytest.param(over(enableServiceLinks=True), ("enableServiceLinks",), id="service-links"),
    pytest.param(over(terminationGracePeriodSeconds=0), ("terminationGracePeriodSeconds",), id="grace"),
    pytest.param(over(initContainers=[]), ("initContainers",), id="no-fetch"),
    pytest.param(
        over(initContainers=[{"name": "fetch", "image": "evil", "args": ["x"], "securityContext": {}}]),
        ("initContainers",),
        id="another-fetch",
    ),
    pytest.param(over(volumes=[]), ("volumes",), id="no-volumes"),
    pytest.param(over(containers=[]), ("containers",), id="no-containers"),
    pytest.param(over(securityContext={}), ("securityContext",), id="no-security"),
    pytest.param(over(containers=[{"name": "model", "securityContext": {}}]), ("containers",), id="no-confinement"),
    pytest.param(
        over(containers=[{"name": "model", "env": [{"name": "MODELWAY_TRUST", "value": "Any"}]}]),
        ("containers", 0, "env", "trust"),
        id="our-variables",
    ),
]


@pytest.mark.parametrize(("spec", "path"), UNMOVED)
def test_a_template_cannot_take_away_what_makes_it_a_model_pod(spec: Manifest, path: tuple[Any, ...]) -> None:
    if path[-1] == "trust":
        assert environment(server(rendered(spec)))["MODELWAY_TRUST"] == "Safe"
        return
    assert rendered(spec)[path[0]] == rendered()[path[0]]


def test_a_template_cannot_take_away_the_labels() -> None:
    labels = {names.REVISION_LABEL: "other", names.MODEL_LABEL: "", "team": "risk"}
    found = pod.template(build({"runtime": {"template": {"metadata": {"labels": labels}}}}))["metadata"]["labels"]
    assert found == {
        "team": "risk",
        names.MODEL_LABEL: "fraud",
        names.REVISION_LABEL: "0123456789",
        names.MANAGED_BY_LABEL: "modelway",
    }


def test_a_template_may_say_otherwise_about_the_server_alone() -> None:
    found = rendered(over(containers=[{"name": "model", "securityContext": {"readOnlyRootFilesystem": False}}]))
    assert server(found)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": False,
        "capabilities": {"drop": ["ALL"]},
    }
    assert fetch(found)["securityContext"]["readOnlyRootFilesystem"] is True


def test_a_template_adds_what_a_pod_can_have() -> None:
    found = rendered(
        over(
            nodeSelector={"gpu": "yes"},
            tolerations=[{"operator": "Exists"}],
            containers=[{"name": "sidecar", "image": "s:1"}],
            initContainers=[{"name": "warm", "image": "w:1"}],
            volumes=[{"name": "cache", "emptyDir": {}}],
        )
    )
    assert found["nodeSelector"] == {"gpu": "yes"}
    assert found["tolerations"] == [{"operator": "Exists"}]
    assert [item["name"] for item in found["containers"]] == ["model", "sidecar"]
    assert [item["name"] for item in found["initContainers"]] == ["warm", "fetch"]
    assert {item["name"] for item in found["volumes"]} == {"cache", "model", "tmp", "lock", "golden"}


VOLUMES: list[Any] = [
    pytest.param({"emptyDir": {"sizeLimit": "9Gi"}}, id="larger"),
    pytest.param({"ephemeral": {"volumeClaimTemplate": {}}}, id="of-another-kind"),
]


@pytest.mark.parametrize("name", ["model", "tmp"])
@pytest.mark.parametrize("volume", VOLUMES)
def test_a_template_may_bring_a_place_of_its_own(volume: Manifest, name: str) -> None:
    found = rendered(over(volumes=[{"name": name, **volume}]))
    assert named(found["volumes"], name) == {"name": name, **volume}


@pytest.mark.parametrize("name", ["lock", "golden"])
def test_the_config_maps_of_a_revision_are_mounted_optionally(name: str) -> None:
    volume = named(rendered()["volumes"], name)
    assert volume == {"name": name, "configMap": {"name": f"fraud-0123456789-{name}", "optional": True}}


def mounts(container: Manifest) -> dict[str, tuple[str, bool]]:
    """Folder and whether it is read-only, by volume."""
    return {item["name"]: (item["mountPath"], item.get("readOnly", False)) for item in container["volumeMounts"]}


def test_each_container_sees_what_it_needs_and_no_more() -> None:
    found = rendered()
    shared = {"model": ("/models", False), "tmp": ("/tmp", False)}
    assert mounts(fetch(found)) == shared | {"lock": ("/etc/modelway/lock", True)}
    assert mounts(server(found)) == shared | {"golden": ("/etc/modelway/golden", True)}


CLAIMS = [
    pytest.param("pvc://models/fraud/1", id="folder"),
    pytest.param("pvc://models/", id="root"),
    pytest.param("pvc://models", id="bare"),
]


@pytest.mark.parametrize("uri", CLAIMS)
def test_a_claim_is_mounted_read_only_in_both(uri: str) -> None:
    found = rendered({"model": {"uri": uri}})
    claim = {"claimName": "models", "readOnly": True}
    assert named(found["volumes"], "claim")["persistentVolumeClaim"] == claim
    assert mounts(fetch(found))["claim"] == mounts(server(found))["claim"] == ("/mnt/models", True)


def test_another_source_mounts_no_claim() -> None:
    assert "claim" not in {item["name"] for item in rendered()["volumes"]}


def test_credentials_are_given_to_the_fetching_step_alone() -> None:
    found = rendered({"model": {"credentials": {"secretRef": {"name": "reader"}, "serviceAccountName": "account"}}})
    assert fetch(found)["envFrom"] == [{"secretRef": {"name": "reader"}}]
    assert "reader" not in json.dumps(found["containers"])
    assert found["serviceAccountName"] == "account"


def test_arguments_environment_and_resources_come_after_those_of_the_runtime() -> None:
    template = {"spec": {"containers": [{**RUNTIME["template"]["spec"]["containers"][0], "env": [{"name": "A"}]}]}}
    runtime = {
        "args": ["--verbose"],
        "env": [{"name": "B", "value": "$(A)"}, {"name": "C", "valueFrom": {"fieldRef": {"fieldPath": "a"}}}],
        "resources": {"requests": {"cpu": "0.5"}, "limits": {"memory": "1024Mi"}},
    }
    found = server(rendered({"runtime": runtime}, {"template": template}))
    assert found["args"] == ["serve", "--verbose"]
    assert found["env"][:3] == [
        {"name": "A"},
        {"name": "B", "value": "$(A)"},
        {"name": "C", "valueFrom": {"fieldRef": {"fieldPath": "a"}}},
    ]
    assert found["resources"] == {"requests": {"cpu": "500m"}, "limits": {"memory": "1Gi"}}


IMAGES: list[Any] = [
    pytest.param({}, {}, "example.com/runtime:1", id="of-the-runtime"),
    pytest.param({"runtime": {"image": "mine:2"}}, {}, "mine:2", id="of-the-user"),
    pytest.param({}, {"template": {"spec": {"containers": [{"name": "model"}]}}}, "own:1", id="of-this-version"),
    pytest.param({}, {"template": {"spec": {"containers": [{"name": "model", "image": ""}]}}}, "own:1", id="empty"),
    pytest.param(over(containers=[{"name": "model", "image": "over:3"}]), {}, "over:3", id="of-the-overlay"),
]


@pytest.mark.parametrize(("spec", "runtime", "image"), IMAGES)
def test_one_image_fetches_and_serves(spec: Manifest, runtime: Manifest, image: str) -> None:
    found = rendered(spec, runtime)
    assert (server(found)["image"], fetch(found)["image"]) == (image, image)


def test_a_foreign_runtime_is_fetched_for_by_our_image() -> None:
    found = rendered(runtime={"capabilities": {}})
    assert (server(found)["image"], fetch(found)["image"]) == ("example.com/runtime:1", "own:1")


def test_a_runtime_without_any_image_is_left_to_the_api_server() -> None:
    template = {"spec": {"containers": [{"name": "model"}]}}
    assert "image" not in server(rendered(runtime={"template": template}, image=""))


def test_grace_covers_the_drain_the_last_request_and_the_end() -> None:
    spec = {"rollout": {"drain": "10s"}, "runtime": {"limits": {"requestTimeout": "1500ms"}}}
    assert rendered(spec)["terminationGracePeriodSeconds"] == 17


def test_probes_ask_the_port_of_the_runtime() -> None:
    found = server(rendered(runtime={"ports": {"http": 9000}}))
    assert {found[probe]["httpGet"]["port"] for probe in ("startupProbe", "readinessProbe", "livenessProbe")} == {9000}
    assert found["ports"] == [{"name": "http", "containerPort": 9000}]


def test_the_server_is_the_first_container() -> None:
    template = {"spec": {"containers": [{"name": "a", "image": "a"}, {"name": "model", "image": "m"}]}}
    assert rendered(runtime={"template": template})["containers"][0]["name"] == "model"


UNFIT: list[Any] = [
    pytest.param({"spec": None}, "spec: write a map", id="spec-null"),
    pytest.param({"spec": []}, "spec: write a map", id="spec-list"),
    pytest.param({"metadata": "x"}, "metadata: write a map", id="metadata-text"),
    pytest.param({"spec": {"containers": "x"}}, "spec.containers: write a list", id="containers-text"),
    pytest.param({"spec": {"containers": {}}}, "spec.containers: write a list", id="containers-map"),
    pytest.param({"spec": {"containers": ["x"]}}, "spec.containers[0]: give it a name", id="container-text"),
    pytest.param({"spec": {"containers": [{"image": "x"}]}}, "spec.containers[0]: give it a name", id="no-name"),
    pytest.param({"spec": {"containers": [{"name": 1}]}}, "spec.containers[0]: give it a name", id="name-number"),
    pytest.param({"spec": {"containers": [{"name": "a"}, {}]}}, "spec.containers[1]: give it", id="second-unnamed"),
    pytest.param({"spec": {"initContainers": [None]}}, "spec.initContainers[0]", id="init-container-null"),
    pytest.param({"spec": {"volumes": [{"emptyDir": {}}]}}, "spec.volumes[0]", id="volume-unnamed"),
    pytest.param({"spec": {"volumes": None}}, "spec.volumes: write a list", id="volumes-null"),
    pytest.param(
        {"spec": {"containers": [{"name": "model", "env": {"A": "1"}}]}},
        "spec.containers[0].env: write a list",
        id="env-map",
    ),
    pytest.param({"metadata": {"labels": ["a"]}}, "metadata.labels: write a map", id="labels-list"),
]


@pytest.mark.parametrize(("template", "says"), UNFIT)
def test_a_template_that_cannot_be_laid_over_is_found_with_its_path(template: Manifest, says: str) -> None:
    assert pod.unfit(template).startswith(says)


@pytest.mark.parametrize(
    "template",
    [
        pytest.param({}, id="empty"),
        pytest.param({"spec": {}}, id="empty-spec"),
        pytest.param({"metadata": {"labels": {}}, "spec": {"containers": [], "volumes": []}}, id="empty-lists"),
        pytest.param(RUNTIME["template"], id="of-a-runtime"),
    ],
)
def test_a_template_that_can_be_laid_over_is_taken(template: Manifest) -> None:
    assert pod.unfit(template) == ""
    pod.template(build({"runtime": {"template": template}}))


LISTS: list[Any] = [
    pytest.param([{"name": "model", "ports": None}], id="ports-null"),
    pytest.param([{"name": "model", "env": [{"A": "1"}]}], id="env-without-names"),
    pytest.param([{"name": "model", "args": None}], id="args-null"),
    pytest.param([{"name": "model", "volumeMounts": [None]}], id="mount-null"),
    pytest.param([{"name": "model", "securityContext": None}], id="security-null"),
]


@pytest.mark.parametrize("containers", LISTS)
def test_nonsense_deeper_in_a_template_is_rendered_for_the_api_server_to_refuse(containers: list[Manifest]) -> None:
    pod.template(build(over(containers=containers) | {}))
    pod.template(build({}, {"template": {"spec": {"containers": containers}}}))


def test_only_fetch_is_told_whose_signature_to_look_for() -> None:
    key = "-----BEGIN PUBLIC KEY-----\nMFkw\n-----END PUBLIC KEY-----\n"
    found = rendered({"model": {"trust": "Signed", "signature": {"publicKey": key}}})
    told = {item["name"]: item["value"] for item in fetch(found)["env"] if "SIGNATURE" in item["name"]}
    assert told == {"MODELWAY_SIGNATURE_FILE": "model.sig", "MODELWAY_SIGNATURE_PUBLIC_KEY": key}
    assert not any("SIGNATURE" in item["name"] for item in server(found)["env"])
    assert {"name": "MODELWAY_TRUST", "value": "Signed"} in server(found)["env"]
