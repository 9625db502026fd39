"""Where one looks along an axis: a crosshair that goes from point to point, and the part that is shown."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from nexus_tui.tui.metrics import Array

Range = tuple[float, float]

FEWEST = 4
"""Points that a window keeps: there is nothing to be seen in fewer."""


@dataclass(frozen=True)
class Field:
    """What there is to look at."""

    places: Array
    """Where any curve has a point [n], rising."""
    view: Range
    """The part of the axis that is drawn now."""
    whole: Range
    """All of the axis."""
    end: float | None
    """The newest place, which a window follows."""
    cell: float
    """How far apart two cells are."""

    def nearest(self, x: float) -> int:
        """Index of the point nearest to a place; there is one at least."""
        after = int(np.searchsorted(self.places, x))
        near = [index for index in (after - 1, after) if 0 <= index < len(self.places)]
        return min(near, key=lambda index: abs(float(self.places[index]) - x))


class Sight:
    """The crosshair and the window. Nothing happens where there are no points."""

    def __init__(self) -> None:
        self.at: float | None = None
        """Where the crosshair stands; None without one."""
        self.window: Range | None = None
        """The part of the axis that is shown; None: all of it."""
        self._follows = False

    # -- crosshair ----------------------------------------------------------------------------------------

    def read(self, cells: int, field: Field) -> None:
        """Move the crosshair by so many cells, to the nearest point; it begins at the newest that is seen."""
        places = field.places
        if not len(places):
            return
        if self.at is None:
            inside = places[(places >= field.view[0]) & (places <= field.view[1])]
            self.point(float(inside[-1] if len(inside) else places[field.nearest(field.view[1])]))
            return
        index = field.nearest(self.at + cells * field.cell)
        # A press always moves: where points are far apart, to the next one.
        if cells > 0 and places[index] <= self.at:
            index = min(int(np.searchsorted(places, self.at, side="right")), len(places) - 1)
        elif cells < 0 and places[index] >= self.at:
            index = max(int(np.searchsorted(places, self.at, side="left")) - 1, 0)
        self.point(float(places[index]))
        self._take_along(field)

    def point(self, x: float | None) -> None:
        """Put the crosshair at a place; None takes it away."""
        self.at = x

    def snap(self, x: float, field: Field) -> None:
        """Put the crosshair at the point nearest to a place."""
        if len(field.places):
            self.point(float(field.places[field.nearest(x)]))

    def _take_along(self, field: Field) -> None:
        """Move the window so that the crosshair is a quarter of it inside."""
        if self.at is None or self.window is None:
            return
        low, high = self.window
        quarter = (high - low) / 4
        if self.at < low:
            self._look(self.at - quarter, self.at + 3 * quarter, field)
        elif self.at > high:
            self._look(self.at - 3 * quarter, self.at + quarter, field)

    # -- window -------------------------------------------------------------------------------------------

    def live(self) -> None:
        """No crosshair, and all of it."""
        self.at = self.window = None

    def zoom(self, steps: float, field: Field, around: float | None = None) -> None:
        """Show half as much for each step, or twice as much if negative.

        Args:
            steps: how far.
            field: what there is.
            around: the place that stays where it is; None: the crosshair, else the newest point.
        """
        low, high = self.window or field.view
        wanted = (around, self.at, field.end)
        centre = next((x for x in wanted if x is not None and low <= x <= high), (low + high) / 2)
        factor = 0.5**steps
        low, high = centre - (centre - low) * factor, centre + (high - centre) * factor
        inside = np.count_nonzero((field.places >= low) & (field.places <= high))
        if steps <= 0 or inside >= FEWEST:
            self._look(low, high, field)

    def pan(self, distance: float, field: Field) -> None:
        """Move the window; all of it has nowhere to go."""
        if self.window is not None:
            self._look(self.window[0] + distance, self.window[1] + distance, field)

    def _look(self, low: float, high: float, field: Field) -> None:
        """Show a part, within all of it; follow the newest point if that is in sight."""
        whole = field.whole
        if high - low >= whole[1] - whole[0]:
            self.window = None
            return
        shift = max(0.0, whole[0] - low) - max(0.0, high - whole[1])
        self.window = (low + shift, high + shift)
        self._follows = field.end is not None and self.window[0] <= field.end <= self.window[1]

    def follow(self, end: float | None) -> None:
        """The newest point is at `end` now: a window that had it in sight goes on, by quarters of itself.

        So little is repainted from one point to the next.
        """
        if self.window is None or not self._follows or end is None or end <= self.window[1]:
            return
        low, high = self.window
        quarter = (high - low) / 4
        far = quarter * math.ceil((end - high) / quarter)
        self.window = (low + far, high + far)

    def carry_over(self, moved: Callable[[float], float | None]) -> None:
        """Another axis: `moved` tells where a place of this one stands there, None if nowhere."""
        if self.at is not None:
            self.at = moved(self.at)
        if self.window is not None:
            low, high = (moved(x) for x in self.window)
            self.window = (low, high) if low is not None and high is not None and low < high else None
