"""The formats: which file holds a model, and which files run code when they are opened. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

from modelway_runtime.reasons import Failure, Reason

PICKLE = (
    "a pickle, which can run any code when it is opened; where you trust it, make model.skops or ONNX of it with "
    "`modelway-runtime convert {path} --to skops --check DATA.csv`"
)
TORCH = "a program of PyTorch; export the model to ONNX"
KERAS = "a Keras file, whose layers may hold any code; save the model as a SavedModel or ONNX"
CODE = "Python code, which runs when it is loaded; export the model to ONNX"
"""What needs trust, and the way out."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A file that may hold a model.

    `risk`: what it is and what to write instead, where opening it can run code; it needs trust then.
    `is_telling`: its ending alone tells the format; `.json` and `.txt` are everybody's.
    """

    name: str
    risk: str = ""
    is_telling: bool = True
    with_file: str = ""
    """Another file that must lie beside it."""

    @property
    def suffix(self) -> str:
        """`.onnx` of `model.onnx`."""
        return PurePosixPath(self.name).suffix


FORMATS: dict[str, tuple[Candidate, ...]] = {
    # Before the others, whose files lie in its folder; whether it needs trust stands in the file.
    "mlflow": (Candidate("MLmodel", is_telling=False),),
    "onnx": (Candidate("model.onnx"),),
    "sklearn": (
        Candidate("model.skops"),
        Candidate("model.joblib", PICKLE),
        Candidate("model.pkl", PICKLE),
    ),
    "xgboost": (Candidate("model.json", is_telling=False), Candidate("model.ubj")),
    "lightgbm": (Candidate("model.txt", is_telling=False),),
    "torch": (
        Candidate("model.pt2", TORCH),
        Candidate("model.pt", TORCH),
        Candidate("model.safetensors", CODE, with_file="model.py"),
    ),
    "tensorflow": (
        Candidate("saved_model.pb"),
        Candidate("model.keras", KERAS),
        Candidate("model.h5", KERAS),
    ),
    # After those that may have code beside their file.
    "python": (Candidate("model.py", CODE, is_telling=False),),
}
"""Each format's files in the order in which they are looked for."""


@dataclass(frozen=True, slots=True)
class Found:
    """The file of a folder that holds the model."""

    format: str
    path: str
    risk: str = ""


def find(paths: Iterable[str], model_format: str) -> Found:
    """The model's file among a folder's files.

    The names of the table come first, in order; then the only file at the top with one of their suffixes.
    A format that the table lacks has no rule: its only file, or the folder.
    """
    top = sorted(path for path in paths if "/" not in path)
    candidates = FORMATS.get(model_format)
    if candidates is None:
        return Found(model_format, top[0] if len(top) == 1 else "")
    for candidate in candidates:
        if candidate.name in top and candidate.with_file in ("", *top):
            return Found(model_format, candidate.name, candidate.risk)
    for candidate in candidates:
        matching = [path for path in top if PurePosixPath(path).suffix == candidate.suffix]
        if len(matching) == 1 and candidate.suffix and candidate.with_file in ("", *top):
            return Found(model_format, matching[0], candidate.risk)
    wanted = " or ".join(candidate.name for candidate in candidates)
    shown = ", ".join(top[:5]) + (", …" if len(top) > 5 else "") if top else "no file at its top"
    raise Failure(Reason.FORMAT_MISMATCH, f"Format {model_format} needs a file {wanted}; the model has {shown}")


def guess(paths: Iterable[str]) -> str:
    """The format of a folder or a file, from its names alone: those of the table first, then telling endings."""
    top = {path for path in paths if "/" not in path}
    suffixes = {PurePosixPath(path).suffix for path in top}
    for model_format, candidates in FORMATS.items():
        if any(candidate.name in top and candidate.with_file in ("", *top) for candidate in candidates):
            return model_format
    for model_format, candidates in FORMATS.items():
        if any(candidate.is_telling and candidate.suffix in suffixes for candidate in candidates):
            return model_format
    known = ", ".join(candidate.name for candidates in FORMATS.values() for candidate in candidates)
    raise Failure(Reason.UNSUPPORTED_FORMAT, f"No known model file; looked for {known}")


def check_trust(found: Found, trust: str) -> None:
    """Refuses a file that can run code, unless the user allowed it."""
    if not found.risk or trust != "Safe":
        return
    risk = found.risk.replace("{path}", found.path)
    message = f"{found.path} is {risk}, or set trust to Any if you trust its source, or Signed if it is signed"
    raise Failure(Reason.UNTRUSTED_FORMAT, message)
