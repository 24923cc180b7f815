"""What is read of model pods and of the comparator, and what counts as silence."""

import asyncio
import json
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl

import pytest
from aiohttp import web

from modelway.analysis.deviations import Moments
from modelway.analysis.drifts import Binned
from modelway.analysis.figures import Divided, Pairs, Reading, Sums
from modelway.analysis.inquiry import Division, Target
from modelway.providers import pods
from modelway.providers.calls import Caller
from modelway.providers.pods import Heard, Pods

HASH, NAME = "fb5b2ffc90", "fraud-fb5b2ffc90"
FIGURES = {
    "revision": HASH,
    "run": "7f3a",
    "uptimeSeconds": 61.5,
    "state": "Ready",
    "requests": 12,
    "errors": 2,
    "latency": {"141": 7, "150": 3},
    "shadow": {"requests": 4},
}
COMPARISON = {
    "run": "c1",
    "uptimeSeconds": 9,
    "pairs": 100,
    "disagreements": 3,
    "baselinePairs": 10,
    "baselineDisagreements": 1,
    "candidateFailures": 2,
    "examples": [{"output": "label", "kind": "Classes", "stable": 1, "candidate": "0"}],
}


def target(address: str, pod: str = "fraud-1", revision: str = NAME) -> Target:
    return Target(pod=pod, address=address, revision=revision)


async def read(caller: Caller, *targets: Target, seconds: float = 5.0) -> Heard:
    return await Pods(caller, seconds=seconds).read(targets)


async def test_a_pods_figures_become_a_reading(serve: Any, saying: Any, caller: Caller) -> None:
    site = await serve(saying(FIGURES))
    reading = Reading(
        pod="fraud-1",
        run="7f3a",
        revision=NAME,
        state="Ready",
        uptime_seconds=61.5,
        sums=Sums(requests=12, errors=2, latency={141: 7, 150: 3}),
    )
    assert await read(caller, target(site.address)) == Heard((reading,), ())
    assert site.asked == [("GET", "/internal/figures", "")]


async def test_outcomes_are_read_by_revision(serve: Any, saying: Any, caller: Caller) -> None:
    told = {"labels": 5, "right": 3, "deviations": {"28": [2, 3, 4.5], "0": [1, 0, 0.0]}}
    site = await serve(saying(FIGURES | {"feedback": {HASH: told, "0": {"labels": 1, "right": 1}}}))
    (reading,) = (await read(caller, target(site.address))).readings
    off = {28: Moments(2, 3.0, 4.5), 0: Moments(1, 0.0, 0.0)}
    assert reading.feedback == {HASH: Sums(labels=5, right=3, deviations=off), "0": Sums(labels=1, right=1)}


@pytest.mark.parametrize(
    "off",
    [
        {"28": [2, 5.0, 4.5]},
        {"28": [2, 3.0, 9.0]},
        {"73": [1, 1.0, 1.0]},
        {"-1": [1, 1.0, 1.0]},
        {"28": [2, -3.0, 4.5]},
        {"28": [2, 3.0]},
        {"28": [2.5, 3.0, 4.5]},
    ],
)
async def test_errors_that_cannot_be_are_silence(serve: Any, saying: Any, caller: Caller, off: Any) -> None:
    site = await serve(saying(FIGURES | {"feedback": {HASH: {"labels": 5, "right": 3, "deviations": off}}}))
    assert (await read(caller, target(site.address))).silent == ("fraud-1",)


DRIFT = {"kind": "Numbers", "reference": [5, 5, 0], "counts": [1, 2, 3]}


async def read_drift(caller: Caller, site: Any, *, asked: bool = True) -> Reading:
    heard = await read(caller, replace(target(site.address), has_drift=asked))
    return heard.readings[0]


async def test_drift_is_read_of_whom_it_is_asked(serve: Any, saying: Any, caller: Caller) -> None:
    site = await serve(saying(FIGURES | {"drift": {"amount": DRIFT}}))
    found = Binned("Numbers", (5, 5, 0), (1, 2, 3))
    assert (await read_drift(caller, site)).sums.drifts == {"amount": found}
    assert (await read_drift(caller, site, asked=False)).sums.drifts == {}


@pytest.mark.parametrize(
    "drift",
    [
        None,
        [],
        {"amount": DRIFT | {"counts": [1, 2]}},
        {"amount": DRIFT | {"counts": [1, 2, -3]}},
        {"amount": DRIFT | {"counts": [1, 2, 3.5]}},
        {"amount": DRIFT | {"kind": "Words"}},
        {"amount": DRIFT | {"reference": [1] * 18, "counts": [1] * 18}},
        {"a\0": DRIFT},
        {"x" * 65: DRIFT},
        {f"f{number}": DRIFT for number in range(33)},
    ],
)
async def test_drift_that_cannot_be_is_none_and_other_counts_stay(
    serve: Any, saying: Any, caller: Caller, drift: Any
) -> None:
    site = await serve(saying(FIGURES | {"drift": drift}))
    assert (await read_drift(caller, site)).sums == Sums(requests=12, errors=2, latency={141: 7, 150: 3})


async def test_the_comparators_pairs_and_examples_become_a_reading(serve: Any, saying: Any, caller: Caller) -> None:
    site = await serve(saying(COMPARISON))
    reading = Reading(
        pod="fraud-comparator-1",
        run="c1",
        revision="",
        uptime_seconds=9,
        pairs=Pairs(pairs=100, disagreements=3, baseline_pairs=10, baseline_disagreements=1, candidate_failures=2),
        examples=({"output": "label", "kind": "Classes", "stable": "1", "candidate": "0"},),
    )
    assert await read(caller, target(site.address, "fraud-comparator-1", "")) == Heard((reading,), ())


BY = Division(input="sprache & ort", names=("de", "größe"), more=8, has_latency=True, slot=timedelta(seconds=7.5))
COUNTED = {
    "by": "sprache & ort",
    "after": 7,
    "upTo": 11,
    "counts": {
        "de": {"requests": 10, "errors": 1, "latency": {"141": 6, "150": 3}},
        "(other)": {"requests": 2, "errors": 0},
    },
}


async def read_by(caller: Caller, site: Any, division: Division | None = BY, **more: Any) -> Reading | None:
    target = Target(pod="fraud-1", address=site.address, revision=NAME, **more)
    heard = await Pods(caller, seconds=5.0).read((target,), {}, division)
    return heard.readings[0] if heard.readings else None


async def test_a_pod_is_asked_for_groups_and_for_what_came_after_the_slot_that_is_known(
    serve: Any, saying: Any, caller: Caller
) -> None:
    site = await serve(saying(FIGURES | {"groups": COUNTED}))
    reading = await read_by(caller, site, known=("7f3a", 7))
    assert reading is not None
    assert reading.sums == Sums(requests=12, errors=2, latency={141: 7, 150: 3})
    assert reading.divided == Divided(
        names=("de", "größe"),
        after=7,
        up_to=11,
        sums={"de": Sums(requests=10, errors=1, latency={141: 6, 150: 3}), "(other)": Sums(requests=2)},
    )
    ((_, path, _),) = site.asked
    assert parse_qsl(path.partition("?")[2]) == [
        ("by", "sprache & ort"),
        ("slotSeconds", "7.5"),
        ("more", "8"),
        ("latency", "1"),
        ("after", "7f3a.7"),
        ("name", "de"),
        ("name", "größe"),
    ]


async def test_a_pod_that_is_asked_for_no_groups_gives_none(serve: Any, saying: Any, caller: Caller) -> None:
    site = await serve(saying(FIGURES | {"groups": COUNTED}))
    reading = await read_by(caller, site, None)
    assert (reading and reading.divided, site.asked[0][1]) == (None, "/internal/figures")


WRONG_GROUPS: list[Any] = [
    pytest.param(None, id="an older runtime"),
    pytest.param([], id="a list"),
    pytest.param(COUNTED | {"by": "country"}, id="another input"),
    pytest.param(COUNTED | {"upTo": -1}, id="a negative slot"),
    pytest.param(COUNTED | {"upTo": "11"}, id="a slot that is text"),
    pytest.param(COUNTED | {"after": True}, id="after true"),
    pytest.param(COUNTED | {"counts": {"de": {"requests": 1, "errors": 2}}}, id="more errors than requests"),
    pytest.param(COUNTED | {"counts": {"de": {"requests": 1.0, "errors": 0}}}, id="a count with a point"),
    pytest.param(COUNTED | {"counts": {"de": 1}}, id="a number"),
    pytest.param(COUNTED | {"counts": {"x" * 65: {"requests": 1, "errors": 0}}}, id="a long name"),
    pytest.param(COUNTED | {"counts": {"": {"requests": 1, "errors": 0}}}, id="no name"),
    pytest.param(COUNTED | {"counts": {"d\0e": {"requests": 1, "errors": 0}}}, id="a name that cannot be seen"),
    pytest.param(
        COUNTED | {"counts": {str(number): {"requests": 1, "errors": 0} for number in range(101)}}, id="many names"
    ),
]


@pytest.mark.parametrize("said", WRONG_GROUPS)
async def test_56_groups_that_cannot_be_are_none_and_the_rest_of_the_figures_counts(
    serve: Any, saying: Any, caller: Caller, said: Any
) -> None:
    reading = await read_by(caller, await serve(saying(FIGURES | {"groups": said})))
    assert reading is not None
    assert (reading.divided, reading.sums.requests) == (None, 12)


async def test_an_answer_of_the_most_groups_with_all_buckets_is_read(serve: Any, saying: Any, caller: Caller) -> None:
    names = tuple(f"{number:064}" for number in range(20))
    group = {"requests": 10**12, "errors": 0, "latency": {str(bucket): 10**9 for bucket in range(501)}}
    counts = dict.fromkeys((*names, "(none)", "(other)"), group)
    site = await serve(saying(FIGURES | {"groups": COUNTED | {"counts": counts}}))
    reading = await read_by(caller, site, replace(BY, names=names))
    assert reading is not None
    assert reading.divided is not None
    assert len(reading.divided.sums) == 22


PAIRS: list[Any] = [
    pytest.param({"stable": "096284054e", "candidate": HASH}, True, id="these"),
    pytest.param({}, True, id="it does not say"),
    pytest.param({"stable": "096284054e", "candidate": "c17fb6c5fc"}, False, id="another candidate"),
    pytest.param({"stable": "c17fb6c5fc", "candidate": HASH}, False, id="another stable"),
]


@pytest.mark.parametrize(("said", "is_heard"), PAIRS)
async def test_57_a_comparator_of_other_revisions_is_silent(
    serve: Any, saying: Any, caller: Caller, said: dict[str, str], is_heard: bool
) -> None:
    site = await serve(saying(COMPARISON | said))
    heard = await Pods(caller).read((target(site.address, "c", ""),), {"stable": "096284054e", "candidate": HASH})
    assert heard.silent == (() if is_heard else ("c",))


async def test_values_of_examples_are_told_as_text(serve: Any, saying: Any, caller: Caller) -> None:
    site = await serve(saying(COMPARISON | {"examples": [{"a": 0.5, "b": None, "c": True, "d": "x", "e": 7}]}))
    (reading,) = (await read(caller, target(site.address, "c", ""))).readings
    assert reading.examples == ({"a": "0.5", "b": "null", "c": "true", "d": "x", "e": "7"},)


async def test_examples_are_cut_to_what_an_evidence_can_hold(serve: Any, saying: Any, caller: Caller) -> None:
    site = await serve(saying(COMPARISON | {"examples": [{"stable": "x" * 5000}] * 100}))
    (reading,) = (await read(caller, target(site.address, "c", ""))).readings
    assert reading.examples == ({"stable": "x" * 1024},) * 20


@pytest.mark.parametrize("state", ["Loading", "Warming", "Validating"])
@pytest.mark.parametrize("more", [{}, {"requests": None, "digest": ""}], ids=["bare", "with more"])
async def test_a_pod_that_still_starts_says_its_state(
    serve: Any, saying: Any, caller: Caller, state: str, more: dict[str, Any]
) -> None:
    site = await serve(saying({"state": state, "revision": HASH, **more}))
    reading = Reading(pod="fraud-1", run="", revision=NAME, state=state)
    assert await read(caller, target(site.address)) == Heard((reading,), ())


@pytest.mark.parametrize("state", ["Loading", "Ready", "Draining"])
async def test_a_pod_that_counts_nothing_is_asked_for_its_state(serve: Any, caller: Caller, state: str) -> None:
    async def answer(request: web.Request) -> web.Response:
        if request.path == "/internal/state":
            return web.json_response({"state": state, "revision": HASH, "digest": "sha256:0"})
        return web.json_response({"error": "see /metrics"}, status=404)

    site = await serve(answer)
    reading = Reading(pod="fraud-1", run="", revision=NAME, state=state)
    assert await read(caller, target(site.address)) == Heard((reading,), ())


WRONG: list[Any] = [
    *[pytest.param({"requests": value}, id=f"requests {value!r:.20}") for value in (-1, True, 1.0, "1", None, 2**60)],
    *[pytest.param({"errors": value}, id=f"errors {value!r}") for value in (-1, False, [], {})],
    *[pytest.param({"uptimeSeconds": value}, id=f"uptime {value!r}") for value in (-1, True, "1", None, 1e11)],
    pytest.param({"latency": {"-1": 1}}, id="a negative bucket"),
    pytest.param({"latency": {"fast": 1}}, id="a bucket with a name"),
    pytest.param({"latency": {"99999": 1}}, id="a bucket of aeons"),
    pytest.param({"latency": {"141": -1}}, id="a negative count"),
    pytest.param({"latency": {"141": True}}, id="a count that is true"),
    pytest.param({"latency": [7]}, id="a list of counts"),
    pytest.param({"latency": {str(bucket): 0 for bucket in range(1001)}}, id="too many buckets"),
    pytest.param({"errors": 13}, id="more errors than requests"),
    pytest.param({"latency": {"141": 13}}, id="more answers than requests"),
    pytest.param({"state": "Happy"}, id="an unknown state"),
    pytest.param({"run": ""}, id="no run"),
    pytest.param({"run": "x" * 300}, id="a long run"),
    pytest.param({"revision": "096284054e"}, id="another revision"),
    pytest.param({"revision": ""}, id="no revision"),
]


@pytest.mark.parametrize("changed", WRONG)
async def test_56_a_pod_that_says_something_impossible_is_silent(
    serve: Any, saying: Any, caller: Caller, changed: dict[str, Any]
) -> None:
    site = await serve(saying(FIGURES | changed))
    assert await read(caller, target(site.address)) == Heard((), ("fraud-1",))


RAW: list[Any] = [
    pytest.param(json.dumps(FIGURES).replace("61.5", "NaN"), id="NaN"),
    pytest.param(json.dumps(FIGURES).replace("61.5", "1e999"), id="infinite"),
    pytest.param(json.dumps(FIGURES).replace(" 12,", " 1" + "0" * 5000 + ","), id="a number of 5000 digits"),
    pytest.param(json.dumps(FIGURES)[:-1], id="cut off"),
    pytest.param("[" * 50_000, id="deep"),
    pytest.param("[]", id="a list"),
    pytest.param("", id="nothing"),
    pytest.param("\ud800".encode(errors="surrogatepass").decode(errors="replace"), id="no text"),
    pytest.param(json.dumps(FIGURES | {"more": "x" * 70_000}), id="too long"),
]


@pytest.mark.parametrize("text", RAW)
async def test_56_a_pod_that_does_not_answer_in_json_is_silent(
    serve: Any, saying: Any, caller: Caller, text: str
) -> None:
    site = await serve(saying(text))
    assert await read(caller, target(site.address)) == Heard((), ("fraud-1",))


COMPARATORS: list[Any] = [
    pytest.param({"pairs": 2}, id="more disagreements than pairs"),
    pytest.param({"baselinePairs": 0}, id="more disagreements of stable than pairs"),
    pytest.param({"pairs": "100"}, id="text"),
    pytest.param({"examples": [{"stable": [1]}]}, id="an example that is a list"),
    pytest.param({"examples": "none"}, id="no examples"),
    pytest.param({"candidateFailures": -1}, id="negative"),
]


@pytest.mark.parametrize("changed", COMPARATORS)
async def test_56_a_comparator_that_says_something_impossible_is_silent(
    serve: Any, saying: Any, caller: Caller, changed: dict[str, Any]
) -> None:
    site = await serve(saying(COMPARISON | changed))
    assert await read(caller, target(site.address, "c", "")) == Heard((), ("c",))


@pytest.mark.parametrize("status", [301, 403, 500, 503])
async def test_55_a_pod_that_refuses_is_silent(serve: Any, saying: Any, caller: Caller, status: int) -> None:
    site = await serve(saying(FIGURES, status))
    assert (await read(caller, target(site.address))).silent == ("fraud-1",)
    assert (await read(caller, target(site.address, "c", ""))).silent == ("c",)


async def test_a_target_without_a_usable_address_is_silent(caller: Caller) -> None:
    assert (await read(caller, target(""), target("[::1"))).silent == ("fraud-1", "fraud-1")


async def test_58_a_pod_that_hangs_costs_only_its_own_reading(
    serve: Any, saying: Any, hanging: Any, caller: Caller, free_port: int
) -> None:
    good, hung = await serve(saying(FIGURES)), await serve(hanging)
    heard = await read(
        caller,
        target(hung.address, "a-hangs"),
        target(good.address, "b-answers"),
        target(f"127.0.0.1:{free_port}", "c-is-gone"),
        seconds=2.0,
    )
    assert [reading.pod for reading in heard.readings] == ["b-answers"]
    assert heard.silent == ("a-hangs", "c-is-gone")


async def test_the_first_forty_pods_of_each_revision_are_read(serve: Any, saying: Any, caller: Caller) -> None:
    site = await serve(saying(FIGURES))
    of_both = [
        target(site.address, f"{revision}-{number:02}", revision)
        for number in reversed(range(50))
        for revision in (NAME, f"other-{HASH}")
    ]
    heard = await read(caller, *of_both)
    assert heard.silent == ()
    assert Counter(reading.revision for reading in heard.readings) == {NAME: 40, f"other-{HASH}": 40}
    assert [reading.pod for reading in heard.readings if reading.revision == NAME] == [
        f"{NAME}-{number:02}" for number in range(40)
    ]


async def test_only_so_many_pods_of_one_inquiry_are_asked_at_once(serve: Any, caller: Caller) -> None:
    open_now, most, is_full = 0, 0, asyncio.Event()

    async def answer(_: web.Request) -> web.Response:
        nonlocal open_now, most
        open_now += 1
        most = max(most, open_now)
        if open_now == pods.AT_ONCE:
            is_full.set()
        await is_full.wait()
        open_now -= 1
        return web.json_response(FIGURES)

    site = await serve(answer)
    heard = await read(caller, *(target(site.address, f"{number:02}") for number in range(40)))
    assert (len(heard.readings), most) == (40, pods.AT_ONCE)
