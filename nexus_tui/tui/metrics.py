"""The curves of a run: which there are, what each is made of, and where its points stand along the chart."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from nexus_tui.runs import journal as j
from nexus_tui.runs.run import TRAIN_STEPS, Evaluation, Run
from nexus_tui.runs.schedule import SHAPES, learning_rate
from nexus_tui.tui import format as fmt
from nexus_tui.tui.chart import Curve, Legend, Mark

Axis = Literal["step", "tokens", "time"]
AXES: tuple[Axis, ...] = ("step", "tokens", "time")
Array = np.ndarray[Any, Any]

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
    validated: Callable[[Evaluation], float] | None = None
    """Its value at an evaluation, where it has one."""
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


METRICS: tuple[Metric, ...] = (
    Metric("loss", "loss", "nats/token", fmt.loss, _loss, lambda e: e.loss, label="train"),
    Metric(
        "perplexity", "perplexity", "", fmt.perplexity, _perplexity, lambda e: e.perplexity, label="train"
    ),
    Metric("rate", "learning rate", "", fmt.learning_rate, _rate, color="rate", smooth=False),
    Metric("gradient", "gradient norm", "", fmt.value, _gradient, color="note"),
    Metric("speed", "speed", "tokens/s", fmt.count, _speed, color="muted"),
)


def _number(run: Run, key: str, default: float = 0.0) -> float:
    """A configured number; the default if it is none."""
    value = run.setting(key, default)
    return value if isinstance(value, int | float) else default


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
        if metric.validated:
            curves += self._validation(metric.validated)
        return curves

    def _plan(self) -> list[Curve]:
        """The learning rate as planned, to the last step."""
        run, total = self.run, self.run.total_steps
        peak, warmup = _number(run, "optimizer.lr"), int(_number(run, "schedule.warmup"))
        shape = run.setting("schedule.shape")
        if self.axis == "time" or not total or not peak or shape not in SHAPES:
            return []
        steps = np.unique(np.linspace(1, total, 257).astype(np.int64))
        rates = [
            learning_rate(int(step), peak=peak, warmup=warmup, total=total, shape=shape) for step in steps
        ]
        x = steps * (self._tokens_a_step() if self.axis == "tokens" else 1)
        return [Curve("planned", x, np.array(rates), "rate", dim=True, smooth=False, version=self._version)]

    def _tokens_a_step(self) -> int:
        return int(_number(self.run, "budget.batch", 1) * _number(self.run, "data.window", 1))

    def _validation(self, value: Callable[[Evaluation], float]) -> list[Curve]:
        run, points = self.run, {False: ([], []), True: ([], [])}  # type: ignore[var-annotated]
        for evaluation in run.evaluations:
            xs, ys = points[run.on_line(evaluation.branch, evaluation.step)]
            xs.append(self.place(evaluation.branch, evaluation.step))
            ys.append(value(evaluation))
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
            at, best = self.place(self.best.branch, self.best.step), value(self.best)
            curves.append(Curve("best", np.array([at]), np.array([best]), "best", "star", version=(at, best)))
        return curves

    def legend(self, metric: Metric) -> list[Legend]:
        """The newest values, for the title. Training's is the mean over as many steps as at a checkpoint."""
        rows = metric.values(self)[self._line]
        recent = rows[-TRAIN_STEPS:] if metric.smooth else rows[-1:]
        newest = float(np.nanmean(recent)) if len(recent) and np.isfinite(recent).any() else None
        entries = [Legend("line", metric.color, metric.format(newest), metric.label)]
        if metric.validated and self.run.evaluations:
            entries.append(
                Legend("dots", "val", metric.format(metric.validated(self.run.evaluations[-1])), "val")
            )
            if self.best:
                note = f"@{self.best.step:,}"
                entries.append(
                    Legend("star", "best", metric.format(metric.validated(self.best)), "best", note)
                )
        return entries

    def marks(self) -> list[Mark]:
        """Resumes, notes, changed rates and faults."""
        marks = [
            Mark(self.place(b.parent or 0, b.start), "", "resume") for b in self.run.branches[1:] if b.start
        ]
        branch = 0
        for event in self.run.log:
            match event:
                case j.ResumedEvent():
                    branch += 1
                case j.NotedEvent(step=step):
                    marks.append(Mark(self.place(branch, step), "", "note"))
                case j.ControlledEvent(act="rate_scale", step=step, value=value):
                    marks.append(Mark(self.place(branch, step), f"lr ×{value:g}", "note"))
                case j.FaultedEvent(step=step):
                    marks.append(Mark(self.place(branch, step), "", "warn"))
        return [mark for mark in marks if np.isfinite(mark.x)]
