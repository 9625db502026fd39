"""Live curves in the cells of a terminal.

chart = Chart("loss", "nats/byte", format=fmt.loss, smoothing=0.9)
chart.show([Curve("train", run.step, run.loss), Curve("val", at, val, "val", "dots")], x_range=(0, 2000))
"""

from nexus_tui.tui.chart.curves import Band, Curve, Legend, Mark, Reading
from nexus_tui.tui.chart.widget import SMOOTHING_LEVELS, Chart

__all__ = ["SMOOTHING_LEVELS", "Band", "Chart", "Curve", "Legend", "Mark", "Reading"]
