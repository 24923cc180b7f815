"""Signatures: the folder `signed` was made by the format's own library, model-signing 1.1.1, over the files here."""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modelway_runtime import manifest
from modelway_runtime.__main__ import main

SIGNED = Path(__file__).parent / "signed"
FILES = {"model.pkl": b"\x80\x04N.", "extra/labels.txt": b"labels", "README.md": b"# Fraud"}
Fetch = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """The signed files, with the signature of the key on P-256."""
    folder = tmp_path / "source"
    for name, content in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    _sign(folder, "key-p256")
    return folder


@pytest.fixture
def fetch(tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> Fetch:
    """Fetches the model; `key` and `authority` are names of files in `signed`."""
    log = tmp_path / "termination-log"

    def run(key: str = "", authority: str = "", trust: str = "Signed", **settings: str) -> tuple[int, dict[str, Any]]:
        log.write_text("")
        own = {
            "MODELWAY_MODEL_FORMAT": "sklearn",
            "MODELWAY_MODEL_PATH": str(tmp_path / "models"),
            "MODELWAY_TERMINATION_LOG": str(log),
            "MODELWAY_TRUST": trust,
            "MODELWAY_SIGNATURE_PUBLIC_KEY": (SIGNED / f"{key}.pem").read_text() if key else "",
            "MODELWAY_SIGNATURE_CERTIFICATE_AUTHORITY": (SIGNED / f"{authority}.pem").read_text() if authority else "",
        }
        for name, value in (own | settings).items():
            monkeypatch.setenv(name, value)
        return main(["fetch", "--uri", str(model), "--retry", "0s"]), json.loads(log.read_text())

    return run


def _sign(folder: Path, name: str) -> None:
    (folder / "model.sig").write_bytes((SIGNED / f"{name}.sig").read_bytes())


@pytest.mark.parametrize("key", ["key-p256", "key-p384", "key-p521"])
def test_a_signed_pickle_is_accepted_and_only_signed_files_are_kept(
    fetch: Fetch, model: Path, tmp_path: Path, key: str
) -> None:
    _sign(model, key)
    (tmp_path / "models").mkdir()
    (tmp_path / "models/left.py").write_text("what an earlier try left")
    status, ended = fetch(key)
    assert (status, ended["reason"]) == (0, "Completed")
    written = manifest.read(tmp_path / "models")
    assert written.is_signed
    assert sorted(written.paths) == ["extra/labels.txt", "model.pkl"]
    there = {path.name for path in (tmp_path / "models").rglob("*") if path.is_file()}
    assert there == {"labels.txt", "model.pkl", "manifest.json"}


def test_a_certificate_of_the_authority_is_accepted_though_it_is_expired(fetch: Fetch, model: Path) -> None:
    _sign(model, "certificate")
    assert fetch(authority="authority")[1]["reason"] == "Completed"
    assert fetch(authority="authority", MODELWAY_SIGNATURE_IDENTITY="fraud@acme.example")[0] == 0
    _, ended = fetch(authority="authority", MODELWAY_SIGNATURE_IDENTITY="mallory@acme.example")
    assert ended["reason"] == "SignatureInvalid"
    assert "Signed by fraud@acme.example, wanted mallory@acme.example" in ended["message"]


@pytest.mark.parametrize(
    ("signature", "authority", "message"),
    [
        ("certificate", "other-authority", "not one of the given authority"),
        ("forged-certificate", "authority", "not one of the given authority"),
        ("authority-itself", "authority", "not one"),
        ("key-p256", "authority", "is no signature of a model"),
    ],
)
def test_no_other_certificate_is(fetch: Fetch, model: Path, signature: str, authority: str, message: str) -> None:
    _sign(model, signature)
    _, ended = fetch(authority=authority)
    assert ended["reason"] == "SignatureInvalid"
    assert message in ended["message"]


def _changed(model: Path) -> None:
    (model / "model.pkl").write_bytes(b"\x80\x04K.")


def _added(model: Path) -> None:
    (model / "evil.py").write_text("import os")


def _missing(model: Path) -> None:
    (model / "extra/labels.txt").unlink()


def _unsigned(model: Path) -> None:
    (model / "model.sig").unlink()


def _rewritten(model: Path) -> None:
    """The statement is changed to fit another file; the signature is still that of the old one."""
    bundle = json.loads((model / "model.sig").read_text())
    statement = base64.b64decode(bundle["dsseEnvelope"]["payload"]).replace(b"labels.txt", b"labels.csv")
    bundle["dsseEnvelope"]["payload"] = base64.b64encode(statement).decode()
    (model / "model.sig").write_text(json.dumps(bundle))


@pytest.mark.parametrize(
    ("tamper", "message"),
    [
        (_changed, "model.pkl has sha256"),
        (_added, "evil.py is not among the files that were signed"),
        (_missing, "extra/labels.txt was signed and is missing"),
        (_unsigned, "has no file model.sig"),
        (_rewritten, "made with another key than the one given, or over something else"),
    ],
)
def test_other_files_than_those_signed_are_refused(
    fetch: Fetch, model: Path, tmp_path: Path, tamper: Callable[[Path], None], message: str
) -> None:
    tamper(model)
    status, ended = fetch("key-p256")
    assert (status, ended["reason"]) == (1, "SignatureInvalid")
    assert message in ended["message"]
    assert not (tmp_path / "models" / manifest.NAME).exists()


def test_another_key_is_refused(fetch: Fetch, model: Path) -> None:
    _sign(model, "key-p384")
    assert fetch("key-p256")[1]["reason"] == "SignatureInvalid"


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"dsseEnvelope": {}}', '{"dsseEnvelope": {"payloadType": "x", "signatures": []}}', "\0"],
)
def test_what_is_no_signature_is_refused(fetch: Fetch, model: Path, text: str) -> None:
    (model / "model.sig").write_text(text)
    assert fetch("key-p256")[1]["reason"] == "SignatureInvalid"


def test_a_signature_is_looked_at_whatever_the_trust(fetch: Fetch, model: Path) -> None:
    assert fetch("key-p256", trust="Safe")[1]["reason"] == "UntrustedFormat"
    _changed(model)
    assert fetch("key-p256", trust="Any")[1]["reason"] == "SignatureInvalid"


def test_the_signature_may_have_another_name(fetch: Fetch, model: Path) -> None:
    (model / "model.sig").rename(model / "extra/fraud.sig")
    assert fetch("key-p256", MODELWAY_SIGNATURE_FILE="extra/fraud.sig")[0] == 0


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"MODELWAY_SIGNATURE_PUBLIC_KEY": "x", "MODELWAY_SIGNATURE_CERTIFICATE_AUTHORITY": "y"},
    ],
    ids=["nothing to check with", "both"],
)
def test_settings_that_make_no_sense_are_wrong_usage(fetch: Fetch, settings: dict[str, str]) -> None:
    status, ended = fetch(**settings)
    assert (status, ended["reason"]) == (2, "InvalidSettings")


@pytest.mark.parametrize("name", ["PUBLIC_KEY", "CERTIFICATE_AUTHORITY"])
def test_a_key_that_is_none_verifies_nothing(fetch: Fetch, model: Path, name: str) -> None:
    _sign(model, "certificate")
    _, ended = fetch(**{f"MODELWAY_SIGNATURE_{name}": "x"})
    assert (ended["reason"], "given" in ended["message"]) == ("SignatureInvalid", True)


def test_the_server_opens_a_signed_pickle_and_no_other(
    fetch: Fetch, models: Path, serve_fetched: Any, tmp_path: Path
) -> None:
    place = tmp_path / "pod"
    place.mkdir()
    folder = models / "joblib"
    for is_signed in (True, False):
        found = manifest.of_path(folder)
        written = manifest.Manifest(root=folder, digest=found.digest, files=found.files, is_signed=is_signed)
        manifest.write(place / "model", written)
        server = serve_fetched(place, trust="Signed")
        if is_signed:
            server.wait_until_ready()
        else:
            assert server.process.wait(60) == 1
            assert server.termination["reason"] == "UntrustedFormat"
