"""Binary tensors: what is read from bytes, what is refused before anything is made, and what goes out."""

import json
import struct
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelway_runtime.protocol import binary
from modelway_runtime.protocol.codec import Codec
from modelway_runtime.protocol.datatypes import DTYPES, RAW_DTYPES
from modelway_runtime.protocol.tensors import BadRequest, TensorSpec

ROWS = TensorSpec(name="X", datatype="FP32", shape=(-1, 2))
FLAGS = TensorSpec(name="F", datatype="BOOL", shape=(-1,))
LABEL = TensorSpec(name="label", datatype="INT64", shape=(-1,))
SCORE = TensorSpec(name="score", datatype="FP32", shape=(-1, 2))
NUMBERS = np.array([[1.5, -2.0], [3.25, 4.0]], dtype="<f4")
RESULTS = {"label": np.array([3]), "score": np.array([[0.25, 0.75]], dtype=np.float32)}


def _codec(*inputs: TensorSpec) -> Codec:
    return Codec("iris", "", inputs or (ROWS,), (LABEL, SCORE))


def _tensor(size: int | None = 16, **changes: Any) -> dict[str, Any]:
    parameters = {} if size is None else {"parameters": {"binary_data_size": size}}
    return {"name": "X", "datatype": "FP32", "shape": [2, 2], **parameters, **changes}


def _body(*tensors: dict[str, Any], content: bytes = NUMBERS.tobytes(), **more: Any) -> tuple[bytes, int]:
    head = json.dumps({"inputs": list(tensors), **more}).encode()
    return head + content, len(head)


def _strings(*elements: bytes) -> bytes:
    return b"".join(struct.pack("<I", len(element)) + element for element in elements)


def _spec(datatype: str, *shape: int, is_open: bool = False) -> TensorSpec:
    return TensorSpec(name="X", datatype=datatype, shape=shape or (-1,), is_open=is_open)


@pytest.mark.parametrize("datatype", [name for name in DTYPES if name not in ("BYTES", "BF16")])
def test_each_datatype_of_one_size_comes_in_and_goes_out_unchanged(datatype: str) -> None:
    array = np.array([[1, 0], [1, 1]]).astype(DTYPES[datatype])
    spec = _spec(datatype, -1, 2)
    codec = Codec("m", "", (spec,), (spec,))
    tensor = _tensor(array.nbytes, datatype=datatype)
    request = codec.decode(*_body(tensor, content=array.tobytes(), outputs=[_wanted("X")]))
    assert (request.inputs["X"].dtype, request.inputs["X"].tolist()) == (array.dtype, array.tolist())
    payload, length = codec.encode(request, request.inputs)
    assert length is not None
    (output,) = json.loads(payload[:length])["outputs"]
    described = {"name": "X", "datatype": datatype, "shape": [2, 2]}
    assert output == {**described, "parameters": {"binary_data_size": array.nbytes}}
    assert payload[length:] == array.tobytes()


def _wanted(name: str, *, is_binary: bool = True) -> dict[str, Any]:
    return {"name": name, "parameters": {"binary_data": is_binary}}


def test_a_tensor_that_stands_aligned_is_not_copied() -> None:
    body, length = _body(_tensor())
    for shift in range(4):
        spaced = body[:length] + b" " * shift + body[length:]
        array = _codec().decode(spaced, length + shift).inputs["X"]
        assert array.flags.aligned
        assert np.shares_memory(array, np.frombuffer(spaced, np.uint8)) == ((length + shift) % 4 == 0)
        assert array.tolist() == NUMBERS.tolist()


def test_tensors_follow_each_other_in_the_order_of_the_request_beside_those_in_json() -> None:
    codec = _codec(ROWS, FLAGS, TensorSpec(name="J", datatype="INT8", shape=(-1,)))
    request = codec.decode(
        *_body(
            {"name": "F", "datatype": "BOOL", "shape": [3], "parameters": {"binary_data_size": 3}},
            {"name": "J", "datatype": "INT8", "shape": [2], "data": [-1, 1]},
            _tensor(),
            content=b"\x01\x00\x01" + NUMBERS.tobytes(),
        )
    )
    assert request.inputs["F"].tolist() == [True, False, True]
    assert request.inputs["J"].tolist() == [-1, 1]
    assert request.inputs["X"].tolist() == NUMBERS.tolist()


def test_strings_have_their_length_before_them() -> None:
    codec = Codec("m", "", (_spec("BYTES"),), (_spec("BYTES"),))
    content = _strings(b"", "Grüße".encode(), b"a\0b")
    request = codec.decode(
        *_body(_tensor(len(content), datatype="BYTES", shape=[3]), content=content, outputs=[_wanted("X")])
    )
    assert request.inputs["X"].tolist() == ["", "Grüße", "a\0b"]
    payload, length = codec.encode(request, request.inputs)
    assert payload[length:] == content


def test_strings_that_are_no_text_go_only_to_models_that_judge_themselves() -> None:
    content = _strings(b"\xff\xd8", b"text")
    body = _body(_tensor(len(content), datatype="BYTES", shape=[2]), content=content)
    assert _codec(_spec("BYTES", -1, is_open=True)).decode(*body).inputs["X"].tolist() == [b"\xff\xd8", b"text"]
    with pytest.raises(BadRequest, match="an element of BYTES is not UTF-8"):
        _codec(_spec("BYTES")).decode(*body)


def test_bf16_is_read_exactly_and_only_from_bytes() -> None:
    halves = np.array([1.0, -2.5, 3.0e38], dtype=np.float32).view(np.uint32) >> 16
    body = _body(_tensor(6, datatype="BF16", shape=[3]), content=halves.astype("<u2").tobytes())
    array = _codec(_spec("BF16")).decode(*body).inputs["X"]
    assert array.dtype == np.float32
    assert (array.view(np.uint32) >> 16).tolist() == halves.tolist()
    with pytest.raises(BadRequest, match=r"inputs\[0\]\.data: BF16 has no form in JSON; send binary data"):
        _codec(_spec("BF16")).decode(_body(_tensor(None, datatype="BF16", shape=[1], data=[1]), content=b"")[0])


BAD = [
    pytest.param(_body(_tensor(12)), "inputs[0].parameters.binary_data_size: 12 bytes", id="too few for the shape"),
    pytest.param(_body(_tensor(20)), "binary_data_size: 20, but 16 bytes are left", id="past the end"),
    pytest.param(_body(_tensor(2**63)), "binary_data_size: 9223372036854775808, but 16", id="far past the end"),
    pytest.param(_body(_tensor(-1)), "inputs[0].parameters.binary_data_size: Expected `int` >= 0", id="negative"),
    pytest.param(_body(_tensor(1.5)), "inputs[0].parameters.binary_data_size: Expected `int", id="a fraction"),  # type: ignore[arg-type]
    pytest.param(_body(_tensor(), content=b"\0" * 17), "inputs: 1 bytes follow the binary data", id="more than all"),
    pytest.param(_body(_tensor(None, data=[1, 2, 3, 4])), "inputs: 16 bytes follow", id="bytes that nobody names"),
    pytest.param(_body(_tensor(shape=[2**62, 2])), "needs 36893488147419103232", id="more than there is memory"),
    pytest.param(_body(_tensor(shape=[-2, 2])), "inputs[0].shape: [-2, 2] has a size below 1", id="negative size"),
    pytest.param(_body(_tensor(datatype="FP64")), "inputs[0].datatype: FP64, but 'X' takes FP32", id="datatype"),
    pytest.param(_body(_tensor(data=[1, 2, 3, 4])), "inputs[0].data stands beside binary_data_size", id="both"),
    pytest.param((_body(_tensor())[0], None), "the body is not JSON", id="no header"),
    pytest.param((_body(_tensor(), content=b"")[0], None), "only with the header", id="no header and no bytes"),
    pytest.param((b"{}", 3), "the body has 2 bytes, but its JSON should have 3", id="JSON past the end"),
    pytest.param(
        _body(_tensor(None, parameters={"shared_memory_region": "r"})),
        "inputs[0].parameters.shared_memory_region: shared memory is not served",
        id="shared memory",
    ),
    pytest.param(
        _body(_tensor(), outputs=[{"name": "score", "parameters": {"classification": 3}}]),
        "outputs[0].parameters.classification: the classification extension is not served",
        id="classification",
    ),
    pytest.param(
        _body(_tensor(), parameters={"binary_data_output": "yes"}), "parameters.binary_data_output: Expected", id="flag"
    ),
]


@pytest.mark.parametrize(("body", "message"), BAD)
def test_a_wrong_body_is_refused_and_the_field_is_named(body: tuple[bytes, int | None], message: str) -> None:
    with pytest.raises(BadRequest) as raised:
        _codec().decode(*body)
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x05\0\0\0abcd", "ends within element 0 of 2"),
        (_strings(b"abc") + b"\0", "ends before element 1 of 2"),
        (b"\xff\xff\xff\xff" + b"\0" * 8, "ends within element 0 of 2"),
        (_strings(b"a", b"b", b"c"), "5 bytes of binary data follow the last of 2 elements"),
        (b"\0\0\0", "3 bytes of binary data are too few for 2 lengths"),
    ],
)
def test_strings_that_do_not_add_up_are_refused(content: bytes, message: str) -> None:
    with pytest.raises(BadRequest, match=message):
        _codec(_spec("BYTES")).decode(*_body(_tensor(len(content), datatype="BYTES", shape=[2]), content=content))


def test_a_byte_that_is_neither_false_nor_true_is_refused() -> None:
    with pytest.raises(BadRequest, match="neither 0 nor 1"):
        _codec(_spec("BOOL")).decode(*_body(_tensor(2, datatype="BOOL", shape=[2]), content=b"\x01\x02"))


@pytest.mark.parametrize(
    ("parameters", "outputs", "packed"),
    [
        ({}, None, ()),
        ({"binary_data_output": True}, None, ("label", "score")),
        ({"binary_data_output": True}, [_wanted("score", is_binary=False), {"name": "label"}], ("label",)),
        ({"binary_data_output": False}, [_wanted("score"), {"name": "label"}], ("score",)),
        ({}, [_wanted("score"), _wanted("label")], ("score", "label")),
    ],
    ids=["none", "all", "all but one", "one", "in the order asked for"],
)
def test_outputs_go_out_as_bytes_where_it_is_asked_for(
    parameters: dict[str, Any], outputs: Any, packed: tuple[str, ...]
) -> None:
    request = _codec().decode(*_body(_tensor(), parameters=parameters, outputs=outputs, id="7"))
    payload, length = _codec().encode(request, RESULTS)
    head = json.loads(payload[:length])
    assert head["id"] == "7"
    assert [output["name"] for output in head["outputs"] if "data" not in output] == list(packed)
    assert payload[length or len(payload) :] == b"".join(RESULTS[name].tobytes() for name in packed)
    assert (length is None) == (not packed)


@pytest.mark.parametrize(
    ("spec", "content", "wanted"),
    [
        (_spec("FP32", -1, 2), NUMBERS.tobytes(), NUMBERS.tolist()),
        (_spec("FP32", 2, 2), NUMBERS.tobytes(), NUMBERS.tolist()),
        (_spec("FP32", -1, -1), NUMBERS.tobytes(), [[1.5, -2.0, 3.25, 4.0]]),
        (_spec("BYTES", -1, 1), b"a picture, say", [["a picture, say"]]),
        (_spec("BYTES", 1), b"", [""]),
        (TensorSpec(name="X", datatype="INT8", shape=(), is_any_shape=True), b"\x01\xff", [1, -1]),
    ],
    ids=["rows", "fixed", "one row", "a string", "an empty string", "any shape"],
)
def test_a_raw_request_is_the_only_input_and_its_answer_is_binary(
    spec: TensorSpec, content: bytes, wanted: Any
) -> None:
    request = _codec(spec).decode(content, 0)
    assert request.inputs["X"].tolist() == wanted
    assert request.binary == {"label", "score"}


@pytest.mark.parametrize(
    ("specs", "content", "message"),
    [
        ((ROWS, FLAGS), b"", "a raw request is for a model of one input; this one has X, F"),
        ((ROWS,), b"", "0 bytes are not a whole number of FP32 [-1, 2]"),
        ((ROWS,), b"\0" * 12, "12 bytes are not a whole number"),
        ((_spec("FP32", 2, 2),), b"\0" * 12, "needs 16"),
        ((_spec("FP32", -1, -1, -1),), b"\0" * 12, "cannot be told from the size"),
        ((_spec("BYTES", 2),), b"a", "a raw request holds one string"),
    ],
)
def test_a_raw_request_whose_shape_cannot_be_told_is_refused(
    specs: tuple[TensorSpec, ...], content: bytes, message: str
) -> None:
    with pytest.raises(BadRequest) as raised:
        _codec(*specs).decode(content, 0)
    assert message in str(raised.value)


@given(st.sampled_from(sorted(DTYPES)), st.lists(st.integers(1, 3), max_size=3), st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(datatype: str, shape: list[int], content: bytes) -> None:
    with suppress(BadRequest):
        array = binary.unpacked(content, datatype, shape, "X", is_text=False)
        assert array.shape == tuple(shape)
        if datatype in RAW_DTYPES and datatype != "BF16":
            assert b"".join([binary.packed(array)]) == content


@given(st.binary(max_size=80), st.integers(0, 100))
def test_any_body_with_any_length_of_its_json_is_read_or_refused(content: bytes, length: int) -> None:
    head, end = _body(_tensor(len(content)), content=b"")
    with suppress(BadRequest):
        _codec().decode(head + content, length if length < 50 else end)
