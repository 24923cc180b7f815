"""XGBoost models in JSON and UBJSON, through the Booster itself: its scikit-learn classes cost more and add nothing."""

import json
from collections.abc import Mapping
from typing import Any

from modelway_runtime.loaders import lean, table, ubjson, wrong
from modelway_runtime.loaders.booster import Interface, Task
from modelway_runtime.loaders.loader import Artifact
from modelway_runtime.protocol.tensors import Array, Arrays, InputRejected

with lean.without("pandas", "sklearn"):
    import xgboost
    from xgboost.core import XGBoostError

_KIND = "an XGBoost model in JSON or UBJSON"
_TASKS = {
    "binary:logistic": Task.BINARY,
    "binary:hinge": Task.LABELS,
    "multi:softprob": Task.MULTICLASS,
    "multi:softmax": Task.MULTICLASS,
}


def load(artifact: Artifact) -> "XgboostModel":
    """Opens the file; bytes that are no model, or not a whole one, are refused before the library sees them."""
    name = artifact.file.name
    _check(artifact)
    try:
        found = xgboost.Booster({"nthread": artifact.threads})
        found.load_model(artifact.file)
        return XgboostModel(found)
    except (XGBoostError, ValueError, KeyError, TypeError) as error:
        raise wrong.broken(name, str(error).replace(str(artifact.file), name)) from error


class XgboostModel:
    """A booster of trees or of a linear model."""

    platform = "xgboost"
    is_batchable = True

    def __init__(self, found: xgboost.Booster) -> None:
        config = json.loads(found.save_config())["learner"]
        objective = config["objective"]["name"]
        if objective == "multi:softmax":
            # The same trees; asked for probabilities, they say how sure the label is.
            found.set_param({"objective": "multi:softprob"})
        sizes = config["learner_model_param"]
        width = max(int(sizes["num_class"]), int(sizes["num_target"]))
        self._interface = Interface(
            task=_TASKS.get(objective, Task.NUMBERS),
            features=found.num_features(),
            names=tuple(found.feature_names or ()),
            datatype="FP32",
            width=width if width > 1 else 0,
        )
        self.inputs, self.outputs = self._interface.inputs, self._interface.outputs
        self._booster = found
        # Early stopping keeps the trees that came after the best round; what was judged best is what answers.
        self._rounds = (0, int(found.attributes().get("best_iteration") or -1) + 1)
        self._is_linear = config["gradient_booster"]["name"] == "gblinear"
        # The library says so of trees only.
        self.is_concurrent = not self._is_linear

    @property
    def source(self) -> xgboost.Booster:
        """What a conversion reads: the trees that answer."""
        best = self._rounds[1]
        return self._booster[:best] if best else self._booster

    def predict(self, inputs: Mapping[str, Array]) -> Arrays:
        """One row of answers for each row of the input; it releases the interpreter's lock."""
        try:
            return self._interface.answers(self._raw(table.numbers(inputs, self._interface.names)))
        except (XGBoostError, ValueError) as error:
            raise InputRejected(" ".join(str(error).partition("Stack trace")[0].split())) from error

    def _raw(self, rows: Array) -> Array:
        answer: Any
        if self._is_linear:
            matrix = xgboost.DMatrix(rows, nthread=1)
            answer = self._booster.predict(matrix, validate_features=False, iteration_range=self._rounds)
        else:
            answer = self._booster.inplace_predict(rows, iteration_range=self._rounds, validate_features=False)
        found: Array = answer
        return found


def _check(artifact: Artifact) -> None:
    """A cut UBJSON file would keep the library busy for ever."""
    name = artifact.file.name
    with artifact.file.open("rb") as stream:
        first = stream.read(2)
    if not first:
        raise wrong.empty(name)
    if first[:1] != b"{":
        raise wrong.foreign(name, _KIND)
    try:
        if first[1:].isspace() or first[1:] in (b'"', b"}", b""):
            keys = set(json.loads(artifact.file.read_bytes()))
        else:
            keys = ubjson.keys(artifact.file.read_bytes())
    except (ValueError, RecursionError) as error:
        raise wrong.broken(name, str(error)) from error
    if "learner" not in keys:
        raise wrong.foreign(name, _KIND)
