"""Counts by group: a group is the same in every pod, whatever each of them met first, and each request counts once."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelway.analysis import archive as archives
from modelway.analysis.archive import Archive, Decision
from modelway.analysis.evidence import Evidence
from modelway.analysis.figures import Divided, Reading, Readings, Sums
from modelway.analysis.groups import NONE, OTHER, Groups
from modelway.analysis.inquiry import Division
from modelway.api.analysis import By, Metric
from modelway.providers import divided
from modelway_runtime.server import groups as runtime
from modelway_runtime.server import question

SETTLED = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
SLOT = timedelta(seconds=5)


def metrics(most: int) -> Mapping[str, Metric]:
    return {"slow": Metric(name="slow", builtin="LatencyP50", max=1, by=By(input="language", max_groups=most))}


def counts(requests: int, errors: int = 0) -> Sums:
    return Sums(requests=requests, errors=errors)


def heard(
    sums: Mapping[str, Sums], *, names: tuple[str, ...] = (), after: int | None = None, up_to: int = 1
) -> Divided:
    return Divided(names=names, after=after, up_to=up_to, sums=sums)


def reading(
    found: Divided | None, *, pod: str = "a", run: str = "1", uptime: float = 1e6, revision: str = "fraud-1"
) -> Reading:
    return Reading(pod=pod, run=run, revision=revision, uptime_seconds=uptime, divided=found)


def gathered(*rounds: Sequence[Reading], most: int = 3, start: Groups | None = None) -> Evidence:
    """Evidence after readings, half a minute apart."""
    evidence = Evidence(step=0, since=SETTLED, settled=SETTLED, groups=start or Groups())
    for number, pods in enumerate(rounds):
        found = Readings(inquiry="1/0", at=SETTLED + timedelta(seconds=30 * number), pods=tuple(pods))
        evidence = evidence.with_readings(found, metrics(most))
    return evidence


def requests(evidence: Evidence, revision: str = "fraud-1") -> dict[str, int]:
    return {name: sums.requests for name, sums in evidence.groups.of(revision).items()}


def test_57_what_a_pod_counted_before_it_was_read_in_this_step_is_not_counted() -> None:
    first = reading(heard({"de": counts(100)}, up_to=7))
    # Slot 8 was open at the first reading.
    second = reading(heard({"de": counts(5)}, names=("de",), after=8, up_to=9))
    assert requests(gathered([first])) == {}
    assert gathered([first]).marks["a"].slot == 8
    assert requests(gathered([first], [second])) == {"de": 5}
    idle = reading(heard({}, names=("de",), after=8, up_to=7))
    assert requests(gathered([first], [idle], [second])) == {"de": 5}


def test_a_pod_that_started_within_the_step_counts_whole() -> None:
    assert requests(gathered([], [reading(heard({"de": counts(5)}), uptime=20)])) == {"de": 5}


def test_an_answer_to_a_question_from_before_the_last_answer_is_left_out() -> None:
    newborn = reading(heard({"de": counts(5)}, up_to=2), uptime=-1)
    late = reading(heard({"de": counts(9)}, names=("de",), after=None, up_to=4))
    found = gathered([newborn], [late])
    assert (requests(found), found.marks["a"].slot) == ({"de": 5}, 2)


def test_a_pod_that_says_nothing_of_groups_for_once_goes_on_where_it_was() -> None:
    newborn = reading(heard({"de": counts(5)}, up_to=2), uptime=-1)
    later = reading(heard({"de": counts(9)}, names=("de",), after=2, up_to=4))
    assert requests(gathered([newborn], [reading(None)], [later])) == {"de": 14}


def test_a_restarted_process_begins_anew() -> None:
    newborn = reading(heard({"de": counts(5)}, up_to=9), uptime=-1)
    restarted = reading(heard({"de": counts(2)}, names=("de",), up_to=1), run="2", uptime=10)
    assert requests(gathered([newborn], [restarted])) == {"de": 7}


def test_57_after_a_gap_every_pod_is_read_anew() -> None:
    before = gathered([reading(heard({"de": counts(5)}, up_to=2), uptime=-1)])
    resumed = before.resumed(SETTLED + timedelta(seconds=100))
    at = SETTLED + timedelta(seconds=110)
    found = heard({"de": counts(50)}, names=("de",), after=2, up_to=6)
    after = resumed.with_readings(Readings(inquiry="1/0", at=at, pods=(reading(found),)), metrics(3))
    assert (requests(after), after.marks["a"].slot) == ({"de": 5}, 7)


def test_the_groups_with_the_most_requests_are_named_and_no_more_than_there_may_be() -> None:
    one = reading(heard({"de": counts(3), "en": counts(50), "is": counts(1), NONE: counts(9)}), uptime=-1)
    other = reading(heard({"fr": counts(4), "en": counts(1), OTHER: counts(99)}), uptime=-1, pod="b")
    found = gathered([one, other])
    assert found.groups.names == ("en", "fr", "de")
    assert requests(found) == {"de": 3, "en": 51, "fr": 4, NONE: 9}


def test_a_name_stays_once_it_is_given() -> None:
    first = reading(heard({"de": counts(1)}), uptime=-1)
    second = reading(heard({"de": counts(0), "en": counts(99)}, names=("de",), after=1, up_to=2))
    assert gathered([first], [second], most=1).groups.names == ("de",)


@pytest.mark.parametrize(
    ("asked", "counted"),
    [(("en", "de"), {"en": 1, OTHER: 9}), (("en",), {"en": 1}), ((), {"en": 1}), (("en", "fr"), {"en": 1})],
)
def test_others_count_only_where_all_of_these_names_and_no_more_were_asked_for(
    asked: tuple[str, ...], counted: dict[str, int]
) -> None:
    found = reading(heard({"en": counts(1), OTHER: counts(9)}, names=asked), uptime=-1)
    assert requests(gathered([found], most=2, start=Groups(names=("en", "de")))) == counted


def test_others_count_for_nothing_while_names_may_be_added() -> None:
    found = reading(heard({"en": counts(1), OTHER: counts(9)}, names=("en",)), uptime=-1)
    assert requests(gathered([found], most=2, start=Groups(names=("en",)))) == {"en": 1}


def test_what_stable_had_stays_for_the_time_in_which_it_has_no_traffic() -> None:
    seen = gathered([reading(heard({"de": counts(5)}), uptime=-1), reading(None, pod="b", revision="fraud-2")])
    decision = Decision(step=0, since=SETTLED, until=SETTLED, judgements=())
    found = Archive(rollout=1, current=seen).decided(decision, "fraud-1")
    assert (found.names, found.reference_groups) == (("de",), {"de": counts(5)})
    last = Evidence(step=1, since=SETTLED, settled=SETTLED, groups=Groups(names=("de", "en")))
    later = replace(found, current=last).decided(decision, "fraud-1")
    assert (later.names, later.reference_groups) == (("de", "en"), {"de": counts(5)})
    assert archives.parse(found.text()) == found


PODS = {"a": "fraud-1", "b": "fraud-1", "c": "fraud-2", "d": "fraud-2"}
VALUES = ("de", "en", "fr", "is", "")
SECONDS = {value: 0.001 * 1.5**number for number, value in enumerate(VALUES)}
"""Each value has a duration of its own, so that what is in a group shows in its buckets."""


class Pod:
    """A process with the runtime's own counting, asked as the operator asks."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.groups = runtime.Groups(request_timeout=30.0)
        self.sent: list[str] = []
        """What came since it was asked for the first time."""

    def send(self, value: str, now: float) -> None:
        if self.groups.unread is not None:
            inputs = {"language": np.array([[value]], dtype=np.object_)}
            self.groups.answered(inputs, SECONDS[value], now)
            self.sent.append(value)

    def read(self, evidence: Evidence, most: int, now: float) -> Reading:
        mark, names = evidence.marks.get(self.name), evidence.groups.names
        known = ("1", mark.slot) if mark and mark.slot is not None else None
        division = Division(input="language", names=names, more=most - len(names), has_latency=True, slot=SLOT)
        asked = question.parsed(urlencode(divided.question(division, known)).encode())
        assert asked is not None
        found = divided.parsed(self.groups.figures(asked, "1", now), division)
        assert found is not None
        return reading(found, pod=self.name, revision=PODS[self.name], uptime=now)


def values_in(sums: Sums) -> dict[str, int]:
    """How many requests of each value are in a group."""
    buckets = {runtime.bisect_left(runtime.LATENCIES, seconds): value for value, seconds in SECONDS.items()}
    return {buckets[bucket]: count for bucket, count in sums.latency.items()}


SENT = st.lists(st.tuples(st.sampled_from(sorted(PODS)), st.sampled_from(VALUES)), max_size=12)
ROUNDS = st.lists(st.tuples(SENT, st.sampled_from(["kept", "kept", "lost", "late"])), max_size=6)
"""What came between two readings, and what became of the second: evidence that was not written down is lost, and a late
answer is one to the question before the last."""


@settings(max_examples=300)
@given(ROUNDS, st.integers(1, 3))
def test_a_group_is_the_same_in_every_pod_and_no_request_counts_twice(
    rounds: list[tuple[list[tuple[str, str]], str]], most: int
) -> None:
    pods = {name: Pod(name) for name in PODS}
    evidence = former = Evidence(step=0, since=SETTLED, settled=SETTLED)
    now = 0.0
    for sent, fate in [([], "kept"), *rounds, ([], "kept"), ([], "kept")]:
        for pod, value in sent:
            now += 0.1
            pods[pod].send(value, now)
        now += SLOT.total_seconds()
        found = tuple(pod.read(former if fate == "late" else evidence, most, now) for pod in pods.values())
        former = evidence
        if fate != "lost":
            at = SETTLED + timedelta(seconds=now)
            evidence = evidence.with_readings(Readings(inquiry="1/0", at=at, pods=found), metrics(most))
        _has_only_its_own(evidence, pods)
    assert len(evidence.groups.names) <= most


def _has_only_its_own(evidence: Evidence, pods: Mapping[str, Pod]) -> None:
    names = set(evidence.groups.names)
    for revision, groups in evidence.groups.sums.items():
        sent = [value for pod in pods.values() if PODS[pod.name] == revision for value in pod.sent]
        assert groups.keys() <= {*names, NONE, OTHER}
        for name, sums in groups.items():
            found = values_in(sums)
            own = {name} if name not in (NONE, OTHER) else {""} if name == NONE else {*VALUES} - names - {""}
            assert found.keys() <= own, f"{name} of {revision} holds {found} with the names {names}"
            assert all(count <= sent.count(value) for value, count in found.items())


@given(st.lists(st.tuples(st.sampled_from(sorted(PODS)), st.sampled_from(VALUES)), max_size=60))
def test_where_every_value_has_a_name_none_of_the_requests_is_missing(sent: list[tuple[str, str]]) -> None:
    pods = {name: Pod(name) for name in PODS}
    evidence = Evidence(step=0, since=SETTLED, settled=SETTLED)
    for now in range(0, 40, 10):
        found = tuple(pod.read(evidence, 10, float(now)) for pod in pods.values())
        at = SETTLED + timedelta(seconds=now)
        evidence = evidence.with_readings(Readings(inquiry="1/0", at=at, pods=found), metrics(10))
        for pod, value in sent if now == 0 else ():
            pods[pod].send(value, now + 1.0)
    for revision in ("fraud-1", "fraud-2"):
        came = [value or NONE for pod, value in sent if PODS[pod] == revision]
        assert requests(evidence, revision) == {name: came.count(name) for name in came}


def test_the_evidence_of_the_most_groups_and_pods_fits_into_an_object() -> None:
    """An object of Kubernetes has at most 1 MiB."""
    sums = Sums(requests=10**7, errors=10**6, latency=dict.fromkeys(range(100, 250), 10**5))
    names = tuple(f"{number:02}" + "ü" * 62 for number in range(20))
    groups = dict.fromkeys((*names, NONE, OTHER), sums)
    pods = [Reading(pod=f"fraud-{n:060}", run="f" * 16, revision=f"fraud-{n % 2}", sums=sums) for n in range(80)]
    counted = Groups(names=names, sums={"fraud-0": groups, "fraud-1": groups})
    evidence = gathered(pods, most=20, start=counted)
    archive = Archive(rollout=1, current=evidence, names=names, reference_groups=groups)
    assert len(archive.text().encode()) < 500_000
