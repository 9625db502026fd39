"""A curve in one row of cells: as much of its shape as eight heights can tell."""

import math
from collections.abc import Sequence

from nexus_tui.tui.glyphs import glyphs

_HEIGHTS = "▁▂▃▄▅▆▇█"
_ASCII = "_.-=+*#"
_BEGINNING = 8
"""One of so many parts of a curve is its beginning: it falls from anywhere, and would flatten the rest."""


def spark(values: Sequence[float], width: int) -> str:
    """A curve after its beginning, in at most `width` cells; `×` where there is no finite value."""
    values = values[len(values) // _BEGINNING :]
    cells = [_mean(values[start:end]) for start, end in _stretches(len(values), width)]
    low = min(filter(math.isfinite, cells), default=0.0)
    high = max(filter(math.isfinite, cells), default=low)
    heights = _ASCII if glyphs().ascii else _HEIGHTS
    scale = (len(heights) - 1) / (high - low) if high > low else 0.0
    return "".join(
        heights[round((cell - low) * scale)] if math.isfinite(cell) else glyphs().cross for cell in cells
    )


def _stretches(length: int, width: int) -> list[tuple[int, int]]:
    cells = max(0, min(length, width))
    return [(length * cell // cells, length * (cell + 1) // cells) for cell in range(cells)]


def _mean(values: Sequence[float]) -> float:
    finite = [value for value in values if math.isfinite(value)]
    return sum(finite) / len(finite) if finite else math.nan
