"""The curves of a run: which there are, what each is made of, and where its points stand along the chart."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from nexus_tui.runs import journal as j
from nexus_tui.runs.run import TRAIN_STEPS, Evaluation, Run
from nexus_tui.tui import format as fmt
from nexus_tui.tui.chart import Band, Curve, Legend, Mark
from nexus_tui.tui.derived import ahead, rates
from nexus_tui.tui.run_row import called

Axis = Literal["step", "tokens", "time"]
AXES: tuple[Axis, ...] = ("step", "tokens", "time")
Array = np.ndarray[Any, Any]

NOTES = 8
"""More notes than these would hide the curves; they are among the events all the same."""
_LEAPS = (8, 4, 2, 1)
"""A live chart shows one such part of the planned steps: few changes of scale, and a first minute to see."""


@dataclass(frozen=True)
class Metric:
    """One measured quantity: its name, unit, how it is written, and how it follows from a run's columns."""

    id: str
    title: str
    unit: str
    format: Callable[[float | None], str]
    values: Callable[["RunCurves"], Array]
    """A value for every row of the run's steps."""
    of_loss: Callable[[float], float] | None = None
    """What a validation loss is in it, where it is one."""
    color: str = "train"
    smooth: bool = True
    label: str = ""


def _loss(curves: "RunCurves") -> Array:
    return curves.run.steps["loss"]


def _perplexity(curves: "RunCurves") -> Array:
    return np.asarray(np.exp(np.minimum(curves.run.steps["loss"], 700.0)))


def _rate(curves: "RunCurves") -> Array:
    return curves.run.steps["lr"]


def _gradient(curves: "RunCurves") -> Array:
    return curves.run.steps["grad_norm"]


def _speed(curves: "RunCurves") -> Array:
    steps = curves.run.steps
    tokens = np.diff(steps["tokens"], prepend=0).astype(np.float64)
    tokens[tokens <= 0] = np.nan  # the first step after a resume counts from another place
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(tokens / steps["seconds"])


def _exp(loss: float) -> float:
    return math.exp(min(loss, 700.0)) if math.isfinite(loss) else math.nan


METRICS: tuple[Metric, ...] = (
    Metric("loss", "loss", "nats/token", fmt.loss, _loss, float, label="train"),
    Metric("perplexity", "perplexity", "", fmt.perplexity, _perplexity, _exp, label="train"),
    Metric("rate", "learning rate", "", fmt.learning_rate, _rate, color="rate", smooth=False),
    Metric("gradient", "gradient norm", "", fmt.value, _gradient, color="note"),
    Metric("speed", "speed", "tokens/s", fmt.count, _speed, color="muted"),
)


class RunCurves:
    """The curves of one run at one revision."""

    def __init__(self, run: Run, axis: Axis, best: Evaluation | None) -> None:
        self.run = run
        self.best = best
        self.axis: Axis = axis
        self._line = run.canonical()
        self._whole = bool(self._line.all())
        self._version = (len(run.branches), axis)
        self._x = self._places()

    def _places(self) -> Array:
        steps = self.run.steps
        if self.axis == "time":
            return np.cumsum(np.nan_to_num(steps["seconds"]))
        return steps["tokens"] if self.axis == "tokens" else steps["step"]

    def place(self, branch: int, step: int) -> float:
        """Where a step of a branch stands along the axis; NaN if no step before it is on record."""
        if self.axis == "step":
            return float(step)
        steps = self.run.steps
        rows = np.flatnonzero((steps["branch"] == branch) & (steps["step"] <= step))
        return float(self._x[rows[-1]]) if len(rows) else float("nan")

    @property
    def points(self) -> int:
        """How many points the curve of what counts has."""
        return len(self._x) if self._whole else int(self._line.sum())

    @property
    def end(self) -> float | None:
        """The newest place; None before the first step."""
        return float(self._x[-1]) if len(self._x) else None

    def x_range(self) -> tuple[float, float] | None:
        """Both ends of the axis: as much of the planned steps as is needed, or None: it follows the data."""
        run, total = self.run, self.run.total_steps
        if self.axis == "time" or not total or run.state not in ("training", "paused", "finished", "new"):
            return None
        leap = next((total / part for part in _LEAPS if run.step <= 0.97 * total / part), float(total))
        return 0.0, leap * (self._tokens_a_step() if self.axis == "tokens" else 1)

    def of(self, metric: Metric) -> list[Curve]:
        """The curves of a metric: what was abandoned, what counts, validation, the best."""
        values, line = metric.values(self), self._line
        curves = self._plan() if metric.id == "rate" else []
        if not self._whole:
            left = ~line
            curves.append(
                Curve(
                    "abandoned",
                    self._x[left],
                    values[left],
                    metric.color,
                    dim=True,
                    smooth=False,
                    version=self._version,
                )
            )
        x, y = (self._x, values) if self._whole else (self._x[line], values[line])
        curves.append(
            Curve(
                "train", x, y, metric.color, smooth=metric.smooth, label=metric.label, version=self._version
            )
        )
        if metric.of_loss:
            curves += self._validation(metric.of_loss)
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
        if forecast is None or metric.of_loss is None or self.axis == "time":
            return None
        steps = np.array(forecast.steps) * (self._tokens_a_step() if self.axis == "tokens" else 1)
        low, high = (
            np.array([metric.of_loss(loss) for loss in end]) for end in (forecast.low, forecast.high)
        )
        return Band(steps, low, high)

    def _tokens_a_step(self) -> int:
        batch, window = self.run.setting("budget.batch", 1), self.run.setting("data.window", 1)
        return batch * window if isinstance(batch, int) and isinstance(window, int) else 1

    def _validation(self, value: Callable[[float], float]) -> list[Curve]:
        run, points = self.run, {False: ([], []), True: ([], [])}  # type: ignore[var-annotated]
        for evaluation in run.trained:
            xs, ys = points[run.on_line(evaluation.branch, evaluation.step)]
            xs.append(self.place(evaluation.branch, evaluation.step))
            ys.append(value(evaluation.loss))
        curves = []
        for counts, (xs, ys) in points.items():
            if xs:
                name = "val" if counts else "val, abandoned"
                curves.append(
                    Curve(
                        name,
                        np.array(xs),
                        np.array(ys),
                        "val",
                        "dots",
                        dim=not counts,
                        version=(*self._version, len(xs)),
                    )
                )
        if self.best:
            at, best = self.place(self.best.branch, self.best.step), value(self.best.loss)
            curves.append(Curve("best", np.array([at]), np.array([best]), "best", "star", version=(at, best)))
        return curves

    def legend(self, metric: Metric) -> list[Legend]:
        """The newest values, for the title. Training's is the mean over as many steps as at a checkpoint."""
        rows, steps = metric.values(self)[self._line], self.run.steps["step"][self._line]
        recent = rows[steps > steps[-1] - TRAIN_STEPS] if metric.smooth and len(rows) else rows[-1:]
        newest = float(np.nanmean(recent)) if len(recent) and np.isfinite(recent).any() else None
        entries = [Legend("line", metric.color, metric.format(newest), metric.label)]
        return entries + (self._validated(metric, metric.of_loss) if metric.of_loss else [])

    def _validated(self, metric: Metric, of_loss: Callable[[float], float]) -> list[Legend]:
        entries = []
        if self.run.trained:
            newest = of_loss(self.run.trained[-1].loss)
            entries.append(Legend("dots", "val", metric.format(newest), "val"))
        if self.best:
            value = metric.format(of_loss(self.best.loss))
            entries.append(Legend("star", "best", value, "best", f"@{called(self.run, self.best)}"))
        if forecast := ahead(self.run):
            low, high = of_loss(forecast.low[-1]), of_loss(forecast.high[-1])
            text = f"{(low + high) / 2:.2f} ± {(high - low) / 2:.2f}"
            entries.append(Legend("band", "forecast", text, "forecast", f"@{forecast.steps[-1]:,}"))
        return entries

    def marks(self) -> list[Mark]:
        """Resumes, notes, changed rates and faults."""
        marks = [
            Mark(self.place(b.parent or 0, b.start), "", "resume") for b in self.run.branches[1:] if b.start
        ]
        branch = 0
        noted = sum(isinstance(event, j.NotedEvent) for event in self.run.log)
        for event in self.run.log:
            match event:
                case j.ResumedEvent():
                    branch += 1
                case j.NotedEvent(step=step) if step and noted <= NOTES:
                    marks.append(Mark(self.place(branch, step), "", "note"))
                case j.ControlledEvent(act="rate_scale", step=step, value=float(value)):
                    marks.append(Mark(self.place(branch, step), f"lr ×{value:g}", "note"))
                case j.FaultedEvent(step=step):
                    marks.append(Mark(self.place(branch, step), "", "warn"))
        return [mark for mark in marks if np.isfinite(mark.x)]
