"""scikit-learn estimators: skops files with a type check, joblib and pickle files only when trusted."""

import warnings
from collections.abc import Mapping
from typing import Any
from zipfile import BadZipFile, is_zipfile

import joblib
import numpy as np
import sklearn.base
import skops.io

from modelway_runtime.loaders import wrong
from modelway_runtime.loaders.loader import Artifact
from modelway_runtime.protocol.datatypes import of_array
from modelway_runtime.protocol.tensors import DYNAMIC, Array, Arrays, InputRejected, TensorSpec
from modelway_runtime.reasons import Failure, Reason

_INPUT = "input"


def load(artifact: Artifact) -> "SklearnModel":
    """Opens the file; what could run code is refused unless trusted."""
    estimator = _skops(artifact) if artifact.file.suffix == ".skops" else _pickle(artifact)
    if not hasattr(estimator, "predict"):
        kind = type(estimator).__name__
        raise Failure(Reason.FORMAT_MISMATCH, f"{artifact.file.name} holds a {kind}, which has no predict")
    # A model fitted on a table warns at each call that it gets an array.
    warnings.filterwarnings("ignore", message="X does not have valid feature names")
    try:
        return SklearnModel(estimator)
    except Exception as error:  # what is no estimator of scikit-learn can lack anything
        raise _broken(artifact.file.name, error) from error


def _skops(artifact: Artifact) -> Any:
    name = artifact.file.name
    if not is_zipfile(artifact.file):
        raise Failure(_reason_of_no_zip(artifact), f"{name} is not a skops file, or it is cut off")
    try:
        untrusted = skops.io.get_untrusted_types(file=artifact.file)
        if untrusted and artifact.trust == "Safe":
            types = ", ".join(untrusted[:5])
            message = f"{name} needs types not known to be safe: {types}; set trust to Any if you trust its source"
            raise Failure(Reason.UNTRUSTED_FORMAT, message)
        return skops.io.load(artifact.file, trusted=untrusted)
    except Failure:
        raise
    except Exception as error:  # a file can break the library anywhere
        raise _broken(name, error) from error


def _pickle(artifact: Artifact) -> Any:
    try:
        return joblib.load(artifact.file)
    except BaseException as error:  # a pickle can raise whatever it likes, or call exit()
        raise _broken(artifact.file.name, error) from error


def _reason_of_no_zip(artifact: Artifact) -> Reason:
    """A file that begins like a zip is broken; another one is no skops file at all."""
    with artifact.file.open("rb") as stream:
        return Reason.MODEL_LOAD_FAILED if stream.read(2) in (b"PK", b"") else Reason.FORMAT_MISMATCH


def _broken(name: str, error: BaseException) -> Failure:
    return wrong.cut(name) if isinstance(error, BadZipFile | EOFError) else wrong.broken(name, error)


class SklearnModel:
    """An estimator: classifiers answer `label` and `probabilities`, all others `prediction`."""

    platform = "sklearn"
    is_batchable = True

    def __init__(self, estimator: Any) -> None:
        self._predict = estimator.predict
        self._classes: Array | None = None
        features = getattr(estimator, "n_features_in_", DYNAMIC)
        shape = (DYNAMIC, int(features))
        self.inputs = (TensorSpec(name=_INPUT, datatype="FP64", shape=shape, is_open=True),)
        self.outputs: tuple[TensorSpec, ...] = (self._output("prediction", "FP64"),)
        classes = getattr(estimator, "classes_", None)
        # A classifier of several outputs has a list of arrays and answers as it is.
        if sklearn.base.is_classifier(estimator) and isinstance(classes, np.ndarray):
            self._classes = classes
            self.outputs = (self._output("label", of_array(classes)),)
            if hasattr(estimator, "predict_proba"):
                self._probabilities = estimator.predict_proba
                self.outputs += (self._output("probabilities", "FP64", classes.size),)

    def predict(self, inputs: Mapping[str, Array]) -> Arrays:
        """One row of answers for each row of the input."""
        rows = inputs[_INPUT]
        try:
            if len(self.outputs) == 2 and self._classes is not None:
                return self._classified(rows)
            return {self.outputs[0].name: np.ascontiguousarray(self._predict(rows))}
        except ValueError as error:
            raise InputRejected(str(error)) from error

    def _classified(self, rows: Array) -> Arrays:
        return {
            "label": self._predict(rows),
            "probabilities": np.ascontiguousarray(self._probabilities(rows)),
        }

    @staticmethod
    def _output(name: str, datatype: str, *sizes: int) -> TensorSpec:
        return TensorSpec(name=name, datatype=datatype, shape=(DYNAMIC, *sizes))
