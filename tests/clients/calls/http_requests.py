"""requests: bodies as the documents of TensorFlow Serving, SageMaker and MLflow show them."""

import sys

import requests
from runner import run

SESSION = requests.Session()

ROW = [5.1, 3.5, 1.4, 0.2]


def _url(addresses, path):
    return f"http://{addresses['iris']}{path}"


def call_tensorflow_serving_predict_in_rows(addresses):
    for path in ("/v1/models/iris:predict", "/v1/models/iris/versions/1:predict"):
        body = {"signature_name": "serving_default", "instances": [{"X": ROW}, {"X": ROW}]}
        answer = SESSION.post(_url(addresses, path), json=body)
        assert [one["label"] for one in answer.json()["predictions"]] == [0, 0], answer.text


def call_tensorflow_serving_predict_in_columns(addresses):
    answer = SESSION.post(_url(addresses, "/v1/models/iris:predict"), json={"inputs": {"X": [ROW]}})
    assert answer.json()["outputs"]["label"] == [0], answer.text


def call_tensorflow_serving_bytes_in_base64(addresses):
    url = f"http://{addresses['simple_identity']}/v1/models/simple_identity:predict"
    answer = SESSION.post(url, json={"instances": [[{"b64": "w7w="}, *["a"] * 15]]})
    assert answer.json()["predictions"] == [["ü", *["a"] * 15]], answer.text


def call_tensorflow_serving_status_and_metadata(addresses):
    status = SESSION.get(_url(addresses, "/v1/models/iris")).json()["model_version_status"]
    assert [(one["version"], one["state"]) for one in status] == [("1", "AVAILABLE")]
    metadata = SESSION.get(_url(addresses, "/v1/models/iris/metadata")).json()
    assert "serving_default" in metadata["metadata"]["signature_def"]["signature_def"]


def call_tensorflow_serving_errors(addresses):
    answer = SESSION.post(_url(addresses, "/v1/models/other:predict"), json={"instances": [ROW]})
    assert answer.status_code == 404 and "error" in answer.json()


def call_sagemaker_ping_and_csv(addresses):
    assert SESSION.get(_url(addresses, "/ping")).status_code == 200
    headers = {"Content-Type": "text/csv", "Accept": "text/csv"}
    answer = SESSION.post(_url(addresses, "/invocations"), data="5.1,3.5,1.4,0.2\n6.3,3.3,6.0,2.5\n", headers=headers)
    assert [line.split(",")[0] for line in answer.text.splitlines()] == ["0", "2"], answer.text


def call_mlflow_data_frames(addresses):
    split = {"dataframe_split": {"columns": list("abcd"), "data": [ROW]}}
    records = {"dataframe_records": [dict(zip("abcd", ROW, strict=True))]}
    for body in (split, records, {"inputs": [ROW]}, {"instances": [ROW]}):
        answer = SESSION.post(_url(addresses, "/invocations"), json=body)
        assert answer.json()["predictions"][0]["label"] == 0, answer.text


def call_mlflow_csv_with_names(addresses):
    headers = {"Content-Type": "text/csv"}
    answer = SESSION.post(_url(addresses, "/invocations"), data="a,b,c,d\n5.1,3.5,1.4,0.2\n", headers=headers)
    assert answer.json()["predictions"][0]["label"] == 0, answer.text


if __name__ == "__main__":
    run(sys.modules["__main__"])
