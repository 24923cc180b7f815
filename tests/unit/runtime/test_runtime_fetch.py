"""Fetching: from each kind of store, each way of failing with its own reason, and what is written."""

import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modelway_runtime import digest, manifest
from modelway_runtime.__main__ import main
from modelway_runtime.fetch import download, folder, source

CONTENT = b"\x08\x08model"
OTHER = b"labels"
Fetch = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def fetch(tmp_path: Path, store: Any, monkeypatch: pytest.MonkeyPatch) -> Fetch:
    """Runs the command as the init container does; gives the exit status and the termination message."""
    log = tmp_path / "termination-log"
    settings = {
        "AWS_ENDPOINT_URL": store.url,
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "us-east-1",
        "MODELWAY_MODEL_FORMAT": "onnx",
        "MODELWAY_MODEL_PATH": str(tmp_path / "models"),
        "MODELWAY_LOCK_PATH": str(tmp_path / "lock"),
        "MODELWAY_FETCH_RETRY": "0s",
        "MODELWAY_TERMINATION_LOG": str(log),
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)

    def run(uri: str, **flags: str) -> tuple[int, dict[str, Any]]:
        log.write_text("")
        given = [text for name, value in flags.items() for text in (f"--{name.replace('_', '-')}", value)]
        status = main(["fetch", "--uri", uri, *given])
        return status, json.loads(log.read_text())

    return run


@pytest.fixture
def models_folder(tmp_path: Path) -> Path:
    return tmp_path / "models"


def _hex(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


FOLDER_DIGEST = digest.of_files(
    (
        digest.File(path="model.onnx", sha256=_hex(CONTENT), size=7),
        digest.File(path="extra/labels.txt", sha256=_hex(OTHER), size=6),
    )
)


def test_a_folder_comes_from_s3_with_its_digest_and_manifest(fetch: Fetch, store: Any, models_folder: Path) -> None:
    store.files = {
        "/bucket/iris/1/model.onnx": CONTENT,
        "/bucket/iris/1/extra/labels.txt": OTHER,
        "/bucket/iris/10/model.onnx": b"another version",
    }
    status, ended = fetch("s3://bucket/iris/1")
    assert (status, ended["reason"], ended["digest"], ended["bytes"]) == (0, "Completed", FOLDER_DIGEST, 13)
    written = manifest.read(models_folder)
    assert (written.root, written.digest) == (models_folder, FOLDER_DIGEST)
    assert sorted(written.paths) == ["extra/labels.txt", "model.onnx"]
    assert (models_folder / "extra/labels.txt").read_bytes() == OTHER
    assert digest.of_path(models_folder)[0] == FOLDER_DIGEST


def test_one_object_of_s3_has_the_digest_of_its_bytes(fetch: Fetch, store: Any, models_folder: Path) -> None:
    store.files = {"/bucket/iris/fraud.onnx": CONTENT}
    _, ended = fetch("s3://bucket/iris/fraud.onnx")
    assert ended["digest"] == f"sha256:{_hex(CONTENT)}"
    assert manifest.read(models_folder).paths == ("fraud.onnx",)


@pytest.mark.parametrize(
    ("path", "kept_as"),
    [("/a/fraud.onnx", "fraud.onnx"), ("/a/download?token=secret", "model.onnx"), ("/a/", "model.onnx")],
    ids=["by its name", "a name without suffix", "a folder"],
)
def test_a_file_comes_from_a_web_server(fetch: Fetch, store: Any, models_folder: Path, path: str, kept_as: str) -> None:
    store.files = {"/a/fraud.onnx": CONTENT, "/a/download": CONTENT, "/a/model.onnx": CONTENT}
    status, ended = fetch(store.url + path)
    assert (status, ended["digest"]) == (0, f"sha256:{_hex(CONTENT)}")
    assert manifest.read(models_folder).paths == (kept_as,)
    assert "secret" not in ended["message"]


@pytest.mark.parametrize("form", ["{}", "file://{}"], ids=["path", "file URI"])
def test_a_local_folder_is_copied(fetch: Fetch, tmp_path: Path, models_folder: Path, form: str) -> None:
    (tmp_path / "source/extra").mkdir(parents=True)
    (tmp_path / "source/model.onnx").write_bytes(CONTENT)
    (tmp_path / "source/extra/labels.txt").write_bytes(OTHER)
    _, ended = fetch(form.format(tmp_path / "source"))
    assert ended["digest"] == FOLDER_DIGEST
    assert (models_folder / "model.onnx").read_bytes() == CONTENT


def test_a_claim_is_used_where_it_is_mounted(
    fetch: Fetch, tmp_path: Path, models_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder, "MOUNTS", tmp_path / "mnt")
    (tmp_path / "mnt/claim/iris/extra").mkdir(parents=True)
    (tmp_path / "mnt/claim/iris/model.onnx").write_bytes(CONTENT)
    (tmp_path / "mnt/claim/iris/extra/labels.txt").write_bytes(OTHER)
    _, ended = fetch("pvc://claim/iris")
    assert ended["digest"] == FOLDER_DIGEST
    assert manifest.read(models_folder).root == tmp_path / "mnt/claim/iris"
    assert not (models_folder / "model.onnx").exists()


def test_keys_of_s3_may_hold_signs_that_mean_something_in_a_url(fetch: Fetch, store: Any) -> None:
    store.files = {"/bucket/a%20b/model.onnx": CONTENT}
    status, ended = fetch("s3://bucket/a b/model.onnx")
    assert (status, ended["reason"]) == (0, "Completed")


STORE_FAULTS = [
    pytest.param("s3://bucket/nowhere", {}, "ArtifactNotFound", id="s3 nothing there"),
    pytest.param("s3://bucket", {}, "ArtifactNotFound", id="s3 no key"),
    pytest.param("s3://bucket/m", {"/bucket/m": [403]}, "CredentialsDenied", id="s3 denied"),
    pytest.param("s3://bucket/m", {"/bucket/m": [401]}, "CredentialsDenied", id="s3 unknown key"),
    pytest.param("s3://bucket/m/", {"/bucket": [403]}, "CredentialsDenied", id="s3 list denied"),
    pytest.param("s3://bucket/m/", {"/bucket": ["404 NoSuchBucket"]}, "ArtifactNotFound", id="s3 no bucket"),
    pytest.param("s3://bucket/m/", {"/bucket": ["404 UserNotFound"]}, "CredentialsDenied", id="s3 no such user"),
    pytest.param("s3://bucket/m", {"/bucket/m": [500]}, "DownloadTimeout", id="s3 broken"),
    pytest.param("{store}/nowhere.onnx", {}, "ArtifactNotFound", id="http nothing there"),
    pytest.param("{store}/folder/", {}, "ArtifactNotFound", id="http folder without model"),
    pytest.param("{store}/model.onnx", {"/model.onnx": [403]}, "CredentialsDenied", id="http denied"),
    pytest.param("{store}/model.onnx", {"/model.onnx": [401]}, "CredentialsDenied", id="http unknown"),
    pytest.param("{store}/model.onnx", {"/model.onnx": [400]}, "DownloadTimeout", id="http refused for good"),
    pytest.param("{store}/model.onnx", {"/model.onnx": [503]}, "DownloadTimeout", id="http unavailable"),
    pytest.param("{store}/model.onnx", {"/model.onnx": ["cut at 3"]}, "DownloadTimeout", id="http cut off"),
    pytest.param("http://127.0.0.1:1/model.onnx", {}, "DownloadTimeout", id="nobody listens"),
    pytest.param("http://nowhere.invalid/model.onnx", {}, "DownloadTimeout", id="no such host"),
    pytest.param("pvc://claim/model", {}, "ArtifactNotFound", id="claim without the path"),
    pytest.param("pvc://claim/../secret", {}, "ArtifactNotFound", id="out of the claim"),
    pytest.param("/nowhere/model.onnx", {}, "ArtifactNotFound", id="no such path"),
    pytest.param("http://host:99999/model.onnx", {}, "ArtifactNotFound", id="no port"),
    pytest.param("http://[::1/model.onnx", {}, "ArtifactNotFound", id="no host"),
    pytest.param("s3://bucket/a//b", {}, "ArtifactNotFound", id="s3 no key at all"),
    pytest.param("pvc://../etc/hosts", {}, "ArtifactNotFound", id="out of all claims"),
    pytest.param("ftp://host/model.onnx", {}, "ArtifactNotFound", id="no store for the scheme"),
]


@pytest.mark.parametrize(("uri", "faults", "reason"), STORE_FAULTS)
def test_each_fault_of_a_store_has_its_reason(
    fetch: Fetch, store: Any, uri: str, faults: dict[str, list[int | str]], reason: str
) -> None:
    store.files = {"/model.onnx": CONTENT, "/bucket/m": CONTENT}
    store.faults = faults
    status, ended = fetch(uri.format(store=store.url))
    assert (status, ended["reason"], ended["digest"]) == (1, reason, "")
    assert ended["message"]


def test_the_empty_objects_that_stand_for_folders_are_no_files(fetch: Fetch, store: Any, models_folder: Path) -> None:
    store.files = {
        "/bucket/m/model.onnx": CONTENT,
        "/bucket/m/extra/": b"",
        "/bucket/m/extra/labels.txt": OTHER,
        "/bucket/m/nothing/": b"",
    }
    _, ended = fetch("s3://bucket/m")
    assert (ended["reason"], ended["digest"]) == ("Completed", FOLDER_DIGEST)
    assert sorted(manifest.read(models_folder).paths) == ["extra/labels.txt", "model.onnx"]


def test_an_empty_file_is_a_file(fetch: Fetch, store: Any, models_folder: Path) -> None:
    store.files = {"/bucket/m/model.onnx": CONTENT, "/bucket/m/marks": b""}
    fetch("s3://bucket/m")
    assert sorted(manifest.read(models_folder).paths) == ["marks", "model.onnx"]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        pytest.param({"a": b"x", "a/b": b"x"}, "a/b cannot be a file", id="a file and a folder"),
        pytest.param({"n" * 300: b"x"}, "cannot be a file", id="a long name"),
        pytest.param({"../x": b"x"}, "an unsafe name", id="a path that leads out"),
        pytest.param({"a//b": b"x"}, "an unsafe name", id="a part without name"),
    ],
)
def test_names_that_no_folder_can_hold_are_refused_at_once(
    fetch: Fetch, store: Any, files: dict[str, bytes], message: str
) -> None:
    store.files = {"/bucket/m/model.onnx": CONTENT, **{f"/bucket/m/{name}": content for name, content in files.items()}}
    status, ended = fetch("s3://bucket/m", retry="60s")
    assert (status, ended["reason"]) == (1, "FormatMismatch")
    assert message in ended["message"]


def test_a_listing_is_stopped_at_the_limit(fetch: Fetch, store: Any) -> None:
    store.files = {f"/bucket/m/f{number}": b"x" for number in range(download.MAX_FILES + 1)}
    _, ended = fetch("s3://bucket/m")
    assert ended["reason"] == "ArtifactTooLarge"


@pytest.mark.parametrize("name", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "AWS_ENDPOINT_URL"])
def test_the_line_end_that_a_secret_often_holds_is_left_out(
    fetch: Fetch, store: Any, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    store.files = {"/bucket/m/model.onnx": CONTENT}
    monkeypatch.setenv(name, os.environ[name] + "\n")
    assert fetch("s3://bucket/m")[1]["reason"] == "Completed"


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("AWS_ENDPOINT_URL", "s3.example.com", "AWS_ENDPOINT_URL is no URL"),
        ("AWS_ENDPOINT_URL", "http://exa mple.com", "these settings"),
        ("AWS_ACCESS_KEY_ID", "ke\ny", "these settings"),
        ("AWS_VIRTUAL_HOSTED_STYLE_REQUEST", "perhaps", "these settings"),
    ],
)
def test_settings_of_a_store_that_make_no_sense_are_told(
    fetch: Fetch, monkeypatch: pytest.MonkeyPatch, name: str, value: str, message: str
) -> None:
    monkeypatch.setenv(name, value)
    status, ended = fetch("s3://bucket/m")
    assert (status, ended["reason"]) == (1, "CredentialsDenied")
    assert message in ended["message"]


def test_a_file_of_a_claim_that_cannot_be_read_is_told(fetch: Fetch, monkeypatch: pytest.MonkeyPatch) -> None:
    # Its first page is never mapped, so reading it fails.
    monkeypatch.setattr(folder, "MOUNTS", Path("/proc"))
    _, ended = fetch("pvc://self/mem", format="own")
    assert (ended["reason"], ended["message"]) == (
        "DownloadTimeout",
        "/proc/self/mem cannot be read: Input/output error",
    )


@pytest.mark.parametrize("name", [b"\xff", b"a\nb"], ids=["no UTF-8", "two lines"])
def test_names_that_a_digest_cannot_hold_are_refused(fetch: Fetch, tmp_path: Path, name: bytes) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source/model.onnx").write_bytes(CONTENT)
    Path(os.fsdecode(os.fsencode(tmp_path / "source") + b"/" + name)).write_bytes(OTHER)
    _, ended = fetch(str(tmp_path / "source"))
    assert ended["reason"] == "FormatMismatch"


def test_a_folder_that_cannot_be_written_has_its_reason(fetch: Fetch, store: Any, models_folder: Path) -> None:
    store.files = {"/model.onnx": CONTENT}
    models_folder.write_text("a file")
    _, ended = fetch(f"{store.url}/model.onnx")
    assert (ended["reason"], "cannot be written" in ended["message"]) == ("DiskFull", True)


def test_sigterm_ends_a_fetch_whose_store_is_silent(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        uri = f"http://127.0.0.1:{silent.getsockname()[1]}/model.onnx"
        command = [sys.executable, "-m", "modelway_runtime", "fetch", "--uri", uri, "--to", str(tmp_path)]
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process, silent.accept()[0] as connection:
            assert connection.recv(1) == b"G"
            process.terminate()
            assert process.wait(10) == 128 + signal.SIGTERM


def test_no_credentials_at_all_says_which_are_needed(fetch: Fetch, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    # The library asks the cloud's metadata service; this one does not answer.
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", "http://127.0.0.1:1")
    _, ended = fetch("s3://bucket/m")
    assert ended["reason"] == "CredentialsDenied"
    assert "AWS_ACCESS_KEY_ID" in ended["message"]


@pytest.mark.parametrize("fault", [500, 503, 429, "cut at 3", "cut at 0"])
def test_a_passing_fault_is_tried_again(fetch: Fetch, store: Any, fault: int | str) -> None:
    store.files = {"/model.onnx": CONTENT}
    store.faults = {"/model.onnx": [fault, 200]}
    status, ended = fetch(f"{store.url}/model.onnx", retry="30s")
    assert (status, ended["digest"]) == (0, f"sha256:{_hex(CONTENT)}")
    assert len(store.asked) == 2


def test_a_connection_that_always_breaks_at_the_same_place_is_given_up(fetch: Fetch, store: Any) -> None:
    store.files = {"/bucket/m/model.onnx": b"x" * 100_000}
    store.faults = {"/bucket/m/model.onnx": ["cut at 50000"]}
    _, ended = fetch("s3://bucket/m", retry="1s")
    assert ended["reason"] == "DownloadTimeout"
    assert "without progress" in ended["message"]


MODEL_FAULTS = [
    pytest.param({"digest": "sha256:" + "0" * 64}, "DigestMismatch", "the spec pins sha256:000", id="pin"),
    pytest.param({"format": "sklearn"}, "FormatMismatch", "needs a file model.skops", id="format"),
    pytest.param({"max_model_bytes": "6"}, "ArtifactTooLarge", "the limit is 6 B", id="size"),
]


@pytest.mark.parametrize(("flags", "reason", "message"), MODEL_FAULTS)
def test_a_wrong_model_has_its_reason_and_leaves_no_manifest(
    fetch: Fetch, store: Any, models_folder: Path, flags: dict[str, str], reason: str, message: str
) -> None:
    store.files = {"/bucket/m/model.onnx": CONTENT}
    status, ended = fetch("s3://bucket/m", **flags)
    assert (status, ended["reason"]) == (1, reason)
    assert message in ended["message"]
    assert not (models_folder / manifest.NAME).exists()


def test_a_file_of_unknown_size_is_stopped_at_the_limit(fetch: Fetch, store: Any) -> None:
    store.files = {"/model.onnx": b"x" * 100}
    _, ended = fetch(f"{store.url}/model.onnx", max_model_bytes="99")
    assert ended["reason"] == "ArtifactTooLarge"


def test_a_pickle_is_refused_before_it_is_fetched(fetch: Fetch, store: Any) -> None:
    store.files = {"/bucket/m/model.pkl": b"\x80\x04."}
    _, ended = fetch("s3://bucket/m", format="sklearn")
    assert ended["reason"] == "UntrustedFormat"
    assert not any("model.pkl" in line for line in store.asked)
    status, _ = fetch("s3://bucket/m", format="sklearn", trust="Any")
    assert status == 0


def test_a_pin_may_be_given_and_met(fetch: Fetch, store: Any) -> None:
    store.files = {"/model.onnx": CONTENT}
    status, _ = fetch(f"{store.url}/model.onnx", digest=f"sha256:{_hex(CONTENT).upper()}")
    assert status == 0


def test_the_lock_holds_later_pods_to_the_first_bytes(fetch: Fetch, store: Any, tmp_path: Path) -> None:
    store.files = {"/model.onnx": CONTENT}
    _, first = fetch(f"{store.url}/model.onnx")
    (tmp_path / "lock").write_text(first["digest"] + "\n")
    assert fetch(f"{store.url}/model.onnx")[0] == 0
    store.files = {"/model.onnx": CONTENT + b"changed"}
    status, ended = fetch(f"{store.url}/model.onnx")
    assert (status, ended["reason"]) == (1, "DigestMismatch")
    assert "the source was changed since" in ended["message"]
    assert not (tmp_path / "models" / manifest.NAME).exists()


def test_a_full_disk_has_its_reason(fetch: Fetch, store: Any) -> None:
    store.files = {"/model.onnx": CONTENT}
    # Opening the target leads to a device that is always full.
    target = Path(os.environ["MODELWAY_MODEL_PATH"])
    target.mkdir()
    (target / "model.onnx").symlink_to("/dev/full")
    _, ended = fetch(f"{store.url}/model.onnx")
    assert ended["reason"] == "DiskFull"


def test_more_than_the_volume_holds_is_refused_before_the_first_byte(
    tmp_path: Path,
) -> None:
    entry = source.Entry(path="model.onnx", key="k", size=1 << 60)
    with pytest.raises(Exception, match="The model needs") as raised:
        download.check_space(tmp_path, (entry,))
    assert raised.value.reason == "DiskFull"  # type: ignore[attr-defined]


def test_what_an_earlier_try_left_is_written_over_and_needs_no_space(tmp_path: Path) -> None:
    left = 64 << 20
    with (tmp_path / "model.onnx").open("wb") as stream:
        os.posix_fallocate(stream.fileno(), 0, left)
    size = shutil.disk_usage(tmp_path).free + left // 2
    download.check_space(tmp_path, (source.Entry(path="model.onnx", key="k", size=size),))
    (tmp_path / "model.onnx").unlink()


@pytest.mark.parametrize("path", ["../x", "a/../../x", "/etc/passwd", "a//b", "./a", "", "a\0b", "a\\..\\b", "a\nb"])
def test_unsafe_paths_of_a_store_are_refused(path: str) -> None:
    assert not download.is_safe(path)
    with pytest.raises(Exception, match="not a path inside a folder"):
        download.check((source.Entry(path=path, key="k", size=1),), max_bytes=10)


@pytest.mark.parametrize("path", ["model.onnx", "a/b/c.txt", "..data/x", "ä b"])
def test_safe_paths_are_kept(path: str) -> None:
    assert download.is_safe(path)


def test_our_own_folder_in_a_store_is_left_out() -> None:
    entries = (source.Entry(path=".modelway/manifest.json", key="k"), source.Entry(path="model.onnx", key="k"))
    assert download.check(entries, max_bytes=10) == entries[1:]


def test_too_many_files_are_refused() -> None:
    entries = tuple(source.Entry(path=f"f{number}", key="k") for number in range(download.MAX_FILES + 1))
    with pytest.raises(Exception, match="the limit is 10000"):
        download.check(entries, max_bytes=10)


def test_secrets_in_a_uri_are_not_shown() -> None:
    assert source.shown("https://user:pass@host/a/b?X-Signature=1#f") == "https://host/a/b"


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("MODELWAY_MODEL_URI", "", "--uri is needed"),
        ("MODELWAY_MODEL_DIGEST", "sha256:12", "is not a digest"),
        ("MODELWAY_TRUST", "Yes", "write Safe, Signed or Any"),
        ("MODELWAY_MAX_MODEL_BYTES", "many", "is not a size"),
    ],
)
def test_a_wrong_setting_is_wrong_usage(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, value: str, message: str
) -> None:
    monkeypatch.setenv("MODELWAY_MODEL_URI", "s3://bucket/m")
    monkeypatch.setenv(name, value)
    assert main(["fetch"]) == 2
    assert message in capsys.readouterr().err
