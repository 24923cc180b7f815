"""Writes models as MLflow saves them below the folder that it is given. Run as a program: MLflow is slow and loud."""

import sys
import warnings
from pathlib import Path

import lightgbm
import mlflow.lightgbm
import mlflow.onnx
import mlflow.pyfunc
import mlflow.sklearn
import mlflow.xgboost
import numpy as np
import pandas as pd
import xgboost
from mlflow.models import infer_signature
from skl2onnx import to_onnx
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

FEATURES, LABELS = load_iris(return_X_y=True)
NAMES = list("abcd")


class Sum(mlflow.pyfunc.PythonModel):
    """A function that no library's flavour describes."""

    def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]
        return model_input.sum(axis=1)


def write(root: Path) -> None:
    """All of them, each with what its own library answers for the iris in `expected.npy`."""
    table = pd.DataFrame(FEATURES, columns=NAMES)
    estimator = LogisticRegression(max_iter=1000).fit(table, LABELS)
    signature = infer_signature(table, LABELS)
    none = {"pip_requirements": []}
    mlflow.sklearn.save_model(estimator, root / "skops", signature=signature, serialization_format="skops", **none)
    mlflow.sklearn.save_model(estimator, root / "pickle", serialization_format="cloudpickle", **none)
    booster = xgboost.train({"objective": "reg:squarederror"}, xgboost.DMatrix(FEATURES, LABELS), 5)
    mlflow.xgboost.save_model(booster, root / "xgboost", **none)
    trees = lightgbm.train({"objective": "regression", "verbosity": -1}, lightgbm.Dataset(FEATURES, LABELS), 5)
    mlflow.lightgbm.save_model(trees, root / "lightgbm", **none)
    classifier = lightgbm.LGBMClassifier(n_estimators=5, verbosity=-1).fit(FEATURES, LABELS)
    mlflow.lightgbm.save_model(classifier, root / "lightgbm-class", **none)
    converted = to_onnx(estimator, FEATURES[:1].astype(np.float32), options={"zipmap": False})
    mlflow.onnx.save_model(converted, root / "onnx", **none)
    mlflow.pyfunc.save_model(root / "function", python_model=Sum(), signature=signature, **none)
    people = pd.DataFrame({"age": [25, 41, 33], "city": ["Ulm", "Bonn", "Ulm"]})
    parts = ColumnTransformer([("words", OneHotEncoder(), ["city"])], remainder="passthrough")
    mixed = make_pipeline(parts, LogisticRegression()).fit(people, [0, 1, 0])
    mlflow.sklearn.save_model(
        mixed, root / "mixed", signature=infer_signature(people), serialization_format="skops", **none
    )
    expected = {
        "skops": estimator.predict_proba(table),
        "pickle": estimator.predict_proba(table),
        "onnx": estimator.predict_proba(table),
        "xgboost": booster.inplace_predict(FEATURES),
        "lightgbm": trees.predict(FEATURES),
        "lightgbm-class": classifier.predict_proba(FEATURES),
    }
    np.savez(root / "expected.npz", **expected)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    write(Path(sys.argv[1]))
