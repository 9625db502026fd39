"""The curves of one run, as a board draws them: what counts, what was abandoned, validation, the best."""

from __future__ import annotations

import time
from functools import cached_property

import numpy as np

from nexus_tui.runs import journal as j
from nexus_tui.runs.run import TRAIN_STEPS, Evaluation, Run
from nexus_tui.tui import format as fmt
from nexus_tui.tui.chart import Band, Curve, Legend, Mark
from nexus_tui.tui.chart.axis import XKind
from nexus_tui.tui.derived import ahead, rates
from nexus_tui.tui.metrics import Metric, metrics_of
from nexus_tui.tui.run_points import RunPoints, axes_of
from nexus_tui.tui.run_row import called
from nexus_tui.tui.safe import plain
from nexus_tui.tui.view import Axis

NOTES = 8
"""More notes than these would hide the curves; they are among the events all the same."""
_LEAPS = (8, 4, 2, 1)
"""A live chart shows one such part of the planned steps: few changes of scale, and a first minute to see."""


class RunCurves:
    """The curves of one run at one revision: what a `Board` is shown.

    Args:
        run: whose.
        axis: what is wanted along the charts; steps, where the run knows nothing of that.
        best: its true best.
    """

    def __init__(self, run: Run, axis: Axis, best: Evaluation | None) -> None:
        self.run = run
        self.best = best
        self.axes = axes_of(run)
        self.axis: Axis = axis if axis in self.axes else "step"
        self.metrics = metrics_of(run)
        self.points = RunPoints(run, self.axis)
        """Where everything stands."""
        self._version = self.points.version
        self._revision = run.revision

    @property
    def stale(self) -> bool:
        """Whether the run has been read on since."""
        return self.run.revision != self._revision

    @property
    def x_kind(self) -> XKind:
        """How places are written."""
        return self.axis

    @property
    def end(self) -> float | None:
        """The newest place; None before the first step."""
        return self.points.end

    def x_range(self) -> tuple[float, float] | None:
        """Both ends of the axis: as much of the planned steps as is needed, or None: it follows the data."""
        run, total = self.run, self.run.total_steps
        planned = run.state in ("training", "paused", "finished", "new")
        if self.axis not in ("step", "tokens") or not total or not planned:
            return None
        leap = next((total / part for part in _LEAPS if run.step <= 0.97 * total / part), float(total))
        return 0.0, leap * (self._tokens_a_step() if self.axis == "tokens" else 1)

    def refused(self, metric: Metric) -> str:  # noqa: ARG002
        """Why a metric cannot be drawn: of one run, each can."""
        return ""

    def step_at(self, x: float) -> int | None:
        """The step at a place; None before the first."""
        return self.points.where(x).step if self.end is not None else None

    def place_of(self, step: int) -> float:
        """Where a step stands along the axis; NaN if that is not on record."""
        return self.points.place_of(step)

    def where(self, x: float) -> list[str]:
        """What is counted at a place, most important first."""
        at = self.points.where(x)
        words = [f"step {at.step:,}"]
        if at.seconds is not None:
            words.append(f"{fmt.duration(at.seconds)} trained")
        if at.tokens is not None:
            words.append(f"{fmt.short(at.tokens)} tokens")
        if at.time is not None:
            words.append(time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at.time)))
        return words

    # -- what is drawn ------------------------------------------------------------------------------------

    def of(self, metric: Metric) -> list[Curve]:
        """The curves of a metric: what was abandoned, what counts, validation, the best."""
        curves = self._plan() if metric.id == "lr" else []
        x, y = self.points.abandoned(metric)
        if len(x):
            curves.append(
                Curve("abandoned", x, y, metric.color, dim=True, smooth=False, version=self._version)
            )
        x, y = self.points.curve(metric)
        if len(x) or not metric.evaluated:
            look = {"smooth": metric.smooth, "label": metric.label, "version": self._version}
            curves.append(Curve("train", x, y, metric.color, **look))  # type: ignore[arg-type]
        return curves + self._evaluated(metric)

    def _evaluated(self, metric: Metric) -> list[Curve]:
        curves = []
        for counts, name in ((False, "val, abandoned"), (True, "val")):
            x, y = self.points.evaluated(metric, counts=counts)
            if len(x):
                version = (*self._version, len(x))
                label = "val" if metric.values else ""
                curves.append(Curve(name, x, y, "val", "dots", dim=not counts, label=label, version=version))
        if self.best and metric.ranks and metric.evaluated:
            at = self.points.place(self.best.branch, self.best.step)
            best = metric.evaluated(self.best)
            curves.append(Curve("best", np.array([at]), np.array([best]), "best", "star", version=(at, best)))
        return curves

    def _plan(self) -> list[Curve]:
        """The learning rate as planned, to the last step."""
        planned = rates(self.run)
        if planned is None or self.x_range() is None:
            return []
        x = np.arange(1, len(planned)) * (self._tokens_a_step() if self.axis == "tokens" else 1)
        version = (*self._version, len(self.run.log))
        return [Curve("planned", x, planned[1:], "rate", dim=True, smooth=False, version=version)]

    def band(self, metric: Metric) -> Band | None:
        """The forecast on record, as far as it is about what is to come."""
        forecast = ahead(self.run)
        if forecast is None or metric.of_loss is None or self.axis not in ("step", "tokens"):
            return None
        steps = np.array(forecast.steps) * (self._tokens_a_step() if self.axis == "tokens" else 1)
        low, high = (
            np.array([metric.of_loss(loss) for loss in end]) for end in (forecast.low, forecast.high)
        )
        return Band(steps, low, high)

    def _tokens_a_step(self) -> int:
        batch, window = self.run.setting("budget.batch", 1), self.run.setting("data.window", 1)
        return batch * window if isinstance(batch, int) and isinstance(window, int) else 1

    # -- titles -------------------------------------------------------------------------------------------

    def unit(self, metric: Metric) -> str:
        """The unit of a metric; a token of a byte model is a byte."""
        if metric.unit_of:
            return metric.unit_of(self.run)
        byte = metric.unit == "nats/token" and self.run.setting("data.tokenizer") == "byte"
        return "nats/byte" if byte else metric.unit

    def legend(self, metric: Metric) -> list[Legend]:
        """The newest values, for the title. Training's is the mean over as many steps as at a checkpoint."""
        entries = []
        x, y = self.points.curve(metric)
        if len(x):
            newest = y[-TRAIN_STEPS:] if metric.smooth else y[-1:]
            value = float(np.nanmean(newest)) if np.isfinite(newest).any() else None
            entries.append(Legend("line", metric.color, metric.format(value), metric.label))
        return entries + self._legend_of_evaluations(metric)

    def _legend_of_evaluations(self, metric: Metric) -> list[Legend]:
        entries: list[Legend] = []
        if metric.evaluated is None:
            return entries
        if self.run.trained:
            newest = metric.evaluated(self.run.trained[-1])
            label = "val" if metric.values else ""
            entries.append(Legend("dots", "val", metric.format(newest), label))
        if self.best and metric.ranks:
            value = metric.format(metric.evaluated(self.best))
            entries.append(Legend("star", "best", value, "best", f"@{called(self.run, self.best)}"))
        forecast = ahead(self.run)
        if forecast and metric.of_loss:
            told = (forecast.values, forecast.low, forecast.high)
            predicted, low, high = (metric.of_loss(losses[-1]) for losses in told)
            entries.append(expected(predicted, low, high, forecast.steps[-1]))
        return entries

    # -- marks --------------------------------------------------------------------------------------------

    def marks(self) -> list[Mark]:
        """Resumes, notes, changed rates, spikes and faults."""
        return self._marks

    @cached_property
    def _marks(self) -> list[Mark]:
        place = self.points.place
        marks = [
            Mark(place(b.parent or 0, b.start), "", "resume", f"resumed from {b.start:,}")
            for b in self.run.branches[1:]
            if b.start
        ]
        branch = 0
        noted = sum(isinstance(event, j.NotedEvent) for event in self.run.log)
        for event in self.run.log:
            match event:
                case j.ResumedEvent():
                    branch += 1
                case j.NotedEvent(step=step, text=text) if step and noted <= NOTES:
                    marks.append(Mark(place(branch, step), "", "note", plain(text)))
                case j.ControlledEvent(act="plan", step=step, value=float(value)):
                    marks.append(Mark(place(branch, step), f"to {value:,.0f}", "note"))
                case j.ControlledEvent(act="rate_scale", step=step, value=float(value)):
                    marks.append(Mark(place(branch, step), f"lr ×{value:g}", "note"))
                case j.FaultedEvent(step=step, message=message):
                    marks.append(Mark(place(branch, step), "", "warn", plain(message)))
                case j.SpikedEvent(step=step, loss=loss, median=median):
                    said = f"spike: {fmt.loss(loss)} against a median of {fmt.loss(median)}"
                    marks.append(Mark(place(branch, step), "spike", "warn", said))
                case j.DivergedEvent(step=step, cause=cause):
                    trained = min(step, self.run.step)  # the step itself is mostly not on record
                    marks.append(Mark(place(branch, trained), "stopped", "warn", plain(cause)))
        return [mark for mark in marks if np.isfinite(mark.x)]


def expected(value: float, low: float, high: float, step: int) -> Legend:
    """A forecast for a title: the value on record, and how far its interval goes; a step to come.

    Both ends are told where one of them is clearly nearer: cut off at zero, or of a perplexity.
    """
    even = abs(high + low - 2 * value) <= (high - low) / 10
    interval = f" ± {(high - low) / 2:.2f}" if even else f" ({low:.2f}–{high:.2f})"
    return Legend("band", "forecast", f"{value:.2f}{interval}", "forecast", f"@{step:,}", bound=True)
