"""The small figures of samples over the steps of a run, with the validation loss beside them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from textual.app import ComposeResult
from textual.containers import Container

from nexus_tui.tui import format
from nexus_tui.tui.chart import Chart, Curve, Legend
from nexus_tui.tui.evolution import AVERAGE, Sample
from nexus_tui.tui.metric_chart import MetricPlot


@dataclass(frozen=True)
class Figure:
    """One figure of a sample, as a chart draws it."""

    id: str
    title: str
    unit: str
    format: Callable[[float | None], str]
    value: Callable[[Sample], float]
    color: str = "live"


def _novelty(name: str, times: float = 1) -> Callable[[Sample], float]:
    return lambda sample: times * float(getattr(sample.voice.novelty, name, math.nan))


def _percent(value: float | None) -> str:
    return format.percent(value / 100 if value is not None else None)


def _loss(sample: Sample) -> float:
    ranked = sample.row is not None and sample.row.ranked and sample.row.evaluation
    return ranked.loss if ranked else math.nan


FIGURES = (
    Figure("known", "known words", "%", _percent, _novelty("known_words", 100)),
    Figure("repeats", "repeated", "% of 4-grams", _percent, _novelty("repetition", 100)),
    Figure("copied", "longest copy", "bytes", format.count, _novelty("longest")),
    Figure("loss", "validation", "nats/token", format.loss, _loss, "val"),
)


class FigureChart(Chart):
    """Draws one figure of all samples."""

    def __init__(self, figure: Figure) -> None:
        super().__init__(figure.title, figure.unit, format=figure.format, id=figure.id)
        self._plot = MetricPlot(self._plot.request)


class EvolutionCharts(Container):
    """A chart for each figure; where there is room for one alone, the chosen one."""

    def compose(self) -> ComposeResult:
        """The charts."""
        for figure in FIGURES:
            yield FigureChart(figure)

    def choose(self, index: int) -> None:
        """Which one is shown where there is room for one alone."""
        for place, figure in enumerate(FIGURES):
            self.query_one(f"#{figure.id}", Chart).set_class(place == index, "-chosen")

    def show_samples(self, samples: Sequence[Sample], total: int) -> None:
        """Draw the figures of these samples; `total` steps are planned, or 0."""
        end = max([total, *(sample.step for sample in samples)])
        for figure in FIGURES:
            curves, legend = _curves(figure, samples)
            chart = self.query_one(f"#{figure.id}", Chart)
            chart.show(curves, x_range=(0, end) if end else None, legend=legend)

    def point_at(self, sample: Sample | None) -> None:
        """Let the crosshairs stand at a sample's step, and the titles tell its figures."""
        for figure in FIGURES:
            chart = self.query_one(f"#{figure.id}", Chart)
            if sample is None:
                chart.point(None)
                continue
            sign, color = "dots", figure.color
            if sample.best:
                sign, color = "star", "best"
            elif sample.averaged:
                sign, color = AVERAGE, "note"
            value = figure.format(figure.value(sample))
            chart.point(float(sample.step), sample.called, Legend(sign, color, value))


def _curves(figure: Figure, samples: Sequence[Sample]) -> tuple[list[Curve], list[Legend]]:
    """What counts, joined; what a resume has abandoned, faintly; the true best as a star."""
    trained = [sample for sample in samples if not sample.averaged]
    groups = {
        "abandoned": ([sample for sample in trained if sample.abandoned], "dots", figure.color),
        "average": ([sample for sample in samples if sample.averaged], "dots", "note"),
        "kept": ([sample for sample in trained if not sample.abandoned], "dots", figure.color),
        "best": ([sample for sample in samples if sample.best], "star", "best"),
    }
    curves, legend = [], []
    for name, (members, marker, color) in groups.items():
        points = [(float(one.step), value) for one in members if math.isfinite(value := figure.value(one))]
        if not points:
            continue
        x, y = (np.array(column) for column in zip(*points, strict=True))
        curves.append(
            Curve(
                name,
                x,
                y,
                color,
                marker,  # type: ignore[arg-type]
                joined=name != "average",
                sign=AVERAGE if name == "average" else None,
                dim=name == "abandoned",
                label="",
                version=tuple(points),
            )
        )
        if name in ("kept", "best"):
            legend.append(Legend(marker, color, figure.format(points[-1][1])))
    return curves, legend
