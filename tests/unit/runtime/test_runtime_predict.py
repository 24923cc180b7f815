"""Requests without datatypes and shapes: V1's rows and columns, MLflow's tables, CSV; and their answers."""

import json
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelway_runtime.protocol import tabular
from modelway_runtime.protocol.interface import Interface
from modelway_runtime.protocol.invocations import Invocations
from modelway_runtime.protocol.predict import Predict
from modelway_runtime.protocol.tensors import Arrays, BadRequest, TensorSpec


def _spec(name: str, datatype: str, *shape: int, is_open: bool = False) -> TensorSpec:
    return TensorSpec(name=name, datatype=datatype, shape=shape, is_open=is_open)


MATRIX = Interface((_spec("X", "FP32", -1, 2),), ())
OPEN = Interface((_spec("input", "FP64", -1, 2, is_open=True),), ())
TEXTS = Interface((_spec("text", "BYTES", -1),), ())
NAMED = Interface((_spec("age", "INT64", -1, 1), _spec("name", "BYTES", -1, 1), _spec("size", "FP32", -1, 1)), ())
SCALAR = Interface((_spec("x", "FP32", -1),), ())


def _predict(interface: Interface, body: Any) -> Arrays:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Predict(interface).decode(content, {}).inputs


def _invoke(interface: Interface, body: Any, content_type: str = "application/json") -> Arrays:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Invocations(interface).decode(content, {b"content-type": content_type.encode()}).inputs


def _lists(arrays: Arrays) -> dict[str, Any]:
    return {name: array.tolist() for name, array in arrays.items()}


PERSON = {"age": 3, "name": "Ann", "size": 1.5}
PEOPLE = {"age": [[3], [4]], "name": [["Ann"], ["Bob"]], "size": [[1.5], [2.0]]}


@pytest.mark.parametrize(
    ("interface", "body", "wanted"),
    [
        (MATRIX, {"instances": [[1, 2], [3, 4.5]]}, {"X": [[1, 2], [3, 4.5]]}),
        (MATRIX, {"instances": [{"X": [1, 2]}, {"X": [3, 4]}]}, {"X": [[1, 2], [3, 4]]}),
        (MATRIX, {"instances": [{"b": 1, "a": 2}, {"a": 4, "b": 3}]}, {"X": [[1, 2], [3, 4]]}),
        (MATRIX, {"inputs": [[1, 2]], "signature_name": "any"}, {"X": [[1, 2]]}),
        (MATRIX, {"inputs": {"X": [[1, 2]]}}, {"X": [[1, 2]]}),
        (MATRIX, {"inputs": {"a": [1, 3], "b": [2, 4]}}, {"X": [[1, 2], [3, 4]]}),
        (OPEN, {"instances": [["a", "b"]]}, {"input": [["a", "b"]]}),
        (OPEN, {"instances": [[True, False]]}, {"input": [[True, False]]}),
        (SCALAR, {"instances": [1, 2.5]}, {"x": [1, 2.5]}),
        (TEXTS, {"instances": ["a", {"b64": "w7w="}]}, {"text": ["a", "ü"]}),
        (TEXTS, {"instances": [{"b64": "YQ=="}, {"b64": "/9g="}]}, {"text": ["a", b"\xff\xd8"]}),
        (TEXTS, {"instances": [{"text": {"b64": "YQ=="}}]}, {"text": ["a"]}),
        (TEXTS, {"inputs": {"text": ["a"]}}, {"text": ["a"]}),
        (NAMED, {"instances": [PERSON, {"name": "Bob", "size": 2, "age": 4}]}, PEOPLE),
        (NAMED, {"inputs": PEOPLE}, PEOPLE),
        (NAMED, {"inputs": {"age": [3], "name": ["Ann"], "size": [1.5]}}, {k: [[v]] for k, v in PERSON.items()}),
    ],
)
def test_v1_rows_and_columns(interface: Interface, body: Any, wanted: Any) -> None:
    assert _lists(_predict(interface, body)) == wanted


@pytest.mark.parametrize(
    ("interface", "body", "message"),
    [
        (MATRIX, b"{", "the body is not JSON"),
        (MATRIX, b"[1]", "Expected `object`"),
        (MATRIX, {}, "the body needs either instances or inputs"),
        (MATRIX, {"instances": [[1, 2]], "inputs": [[1, 2]]}, "the body needs either"),
        (MATRIX, {"instances": []}, "instances: Expected a list of at least one row"),
        (MATRIX, {"instances": 3}, "instances: Expected a list"),
        (MATRIX, {"instances": [[1, "a"]]}, "instances[0][1]: Expected `float`, got `str`"),
        (MATRIX, {"instances": [[1, None]]}, "instances[0][1]: Expected `float`, got `null`"),
        (MATRIX, {"instances": [[1, 2], [3]]}, "instances: nested lists of unequal length"),
        (MATRIX, {"instances": [[[1, 2]]]}, "instances.shape: [1, 1, 2] does not fit [-1, 2]"),
        (MATRIX, {"instances": [{"a": 1, "b": 2}, {"a": 1}]}, "instances[1]: has other names than the first row"),
        (MATRIX, {"instances": [{"a": 1}]}, "instances.shape: [1, 1] does not fit"),
        (MATRIX, {"inputs": {"a": [1], "b": [2, 3]}}, "inputs: columns of unequal length"),
        (MATRIX, {"inputs": {"X": [[1, 2]], "Y": [1]}}, "inputs.name: 'Y' is unknown; the model has 'X'"),
        (MATRIX, b'{"instances":' + b"[" * 100_000, "the body is nested too deeply"),
        (MATRIX, b'{"instances":' + b"[" * 40 + b"]" * 40 + b"}", "instances: nested too deeply"),
        (NAMED, {"instances": [[3, "Ann", 1.5]]}, "instances: the model has the inputs 'age', 'name', 'size'"),
        (NAMED, {"instances": [{"age": 3}]}, "inputs: 'name', 'size' missing"),
        (NAMED, {"instances": [{**PERSON, "more": 1}]}, "instances.name: 'more' is unknown"),
        (NAMED, {"instances": [{**PERSON, "age": 2**63}]}, "instances: column 'age'"),
        (TEXTS, {"instances": ["a", {"b64": "?"}]}, "instances[1].b64: Invalid base64"),
        (TEXTS, {"instances": ["a", {"b64": "YQ==", "more": 1}]}, "instances[1]: Object contains unknown field"),
    ],
)
def test_v1_names_what_is_wrong(interface: Interface, body: Any, message: str) -> None:
    with pytest.raises(BadRequest) as raised:
        _predict(interface, body)
    assert message in str(raised.value)


SPLIT = {"columns": ["age", "name", "size"], "index": [7, 8], "data": [[3, "Ann", 1.5], [4, "Bob", 2]]}


@pytest.mark.parametrize(
    ("interface", "body", "wanted"),
    [
        (NAMED, {"dataframe_split": SPLIT, "params": {"a": 1}}, PEOPLE),
        (NAMED, {"dataframe_split": {"data": SPLIT["data"]}}, PEOPLE),
        (NAMED, {"dataframe_records": [PERSON, {"age": 4, "name": "Bob", "size": 2}]}, PEOPLE),
        (NAMED, {"inputs": PEOPLE}, PEOPLE),
        (MATRIX, {"dataframe_split": {"columns": ["a", "b"], "data": [[1, 2]]}}, {"X": [[1, 2]]}),
        (MATRIX, {"dataframe_split": {"columns": [0, 1], "data": [[1, 2]]}}, {"X": [[1, 2]]}),
        (MATRIX, {"dataframe_records": [{"a": 1, "b": 2}]}, {"X": [[1, 2]]}),
        (MATRIX, {"instances": [[1, 2]]}, {"X": [[1, 2]]}),
        (MATRIX, {"inputs": [[1, 2]]}, {"X": [[1, 2]]}),
        (TEXTS, {"dataframe_split": {"columns": ["text"], "data": [["a"], ["b"]]}}, {"text": ["a", "b"]}),
    ],
)
def test_the_five_forms_of_json(interface: Interface, body: Any, wanted: Any) -> None:
    assert _lists(_invoke(interface, body)) == wanted


def test_a_missing_number_of_a_table_is_no_number() -> None:
    for body in (
        {"dataframe_split": {"columns": ["a", "b"], "data": [[1, None]]}},
        {"dataframe_records": [{"a": 1, "b": None}]},
    ):
        assert np.isnan(_invoke(MATRIX, body)["X"]).tolist() == [[False, True]]
    assert np.isnan(_invoke(MATRIX, b"1,\n,2\n", "text/csv")["X"]).tolist() == [[False, True], [True, False]]


@pytest.mark.parametrize(
    ("interface", "content_type", "body", "wanted"),
    [
        (MATRIX, "text/csv", "1,2\n3,4.5\n", {"X": [[1, 2], [3, 4.5]]}),
        (MATRIX, "text/csv; charset=utf-8", "\ufeffa,b\r\n1,2\r\n", {"X": [[1, 2]]}),
        (MATRIX, "text/csv; header=present", "1,2\n3,4\n", {"X": [[3, 4]]}),
        (MATRIX, "text/csv;header=absent", "1,2", {"X": [[1, 2]]}),
        (MATRIX, "text/csv; label_size=0", "1e3,-.5\n\n", {"X": [[1000, -0.5]]}),
        (NAMED, "text/csv", "size,age,name\n1.5,3,Ann\n2,4,Bob\n", PEOPLE),
        (NAMED, "text/csv", '3,"Ann",1.5\n4,Bob,2\n', PEOPLE),
        (TEXTS, "text/csv", 'text\n"a, b"\n7\n', {"text": ["a, b", "7"]}),
        (TEXTS, "text/csv", "good\nbad\n", {"text": ["good", "bad"]}),
        (OPEN, "text/csv", "x,y\nz,w\n", {"input": [["x", "y"], ["z", "w"]]}),
    ],
)
def test_csv_with_and_without_names(interface: Interface, content_type: str, body: str, wanted: Any) -> None:
    assert _lists(_invoke(interface, body.encode(), content_type)) == wanted


@pytest.mark.parametrize(
    ("interface", "content_type", "body", "message"),
    [
        (MATRIX, "application/json", {"params": {}}, "exactly one of dataframe_split, dataframe_records, instances"),
        (MATRIX, "application/json", {"inputs": [[1, 2]], "instances": [[1, 2]]}, "exactly one of"),
        (MATRIX, "application/json", {"dataframe_split": {"columns": ["a"]}}, "dataframe_split: Object missing"),
        (MATRIX, "", {"dataframe_split": {"columns": ["a", "b"], "data": [[1]]}}, "dataframe_split.data.shape: [1, 1]"),
        (MATRIX, "", {"dataframe_split": {"columns": ["a"], "data": [[1, 2]]}}, "of the shape [2], but there are 1"),
        (NAMED, "", {"dataframe_split": {"columns": ["age"], "data": [[1], [1, 2]]}}, "data[1]: 2 values, but"),
        (NAMED, "", {"dataframe_split": {"data": [0] * 1_000_002}}, "more than 1000000 cells"),
        (MATRIX, "", {"dataframe_records": [{"a": 1, "b": 2}] * 500_001}, "more than 1000000 cells"),
        (MATRIX, "text/csv", b"1,2\n" * 500_001, "more than 1000000 cells"),
        (NAMED, "", {"dataframe_split": {"data": []}}, "Expected at least one row and one column"),
        (MATRIX, "", {"dataframe_split": {"data": []}}, "dataframe_split.data.shape: [0]"),
        (NAMED, "", {"dataframe_split": {"columns": ["age", "age", "size"], "data": [[1, 2, 3]]}}, "is given twice"),
        (NAMED, "text/csv", b"1,2\n", "csv: 2 columns without names, but the model has 3 inputs"),
        (MATRIX, "text/csv", b"", "the body has no line of CSV"),
        (MATRIX, "text/csv", b"\xff", "the body is not CSV"),
        (MATRIX, "text/csv", b'1,"2', "the body is not CSV"),
        (MATRIX, "text/csv", b"1,2\n3\n", "csv[1]: 1 values, but there are 2 columns"),
        (MATRIX, "text/csv", b"1,inf\n", "Expected `float | null`, got `str`"),
        (MATRIX, "text/csv", b"1,1e999\n", "Expected `float | null`, got `str`"),
        (MATRIX, "text/csv", b"1," + b"9" * 5000, "csv"),
        (MATRIX, "text/csv", b"1,x\n2,y\n", "Expected `float | null`, got `str`"),
    ],
)
def test_invocations_name_what_is_wrong(interface: Interface, content_type: str, body: Any, message: str) -> None:
    with pytest.raises(BadRequest) as raised:
        _invoke(interface, body, content_type)
    assert message in str(raised.value)


LABEL = np.array([1, 0], dtype=np.longlong)
SCORES = np.array([[0.1, 0.9], [0.75, 0.25]], dtype=np.float32)
WORDS = np.array(["a", b"\xc3\xbc"], dtype=object)


@pytest.mark.parametrize(
    ("results", "rows", "names"),
    [
        ({"y": LABEL}, [1, 0], [1, 0]),
        ({"y": SCORES}, [[0.1, 0.9], [0.75, 0.25]], [[0.1, 0.9], [0.75, 0.25]]),
        (
            {"label": LABEL, "p": SCORES},
            [{"label": 1, "p": [0.1, 0.9]}, {"label": 0, "p": [0.75, 0.25]}],
            {"label": [1, 0], "p": [[0.1, 0.9], [0.75, 0.25]]},
        ),
        ({"w": WORDS, "one": SCORES[:, 0]}, [{"w": "a", "one": 0.1}, {"w": "ü", "one": 0.75}], None),
        ({"w_bytes": WORDS}, [{"b64": "YQ=="}, {"b64": "w7w="}], None),
        ({"w": np.array([b"\xff"], dtype=object)}, [{"b64": "/w=="}], None),
        ({"a": LABEL, "b": LABEL[:1]}, {"a": [1, 0], "b": [1]}, None),
        ({"flag": np.array([True]), "h": np.array([0.5], dtype=np.float16)}, [{"flag": True, "h": 0.5}], None),
    ],
)
def test_answers_by_row_and_by_name(results: Arrays, rows: Any, names: Any) -> None:
    assert json.loads(tabular.encoded(tabular.by_row(results))) == rows
    if names is not None:
        assert json.loads(tabular.encoded(tabular.by_name(results))) == names


def test_answers_in_csv_stand_side_by_side() -> None:
    assert tabular.lines({"label": LABEL, "p": SCORES}) == b"1,0.1,0.9\n0,0.75,0.25\n"
    assert tabular.lines({"w": np.array(['a, "b"', "c"], dtype=object)}) == b'"a, ""b"""\nc\n'


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists, max_leaves=8))
def test_any_json_is_read_or_refused(data: Any) -> None:
    for interface in (MATRIX, OPEN, TEXTS, NAMED, SCALAR):
        for form in ("instances", "inputs"):
            with suppress(BadRequest):
                _predict(interface, {form: data})
        for form in ("dataframe_records", "dataframe_split"):
            with suppress(BadRequest):
                _invoke(interface, {form: data})


@given(st.text(max_size=60) | st.binary(max_size=60).map(lambda content: content.decode("latin1")))
def test_any_csv_is_read_or_refused(text: str) -> None:
    for interface in (MATRIX, OPEN, TEXTS, NAMED, SCALAR):
        with suppress(BadRequest):
            _invoke(interface, text.encode(), "text/csv")


TABLE = TensorSpec(name="input", datatype="FP64", shape=(-1, 2), columns=("age", "income"), is_open=True)


@pytest.mark.parametrize(
    "body",
    [
        {"instances": [{"income": "high", "age": 30}, {"income": "low", "age": 40}]},
        {"inputs": {"income": ["high", "low"], "age": [30, 40]}},
    ],
    ids=["rows", "columns"],
)
def test_a_table_with_names_comes_column_by_column_each_with_its_own_datatype(body: Any) -> None:
    found = Predict(Interface((TABLE,), (TABLE,))).decode(json.dumps(body).encode(), {}).inputs
    assert {name: (array.dtype.kind, array.ravel().tolist()) for name, array in found.items()} == {
        "income": ("O", ["high", "low"]),
        "age": ("f", [30.0, 40.0]),
    }


def test_a_table_with_names_needs_all_of_them_and_no_other() -> None:
    predict = Predict(Interface((TABLE,), (TABLE,)))
    for row, message in (({"age": 1}, "inputs: 'income' missing"), ({"age": 1, "wealth": 2}, "'wealth' is unknown")):
        with pytest.raises(BadRequest, match=message):
            predict.decode(json.dumps({"instances": [row]}).encode(), {})


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("", {"dataframe_split": {"columns": ["income", "age"], "data": [["high", 30], ["low", 40]]}}),
        ("", {"dataframe_records": [{"income": "high", "age": 30}, {"age": 40, "income": "low"}]}),
        ("", {"inputs": {"income": ["high", "low"], "age": [30, 40]}}),
        ("text/csv", b"income,age\nhigh,30\nlow,40\n"),
    ],
    ids=["split", "records", "columns", "csv"],
)
def test_a_table_with_names_is_read_column_by_column(content_type: str, body: Any) -> None:
    found = _invoke(Interface((TABLE,), ()), body, content_type)
    assert _lists(found) == {"income": [["high"], ["low"]], "age": [[30], [40]]}


@pytest.mark.parametrize(
    ("content_type", "body"),
    [("", {"dataframe_split": {"data": [[30, 1]]}}), ("", {"inputs": [[30, 1]]}), ("text/csv", b"30,1\n")],
    ids=["split", "rows", "csv"],
)
def test_a_table_without_names_is_read_as_a_whole(content_type: str, body: Any) -> None:
    assert _lists(_invoke(Interface((TABLE,), ()), body, content_type)) == {"input": [[30, 1]]}
