"""How figures are written in messages."""

import pytest

from modelway.analysis import phrases
from modelway.analysis.sequences import Interval


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (phrases.number(0.0), "0"),
        (phrases.number(0.04321), "0.043"),
        (phrases.number(3.14), "3.1"),
        (phrases.number(9.97), "9.97"),
        (phrases.number(12.54), "12.5"),
        (phrases.number(999.6), "1,000"),
        (phrases.number(-1234.5), "-1,234"),
        (phrases.percent(0.031), "3.1 %"),
        (phrases.percent(1.0), "100 %"),
        (phrases.signed(33.33), "+33.3 %"),
        (phrases.signed(-6.04), "-6 %"),
        (phrases.signed(0.0), "0 %"),
        (phrases.duration(0.24), "240 ms"),
        (phrases.duration(1.25), "1.2 s"),
        (phrases.duration(0.00085), "850 µs"),
        (phrases.duration(0.0), "0 µs"),
        (phrases.rate(59.43), "59.4/s"),
        (phrases.span(0.2), "1 s"),
        (phrases.span(90), "90 s"),
        (phrases.span(125), "2 min"),
        (phrases.span(3 * 3600), "3 h"),
        (phrases.span(5 * 86400), "5 days"),
        (phrases.count(1, "requests"), "1 request"),
        (phrases.count(1204, "requests"), "1,204 requests"),
        (phrases.about(2808, "requests"), "about 2,800 requests"),
        (phrases.bounds(Interval(0.02, 0.046), phrases.percent), "[2 %, 4.6 %]"),
        (phrases.bounds(Interval(0.02, None), phrases.percent), "[2 %, no bound]"),
    ],
)
def test_figures_are_short_and_have_a_unit(said: str, expected: str) -> None:
    assert said == expected
