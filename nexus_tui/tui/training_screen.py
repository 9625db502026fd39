"""Mode 2: one run as it trains. Everything drawn is read from the run's folder; wishes go through Control."""

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container, Horizontal

from nexus_tui.runs.journal import ControlledEvent, DeviceEvent
from nexus_tui.runs.run import Run
from nexus_tui.training import control as c
from nexus_tui.tui import heading
from nexus_tui.tui.chart import Chart
from nexus_tui.tui.derived import best, checkpoints
from nexus_tui.tui.keybar import KeyBar
from nexus_tui.tui.keys import bindings
from nexus_tui.tui.lines import Lines
from nexus_tui.tui.metrics import AXES, METRICS, Axis, RunCurves
from nexus_tui.tui.pace import pace
from nexus_tui.tui.run_chart import RunChart
from nexus_tui.tui.screen import ModeScreen
from nexus_tui.tui.side import newest_event, side

COARSE = 20
"""Cells that shift moves the crosshair by."""


def rate_scale(run: Run) -> float:
    """The factor that somebody put on the learning rate last; 1 if nobody did since training began here."""
    for event in reversed(run.log):
        match event:
            case ControlledEvent(act="rate_scale", value=float(value)):
                return value
            case DeviceEvent():
                break
    return 1.0


class TrainingScreen(ModeScreen):
    """Status, progress, a large chart and small ones; checkpoints, samples and events at the side."""

    WHERE = "training"
    CSS_PATH = "training_screen.tcss"
    BINDINGS: ClassVar[list[BindingType]] = bindings("training")

    def __init__(self) -> None:
        super().__init__()
        self._drawn: tuple[object, ...] = ()
        self._axis: Axis = "step"
        self._at: float | None = None

    def compose(self) -> ComposeResult:
        """Heading, charts and side column, newest event, keys."""
        yield Lines(id="heading")
        with Horizontal(id="body"):
            with Container(id="charts"):
                for metric in METRICS:
                    yield RunChart(metric)
            yield Lines(id="side")
        yield Lines(id="news")
        yield KeyBar(self.WHERE)

    def on_mount(self) -> None:
        """The first metric is large."""
        self._arrange()

    def on_resize(self) -> None:
        """Another size has room for something else."""
        self.call_after_refresh(self._redraw)

    # Drawing ---------------------------------------------------------------------------------------------

    def record_changed(self) -> None:
        """Draw the current run if it is another one or has changed."""
        run = self.nexus.current
        if run is not None and (run.folder, run.revision) != self._drawn:
            if not self._drawn or run.folder != self._drawn[0]:
                self._at = None
            self._redraw()
        elif run is None and self._drawn:
            self._redraw()

    def _redraw(self) -> None:
        if not self.query(KeyBar):  # not composed yet, or already taken down
            return
        run = self.nexus.current
        self.set_class(run is None, "-empty")
        if run is None:
            self._drawn = ()
            self.query_one("#heading", Lines).show(
                [((" No run is open. 1 lists the runs, n begins one.", "muted"),)]
            )
            return
        self._drawn = (run.folder, run.revision)
        self._draw_text(run)
        self._draw_charts(run)

    def _draw_text(self, run: Run) -> None:
        recent, now = pace(run), self.nexus.clock()
        head = self.query_one("#heading", Lines)
        width = self.size.width
        head.show([heading.status(run, recent, width), heading.progress(run, recent, width)])
        column = self.query_one("#side", Lines)
        if column.size.width:
            column.show(side(run, checkpoints(run), column.size.width, column.size.height, now))
        self.query_one("#news", Lines).show([newest_event(run, best(run), width, now)])

    def _draw_charts(self, run: Run) -> None:
        curves = RunCurves(run, self._axis, best(run))
        for chart in self._charts:
            chart.draw_run(curves)

    def _arrange(self) -> None:
        """Which charts are seen depends on the order of the charts and on classes; the sheet says how."""
        for place, chart in enumerate(self._charts):
            chart.set_class(place == 0, "-large")
            chart.set_class(place == 3, "-third")
            chart.set_class(place > 3, "-spare")
        self.call_after_refresh(self._redraw)

    @property
    def _charts(self) -> list[RunChart]:
        return list(self.query(RunChart))

    @property
    def _large(self) -> RunChart:
        return self._charts[0]

    # What can be had -------------------------------------------------------------------------------------

    def why_not(self, action: str) -> str:
        """Steering needs a run that this process trains."""
        run = self.nexus.current
        if action in ("pause", "save", "evaluate", "sample", "rate", "note", "stop"):
            if run is None:
                return "No run is open; 1 lists the runs."
            if self.nexus.control is None:
                holder = run.holder
                if holder:
                    return f"Process {holder.pid} on {holder.host} trains {run.name}; steer it there."
                return self.nexus.why_no_resume(run) or f"Nobody trains {run.name} now; r resumes it."
        if action == "resume":
            if run is None:
                return "No run is open; 1 lists the runs."
            return self.nexus.why_no_resume(run)
        return ""

    # Steering --------------------------------------------------------------------------------------------

    def _wish(self, act: c.Act, said: str) -> None:
        control = self.nexus.control
        if control:
            control.request(act)
            self.nexus.say(said, "live")

    def action_pause(self) -> None:
        """Pause, or continue."""
        run = self.nexus.current
        if run and run.state == "paused":
            self._wish(c.Continue(), "Continues.")
        else:
            self._wish(c.Pause(), "Pauses after this step.")

    def action_save(self) -> None:
        """Save this step."""
        self._wish(c.Save(), "Saves after this step.")

    def action_evaluate(self) -> None:
        """Save and evaluate this step."""
        self._wish(c.Evaluate(), "Saves and evaluates after this step.")

    def action_sample(self) -> None:
        """Continue the fixed prompts."""
        self._wish(c.Sample(), "Samples after this step.")

    async def action_resume(self) -> None:
        """Train on from the newest checkpoint."""
        if self.nexus.current:
            await self.nexus.resume(self.nexus.current)

    def action_rate(self) -> None:
        """Ask for a factor on the learning rate."""
        from nexus_tui.tui.dialogs import rate_dialog

        run = self.nexus.current
        if run is None:
            return
        scale = rate_scale(run)
        rate = float(run.steps["lr"][-1]) / scale if len(run.steps) else float("nan")

        def answer(text: str | None) -> None:
            if text:
                factor = float(text.replace(",", "."))
                self._wish(c.ScaleRate(factor), f"Learning rate × {factor:g} from the next step on.")

        self.app.push_screen(rate_dialog(scale, rate), answer)

    def action_note(self) -> None:
        """Ask for a note."""
        from nexus_tui.tui.dialogs import note_dialog

        run = self.nexus.current
        if run is not None:
            self.app.push_screen(note_dialog(run.step), self._note)

    def action_stop(self) -> None:
        """Ask, then save and end."""
        from nexus_tui.tui.dialogs import Choice, ChoiceDialog

        run = self.nexus.current
        if run is None:
            return
        dialog = ChoiceDialog(
            f"Stop {run.name} at step {run.step:,}?",
            "It can be resumed later, and goes on exactly as if it had never stopped.",
            [Choice("s", "save and stop", "Saves a checkpoint after this step and ends.")],
        )
        self.app.push_screen(dialog, self._stop)

    def _note(self, text: str | None) -> None:
        if text:
            self._wish(c.Note(text), "Noted.")

    def _stop(self, answer: str | None) -> None:
        if answer:
            self._wish(c.Stop(), "Saves and stops.")

    # Looking ---------------------------------------------------------------------------------------------

    def action_metric(self, direction: int) -> None:
        """Put another metric into the large chart; the others follow in their order."""
        charts = self._charts
        order = [metric.id for metric in METRICS]
        wanted = order[(order.index(charts[0].metric.id) + direction) % len(order)]
        rest = [id for id in order if id != wanted]
        by_id = {chart.metric.id: chart for chart in charts}
        container = self.query_one("#charts")
        for place, id in enumerate([wanted, *rest]):
            container.move_child(by_id[id], before=place)
        self._arrange()

    def action_log(self) -> None:
        """Logarithmic or linear."""
        self._large.log_y = not self._large.log_y
        self._redraw()

    def action_axis(self) -> None:
        """The next of steps, tokens and time."""
        self._axis = AXES[(AXES.index(self._axis) + 1) % len(AXES)]
        self._at = None
        self._point()
        self._redraw()
        self.nexus.say(
            {
                "step": "Along the charts: steps.",
                "tokens": "Along the charts: tokens.",
                "time": "Along the charts: time spent on steps.",
            }[self._axis]
        )

    def action_smooth(self, direction: int) -> None:
        """More, less, or as usual."""
        for chart in self._charts:
            if chart.metric.smooth:
                chart.usual = not direction
                if direction:
                    chart.smoother(direction)
        self._redraw()
        value = next(chart.smoothing for chart in self._charts if chart.metric.smooth)
        self.nexus.say(f"Smoothing {value:g}" if value else "No smoothing: every step as it was.")

    def action_full(self) -> None:
        """Only the large chart, or everything."""
        self.toggle_class("-full")
        self.call_after_refresh(self._redraw)

    def action_lower(self) -> None:
        """Show or hide the small charts."""
        self.toggle_class("-no-lower")
        self.call_after_refresh(self._redraw)

    def action_side(self) -> None:
        """Show or hide the side column."""
        self.toggle_class("-no-side")
        self.call_after_refresh(self._redraw)

    def action_read(self, cells: int) -> None:
        """Move the crosshair by so many cells of the large chart; it begins at the newest step."""
        run, chart = self.nexus.current, self._large
        view = chart.x_view
        if run is None or not len(run.steps) or view is None:
            return
        end = RunCurves(run, self._axis, None).end
        start = (end if self._at is None else self._at) or 0.0
        self._at = min(max(start + cells * chart.x_step(), view[0]), min(view[1], end or view[1]))
        self._point()

    def action_live(self) -> None:
        """No crosshair."""
        self._at = None
        self._point()

    def action_back(self) -> None:
        """Undo the nearest thing: crosshair, full chart, this screen."""
        if self._at is not None:
            self.action_live()
        elif self.has_class("-full"):
            self.action_full()
        else:
            self.app.switch_mode("runs")

    @on(Chart.Pointed)
    def _pointed(self, event: Chart.Pointed) -> None:
        self._at = event.x
        self._point()

    def _point(self) -> None:
        for chart in self._charts:
            chart.crosshair = self._at
