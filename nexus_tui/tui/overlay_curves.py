"""The curves of several runs over each other, as a board draws them: each run has its colour and its sign."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from nexus_tui.runs import truth
from nexus_tui.runs.run import TRAIN_STEPS, Evaluation, Run
from nexus_tui.runs.tokenizers import differ, tokens
from nexus_tui.tui import format as fmt
from nexus_tui.tui.chart import Band, Curve, Legend, Mark
from nexus_tui.tui.chart.axis import XKind
from nexus_tui.tui.metrics import METRICS, Array, Metric
from nexus_tui.tui.run_curves import RunCurves
from nexus_tui.tui.run_points import AXES
from nexus_tui.tui.safe import plain
from nexus_tui.tui.theme import Series
from nexus_tui.tui.view import Axis

POINTS = " ∙ points"
"""What the name of a run's evaluations ends with; the name of its line is the run's own."""
VALIDATION = Metric(
    "validation_loss",
    "validation loss",
    "nats/token",
    fmt.loss,
    evaluated=lambda evaluation: evaluation.loss,
    of_loss=float,
    ranks=True,
)
"""What is compared in the end; among the training losses of several runs its points are hard to follow."""
_PER_TOKEN = frozenset({"loss", "validation_loss", "perplexity", "gap"})
"""Metrics that are of tokens: of other tokens, they are other quantities."""


@dataclass(frozen=True)
class Member:
    """One of the runs that are drawn over each other."""

    run: Run
    look: Series

    @property
    def name(self) -> str:
        """What it goes by in the view, and what its curves are called."""
        return self.run.name


class Part:
    """What one run has to draw along an axis, at one revision."""

    def __init__(self, run: Run, axis: Axis) -> None:
        found = truth.best(run)
        self.best: Evaluation | None = found.evaluation if found else None
        self.curves = RunCurves(run, axis, self.best)
        self.key = (run, run.revision, axis)
        steps = run.steps
        on_clock = self.curves.axis == "clock" and len(steps)
        self.start = float(steps["time"][0] - steps["seconds"][0]) if on_clock else 0.0
        """What is taken off its places: on the clock, every run begins at 0."""
        self._made: dict[tuple[str, Series, bool], list[Curve]] = {}

    @property
    def end(self) -> float | None:
        """The newest place; None before there is any."""
        end = self.curves.end
        return None if end is None else end - self.start

    def newest(self, metric: Metric) -> float | None:
        """The newest value: of what is noisy the mean over as many steps as at a checkpoint."""
        _, y = self.curves.points.curve(metric)
        recent = y[-TRAIN_STEPS:] if metric.smooth else y[-1:]
        if not len(y):
            recent = self.curves.points.evaluated(metric, counts=True)[1][-1:]
        finite = recent[np.isfinite(recent)]
        return float(finite.mean()) if len(finite) else None

    def of(self, metric: Metric, member: Member, front: bool) -> list[Curve]:
        """Its line, its evaluations, and the best of them, before the others if `front`."""
        key = (metric.id, member.look, front)
        if key not in self._made:
            self._made[key] = self._make(metric, member, front)
        return self._made[key]

    def _make(self, metric: Metric, member: Member, front: bool) -> list[Curve]:
        look, points, label = member.look, self.curves.points, plain(member.name)
        curves = []
        x, y = points.curve(metric)
        line = bool(np.isfinite(y).any())
        if line:
            curves.append(
                Curve(
                    member.name,
                    self._placed(x),
                    y,
                    look.color,
                    smooth=metric.smooth,
                    sign=look.sign,
                    label=label,
                    front=front,
                    version=points.version,
                )
            )
        x, y = points.evaluated(metric, counts=True)
        if np.isfinite(y).any():
            curves.append(
                Curve(
                    member.name + POINTS,
                    self._placed(x),
                    y,
                    look.color,
                    "dots",
                    joined=not line,
                    sign=look.sign,
                    label=label,
                    quiet=line,
                    front=front,
                    version=(*points.version, len(x)),
                )
            )
        return curves + self._star(metric, member)

    def _star(self, metric: Metric, member: Member) -> list[Curve]:
        """The true best checkpoint, in the run's own colour."""
        if self.best is None or not metric.ranks or metric.evaluated is None:
            return []
        at = self.curves.points.place(self.best.branch, self.best.step) - self.start
        value = metric.evaluated(self.best)
        if not np.isfinite(value):
            return []
        name = f"{member.name} ∙ best"
        return [
            Curve(name, np.array([at]), np.array([value]), member.look.color, "star", version=(at, value))
        ]

    def _placed(self, x: Array) -> Array:
        return x - self.start if self.start else x


class OverlayCurves:
    """What a `Board` is shown of several runs, at one revision of each.

    Args:
        members: the runs that are drawn, in the order of marking.
        axis: what is wanted along the charts; steps, where not all of the runs know of that.
        focus: name of the run that is drawn over the others, with its notes and resumes; those of all would
            hide the curves.
        before: what was shown last; what has not changed is taken from it.
    """

    def __init__(
        self, members: Sequence[Member], axis: Axis, focus: str = "", before: OverlayCurves | None = None
    ) -> None:
        self.members = tuple(members)
        self.tokens = differ([member.run for member in self.members])
        """How their tokenizers differ; empty if they do not."""
        self._focus = focus
        kept: dict[str, Part] = before.parts if before else {}
        self.parts: dict[str, Part] = self._parts(axis, kept)
        self.axes = _axes(self.parts.values())
        self.axis: Axis = axis if axis in self.axes else "step"
        if self.axis != axis:
            self.parts = self._parts(self.axis, kept)
        self.metrics = self._metrics()

    def _parts(self, axis: Axis, kept: dict[str, Part]) -> dict[str, Part]:
        parts = {}
        for member in self.members:
            before = kept.get(member.name)
            same = before is not None and before.key == (member.run, member.run.revision, axis)
            parts[member.name] = before if before is not None and same else Part(member.run, axis)
        return parts

    # -- what there is ------------------------------------------------------------------------------------

    @property
    def stale(self) -> bool:
        """Whether one of the runs has been read on since."""
        return any(part.curves.stale for part in self.parts.values())

    @property
    def x_kind(self) -> XKind:
        """How places are written: runs that began on different days share no time of day."""
        return "time" if self.axis == "clock" else self.axis

    def _metrics(self) -> list[Metric]:
        """Those of any run, each once; bits per byte first where tokens differ, what is refused last."""
        found = {
            metric.id: metric
            for part in self.parts.values()
            for metric in part.curves.metrics
            if not metric.series or metric.id in part.curves.run.metrics  # not what is only sure to come
        }
        usual = [found.pop(metric.id) for metric in METRICS if metric.id in found]
        if any(member.run.trained for member in self.members):
            usual.insert(1, VALIDATION)
        every = [*usual, *found.values()] or [METRICS[0]]
        if self.tokens:
            every.sort(key=lambda metric: metric.id != "bits_per_byte")
        return sorted(every, key=lambda metric: bool(self.refused(metric)))

    def refused(self, metric: Metric) -> str:
        """Why a metric cannot be drawn: no run is to be seen, or it is of different tokens."""
        if not self.members:
            return "Nothing is drawn while every run is hidden or being read; space shows what is hidden."
        if self.tokens and metric.id in _PER_TOKEN:
            return (
                f"These runs count different tokens ({plain(self.tokens)}), so their {metric.title} cannot "
                "be compared; bits per byte can, in a chart of its own."
            )
        return ""

    def unit(self, metric: Metric) -> str:
        """The unit, where it is the same for all."""
        units = {part.curves.unit(metric) for part in self.parts.values()}
        return units.pop() if len(units) == 1 else metric.unit

    @property
    def remark(self) -> str:
        """What must be known before losses of these runs are compared; empty if nothing must."""
        runs = [member.run for member in self.members]
        if self.tokens:
            return "tokens differ: compare bits per byte"
        if len(runs) > 1 and any(tokens(run) is None for run in runs):
            return "tokens are not on record"
        texts = {run.started.corpus_sha256 for run in runs if run.started} - {""}
        if len(texts) > 1 or len({run.setting("data.corpus") for run in runs} - {None}) > 1:
            return "trained and validated on different texts"
        protocols = {run.evaluations[-1].event.protocol for run in runs if run.evaluations} - {""}
        return "validated on different windows" if len(protocols) > 1 else ""

    # -- along the axis -----------------------------------------------------------------------------------

    @property
    def end(self) -> float | None:
        """The newest place of any run; None before there is any."""
        return max((part.end for part in self.parts.values() if part.end is not None), default=None)

    def x_range(self) -> tuple[float, float] | None:
        """From 0 to the last step that any run has or plans; None: it follows the data."""
        planned = [part.curves.x_range() for part in self.parts.values()]
        ends = [part.end for part in self.parts.values()]
        if not any(planned):
            return None
        return 0.0, max(
            high for high in (*(ends_[1] for ends_ in planned if ends_), *ends) if high is not None
        )

    def where(self, x: float) -> list[str]:
        """The place in words; what else is counted there differs from run to run."""
        words = {
            "step": f"step {x:,.0f}",
            "tokens": f"{x:,.0f} tokens",
            "time": f"{fmt.duration(x)} trained",
            "clock": f"{fmt.duration(x)} since each began",
        }
        return [words[self.axis]]

    def step_at(self, x: float) -> int | None:
        """The step at a place, of the run that has come furthest."""
        part = self._furthest
        return part.curves.step_at(x + part.start) if part else None

    def place_of(self, step: int) -> float:
        """The place of a step, of the run that has come furthest."""
        part = self._furthest
        return part.curves.place_of(step) - part.start if part else float("nan")

    @property
    def _furthest(self) -> Part | None:
        begun = [part for part in self.parts.values() if part.end is not None]
        return max(begun, key=lambda part: part.curves.run.step, default=None)

    # -- what is drawn ------------------------------------------------------------------------------------

    def of(self, metric: Metric) -> list[Curve]:
        """A line of each run, its evaluations and their best; what was abandoned is left out."""
        return [
            curve
            for member in self.members
            for curve in self.parts[member.name].of(metric, member, member.name == self._focus)
        ]

    def band(self, metric: Metric) -> Band | None:  # noqa: ARG002
        """None: the forecasts of several runs would hide one another."""
        return None

    def legend(self, metric: Metric) -> list[Legend]:
        """Sign, name and newest value of each run that has one, in the order of marking."""
        newest = [(member, self.parts[member.name].newest(metric)) for member in self.members]
        return [
            Legend(member.look.sign, member.look.color, metric.format(value), plain(member.name))
            for member, value in newest
            if value is not None
        ]

    def marks(self) -> list[Mark]:
        """Notes, resumes and faults of the run on top."""
        part = self.parts.get(self._focus)
        return [mark._replace(x=mark.x - part.start) for mark in part.curves.marks()] if part else []


def _axes(parts: Iterable[Part]) -> tuple[Axis, ...]:
    """What every run that has begun knows its places on."""
    begun = [set(part.curves.axes) for part in parts if part.end is not None]
    return tuple(axis for axis in AXES if axis == "step" or (begun and all(axis in one for one in begun)))
