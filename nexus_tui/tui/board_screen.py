"""What the screens that have a board share: its keys, and the way back."""

from __future__ import annotations

from typing import ClassVar

from nexus_tui.tui.board import Board
from nexus_tui.tui.screen import ModeScreen
from nexus_tui.tui.view import Axis


class BoardScreen(ModeScreen):
    """A screen with one board. Its keys are those of the place `board` in the table, besides its own."""

    COUNTED: ClassVar[dict[Axis, str]] = {
        "step": "Along the charts: steps.",
        "tokens": "Along the charts: tokens.",
        "time": "Along the charts: time spent on steps.",
        "clock": "Along the charts: the time of day.",
    }
    """What is said of an axis when it is chosen."""

    @property
    def board(self) -> Board:
        """The charts."""
        return self.query_one(Board)

    def show_curves(self) -> None:
        """Give the board its curves, along the axis that the view names."""
        raise NotImplementedError

    def redraw(self) -> None:
        """Draw everything again: another part of the screen has room for something else."""
        raise NotImplementedError

    def leave(self) -> None:
        """Go where one came from."""
        raise NotImplementedError

    def action_read(self, cells: int) -> None:
        """Move the crosshair by so many cells."""
        self.board.read(cells)

    def action_live(self) -> None:
        """No crosshair, all of the axis."""
        self.board.live()

    def action_zoom(self, steps: int) -> None:
        """Show half as much, or twice as much."""
        self.board.zoom(steps)

    def action_pan(self, quarters: int) -> None:
        """Move the window."""
        if self.board.window is None:
            self.nexus.say("All of it is shown; z zooms in.")
        self.board.pan(quarters / 4)

    def action_smooth(self, direction: int) -> None:
        """More, less, or as usual."""
        self.board.smooth(direction)
        value = self.board.smoothing
        if value is None:
            self.nexus.say("Nothing here is smoothed: no noisy curve is in sight.")
        else:
            self.nexus.say(f"Smoothing {value:g}" if value else "No smoothing: every step as it was.")

    def action_log(self) -> None:
        """Logarithmic or linear."""
        self.board.turn_log()

    def action_axis(self) -> None:
        """The next of steps, tokens, time and time of day that there is."""
        axes = self.board.axes
        if len(axes) < 2:
            self.nexus.say("Nothing but steps is on record.")
            return
        here = axes.index(self.board.axis)
        self.nexus.view.axis = axes[(here + 1) % len(axes)]
        self.show_curves()
        self.nexus.say(self.COUNTED[self.nexus.view.axis])

    def action_metric(self, direction: int) -> None:
        """Put another metric into the large chart."""
        self.board.choose(direction)

    def action_page(self, direction: int) -> None:
        """Other small charts."""
        if not self.board.turn_page(direction):
            self.nexus.say("There is no other page of charts.")

    def action_full(self) -> None:
        """Nothing but the large chart, or everything."""
        self.board.turn_full()
        self.set_class(self.board.full, "-full")
        self.call_after_refresh(self.redraw)

    def action_side(self) -> None:
        """Show or hide the column beside the board."""
        view = self.nexus.view
        hidden = "side" in view.closed
        view.closed = [one for one in view.closed if one != "side"] if hidden else [*view.closed, "side"]
        self.set_class(not hidden, "-no-side")
        self.call_after_refresh(self.redraw)

    def action_back(self) -> None:
        """Undo the nearest thing: crosshair, window, full chart, this screen."""
        board = self.board
        if board.at is not None:
            board.point(None)
        elif board.window is not None:
            board.live()
        elif board.full:
            self.action_full()
        else:
            self.leave()

    def action_lower(self) -> None:
        """Show or hide the small charts."""
        self.board.turn_lower()
