"""V2 bodies in JSON: what is read, what is refused with which words, and what goes out."""

import json
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelway_runtime.protocol.codec import Codec
from modelway_runtime.protocol.datatypes import DTYPES
from modelway_runtime.protocol.tensors import BadRequest, TensorSpec

ROWS = TensorSpec(name="X", datatype="FP32", shape=(-1, 2))
LABEL = TensorSpec(name="label", datatype="INT64", shape=(-1,))
SCORE = TensorSpec(name="score", datatype="FP32", shape=(-1, 2))


def _codec(*inputs: TensorSpec, version: str = "") -> Codec:
    return Codec("iris", version, inputs or (ROWS,), (LABEL, SCORE))


def _tensor(**changes: Any) -> dict[str, Any]:
    return {"name": "X", "datatype": "FP32", "shape": [2, 2], "data": [1, 2, 3, 4], **changes}


def _body(*tensors: dict[str, Any], **more: Any) -> bytes:
    return json.dumps({"inputs": list(tensors), **more}).encode()


@pytest.mark.parametrize("data", [[1, 2.5, 3, 4], [[1, 2.5], [3, 4]]], ids=["flat", "nested"])
def test_data_may_be_flat_or_nested(data: Any) -> None:
    array = _codec().decode(_body(_tensor(data=data))).inputs["X"]
    assert array.dtype == np.float32
    assert array.tolist() == [[1.0, 2.5], [3.0, 4.0]]


@pytest.mark.parametrize(
    ("datatype", "data"),
    [
        ("BOOL", [True, False]),
        ("UINT8", [0, 255]),
        ("UINT16", [0, 65535]),
        ("UINT32", [0, 2**32 - 1]),
        ("UINT64", [0, 2**64 - 1]),
        ("INT8", [-128, 127]),
        ("INT16", [-(2**15), 2**15 - 1]),
        ("INT32", [-(2**31), 2**31 - 1]),
        ("INT64", [-(2**63), 2**63 - 1]),
        ("FP16", [0.5, -2.0]),
        ("FP32", [0.25, 1e38]),
        ("FP64", [0.1, 1e308]),
        ("BYTES", ["", "Grüße"]),
    ],
)
def test_each_datatype_comes_in_and_goes_out_unchanged(datatype: str, data: list[Any]) -> None:
    spec = TensorSpec(name="X", datatype=datatype, shape=(-1,))
    codec = Codec("m", "", (spec,), (spec,))
    request = codec.decode(_body(_tensor(datatype=datatype, shape=[2], data=data)))
    output = json.loads(codec.encode(request, request.inputs)[0])["outputs"][0]
    assert request.inputs["X"].dtype == np.dtype(DTYPES[datatype])
    assert output == {"name": "X", "datatype": datatype, "shape": [2], "data": data}


BAD = [
    pytest.param(b"", "the body is not JSON", id="empty"),
    pytest.param(b"{nope", "the body is not JSON", id="no JSON"),
    pytest.param(b'{"id":"\xff","inputs":[]}', "the body is not JSON", id="a string that is not UTF-8"),
    pytest.param(
        b'{"inputs":[{"name":"X","datatype":"FP32","shape":[1,2],"data":["\xff"]}]}',
        "data",
        id="data that is not UTF-8",
    ),
    pytest.param(b"\xff\xfe", "the body is not JSON", id="no UTF-8"),
    pytest.param(b"[" * 100_000, "Expected `object`", id="nested without end"),
    pytest.param(
        b'{"inputs":[],"parameters":' + b'{"a":' * 50_000, "the body is nested too deeply", id="parameters without end"
    ),
    pytest.param(b"[1]", "Expected `object`", id="a list"),
    pytest.param(b"{}", "`inputs`", id="no inputs"),
    pytest.param(b'{"inputs":[{"name":"X"}]}', "inputs[0]: ", id="fields missing"),
    pytest.param(_body(_tensor(name=3)), "inputs[0].name: Expected `str`", id="a name of the wrong type"),
    pytest.param(_body(_tensor(name="Y")), "inputs[0].name: 'Y' is unknown; the model has 'X'", id="unknown name"),
    pytest.param(_body(_tensor(), _tensor()), "inputs[1].name: 'X' is given twice", id="twice"),
    pytest.param(_body(), "inputs: 'X' missing", id="none"),
    pytest.param(_body(_tensor(datatype="FP31")), "inputs[0].datatype: 'FP31' is not one of", id="unknown datatype"),
    pytest.param(_body(_tensor(datatype="FP64")), "inputs[0].datatype: FP64, but 'X' takes FP32", id="other datatype"),
    pytest.param(_body(_tensor(shape=[2, 3])), "inputs[0].shape: [2, 3] does not fit [-1, 2]", id="wrong width"),
    pytest.param(_body(_tensor(shape=[4])), "inputs[0].shape: [4] does not fit", id="wrong rank"),
    pytest.param(_body(_tensor(shape=[-2, 2])), "inputs[0].shape: [-2, 2] has a size below 1", id="negative"),
    pytest.param(_body(_tensor(shape=[0, 2], data=[])), "inputs[0].shape: [0, 2] has a size below 1", id="no rows"),
    pytest.param(_body(_tensor(shape=[2**62, 2])), "inputs[0].data: 4 values", id="more than there is memory"),
    pytest.param(_body(_tensor(shape="2")), "inputs[0].shape: Expected `array`", id="no shape"),
    pytest.param(_body(_tensor(data=[1, 2, 3])), "inputs[0].data: 3 values, but shape [2, 2] needs 4", id="too few"),
    pytest.param(_body(_tensor(data=[[1, 2], [3]])), "inputs[0].data: nested lists of unequal length", id="ragged"),
    pytest.param(_body(_tensor(data=[[1, 2, 3, 4]])), "inputs[0].data: nested as [1, 4]", id="nested otherwise"),
    pytest.param(_body(_tensor(data=["1", 2, 3, 4])), "inputs[0].data[0]: Expected `float`, got `str`", id="a string"),
    pytest.param(_body(_tensor(data=[1, None, 3, 4])), "inputs[0].data[1]: Expected `float`, got `null`", id="null"),
    pytest.param(_body(_tensor(data=[1, True, 3, 4])), "inputs[0].data[1]: Expected `float`, got `bool`", id="bool"),
    pytest.param(_body(_tensor(data=[1, 2, 3, 1e39])), "inputs[0].data[3]: Expected `float` < 3.4", id="range"),
    pytest.param(_body(_tensor(data={"a": 1})), "inputs[0].data: Expected `array`", id="an object"),
    pytest.param(
        b'{"inputs":[{"name":"X","datatype":"FP32","shape":[1,2]}]}', "inputs[0].data is missing", id="no data"
    ),
    pytest.param(_body(_tensor(), outputs=[{"name": "nope"}]), "outputs[0].name: 'nope' is unknown", id="output"),
    pytest.param(_body(_tensor(), outputs=[{"name": "label"}] * 2), "outputs: a name is given twice", id="outputs"),
    pytest.param(_body(_tensor(), id=3), "id: Expected `str | null`", id="an id of the wrong type"),
]


@pytest.mark.parametrize("data", [[["a", "b"], ["c"]], [["a"], []]])
def test_strings_in_lists_of_unequal_length_are_refused(data: Any) -> None:
    codec = _codec(TensorSpec(name="X", datatype="BYTES", shape=(-1, 1)))
    with pytest.raises(BadRequest, match=r"inputs\[0\]\.data: nested lists of unequal length"):
        codec.decode(_body(_tensor(datatype="BYTES", shape=[2, 1], data=data)))


@pytest.mark.parametrize("dimensions", [33, 65, 60_000])
@pytest.mark.parametrize("data", [[1.0], [[1.0]]], ids=["flat", "nested"])
def test_more_dimensions_than_any_model_has_are_refused(dimensions: int, data: Any) -> None:
    codec = _codec(TensorSpec(name="X", datatype="FP64", shape=(-1, -1), is_open=True))
    with pytest.raises(BadRequest, match=r"inputs\[0\]\.shape"):
        codec.decode(_body(_tensor(datatype="FP64", shape=[1] * dimensions, data=data)))


def test_a_model_of_any_shape_judges_itself() -> None:
    codec = _codec(TensorSpec(name="X", datatype="FP32", shape=(), is_any_shape=True))
    assert codec.decode(_body(_tensor())).inputs["X"].shape == (2, 2)
    assert codec.decode(_body(_tensor(shape=[], data=[1]))).inputs["X"].shape == ()


@pytest.mark.parametrize(("body", "message"), BAD)
def test_a_wrong_body_is_refused_and_the_field_is_named(body: bytes, message: str) -> None:
    with pytest.raises(BadRequest) as raised:
        _codec().decode(body)
    assert message in str(raised.value)


@pytest.mark.parametrize(("datatype", "value"), [("INT8", 128), ("UINT8", -1), ("INT64", 2**63), ("UINT64", -1)])
def test_integers_out_of_range_are_refused(datatype: str, value: int) -> None:
    codec = _codec(TensorSpec(name="X", datatype=datatype, shape=(-1,)))
    with pytest.raises(BadRequest, match=r"inputs\[0\]\.data"):
        codec.decode(_body(_tensor(datatype=datatype, shape=[1], data=[value])))


def test_a_fraction_is_no_integer() -> None:
    codec = _codec(TensorSpec(name="X", datatype="INT64", shape=(-1,)))
    with pytest.raises(BadRequest, match=r"inputs\[0\]\.data\[0\]: Expected `int`, got `float` for datatype INT64"):
        codec.decode(_body(_tensor(datatype="INT64", shape=[1], data=[1.5])))


def test_an_open_input_takes_any_name_and_datatype() -> None:
    codec = _codec(TensorSpec(name="input", datatype="FP64", shape=(-1, 2), is_open=True))
    array = codec.decode(_body(_tensor(name="predict", datatype="INT32"))).inputs["input"]
    assert array.dtype == np.int32


def test_the_response_holds_names_version_id_shapes_and_data() -> None:
    codec = _codec(version="v7")
    request = codec.decode(_body(_tensor(), id="abc", parameters={"a": {"b": [1]}}))
    results = {"label": np.array([3]), "score": np.array([[0.25, 0.75]], dtype=np.float32)}
    assert json.loads(codec.encode(request, results)[0]) == {
        "model_name": "iris",
        "model_version": "v7",
        "id": "abc",
        "outputs": [
            {"name": "label", "datatype": "INT64", "shape": [1], "data": [3]},
            {"name": "score", "datatype": "FP32", "shape": [1, 2], "data": [0.25, 0.75]},
        ],
    }


def test_outputs_come_in_the_order_and_number_that_is_asked_for() -> None:
    codec = _codec()
    results = {"label": np.array([3]), "score": np.array([[0.5, 0.5]])}
    for wanted in (["score", "label"], ["score"]):
        request = codec.decode(_body(_tensor(), outputs=[{"name": name} for name in wanted]))
        assert [output["name"] for output in json.loads(codec.encode(request, results)[0])["outputs"]] == wanted


@pytest.mark.parametrize(
    "array",
    [np.array(["a", "ü"]), np.array(["a", "ü"], dtype=object), np.array([b"a", "ü".encode()], dtype=object)],
    ids=["str", "object", "bytes"],
)
def test_strings_of_any_kind_go_out_as_text(array: Any) -> None:
    codec = _codec()
    request = codec.decode(_body(_tensor(), outputs=[{"name": "label"}]))
    output = json.loads(codec.encode(request, {"label": array})[0])["outputs"][0]
    assert (output["datatype"], output["data"]) == ("BYTES", ["a", "ü"])


@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    with suppress(BadRequest):
        _codec().decode(body)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists, max_leaves=8))
def test_any_json_as_data_is_read_or_refused(data: Any) -> None:
    with suppress(BadRequest):
        _codec().decode(_body(_tensor(data=data)))


@pytest.mark.parametrize(
    ("datatype", "largest", "beyond"),
    [("FP16", 65504.0, 65520.0), ("FP32", 3.4028234663852886e38, 3.4028235677973366e38)],
)
def test_the_largest_number_of_a_datatype_is_read_however_it_was_rounded(
    datatype: str, largest: float, beyond: float
) -> None:
    spec = TensorSpec(name="X", datatype=datatype, shape=(-1,))
    codec = Codec("m", "", (spec,), (spec,))
    request = codec.decode(_body(_tensor(datatype=datatype, shape=[2], data=[largest, -largest])))
    written = json.loads(codec.encode(request, request.inputs)[0])["outputs"][0]["data"]
    for data in (written, [np.nextafter(beyond, 0), -np.nextafter(beyond, 0)]):
        again = codec.decode(_body(_tensor(datatype=datatype, shape=[2], data=data)))
        assert again.inputs["X"].tolist() == [largest, -largest]
    with pytest.raises(BadRequest, match=r"inputs\[0\]\.data\[0\]: Expected `float` < "):
        codec.decode(_body(_tensor(datatype=datatype, shape=[1], data=[beyond])))


TABLE = TensorSpec(name="input", datatype="FP64", shape=(-1, 2), columns=("age", "income"), is_open=True)


@pytest.mark.parametrize("shape", [[3], [3, 1]], ids=str)
def test_a_table_may_come_as_a_tensor_for_each_column(shape: list[int]) -> None:
    tensors = [_tensor(name=name, shape=shape, data=[1, 2, 3]) for name in ("income", "age")]
    found = _codec(TABLE).decode(_body(*tensors)).inputs
    assert {name: array.shape for name, array in found.items()} == {"income": tuple(shape), "age": tuple(shape)}


def test_a_table_with_names_may_come_whole_under_any_name() -> None:
    assert list(_codec(TABLE).decode(_body(_tensor(name="x"))).inputs) == ["input"]
    assert list(_codec(TABLE).decode(_body(_tensor(name="age"))).inputs) == ["input"]


@pytest.mark.parametrize(
    ("names", "shape", "message"),
    [
        (["age", "wealth"], [4], "inputs[1].name: 'wealth' is unknown; the model has 'age', 'income'"),
        (["age", "age"], [4], "inputs[1].name: 'age' is given twice"),
        (["age", "income"], [2, 2], "inputs[0].shape: [2, 2] does not fit [-1, 1]"),
    ],
    ids=["unknown", "twice", "too wide"],
)
def test_columns_that_are_not_the_model_s_are_refused(names: list[str], shape: list[int], message: str) -> None:
    with pytest.raises(BadRequest) as raised:
        _codec(TABLE).decode(_body(*(_tensor(name=name, shape=shape) for name in names)))
    assert message in str(raised.value)


def test_a_table_of_one_column_may_come_under_its_name() -> None:
    one = TensorSpec(name="input", datatype="FP64", shape=(-1, 1), columns=("age",), is_open=True)
    assert list(_codec(one).decode(_body(_tensor(name="age", shape=[4]))).inputs) == ["age"]
    assert list(_codec(one).decode(_body(_tensor(name="input", shape=[4, 1]))).inputs) == ["input"]
