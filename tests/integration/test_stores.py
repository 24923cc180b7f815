"""Fetching from real stores: S3, Google's and Azure's; large files in parts, wrong keys, nothing there."""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from random import Random
from typing import Any

import pytest

from modelway_runtime import manifest
from modelway_runtime.__main__ import main
from stores import buckets
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
        pytest.skip("azurite needs npm")
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
