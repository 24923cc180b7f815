"""`reference.json` beside a model: what its inputs and predictions were like, in counts. Pure."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from modelway_runtime.reference.bins import MOST_CATEGORIES, MOST_EDGES, MOST_LETTERS, Bins, Categories, Numbers

NAME = "reference.json"
FORMAT = "modelway.reference/v1"
MOST_BYTES = 1 << 20
MOST_NAMES = 32
"""Features and predictions together."""
_MOST_COUNT = 2**53


class NoReference(Exception):
    """The file is somebody else's."""


class WrongReference(Exception):
    """The file is meant as a reference and is none; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """Bins by the name of an input, a column or an output."""

    features: Mapping[str, Bins] = field(default_factory=dict)
    predictions: Mapping[str, Bins] = field(default_factory=dict)


class _Bins(msgspec.Struct, forbid_unknown_fields=True):
    counts: list[int]
    edges: list[float] | None = None
    categories: list[str] | None = None


class _File(msgspec.Struct, forbid_unknown_fields=True):
    format: str
    features: dict[str, _Bins] = {}
    predictions: dict[str, _Bins] = {}


class _Marked(msgspec.Struct):
    format: str = ""


def parsed(content: bytes) -> Reference:
    """Raises NoReference for a file that does not say that it is one, and WrongReference."""
    try:
        marked = msgspec.json.decode(content, type=_Marked)
    except (msgspec.DecodeError, RecursionError) as error:
        raise NoReference from error
    if not marked.format.startswith("modelway.reference/"):
        raise NoReference
    if marked.format != FORMAT:
        raise WrongReference(f"format {marked.format[:100]!r} is not {FORMAT}, which this runtime reads")
    try:
        found = msgspec.json.decode(content, type=_File)
    except (msgspec.DecodeError, RecursionError) as error:
        raise WrongReference(str(error)) from error
    names = [*found.features, *found.predictions]
    if len(names) > MOST_NAMES:
        raise WrongReference(f"{len(names)} features and predictions; the most is {MOST_NAMES}")
    for name in names:
        if not name or len(name) > MOST_LETTERS or not name.isprintable():
            raise WrongReference(f"{name[:100]!r}: a name has 1 to {MOST_LETTERS} letters that can be seen")
        if names.count(name) > 1:
            raise WrongReference(f"{name!r} is a feature and a prediction")
    return Reference(
        features={name: _bins(name, one) for name, one in found.features.items()},
        predictions={name: _bins(name, one) for name, one in found.predictions.items()},
    )


def text(reference: Reference) -> str:
    """As JSON, a line for each name."""
    parts = [
        f'"{title}": {{{",".join(f"{chr(10)}  {json.dumps(name)}: {json.dumps(_plain(one))}" for name, one in bins)}}}'
        for title, bins in (("features", reference.features.items()), ("predictions", reference.predictions.items()))
    ]
    return "{" + ",\n".join((f'"format": "{FORMAT}"', *parts)) + "}\n"


def _plain(bins: Bins) -> dict[str, Any]:
    own = {"edges": bins.edges} if isinstance(bins, Numbers) else {"categories": bins.names}
    return {**own, "counts": bins.counts}


def _bins(name: str, one: _Bins) -> Bins:
    if (one.edges is None) == (one.categories is None):
        raise WrongReference(f"{name!r} needs either edges or categories")
    counts = tuple(one.counts)
    if min(counts, default=-1) < 0 or not 0 < sum(counts) <= _MOST_COUNT:
        raise WrongReference(f"{name!r}: counts are not negative, and one at least is not 0")
    if one.edges is not None:
        return _numbers(name, tuple(one.edges), counts)
    return _categories(name, tuple(one.categories or ()), counts)


def _numbers(name: str, edges: tuple[float, ...], counts: tuple[int, ...]) -> Numbers:
    if not 1 <= len(edges) <= MOST_EDGES or sorted(set(edges)) != list(edges):
        raise WrongReference(f"{name!r} needs 1 to {MOST_EDGES} edges, each larger than the one before")
    if len(counts) != len(edges) + 2:
        raise WrongReference(f"{name!r} has {len(edges)} edges and needs {len(edges) + 2} counts: the last is of NaN")
    return Numbers(edges, counts)


def _categories(name: str, names: tuple[str, ...], counts: tuple[int, ...]) -> Categories:
    if not 1 <= len(names) <= MOST_CATEGORIES or len(set(names)) < len(names):
        raise WrongReference(f"{name!r} needs 1 to {MOST_CATEGORIES} categories, each another one")
    if len(counts) != len(names) + 1:
        raise WrongReference(
            f"{name!r} has {len(names)} categories and needs {len(names) + 1} counts: the last is of all others"
        )
    return Categories(names, counts)
