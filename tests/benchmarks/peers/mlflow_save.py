"""Saves the model for `mlflow models serve`."""

import sys
from pathlib import Path

import mlflow.pyfunc

mlflow.pyfunc.save_model(
    sys.argv[1],
    python_model=str(Path(__file__).with_name("mlflow_model.py")),
    pip_requirements=["mlflow", "onnxruntime"],
)
