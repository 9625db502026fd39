"""Which charts there is room for, and where each goes.

The first is large and keeps the whole width; small ones stand below it in rows, or beside it where the place
is low. As room shrinks the last small chart goes first, until the large one is alone. A small chart has
34 × 8 cells, or the whole width where that is less; below 18 columns or 8 rows there is none.
"""

from __future__ import annotations

from itertools import pairwise

from textual.geometry import Region

SMALL_WIDTH, SMALL_HEIGHT = 34, 8
"""Cells of a small chart that still reads well."""
LEAST_WIDTH = 18
"""Cells that any chart needs to say something."""
LARGE_WIDTH, LARGE_HEIGHT = 60, 12
"""Cells that the large chart keeps before there is any small one."""
GAP_X, GAP_Y = 2, 1
"""Blank cells between charts."""


def panes(width: int, height: int, count: int) -> list[Region]:
    """Where up to `count` charts go in `width` × `height` cells: the large one, then the small ones.

    As many regions as there is room for, 1 at least; they do not overlap.
    """
    small = count - 1
    if small > 0 and width >= LEAST_WIDTH and height >= LARGE_HEIGHT + GAP_Y + SMALL_HEIGHT:
        return _below(width, height, small)
    if small > 0 and width >= LARGE_WIDTH + GAP_X + SMALL_WIDTH and height >= SMALL_HEIGHT:
        return _beside(width, height, small)
    return [Region(0, 0, width, height)]


def _below(width: int, height: int, small: int) -> list[Region]:
    """Rows of small charts below the large one, which keeps about half of the height."""
    columns = max(1, (width + GAP_X) // (SMALL_WIDTH + GAP_X))
    least = max(LARGE_HEIGHT, int(0.45 * height))
    rows = max(1, (height - least) // (SMALL_HEIGHT + GAP_Y))
    rows = min(rows, -(-small // columns))
    columns = min(columns, -(-small // rows))
    each = max(SMALL_HEIGHT, (height // 2 - rows * GAP_Y) // rows)
    large = height - rows * (each + GAP_Y)
    below = _grid(Region(0, large + GAP_Y, width, height - large - GAP_Y), columns, rows, small)
    return [Region(0, 0, width, large), *below]


def _beside(width: int, height: int, small: int) -> list[Region]:
    """Columns of small charts right of the large one, which keeps about half of the width."""
    rows = min(small, (height + GAP_Y) // (SMALL_HEIGHT + GAP_Y))
    least = max(LARGE_WIDTH, int(0.45 * width))
    columns = max(1, min((width - least) // (SMALL_WIDTH + GAP_X), -(-small // rows)))
    rows = min(rows, -(-small // columns))
    large = min(max(LARGE_WIDTH, width * 3 // 5), width - columns * (SMALL_WIDTH + GAP_X))
    beside = _grid(Region(large + GAP_X, 0, width - large - GAP_X, height), columns, rows, small)
    return [Region(0, 0, large, height), *beside]


def _grid(place: Region, columns: int, rows: int, count: int) -> list[Region]:
    """Up to `count` cells of a grid, row by row; the last one takes what is left of its row."""
    across, down = _cut(place.width, columns, GAP_X), _cut(place.height, rows, GAP_Y)
    cells = [
        Region(place.x + x, place.y + y, cell_width, cell_height)
        for y, cell_height in down
        for x, cell_width in across
    ][:count]
    last = cells[-1]
    return [*cells[:-1], Region(last.x, last.y, place.right - last.x, last.height)]


def _cut(length: int, parts: int, gap: int) -> list[tuple[int, int]]:
    """Start and length of `parts` nearly equal parts with gaps between them."""
    starts = [(length + gap) * part // parts for part in range(parts + 1)]
    return [(start, after - gap - start) for start, after in pairwise(starts)]
