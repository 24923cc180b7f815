"""The formats: which file holds a model, and which files run code when they are opened. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

from modelway_runtime.reasons import Failure, Reason


@dataclass(frozen=True, slots=True)
class Candidate:
    """A file that may hold a model; one that can run code needs `trust: Any`."""

    name: str
    is_safe: bool = True

    @property
    def suffix(self) -> str:
        """`.onnx` of `model.onnx`."""
        return PurePosixPath(self.name).suffix


FORMATS: dict[str, tuple[Candidate, ...]] = {
    "onnx": (Candidate("model.onnx"),),
    "sklearn": (
        Candidate("model.skops"),
        Candidate("model.joblib", is_safe=False),
        Candidate("model.pkl", is_safe=False),
    ),
}
"""Each format's files in the order in which they are looked for."""


@dataclass(frozen=True, slots=True)
class Found:
    """The file of a folder that holds the model."""

    format: str
    path: str
    is_safe: bool


def find(paths: Iterable[str], model_format: str) -> Found:
    """The model's file among a folder's files.

    The names of the table come first, in order; then the only file at the top with one of their suffixes.
    A format that the table lacks has no rule: its only file, or the folder.
    """
    top = sorted(path for path in paths if "/" not in path)
    candidates = FORMATS.get(model_format)
    if candidates is None:
        return Found(model_format, top[0] if len(top) == 1 else "", is_safe=True)
    for candidate in candidates:
        if candidate.name in top:
            return Found(model_format, candidate.name, candidate.is_safe)
    for candidate in candidates:
        matching = [path for path in top if PurePosixPath(path).suffix == candidate.suffix]
        if len(matching) == 1:
            return Found(model_format, matching[0], candidate.is_safe)
    wanted = " or ".join(candidate.name for candidate in candidates)
    shown = ", ".join(top[:5]) + (", …" if len(top) > 5 else "") if top else "no file at its top"
    raise Failure(Reason.FORMAT_MISMATCH, f"Format {model_format} needs a file {wanted}; the model has {shown}")


def guess(paths: Iterable[str]) -> str:
    """The format of a folder or a file, from its names alone."""
    paths = tuple(paths)
    for model_format in FORMATS:
        try:
            find(paths, model_format)
        except Failure:
            continue
        return model_format
    known = ", ".join(candidate.name for candidates in FORMATS.values() for candidate in candidates)
    raise Failure(Reason.UNSUPPORTED_FORMAT, f"No known model file; looked for {known}")


def check_trust(found: Found, trust: str) -> None:
    """Refuses a file that can run code, unless the user allowed it."""
    if found.is_safe or trust == "Any":
        return
    message = (
        f"{found.path} is a pickle, which can run any code when it is opened; "
        f"save the model as model.skops or ONNX, or set trust to Any if you trust its source"
    )
    raise Failure(Reason.UNTRUSTED_FORMAT, message)
