"""Archives: what is unpacked, and what never is."""

import hashlib
import io
import json
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modelway_runtime import manifest
from modelway_runtime.__main__ import main

MODEL = b"\x08\x08model"
Fetch = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def fetch(tmp_path: Path, store: Any, monkeypatch: pytest.MonkeyPatch) -> Fetch:
    """Fetches an archive from a web server and gives status and termination message."""
    log = tmp_path / "termination-log"
    monkeypatch.setenv("MODELWAY_MODEL_PATH", str(tmp_path / "models"))
    monkeypatch.setenv("MODELWAY_TERMINATION_LOG", str(log))

    def run(name: str, content: bytes, *, model_format: str = "onnx", **flags: str) -> tuple[int, dict[str, Any]]:
        store.files[f"/{name}"] = content
        log.write_text("")
        given = [text for flag, value in flags.items() for text in (f"--{flag.replace('_', '-')}", value)]
        status = main(["fetch", "--uri", f"{store.url}/{name}", "--retry", "0s", "--format", model_format, *given])
        return status, json.loads(log.read_text())

    return run


def tar(members: dict[str, bytes | tarfile.TarInfo], mode: str = "w:gz") -> bytes:
    """A tar of files, and of members as they are given."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as archive:  # type: ignore[call-overload]
        for name, content in members.items():
            if isinstance(content, tarfile.TarInfo):
                archive.addfile(content)
                continue
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return stream.getvalue()


def zipped(members: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


def _member(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


PLAIN: dict[str, bytes | tarfile.TarInfo] = {"model.onnx": MODEL, "extra/labels.txt": b"labels"}
FOLDER: dict[str, bytes | tarfile.TarInfo] = {
    "./": _member("./", tarfile.DIRTYPE),
    "./fraud/model.onnx": MODEL,
    "./fraud/extra/labels.txt": b"labels",
}
WHOLE = [
    pytest.param("m.tar.gz", tar(PLAIN), id="tar.gz"),
    pytest.param("m.TGZ", tar(PLAIN), id="tgz"),
    pytest.param("m.tar", tar(PLAIN, "w"), id="tar"),
    pytest.param("m.zip", zipped({"model.onnx": MODEL, "extra/labels.txt": b"labels"}), id="zip"),
    pytest.param("m.tar.gz", tar(FOLDER), id="tar.gz of a folder"),
    pytest.param(
        "m.zip",
        zipped({"fraud/": b"", "fraud/model.onnx": MODEL, "fraud/extra/labels.txt": b"labels"}),
        id="zip of a folder",
    ),
]


@pytest.mark.parametrize(("name", "content"), WHOLE)
def test_an_archive_is_unpacked_and_has_the_digest_of_its_bytes(
    fetch: Fetch, tmp_path: Path, name: str, content: bytes
) -> None:
    status, ended = fetch(name, content)
    assert (status, ended["bytes"]) == (0, 13)
    assert ended["digest"] == f"sha256:{hashlib.sha256(content).hexdigest()}"
    written = manifest.read(tmp_path / "models")
    assert sorted(written.paths) == ["extra/labels.txt", "model.onnx"]
    manifest.verify(written)
    left = [path.name for path in (tmp_path / "models").rglob("*") if path.is_file()]
    assert sorted(left) == ["labels.txt", "manifest.json", "model.onnx"]


def test_unpacking_again_writes_over_what_is_there(fetch: Fetch, tmp_path: Path) -> None:
    assert fetch("m.tar.gz", tar(PLAIN))[0] == 0
    assert fetch("m.tar.gz", tar({"model.onnx": b"another"}))[0] == 0
    assert (tmp_path / "models/model.onnx").read_bytes() == b"another"


LONG_NAME = "n" * (2 << 20)
REFUSED = [
    pytest.param("m.tar.gz", tar({"../model.onnx": MODEL}), "not a path inside", id="tar upwards"),
    pytest.param("m.tar.gz", tar({"/model.onnx": MODEL}), "not a path inside", id="tar absolute"),
    pytest.param("m.tar.gz", tar({"a/../../model.onnx": MODEL}), "not a path inside", id="tar through a folder"),
    pytest.param("m.tar.gz", tar({"l": _member("l", tarfile.SYMTYPE, "/etc")}), "a link, a device", id="symlink"),
    pytest.param("m.tar.gz", tar({"l": _member("l", tarfile.LNKTYPE, "x")}), "a link, a device", id="hard link"),
    pytest.param("m.tar.gz", tar({"l": _member("l", tarfile.CHRTYPE)}), "a link, a device", id="device"),
    pytest.param("m.tar.gz", tar({"l": _member("l", tarfile.FIFOTYPE)}), "a link, a device", id="pipe"),
    pytest.param("m.tar.gz", tar({"model.onnx": MODEL, "./model.onnx": MODEL}), "twice", id="tar twice"),
    pytest.param("m.tar.gz", tar({"a": MODEL, "a/b": MODEL}), "as a file and a folder", id="a file and a folder"),
    pytest.param("m.tar.gz", tar({LONG_NAME: MODEL}), "a header of", id="a name of 2 MiB"),
    pytest.param("m.tar.gz", tar(PLAIN)[:-4], "cannot be unpacked", id="tar cut short"),
    pytest.param("m.tar.gz", b"<html>Not Found</html>", "cannot be unpacked", id="no archive"),
    pytest.param("m.tar.gz", tar({}), "holds no file", id="empty"),
    pytest.param("m.zip", zipped({"../model.onnx": MODEL}), "not a path inside", id="zip upwards"),
    pytest.param("m.zip", zipped({"/model.onnx": MODEL}), "not a path inside", id="zip absolute"),
    pytest.param("m.zip", zipped(dict.fromkeys(("a\\..\\b",), MODEL)), "not a path inside", id="zip of Windows"),
    pytest.param("m.zip", zipped({"model.onnx": MODEL})[:-30], "cannot be unpacked", id="zip cut short"),
    pytest.param("m.tar.gz", tar({"other.txt": MODEL}), "needs a file model.onnx", id="no model inside"),
]


@pytest.mark.parametrize(("name", "content", "message"), REFUSED)
def test_what_a_model_does_not_need_is_refused(
    fetch: Fetch, tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    status, ended = fetch(name, content)
    assert (status, ended["reason"]) == (1, "FormatMismatch")
    assert message in ended["message"]
    assert not (tmp_path / "model.onnx").exists()
    assert not (tmp_path / "models" / manifest.NAME).exists()


def test_a_link_in_a_zip_is_refused(fetch: Fetch) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        info = zipfile.ZipInfo("model.onnx")
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "/etc/passwd")
    assert "a link" in fetch("m.zip", stream.getvalue())[1]["message"]


BOMB = bytes(100 << 20)


@pytest.mark.parametrize(
    ("name", "content"), [("m.zip", zipped({"model.onnx": BOMB})), ("m.tar.gz", tar({"model.onnx": BOMB}))]
)
def test_an_archive_that_grows_too_much_is_stopped(fetch: Fetch, tmp_path: Path, name: str, content: bytes) -> None:
    _, ended = fetch(name, content)
    assert (ended["reason"], "200 times" in ended["message"]) == ("ArtifactTooLarge", True)
    _, ended = fetch(name, content, max_model_bytes="1Mi")
    assert (ended["reason"], "the limit is 1.0 MiB" in ended["message"]) == ("ArtifactTooLarge", True)


def test_an_archive_of_too_many_files_is_stopped(fetch: Fetch) -> None:
    _, ended = fetch("m.zip", zipped({f"f{number}": b"" for number in range(10_001)}))
    assert (ended["reason"], "the limit is 10000" in ended["message"]) == ("ArtifactTooLarge", True)


def test_a_pickle_in_an_archive_is_refused(fetch: Fetch) -> None:
    _, ended = fetch("m.zip", zipped({"model.pkl": b"\x80\x04."}), model_format="sklearn")
    assert ended["reason"] == "UntrustedFormat"


def test_the_pin_is_on_the_archive_and_looked_at_before_it_is_opened(fetch: Fetch) -> None:
    _, ended = fetch("m.tar.gz", b"no archive", digest="sha256:" + "0" * 64)
    assert ended["reason"] == "DigestMismatch"
