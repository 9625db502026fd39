"""Over the list of runs: several runs' curves over each other, and a list that says how each stands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.cells import cell_len
from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container, Vertical

from nexus_tui.runs.run import Run
from nexus_tui.runs.settings import run_differences
from nexus_tui.tui import overlay_rows, theme
from nexus_tui.tui.board import Board
from nexus_tui.tui.board_screen import BoardScreen
from nexus_tui.tui.chart.legend import place_format
from nexus_tui.tui.keybar import KeyBar
from nexus_tui.tui.keys import Where, bindings
from nexus_tui.tui.lines import Line, Lines, Span, spread
from nexus_tui.tui.listing import Column, Listing, with_room
from nexus_tui.tui.overlay_curves import Member, OverlayCurves
from nexus_tui.tui.run_colors import places
from nexus_tui.tui.view import Axis


class OverlayScreen(BoardScreen):
    """A board of all runs' curves; beside it, or below, the runs.

    Args:
        runs: what is laid over each other, in the order of marking; one at least, each with its own name.
    """

    WHERE: ClassVar[Where] = "overlay"
    CSS_PATH = "overlay_screen.tcss"
    ROUNDS = 3
    BINDINGS: ClassVar[list[BindingType]] = bindings("overlay")
    AUTO_FOCUS = ""
    COUNTED: ClassVar[dict[Axis, str]] = {
        **BoardScreen.COUNTED,
        "clock": "Along the charts: the time since each run began.",
    }

    def __init__(self, runs: Sequence[Run]) -> None:
        super().__init__()
        self._runs = list(runs)
        self._places: dict[str, int] = {}
        self._curves: OverlayCurves | None = None
        self._waiting = 0
        """Runs that are being read, to be drawn then."""
        self._drawn: tuple[object, ...] = ()

    def compose(self) -> ComposeResult:
        """Heading, charts, the runs and how they differ, keys."""
        yield Lines(id="heading")
        with Container(id="body"):
            yield Board(self.nexus.view)
            with Vertical(id="side"):
                yield Listing(overlay_rows.STANDING, id="members")
                yield Lines(id="differs")
        yield KeyBar(self.WHERE)

    def on_mount(self) -> None:
        """The screen's own keys move the list's cursor: those of the board are for its charts."""
        self.listing.can_focus = False
        self.set_class("side" in self.nexus.view.closed, "-no-side")

    def on_resize(self) -> None:
        """Another size has room for something else."""
        self.call_after_refresh(self.redraw)

    @property
    def _stands(self) -> bool:
        """Whether it is composed and not yet being taken down, in whatever order."""
        return all(self.query(part) for part in ("#heading", "Board", "#members", "#differs", "KeyBar"))

    @property
    def listing(self) -> Listing:
        """The list of the runs."""
        return self.query_one(Listing)

    @property
    def members(self) -> list[Member]:
        """Every run, in the order of marking, as it is drawn in the present colours."""
        kept = {**self.nexus.view.places, **self._places}
        self._places = places([run.name for run in self._runs], kept)
        palette = theme.palette(self.app)
        return [Member(run, theme.series(palette, self._places[run.name])) for run in self._runs]

    @property
    def _hidden(self) -> frozenset[str]:
        return frozenset(self.nexus.view.hidden)

    @property
    def _focus(self) -> str:
        """Name of the run under the cursor."""
        return self.listing.current or (self._runs[0].name if self._runs else "")

    # -- drawing ------------------------------------------------------------------------------------------

    def record_changed(self) -> None:
        """Draw what has changed; a run that is no longer there is left out."""
        if not self._stands:
            return
        known = {run.name: run for run in [*self.nexus.shipped, *self.nexus.runs]}
        gone = [run.name for run in self._runs if run.name not in known]
        self._runs = [known[run.name] for run in self._runs if run.name in known]
        if gone:
            self.nexus.say(
                f"{', '.join(gone)}: no longer in {self.nexus.runs_folder}, and left out here.", "warn"
            )
        if not self._runs:
            self.dismiss()
            return
        news = (self._hidden, *((run.name, run.revision, run.state) for run in self._runs))
        if news != self._drawn:
            self.redraw()

    def colors_changed(self) -> None:
        """Runs have other colours."""
        super().colors_changed()
        self.redraw()

    def redraw(self) -> None:
        """Draw what there is to draw of the runs."""
        if not self._stands or not self._runs:
            return
        self._drawn = (self._hidden, *((run.name, run.revision, run.state) for run in self._runs))
        if not self.listing.rows:  # the cursor says which run is on top
            self._show_rows()
        self.show_curves()
        self._show_rows()
        self._show_side()
        self.query_one("#heading", Lines).show([self._heading()])

    def show_curves(self) -> None:
        """The curves of what is not hidden."""
        shown = [member for member in self.members if member.name not in self._hidden]
        members = [member for member in shown if self.nexus.at_hand(member.run)]
        self._waiting = len(shown) - len(members)
        self._curves = OverlayCurves(members, self.nexus.view.axis, self._focus, self._curves)
        self.board.show(self._curves)

    def _heading(self) -> Line:
        runs, hidden = len(self._runs), sum(run.name in self._hidden for run in self._runs)
        many = f"  {runs} run{'s' if runs != 1 else ''} over each other"
        left: list[Span] = [(" overlay", "text!"), (many, "muted")]
        if hidden:
            left.append((f", {hidden} hidden", "muted"))
        if self._waiting:
            left.append((f", {self._waiting} being read", "live"))
        remark = self._curves.remark if self._curves else ""
        return spread(left, [(f"{remark} ", "warn")], self.size.width)

    def _show_rows(self) -> None:
        """How each run stands; at the crosshair, what it says there."""
        at = self._at
        if at is None:
            in_bits = self._curves is not None and bool(self._curves.tokens)
            self._show_columns(overlay_rows.STANDING_IN_BITS if in_bits else overlay_rows.STANDING)
            hidden = self._hidden
            self.listing.show([overlay_rows.standing(m, m.name in hidden) for m in self.members])
            return
        kind = self._curves.x_kind if self._curves else "step"
        counted = {"step": "step", "tokens": "token"}.get(kind, "time")
        self._show_columns(overlay_rows.reading_columns(at, counted))
        self.listing.show(overlay_rows.read(self.members, self._hidden, at, place_format(kind)))

    def _show_columns(self, columns: Sequence[Column]) -> None:
        """These columns, with room for the names before any but the first figure."""
        longest = max(cell_len(run.name) for run in self._runs)
        self.listing.show_columns(with_room(columns, longest + 1, "name"))

    @property
    def _at(self) -> overlay_rows.At | None:
        """What the large chart's curves say at the crosshair; None without one."""
        board = self.board
        if board.at is None or board.large is None or not board.charts:
            return None
        chart = board.charts[0]
        return overlay_rows.At(board.large, board.at, chart.x_step(), chart.readings())

    def _show_side(self) -> None:
        """As many rows as there are runs; below them, how they differ."""
        width, height = self.size
        beside = width >= 110
        most = height - 4 if beside else max(3, height // 4)
        rows = min(len(self._runs) + 1, most)
        self.listing.styles.height = rows
        differs = self.query_one("#differs", Lines)
        if beside and differs.size.width:
            room = differs.size.width - 1, height - 3 - rows
            differs.show(overlay_rows.differing(self.members, run_differences(self._runs), *room))

    @on(Board.Moved)
    def _read(self) -> None:
        if self._stands:
            self._show_rows()

    @on(Listing.Moved)
    def _moved(self) -> None:
        if self._stands:
            self.show_curves()
            self.show_keys()

    # -- actions ------------------------------------------------------------------------------------------

    async def action_key(self, id: str) -> None:
        """Do it, or say why not; the list says what the large chart shows now."""
        await super().action_key(id)
        if self.is_current and self._stands:
            self._show_rows()

    def action_cursor(self, rows: int) -> None:
        """Another run is on top."""
        if rows > 0:
            self.listing.action_down()
        else:
            self.listing.action_up()

    def action_hide(self) -> None:
        """Hide the curves of the run under the cursor, or show them again."""
        view, name = self.nexus.view, self._focus
        hidden = name in view.hidden
        view.hidden = [one for one in view.hidden if one != name] if hidden else [*view.hidden, name]
        self.redraw()

    def action_remove(self) -> None:
        """Take the run under the cursor out, and unmark it."""
        view, name = self.nexus.view, self._focus
        view.marked = [one for one in view.marked if one != name]
        view.hidden = [one for one in view.hidden if one != name]
        view.places = {one: place for one, place in view.places.items() if one != name}
        self._runs = [run for run in self._runs if run.name != name]
        if self._runs:
            self.redraw()
        else:
            self.dismiss()

    @on(Listing.Opened)
    def action_open(self) -> None:
        """Show the run under the cursor in the training screen."""
        run = next((run for run in self._runs if run.name == self._focus), None)
        if run:
            self.nexus.open(run)

    def leave(self) -> None:
        """Back to the list of runs."""
        self.dismiss()
