"""MLflow: a model of code, with the folder of the ONNX files in the environment."""

import os

from mlflow.models import set_model
from mlflow.pyfunc import PythonModel
from sessions import ByWidth


class Tabular(PythonModel):
    """All models, told apart by the width of the rows."""

    def load_context(self, context) -> None:
        """At the start of the server."""
        self._models = ByWidth(os.environ["BENCH_MODELS"])

    def predict(self, context, model_input, params=None):
        """All outputs."""
        return self._models.run(model_input)


set_model(Tabular())
