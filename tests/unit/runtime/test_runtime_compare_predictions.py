"""Answers that tell no datatypes, of V1 and of `/invocations`, and how two of them are compared."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelway_runtime.compare import dialects
from modelway_runtime.compare.comparison import Tolerance, disagreements
from modelway_runtime.compare.predictions import is_request, parse
from modelway_runtime.compare.response import Outputs, Unreadable
from modelway_runtime.protocol import tabular

TOLERANCE = Tolerance(absolute=1e-5, relative=1e-3)
CSV = b"text/csv; charset=utf-8; header=absent"


def read(body: str) -> Outputs:
    """An answer in JSON."""
    return parse(body.encode())


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ('{"predictions": [1, 2]}', {"predictions": ("NUMBER", (2,), (1, 2))}),
        ('{"predictions": [[0.5, 1], [2, null]]}', {"predictions": ("NUMBER", (2, 2), (0.5, 1, 2, None))}),
        ('{"predictions": ["a", "b"], "x": 1}', {"predictions": ("BYTES", (2,), ("a", "b"))}),
        ('{"predictions": [true]}', {"predictions": ("BOOL", (1,), (True,))}),
        ('{"predictions": []}', {"predictions": ("NUMBER", (0,), ())}),
        (
            '{"predictions": [{"label": "a", "score": [0.5]}, {"score": [0.25], "label": "b"}]}',
            {"label": ("BYTES", (2,), ("a", "b")), "score": ("NUMBER", (2, 1), (0.5, 0.25))},
        ),
        ('{"predictions": [{"b64": "AA=="}]}', {"predictions": ("BYTES", (1,), ("AA==",))}),
        ('{"outputs": {"y": [[1.5]], "n": 3}}', {"y": ("NUMBER", (1, 1), (1.5,)), "n": ("NUMBER", (), (3,))}),
        ('{"outputs": [1.5]}', {"predictions": ("NUMBER", (1,), (1.5,))}),
        ("[[1.5]]", {"predictions": ("NUMBER", (1, 1), (1.5,))}),
        ('{"label": "a", "score": 0.5}', {"label": ("BYTES", (), ("a",)), "score": ("NUMBER", (), (0.5,))}),
        ('"a"', {"predictions": ("BYTES", (), ("a",))}),
    ],
)
def test_the_forms_of_an_answer(body: str, expected: dict[str, Any]) -> None:
    found = {name: (output.datatype, output.shape, output.data) for name, output in read(body).items()}
    assert found == expected


def test_lines_of_csv_are_cells() -> None:
    (output,) = parse(b"1,0.5,yes\n2,nan,\n", CSV).values()
    assert (output.shape, output.data) == ((2, 3), (1, 0.5, "yes", 2, None, ""))


@pytest.mark.parametrize(
    "body",
    [
        "",
        "<html>",
        '{"predictions": [[1, 2], [3]]}',
        '{"predictions": [1, [2]]}',
        '{"predictions": [{"a": 1}, {"b": 1}]}',
        '{"predictions": [{"a": 1}, 2]}',
        '{"predictions": [{"a": {"b": 1}}]}',
        '{"predictions": [NaN]}',
        pytest.param('{"predictions": ' + "[" * 100_000, id="deep and open"),
        pytest.param('{"predictions": ' + "[" * 500 + "]" * 500 + "}", id="deep"),
    ],
)
def test_what_is_no_table_is_unreadable(body: str) -> None:
    with pytest.raises(Unreadable):
        read(body)


@pytest.mark.parametrize("body", [b"\xff", b"1,2\n3\n", b'"1'], ids=["no text", "ragged", "open"])
def test_what_is_no_csv_is_unreadable(body: bytes) -> None:
    with pytest.raises(Unreadable):
        parse(body, CSV)


@pytest.mark.parametrize(
    ("stable", "candidate", "kinds"),
    [
        ('{"predictions": [1, 2]}', '{"predictions": [1, 2]}', []),
        ('{"predictions": [1, 2]}', '{"predictions": [1, 3]}', ["class"]),
        ('{"predictions": [1.5, 2]}', '{"predictions": [1.5001, 2.0]}', []),
        ('{"predictions": [1.5, 2]}', '{"predictions": [1.6, 2]}', ["number"]),
        ('{"predictions": [[1.5, 2]]}', '{"predictions": [[1.5, 3]]}', ["vector"]),
        ('{"predictions": ["a "]}', '{"predictions": ["a"]}', []),
        ('{"predictions": [{"label": "a "}]}', '{"predictions": [{"label": "a"}]}', ["class"]),
        ('{"predictions": [{"prob": [0.9, 0.1]}]}', '{"predictions": [{"prob": [0.6, 0.4]}]}', []),
        ('{"predictions": [{"prob": [0.9, 0.1]}]}', '{"predictions": [{"prob": [0.4, 0.6]}]}', ["class"]),
        ('{"predictions": [1.5]}', '{"predictions": ["1.5"]}', ["schema"]),
        ('{"predictions": [1.5]}', '{"predictions": [[1.5]]}', ["schema"]),
        ('{"predictions": [{"a": 1}]}', '{"predictions": [{"b": 1}]}', ["schema"]),
        ('{"predictions": [null, 1.5]}', '{"predictions": [null, 1.5]}', []),
        ('{"predictions": [null, 1.5]}', '{"predictions": [0.5, 1.5]}', ["number"]),
    ],
)
def test_two_answers_are_compared_by_what_stands_in_them(stable: str, candidate: str, kinds: list[str]) -> None:
    found = disagreements(read(stable), read(candidate), TOLERANCE)
    assert [str(one.kind) for one in found] == kinds


@given(
    st.lists(
        st.sampled_from([np.float32, np.float64, np.int64, np.uint8, np.bool_, object]), min_size=1, max_size=3
    ).flatmap(lambda types: st.tuples(st.just(types), st.integers(1, 4), st.integers(0, 3)))
)
def test_what_the_runtime_answers_in_v1_and_csv_agrees_with_itself(made: tuple[list[Any], int, int]) -> None:
    types, rows, width = made
    shape = (rows, width) if width else (rows,)
    results = {
        f"y{index}": np.array(["ä, b"] * rows * max(1, width), dtype=object).reshape(shape)
        if kind is object
        else np.arange(rows * max(1, width)).reshape(shape).astype(kind)
        for index, kind in enumerate(types)
    }
    for body, content_type in (
        (tabular.encoded({"predictions": tabular.by_row(results)}), b"application/json"),
        (tabular.encoded({"outputs": tabular.by_name(results)}), b"application/json"),
        (tabular.lines(results), CSV),
    ):
        found = parse(body, content_type)
        assert disagreements(found, parse(body, content_type), TOLERANCE) == ()
        names = {"predictions"} if len(results) == 1 or content_type == CSV else set(results)
        assert found.keys() == names
        assert sum(len(output.data) for output in found.values()) == sum(array.size for array in results.values())


@pytest.mark.parametrize(
    ("body", "content_type", "is_one"),
    [
        (b'{"instances": [1]}', b"", True),
        (b"[1]", b"application/json", True),
        (b"1", b"application/json", False),
        (b"{", b"application/json", False),
        (b"[" * 100_000, b"", False),
        (b"1,2", b"Text/CSV", True),
        (b" \n", b"text/csv", False),
    ],
)
def test_what_a_model_can_say_something_about_is_a_request(body: bytes, content_type: bytes, is_one: bool) -> None:
    assert is_request(body, content_type) is is_one


@pytest.mark.parametrize(
    ("path", "is_asked"),
    [
        ("/v2/models/iris/infer", True),
        ("/v2/models/iris/versions/1/infer", True),
        ("/v1/models/iris:predict", True),
        ("/v1/models/iris/versions/1:predict", True),
        ("/v1/models/iris/labels/canary:predict", True),
        ("/invocations", True),
        ("/v1/models/iris:classify", False),
        ("/v1/models/iris", False),
        ("/v2/models/iris", False),
        ("/invocations/x", False),
        ("/v2/models/iris/feedback", False),
    ],
)
def test_predictions_are_told_by_their_path(path: str, is_asked: bool) -> None:
    assert (dialects.of(path) is not None) is is_asked
