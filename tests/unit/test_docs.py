"""The documents: manifests parse, commands exist, links lead somewhere."""

import itertools
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from modelway.api import ClusterModelRuntime, ModelDeployment, ModelRuntime
from modelway.api.rules import Struct
from modelway.cli import arguments
from modelway_runtime.__main__ import parser as runtime_parser

REPOSITORY = Path(__file__).parents[2]
GENERATED = REPOSITORY / "docs" / "reference"
PAGES = (*sorted(REPOSITORY.glob("*.md")), *sorted((REPOSITORY / "docs").rglob("*.md")))
WRITTEN = tuple(page for page in PAGES if page.parent != GENERATED)
TYPES: dict[str, type[Struct]] = {
    "ModelDeployment": ModelDeployment,
    "ModelRuntime": ModelRuntime,
    "ClusterModelRuntime": ClusterModelRuntime,
}
FRAGMENT = {"apiVersion": "serving.modelway.io/v1alpha1", "kind": "ModelDeployment", "metadata": {"name": "fraud"}}
MODEL = {"uri": "s3://models/fraud/1", "format": "onnx"}

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INDENTED = re.compile(r"(?<=\n\n)((?: {4}\S.*\n)(?: {4}.*\n|\n)*)")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
_INLINE = re.compile(r"`([^`\n]+)`")
_MACHINE_PATH = re.compile(r"(?<![\w.])/(?:home|root|work|Users)/")


def _name(page: Path) -> str:
    return str(page.relative_to(REPOSITORY))


def _blocks(page: Path, language: str) -> Iterator[str]:
    yield from (body for found, body in _FENCE.findall(page.read_text(encoding="utf-8")) if found == language)


def _commands(page: Path) -> Iterator[str]:
    """Shell lines of a page: indented blocks, `sh` blocks, and code in the text; continued lines are joined."""
    text = page.read_text(encoding="utf-8")
    shown = [body for language, body in _FENCE.findall(text) if language in ("sh", "console")]
    prose = _FENCE.sub("", text)
    shown += _INDENTED.findall(prose)
    lines = "\n".join(shown).replace("\\\n", " ").splitlines()
    yield from (line.strip().removeprefix("$ ") for line in lines)
    yield from _INLINE.findall(prose)


def _words(page: Path, program: str) -> Iterator[list[str]]:
    """The arguments of every call of a program, without comments and what it is piped into."""
    for line in _commands(page):
        if not line.startswith(f"{program} ") or "…" in line:
            continue
        words = shlex.split(line.removeprefix(program), comments=True)
        end = next((index for index, word in enumerate(words) if word in ("|", "&", "&&", ">")), len(words))
        if "--help" not in words:
            yield words[:end]


def _manifests() -> Iterator[Any]:
    for page in PAGES:
        for number, block in enumerate(_blocks(page, "yaml")):
            for part, manifest in enumerate(yaml.safe_load_all(block)):
                yield pytest.param(manifest, id=f"{_name(page)}-{number}-{part}")


@pytest.mark.parametrize("manifest", list(_manifests()))
def test_a_manifest_in_a_document_is_valid(manifest: dict[str, Any]) -> None:
    if "kind" not in manifest:
        spec = {"model": MODEL} | manifest["spec"]
        manifest = FRAGMENT | {"spec": spec | {"model": MODEL | spec["model"]}}
    assert manifest["metadata"]["name"]
    if manifest["kind"] in TYPES:
        TYPES[manifest["kind"]].model_validate(manifest)


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_links_lead_to_files_and_headings_that_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for link in _LINK.findall(_FENCE.sub("", text)):
        if link.startswith(("https://", "http://")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path) if path else page
        assert target.exists(), link
        if anchor:
            headings = _HEADING.findall(_FENCE.sub("", target.read_text(encoding="utf-8")))
            assert anchor in {_anchor(heading) for heading in headings}, link


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", WRITTEN, ids=_name)
def test_make_targets_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for words in _words(page, "make"):
        assert {word for word in words if re.fullmatch(r"[a-z-]{2,}", word)} <= targets, words


@pytest.mark.parametrize("page", WRITTEN, ids=_name)
@pytest.mark.parametrize("program", ["modelway", "kubectl modelway"])
def test_commands_are_understood_by_the_command_line(page: Path, program: str) -> None:
    for words in _words(page, program):
        arguments.parse(program, _filled(words))


@pytest.mark.parametrize("page", WRITTEN, ids=_name)
def test_commands_are_understood_by_the_runtime(page: Path) -> None:
    for words in _words(page, "modelway-runtime"):
        runtime_parser().parse_args(_filled(words))


def _filled(words: list[str]) -> list[str]:
    """A command that is named without its arguments gets one; N stands for a number."""
    filled = ["1" if word == "N" else word for word in words]
    return [*filled, "fraud"] if filled[1:] in ([], ["--full"], ["--wait"]) and filled[0] != "status" else filled


@pytest.mark.parametrize("page", WRITTEN, ids=_name)
def test_chart_values_exist(page: Path) -> None:
    values = yaml.safe_load((REPOSITORY / "charts/modelway/values.yaml").read_text(encoding="utf-8"))
    for words in _words(page, "helm"):
        for flag, value in itertools.pairwise(words):
            if flag in ("--set", "--set-string"):
                assert _has(values, re.split(r"[=\[]", value)[0]), value


def _has(values: Any, path: str) -> bool:
    for part in path.split("."):
        if not isinstance(values, dict) or (values and part not in values):
            return False
        values = values.get(part)
    return True


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_no_path_of_somebody_s_machine_is_in_a_document(page: Path) -> None:
    assert not _MACHINE_PATH.search(page.read_text(encoding="utf-8"))


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached, waiting = set(), [REPOSITORY / "README.md"]
    while waiting:
        page = waiting.pop().resolve()
        if page in reached or page.suffix != ".md":
            continue
        reached.add(page)
        links = (link.partition("#")[0] for link in _LINK.findall(page.read_text(encoding="utf-8")))
        waiting += [page.parent / link for link in links if link and "://" not in link]
    assert {_name(page) for page in PAGES if page.is_relative_to(REPOSITORY / "docs")} <= {
        _name(page) for page in reached
    }
