"""Models of the Hugging Face hub. The hub here is ours: it answers two calls as the real one does, and no others."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modelway_runtime import manifest
from modelway_runtime.__main__ import main

COMMIT = "8b3c1b0b5f6d1a9e2c7d4f5a6b7c8d9e0f1a2b3c"
MODEL = b"\x08\x08model"
FILES = {".gitattributes": b"*.onnx lfs", "README.md": b"# Fraud", "onnx/model.onnx": MODEL, "onnx/labels ä.txt": b"l"}
Fetch = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def fetch(tmp_path: Path, store: Any, monkeypatch: pytest.MonkeyPatch) -> Fetch:
    """Fetches from a hub that has the model acme/fraud on its branch main."""
    siblings = [{"rfilename": name, "size": len(content), "blobId": "1"} for name, content in FILES.items()]
    siblings[2]["lfs"] = {"sha256": hashlib.sha256(MODEL).hexdigest(), "size": len(MODEL), "pointerSize": 130}
    listing = json.dumps({"id": "acme/fraud", "sha": COMMIT, "siblings": siblings}).encode()
    store.files = {f"/api/models/acme/fraud/revision/{name}": listing for name in ("main", "refs%2Fpr%2F1", COMMIT)}
    for name, content in FILES.items():
        store.files[f"/acme/fraud/resolve/{COMMIT}/{name}".replace(" ä", "%20%C3%A4")] = content
    # Large files lie at another address.
    store.files["/cdn/1"] = MODEL
    store.faults = {f"/acme/fraud/resolve/{COMMIT}/onnx/model.onnx": [f"to {store.url}/cdn/1?Signature=secret"]}
    log = tmp_path / "termination-log"

    def run(uri: str, **environment: str) -> tuple[int, dict[str, Any]]:
        log.write_text("")
        own = {
            "HF_ENDPOINT": f"{store.url}/",
            "MODELWAY_MODEL_FORMAT": "onnx",
            "MODELWAY_MODEL_PATH": str(tmp_path / "models"),
            "MODELWAY_TERMINATION_LOG": str(log),
        }
        for name, value in (own | environment).items():
            monkeypatch.setenv(name, value)
        return main(["fetch", "--uri", uri, "--retry", "0s"]), json.loads(log.read_text())

    return run


@pytest.mark.parametrize("revision", ["", "@main", "@refs%2Fpr%2F1", f"@{COMMIT}"])
def test_a_folder_of_a_model_comes_at_a_commit_that_is_told(
    fetch: Fetch, tmp_path: Path, capfd: pytest.CaptureFixture[str], revision: str
) -> None:
    status, ended = fetch(f"hf://acme/fraud{revision}/onnx", HF_TOKEN="hf_secret\n")
    assert (status, ended["bytes"]) == (0, 8)
    assert f"commit {COMMIT}" in ended["message"]
    assert sorted(manifest.read(tmp_path / "models").paths) == ["labels ä.txt", "model.onnx"]
    said = capfd.readouterr().err
    assert COMMIT in said
    assert "secret" not in said + ended["message"]


def test_the_whole_model_comes_without_what_is_for_git(fetch: Fetch, tmp_path: Path) -> None:
    fetch("hf://acme/fraud", MODELWAY_MODEL_FORMAT="own")
    assert sorted(manifest.read(tmp_path / "models").paths) == ["README.md", "onnx/labels ä.txt", "onnx/model.onnx"]


def test_one_file_has_the_digest_of_its_bytes(fetch: Fetch) -> None:
    _, ended = fetch("hf://acme/fraud/onnx/model.onnx")
    assert ended["digest"] == f"sha256:{hashlib.sha256(MODEL).hexdigest()}"


def test_the_token_is_told_to_the_hub_and_to_nobody_else(fetch: Fetch, store: Any) -> None:
    store.faults = {path: [faults[0].replace("127.0.0.1", "localhost")] for path, faults in store.faults.items()}
    fetch("hf://acme/fraud/onnx/model.onnx", HF_TOKEN="hf_secret")
    told = [head.get("Authorization") for head in store.heads]
    assert told == ["Bearer hf_secret", "Bearer hf_secret", None]


def test_other_bytes_than_the_hub_says_are_refused(fetch: Fetch, store: Any) -> None:
    store.files["/cdn/1"] = MODEL[::-1]
    _, ended = fetch("hf://acme/fraud/onnx")
    assert ended["reason"] == "DigestMismatch"


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("hf://acme/nothing", "ArtifactNotFound"),
        ("hf://acme/fraud@nowhere", "ArtifactNotFound"),
        ("hf://acme/fraud/nowhere", "ArtifactNotFound"),
        ("hf://acme/fraud/onn", "ArtifactNotFound"),
        ("hf://acme", "ArtifactNotFound"),
        ("hf://acme/gated", "CredentialsDenied"),
        ("hf://acme/odd", "DownloadTimeout"),
        ("hf://acme/broken", "DownloadTimeout"),
    ],
)
def test_each_fault_of_the_hub_has_its_reason(fetch: Fetch, store: Any, uri: str, reason: str) -> None:
    store.faults["/api/models/acme/gated/revision/main"] = [403]
    store.faults["/api/models/acme/broken/revision/main"] = [502]
    store.files["/api/models/acme/odd/revision/main"] = b'{"siblings": 1}'
    status, ended = fetch(uri)
    assert (status, ended["reason"]) == (1, reason)
