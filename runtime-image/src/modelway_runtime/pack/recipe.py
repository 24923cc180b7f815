"""`modelway-runtime pack PATH --requirements FILE`: the recipe of an image that has a model's packages.

The build ends where the image could not load the model: other bytes, other versions, a missing module.
"""

import re
import shutil
from importlib import metadata
from pathlib import Path

from modelway_runtime import __version__, digest
from modelway_runtime.digest import File
from modelway_runtime.reasons import Reason, UsageError
from modelway_runtime.settings import Environ
from modelway_runtime.termination import Outcome

BASE = f"localhost/modelway-runtime:{__version__}"
"""The image as `make images` calls it, and the chart."""

_PINNED = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)(\[[^]]*\])?\s*===?\s*[\w.!+-]+\s*(;.*)?")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_OF_MODELS = {"joblib", "lightgbm", "numpy", "pandas", "scikit-learn", "xgboost-cpu"}
"""Packages of the runtime that a model may want in other versions. The server's own are kept, for their security."""
_SAME_MODULE = {"xgboost": "xgboost-cpu", "mlflow": "mlflow-skinny"}
_PYTHON = "/opt/modelway/bin/python"


def run(path: Path, requirements: Path, model_format: str, environ: Environ) -> Outcome:
    """Writes the context of a build and prints how to go on."""
    output = Path(environ.get("MODELWAY_OUTPUT") or f"{path.resolve().stem}-image")
    if output.exists():
        raise UsageError(f"{output} exists; take it away, or write elsewhere with --output DIR")
    lines = requirements.read_text(encoding="utf-8").splitlines()
    names = pinned(str(requirements), lines)
    found, files = digest.of_path(path)
    output.mkdir(parents=True)
    (output / "requirements.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (output / "constraints.txt").write_text(constraints(), encoding="utf-8")
    copy(path, files, output / "model")
    base = environ.get("MODELWAY_BASE_IMAGE") or BASE
    model = "model" if path.is_dir() else f"model/{path.name}"
    text = dockerfile(base=base, names=names, model=model, model_format=model_format, found=found)
    (output / "Dockerfile").write_text(text, encoding="utf-8")
    print(
        f"Wrote {output}. Build it, push it, and name it in the ModelDeployment as spec.runtime.image:\n\n"
        f"docker build --tag REGISTRY/NAME:TAG {output}\n"
        "docker push REGISTRY/NAME:TAG"
    )
    return Outcome(reason=Reason.COMPLETED, message="Packed", digest=found, size=sum(file.size for file in files))


def pinned(where: str, lines: list[str]) -> tuple[str, ...]:
    """The names of the requirements, each pinned to one version; raises UsageError with the line that is not."""
    names = []
    for number, line in enumerate(_whole(lines), 1):
        text = re.sub(r"\s--hash=\S+", "", re.sub(r"(^|\s)#.*", "", line)).strip()
        if not text:
            continue
        match = _PINNED.fullmatch(text)
        if match is None:
            way = "write NAME==VERSION, as `pip freeze` does, so that the same image comes of it tomorrow"
            raise UsageError(f"{where}, requirement {number}, pins no version: {text[:80]}; {way}")
        names.append(_normal(match["name"]))
    if not names:
        raise UsageError(f"{where} names no packages")
    return tuple(names)


def _whole(lines: list[str]) -> list[str]:
    """Lines that go on behind a backslash, as those with hashes do, put together."""
    return re.sub(r"\\\s*\n", " ", "\n".join(lines)).splitlines()


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def constraints() -> str:
    """What the server itself needs, in pip's words; a requirement that contradicts it ends the build."""
    needed = [text for text in metadata.requires("modelway-runtime") or () if "extra ==" not in text]
    kept = [text for text in needed if _normal(_name(text)) not in _OF_MODELS]
    return "".join(f"{text}\n" for text in sorted(kept))


def _name(requirement: str) -> str:
    match = _NAME.match(requirement)
    return match[0] if match else ""


def copy(path: Path, files: tuple[File, ...], folder: Path) -> None:
    """The model's files, readable for the user that the image runs as."""
    root = path if path.is_dir() else path.parent
    for file in files:
        target = folder / file.path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(root / file.path, target)


def dockerfile(*, base: str, names: tuple[str, ...], model: str, model_format: str, found: str) -> str:
    """The recipe. Docker (BuildKit) and buildah build it alike."""
    replaced = [other for name, other in _SAME_MODULE.items() if name in names]
    uninstall = f" && /tmp/pip/bin/pip --python {_PYTHON} uninstall --yes {' '.join(replaced)} \\\n" if replaced else ""
    return f"""\
# Modelway's serving runtime with the packages of one model, written by `modelway-runtime pack`. The model itself is not
# in the image: a pod fetches it. Name BASE_IMAGE by its digest (…@sha256:…) to build the same image again.
ARG BASE_IMAGE={base}
FROM ${{BASE_IMAGE}}
USER 0
RUN --mount=type=bind,target=/packed \\
    {_PYTHON} -m venv /tmp/pip \\
{uninstall} && /tmp/pip/bin/pip --python {_PYTHON} install --no-cache-dir \\
    --requirement /packed/requirements.txt --constraint /packed/constraints.txt \\
 && rm -rf /tmp/pip
USER 65532:65532
# What could not be loaded by a pod ends the build: other bytes, another version, a module that is missing.
RUN --mount=type=bind,target=/packed \\
    test "$(modelway-runtime digest /packed/{model})" = {found} \\
 && modelway-runtime check /packed/{model} --format {model_format} --trust Any
LABEL io.modelway.model.digest={found} io.modelway.model.format={model_format}
"""
