"""The chart of one metric: whichever curves it is given, drawn as the board is set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nexus_tui.tui.chart import Chart, Curve, Reading
from nexus_tui.tui.chart.plot import Plot
from nexus_tui.tui.metrics import Metric

if TYPE_CHECKING:
    from nexus_tui.tui.curves import Curves

USUAL = ((30_000, 0.99), (8_000, 0.98), (3_000, 0.95), (100, 0.9), (30, 0.8), (0, 0.0))
"""Smoothing of a noisy curve of so many points or more, until the user chooses another."""


@dataclass(frozen=True)
class Settings:
    """How a chart is drawn, whatever it draws."""

    smoothing: float | None = None
    """EMA coefficient; None: the usual one for so many points."""
    log: bool = False
    window: tuple[float, float] | None = None
    """The part of the axis that is shown; None: all that the curves ask for."""
    crosshair: float | None = None
    placed: bool = True
    """Whether the title says where the crosshair stands."""
    labelled: bool = True
    """Whether marks have their labels beside them."""


class MetricPlot(Plot):
    """Reads out at the crosshair what led to the newest weights."""

    def readings(self) -> list[Reading]:
        """What counts at the crosshair: not what was abandoned, the best, or a line that is elsewhere."""
        kept = {curve.name for curve in self.request.curves if not curve.dim and self._reaches(curve)}
        return [reading for reading in super().readings() if reading.name in kept]

    def _reaches(self, curve: Curve) -> bool:
        """Whether a curve says anything at the crosshair: a line has ends, points have their place told."""
        at, axis = self.request.crosshair, self.x
        if curve.marker == "star" or at is None or axis is None or not len(curve.x):
            return False
        cell = (axis.high - axis.low) / max(1, axis.width)
        return curve.marker == "dots" or float(curve.x[0]) - cell <= at <= float(curve.x[-1]) + cell


class MetricChart(Chart):
    """Draws a metric of whatever it is given; another metric takes another plot."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.plot = MetricPlot()

    def draw(
        self,
        curves: Curves,
        metric: Metric,
        settings: Settings,
        *,
        drawn: list[Curve] | None = None,
        plot: Plot | None = None,
    ) -> None:
        """Draw a metric; repaints what differs.

        Args:
            curves: what there is to draw.
            metric: of what.
            settings: how.
            drawn: the metric's curves, if they are at hand.
            plot: what remembers this metric's reductions and axes; None: the chart's own.
        """
        refused = curves.refused(metric)
        if drawn is None:
            drawn = [] if refused else curves.of(metric)
        if plot is not None:
            self.plot = plot
        self.plot.request.format = metric.format
        self.set_reactive(Chart.smoothing, _smoothing(settings, drawn))
        self.set_reactive(Chart.log_y, settings.log)
        self.set_reactive(Chart.x_kind, curves.x_kind)
        self.set_reactive(Chart.crosshair, settings.crosshair)
        unit, end = curves.unit(metric), curves.end
        nothing = (0.0, end) if refused and end else None  # of what would be drawn
        self.show(
            drawn,
            x_range=settings.window or curves.x_range() or nothing,
            marks=curves.marks(),
            band=None if refused else curves.band(metric),
            legend=[] if refused else curves.legend(metric),
            title=metric.title,
            unit=f"{unit} log".strip() if settings.log else unit,
            sentence=refused,
            placed=settings.placed,
            labelled=settings.labelled,
        )

    @property
    def drawn(self) -> list[Curve]:
        """The curves that are shown."""
        return list(self.plot.request.curves)

    @property
    def noisy(self) -> bool:
        """Whether there is a curve that smoothing changes."""
        return bool(_noisy(self.drawn))


def _smoothing(settings: Settings, curves: list[Curve]) -> float:
    """The coefficient that is asked for, else the usual one."""
    if settings.smoothing is not None:
        return settings.smoothing
    points = max((len(curve.x) for curve in _noisy(curves)), default=0)
    return next(beta for least, beta in USUAL if points >= least)


def _noisy(curves: list[Curve]) -> list[Curve]:
    """Those that are smoothed."""
    return [
        curve
        for curve in curves
        if curve.smooth and curve.marker == "line" and not curve.dim and len(curve.x)
    ]
