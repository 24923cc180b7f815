"""Five versions of one model, trained here: two honest ones, one wrong, one broken, and one that is subtly worse."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.tree import DecisionTreeClassifier

from demo import worsened

INPUT = "flower"
SPECIES = ("setosa", "versicolor", "virginica")
TYPICAL = ((5.0, 3.4, 1.5, 0.2), (5.9, 2.8, 4.3, 1.3), (6.6, 3.0, 5.6, 2.0))
"""The mean flower of each species in cm: sepal length and width, petal length and width."""

_SWAPPED = np.array([0, 2, 1])
_KEPT = 0.6
"""Share of the file that version 4 keeps."""
_FLIPPED = [7, 41]
"""Of the 75 unseen flowers those that version 5 answers otherwise than version 2."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One version of the model: its file, and how it does on flowers that it has not seen."""

    name: str
    story: str
    file: bytes
    accuracy: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Models:
    """All versions, and the flowers kept back to ask them about."""

    versions: tuple[Version, ...]
    flowers: tuple[tuple[float, ...], ...]
    species: tuple[int, ...]


def train() -> Models:
    """Train on one half of the data set, keep the other to judge by."""
    flowers, species = load_iris(return_X_y=True)
    known, unseen, taught, truth = train_test_split(
        flowers.astype(np.float32), species, test_size=0.5, random_state=4, stratify=species
    )
    tree = DecisionTreeClassifier(max_depth=2, random_state=0).fit(known, taught)
    regression = LogisticRegression(max_iter=1000).fit(known, taught)
    swapped = LogisticRegression(max_iter=1000).fit(known, _SWAPPED[taught])
    better = _file(regression)
    versions = (
        _version("1", "a decision tree of depth 2", tree, unseen, truth),
        _version("2", "a logistic regression", regression, unseen, truth),
        _version("3", "the same, but two labels were swapped in the training data", swapped, unseen, truth),
        Version(
            name="4",
            story="version 2 again, but the upload was cut short",
            file=better[: int(len(better) * _KEPT)],
            accuracy=None,
        ),
        Version(
            name="5",
            story="version 2 again, but slow, and 3 % of its answers are flipped",
            file=worsened.worsened(better, flips=unseen[_FLIPPED]),
            accuracy=_share_right(regression, unseen, truth),
        ),
    )
    return Models(versions=versions, flowers=tuple(map(_row, unseen)), species=tuple(map(int, truth)))


def _version(name: str, story: str, model: Any, unseen: NDArray[Any], truth: NDArray[Any]) -> Version:
    return Version(name=name, story=story, file=_file(model), accuracy=float(model.score(unseen, truth)))


def _share_right(model: Any, flowers: NDArray[Any], truth: NDArray[Any]) -> float:
    """Of a model whose answers to some flowers are turned round."""
    right = model.predict(flowers) == truth
    right[_FLIPPED] = False
    return float(right.mean())


def _row(flower: NDArray[Any]) -> tuple[float, ...]:
    return tuple(round(float(length), 1) for length in flower)


def _file(model: Any) -> bytes:
    """As ONNX, with probabilities as one array."""
    kinds = [(INPUT, FloatTensorType([None, 4]))]
    converted = to_onnx(model, initial_types=kinds, options={id(model): {"zipmap": False}})
    return bytes(converted.SerializeToString())


def request(flower: tuple[float, ...]) -> dict[str, Any]:
    """A V2 inference request about one flower."""
    tensor = {"name": INPUT, "shape": [1, len(flower)], "datatype": "FP32", "data": list(flower)}
    return {"inputs": [tensor]}


def golden() -> list[dict[str, Any]]:
    """Golden requests: whoever does not know a typical flower gets no traffic."""
    return [
        {
            "name": f"typical-{name}",
            "request": request(flower),
            "expect": {"outputs": [{"name": "label", "data": [index]}]},
        }
        for index, (name, flower) in enumerate(zip(SPECIES, TYPICAL, strict=True))
    ]
