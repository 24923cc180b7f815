"""Quantities: exact values, and the spelling that the API server stores."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelway.api import quantities

SUFFIXES = st.sampled_from(["", "n", "u", "m", "k", "M", "G", "T", "Ki", "Mi", "Gi", "Ti"])
QUANTITIES = st.builds(lambda number, suffix: f"{number}{suffix}", st.integers(0, 10**6), SUFFIXES)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("64Mi", Decimal(64 * 1024**2)),
        ("1.5Gi", Decimal(1536 * 1024**2)),
        ("250m", Decimal("0.25")),
        ("2", Decimal(2)),
        (5, Decimal(5)),
        ("1e3", Decimal(1000)),
        ("100k", Decimal(100_000)),
        ("0", Decimal(0)),
        (".5", Decimal("0.5")),
        ("0.1n", Decimal("1e-9")),
        ("1e-12", Decimal("1e-9")),
        ("1.0000000001", Decimal("1.000000001")),
        ("1234567890123456789.5", Decimal("1234567890123456789.5")),
        ("1.0000000001Ki", Decimal("1024.000000103")),
    ],
)
def test_a_quantity_is_read_exactly(text: str | int, value: Decimal) -> None:
    assert quantities.parse(text) == value


@pytest.mark.parametrize("text", ["", "64MB", "1KB", "Mi", "1 Gi", "1K", "one", "1.2.3", "0x10", "5Gi\n"])
def test_what_is_no_quantity_is_refused_with_examples(text: str) -> None:
    with pytest.raises(ValueError, match="such as 500m, 64Mi or 2Gi"):
        quantities.parse(text)


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("1000m", "1"),
        ("0.5", "500m"),
        ("1024Mi", "1Gi"),
        ("1.5Gi", "1536Mi"),
        ("1000Mi", "1000Mi"),
        ("1", "1"),
        (3, "3"),
        ("0", "0"),
        ("1000k", "1M"),
        ("1500", "1500"),
        ("2000", "2k"),
        ("100Ki", "100Ki"),
        ("0.1", "100m"),
        (".5", "500m"),
        ("1.5n", "2n"),
        ("1e3", "1e3"),
    ],
)
def test_a_quantity_is_spelt_as_the_api_server_stores_it(text: str | int, stored: str) -> None:
    assert quantities.canonical(text) == stored


@pytest.mark.parametrize(("size", "text"), [(64 * 1024**2, "64Mi"), (1000, "1000"), (1025, "1025"), (0, "0")])
def test_bytes_are_spelt_with_the_largest_binary_suffix(size: int, text: str) -> None:
    assert quantities.format_bytes(size) == text


def test_a_fraction_of_a_byte_is_refused() -> None:
    with pytest.raises(ValueError, match="fraction of a byte"):
        quantities.parse_bytes("100m")


@given(QUANTITIES)
def test_the_stored_spelling_keeps_the_value_and_is_stable(text: str) -> None:
    stored = quantities.canonical(text)
    assert quantities.parse(stored) == quantities.parse(text)
    assert quantities.canonical(stored) == stored


@given(st.integers(min_value=0, max_value=2**50))
def test_bytes_are_read_back(size: int) -> None:
    assert quantities.parse_bytes(quantities.format_bytes(size)) == size
