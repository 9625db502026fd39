"""Where the points of one run stand along an axis: steps, tokens, time spent on steps, the time of day."""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

import numpy as np

from nexus_tui.runs.run import Evaluation, Run, Series
from nexus_tui.tui.metrics import Array, Metric
from nexus_tui.tui.story import UNDATED
from nexus_tui.tui.view import Axis

AXES: tuple[Axis, ...] = ("step", "tokens", "time", "clock")

Points = tuple[Array, Array]
"""Places along the axis [n] and values [n]."""


class Where(NamedTuple):
    """A step of a run, and what else is counted there; None where that is not on record."""

    step: int
    tokens: int | None
    seconds: float | None
    """Spent on the steps that led here."""
    time: float | None
    """Epoch seconds."""


def axes_of(run: Run) -> tuple[Axis, ...]:
    """The axes that a run has places on; always steps."""
    steps = run.steps
    if not len(steps):
        return ("step",)
    has = {
        "step": True,
        "tokens": bool(steps["tokens"][-1] > 0),
        "time": bool(np.any(steps["seconds"] > 0)),
        "clock": bool(np.all(steps["time"] > UNDATED)),
    }
    return tuple(axis for axis in AXES if has[axis])


class RunPoints:
    """One run's points along an axis, at one revision of its record."""

    def __init__(self, run: Run, axis: Axis) -> None:
        self.run = run
        self.axis: Axis = axis
        self.line = run.canonical()
        """Which rows of the run's steps led to the newest weights [rows]."""
        self.whole = bool(self.line.all())
        self._limits = run.line()
        self._x = self._places()
        self._curves: dict[str, Points] = {}
        self._steps: Array = run.steps["step"] if self.whole else run.steps["step"][self.line]

    @property
    def version(self) -> tuple[object, ...]:
        """Differs when points that were there before stand elsewhere, or count no longer."""
        return (len(self.run.branches), self.axis)

    @property
    def end(self) -> float | None:
        """The newest place; None before the first step."""
        return float(self._x[-1]) if len(self._x) else None

    # -- places -------------------------------------------------------------------------------------------

    def _places(self) -> Array:
        steps = self.run.steps
        if self.axis == "time":
            return self._seconds()
        return steps[{"tokens": "tokens", "clock": "time"}.get(self.axis, "step")]

    def _seconds(self) -> Array:
        """Seconds spent on the steps that led to each row [rows]: a branch goes on where it began."""
        steps = self.run.steps
        total: Array = np.nan_to_num(steps["seconds"])
        for one in self.run.branches:
            first, last = np.searchsorted(steps["branch"], [one.index, one.index + 1])
            before = self._row(one.parent, one.start) if one.parent is not None else None
            total[first:last] = np.cumsum(total[first:last]) + (0.0 if before is None else total[before])
        return total

    def _row(self, branch: int, step: int) -> int | None:
        """The row of a branch's newest step up to `step`."""
        steps = self.run.steps
        first, last = np.searchsorted(steps["branch"], [branch, branch + 1])
        row = first + int(np.searchsorted(steps["step"][first:last], step, side="right")) - 1
        return int(row) if row >= first else None

    def place(self, branch: int, step: int) -> float:
        """Where a step of a branch, or of what led to it, stands along the axis; NaN if not on record."""
        if self.axis == "step":
            return float(step)
        row, parent = self._row(branch, step), self.run.branches[branch].parent
        while row is None and parent is not None:
            row, parent = self._row(parent, step), self.run.branches[parent].parent
        return float(self._x[row]) if row is not None else float("nan")

    def places(self, series: Series) -> Array:
        """Where the points of a series stand along the axis [n]; NaN where that is not on record."""
        if self.axis == "step":
            return series.step
        steps, found = self.run.steps, np.full(len(series.step), np.nan)
        for branch in np.unique(series.branch):
            ours = np.flatnonzero(series.branch == branch)
            first, last = np.searchsorted(steps["branch"], [branch, branch + 1])
            row = first + np.searchsorted(steps["step"][first:last], series.step[ours], side="right") - 1
            known = row >= first
            found[ours[known]] = self._x[row[known]]
        return found

    def place_of(self, step: int) -> float:
        """Where a step of what counts stands along the axis; NaN if it is not on record."""
        if self.axis == "step":
            return float(step)
        row = int(np.searchsorted(self._steps, step, side="right")) - 1
        return float(self._x[self.line][row]) if row >= 0 else float("nan")

    def where(self, x: float) -> Where:
        """The step of what counts that stands nearest to a place, and what is counted there."""
        steps = self.run.steps
        rows = np.flatnonzero(self.line)
        if not len(rows):
            return Where(round(x), None, None, None)
        places = self._x[rows]
        after = int(np.searchsorted(places, x))
        near = [index for index in (after - 1, after) if 0 <= index < len(rows)]
        row = rows[min(near, key=lambda index: abs(float(places[index]) - x))]
        tokens, time = int(steps["tokens"][row]), float(steps["time"][row])
        spent = self._x if self.axis == "time" else self._seconds()
        return Where(
            int(steps["step"][row]),
            tokens if tokens > 0 else None,
            float(spent[row]) if spent[row] > 0 else None,
            time if time > UNDATED else None,
        )

    # -- curves -------------------------------------------------------------------------------------------

    def curve(self, metric: Metric) -> Points:
        """The line of a metric, as far as it led to the newest weights; empty if it has none."""
        if metric.id not in self._curves:
            self._curves[metric.id] = self._curve(metric)
        return self._curves[metric.id]

    def _curve(self, metric: Metric) -> Points:
        if metric.values is None:
            return self._series(metric, counts=True)
        values = metric.values(self.run)
        return (self._x, values) if self.whole else (self._x[self.line], values[self.line])

    def abandoned(self, metric: Metric) -> Points:
        """The line of a metric, as far as a resume has left it behind."""
        if metric.values:
            if self.whole:
                return np.empty(0), np.empty(0)
            return self._x[~self.line], metric.values(self.run)[~self.line]
        return self._series(metric, counts=False)

    def _series(self, metric: Metric, *, counts: bool) -> Points:
        if not metric.series:
            return np.empty(0), np.empty(0)
        series = self.run.series(metric.id)
        limits = np.full(len(self.run.branches), -1, np.int64)
        for index, limit in self._limits.items():
            limits[index] = limit
        kept = (series.step <= limits[series.branch]) == counts
        places = self.places(series)
        return (places, series.value) if kept.all() else (places[kept], series.value[kept])

    def evaluated(self, metric: Metric, *, counts: bool) -> Points:
        """The points of a metric at evaluations: of what counts, or of what a resume has left behind."""
        found, of = self._evaluations[0 if counts else 1], metric.evaluated
        if of is None:
            return np.empty(0), np.empty(0)
        places = np.array([place for place, _ in found], np.float64)
        return places, np.array([of(evaluation) for _, evaluation in found], np.float64)

    @cached_property
    def _evaluations(self) -> tuple[list[tuple[float, Evaluation]], list[tuple[float, Evaluation]]]:
        """Every evaluation with its place: those that count, and those that a resume has left behind."""
        found: tuple[list[tuple[float, Evaluation]], list[tuple[float, Evaluation]]] = ([], [])
        for one in self.run.trained:
            left = one.step > self._limits.get(one.branch, -1)
            found[left].append((self.place(one.branch, one.step), one))
        return found
