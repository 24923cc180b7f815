"""scikit-learn estimators: skops files with a type check, joblib and pickle files only when trusted."""

import importlib
import re
import warnings
from collections.abc import Callable, Mapping
from typing import Any
from zipfile import BadZipFile, is_zipfile

import numpy as np

from modelway_runtime.loaders import environment, lean, table, wrong
from modelway_runtime.loaders.loader import Artifact
from modelway_runtime.protocol.datatypes import of_array
from modelway_runtime.protocol.tensors import COLUMN, DYNAMIC, Array, Arrays, InputRejected, TensorSpec
from modelway_runtime.reasons import Failure, Reason

with lean.without("pandas"):
    import joblib
    import sklearn.base
    import skops.io
    from sklearn.exceptions import InconsistentVersionWarning

    from modelway_runtime.loaders import columns

_LIBRARY = "scikit-learn"
_RECORDED = re.compile(rb"_sklearn_version.{1,8}?(\d+\.\d+[\w.]*)", re.DOTALL)
"""The version as every estimator keeps it, in a pickle that is not compressed."""


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
            way = "set trust to Any if you trust its source, or Signed if it is signed"
            message = f"{name} needs types not known to be safe: {types}; {way}"
            raise Failure(Reason.UNTRUSTED_FORMAT, message)
        return _checked(artifact, lambda: skops.io.load(artifact.file, trusted=untrusted))
    except Failure:
        raise
    except Exception as error:  # a file can break the library anywhere
        raise _broken(name, error) from error


def _pickle(artifact: Artifact) -> Any:
    recorded = _RECORDED.search(artifact.file.read_bytes())
    if recorded:
        # An old pickle can break before it tells its version.
        environment.check(artifact.file.name, _LIBRARY, recorded[1].decode(), sklearn.__version__, artifact.options)
    try:
        return _checked(artifact, lambda: joblib.load(artifact.file))
    except Failure:
        raise
    except BaseException as error:  # a pickle can raise whatever it likes, or call exit()
        raise _broken(artifact.file.name, error) from error


def _checked(artifact: Artifact, load_file: Callable[[], Any]) -> Any:
    """Loads a file; the library itself notices estimators of another version of it."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", InconsistentVersionWarning)
        estimator = load_file()
    for warning in caught:
        if isinstance(warning.message, InconsistentVersionWarning):
            saved = warning.message.original_sklearn_version
            environment.check(artifact.file.name, _LIBRARY, saved, sklearn.__version__, artifact.options)
    return estimator


def _reason_of_no_zip(artifact: Artifact) -> Reason:
    """A file that begins like a zip is broken; another one is no skops file at all."""
    with artifact.file.open("rb") as stream:
        return Reason.MODEL_LOAD_FAILED if stream.read(2) in (b"PK", b"") else Reason.FORMAT_MISMATCH


def _broken(name: str, error: BaseException) -> Failure:
    return wrong.cut(name) if isinstance(error, BadZipFile | EOFError) else wrong.broken(name, error)


class SklearnModel:
    """An estimator: classifiers answer `label` and `probabilities`, all others `prediction`.

    One that picks columns by name takes a tensor for each column, and gets them as one DataFrame.
    `source` is what a conversion reads.
    """

    platform = "sklearn"
    is_batchable = True

    def __init__(self, estimator: Any) -> None:
        self.source = estimator
        self._predict = estimator.predict
        self._classes: Array | None = None
        self._names = tuple(map(str, getattr(estimator, "feature_names_in_", ())))
        self._pandas = importlib.import_module("pandas") if columns.needs_names(estimator) else None
        self.inputs = self._columns(estimator) if self._pandas else self._table(estimator)
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
        try:
            rows = self._rows(inputs)
            if len(self.outputs) == 2 and self._classes is not None:
                return self._classified(rows)
            return {self.outputs[0].name: np.ascontiguousarray(self._predict(rows))}
        except ValueError as error:
            raise InputRejected(str(error)) from error

    def _rows(self, inputs: Mapping[str, Array]) -> Any:
        if self._pandas is None:
            return table.whole(inputs, self._names)
        return table.frame(self._pandas, inputs, self._names)

    def _classified(self, rows: Any) -> Arrays:
        return {
            "label": np.asarray(self._predict(rows)),
            "probabilities": np.ascontiguousarray(self._probabilities(rows)),
        }

    def _table(self, estimator: Any) -> tuple[TensorSpec, ...]:
        shape = (DYNAMIC, int(getattr(estimator, "n_features_in_", DYNAMIC)))
        return (TensorSpec(name=table.WHOLE, datatype="FP64", shape=shape, columns=self._names, is_open=True),)

    def _columns(self, estimator: Any) -> tuple[TensorSpec, ...]:
        strings = columns.of_strings(estimator)
        return tuple(
            TensorSpec(name=name, datatype="BYTES" if name in strings else "FP64", shape=COLUMN, is_open=True)
            for name in self._names
        )

    @staticmethod
    def _output(name: str, datatype: str, *sizes: int) -> TensorSpec:
        return TensorSpec(name=name, datatype=datatype, shape=(DYNAMIC, *sizes))
