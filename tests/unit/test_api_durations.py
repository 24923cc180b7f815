"""Durations: what is read, what is refused, and one spelling for each."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelway.api import durations

WHOLE_MILLISECONDS = st.integers(min_value=0, max_value=99_999 * 3_600_000).map(
    lambda count: timedelta(milliseconds=count)
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0s", timedelta(0)),
        ("15s", timedelta(seconds=15)),
        ("100ms", timedelta(milliseconds=100)),
        ("1h30m", timedelta(minutes=90)),
        ("90m", timedelta(minutes=90)),
        ("1.5h", timedelta(minutes=90)),
        ("2m0.25s", timedelta(seconds=120.25)),
        ("720h", timedelta(days=30)),
    ],
)
def test_a_go_duration_is_read(text: str, expected: timedelta) -> None:
    assert durations.parse(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "10",
        "10 minutes",
        "10m ",
        "-5s",
        "+5s",
        "5d",
        "5us",
        "1,5h",
        "s",
        "1h30",
        "P1D",
        "123456h",
        "1s" * 13,
        "5s\n",
    ],
)
def test_what_is_no_duration_is_refused_with_examples(text: str) -> None:
    with pytest.raises(ValueError, match="such as 500ms, 30s or 1h30m"):
        durations.parse(text)


@pytest.mark.parametrize(
    ("duration", "text"),
    [
        (timedelta(0), "0s"),
        (timedelta(minutes=90), "1h30m"),
        (timedelta(seconds=60), "1m"),
        (timedelta(milliseconds=1500), "1s500ms"),
        (timedelta(days=30), "720h"),
    ],
)
def test_a_duration_has_one_spelling(duration: timedelta, text: str) -> None:
    assert durations.format(duration) == text


def test_a_negative_duration_has_no_spelling() -> None:
    with pytest.raises(ValueError, match="negative"):
        durations.format(timedelta(seconds=-1))


@given(WHOLE_MILLISECONDS)
def test_the_spelling_is_read_back_as_the_same_duration(duration: timedelta) -> None:
    assert durations.parse(durations.format(duration)) == duration


@given(st.from_regex(durations.PATTERN, fullmatch=True).filter(lambda text: len(text) <= durations.MAX_LENGTH))
def test_whatever_the_schema_admits_is_read(text: str) -> None:
    assert durations.parse(text) >= timedelta(0)
