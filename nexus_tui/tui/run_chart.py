"""The chart of one metric of a run."""

from nexus_tui.tui.chart import Chart, Reading
from nexus_tui.tui.chart.plot import Plot
from nexus_tui.tui.metrics import Metric, RunCurves

USUAL = ((100, 0.9), (30, 0.8), (0, 0.0))
"""Smoothing of a training curve of so many points or more, until the user chooses another."""


class RunPlot(Plot):
    """Reads out at the crosshair what led to the newest weights."""

    def readings(self) -> list[Reading]:
        """What counts at the crosshair: neither what was abandoned nor the best, which is elsewhere."""
        kept = {curve.name for curve in self.request.curves if not curve.dim and curve.marker != "star"}
        return [reading for reading in super().readings() if reading.name in kept]


class RunChart(Chart):
    """Draws its metric of whatever run it is given."""

    def __init__(self, metric: Metric) -> None:
        super().__init__(metric.title, metric.unit, format=metric.format)
        self._plot = RunPlot(self._plot.request)
        self.metric = metric
        self.usual = True
        """Whether the smoothing is that for the number of points."""

    def draw_run(self, curves: RunCurves) -> None:
        """Draw a run's curves; repaints what differs."""
        self.x_kind = curves.axis
        if self.usual and self.metric.smooth:
            self.smoothing = next(beta for least, beta in USUAL if curves.points >= least)
        unit = self.metric.unit
        if unit == "nats/token" and curves.run.setting("data.tokenizer") == "byte":
            unit = "nats/byte"
        self.show(
            curves.of(self.metric),
            x_range=curves.x_range(),
            marks=curves.marks(),
            band=curves.band(self.metric),
            legend=curves.legend(self.metric),
            unit=f"{unit} log" if self.log_y else unit,
        )
