"""Requests counted by a value of theirs: which group each is in, what is told when, what hostile callers can do."""

import asyncio
import tracemalloc
from collections.abc import Callable
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelway.analysis.figures import Sums
from modelway.analysis.inquiry import Division, Target
from modelway.providers import calls
from modelway.providers.calls import Caller
from modelway.providers.pods import Heard, Pods
from modelway.providers.reach import Reach
from modelway_runtime.server.groups import NONE, OTHER, SLOTS, Groups
from modelway_runtime.server.question import Question, parsed, printable

Serve = Callable[..., Any]
Eventually = Callable[[Callable[[], Any]], Any]

RUN = "5c0d9a4be17f2386"
SLOT = 10.0


def asking(*names: str, more: int = 10, after: int | None = None, **other: Any) -> Question:
    asked = {"input": "language", "slot_seconds": SLOT, "run": RUN, **other}
    return Question(names=names, more=more, after=after, **asked)


def told(groups: Groups, now: float, asked: Question | None = None) -> dict[str, int]:
    """Requests by group."""
    found: Any = groups.figures(asked or asking(), RUN, now)["counts"]
    return {name: group["requests"] for name, group in found.items()}


def value(value: object, dtype: Any = np.object_) -> dict[str, Any]:
    return {"language": np.array([[value]], dtype=dtype)}


def send(groups: Groups, text: object, now: float, times: int = 1) -> None:
    for _ in range(times):
        groups.answered(value(text), 0.01, now)


def asked_groups(asked: Question | None = None, **settings: Any) -> Groups:
    """As they are after the first question, at second 0."""
    groups = Groups(**{"request_timeout": 30.0, **settings})
    groups.figures(asked or asking(), RUN, 0.0)
    return groups


def test_nothing_is_counted_before_anybody_asks() -> None:
    groups = Groups(request_timeout=30.0)
    assert groups.unread is None
    groups.answered(value("de"), 0.01, 0.0)
    groups.failed({}, 0.0)
    assert told(groups, 100.0) == {}
    assert groups.unread == {}


@pytest.mark.parametrize(
    ("inputs", "name"),
    [
        pytest.param(value("de"), "de", id="a string"),
        pytest.param(value(7, np.int64), "7", id="an integer"),
        pytest.param(value(-1, np.int8), "-1", id="a negative integer"),
        pytest.param(value(2**64 - 1, np.uint64), "18446744073709551615", id="the largest integer"),
        pytest.param(value(True, np.bool_), "true", id="a boolean"),
        pytest.param({"language": np.array(["de", "en"], dtype=np.object_)}, "de", id="the first of many"),
        pytest.param({"language": np.array("de", dtype=np.object_)}, "de", id="a scalar"),
        pytest.param(value(0.5, np.float32), NONE, id="a number that is no integer"),
        pytest.param(value(b"de"), NONE, id="bytes"),
        pytest.param(value(None), NONE, id="nothing"),
        pytest.param(value({"de": 1}), NONE, id="an object"),
        pytest.param(value(""), NONE, id="an empty string"),
        pytest.param({"language": np.array([], dtype=np.object_)}, NONE, id="no value"),
        pytest.param({"country": np.array(["de"], dtype=np.object_)}, NONE, id="another input"),
        pytest.param({}, NONE, id="no input"),
        pytest.param(value("d\0e"), "d?e", id="a NUL byte"),
        pytest.param(value("\x1b[31mde\u202e"), "?[31mde?", id="signs that change what a terminal shows"),
        pytest.param(value("\ud800"), "?", id="half a character"),
        pytest.param(value("x" * 10_000_000), "x" * 64, id="ten million letters"),
        pytest.param(value("größe 日本"), "größe 日本", id="letters of any alphabet"),
        pytest.param(value(NONE), NONE, id="the word for none"),
        pytest.param(value(OTHER), OTHER, id="the word for others"),
    ],
)
def test_the_first_value_of_the_input_is_the_group(inputs: Any, name: str) -> None:
    assert asked_groups().of(inputs) == name


@given(st.text(max_size=200))
def test_a_name_is_short_and_each_of_its_letters_is_visible(text: str) -> None:
    name = printable(text)
    assert name.isprintable()
    assert len(name) == min(len(text), 64)
    assert printable(name) == name


def test_an_error_an_answer_and_a_late_answer_count_as_they_do_without_groups() -> None:
    groups = asked_groups(asking(has_latency=True), request_timeout=1.0)
    for seconds in (0.001, 0.5, 2.0):
        groups.answered(value("de"), seconds, 1.0)
    groups.failed(value("de"), 1.0)
    counts: Any = groups.figures(asking(has_latency=True), RUN, SLOT)["counts"]
    assert counts == {"de": {"requests": 4, "errors": 2, "latency": {"142": 1, "269": 1, "298": 1}}}


def test_durations_are_counted_only_where_they_are_asked_for() -> None:
    groups = asked_groups()
    send(groups, "de", 1.0)
    counts: Any = groups.figures(asking(), RUN, SLOT)["counts"]
    assert counts["de"] == {"requests": 1, "errors": 0, "latency": {}}


def test_the_first_values_have_a_name_and_all_further_ones_are_counted_together() -> None:
    groups = asked_groups(asking("en", more=2))
    for text in ("de", "en", "fr", "es", "de", "it"):
        send(groups, text, 1.0)
    assert told(groups, SLOT, asking("en", more=2)) == {"de": 2, "en": 1, "fr": 1, OTHER: 2}


def test_a_million_values_take_the_room_of_a_dozen() -> None:
    groups = asked_groups(asking(more=10))
    for number in range(1_000_000):
        if number == 990_000:
            tracemalloc.start()
        groups.answered({"language": np.array([number])}, 0.01, 1.0)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    counts = told(groups, SLOT, asking(more=10))
    assert len(counts) == 11
    assert counts[OTHER] == 1_000_000 - 10
    assert most < 10_000


def test_only_slots_that_have_passed_are_told_and_each_of_them_to_all_who_ask() -> None:
    groups = asked_groups()
    send(groups, "de", 1.0)
    assert told(groups, 9.0) == {}
    assert told(groups, 10.0) == {"de": 1}
    send(groups, "de", 11.0, times=2)
    assert told(groups, 12.0) == {"de": 1}
    send(groups, "de", 20.0, times=4)  # another slot
    assert [told(groups, 30.0, asking(after=after)) for after in (None, 0, 1, 2, 3, 99)] == [
        {"de": 7},
        {"de": 7},
        {"de": 6},
        {"de": 4},
        {},
        {},
    ]
    assert groups.figures(asking(after=1), RUN, 30.0) | {"counts": None} == {
        "by": "language",
        "after": 1,
        "upTo": 3,
        "counts": None,
    }


def test_who_has_read_another_process_is_told_everything() -> None:
    groups = asked_groups()
    send(groups, "de", 1.0)
    answer = groups.figures(asking(after=7, run="another"), RUN, SLOT)
    assert (answer["after"], told(groups, SLOT, asking(after=7, run="another"))) == (None, {"de": 1})


@given(st.lists(st.tuples(st.floats(0, 9), st.sampled_from(["de", "en", "is", ""]), st.booleans()), max_size=100))
def test_who_reads_on_from_where_the_last_answer_ended_has_each_request_once(
    events: list[tuple[float, str, bool]],
) -> None:
    """At any times of requests and of questions, as long as none lets more slots pass than are kept."""
    groups, now, known, sent, heard = asked_groups(asking(more=2)), 0.0, 0, 0, 0
    for pause, text, is_read in events:
        now += pause
        send(groups, text, now)
        sent += 1
        if is_read:
            answer: Any = groups.figures(asking(more=2, after=known), RUN, now)
            heard += sum(group["requests"] for group in answer["counts"].values())
            assert heard <= sent
            known = answer["upTo"]
    if now < 16 * SLOT:
        heard += sum(told(groups, now + SLOT, asking(more=2, after=known)).values())
        assert heard == sent


def test_slots_that_nobody_fetches_are_forgotten_one_by_one() -> None:
    groups = asked_groups()
    for slot in range(SLOTS + 4):
        send(groups, "de", slot * SLOT + 1)
    assert told(groups, (SLOTS + 4) * SLOT, asking()) == {"de": SLOTS}


def test_counting_ends_some_minutes_after_the_last_question_and_begins_anew_with_the_next() -> None:
    groups = asked_groups()
    send(groups, "de", 299.0)
    assert groups.unread is not None
    send(groups, "de", 310.0)
    assert groups.unread is None
    send(groups, "de", 311.0)
    assert told(groups, 400.0) == {}
    send(groups, "fr", 401.0)
    answer: Any = groups.figures(asking(), RUN, 410.0)
    assert (list(answer["counts"]), answer["upTo"]) == (["fr"], 1)


def test_it_goes_on_for_as_long_as_slots_are_kept_where_questions_are_rare() -> None:
    groups = asked_groups(asking(slot_seconds=900.0))
    send(groups, "de", 4 * 900.0)
    assert told(groups, 5 * 900.0, asking(slot_seconds=900.0)) == {"de": 1}


def test_with_other_names_what_was_counted_together_is_forgotten_and_names_keep_their_counts() -> None:
    groups = asked_groups(asking(more=2))
    for text in ("de", "fr", "es", "it", ""):
        send(groups, text, 1.0)
    wanted = asking("de", "fr", more=1)
    assert told(groups, SLOT, wanted) == {"de": 1, "fr": 1, NONE: 1}
    for text in ("es", "it"):
        send(groups, text, SLOT + 1)
    assert told(groups, 2 * SLOT, wanted) == {"de": 1, "fr": 1, NONE: 1, "es": 1, OTHER: 1}


def test_with_another_input_everything_is_forgotten() -> None:
    groups = asked_groups()
    send(groups, "de", 1.0)
    country = asking(input="country")
    assert told(groups, SLOT, country) == {}
    groups.answered({"country": np.array(["AT"], dtype=np.object_)}, 0.01, SLOT + 1)
    assert told(groups, 2 * SLOT, country) == {"AT": 1}


def test_a_question_names_input_names_and_how_far_the_counts_are_known() -> None:
    query = urlencode(
        (
            ("by", "sprache für &"),
            ("slotSeconds", "7.5"),
            ("more", "3"),
            ("latency", "1"),
            ("after", f"{RUN}.12"),
            ("name", "日本"),
            ("name", "a&b=c"),
        )
    )
    assert parsed(query.encode()) == Question(
        input="sprache für &",
        names=("日本", "a&b=c"),
        more=3,
        slot_seconds=7.5,
        run=RUN,
        after=12,
        has_latency=True,
    )


@pytest.mark.parametrize(
    "query",
    [
        b"",
        b"by",
        b"by=",
        b"more=3",
        b"by=x&more=many",
        b"by=x&slotSeconds=nan",
        b"by=x&slotSeconds=inf",
        b"by=x&after=run.x",
        b"by=x&more=" + b"9" * 5000,
        b"by=x" + b"&name=y" * 51,
        b"by=x" + b"&name=y" * 100,
        b"\xff\xfe",
        b"&&&=&",
    ],
)
def test_what_is_no_question_is_none(query: bytes) -> None:
    assert parsed(query) is None


@given(st.binary(max_size=200))
def test_no_query_breaks_the_figures(query: bytes) -> None:
    groups = Groups(request_timeout=30.0)
    for asked in (parsed(query), parsed(b"by=x&" + query)):
        if asked is not None:
            groups.figures(asked, RUN, 0.0)
            assert len(asked.names) <= 50
            assert 0 <= asked.more <= 50
            assert 0 < asked.slot_seconds <= 3600


def texts(text: str, number: int = 1) -> dict[str, Any]:
    """A request for the model that gives back what it gets."""
    numbers = {name: [number, 2] for name in ("FP32", "FP64", "FP16", "INT64", "INT8", "UINT64")}
    data: dict[str, list[Any]] = {**numbers, "BOOL": [True, False], "BYTES": [text, "x"]}
    return {"inputs": [{"name": name, "datatype": name, "shape": [1, 2], "data": row} for name, row in data.items()]}


async def _heard(runtime: Any, division: Division, known: tuple[str, int] | None) -> Heard:
    async with calls.session(Reach((ip_network("127.0.0.0/8"),))) as session:
        target = Target(pod="a", address=f"127.0.0.1:{runtime.ports[1]}", revision="fraud-abc123", known=known)
        return await Pods(Caller(session), seconds=30.0).read((target,), {}, division)


def read(runtime: Any, by: str, *names: str, more: int = 5, known: tuple[str, int] | None = None) -> Any:
    """What the operator hears of the groups."""
    division = Division(input=by, names=names, more=more, has_latency=True, slot=timedelta(milliseconds=50))
    (reading,) = asyncio.run(_heard(runtime, division, known)).readings
    return reading


def test_the_operator_reads_the_groups_of_a_running_server(serve: Serve, models: Path, eventually: Eventually) -> None:
    runtime = serve(models / "identity", revision="abc123").wait_until_ready()
    assert runtime.infer(texts("before")).status == 200
    first = read(runtime, "BYTES", "de")
    assert (first.sums.requests, first.divided.sums, first.divided.up_to) == (1, {}, 0)
    for text in ("de", "en\0", "de", "", "x" * 100_000):
        assert runtime.infer(texts(text)).status == 200
    assert runtime.infer(b"{").status == 400
    assert runtime.infer(texts("shadow"), headers={"modelway-shadow": "1"}).status == 200

    def counts() -> dict[str, int]:
        return {name: sums.requests for name, sums in read(runtime, "BYTES", "de").divided.sums.items()}

    wanted = {"de": 2, "en?": 1, NONE: 1, "x" * 64: 1}
    found = eventually(lambda: counts() if sum(counts().values()) >= 5 else None)
    assert found == wanted
    last = read(runtime, "BYTES", "de")
    sums = last.divided.sums["de"]
    assert (sums.answered, sums.errors, last.sums.requests) == (2, 0, 6)
    on = read(runtime, "BYTES", "de", known=(last.run, last.divided.up_to))
    assert (on.divided.after, on.divided.sums) == (last.divided.up_to, {})


def test_the_most_groups_with_the_longest_names_can_be_asked_for(serve: Serve, models: Path) -> None:
    runtime = serve(models / "identity", revision="abc123").wait_until_ready()
    names = tuple(f"{number:02}" + "𝔘" * 62 for number in range(20))
    read(runtime, "BYTES", *names, more=0)
    assert runtime.infer(texts(names[7])).status == 200
    assert read(runtime, "BYTES", *names, more=0).divided.names == names


@pytest.mark.parametrize(("by", "name"), [("INT64", "7"), ("BOOL", "true"), ("FP32", NONE), ("absent", NONE)])
def test_each_kind_of_value_of_a_running_server(
    serve: Serve, models: Path, eventually: Eventually, by: str, name: str
) -> None:
    runtime = serve(models / "identity", revision="abc123").wait_until_ready()
    read(runtime, by)
    assert runtime.infer(texts("de", 7)).status == 200
    assert list(eventually(lambda: read(runtime, by).divided.sums)) == [name]


def test_what_a_group_suffers_is_an_error_of_it_and_what_comes_before_its_value_of_none(
    serve: Serve, models: Path, tmp_path: Path, eventually: Eventually
) -> None:
    gate = tmp_path / "gate"
    gate.touch()
    runtime = serve(models / "gated", revision="abc123", max_body_bytes="1k", test_gate=str(gate)).wait_until_ready()
    by, row = "input", {"inputs": [{"name": "input", "datatype": "INT64", "shape": [1, 1], "data": [13]}]}
    read(runtime, by)
    assert runtime.infer(row).status == 500
    assert runtime.infer(b"[" * 2000).status == 413
    assert runtime.infer(b"{").status == 400
    wanted = {"13": Sums(requests=1, errors=1), NONE: Sums(requests=1, errors=1)}
    assert eventually(lambda: len(found := read(runtime, by).divided.sums) == 2 and found) == wanted
