"""The versions that a model was saved with, beside those of this image."""

import re
from collections.abc import Mapping
from importlib import metadata

from modelway_runtime.loaders import wrong
from modelway_runtime.loaders.wrong import PACK
from modelway_runtime.reasons import Failure, Reason

OPTION, IGNORE = "versions", "Ignore"
_STAND_INS = {"mlflow": "mlflow-skinny", "xgboost": "xgboost-cpu"}
"""Smaller distributions of the same modules."""
_PIN = re.compile(r"([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^\s;]+)")


def check(name: str, library: str, saved: str, present: str, options: Mapping[str, object]) -> None:
    """Refuses a model of another minor version: it may load and answer something else. Patches are taken."""
    if options.get(OPTION) == IGNORE or _minor(saved) == _minor(present):
        return
    message = (
        f"{name} was saved with {library} {saved}, this image has {present}: save it again with {library} {present}, "
        f"use an image that has {saved} ({PACK}), "
        f"or set model.options.{OPTION} to {IGNORE} and hold it to golden requests"
    )
    raise Failure(Reason.ENVIRONMENT_MISMATCH, message)


def check_pins(name: str, requirements: str, options: Mapping[str, object]) -> None:
    """Holds the distributions that a list pins, in lines of `name==version`, to what is installed here."""
    for line in requirements.splitlines():
        pin = _PIN.match(line.strip())
        if pin is None:
            continue
        present = _installed(pin[1]) or _installed(_STAND_INS.get(pin[1], ""))
        if present is None:
            raise wrong.broken(name, ModuleNotFoundError(name=pin[1]))
        check(name, pin[1], pin[2], present, options)


def _installed(distribution: str) -> str | None:
    try:
        return metadata.version(distribution) if distribution else None
    except metadata.PackageNotFoundError:
        return None


def _minor(version: str) -> list[str]:
    return version.split(".")[:2]
