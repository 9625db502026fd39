"""The chart of one metric of a run."""

from nexus_tui.tui import format as fmt
from nexus_tui.tui.chart import Chart
from nexus_tui.tui.metrics import Metric, RunCurves

SMOOTHING = 0.9
"""Of the training curve, until the user changes it."""


class RunChart(Chart):
    """Draws its metric of whatever run it is given."""

    def __init__(self, metric: Metric) -> None:
        super().__init__(
            metric.title, metric.unit, format=metric.format, smoothing=SMOOTHING if metric.smooth else 0.0
        )
        self.metric = metric

    def draw_run(self, curves: RunCurves) -> None:
        """Draw a run's curves; repaints what differs."""
        self._plot.request.x_format = fmt.duration if curves.axis == "time" else fmt.count
        self.x_kind = curves.axis
        unit = self.metric.unit
        if unit == "nats/token" and curves.run.setting("data.tokenizer") == "byte":
            unit = "nats/byte"
        self.show(
            curves.of(self.metric),
            x_range=curves.x_range(),
            marks=curves.marks(),
            legend=curves.legend(self.metric),
            unit=f"{unit} log" if self.log_y else unit,
        )
