"""Durations and sizes of settings."""

import pytest

from modelway_runtime import units


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0", 0.0), ("0s", 0.0), ("30s", 30.0), ("500ms", 0.5), ("1m30s", 90.0), ("1.5h", 5400.0), ("2us", 2e-6)],
)
def test_a_go_duration_is_seconds(text: str, seconds: float) -> None:
    assert units.seconds(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "30", "s", "-5s", "1d", "5 s", "5s5"])
def test_what_is_no_duration_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="write for example 30s"):
        units.seconds(text)


@pytest.mark.parametrize(
    ("text", "count"),
    [("0", 0), ("1000", 1000), ("1k", 1000), ("64Mi", 67108864), ("1.5Gi", 1610612736), ("2G", 2 * 10**9)],
)
def test_a_quantity_is_bytes(text: str, count: int) -> None:
    assert units.size(text) == count


@pytest.mark.parametrize("text", ["", "Mi", "-1", "64MB", "1 Gi"])
def test_what_is_no_quantity_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="write for example 64Mi"):
        units.size(text)


@pytest.mark.parametrize(
    ("count", "text"), [(12, "12 B"), (1536, "1.5 KiB"), (3 << 20, "3.0 MiB"), (2 << 40, "2048.0 GiB")]
)
def test_a_size_is_shown_for_people(count: int, text: str) -> None:
    assert units.text(count) == text
