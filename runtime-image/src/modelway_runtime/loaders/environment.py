"""The versions that a model was saved with, beside those of this image. Pure."""

from collections.abc import Mapping

from modelway_runtime.reasons import Failure, Reason

OPTION, IGNORE = "versions", "Ignore"


def check(name: str, library: str, saved: str, present: str, options: Mapping[str, object]) -> None:
    """Refuses a model of another minor version: it may load and answer something else. Patches are taken."""
    if options.get(OPTION) == IGNORE or _minor(saved) == _minor(present):
        return
    message = (
        f"{name} was saved with {library} {saved}, this image has {present}: save it again with {library} {present}, "
        f"use an image that has {saved}, or set model.options.{OPTION} to {IGNORE} and hold it to golden requests"
    )
    raise Failure(Reason.ENVIRONMENT_MISMATCH, message)


def _minor(version: str) -> list[str]:
    return version.split(".")[:2]
