"""Mode 1: all runs of the folder, newest first, with a look at the one under the cursor.

It is the first thing that is painted: what reads runs (numpy) is imported when there are runs to read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType

from nexus_tui.tui.keybar import KeyBar
from nexus_tui.tui.keys import bindings
from nexus_tui.tui.lines import Line, Lines, spread
from nexus_tui.tui.listing import Column, Listing, Row
from nexus_tui.tui.safe import plain
from nexus_tui.tui.screen import ModeScreen
from nexus_tui.tui.welcome import Welcome

if TYPE_CHECKING:
    from textual.widgets import Input

    from nexus_tui.runs.run import Run
    from nexus_tui.tui.run_look import RunLook

LOOK = 10
"""Rows that a look at one run needs at least."""
COLUMNS = (
    Column("state", "state", 10),
    Column("name", "run", 16, grow=60),
    Column("model", "model", 12, priority=4),
    Column("corpus", "corpus", 15, priority=6, grow=9),
    Column("step", "step", 15, right=True, priority=1),
    Column("val", "best val", 8, right=True, priority=1),
    Column("bits", "bits/byte", 9, right=True, priority=5),
    Column("best", "at step", 9, right=True, priority=2, grow=7),
    Column("age", "active", 7, right=True, priority=3),
)


class RunsScreen(ModeScreen):
    """The list of runs; below it the loss and the samples of the one under the cursor."""

    WHERE = "runs"
    CSS_PATH = "runs_screen.tcss"
    BINDINGS: ClassVar[list[BindingType]] = bindings("runs")
    AUTO_FOCUS = "Listing"

    def __init__(self) -> None:
        super().__init__()
        self._drawn: tuple[object, ...] = ()
        self._wanted = ""
        self._look: RunLook | None = None
        self._field: Input | None = None

    def compose(self) -> ComposeResult:
        """Title, list, keys. The look and the filter come when they are needed."""
        yield Lines(id="title")
        yield Welcome(id="welcome")
        yield Listing(COLUMNS, id="runs")
        yield KeyBar(self.WHERE)

    @property
    def listing(self) -> Listing:
        """The list."""
        return self.query_one(Listing)

    @property
    def run(self) -> Run | None:
        """The run under the cursor."""
        return next((run for run in self._all if str(run.folder) == self.listing.current), None)

    @property
    def _all(self) -> list[Run]:
        return [*self.nexus.runs, *self.nexus.shipped]

    def on_resize(self) -> None:
        """Another size has room for something else."""
        self._drawn = ()
        self.call_after_refresh(self.record_changed)

    # Drawing ---------------------------------------------------------------------------------------------

    def record_changed(self) -> None:
        """Draw the list if a run changed or a minute passed."""
        app = self.nexus
        if not self.query(KeyBar):  # not composed yet, or already taken down
            return
        minute = int(app.clock().timestamp()) // 60
        news = (app.loaded, self._wanted, minute, tuple((run.folder, run.revision) for run in self._all))
        if news == self._drawn:
            return
        first, self._drawn = not self._drawn, news
        self.set_class(app.loaded and not app.runs, "-empty")
        self.set_class(not self._all, "-bare")
        if self._all:
            self._list(first)
        self.query_one("#title", Lines).show([self._title()])

    def _list(self, first: bool) -> None:
        from nexus_tui.tui.run_row import cells, contains, recency

        app = self.nexus
        now = app.clock().timestamp()
        ordered = [*sorted(app.runs, key=recency), *sorted(app.shipped, key=recency)]
        shown = [run for run in ordered if contains(run, self._wanted)]
        self.listing.show([Row(str(run.folder), cells(run, now)) for run in shown])
        self._divide(len(shown) + 2)
        if first and app.current:
            self.listing.go_to(str(app.current.folder))
        self._show_look()

    def _divide(self, wanted: int) -> None:
        """Give the list the rows it wants, and the look below it the rest, where that is worth a look."""
        room = self.size.height - 3
        rows = min(wanted, max(room // 2, room - 30))
        looks = bool(self.nexus.runs) and room - rows >= LOOK and self.size.width >= 60
        self.set_class(looks, "-looks")
        self.listing.styles.height = rows if looks or not self.nexus.runs else "1fr"

    def _title(self) -> Line:
        app = self.nexus
        if not app.loaded:
            return ((" nexus-tui", "text!"), ("  reading the runs", "muted"))
        total = len(app.runs)
        many = f"{total} run{'s' if total != 1 else ''}"
        if self._wanted:
            many = f"{len(self.listing.rows)} of {len(self._all)} with “{plain(self._wanted)}”"
        left: Line = (
            ((" nexus-tui", "text!"), (f"  {many}", "muted")) if total else ((" nexus-tui", "text!"),)
        )
        return spread(left, ((f"{plain(str(app.runs_folder))} ", "faint"),), self.size.width)

    def _show_look(self) -> None:
        from nexus_tui.tui.run_look import RunLook

        if self._look is None:
            self._look = RunLook()
            self.mount(self._look, after=self.listing)
            self.call_after_refresh(self._show_look)
        elif self._look.is_mounted:
            self._look.show(self.run)

    @on(Listing.Moved)
    def _moved(self) -> None:
        self._show_look()
        self.show_keys()

    # Actions ---------------------------------------------------------------------------------------------

    def why_not(self, action: str) -> str:
        """What needs a run under the cursor."""
        if action not in ("open", "resume"):
            return ""
        run = self.run
        if run is None:
            return "There is no run here; n begins one."
        if action == "resume":
            return self.nexus.why_no_resume(run)
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

    # Filter ----------------------------------------------------------------------------------------------

    async def action_filter(self) -> None:
        """Ask for a text."""
        from textual.widgets import Input

        if self._field is None:
            hint = "part of a run's name, model, corpus or state"
            self._field = Input(placeholder=hint, compact=True, id="filter")
            self._field.cursor_blink = False
            await self.mount(self._field)
        self.add_class("-filter")
        self._field.focus()

    @property
    def escape_in_field(self) -> str:
        """Leaving the filter ends it."""
        return "shows all runs"

    def action_unfilter(self) -> None:
        """Show all runs."""
        if self._field:
            self._field.value = ""
        self.remove_class("-filter")
        self.listing.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter while it is typed."""
        self._wanted = event.value.strip()
        self.record_changed()

    def on_input_submitted(self) -> None:
        """Enter: back to the list, which stays filtered."""
        if not self._wanted:
            self.remove_class("-filter")
        self.listing.focus()
