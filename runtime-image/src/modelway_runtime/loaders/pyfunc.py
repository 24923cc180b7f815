"""Functions of MLflow in Python, where the image has MLflow."""

import importlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from modelway_runtime.loaders import table, wrong
from modelway_runtime.loaders.loader import Artifact
from modelway_runtime.protocol.tensors import COLUMN, DYNAMIC, Array, Arrays, TensorSpec


def load(artifact: Artifact, columns: tuple[str, ...]) -> "PyfuncModel":
    """Runs the code of the model's author; only a trusted model gets here."""
    name = artifact.file.name
    try:
        pandas = importlib.import_module("pandas")
        function = importlib.import_module("mlflow.pyfunc").load_model(str(artifact.root))
    except ModuleNotFoundError as error:
        raise wrong.broken(name, error) from error
    except BaseException as error:  # it is anybody's code, and may call exit()
        raise wrong.broken(name, error) from error
    return PyfuncModel(function, pandas, columns)


class PyfuncModel:
    """A function of a DataFrame where the signature names columns, else of an array."""

    platform = "mlflow"
    is_batchable = False

    def __init__(self, function: Any, pandas: Any, columns: tuple[str, ...]) -> None:
        self._predict = function.predict
        self._pandas = pandas
        self._columns = columns
        anything = TensorSpec(name=table.WHOLE, datatype="FP64", shape=(), is_open=True, is_any_shape=True)
        by_column = (TensorSpec(name=name, datatype="FP64", shape=COLUMN, is_open=True) for name in columns)
        self.inputs = tuple(by_column) or (anything,)
        self.outputs = (TensorSpec(name="prediction", datatype="FP64", shape=(DYNAMIC,)),)

    def predict(self, inputs: Mapping[str, Array]) -> Arrays:
        """What the function gives, as one array."""
        rows = table.frame(self._pandas, inputs, self._columns) if self._columns else inputs[table.WHOLE]
        return {"prediction": np.ascontiguousarray(self._predict(rows))}
