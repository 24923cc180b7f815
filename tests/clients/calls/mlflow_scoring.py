"""mlflow-skinny: MLflow's client of scoring servers, which asks `/invocations`."""

import sys

import numpy as np
import pandas as pd
from mlflow.pyfunc.scoring_server.client import ScoringServerClient
from runner import run

ROW = [5.1, 3.5, 1.4, 0.2]
NAMES = ["sepal length", "sepal width", "petal length", "petal width"]


def _connected(addresses):
    host, _, port = addresses["iris"].partition(":")
    return ScoringServerClient(host, port)


def call_ping_and_version(addresses):
    client = _connected(addresses)
    client.ping()
    client.wait_server_ready(timeout=10)
    assert client.get_version()


def call_invoke_with_a_data_frame(addresses):
    frame = pd.DataFrame([ROW, ROW], columns=NAMES)
    answer = _connected(addresses).invoke(frame).get_predictions()
    assert answer["label"].tolist() == [0, 0]


def call_invoke_with_an_array(addresses):
    answer = _connected(addresses).invoke(np.array([ROW])).get_predictions(predictions_format="dataframe")
    assert answer["label"].tolist() == [0]


def call_wrong_rows_are_explained(addresses):
    try:
        _connected(addresses).invoke(np.array([[1.0, 2.0]]))
    except Exception as error:
        assert "error code 400" in str(error) and "shape" in str(error), error
    else:
        raise AssertionError("nothing was refused")


if __name__ == "__main__":
    run(sys.modules["__main__"])
