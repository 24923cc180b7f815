"""The reference of a model: what it says, how it is made, and what pods count against it."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelway.analysis.drifts import Binned
from modelway.providers import drifted
from modelway_runtime.protocol.tensors import TensorSpec
from modelway_runtime.reference import file, making, places
from modelway_runtime.reference.bins import Bins, Categories, Numbers, instability
from modelway_runtime.reference.file import NoReference, Reference, WrongReference
from modelway_runtime.server.drift import MOST_ROWS, RECENT, TOGETHER, Drift

Serve = Callable[..., Any]
AMOUNT = Numbers((1.0, 10.0), (5, 3, 2, 0))
COUNTRY = Categories(("de", "fr"), (6, 3, 1))
COLUMN = {"datatype": "FP64", "shape": (-1, 1)}
SPECS = tuple(TensorSpec(name=name, **COLUMN) for name in ("amount", "country"))


@pytest.mark.parametrize(
    ("bins", "values", "counts"),
    [
        (AMOUNT, np.array([0.5, 1.0, 1.5, 10.0, 11.0, np.nan]), [2, 2, 1, 1]),
        (AMOUNT, np.array([1, 2, 300], dtype=np.int64), [1, 1, 1, 0]),
        (AMOUNT, np.array(["2", "x", None, "1e9"], dtype=np.object_), [0, 1, 1, 2]),
        (AMOUNT, np.array([np.inf, -np.inf]), [1, 0, 1, 0]),
        (COUNTRY, np.array(["de", "fr", "de", "at", ""], dtype=np.object_), [2, 1, 2]),
        (COUNTRY, np.array([b"de", None, ["de"]], dtype=np.object_), [1, 0, 2]),
        (Categories(("1", "true"), (1, 1, 1)), np.array([1, 2, 1]), [2, 0, 1]),
        (Categories(("1", "true"), (1, 1, 1)), np.array([1.0, np.nan, 1.5]), [1, 0, 2]),
        (Categories(("1", "true"), (1, 1, 1)), np.array([True, False]), [0, 1, 1]),
    ],
)
def test_values_fall_into_bins(bins: Bins, values: Any, counts: list[int]) -> None:
    assert bins.count(values).tolist() == counts


@given(st.lists(st.one_of(st.floats(), st.integers(-5, 5).map(float)), min_size=1, max_size=300))
def test_made_bins_count_every_value_once_and_can_be_read_again(values: list[float]) -> None:
    made = making.bins(np.array(values))
    if made is None:
        assert not np.isfinite(values).any()
        return
    assert sum(made.counts) == len(values)
    assert made.count(np.array(values)).tolist() == list(made.counts)
    written = file.text(Reference(features={"x": made})).encode()
    assert file.parsed(written) == Reference(features={"x": made})


@pytest.mark.parametrize("value", [-sys.float_info.max, sys.float_info.max, 0.0, 5e-324])
def test_the_largest_numbers_have_bins(value: float) -> None:
    made = making.bins(np.array([value]))
    assert made is not None
    assert file.parsed(file.text(Reference(features={"x": made})).encode()).features["x"] == made


@pytest.mark.parametrize(
    ("values", "kind", "bins"),
    [
        (np.arange(1000.0), "Numbers", 11),
        (np.arange(1000), "Numbers", 11),
        (np.zeros(50), "Numbers", 4),
        (np.arange(1000) % 3, "Categories", 4),
        (np.array(["a", "b"] * 5, dtype=np.object_), "Categories", 3),
        (np.array([f"id {i}" for i in range(100)], dtype=np.object_), "Categories", 17),
        (np.array([True, False]), "Categories", 3),
    ],
)
def test_the_kind_of_bins_follows_from_the_values(values: Any, kind: str, bins: int) -> None:
    made = making.bins(values)
    assert made is not None
    assert (made.kind, len(made.counts)) == (kind, bins)


def test_a_value_below_a_constant_is_seen() -> None:
    made = making.bins(np.full(100, 7.0))
    assert made is not None
    assert made.count(np.array([6.9, 7.0, 7.1])).tolist() == [1, 1, 1, 0]


def whole(**features: Any) -> bytes:
    return json.dumps({"format": file.FORMAT, "features": features}).encode()


WRONG: list[Any] = [
    pytest.param(whole(a={"counts": [1]}), "'a' needs either edges or categories", id="neither"),
    pytest.param(whole(a={"counts": [1, 1], "edges": [1], "categories": ["x"]}), "either", id="both"),
    pytest.param(whole(a={"counts": [1, 1], "edges": [1]}), "1 edges and needs 3 counts", id="few-counts"),
    pytest.param(whole(a={"counts": [1] * 4, "edges": [2, 1]}), "larger than the one before", id="falling"),
    pytest.param(whole(a={"counts": [1] * 18, "edges": list(range(16))}), "1 to 15 edges", id="many-edges"),
    pytest.param(whole(a={"counts": [1] * 3, "categories": ["x", "x"]}), "each another one", id="twice"),
    pytest.param(whole(a={"counts": [1], "categories": ["x"]}), "needs 2 counts", id="no-others"),
    pytest.param(whole(a={"counts": [0, 0], "categories": ["x"]}), "one at least is not 0", id="empty"),
    pytest.param(whole(a={"counts": [-1, 5], "categories": ["x"]}), "not negative", id="negative"),
    pytest.param(whole(a={"counts": [1.5, 5], "categories": ["x"]}), "int", id="half"),
    pytest.param(whole(**{"a\n": {"counts": [1, 5], "categories": ["x"]}}), "letters that can be seen", id="name"),
    pytest.param(whole(**{f"f{i}": {"counts": [1, 5], "categories": ["x"]} for i in range(33)}), "33", id="many"),
    pytest.param(b'{"format": "modelway.reference/v2"}', "is not modelway.reference/v1", id="later"),
    pytest.param(b'{"format": "modelway.reference/v1", "feature": {}}', "feature", id="unknown-field"),
]


@pytest.mark.parametrize(("content", "message"), WRONG)
def test_a_reference_that_is_wrong_says_why(content: bytes, message: str) -> None:
    with pytest.raises(WrongReference, match=message.replace("[", r"\[")):
        file.parsed(content)


@pytest.mark.parametrize("content", [b"", b"[1]", b"{}", b'{"format": "parquet"}', b"\xff", b"[" * 100_000])
def test_a_file_of_somebody_else_is_no_reference(content: bytes) -> None:
    with pytest.raises(NoReference):
        file.parsed(content)


TABLE = TensorSpec(name="x", datatype="FP32", shape=(-1, 3), columns=("a", "b", "c"))
ROWS = np.arange(6.0).reshape(2, 3)


@pytest.mark.parametrize(
    ("name", "tensors", "values"),
    [
        ("b", {"x": ROWS}, [1.0, 4.0]),
        ("b", {"a": ROWS[:, 0], "b": ROWS[:, 2:]}, [2.0, 5.0]),
        ("x[2]", {"x": ROWS}, [2.0, 5.0]),
        ("x[3]", {"x": ROWS}, None),
        ("y", {"y": np.array([7.0])}, [7.0]),
        ("y", {"y": ROWS}, None),
        ("y", {"x": ROWS}, None),
        ("y", {"y": ROWS.reshape(1, 2, 3)}, None),
    ],
)
def test_a_name_is_a_tensor_a_column_or_a_place(name: str, tensors: Any, values: list[float] | None) -> None:
    found = places.find(name, (TABLE,)).values(tensors)
    assert (None if found is None else found.tolist()) == values


def test_every_name_of_some_rows_is_found_again() -> None:
    for specs, tensors in (((TABLE,), {"x": ROWS}), ((), {"x": ROWS, "y": ROWS[:, 0], "z": ROWS[:, :1]})):
        for name in places.names(specs, tensors):
            assert places.find(name, specs).values(tensors) is not None
    assert list(places.names((TABLE,), {"x": ROWS})) == ["a", "b", "c"]
    assert list(places.names((), {"x": ROWS, "y": ROWS[:, 0]})) == ["x[0]", "x[1]", "x[2]", "y"]


def drift() -> Drift:
    reference = Reference(features={"amount": AMOUNT, "country": COUNTRY}, predictions={"label": COUNTRY})
    return Drift(reference, SPECS, (TensorSpec(name="label", datatype="BYTES", shape=(-1,)),))


def request(*amounts: float, country: str = "de") -> Any:
    countries = np.array([[country]] * len(amounts), dtype=np.object_)
    return {"amount": np.array(amounts).reshape(-1, 1), "country": countries}


def answer(*labels: str) -> Any:
    return {"label": np.array(labels, dtype=np.object_)}


def test_features_and_predictions_of_requests_are_counted() -> None:
    found = drift()
    found.observe(request(0.0, 5.0), answer("de", "at"))
    found.observe(request(50.0, country="fr"), answer("fr"))
    told = found.told()
    assert {name: one["counts"] for name, one in told.items()} == {
        "amount": [1, 1, 1, 0],
        "country": [2, 1, 0],
        "label": [1, 1, 1],
    }
    assert told["amount"] == {"kind": "Numbers", "reference": [5, 3, 2, 0], "counts": [1, 1, 1, 0]}
    assert found.told() == told


def test_a_request_that_brings_other_things_counts_for_what_it_brings() -> None:
    found = drift()
    found.observe({"amount": np.array(["x"], dtype=np.object_)}, {"score": np.array([0.5])})
    found.observe(request(5.0), answer("de"))
    found.observe({"amount": np.array(5.0)}, {"label": np.array("de")})
    assert [one["counts"] for one in found.told().values()] == [[0, 1, 0, 1], [1, 0, 0], [1, 0, 0]]


def test_of_a_large_request_a_thousand_rows_at_even_distances_count() -> None:
    found = drift()
    found.observe(request(*([0.0] * 30_000 + [5.0] * 10_000)), answer(*["de"] * 40_000))
    assert found.told()["amount"]["counts"] == [750, 250, 0, 0]
    assert MOST_ROWS == 1000


def test_rows_are_counted_together_and_no_request_is_kept_after_that() -> None:
    found = drift()
    (features, _) = found._sides
    for _ in range(TOGETHER - 1):
        found.observe(request(5.0), answer("de"))
    assert (len(features._kept), features.counted["amount"].counts.sum()) == (TOGETHER - 1, 0)
    found.observe(request(5.0), answer("de"))
    assert (features._kept, features.counted["amount"].counts.tolist()) == ([], [0, TOGETHER, 0, 0])


def test_a_large_request_is_not_kept() -> None:
    found = drift()
    found.observe({**request(5.0), "picture": np.zeros((1, 512, 512))}, answer("de"))
    assert found._sides[0]._kept == []
    found.observe(request(*[5.0] * 1001), answer("de"))
    assert len(found._sides[0]._kept) == 1


def test_the_index_is_that_of_the_shares_and_forgets_old_rows() -> None:
    ours, theirs = np.array([400_000, 600_000]), np.array([500_000, 500_000])
    assert instability(theirs, ours) == pytest.approx(-0.1 * np.log(0.4 / 0.5) + 0.1 * np.log(0.6 / 0.5), abs=1e-4)
    assert instability(np.array([50, 50]), np.array([52, 48])) == 0
    found = drift()
    for amounts, times in ((0.0, 60), (500.0, 100)):
        for _ in range(times):
            found.observe(request(*[amounts] * 1000), answer(*["de"] * 1000))
    assert found._sides[0].counted["amount"].recent.tolist()[0] < 0.01 * RECENT
    assert found.told()["amount"]["counts"] == [60_000, 0, 100_000, 0]
    assert found.instability()["amount"] > 1


def reference_of(folder: Path) -> None:
    bins = {f"X[{i}]": Numbers((1.0, 3.0, 5.0), (10, 10, 10, 10, 0)) for i in range(4)}
    label = Categories(("0", "1", "2"), (50, 50, 50, 0))
    folder.joinpath("reference.json").write_text(file.text(Reference(features=bins, predictions={"label": label})))


def copied(models: Path, to: Path) -> Path:
    (to / "iris").mkdir()
    (to / "iris/model.onnx").write_bytes((models / "iris/model.onnx").read_bytes())
    return to / "iris"


def test_a_server_counts_what_callers_ask_and_tells_it(serve: Serve, models: Path, tmp_path: Path) -> None:
    folder = copied(models, tmp_path)
    reference_of(folder)
    runtime = serve(folder, revision="abc", grpc="off").wait_until_ready()
    asked = {"inputs": [{"name": "X", "datatype": "FP32", "shape": [2, 4], "data": [5, 3, 1, 0.2, 6, 3, 5, 2]}]}
    assert runtime.infer(asked).status == 200
    assert runtime.infer(asked, headers={"modelway-shadow": "1"}).status == 200
    told = runtime.get("/internal/figures", internal=True).json["drift"]
    assert {name: one["counts"] for name, one in told.items()} == {
        "X[0]": [0, 0, 1, 1, 0],
        "X[1]": [0, 2, 0, 0, 0],
        "X[2]": [1, 0, 1, 0, 0],
        "X[3]": [1, 1, 0, 0, 0],
        "label": [1, 0, 1, 0],
    }
    assert drifted.parsed(told)["label"] == Binned("Categories", (50, 50, 50, 0), (1, 0, 1, 0)), "operators read it"
    assert runtime.metrics()['modelway_runtime_drift_psi{feature="label",model="iris",version=""}'] >= 0


def test_without_a_reference_nothing_is_counted(serve: Serve, models: Path, tmp_path: Path) -> None:
    folder = copied(models, tmp_path)
    (folder / "reference.json").write_text('{"mine": 1}')
    runtime = serve(folder, grpc="off").wait_until_ready()
    assert "drift" not in runtime.get("/internal/figures", internal=True).json
    assert not [name for name in runtime.metrics() if "drift" in name]


def test_a_wrong_reference_is_a_reason(serve: Serve, models: Path, tmp_path: Path) -> None:
    folder = copied(models, tmp_path)
    (folder / "reference.json").write_text(json.dumps({"format": file.FORMAT, "features": {"X": {"counts": [1]}}}))
    runtime = serve(folder, grpc="off")
    assert runtime.process.wait(timeout=60) == 1
    assert runtime.termination["reason"] == "ModelLoadFailed"
    assert runtime.termination["message"] == "reference.json: 'X' needs either edges or categories"


def command(*arguments: object) -> subprocess.CompletedProcess[str]:
    whole = [sys.executable, "-m", "modelway_runtime", "reference", *map(str, arguments)]
    return subprocess.run(whole, capture_output=True, text=True, check=False)


def test_the_command_writes_what_pods_read(models: Path, tmp_path: Path) -> None:
    folder = copied(models, tmp_path)
    random = np.random.default_rng(1)
    lines = [",".join(f"{value:.1f}" for value in row) for row in random.uniform(0, 7, (2500, 4))]
    data = tmp_path / "data.csv"
    data.write_text("a,b,c,d\n" + "\n".join(lines))
    ended = command(folder, data)
    assert ended.returncode == 0, ended.stderr
    found = file.parsed((folder / "reference.json").read_bytes())
    assert set(found.features) == {"X[0]", "X[1]", "X[2]", "X[3]"}
    assert {"label", "probabilities[0]"} <= set(found.predictions)
    assert {sum(bins.counts) for bins in (*found.features.values(), *found.predictions.values())} == {2500}
    assert "label: 2,500 values, categories" in ended.stdout
    chosen = command(folder, data, "--names", "X[1], label", "--to", tmp_path / "own.json")
    assert chosen.returncode == 0, chosen.stderr
    own = file.parsed((tmp_path / "own.json").read_bytes())
    assert (set(own.features), set(own.predictions)) == ({"X[1]"}, {"label"})
    assert own.features["X[1]"] == found.features["X[1]"]


@pytest.mark.parametrize(
    ("content", "more", "says"),
    [
        ("a,b\n1,2\n", (), "does not fit"),
        ("a,b,c,d\n1,2,3\n", (), "is not CSV"),
        ("a,b,c,d\n", (), "neither inputs nor predictions"),
        ("a,b,c,d\n1,2,3,4\n", ("--names", "zz"), "the model has no zz"),
    ],
)
def test_rows_that_are_no_rows_of_the_model_are_named(
    models: Path, tmp_path: Path, content: str, more: tuple[str, ...], says: str
) -> None:
    folder, data = copied(models, tmp_path), tmp_path / "data.csv"
    data.write_text(content)
    ended = command(folder, data, *more)
    assert (ended.returncode, says in ended.stderr) == (2, True), ended.stderr
    assert not (folder / "reference.json").exists()
