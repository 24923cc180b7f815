"""What a loader gets, and how one is found for a format."""

import importlib
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from modelway_runtime import formats, registry
from modelway_runtime.manifest import Manifest
from modelway_runtime.protocol.tensors import Model
from modelway_runtime.reasons import Failure, Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """A checked model on disk: its file, the folder around it, and how it may be opened."""

    root: Path
    file: Path
    trust: str
    threads: int
    options: Mapping[str, object]


# onnxruntime since 1.29 reports models and their use to its maker unless this is set before its import.
_PRIVACY = {"ORT_DISABLE_TELEMETRY": "1"}

Loader: TypeAlias = Callable[[Artifact], Model]


def keep_quiet() -> None:
    """The libraries' settings, which must stand before they are imported."""
    os.environ.update(_PRIVACY)


def find(model_format: str) -> Loader:
    """The loader of a format; its library is imported here."""
    keep_quiet()
    try:
        loader: Loader | None = registry.find(registry.LOADERS, model_format)
    except ModuleNotFoundError as error:
        message = f"Format {model_format} needs the module {error.name}, which this image lacks; use one that has it"
        raise Failure(Reason.UNSUPPORTED_FORMAT, message) from error
    if loader is None:
        known = ", ".join(registry.names(registry.LOADERS))
        raise Failure(Reason.UNSUPPORTED_FORMAT, f"Format {model_format!r} has no loader here; there are {known}")
    return loader


def library(model_format: str, found: Manifest) -> str:
    """The format whose library runs the model, which for MLflow is that of the file inside; empty if it is not clear.

    What is wrong with the files is told when the model is opened.
    """
    with suppress(Failure):
        model_format = model_format or formats.guess(found.paths)
        if model_format != "mlflow":
            return model_format
        mlflow = importlib.import_module("modelway_runtime.loaders.mlflow")
        inside: str = mlflow.inside(found.root / formats.find(found.paths, model_format).path)
        return inside
    return ""
