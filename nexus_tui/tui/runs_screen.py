"""Mode 1: all runs of the folder, with a look at the one under the cursor.

It is the first thing that is painted: what reads runs (numpy) is imported when there are runs to read.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType

from nexus_tui.tui import theme
from nexus_tui.tui.keybar import KeyBar
from nexus_tui.tui.keys import bindings
from nexus_tui.tui.lines import Line, Lines, spread
from nexus_tui.tui.listing import Column, Listing
from nexus_tui.tui.overlay_choice import chosen
from nexus_tui.tui.run_colors import places
from nexus_tui.tui.safe import plain
from nexus_tui.tui.screen import ModeScreen
from nexus_tui.tui.welcome import Welcome

if TYPE_CHECKING:
    from nexus_tui.runs.run import Run
    from nexus_tui.tui.filter_field import FilterField
    from nexus_tui.tui.run_changes import Changes
    from nexus_tui.tui.run_list import RunList, Wanted
    from nexus_tui.tui.run_look import RunLook
    from nexus_tui.tui.run_order import Listed

LOOK = 10
"""Rows that a look at one run needs at least."""
COLUMNS = (
    Column("state", " state", 11),
    Column("name", "run", 16, grow=60),
    Column("model", "model", 12, priority=5, grow=6),
    Column("corpus", "corpus", 15, priority=7, grow=6),
    Column("step", "step", 15, right=True, priority=1),
    Column("loss", "loss", 11, priority=3),
    Column("val", "best val", 8, right=True, priority=1),
    Column("bits", "bits/byte", 9, right=True, priority=6),
    Column("best", "at step", 9, right=True, priority=4, grow=7),
    Column("age", "active", 7, right=True, priority=2),
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
        self._runs: RunList | None = None
        self._wanted: Wanted | None = None
        self._look: RunLook | None = None
        self._field: FilterField | None = None
        self._change: Changes | None = None

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
    def listed(self) -> Listed | None:
        """What is known of the run under the cursor."""
        here = self.listing.current
        return self._runs.by_id.get(here) if self._runs and here else None

    @property
    def run(self) -> Run | None:
        """The run under the cursor."""
        listed = self.listed
        return listed.run if listed else None

    @property
    def marked(self) -> list[Listed]:
        """The marked runs, in the order of marking."""
        known = {each.name: each for each in self._runs.all if not each.hidden} if self._runs else {}
        return [known[name] for name in self.nexus.view.marked if name in known]

    def on_resize(self) -> None:
        """Another size has room for something else."""
        self._drawn = ()
        self.call_after_refresh(self.record_changed)

    # Drawing ---------------------------------------------------------------------------------------------

    def record_changed(self) -> None:
        """Draw the list if a run or the view changed, or a minute passed."""
        app, view = self.nexus, self.nexus.view
        if not self.query(KeyBar):  # not composed yet, or already taken down
            return
        runs = [*app.runs, *app.shipped]
        news = (
            app.loaded, self._wanted and self._wanted.text, self.has_class("-filter"), self._minute,
            view.sort, view.sort_reversed, tuple(view.pins), tuple(view.marked), app.theme,
            tuple((run.folder, run.revision) for run in runs),
        )  # fmt: skip
        if news == self._drawn:
            return
        first, self._drawn = not self._drawn, news
        self.set_class(app.loaded and not app.runs, "-empty")
        self.set_class(not runs, "-bare")
        if runs:
            self._list(first)
        self.query_one("#title", Lines).show([self._title()])

    def _list(self, first: bool) -> None:
        from nexus_tui.tui.run_list import RunList, Wanted
        from nexus_tui.tui.run_order import falling, ordered

        app, view = self.nexus, self.nexus.view
        self._runs = self._runs or RunList()
        self._wanted = self._wanted or Wanted(view.filter)
        self._runs.gather(app.runs, app.shipped, self._minute, view.pins)
        shown = self._wanted.of(self._runs.all, self.has_class("-filter"))
        shown = ordered(shown, self._column, view.sort_reversed)
        self.listing.show_sorted(self._column, falling(self._column, view.sort_reversed))
        self.listing.show(self._runs.rows(shown, self._mark))
        self._divide(len(shown) + 2)
        if first and app.current:
            self.listing.go_to(str(app.current.folder))
        self._show_look()

    @property
    def _minute(self) -> int:
        """The time, as far as the list tells it: minutes since the epoch."""
        return int(self.nexus.clock().timestamp()) // 60

    @property
    def _column(self) -> str:
        """What the list is sorted by."""
        from nexus_tui.tui.run_order import SORTED_BY, USUAL

        return self.nexus.view.sort if self.nexus.view.sort in SORTED_BY else USUAL

    def _mark(self, listed: Listed) -> theme.Series | None:
        """The colour and sign of a run; None if it is not marked."""
        place = None if listed.hidden else self.nexus.view.places.get(listed.name)
        return None if place is None else theme.series(theme.palette(self.app), place)

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
        left: Line = ((" nexus-tui", "text!"),)
        if self._wanted and self._wanted.text and self._runs:
            left = (*left, (f"  {len(self.listing.rows):,} of {len(self._runs.all):,} runs", "text"))
            left = (*left, (f"  {plain(self._wanted.text)}", "live"))
            left = (*left, ("  esc shows all", "muted")) if not self.listing.rows else left
        elif app.runs:
            total = len(app.runs) + len(app.shipped)
            left = (*left, (f"  {total:,} run{'s' if total != 1 else ''}", "muted"))
        if unread := app.unread:
            left = (*left, (f"  {unread:,} to read", "faint"))
        if marked := len(self.marked):
            left = (*left, (f"  {marked} marked", "muted"))
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

    # Opening ---------------------------------------------------------------------------------------------

    def why_not(self, action: str) -> str:
        """What needs a run under the cursor, and may be refused for it."""
        if action == "undo":
            return self._changes.why_no_undo() if self._change else "Nothing was deleted or renamed yet."
        if action == "unmark":
            return "" if self.nexus.view.marked else "No run is marked."
        if action not in (
            "open",
            "overlay",
            "resume",
            "mark",
            "pin",
            "difference",
            "note",
            "rename",
            "delete",
        ):
            return ""
        listed = self.listed
        if listed is None:
            return "There is no run here; n begins one."
        if action == "resume":
            return self.nexus.why_no_resume(listed.run)
        if action == "overlay" and len(chosen(self.nexus, listed.run)) < 2:
            return "There is nothing to lay this run over; mark others with space."
        if action == "mark" and listed.hidden:
            return (
                f"There are two runs {listed.name}; only the one in {self.nexus.runs_folder} can be marked."
            )
        if action in ("note", "rename", "delete"):
            return self._changes.why_not(action, listed)
        return ""

    @on(Listing.Opened)
    def action_open(self) -> None:
        """Open the run under the cursor in the training screen."""
        if self.run:
            self.nexus.open(self.run)

    def action_overlay(self) -> None:
        """Lay the marked runs over each other."""
        from nexus_tui.tui.overlay_screen import OverlayScreen

        self.app.push_screen(OverlayScreen(chosen(self.nexus, self.run)))

    async def action_resume(self) -> None:
        """Go on training the run under the cursor."""
        if self.run:
            await self.nexus.resume(self.run)

    # Marks, pins, order ----------------------------------------------------------------------------------

    def action_mark(self) -> None:
        """Mark the run under the cursor, or unmark it."""
        listed, view = self.listed, self.nexus.view
        if listed:
            others = [name for name in view.marked if name != listed.name]
            self._mark_these(others if listed.name in view.marked else [*others, listed.name])

    def action_unmark(self) -> None:
        """Unmark all runs."""
        self._mark_these([])

    def _mark_these(self, names: list[str]) -> None:
        view = self.nexus.view
        view.marked, view.places = names, places(names, view.places)
        view.hidden = [name for name in view.hidden if name in names]
        self.record_changed()
        self.show_keys()

    def action_pin(self) -> None:
        """Keep the run under the cursor at the top, or let it go."""
        listed, view = self.listed, self.nexus.view
        if listed:
            others = [name for name in view.pins if name != listed.name]
            view.pins = others if listed.name in view.pins else [*others, listed.name]
            self.record_changed()

    def action_sort(self) -> None:
        """Sort by the next column that is shown."""
        from nexus_tui.tui.run_order import SORTED_BY

        seen = [column.key for column in self.listing.columns if column.key in SORTED_BY]
        at = seen.index(self._column) if self._column in seen else -1
        self._sort_by(seen[(at + 1) % len(seen)], False)

    def action_turn(self) -> None:
        """Sort the other way round."""
        self._sort_by(self._column, not self.nexus.view.sort_reversed)

    @on(Listing.TitleClicked)
    def _title_clicked(self, event: Listing.TitleClicked) -> None:
        from nexus_tui.tui.run_order import SORTED_BY

        if event.key in SORTED_BY:
            again = event.key == self._column
            self._sort_by(event.key, again and not self.nexus.view.sort_reversed)

    def _sort_by(self, column: str, turned: bool) -> None:
        self.nexus.view.sort, self.nexus.view.sort_reversed = column, turned
        self.record_changed()

    # Changes ---------------------------------------------------------------------------------------------

    @property
    def _changes(self) -> Changes:
        from nexus_tui.tui.run_changes import Changes

        self._change = self._change or Changes(self.nexus)
        return self._change

    async def action_delete(self) -> None:
        """Ask whether the run under the cursor, or the marked ones, are to be deleted."""
        if self.listed:
            await self._changes.delete(self.listed, self.marked)

    def action_rename(self) -> None:
        """Ask for another name."""
        if self.listed:
            self._changes.rename(self.listed)

    def action_note(self) -> None:
        """Ask for a note."""
        if self.listed:
            self._changes.note(self.listed)

    async def action_undo(self) -> None:
        """Bring back what was deleted or renamed last."""
        if place := await self._changes.undo():
            self.record_changed()
            self.listing.go_to(str(place))

    async def action_difference(self) -> None:
        """How the marked runs, or this one and the one before it, are configured."""
        from nexus_tui.runs.settings import run_differences
        from nexus_tui.tui.run_difference import MOST, DifferenceDialog
        from nexus_tui.tui.run_order import before

        runs = self.marked
        if len(runs) < 2 and self.listed and self._runs:
            runs = before(self.listed, self._runs.all)
        if len(runs) < 2:
            self.nexus.say("There is no run before this one; mark two with space.", "warn")
            return
        if len(runs) > MOST:
            self.nexus.say(f"{MOST} stand beside each other: the first of the {len(runs)} marked.")
        runs = runs[:MOST]
        differences = await asyncio.to_thread(run_differences, [each.run for each in runs])
        self.app.push_screen(DifferenceDialog(runs, differences, [self._mark(each) for each in runs]))

    # Filter ----------------------------------------------------------------------------------------------

    async def action_filter(self) -> None:
        """Ask for a filter."""
        from nexus_tui.tui.filter_field import FilterField
        from nexus_tui.tui.run_list import Wanted

        if self._field is None:
            self._wanted = self._wanted or Wanted()
            self._field = FilterField(self._wanted)
            await self.mount(self._field)
        self.add_class("-filter")
        self._field.open(self._runs.settings() if self._runs else [])

    @property
    def escape_in_field(self) -> str:
        """Leaving the filter ends it."""
        return "shows all runs"

    def action_unfilter(self) -> None:
        """Show all runs."""
        if self._field:
            self._field.clear()
        elif self._wanted:
            self._wanted.write("", None)
        self._take_filter()

    def on_filter_field_written(self) -> None:
        """Filter while it is written."""
        self.record_changed()

    def on_filter_field_left(self) -> None:
        """Enter: back to the list, which stays filtered."""
        self._take_filter()

    def _take_filter(self) -> None:
        self.nexus.view.filter = self._wanted.text if self._wanted else ""
        self.remove_class("-filter")
        self.record_changed()
        self.listing.focus()
