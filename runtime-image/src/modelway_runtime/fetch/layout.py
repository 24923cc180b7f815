"""Puts a fetched model where a foreign server looks for it: a folder of its own, with links to the files."""

import os
import re
import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path, PurePosixPath

from modelway_runtime import digest
from modelway_runtime.manifest import Manifest

FOLDER = f"{digest.OWN_FOLDER}/layout"
"""Below the model's volume; the server sees nothing else of it."""

_VERSION = re.compile("[0-9]+")
_CONFIG = "config.pbtxt"
_TRITON_SUFFIXES = (".onnx", ".pt", ".plan", ".graphdef")
"""Of a lone file that Triton looks for as `model` and this ending."""


def arrange(brought: Manifest, volume: Path, layout: str, name: str) -> None:
    """Links every file of the model to its place in the layout, anew each time.

    A hard link holds where only the layout is mounted, too. Files of a claim lie on another volume, which the server
    has at the same place: those are linked by name.
    """
    folder = volume / FOLDER
    is_copied = brought.root == volume.absolute()
    shutil.rmtree(folder, ignore_errors=True)
    for path, place in LAYOUTS[layout](brought.paths, name).items():
        link = folder / place
        link.parent.mkdir(parents=True, exist_ok=True)
        if is_copied:
            os.link(brought.root / path, link)
        else:
            link.symlink_to(brought.root / path)


def _triton(paths: Iterable[str], name: str) -> Mapping[str, str]:
    """A model repository: as it is, or one made of the folder of one model, or of a model's bare files."""
    found = tuple(paths)
    if _has_versions(found, 1):
        return {path: path for path in found}
    if _has_versions(found, 0) or _CONFIG in found:
        return {path: f"{name}/{path}" for path in found}
    if "saved_model.pb" in found:
        return {path: f"{name}/1/model.savedmodel/{path}" for path in found}
    return {path: f"{name}/1/{_known(path, found)}" for path in found}


def _known(path: str, paths: tuple[str, ...]) -> str:
    """The name that Triton looks for, of the only file with one of its endings."""
    suffix = PurePosixPath(path).suffix
    of_models = [other for other in paths if PurePosixPath(other).suffix in _TRITON_SUFFIXES]
    return f"model{suffix}" if of_models == [path] and "/" not in path else path


def _tensorflow(paths: Iterable[str], name: str) -> Mapping[str, str]:
    """Folders by version below one of the model's name; a bare SavedModel is version 1."""
    found = tuple(paths)
    version = "" if _has_versions(found, 0) else "1/"
    return {path: f"{name}/{version}{path}" for path in found}


def _has_versions(paths: Iterable[str], depth: int) -> bool:
    """Whether files lie in folders that are numbers, below so many others."""
    parts = (PurePosixPath(path).parts for path in paths)
    return any(len(found) > depth + 1 and _VERSION.fullmatch(found[depth]) for found in parts)


LAYOUTS: Mapping[str, Callable[[Iterable[str], str], Mapping[str, str]]] = {
    "TritonRepository": _triton,
    "TensorFlowServing": _tensorflow,
}
"""Where the files go, by the runtime's `model.layout`; `Plain` needs no links."""
