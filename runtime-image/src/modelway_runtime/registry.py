"""Plug-ins by name: loaders by format and stores by scheme, found through entry points and imported when used."""

from importlib.metadata import entry_points
from typing import Any

LOADERS = "modelway_runtime.loaders"
STORES = "modelway_runtime.stores"


def names(group: str) -> tuple[str, ...]:
    """What is registered in a group, sorted."""
    return tuple(sorted({entry.name for entry in entry_points(group=group)}))


def find(group: str, name: str) -> Any | None:
    """The plug-in, or None; its module, which may be slow to import, is imported here."""
    for entry in entry_points(group=group, name=name):
        return entry.load()
    return None
