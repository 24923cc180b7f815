"""A model packed into a real registry, fetched from there as a pod does, and served: the same answers, or a refusal."""

import gzip
import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from modelway_runtime import manifest
from modelway_runtime.__main__ import main
from modelway_runtime.pack import push
from stores import registry, tokens
from stores.registry import Registry

SOURCES = Path(__file__).resolve().parents[2] / "runtime-image" / "src"
FEATURES, LABELS = load_iris(return_X_y=True)
ESTIMATOR = LogisticRegression(max_iter=1000).fit(FEATURES, LABELS)
Run = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the registry keeps what it is given."""
    return tmp_path_factory.mktemp("registry")


@pytest.fixture(scope="module")
def public(folder: Path) -> Iterator[Registry]:
    with registry.running(folder, {}) as held:
        yield held


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A pickle with a file beside it."""
    place = tmp_path / "fraud"
    (place / "extra").mkdir(parents=True)
    joblib.dump(ESTIMATOR, place / "model.joblib")
    (place / "extra/labels.txt").write_text("labels")
    return place


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command; gives the exit status and the termination message."""
    log = tmp_path / "termination-log"
    monkeypatch.setenv("MODELWAY_TERMINATION_LOG", str(log))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    monkeypatch.delenv("DOCKER_CONFIG_JSON", raising=False)

    def call(*arguments: str) -> tuple[int, dict[str, Any]]:
        log.write_text("")
        return main(list(arguments)), json.loads(log.read_text())

    return call


def _key(folder: Path, curve: ec.EllipticCurve | None = None) -> Path:
    """A new key in a file."""
    made = ec.generate_private_key(curve or ec.SECP256R1())
    file = folder / f"key-{len(list(folder.glob('key-*')))}.pem"
    file.write_bytes(made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return file


def _printed_key(output: str) -> str:
    """The public key in the manifest that `pack` prints."""
    lines = [line.strip() for line in output.splitlines()]
    first, last = (lines.index(f"-----{end} PUBLIC KEY-----") for end in ("BEGIN", "END"))
    return "\n".join(lines[first : last + 1]) + "\n"


def _fetch(run: Run, uri: str, to: Path, *arguments: str) -> tuple[int, dict[str, Any]]:
    return run("fetch", "--uri", uri, "--format", "sklearn", "--to", str(to), "--retry", "0s", *arguments)


def _served(folder: Path, trust: str, **settings: str) -> Any:
    """What a server answers for all rows after it was started as a pod starts it."""
    own = {"MODELWAY_MODEL_NAME": "fraud", "MODELWAY_TRUST": trust}
    environ = {**own, **settings, "MODELWAY_MODEL_PATH": str(folder)}
    ports = {"MODELWAY_PORT": "0", "MODELWAY_METRICS_PORT": "0", "MODELWAY_GRPC": "off", "MODELWAY_HOST": "127.0.0.1"}
    command = [sys.executable, "-m", "modelway_runtime", "serve"]
    given = {**os.environ, **environ, **ports, "PYTHONPATH": str(SOURCES)}
    with subprocess.Popen(command, env=given, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            lines = (json.loads(line) for line in process.stderr)
            port = next(line["port"] for line in lines if line["message"] == "Listening")
            next(line for line in lines if line["message"] == "Model ready")
            rows = {
                "name": "input",
                "datatype": "FP64",
                "shape": list(FEATURES.shape),
                "data": FEATURES.ravel().tolist(),
            }
            url = f"http://127.0.0.1:{port}/v2/models/{environ['MODELWAY_MODEL_NAME']}/infer"
            with urllib.request.urlopen(url, json.dumps({"inputs": [rows]}).encode(), timeout=30) as answer:
                return {one["name"]: one["data"] for one in json.load(answer)["outputs"]}
        finally:
            process.kill()


def test_a_signed_model_is_served_as_it_was_packed(
    run: Run, public: Registry, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    uri = f"oci://{public.host}/acme/fraud:7"
    status, packed = run("pack", str(model), uri, "--key", str(_key(tmp_path)))
    assert (status, packed["reason"]) == (0, "Completed")
    printed = capsys.readouterr().out
    assert f"uri: {uri}\n    digest: {packed['digest']}\n    format: sklearn\n    trust: Signed\n" in printed
    signer = ("--trust", "Signed", "--signature-key", _printed_key(printed))
    status, ended = _fetch(run, uri, tmp_path / "models", "--digest", packed["digest"], *signer)
    assert (status, ended["digest"]) == (0, packed["digest"]), ended
    brought = manifest.read(tmp_path / "models")
    assert (brought.is_signed, sorted(brought.paths)) == (True, ["extra/labels.txt", "model.joblib"])
    answers = _served(tmp_path / "models", "Signed")
    assert answers["label"] == ESTIMATOR.predict(FEATURES).tolist()
    expected = ESTIMATOR.predict_proba(FEATURES)
    np.testing.assert_array_equal(np.reshape(answers["probabilities"], expected.shape), expected)


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()], ids=lambda curve: str(curve.name))
def test_the_same_files_and_key_give_the_same_digest(
    run: Run, public: Registry, model: Path, tmp_path: Path, curve: ec.EllipticCurve
) -> None:
    key = str(_key(tmp_path, curve))
    digests = {
        run("pack", str(model), f"oci://{public.host}/acme/same:{tag}", "--key", key)[1]["digest"] for tag in "ab"
    }
    assert len(digests) == 1
    (model / "extra/labels.txt").write_text("others")
    assert run("pack", str(model), f"oci://{public.host}/acme/same:c", "--key", key)[1]["digest"] not in digests


def test_another_signers_model_is_refused(
    run: Run, public: Registry, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    uri = f"oci://{public.host}/acme/mallory:1"
    run("pack", str(model), f"oci://{public.host}/acme/fraud:owner", "--key", str(_key(tmp_path)))
    owner = _printed_key(capsys.readouterr().out)
    run("pack", str(model), uri, "--key", str(_key(tmp_path)))
    _, ended = _fetch(run, uri, tmp_path / "models", "--trust", "Signed", "--signature-key", owner)
    assert ended["reason"] == "SignatureInvalid"


def test_a_changed_file_beside_the_owners_signature_is_refused(
    run: Run, public: Registry, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    uri = f"oci://{public.host}/acme/changed:1"
    run("pack", str(model), uri, "--key", str(_key(tmp_path)))
    owner = _printed_key(capsys.readouterr().out)
    signer = ("--trust", "Signed", "--signature-key", owner)
    _fetch(run, uri, tmp_path / "raw", "--trust", "Any")
    (model / "model.sig").write_bytes((tmp_path / "raw/model.sig").read_bytes())
    run("pack", str(model), f"oci://{public.host}/acme/changed:2")
    assert _fetch(run, f"oci://{public.host}/acme/changed:2", tmp_path / "same", *signer)[0] == 0
    joblib.dump(LogisticRegression(max_iter=1000).fit(FEATURES, LABELS[::-1]), model / "model.joblib")
    run("pack", str(model), f"oci://{public.host}/acme/changed:3")
    _, ended = _fetch(run, f"oci://{public.host}/acme/changed:3", tmp_path / "models", *signer)
    assert (ended["reason"], "model.joblib has sha256" in ended["message"]) == ("SignatureInvalid", True)


def test_a_layer_that_was_changed_in_the_registry_is_refused(
    run: Run, public: Registry, folder: Path, model: Path, tmp_path: Path
) -> None:
    uri = f"oci://{public.host}/acme/tampered:1"
    run("pack", str(model), uri)
    found = push.of_bytes("", (model / "model.joblib").read_bytes()).sha256
    (stored,) = folder.glob(f"data/docker/registry/v2/blobs/sha256/*/{found}/data")
    content = bytearray(stored.read_bytes())
    content[100] ^= 1
    stored.write_bytes(content)
    _, ended = _fetch(run, uri, tmp_path / "models", "--trust", "Any")
    content[100] ^= 1
    stored.write_bytes(content)
    assert (ended["reason"], "model.joblib" in ended["message"]) == ("DigestMismatch", True)


def test_a_file_alone_is_a_model_and_a_second_push_sends_no_layer(
    run: Run, public: Registry, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    uri = f"oci://{public.host}/acme/alone:1"
    assert run("pack", str(model / "model.joblib"), uri)[0] == 0
    assert _fetch(run, uri, tmp_path / "models", "--trust", "Any")[0] == 0
    assert (tmp_path / "models/model.joblib").read_bytes() == (model / "model.joblib").read_bytes()
    capsys.readouterr()
    assert run("pack", str(model / "model.joblib"), uri)[0] == 0
    assert "Pushed digest" not in capsys.readouterr().err


def test_a_private_registry_knows_the_writer_by_what_docker_login_keeps(
    run: Run, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with registry.private(tmp_path / "private") as held:
        uri = f"oci://{held.host}/acme/fraud:1"
        _, ended = run("pack", str(model), uri)
        assert ended["reason"] == "CredentialsDenied"
        assert f"docker login {held.host}" in ended["message"]
        (tmp_path / "docker").mkdir()
        auth = {"username": registry.USER, "password": registry.PASSWORD}
        (tmp_path / "docker/config.json").write_text(json.dumps({"auths": {held.host: auth, "empty.example": {}}}))
        assert run("pack", str(model), uri)[0] == 0
        monkeypatch.delenv("DOCKER_CONFIG_JSON")
        (tmp_path / "docker/config.json").write_text(json.dumps({"auths": {held.host: {}}, "credsStore": "desktop"}))
        assert run("pack", str(model), uri)[1]["reason"] == "CredentialsDenied"


def test_a_token_for_writing_is_asked_for(
    run: Run, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OCI_USERNAME", registry.USER)
    monkeypatch.setenv("OCI_PASSWORD", registry.PASSWORD)
    with tokens.running(tmp_path) as (service, settings), registry.running(tmp_path / "registry", settings) as held:
        assert run("pack", str(model), f"oci://{held.host}/acme/fraud:1")[0] == 0
        assert service.asked == ["repository:acme/fraud:pull,push"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("oci://127.0.0.1:1/acme/fraud",), "has no tag"),
        ((f"oci://127.0.0.1:1/acme/fraud@sha256:{'0' * 64}",), "has no tag"),
        (("s3://acme/fraud:1",), "is no registry"),
        ((), "write oci://REGISTRY/NAME:TAG to push the model, or --requirements FILE"),
        (("oci://127.0.0.1:1/acme/fraud:1", "--requirements", "r.txt"), "not both"),
    ],
    ids=["no-tag", "digest", "scheme", "nothing", "both"],
)
def test_a_target_that_makes_no_sense_is_named(
    run: Run, model: Path, arguments: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("pack", str(model), *arguments)[0] == 2
    assert message in capsys.readouterr().err


def test_only_a_key_that_fetch_can_verify_signs(
    run: Run, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = tmp_path / "rsa.pem"
    made = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    wrong.write_bytes(made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    for content, message in ((wrong.read_bytes(), "not a key on P-256"), (b"text", "no private key in PEM")):
        wrong.write_bytes(content)
        assert run("pack", str(model), "oci://127.0.0.1:1/acme/fraud:1", "--key", str(wrong))[0] == 2
        assert message in capsys.readouterr().err


def test_what_is_no_model_is_not_pushed(run: Run, public: Registry, tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes/readme.md").write_text("text")
    status, ended = run("pack", str(tmp_path / "notes"), f"oci://{public.host}/acme/notes:1")
    assert (status, ended["reason"]) == (1, "UnsupportedFormat")


ENTRY = ["modelway-runtime"]
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


def _base(held: Registry, repository: str, kind: str = registry.MANIFEST, entry: list[str] = ENTRY) -> str:
    """A stand-in for the runtime's image, as large as its configuration; gives its digest."""
    content = gzip.compress(b"")
    layer = held.blob(repository, content) | {"mediaType": OCI_LAYER}
    settings = {"Entrypoint": entry, "Cmd": ["serve"], "User": "65532:65532", "Env": ["PATH=/bin", "MODELWAY_TRUST=x"]}
    config = {
        "architecture": "amd64",
        "os": "linux",
        "created": "2026-11-20T00:00:00Z",
        "config": settings,
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(b'').hexdigest()}"]},
        "history": [{"created_by": "base"}],
    }
    described = held.blob(repository, json.dumps(config).encode()) | {
        "mediaType": "application/vnd.oci.image.config.v1+json"
    }
    return held.put(repository, "1", {"schemaVersion": 2, "mediaType": kind, "config": described, "layers": [layer]})


def _read(held: Registry, path: str) -> bytes:
    accept = {"Accept": registry.MANIFEST}
    with urllib.request.urlopen(urllib.request.Request(f"http://{held.host}/v2/{path}", headers=accept)) as answer:
        found: bytes = answer.read()
        return found


def test_an_image_of_the_runtime_and_a_model_serves_it(
    run: Run, public: Registry, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _base(public, "modelway/runtime")
    base = f"{public.host}/modelway/runtime:1"
    arguments = ("pack", str(model), f"oci://{public.host}/acme/image:1", "--image", base)
    status, ended = run(*arguments, "--trust", "Any", "--name", "risk")
    assert status == 0, ended
    assert f"docker run --rm --publish 8000:8000 {public.host}/acme/image:1" in capsys.readouterr().out
    assert run(*arguments, "--trust", "Any", "--name", "risk")[1]["digest"] == ended["digest"]
    found = json.loads(_read(public, "acme/image/manifests/1"))
    original = json.loads(_read(public, "modelway/runtime/manifests/1"))
    assert found["layers"][:-1] == original["layers"]
    _read(public, f"acme/image/blobs/{original['layers'][0]['digest']}")
    config = json.loads(_read(public, f"acme/image/blobs/{found['config']['digest']}"))
    assert (config["config"]["Entrypoint"], config["config"]["Cmd"], config["config"]["User"]) == (
        ENTRY,
        ["serve"],
        "65532:65532",
    )
    packed = gzip.decompress(_read(public, f"acme/image/blobs/{found['layers'][-1]['digest']}"))
    assert config["rootfs"]["diff_ids"][1] == f"sha256:{hashlib.sha256(packed).hexdigest()}"
    assert [step["created_by"] for step in config["history"]] == ["base", "modelway-runtime pack risk"]
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        assert {(info.mode, info.uid, info.mtime) for info in archive} == {(0o444, 0, 0)}
        archive.extractall(tmp_path / "root", filter="data")
    settings = dict(entry.split("=", 1) for entry in config["config"]["Env"])
    assert (settings.pop("PATH"), settings["MODELWAY_MODEL_PATH"]) == ("/bin", "/models")
    place = tmp_path / "root" / settings.pop("MODELWAY_MODEL_PATH").lstrip("/")
    answers = _served(place, settings.pop("MODELWAY_TRUST"), **settings)
    assert answers["label"] == ESTIMATOR.predict(FEATURES).tolist()


def test_a_base_of_another_registry_is_copied(run: Run, public: Registry, model: Path, tmp_path: Path) -> None:
    with registry.running(tmp_path / "other", {}) as other:
        pinned = _base(other, "modelway/runtime")
        base = f"{other.host}/modelway/runtime@{pinned}"
        arguments = ("--image", base, "--trust", "Any")
        assert run("pack", str(model), f"oci://{public.host}/acme/copied:1", *arguments)[0] == 0
    found = json.loads(_read(public, "acme/copied/manifests/1"))
    assert gzip.decompress(_read(public, f"acme/copied/blobs/{found['layers'][0]['digest']}")) == b""


@pytest.mark.parametrize(
    ("base", "trust", "reason", "words"),
    [
        ("modelway/runtime:1", "Safe", "UntrustedFormat", "is a pickle"),
        ("other/image:1", "Any", "FormatMismatch", "is not Modelway's runtime"),
        ("absent/image:1", "Any", "ArtifactNotFound", "404"),
        ("odd/image:1", "Any", "FormatMismatch", "is described in a way that nobody understands"),
        ("modelway/runtime:1", "Signed", "InvalidSettings", "write Safe or Any"),
    ],
    ids=["pickle", "other-image", "absent", "odd", "signed"],
)
def test_an_image_that_could_not_serve_is_not_written(
    run: Run, public: Registry, model: Path, base: str, trust: str, reason: str, words: str
) -> None:
    _base(public, "modelway/runtime")
    _base(public, "other/image", entry=["python3"])
    config = public.blob("odd/image", b"[]") | {"mediaType": "application/vnd.oci.image.config.v1+json"}
    odd = {"schemaVersion": 2, "mediaType": registry.MANIFEST, "config": config, "layers": []}
    public.put("odd/image", "1", odd)
    target = f"oci://{public.host}/acme/refused:1"
    _, ended = run("pack", str(model), target, "--image", f"{public.host}/{base}", "--trust", trust)
    assert (ended["reason"], words in ended["message"]) == (reason, True), ended
