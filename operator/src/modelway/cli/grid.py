"""Columns of text. Pure."""

from collections.abc import Sequence

from modelway.cli.paint import Paint


def lines(head: Sequence[str], rows: Sequence[Sequence[str]], paint: Paint) -> list[str]:
    """The head and the rows, each column as wide as its widest cell."""
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    found = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in (head, *rows)]
    return [paint.strong(found[0]), *found[1:]]
