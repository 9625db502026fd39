"""A look at one run below the list: its loss, and what its newest sampled step wrote."""

from typing import TYPE_CHECKING, cast

from textual.app import ComposeResult
from textual.containers import Horizontal

from nexus_tui.runs.run import Run
from nexus_tui.tui.derived import best
from nexus_tui.tui.lines import Lines
from nexus_tui.tui.metric_chart import MetricChart, Settings
from nexus_tui.tui.run_curves import RunCurves
from nexus_tui.tui.safe import plain
from nexus_tui.tui.side import samples

if TYPE_CHECKING:
    from nexus_tui.tui.app import NexusApp


class RunLook(Horizontal):
    """Draws a run when it is another one, has changed, or the look has another size."""

    def __init__(self) -> None:
        super().__init__()
        self._run: Run | None = None
        self._drawn: tuple[object, ...] = ()

    def compose(self) -> ComposeResult:
        """Chart and samples."""
        yield MetricChart()
        yield Lines(id="samples")

    def show(self, run: Run | None) -> None:
        """Look at this run from now on."""
        self._run = run
        self.set_class(run is None, "-nothing")
        self._draw()

    def on_resize(self) -> None:
        """Samples are wrapped for their column."""
        self._draw()

    def _draw(self) -> None:
        run = self._run
        if run is None or not self.size or (run.folder, run.revision, self.size) == self._drawn:
            return
        self._drawn = (run.folder, run.revision, self.size)
        if not cast("NexusApp", self.app).at_hand(run):
            self.query_one(MetricChart).show([], sentence=f"reading {plain(run.name)}", title="", unit="")
            self.query_one("#samples", Lines).show([])
            return
        curves = RunCurves(run, "step", best(run))
        self.query_one(MetricChart).draw(curves, curves.metrics[0], Settings())
        self.call_after_refresh(self._write, run)

    def _write(self, run: Run) -> None:
        column = self.query_one("#samples", Lines)
        if column.size:
            column.show(samples(run, column.size.width, column.size.height))
