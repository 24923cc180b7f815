"""Files that are not what they should be: the words and reasons that all loaders share. Pure."""

from modelway_runtime.reasons import Failure, Reason

_LONGEST = 300
PACK = "`modelway-runtime pack PATH --requirements FILE` writes its Dockerfile"
"""How to come by an image that has a model's packages."""


def foreign(name: str, kind: str) -> Failure:
    """The file is of another format."""
    return Failure(Reason.FORMAT_MISMATCH, f"{name} is not {kind}")


def empty(name: str) -> Failure:
    """The file has no bytes: an upload that failed."""
    return Failure(Reason.MODEL_LOAD_FAILED, f"{name} is empty")


def cut(name: str) -> Failure:
    """The file ends too early."""
    return Failure(Reason.MODEL_LOAD_FAILED, f"{name} is cut off")


def broken(name: str, error: BaseException | str) -> Failure:
    """The format's library cannot open the file; only its first words, without its stack and our paths."""
    if isinstance(error, ModuleNotFoundError):
        message = f"{name} needs the module {error.name}, which this runtime lacks; use an image that has it ({PACK})"
        return Failure(Reason.MODEL_LOAD_FAILED, message)
    text = str(error).partition("Stack trace")[0]
    kind = "" if isinstance(error, str) else f"{type(error).__name__}: "
    return Failure(Reason.MODEL_LOAD_FAILED, f"{name} cannot be loaded: {kind}{' '.join(text.split())[:_LONGEST]}")
