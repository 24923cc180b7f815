"""The report of the runtime's speed: what the load generators print, medians, verdicts, the page and the plot."""

from collections.abc import Callable
from random import Random
from xml.etree import ElementTree as ET

import pytest

from benchmarks.abuse import malformed
from benchmarks.abuse.crowd import status
from benchmarks.abuse.fuzz import HUNG, LEFT, Tally
from benchmarks.abuse.malformed import Case
from benchmarks.runtime import conformance, figures, goals, method, outputs, page, plot
from benchmarks.runtime.figures import Cell, Missing, Results, Sample, Spread
from benchmarks.runtime.goals import Verdict
from benchmarks.runtime.names import BINARY, FLOOR, GRPC, INLINE, IRIS, JSON, KSERVE, MLP, MLSERVER, OURS
from benchmarks.runtime.page import Run

WRK = """\
Running 3s test @ http://127.0.0.1:37541/v2/models/iris/infer
  1 threads and 16 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     0.91ms  310.00us   9.61ms   93.42%
    Req/Sec    17.65k     1.20k   19.60k    70.00%
  Latency Distribution
     50%  {p50}
     75%    0.93ms
     90%    1.10ms
     99%  {p99}
  52690 requests in 3.00s, 22.31MB read
{rest}Requests/sec:  17561.41
Transfer/sec:      7.44MB
"""
H2LOAD = """\
finished in 3.00s, 8123.67 req/s, 1.57MB/s
requests: 24371 total, 24387 started, 24371 done, 24369 succeeded, 2 failed, 2 errored, 0 timeout
status codes: 24371 2xx, 0 3xx, 0 4xx, 0 5xx
"""


@pytest.mark.parametrize(
    ("p50", "p99", "rest", "expected"),
    [
        ("740.00us", "1.44ms", "", (0.74, 1.44, 0)),
        ("12.50ms", "1.02s", "  Non-2xx or 3xx responses: 7\n", (12.5, 1020, 7)),
        ("1.00s", "1.50m", "  Socket errors: connect 1, read 2, write 3, timeout 4\n", (1000, 90_000, 10)),
    ],
    ids=["good", "bad answers", "no answers"],
)
def test_what_wrk_prints_is_read(p50: str, p99: str, rest: str, expected: tuple[float, float, int]) -> None:
    load = outputs.wrk(WRK.format(p50=p50, p99=p99, rest=rest))
    assert (load.requests, load.per_second) == (52_690, 17_561.41)
    assert (load.p50_ms, load.p99_ms, load.failed) == pytest.approx(expected)


def test_what_h2load_prints_is_read() -> None:
    load = outputs.h2load(H2LOAD)
    assert (load.requests, load.per_second, load.failed) == (24_371, 8_123.67, 4)


@pytest.mark.parametrize("read", [outputs.wrk, outputs.h2load], ids=["wrk", "h2load"])
def test_what_was_not_expected_is_shown(read: Callable[[str], outputs.Load]) -> None:
    with pytest.raises(outputs.Unexpected, match="unable to connect"):
        read("unable to connect")


def sample(per_second: float, cpu_us: float = 50, p50_ms: float = 1) -> Sample:
    return Sample(per_second=per_second, cpu_us=cpu_us, failed=0, p50_ms=p50_ms, p99_ms=2 * p50_ms)


def test_ratios_are_taken_within_a_round() -> None:
    ours, theirs = Cell(OURS, IRIS, JSON, 16), Cell(MLSERVER, IRIS, JSON, 16)
    # The second round was slow for both.
    results = Results(samples={ours: list(map(sample, (900, 90, 800))), theirs: list(map(sample, (100, 10, 100)))})
    assert figures.ratio(results, ours, theirs) == Spread(9, 8, 9)
    assert figures.difference(results, ours, theirs, figures.per_second) == Spread(700, 80, 800)


@pytest.mark.parametrize(
    ("share", "expected"), [(0.5, 5), (0.99, 10), (0.1, 1), (0.0, 1), (1.0, 10)], ids=lambda value: f"{value}"
)
def test_a_percentile_is_a_value_that_was_seen(share: float, expected: float) -> None:
    assert figures.percentile([10, 9, 8, 7, 6, 5, 4, 3, 2, 1], share) == expected


def verdict(results: Results, text: str) -> Verdict:
    (found,) = (row for row in goals.verdicts(results) if text in row.text)
    return found


@pytest.mark.parametrize(
    ("rate", "outcome", "ratio"),
    [(800, "reached", 1), (1600, "reached", 2), (799, "**missed**", 0.99875)],
)
def test_a_goal_is_reached_at_its_limit(rate: float, outcome: str, ratio: float) -> None:
    samples = {Cell(OURS, IRIS, JSON, 16): [sample(rate)], Cell(KSERVE, IRIS, JSON, 16): [sample(100)]}
    row = verdict(Results(samples=samples), f"requests/s, iris, beside {KSERVE}")
    assert (row.name, row.wanted, row.outcome) == ("P1", "≥ 8.0 ×", outcome)
    assert row.ratio == pytest.approx(ratio)


@pytest.mark.parametrize(("cost", "outcome"), [(70, "reached"), (70.1, "**missed**")])
def test_a_bound_from_above_is_held_at_its_limit(cost: float, outcome: str) -> None:
    row = verdict(Results(samples={Cell(OURS, IRIS, JSON, 16): [sample(1, cpu_us=cost)]}), "CPU of a request")
    assert (row.wanted, row.measured, row.outcome) == ("≤ 70.0 µs", f"{cost:.1f} µs", outcome)


def test_shares_are_told_in_percent() -> None:
    cells = (Cell(OURS, IRIS, JSON, 64), Cell(FLOOR, IRIS, JSON, 64))
    results = Results(samples=dict(zip(cells, ([sample(50), sample(60)], [sample(100), sample(100)]), strict=True)))
    row = verdict(results, "constant answer, 64 connections")
    assert (row.measured, row.spread, row.outcome) == ("55 %", "50 to 60", "reached")


def test_calls_in_a_process_are_the_measure_of_the_round_they_belong_to() -> None:
    cell = Cell(OURS, MLP, BINARY, 16)
    results = Results(samples={cell: [sample(900), sample(450)]}, facts={goals.IN_PROCESS: [1000, 500]})
    assert verdict(results, "calls/s in a process").measured == "90 %"


def test_nothing_failed_is_reached_and_has_no_ratio() -> None:
    row = verdict(Results(facts={goals.DRAIN_FAILED: [0]}), "from SIGTERM")
    assert (row.outcome, row.ratio) == ("reached", None)
    assert verdict(Results(facts={goals.DRAIN_FAILED: [1]}), "from SIGTERM").outcome == "**missed**"


def test_batching_may_be_faster_than_inline_and_its_bar_goes_to_the_end() -> None:
    cells = Cell(OURS, MLP, BINARY, 1), Cell(INLINE, MLP, BINARY, 1)
    samples = dict(zip(cells, ([sample(1, p50_ms=0.3)], [sample(1, p50_ms=0.4)]), strict=True))
    row = verdict(Results(samples=samples), "that batching adds")
    assert (row.measured, row.outcome, row.ratio) == ("-0.100 ms", "reached", float("inf"))
    assert plot.x(float("inf")) == plot.x(16)


def test_what_was_not_measured_says_why() -> None:
    results = Results(absent={KSERVE: "it ended with 1"}, samples={Cell(OURS, IRIS, JSON, 16): [sample(1)]})
    assert verdict(results, f"requests/s, iris, beside {KSERVE}").outcome == "not measured: it ended with 1"
    assert verdict(results, "requests/s beside inline").outcome == "not measured: it was not measured"
    with pytest.raises(Missing, match="of its own"):
        Results(absent={"a fact": "a reason of its own"}).fact("a fact")


def test_the_goals_are_all_there() -> None:
    assert {goal.name for goal in goals.GOALS} == {f"P{number}" for number in range(1, 11)}
    assert len({goal.text for goal in goals.GOALS}) == len(goals.GOALS)


RUN = Run(
    date="2026-11-26",
    commit="abc1234",
    machine="two cores.",
    method=method.lines(rounds=3, seconds=4),
    versions={"A": "1"},
)


def test_the_page_holds_goals_servers_and_reasons() -> None:
    ours, theirs = Cell(OURS, IRIS, JSON, 16), Cell(KSERVE, IRIS, JSON, 16)
    results = Results(
        samples={ours: [sample(9000), sample(8000)], theirs: [sample(1000, cpu_us=400), sample(1000, cpu_us=400)]},
        facts={goals.READY + OURS: [0.25], goals.PSS + OURS: [70], goals.LIVE + OURS: [2.5]},
        absent={"Triton": "/opt/lib/x.so: no | such file"},
    )
    text = page.page(RUN, results, goals.verdicts(results))
    assert "on 2026-11-26 at abc1234." in text
    assert "| P1 | requests/s, iris, beside KServe SDK | ≥ 8.0 × | 8.5 × | 8.0 to 9.0 | 8.0 × | reached |" in text
    assert "| Modelway | 16 | 8,500 | 8,000 to 9,000 | 1.00 ms | 2.00 ms | 50.0 µs | 0 |" in text
    assert "| Modelway | 0.25 s | 70 MB | 2.5 ms |" in text
    assert "| Triton | x.so: no / such file |" in text
    assert "Rounds: 3, of 4 s for each figure" in text


def test_a_row_that_is_missed_says_why() -> None:
    calls = {Cell(OURS, IRIS, GRPC, 16): [sample(1400)], Cell(KSERVE, IRIS, GRPC, 16): [sample(1000)]}
    asked = {Cell(OURS, IRIS, JSON, 16): [sample(1400)], Cell(KSERVE, IRIS, JSON, 16): [sample(1000)]}
    results = Results(samples=calls | asked, facts={goals.FOREIGN: [52]})
    text = page.page(RUN, results, goals.verdicts(results))
    cause = "what others took of both cores in the rounds: 52 %; by the CPU of each"
    assert f"- P6, gRPC calls/s by grpcio, iris, beside KServe SDK: {cause}" in text
    assert f"- P1, requests/s, iris, beside KServe SDK: {cause}" in text
    assert "by native" not in text.partition("## Missed")[2].partition("\n## ")[0]


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        (["reached", "reached"], "2 of 2 goals are reached, 0 missed."),
        (["reached", "**missed**", "not measured: no"], "1 of 3 goals are reached, 1 missed, 1 not measured."),
    ],
    ids=["all", "some"],
)
def test_the_page_begins_with_the_sum(outcomes: list[str], expected: str) -> None:
    rows = [Verdict(name="P1", text="", wanted="", measured="", spread="", outcome=one) for one in outcomes]
    assert page.summary(rows) == expected


def test_a_bar_starts_at_the_goal_and_ends_at_what_was_measured() -> None:
    assert plot.x(0.01) == plot.x(0.25) < plot.x(0.5) < plot.x(1) < plot.x(16) == plot.x(99)
    row = Verdict(name="P1", text="a < b", wanted="", measured="4 ×", spread="", outcome="reached", ratio=2.0)
    without = Verdict(name="P8", text="none", wanted="", measured="0", spread="", outcome="reached")
    drawn = ET.fromstring(plot.svg([row, without]))
    bars = [one for one in drawn.iter("{http://www.w3.org/2000/svg}rect") if one.get("x")]
    assert [(bar.get("x"), bar.get("width")) for bar in bars] == [
        (f"{plot.x(1)}", f"{round(plot.x(2) - plot.x(1), 1)}")
    ]


def test_clients_are_counted_by_file() -> None:
    report = """<testsuites><testsuite>
      <testcase classname="tests.clients.test_clients"/>
      <testcase classname="tests.clients.test_clients"><failure/></testcase>
      <testcase classname="tests.clients.test_clients"><skipped/></testcase>
      <testcase classname="tests.clients.test_fuzzing"><error/></testcase>
    </testsuite></testsuites>"""
    counts = conformance.counted(report)
    assert counts["test_clients"] == {"passed": 1, "failed": 1, "skipped": 1}
    assert counts["test_fuzzing"] == {"failed": 1}


def test_malformed_requests_are_the_same_for_the_same_seed_and_of_every_kind() -> None:
    first, second = (malformed.cases(Random(7)) for _ in range(2))
    taken = [next(first) for _ in range(300)]
    assert taken == [next(second) for _ in range(300)]
    kinds = [case.kind for case in taken]
    assert len(set(kinds)) == len(set(kinds[:21])) == 21


@pytest.mark.parametrize(
    ("outcome", "is_bad"), [("200", False), ("400", False), ("503", False), ("500", True), (HUNG, True), (LEFT, False)]
)
def test_no_answer_and_those_of_faults_are_bad(outcome: str, *, is_bad: bool) -> None:
    tally = Tally()
    tally.add(Case("a kind", b""), outcome)
    assert tally.bad() == ([("a kind", outcome)] if is_bad else [])


@pytest.mark.parametrize(
    ("content", "expected"), [(b"HTTP/1.1 408 Request", 408), (b"", 0), (b"HTTP/1.1", 0), (b"nothing of it", 0)]
)
def test_the_status_of_an_answer_is_read(content: bytes, expected: int) -> None:
    assert status(content) == expected
