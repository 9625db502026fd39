"""Mode 1: all runs of the folder, newest first, with a look at the one under the cursor."""

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.widgets import Input

from nexus_tui.runs.run import Run
from nexus_tui.tui import format as fmt
from nexus_tui.tui.best import best
from nexus_tui.tui.heading import made_of
from nexus_tui.tui.keybar import KeyBar
from nexus_tui.tui.keys import bindings
from nexus_tui.tui.lines import Line, Lines, spread
from nexus_tui.tui.listing import Cell, Column, Listing, Row
from nexus_tui.tui.metrics import METRICS, RunCurves
from nexus_tui.tui.run_chart import RunChart
from nexus_tui.tui.safe import plain
from nexus_tui.tui.screen import ModeScreen
from nexus_tui.tui.side import samples
from nexus_tui.tui.story import state
from nexus_tui.tui.theme import glyphs
from nexus_tui.tui.welcome import Welcome

COLUMNS = (
    Column("state", "state", 10),
    Column("name", "run", 16, grow=16),
    Column("model", "model", 12, priority=4),
    Column("corpus", "corpus", 15, priority=6, grow=9),
    Column("step", "step", 15, right=True, priority=1),
    Column("val", "best val", 8, right=True, priority=1),
    Column("bits", "bits/byte", 9, right=True, priority=5),
    Column("best", "at step", 9, right=True, priority=2),
    Column("age", "active", 7, right=True, priority=3),
)


def cells(run: Run, now: float) -> dict[str, Cell]:
    """What the list says of a run; `now` in epoch seconds."""
    sign, word, role = state(run)
    found = best(run)
    total = f" / {run.total_steps:,}" if run.total_steps else ""
    preset = run.config.get("preset") or ""
    return {
        "state": (f"{sign} {word}", role),
        "name": (plain(run.name), "text!"),
        "model": (plain(str(preset)), "muted"),
        "corpus": (plain(str(run.setting("data.corpus", ""))), "muted"),
        "step": (f"{run.step:,}{total}", "text"),
        "val": (fmt.loss(found.loss if found else None), "text"),
        "bits": (fmt.loss(found.event.bits_per_byte if found else None), "text"),
        "best": (f"{glyphs().star} {found.step:,}" if found else fmt.MISSING, "best" if found else "muted"),
        "age": (_ago(now - last_active(run)), "muted"),
    }


def last_active(run: Run) -> float:
    """When anything happened last, in epoch seconds; NaN if nothing did."""
    times = [event.time.timestamp() for event in run.log[-1:] if hasattr(event, "time")]
    if len(run.steps):
        times.append(float(run.steps["time"][-1]))
    return max(times, default=float("nan"))


def _ago(seconds: float) -> str:
    """To the minute: a count of seconds would repaint the row every second."""
    return "now" if seconds < 60 else fmt.age(seconds)


class RunsScreen(ModeScreen):
    """The list of runs; below it the loss and the samples of the one under the cursor."""

    WHERE = "runs"
    CSS_PATH = "runs_screen.tcss"
    BINDINGS: ClassVar[list[BindingType]] = bindings("runs")
    AUTO_FOCUS = "Listing"

    def __init__(self) -> None:
        super().__init__()
        self._drawn: tuple[object, ...] = ()
        self._looked: tuple[object, ...] = ()
        self._wanted = ""

    def compose(self) -> ComposeResult:
        """Title, list, a look at one run, field of the filter, keys."""
        yield Lines(id="title")
        yield Welcome(id="welcome")
        yield Listing(COLUMNS, id="runs")
        with Horizontal(id="look"):
            yield RunChart(METRICS[0])
            yield Lines(id="samples")
        field = Input(placeholder="part of a run's name, model, corpus or state", compact=True, id="filter")
        field.cursor_blink = False
        yield field
        yield KeyBar(self.WHERE)

    @property
    def listing(self) -> Listing:
        """The list."""
        return self.query_one(Listing)

    @property
    def run(self) -> Run | None:
        """The run under the cursor."""
        return next((run for run in self.nexus.runs if run.name == self.listing.current), None)

    def on_resize(self) -> None:
        """Another size has room for something else."""
        self._drawn = self._looked = ()
        self.call_after_refresh(self.record_changed)

    # Drawing ---------------------------------------------------------------------------------------------

    def record_changed(self) -> None:
        """Draw the list if a run changed or a minute passed."""
        app = self.nexus
        minute = int(app.clock().timestamp()) // 60
        news = (app.loaded, self._wanted, minute, tuple((run.name, run.revision) for run in app.runs))
        if news == self._drawn:
            return
        first, self._drawn = not self._drawn, news
        shown = self._shown()
        self.set_class(app.loaded and not app.runs, "-empty")
        self.set_class(not app.loaded, "-loading")
        self.query_one("#title", Lines).show([self._title(len(shown))])
        now = app.clock().timestamp()
        self.listing.show([Row(run.name, cells(run, now)) for run in shown])
        height = min(len(shown) + 2, max(6, self.size.height // 2))
        self.listing.styles.height = height if "-low" not in self.classes else "1fr"
        if first and app.current:
            self.listing.go_to(app.current.name)
        self._look()

    def _shown(self) -> list[Run]:
        wanted = self._wanted.casefold().split()
        return [run for run in self.nexus.runs if all(word in self._words(run) for word in wanted)]

    def _words(self, run: Run) -> str:
        return " ".join([run.name, *made_of(run), state(run)[1]]).casefold()

    def _title(self, shown: int) -> Line:
        app = self.nexus
        if not app.loaded:
            return ((" nexus-tui", "text!"), ("  reading the runs", "muted"))
        total = len(app.runs)
        many = f"{total} run{'s' if total != 1 else ''}"
        if self._wanted:
            many = f"{shown} of {many} with “{plain(self._wanted)}”"
        left: Line = (
            ((" nexus-tui", "text!"), (f"  {many}", "muted")) if total else ((" nexus-tui", "text!"),)
        )
        return spread(left, ((f"{plain(str(app.runs_folder))} ", "faint"),), self.size.width)

    def _look(self) -> None:
        """Draw the run under the cursor, where there is room."""
        run, pane = self.run, self.query_one("#look")
        pane.set_class(run is None, "-nothing")
        if run is None or not pane.display:
            return
        if (run.folder, run.revision) == self._looked:
            return
        chart, column = self.query_one(RunChart), self.query_one("#samples", Lines)
        if not chart.size or not chart.size.height:
            self.call_after_refresh(self._look)
            return
        self._looked = (run.folder, run.revision)
        chart.draw_run(RunCurves(run, "step", best(run)))
        if column.size.width:
            column.show(samples(run, column.size.width, column.size.height))

    @on(Listing.Moved)
    def _moved(self) -> None:
        self._look()
        self.show_keys()

    # Actions ---------------------------------------------------------------------------------------------

    def why_not(self, action: str) -> str:
        """What needs a run under the cursor."""
        if action not in ("open", "resume"):
            return ""
        run = self.run
        if run is None:
            return "There is no run yet; n begins one."
        if action == "resume":
            return f"{run.name} is being trained." if run.holder else self.nexus.why_no_training()
        return ""

    @on(Listing.Opened)
    def action_open(self) -> None:
        """Open the run under the cursor in the training screen."""
        if self.run:
            self.nexus.open(self.run)

    async def action_resume(self) -> None:
        """Go on training the run under the cursor."""
        if self.run:
            await self.nexus.resume(self.run)

    def action_filter(self) -> None:
        """Ask for a text."""
        self.add_class("-filter")
        self.query_one("#filter", Input).focus()

    def action_unfilter(self) -> None:
        """Show all runs."""
        self.query_one("#filter", Input).value = ""
        self.remove_class("-filter")
        self.listing.focus()

    @on(Input.Changed, "#filter")
    def _filter(self, event: Input.Changed) -> None:
        self._wanted = event.value.strip()
        self.record_changed()

    @on(Input.Submitted, "#filter")
    def _filtered(self) -> None:
        if not self._wanted:
            self.remove_class("-filter")
        self.listing.focus()
