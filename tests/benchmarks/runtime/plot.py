"""The plot of the page as SVG: each goal as a bar, what was measured by what was to be reached. Pure."""

import math
from collections.abc import Iterator, Sequence
from xml.sax.saxutils import escape

from benchmarks.runtime.goals import Verdict

_WIDTH, _LEFT, _RIGHT, _ROW, _TOP = 920, 470, 60, 24, 44
_LEAST, _MOST = 0.25, 16.0
"""Of the axis, which is logarithmic: 1 is the goal."""
_TICKS = (0.25, 0.5, 1, 2, 4, 8, 16)


def svg(rows: Sequence[Verdict]) -> str:
    """Those goals that are a ratio; legible on light and dark ground."""
    shown = [row for row in rows if row.ratio is not None]
    height = _TOP + _ROW * len(shown) + 16
    lines = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" font-family="sans-serif"'
            ' font-size="12">'
        ),
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
        '<text x="12" y="18" font-weight="bold">Measured by goal; 1 is the goal, more is better</text>',
        *_axis(height),
    ]
    for number, row in enumerate(shown):
        lines += _bar(row, _TOP + _ROW * number)
    return "\n".join([*lines, "</svg>"]) + "\n"


def x(ratio: float) -> float:
    """Where a ratio stands on the axis; what lies outside of it stands at its end."""
    share = math.log(min(max(ratio, _LEAST), _MOST) / _LEAST) / math.log(_MOST / _LEAST)
    return round(_LEFT + share * (_WIDTH - _LEFT - _RIGHT), 1)


def _axis(height: int) -> Iterator[str]:
    for tick in _TICKS:
        colour = "#555555" if tick == 1 else "#dddddd"
        yield f'<line x1="{x(tick)}" y1="{_TOP - 8}" x2="{x(tick)}" y2="{height - 10}" stroke="{colour}"/>'
        yield f'<text x="{x(tick)}" y="{_TOP - 12}" text-anchor="middle" fill="#555555">{tick:g}</text>'


def _bar(row: Verdict, top: int) -> Iterator[str]:
    assert row.ratio is not None
    start, end = sorted((x(1), x(row.ratio)))
    colour = "#2a7f62" if row.outcome == "reached" else "#b3432f"
    text = f"{row.name}  {row.text}".replace("`", "")
    yield f'<text x="{_LEFT - 30}" y="{top + 14}" text-anchor="end" fill="#222222">{escape(text)}</text>'
    yield f'<rect x="{start}" y="{top + 3}" width="{max(2, round(end - start, 1))}" height="14" fill="{colour}"/>'
    side = f'x="{end + 5}"' if row.ratio >= 1 else f'x="{start - 5}" text-anchor="end"'
    yield f'<text {side} y="{top + 14}" fill="#222222">{escape(row.measured)}</text>'
