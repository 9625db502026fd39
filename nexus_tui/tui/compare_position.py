"""Loss by position in the window: what context is worth to each checkpoint."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
from textual.app import ComposeResult

from nexus_tui.runs.token_losses import TokenLosses
from nexus_tui.tui import format
from nexus_tui.tui.analyst import Job
from nexus_tui.tui.chart import Chart, Curve, Legend
from nexus_tui.tui.compare_section import Section, Sheet, later
from nexus_tui.tui.comparing import Comparing
from nexus_tui.tui.flow import flow
from nexus_tui.tui.lines import Line, Span
from nexus_tui.tui.safe import fit

FIRST = 8
"""Tokens at the beginning of a window that have next to no context."""
REACH = 4
"""Positions on either side that a point of the curve is the mean of; fewer at the ends."""


class PositionSection(Section):
    """Curves over the position, and figures beneath: the first tokens against the last quarter."""

    NAME: ClassVar[str] = "position"
    LETTER: ClassVar[str] = "o"
    PAIRED: ClassVar[bool] = True
    VIEWS: ClassVar[bool] = True
    DEFAULT_CSS = "PositionSection Chart { padding: 0 1; } PositionSection Sheet { height: auto; }"

    def __init__(self) -> None:
        super().__init__()
        self._apart = False
        self._at: float | None = None

    def compose(self) -> ComposeResult:
        """Chart and figures."""
        yield Chart("loss by position", "nats/token", format=format.loss)
        yield Sheet()

    def jobs(self, c: Comparing) -> list[Job]:
        """Every token's loss."""
        return [c.token_job(place) for place in range(len(c.rows))]

    def toggle(self) -> None:
        """Between losses and differences from the best."""
        self._apart = not self._apart
        if self.c:
            self.draw(self.c)

    def step(self, direction: int) -> bool:
        """Move the crosshair."""
        chart = self.query_one(Chart)
        view = chart.x_view
        if view is None:
            return True
        low, high = view
        start = (low if direction > 0 else high) - direction if self._at is None else self._at
        place = start + direction
        self._at = None if not low <= place <= high else place
        chart.crosshair = self._at
        return True

    def draw(self, c: Comparing, *, top: bool = False) -> None:
        """Curves of what is known, a line of figures a checkpoint."""
        lines = self.lines(c, self.room)
        self.sheet.styles.height = len(lines)
        self.sheet.show(lines, top=top)
        known = {place: _positions(c, place) for place in range(len(c.rows))}
        means = {place: mean for place, mean in known.items() if mean is not None}
        base = means.get(c.best) if self._apart and c.best is not None else None
        curves, legend = [], []
        for place, mean in means.items():
            row = c.rows[place]
            if base is not None and len(base) == len(mean):
                mean = mean - base
            x = np.arange(1, len(mean) + 1)
            version = (row.key("tokens"), self._apart)
            curves.append(
                Curve(
                    row.letter, x, smoothed(mean), row.color, smooth=False, sign=row.letter, version=version
                )
            )
            legend.append(Legend(row.sign, row.color, "", row.letter))
        window = c.rows[0].subject.run.setting("data.window", 0)
        length = max((len(mean) for mean in means.values()), default=window if isinstance(window, int) else 0)
        title = "loss by position" if base is None else f"loss less that of {c.rows[c.best or 0].letter}"
        self.query_one(Chart).show(curves, x_range=(1.0, float(max(2, length))), legend=legend, title=title)

    def lines(self, c: Comparing, width: int) -> list[Line]:
        """Figures of each checkpoint."""
        label = "" if width < 100 else " tokens"
        head = f"{'':9}{f'first {FIRST}{label}':>15}{'last quarter':>15}{'context is worth':>18}"
        lines: list[Line] = [((head, "muted"), ("   t ", "text!"), ("differences", "muted"))]
        if self._apart:
            lines[0] = (lines[0][0], ("   t ", "text!"), ("losses", "muted"))
        for place, row in enumerate(c.rows):
            mean = _positions(c, place)
            name: Span = (fit(row.title[0], 9), row.title[1])
            if mean is None:
                lines += _unknown(c, place, name, width)
                continue
            first, last = figures(mean)
            lines.append(
                (
                    name,
                    (f"{format.loss(first):>15}{format.loss(last):>15}", "text"),
                    (f"{format.loss(first - last):>18} nats/token", "text"),
                )
            )
        return lines


def _unknown(c: Comparing, place: int, name: Span, width: int) -> list[Line]:
    if failure := c.analyst.failure(c.token_job(place).key):
        return flow([(failure, "error")], width, name, 9)
    return [(name, *later(c))]


def _positions(c: Comparing, place: int) -> np.ndarray[Any, np.dtype[np.float64]] | None:
    """Mean loss at each position, nats per token [length]; None until it is known."""
    tokens = c.tokens(place)
    if tokens is None:
        return None
    return _mean(tokens)


@lru_cache(32)
def _mean(tokens: TokenLosses) -> np.ndarray[Any, np.dtype[np.float64]]:
    from nexus_tui.analysis.breakdown import by_position

    return by_position(tokens).mean


def smoothed(values: np.ndarray[Any, np.dtype[np.float64]]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Means over up to REACH positions on either side, [length] -> [length]."""
    places = np.arange(len(values))
    reach = np.minimum(REACH, np.minimum(places, len(values) - 1 - places))
    sums = np.concatenate(([0.0], values.cumsum()))
    means: np.ndarray[Any, np.dtype[np.float64]]
    means = (sums[places + reach + 1] - sums[places - reach]) / (2 * reach + 1)
    return means


def figures(mean: np.ndarray[Any, np.dtype[np.float64]]) -> tuple[float, float]:
    """Mean loss of the first FIRST positions and of the last quarter, nats per token."""
    quarter = max(1, len(mean) // 4)
    return float(mean[:FIRST].mean()), float(mean[-quarter:].mean())
