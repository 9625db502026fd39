"""The chart of one metric of a run."""

from nexus_tui.tui.chart import Chart, Reading
from nexus_tui.tui.chart.plot import Plot
from nexus_tui.tui.metrics import Metric, RunCurves

SMOOTHING = 0.9
"""Of the training curve, until the user changes it."""


class _RunPlot(Plot):
    def readings(self) -> list[Reading]:
        """What counts at the crosshair: neither what was abandoned nor the best, which is elsewhere."""
        kept = {curve.name for curve in self.request.curves if not curve.dim and curve.marker != "star"}
        return [reading for reading in super().readings() if reading.name in kept]


class RunChart(Chart):
    """Draws its metric of whatever run it is given."""

    def __init__(self, metric: Metric) -> None:
        super().__init__(
            metric.title, metric.unit, format=metric.format, smoothing=SMOOTHING if metric.smooth else 0.0
        )
        self._plot = _RunPlot(self._plot.request)
        self.metric = metric

    def draw_run(self, curves: RunCurves) -> None:
        """Draw a run's curves; repaints what differs."""
        self.x_kind = curves.axis
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
