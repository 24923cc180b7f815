"""Where a fetch may connect to, and where a redirect may lead."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modelway_runtime.__main__ import main
from modelway_runtime.fetch import addresses, client
from modelway_runtime.reasons import Failure

METADATA = "http://169.254.169.254/latest/meta-data/iam/security-credentials/"


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",
        "fe80::1",
        "fe80::1%eth0",
        "fd00:ec2::254",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "2002:a9fe:a9fe::1",
        "168.63.129.16",
        "100.100.100.200",
        "0.0.0.0",
        "::",
        "224.0.0.1",
    ],
)
def test_where_a_cloud_answers_its_own_machines_no_store_is(address: str) -> None:
    assert not addresses.is_allowed(address)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "10.0.0.7", "192.168.1.1", "fd12::1", "1.1.1.1", "2606::1"])
def test_stores_may_be_inside_the_cluster_and_outside(address: str) -> None:
    assert addresses.is_allowed(address)


def test_a_network_can_be_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(addresses.ALLOWED, "169.254.20.0/24, fe80::/10")
    assert addresses.is_allowed("169.254.20.10")
    assert addresses.is_allowed("fe80::1")
    assert not addresses.is_allowed("169.254.169.254")


Fetch = Callable[..., dict[str, Any]]


@pytest.fixture
def fetch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fetch:
    """The termination message of a fetch with settings."""
    log = tmp_path / "termination-log"

    def run(uri: str, **environment: str) -> dict[str, Any]:
        log.write_text("")
        own = {"MODELWAY_TERMINATION_LOG": str(log), "MODELWAY_MODEL_PATH": str(tmp_path / "models")}
        for name, value in {**own, "MODELWAY_MODEL_FORMAT": "onnx", **environment}.items():
            monkeypatch.setenv(name, value)
        main(["fetch", "--uri", uri, "--retry", "0s"])
        ended: dict[str, Any] = json.loads(log.read_text())
        return ended

    return run


@pytest.mark.parametrize(
    ("uri", "environment"),
    [
        pytest.param(METADATA, {}, id="http"),
        pytest.param("http://[fe80::1]/model.onnx", {}, id="link-local"),
        pytest.param("http://2852039166/model.onnx", {}, id="as a number"),
        pytest.param("s3://bucket/m", {"AWS_ENDPOINT_URL": METADATA}, id="s3"),
        pytest.param("gs://bucket/m", {"STORAGE_EMULATOR_HOST": "169.254.169.254"}, id="gs"),
        pytest.param("az://bucket/m", {"AZURE_STORAGE_ENDPOINT": METADATA}, id="az"),
        pytest.param(
            "az://c/m", {"AZURE_STORAGE_CONNECTION_STRING": f"AccountName=a;BlobEndpoint={METADATA}"}, id="az string"
        ),
    ],
)
def test_no_store_is_asked_at_the_clouds_own_addresses(fetch: Fetch, uri: str, environment: dict[str, str]) -> None:
    ended = fetch(uri, **environment)
    assert ended["reason"] == "ArtifactNotFound"
    assert "where no store is" in ended["message"]


def test_a_redirect_leads_neither_there_nor_to_another_scheme(fetch: Fetch, store: Any) -> None:
    store.files = {"/model.onnx": b"model"}
    store.faults = {"/there.onnx": [f"to {METADATA}"], "/file.onnx": ["to file:///etc/passwd"]}
    store.faults |= {"/tls.onnx": ["to https://127.0.0.1:1/"], "/round.onnx": ["to /round.onnx"]}
    store.faults |= {"/good.onnx": ["to /model.onnx"]}
    assert "where no store is" in fetch(f"{store.url}/there.onnx")["message"]
    assert "another scheme" in fetch(f"{store.url}/file.onnx")["message"]
    assert "another scheme" in fetch(f"{store.url}/tls.onnx")["message"]
    assert "more than 5 times" in fetch(f"{store.url}/round.onnx")["message"]
    assert fetch(f"{store.url}/good.onnx")["reason"] == "Completed"


def test_another_host_is_told_no_credentials(store: Any) -> None:
    store.files = {"/model.onnx": b"model"}
    store.faults = {"/here.onnx": ["to /model.onnx"], "/away.onnx": [f"to http://localhost:{store.port}/model.onnx"]}
    for path, is_told in (("/here.onnx", True), ("/away.onnx", False)):
        store.heads.clear()
        client.opened(store.url + path, {"Authorization": "Bearer secret"}).body(100)
        assert [("Authorization" in head) for head in store.heads] == [True, is_told]


def test_a_user_in_the_url_is_told_and_not_shown(fetch: Fetch, store: Any, capfd: pytest.CaptureFixture[str]) -> None:
    store.files = {"/model.onnx": b"model"}
    ended = fetch(f"http://reader:s%40cret@127.0.0.1:{store.port}/model.onnx")
    assert ended["reason"] == "Completed"
    assert store.heads[0]["Authorization"] == "Basic cmVhZGVyOnNAY3JldA=="
    assert "cret" not in ended["message"] + capfd.readouterr().err


def test_a_proxy_is_asked_in_place_of_the_server(fetch: Fetch, store: Any) -> None:
    store.files = {"http://models.example/model.onnx": b"model"}
    ended = fetch("http://models.example/model.onnx", http_proxy=store.url, no_proxy="")
    assert (ended["reason"], ended["bytes"]) == ("Completed", 5)
    assert "where no store is" in fetch(METADATA, http_proxy=store.url, no_proxy="")["message"]


def test_a_body_that_is_too_long_is_refused(store: Any) -> None:
    store.files = {"/list": b"x" * 101}
    with pytest.raises(Failure, match="more than 100 bytes"):
        client.opened(f"{store.url}/list").body(100)
