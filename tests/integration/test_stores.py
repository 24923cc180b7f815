"""Fetching from real stores: S3, Google's and Azure's; large files in parts, wrong keys, nothing there."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from random import Random
from typing import Any

import pytest

from modelway_runtime import manifest
from modelway_runtime.__main__ import main
from stores import buckets, websites
from stores.buckets import Bucket

LARGE = Random(7).randbytes(40 << 20)
FILES = {
    "fraud/1/model.onnx": LARGE,
    "fraud/1/extra/labels ä.txt": b"labels",
    "fraud/1/empty": b"",
    "fraud/10/model.onnx": b"another version",
}
MODEL = {name.removeprefix("fraud/1/"): content for name, content in FILES.items() if name.startswith("fraud/1/")}
Fetch = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def fetch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fetch:
    """Runs the command as the init container does; gives the exit status and the termination message."""
    log = tmp_path / "termination-log"

    def run(uri: str, environment: Mapping[str, str], **flags: str) -> tuple[int, dict[str, Any]]:
        log.write_text("")
        settings = {
            "MODELWAY_MODEL_FORMAT": "onnx",
            "MODELWAY_MODEL_PATH": str(tmp_path / "models"),
            "MODELWAY_LOCK_PATH": str(tmp_path / "lock"),
            "MODELWAY_FETCH_RETRY": "0s",
            "MODELWAY_TERMINATION_LOG": str(log),
        }
        for name, value in (settings | dict(environment)).items():
            monkeypatch.setenv(name, value)
        given = [text for name, value in flags.items() for text in (f"--{name.replace('_', '-')}", value)]
        return main(["fetch", "--uri", uri, *given]), json.loads(log.read_text())

    return run


@pytest.fixture(scope="module", params=["s3", "gcs", "azure"])
def bucket(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bucket]:
    """Each object store with the same objects."""
    if request.param == "azure" and not buckets.has_azurite():
        (pytest.fail if os.environ.get("CI") else pytest.skip)("azurite needs npm: install Node.js")
    with getattr(buckets, request.param)(FILES, tmp_path_factory.mktemp(request.param)) as held:
        yield held


def test_a_folder_comes_from_each_store_with_the_same_digest(fetch: Fetch, bucket: Bucket, tmp_path: Path) -> None:
    status, ended = fetch(f"{bucket.scheme}://models/fraud/1", bucket.environment)
    assert (status, ended["reason"], ended["bytes"]) == (0, "Completed", len(LARGE) + 6)
    assert ended["digest"] == buckets.digest_of(MODEL)
    assert sorted(manifest.read(tmp_path / "models").paths) == sorted(MODEL)
    assert (tmp_path / "models/model.onnx").read_bytes() == LARGE


def test_one_object_is_fetched_alone(fetch: Fetch, bucket: Bucket, tmp_path: Path) -> None:
    status, ended = fetch(f"{bucket.scheme}://models/fraud/10/model.onnx", bucket.environment)
    assert (status, ended["bytes"]) == (0, 15)
    assert (tmp_path / "models/model.onnx").read_bytes() == b"another version"


@pytest.mark.parametrize("path", ["nowhere", "nowhere/"], ids=["object", "folder"])
def test_an_empty_place_is_told(fetch: Fetch, bucket: Bucket, path: str) -> None:
    _, ended = fetch(f"{bucket.scheme}://models/{path}", bucket.environment)
    assert ended["reason"] == "ArtifactNotFound"


# fake-gcs-server answers with 500.
@pytest.mark.parametrize("bucket", ["s3", "azure"], indirect=True)
def test_a_bucket_that_is_not_there_is_told(fetch: Fetch, bucket: Bucket) -> None:
    _, ended = fetch(f"{bucket.scheme}://nowhere/fraud/1", bucket.environment)
    assert ended["reason"] == "ArtifactNotFound"


WRONG_KEYS = {
    "s3": {"AWS_SECRET_ACCESS_KEY": "wrong"},
    "az": {"AZURE_STORAGE_KEY": "d3Jvbmc="},
}


# fake-gcs-server asks nobody for a key.
@pytest.mark.parametrize("bucket", ["s3", "azure"], indirect=True)
def test_a_wrong_key_is_denied_and_not_shown(fetch: Fetch, bucket: Bucket, capfd: pytest.CaptureFixture[str]) -> None:
    wrong = WRONG_KEYS[bucket.scheme]
    _, ended = fetch(f"{bucket.scheme}://models/fraud/1", {**bucket.environment, **wrong})
    assert ended["reason"] == "CredentialsDenied"
    assert not any(value in ended["message"] + capfd.readouterr().err for value in wrong.values())


@pytest.mark.parametrize("bucket", ["azure"], indirect=True)
def test_a_connection_string_is_as_good_as_its_parts(fetch: Fetch, bucket: Bucket) -> None:
    account, key, endpoint = (bucket.environment[f"AZURE_STORAGE_{name}"] for name in ("ACCOUNT", "KEY", "ENDPOINT"))
    string = f"DefaultEndpointsProtocol=http;AccountName={account};AccountKey={key};BlobEndpoint={endpoint};\n"
    status, _ = fetch("az://models/fraud/10", {"AZURE_STORAGE_CONNECTION_STRING": string})
    assert status == 0


@pytest.mark.parametrize("bucket", ["azure"], indirect=True)
def test_a_shared_access_signature_is_enough_and_is_not_shown(
    fetch: Fetch, bucket: Bucket, capfd: pytest.CaptureFixture[str]
) -> None:
    kept = {name: value for name, value in bucket.environment.items() if name != "AZURE_STORAGE_KEY"}
    token = buckets.shared_access()
    status, ended = fetch("az://models/fraud/10", kept | {"AZURE_STORAGE_SAS_TOKEN": token})
    assert status == 0
    wrong = token.replace("sig=", "sig=AAAA")
    _, denied = fetch("az://models/fraud/10", kept | {"AZURE_STORAGE_SAS_TOKEN": wrong})
    assert denied["reason"] == "CredentialsDenied"
    assert "sig=" not in capfd.readouterr().err + ended["message"] + denied["message"]


def test_a_website_needs_a_certificate_that_is_trusted(tmp_path: Path) -> None:
    with websites.encrypted({"model.onnx": b"model"}, tmp_path / "site") as site:
        assert _fetched(site.url, tmp_path, SSL_CERT_FILE=str(site.authority))["reason"] == "Completed"
        refused = _fetched(site.url, tmp_path)
    assert refused["reason"] == "DownloadTimeout"
    assert "certificate that is not trusted" in refused["message"]


def test_an_encrypted_website_is_reached_through_a_proxy(tmp_path: Path) -> None:
    with websites.encrypted({"model.onnx": b"model"}, tmp_path / "site") as site, websites.proxy() as proxy:
        settings = {"SSL_CERT_FILE": str(site.authority), "HTTPS_PROXY": proxy.url, "NO_PROXY": ""}
        assert _fetched(site.url, tmp_path, **settings)["reason"] == "Completed"
        assert proxy.asked == [site.url.removeprefix("https://").partition("/")[0]]


def _fetched(uri: str, folder: Path, **environment: str) -> dict[str, Any]:
    """The termination message of a process of its own: certificates are read once in each."""
    log = folder / "termination-log"
    log.write_text("")
    own = {
        "MODELWAY_MODEL_FORMAT": "onnx",
        "MODELWAY_MODEL_PATH": str(folder / "models"),
        "MODELWAY_TERMINATION_LOG": str(log),
    }
    command = [sys.executable, "-m", "modelway_runtime", "fetch", "--uri", uri, "--retry", "0s"]
    subprocess.run(command, env={**os.environ, **own, **environment}, check=False, stderr=subprocess.DEVNULL)
    ended: dict[str, Any] = json.loads(log.read_text())
    return ended
