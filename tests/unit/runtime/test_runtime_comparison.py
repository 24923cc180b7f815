"""Where two answers disagree, how much a comparator takes on, and what it shows as examples."""

from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelway_runtime import exchange
from modelway_runtime.compare import examples
from modelway_runtime.compare.backlog import Backlog
from modelway_runtime.compare.comparison import Disagreement, Kind, Tolerance, disagreements
from modelway_runtime.compare.response import Unreadable, is_request, parse
from modelway_runtime.protocol import binary

TOLERANCE = Tolerance(absolute=1e-5, relative=1e-3)


def _body(*outputs: tuple[str, str, list[int], Any]) -> bytes:
    named = [
        {"name": name, "datatype": datatype, "shape": shape, "data": data} for name, datatype, shape, data in outputs
    ]
    return orjson.dumps({"model_name": "m", "outputs": named, "id": None})


def _label(*values: Any, datatype: str = "INT64") -> tuple[str, str, list[int], Any]:
    return ("label", datatype, [len(values)], list(values))


def _rows(name: str, *rows: list[Any], datatype: str = "FP32") -> tuple[str, str, list[int], Any]:
    return (name, datatype, [len(rows), len(rows[0])], list(rows))


def _number(*values: Any, name: str = "prediction") -> tuple[str, str, list[int], Any]:
    return (name, "FP64", [len(values)], list(values))


def _text(*values: str, name: str = "answer") -> tuple[str, str, list[int], Any]:
    return (name, "BYTES", [len(values)], list(values))


def _found(stable: Any, candidate: Any) -> list[tuple[str, str, Any, Any]]:
    stable, candidate = ([one] if isinstance(one, tuple) else one for one in (stable, candidate))
    found = disagreements(parse(_body(*stable)), parse(_body(*candidate)), TOLERANCE)
    return [(one.output, str(one.kind), one.stable, one.candidate) for one in found]


@pytest.mark.parametrize(
    ("stable", "candidate"),
    [
        pytest.param(_label(1, 2), _label(1, 2), id="classes"),
        pytest.param(_number(100.0), _number(100.09), id="number within the relative tolerance"),
        pytest.param(_number(0.0), _number(0.00001), id="number within the absolute tolerance"),
        pytest.param(_number(3), _number(3.0), id="a whole number written either way"),
        pytest.param(_number(None), _number(None), id="no number"),
        pytest.param(_rows("embedding", [1.0, 2.0]), _rows("embedding", [1.0005, 2.001]), id="vector"),
        pytest.param(_rows("probabilities", [0.9, 0.1]), _rows("probabilities", [0.6, 0.4]), id="same class"),
        pytest.param(_rows("output_probability", [0.5, 0.500001]), _rows("output_probability", [0.5, 0.5]), id="tie"),
        pytest.param(_text("yes \n"), _text(" yes"), id="text with white space"),
        pytest.param([_label(1), _number(2.0)], [_number(2.0), _label(1)], id="another order"),
        pytest.param(("v", "FP32", [1, 2], [1, 2]), ("v", "FP32", [1, 2], [[1, 2]]), id="flat and nested"),
        pytest.param([], [], id="nothing"),
        pytest.param(("v", "FP32", [0, 3], []), ("v", "FP32", [0, 3], []), id="no rows"),
    ],
)
def test_answers_agree(stable: Any, candidate: Any) -> None:
    assert _found(stable, candidate) == []


@pytest.mark.parametrize(
    ("stable", "candidate", "expected"),
    [
        pytest.param(_label(1, 2, 3), _label(1, 0, 0), ("label", "class", 2, 0), id="class"),
        pytest.param(
            _label("a", datatype="BYTES"), _label("a ", datatype="BYTES"), ("label", "class", "a", "a "), id="name"
        ),
        pytest.param(_label(True, datatype="BOOL"), _label(False, datatype="BOOL"), ("label", "class", True, False)),
        pytest.param(("y", "INT64", [1], [7]), ("y", "INT64", [1], [8]), ("y", "class", 7, 8), id="whole number"),
        pytest.param(_number(1.0, name="class_id"), _number(1.0001, name="class_id"), ("class_id", "class", 1, 1.0001)),
        pytest.param(_number(1.0, 100.0), _number(1.0, 100.2), ("prediction", "number", 100.0, 100.2), id="number"),
        pytest.param(_number(None), _number(1.0), ("prediction", "number", None, 1.0), id="no number"),
        pytest.param(
            _rows("embedding", [1.0, 2.0], [3.0, 4.0]),
            _rows("embedding", [1.0, 2.0], [3.0, 4.1]),
            ("embedding", "vector", [3.0, 4.0], [3.0, 4.1]),
            id="vector",
        ),
        pytest.param(
            _rows("probabilities", [0.9, 0.1], [0.6, 0.4]),
            _rows("probabilities", [0.8, 0.2], [0.4, 0.6]),
            ("probabilities", "class", [0.6, 0.4], [0.4, 0.6]),
            id="likeliest class",
        ),
        pytest.param(
            _rows("probabilities", [0.9, None]),
            _rows("probabilities", [None, 0.9]),
            ("probabilities", "class", [0.9, None], [None, 0.9]),
            id="likeliest class beside no number",
        ),
        pytest.param(
            _number(0.9, name="probability"),
            _number(0.8, name="probability"),
            ("probability", "number", 0.9, 0.8),
            id="a lone probability is a number",
        ),
        pytest.param(_text("yes"), _text("Yes"), ("answer", "text", "yes", "Yes"), id="text"),
        pytest.param(
            _label(1), _number(1.0, name="label"), ("label", "schema", "INT64 [1]", "FP64 [1]"), id="datatype"
        ),
        pytest.param(_label(1), _label(1, 1), ("label", "schema", "INT64 [1]", "INT64 [2]"), id="shape"),
        pytest.param([_label(1)], [], ("label", "schema", "INT64 [1]", "absent"), id="missing"),
        pytest.param([], [_label(1)], ("label", "schema", "absent", "INT64 [1]"), id="more"),
    ],
)
def test_answers_disagree(stable: Any, candidate: Any, expected: tuple[str, str, Any, Any]) -> None:
    assert _found(stable, candidate) == [expected]


def test_each_output_that_disagrees_is_told_and_a_schema_alone() -> None:
    stable = [_label(1), _rows("probabilities", [0.1, 0.9]), _number(1.0)]
    candidate = [_label(0), _rows("probabilities", [0.9, 0.1]), _number(1.0)]
    assert [one[:2] for one in _found(stable, candidate)] == [("label", "class"), ("probabilities", "class")]
    assert [one[:2] for one in _found(stable, candidate[:2])] == [("prediction", "schema")]


@given(st.lists(st.floats(-1e30, 1e30), min_size=1), st.floats(0, 1), st.floats(0, 1), st.floats(0, 0.99))
def test_what_lies_within_the_tolerance_agrees_and_what_lies_twice_as_far_does_not(
    values: list[float], absolute: float, relative: float, share: float
) -> None:
    tolerance = Tolerance(absolute=absolute, relative=relative)
    stable = parse(_body(_number(*values)))
    for factor, is_equal in ((share, True), (2.0, absolute + relative * max(map(abs, values)) == 0)):
        moved = [value + factor * (absolute + relative * abs(value)) for value in values]
        found = disagreements(stable, parse(_body(_number(*moved))), tolerance)
        if is_equal:
            # Rounding may move a number that is large beside its tolerance.
            assert all(abs(one.candidate - one.stable) <= abs(one.stable) * 1e-15 for one in found)
        elif all(abs(other - one) > absolute + relative * abs(one) for one, other in zip(values, moved, strict=True)):
            assert found


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"outputs": [{"name": "\xff"}]}',
        b"[]",
        b'{"outputs": {}}',
        b'{"outputs": [{"name": "a", "datatype": "FP32", "shape": [1]}]}',
        b'{"outputs": [{"name": "a", "datatype": "FP32", "shape": [2], "data": [1]}]}',
        b'{"outputs": [{"name": "a", "datatype": "FP32", "shape": [2], "data": [1, [2]]}]}',
        b'{"outputs": [{"name": "a", "datatype": "FP32", "shape": [2], "data": [[1], 2]}]}',
        b'{"outputs": [{"name": "a", "datatype": "FP32", "shape": [1], "data": [{}]}]}',
        b'{"outputs": [{"name": "a", "datatype": "FP32", "shape": [-1], "data": []}]}',
        b'{"outputs": [{"name": "a", "datatype": "FP32", "shape": [1], "data": [NaN]}]}',
        b'{"outputs": [{"name": "a", "datatype": "BYTES", "shape": [1], "data": ["\\ud800"]}]}',
        b'{"outputs": ' + b"[" * 100_000,
        b'{"outputs": [{"name": "a", "datatype": "FP32", "shape": [1], "data": ' + b"[" * 100_000,
    ],
)
def test_what_is_no_answer_is_unreadable(body: bytes) -> None:
    with pytest.raises(Unreadable):
        parse(body)


@pytest.mark.parametrize(
    ("body", "is_one"),
    [
        (b'{"inputs": []}', True),
        (b'{"id": "1", "inputs": [{"name": "x"}]}', True),
        (b"{", False),
        (b'{"id": "\xff", "inputs": []}', True),
        (b"[]", False),
        (b"{}", False),
        (b"\xff", False),
        (b'{"inputs": ' + b"[" * 100_000, False),
    ],
)
def test_a_request_is_json_with_inputs(body: bytes, is_one: bool) -> None:
    assert is_request(body) is is_one


def test_an_interim_answer_is_not_the_answer() -> None:
    answer = exchange.Answer()
    answer.parser.feed_data(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n")
    assert not answer.is_whole
    answer.parser.feed_data(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
    assert (answer.is_whole, bytes(answer.body), answer.parser.get_status_code()) == (True, b"{}", 200)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=20),
)
_TEXTS = st.text(max_size=2000) | st.sampled_from(["\x00" * 2000, "ä" * 2000, "\U0001f600" * 2000])


@given(_TEXTS, _TEXTS, _JSON | _TEXTS, _JSON | _TEXTS)
def test_an_example_is_small_whatever_the_models_said(request_id: str, output: str, one: Any, other: Any) -> None:
    found = Disagreement(output=output, kind=Kind.TEXT, stable=one, candidate=other)
    shown = examples.example(request_id, found)
    assert len(orjson.dumps(shown)) <= examples.MOST_BYTES
    assert shown["kind"] == "text"
    assert set(examples.redacted(shown)) == {"output", "kind"}


def test_an_example_shows_values_as_they_are_and_rows_as_text() -> None:
    one = Disagreement(output="p", kind=Kind.CLASS, stable=[0.25, 0.75], candidate=[1 / 3] * 9)
    assert examples.example("7", one) == {
        "id": "7",
        "output": "p",
        "kind": "class",
        "stable": "[0.25, 0.75]",
        "candidate": "[0.333333, 0.333333, 0.333333, 0.333333, 0.333333, 0.333333, …]",
    }
    two = Disagreement(output="label", kind=Kind.CLASS, stable=2, candidate="cat")
    assert [examples.example("7", two)[side] for side in ("stable", "candidate")] == [2, "cat"]


@given(
    st.lists(st.tuples(st.floats(0, 5), st.integers(0, 40), st.booleans()), max_size=60),
    st.integers(1, 5),
    st.integers(1, 20),
)
def test_no_history_passes_the_bounds(history: list[tuple[float, int, bool]], requests: int, rate: int) -> None:
    backlog = Backlog(requests=requests, size=100, per_second=rate, now=0.0)
    now, held, taken = 0.0, list[int](), 0
    for passed, size, leaves in history:
        now += passed
        if leaves and held:
            backlog.leave(held.pop())
        reason = backlog.enter(size, now)
        if reason is None:
            held.append(size)
            taken += 1
        assert (backlog.requests, backlog.size) == (len(held), sum(held))
        assert len(held) <= requests
        assert sum(held) <= 100
        assert taken <= rate * (now + 1) + 1e-6
        if reason == "queue":
            assert len(held) == requests
        elif reason == "memory":
            assert sum(held) + size > 100


def test_room_comes_back_with_time_and_with_those_who_leave() -> None:
    backlog = Backlog(requests=2, size=10, per_second=2, now=0.0)
    assert [backlog.enter(1, 0.0) for _ in range(3)] == [None, None, "queue"]
    backlog.leave(1)
    assert backlog.enter(1, 0.0) == "rate"
    assert backlog.enter(10, 0.5) == "memory"
    assert backlog.enter(9, 0.5) is None


def _binary(**arrays: tuple[str, Any]) -> tuple[bytes, int]:
    contents = [binary.packed(array).tobytes() for _, array in arrays.values()]
    outputs = [
        {"name": name, "datatype": datatype, "shape": array.shape, "parameters": {"binary_data_size": len(content)}}
        for (name, (datatype, array)), content in zip(arrays.items(), contents, strict=True)
    ]
    head = orjson.dumps({"outputs": outputs}, option=orjson.OPT_SERIALIZE_NUMPY)
    return b"".join((head, *contents)), len(head)


def test_a_binary_answer_is_read_as_the_same_answer_in_json_is() -> None:
    body = _binary(
        label=("INT64", np.array([3, -1])),
        score=("FP32", np.array([[0.5, np.nan]], dtype=np.float32)),
        text=("BYTES", np.array(["a", "ü"], dtype=object)),
    )
    found = parse(*body)
    assert {name: (output.datatype, output.shape, output.data) for name, output in found.items()} == {
        "label": ("INT64", (2,), (3, -1)),
        "score": ("FP32", (1, 2), (0.5, None)),
        "text": ("BYTES", (2,), ("a", "ü")),
    }


@pytest.mark.parametrize(
    ("datatype", "shape", "content"),
    [("FP32", [2], b"\0" * 4), ("FP31", [1], b"\0" * 4), ("FP32", [-1], b""), ("BYTES", [1], b"\xff\xff\xff\xff")],
)
def test_a_binary_answer_that_does_not_add_up_is_unreadable(datatype: str, shape: list[int], content: bytes) -> None:
    output = {"name": "y", "datatype": datatype, "shape": shape, "parameters": {"binary_data_size": len(content)}}
    head = orjson.dumps({"outputs": [output]})
    with pytest.raises(Unreadable):
        parse(head + content, len(head))
