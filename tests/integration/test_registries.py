"""Fetching from a real OCI registry: ORAS files, ModelPack and KitOps layers, images, and who may read them."""

import base64
import io
import json
import tarfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from random import Random
from typing import Any

import pytest

from modelway_runtime import manifest
from modelway_runtime.__main__ import main
from modelway_runtime.fetch import oci
from modelway_runtime.fetch.source import WHOLE
from stores import registry, tokens
from stores.registry import Layer, Registry
from stores.tokens import Tokens

MODEL = Random(7).randbytes(40 << 20)
Fetch = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture(scope="module")
def public(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A registry for everybody."""
    with registry.running(tmp_path_factory.mktemp("registry"), {}) as held:
        yield held


@pytest.fixture(scope="module")
def private(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A registry for one user."""
    with registry.private(tmp_path_factory.mktemp("registry")) as held:
        held.push("acme/fraud", "1", [Layer("model.onnx", b"model")])
        yield held


@pytest.fixture
def fetch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fetch:
    """Runs the command as the init container does; gives the exit status and the termination message."""
    log = tmp_path / "termination-log"

    def run(uri: str, environment: Mapping[str, str] | None = None, **flags: str) -> tuple[int, dict[str, Any]]:
        log.write_text("")
        own = {
            "MODELWAY_MODEL_FORMAT": "onnx",
            "MODELWAY_MODEL_PATH": str(tmp_path / "models"),
            "MODELWAY_TERMINATION_LOG": str(log),
        }
        for name, value in (own | dict(environment or {})).items():
            monkeypatch.setenv(name, value)
        given = [text for name, value in flags.items() for text in (f"--{name.replace('_', '-')}", value)]
        return main(["fetch", "--uri", uri, "--retry", "0s", *given]), json.loads(log.read_text())

    return run


def _tar(files: Mapping[str, bytes], mode: str) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return stream.getvalue()


def test_files_with_titles_come_with_the_manifests_digest(fetch: Fetch, public: Registry, tmp_path: Path) -> None:
    pushed = public.push("acme/fraud", "1", [Layer("model.onnx", MODEL), Layer("extra/labels.txt", b"labels")])
    status, ended = fetch(f"oci://{public.host}/acme/fraud:1")
    assert (status, ended["digest"], ended["bytes"]) == (0, pushed, len(MODEL) + 6)
    assert sorted(manifest.read(tmp_path / "models").paths) == ["extra/labels.txt", "model.onnx"]
    assert (tmp_path / "models/model.onnx").read_bytes() == MODEL
    assert pushed in ended["message"]


def test_a_digest_names_the_manifest_whatever_the_tag_became(fetch: Fetch, public: Registry) -> None:
    first = public.push("acme/moved", "1", [Layer("model.onnx", b"first")])
    public.push("acme/moved", "1", [Layer("model.onnx", b"second")])
    _, ended = fetch(f"oci://{public.host}/acme/moved:1@{first}")
    assert (ended["digest"], ended["bytes"]) == (first, 5)
    assert fetch(f"oci://{public.host}/acme/moved:1", digest=first)[1]["reason"] == "DigestMismatch"


FOLDER = {"model.onnx": b"model", "extra/labels.txt": b"labels"}
PACKED = [
    pytest.param(
        Layer(
            "fraud",
            _tar({f"fraud/{name}": content for name, content in FOLDER.items()}, "w:gz"),
            "application/vnd.oci.image.layer.v1.tar+gzip",
            (("io.deis.oras.content.unpack", "true"),),
        ),
        id="a folder of oras",
    ),
    pytest.param(
        Layer(
            "",
            _tar(FOLDER, "w"),
            "application/vnd.cncf.model.weight.v1.tar",
            (("org.cncf.model.filepath", "model"),),
        ),
        id="ModelPack",
    ),
    pytest.param(Layer("", _tar(FOLDER, "w:gz"), "application/vnd.kitops.modelkit.model.v1.tar+gzip"), id="KitOps"),
    pytest.param(
        Layer("", _tar(FOLDER, "w:gz"), "application/vnd.docker.image.rootfs.diff.tar.gzip"), id="a layer of an image"
    ),
]


@pytest.mark.parametrize("layer", PACKED)
def test_packed_layers_are_unpacked(fetch: Fetch, public: Registry, tmp_path: Path, layer: Layer) -> None:
    pushed = public.push("acme/packed", "1", [layer])
    status, ended = fetch(f"oci://{public.host}/acme/packed:1")
    assert (status, ended["digest"], ended["bytes"]) == (0, pushed, 11)
    assert (tmp_path / "models/model.onnx").read_bytes() == b"model"
    assert (tmp_path / "models/extra/labels.txt").read_bytes() == b"labels"


def test_a_layer_of_modelpack_may_be_the_file_itself(fetch: Fetch, public: Registry, tmp_path: Path) -> None:
    path = (("org.cncf.model.filepath", "model.onnx"),)
    public.push("acme/raw", "1", [Layer("", b"model", "application/vnd.cncf.model.weight.v1.raw", path)])
    fetch(f"oci://{public.host}/acme/raw:1")
    assert (tmp_path / "models/model.onnx").read_bytes() == b"model"


def test_a_file_that_oras_pushed_without_a_type_is_no_tar(fetch: Fetch, public: Registry, tmp_path: Path) -> None:
    public.push("acme/plain", "1", [Layer("model.onnx", b"model", "application/vnd.oci.image.layer.v1.tar")])
    assert fetch(f"oci://{public.host}/acme/plain:1")[0] == 0
    assert (tmp_path / "models/model.onnx").read_bytes() == b"model"


def test_a_packed_folder_beside_files_keeps_its_name(fetch: Fetch, public: Registry, tmp_path: Path) -> None:
    kind, note = "application/vnd.oci.image.layer.v1.tar+gzip", (("io.deis.oras.content.unpack", "true"),)
    folder = Layer("variables", _tar({"variables/variables.index": b"index"}, "w:gz"), kind, note)
    public.push("acme/beside", "1", [Layer("model.onnx", b"model"), folder])
    assert fetch(f"oci://{public.host}/acme/beside:1")[0] == 0
    assert (tmp_path / "models/variables/variables.index").read_bytes() == b"index"


def test_a_later_layer_of_an_image_takes_the_place_of_an_earlier(
    fetch: Fetch, public: Registry, tmp_path: Path
) -> None:
    kind = "application/vnd.oci.image.layer.v1.tar+gzip"
    layers = [Layer("", _tar({"model.onnx": content}, "w:gz"), kind) for content in (b"earlier", b"later")]
    public.push("acme/layers", "1", layers)
    assert fetch(f"oci://{public.host}/acme/layers:1")[1]["bytes"] == 5
    manifest.verify(manifest.read(tmp_path / "models"))


def test_an_archive_alone_is_unpacked(fetch: Fetch, public: Registry, tmp_path: Path) -> None:
    pushed = public.push("acme/archive", "1", [Layer("fraud.tar.gz", _tar(FOLDER, "w:gz"))])
    _, ended = fetch(f"oci://{public.host}/acme/archive:1")
    assert (ended["digest"], ended["bytes"]) == (pushed, 11)
    assert (tmp_path / "models/model.onnx").read_bytes() == b"model"


def test_an_index_of_one_artifact_is_that_artifact(fetch: Fetch, public: Registry) -> None:
    digests = [public.push("acme/index", str(number), [Layer("model.onnx", b"%d" % number)]) for number in (1, 2)]
    items = [{"mediaType": registry.MANIFEST, "digest": digest, "size": 1} for digest in digests]
    whole = {"schemaVersion": 2, "mediaType": registry.INDEX, "manifests": items[:1]}
    pushed = public.put("acme/index", "one", whole)
    assert fetch(f"oci://{public.host}/acme/index:one")[1]["digest"] == pushed
    public.put("acme/index", "two", whole | {"manifests": items})
    _, ended = fetch(f"oci://{public.host}/acme/index:two")
    assert (ended["reason"], "index of 2 manifests" in ended["message"]) == ("FormatMismatch", True)


@pytest.mark.parametrize("title", ["../model.onnx", "a/../../model.onnx"])
def test_a_title_that_leads_out_of_the_folder_is_refused(fetch: Fetch, public: Registry, title: str) -> None:
    public.push("acme/unsafe", "1", [Layer(title, b"model")])
    assert fetch(f"oci://{public.host}/acme/unsafe:1")[1]["reason"] == "FormatMismatch"


@pytest.mark.parametrize("path", ["acme/nothing:1", "acme/fraud:nothing", "Acme/fraud:1", "acme/fraud@sha256:12", ""])
def test_an_empty_place_is_told(fetch: Fetch, public: Registry, path: str) -> None:
    assert fetch(f"oci://{public.host}/{path}")[1]["reason"] == "ArtifactNotFound"


def _config(host: str, entry: Mapping[str, str]) -> str:
    return json.dumps({"auths": {"other.example": {"auth": "b3RoZXI6b3RoZXI="}, host: entry}})


AUTH = base64.b64encode(f"{registry.USER}:{registry.PASSWORD}".encode()).decode()


@pytest.mark.parametrize(
    "secret",
    [
        pytest.param(lambda host: {".dockerconfigjson": _config(host, {"auth": AUTH})}, id="as kubectl makes it"),
        pytest.param(
            lambda host: {
                "DOCKER_CONFIG_JSON": _config(
                    f"https://{host}/v1/", {"username": registry.USER, "password": registry.PASSWORD}
                )
            },
            id="by another name",
        ),
        pytest.param(
            lambda _: {"OCI_USERNAME": registry.USER, "OCI_PASSWORD": f"{registry.PASSWORD}\n"}, id="user and password"
        ),
    ],
)
def test_a_private_registry_is_told_who_asks(
    fetch: Fetch, private: Registry, capfd: pytest.CaptureFixture[str], secret: Callable[[str], Mapping[str, str]]
) -> None:
    status, ended = fetch(f"oci://{private.host}/acme/fraud:1", secret(private.host))
    assert (status, ended["bytes"]) == (0, 5)
    said = capfd.readouterr().err + ended["message"]
    assert registry.PASSWORD not in said
    assert AUTH not in said


@pytest.mark.parametrize(
    "secret",
    [{}, {"OCI_USERNAME": "reader", "OCI_PASSWORD": "wrong"}, {".dockerconfigjson": "{"}],
    ids=["nobody", "wrong password", "no configuration"],
)
def test_others_are_denied(fetch: Fetch, private: Registry, secret: Mapping[str, str]) -> None:
    assert fetch(f"oci://{private.host}/acme/fraud:1", secret)[1]["reason"] == "CredentialsDenied"


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[tuple[Registry, Tokens]]:
    """A registry that wants a token of a service, as the public ones do."""
    with tokens.running(tmp_path) as (service, settings), registry.running(tmp_path / "registry", settings) as held:
        writer = Registry(held.port, f"Bearer {service.token('repository:acme/fraud:pull,push', ['pull', 'push'])}")
        writer.push("acme/fraud", "1", [Layer("model.onnx", MODEL)])
        yield held, service


def test_a_token_is_asked_for_once_and_used_for_all(
    fetch: Fetch, guarded: tuple[Registry, Tokens], capfd: pytest.CaptureFixture[str]
) -> None:
    held, service = guarded
    secret = {"OCI_USERNAME": registry.USER, "OCI_PASSWORD": registry.PASSWORD}
    status, ended = fetch(f"oci://{held.host}/acme/fraud:1", secret)
    assert (status, ended["bytes"]) == (0, len(MODEL))
    assert service.asked == ["repository:acme/fraud:pull"]
    assert "eyJ" not in capfd.readouterr().err


def test_a_token_that_ended_is_asked_for_again(
    guarded: tuple[Registry, Tokens], monkeypatch: pytest.MonkeyPatch
) -> None:
    held, service = guarded
    monkeypatch.setenv("OCI_USERNAME", registry.USER)
    monkeypatch.setenv("OCI_PASSWORD", registry.PASSWORD)
    artifact = oci.source(f"oci://{held.host}/acme/fraud:1", "onnx")
    (layer,) = artifact.listing().entries
    # A registry allows a minute of difference between clocks.
    ended = service.token("repository:acme/fraud:pull", ["pull"], seconds=-120)
    monkeypatch.setattr(artifact.repository, "authorization", f"Bearer {ended}")
    assert b"".join(artifact.read(layer, WHOLE, "").pieces) == MODEL
    assert len(service.asked) == 2


def test_a_stranger_gets_a_token_that_opens_nothing(fetch: Fetch, guarded: tuple[Registry, Tokens]) -> None:
    held, _ = guarded
    assert fetch(f"oci://{held.host}/acme/fraud:1")[1]["reason"] == "CredentialsDenied"
