"""Faults of Textual 8.2 that a key can meet, mended where they are: each ends the app, or answers twice."""

import traceback
from typing import Any

from textual import events
from textual._context import active_message_pump
from textual.app import App, ScreenStackError
from textual.await_complete import AwaitComplete
from textual.command import CommandPalette
from textual.content import Content
from textual.css.query import NoMatches
from textual.dom import DOMNode
from textual.errors import NoWidget
from textual.screen import Screen
from textual.widgets import OptionList
from textual.worker import WorkerFailed

_move_page = OptionList._move_page
_on_click = OptionList._on_click
_wrap = Content._wrap_and_format
_dismiss = Screen.dismiss
_on_resize = Screen._on_resize


def _page(self: OptionList, direction: Any) -> None:
    """A page up or down, in a list that has been laid out: without a line of room it has no pages."""
    if self.options and (self.highlighted or 0) in self._index_to_line:
        _move_page(self, direction)


async def _click(self: OptionList, event: events.Click) -> None:
    """A click on an option that is still there: the list may be shorter than it was when it was painted."""
    option = event.style.meta.get("option")
    if option is None or option < len(self._options):
        await _on_click(self, event)


def _wrapped(self: Content, width: int, *arguments: Any, **options: Any) -> Any:
    """Lines of at least one cell: a list in a terminal of four columns has none for its text."""
    return _wrap(self, max(width, 1 + 2 * options.get("line_pad", 0)), *arguments, **options)


def _leave(self: Screen[Any], result: Any = None) -> AwaitComplete:
    """Close this screen, and none but it, once.

    A second enter may be on its way to a dialog that the first one has closed: its answer would be given
    again, and the screen under it closed. One that is covered goes with what covers it.
    """
    stack = self.app.screen_stack
    if self not in stack[1:]:
        return AwaitComplete()
    while stack[-1] is not self:
        self.app.pop_screen()
        stack = self.app.screen_stack
    return _dismiss(self, result)


def _palette(self: App[Any]) -> None:
    """Open the command palette, under no name: the last one has it until it has been taken down."""
    if self.use_command_palette and not CommandPalette.is_open(self):
        self.push_screen(CommandPalette())


async def _resized(self: Screen[Any], event: events.Resize) -> None:
    """Another size, unless a newer one is on its way: each has every screen laid out several times over."""
    if event.size == self.app.size:
        await _on_resize(self, event)
    else:
        event.stop()


def mend() -> None:
    """Do it, once for the process."""
    OptionList._move_page = _page  # type: ignore[method-assign]
    OptionList._on_click = _click  # type: ignore[method-assign]
    Content._wrap_and_format = _wrapped  # type: ignore[method-assign]
    Screen.dismiss = _leave  # type: ignore[method-assign]
    App.action_command_palette = _palette  # type: ignore[method-assign]
    Screen._on_resize = _resized  # type: ignore[method-assign]


def harmless(error: Exception) -> bool:
    """Whether an error is only that a press or a timer has come too late, or too soon, for what is shown.

    To a place that a smaller terminal no longer has; to a screen, which nobody sees, of which a part is
    missing because it is being composed or taken down.
    """
    if isinstance(error, WorkerFailed):
        error = error.error  # type: ignore[assignment]
    if isinstance(error, NoWidget):
        return True
    nodes = [active_message_pump.get(None)]
    nodes += [frame.f_locals.get("self") for frame, _ in traceback.walk_tb(error.__traceback__)]
    below = isinstance(error, IndexError) and any(isinstance(node, CommandPalette) for node in nodes)
    if not isinstance(error, NoMatches | ScreenStackError) and not below:  # it looks for the screen below it
        return False
    return any(isinstance(node, DOMNode) and not isinstance(node, App) and _unseen(node) for node in nodes)


def _unseen(node: DOMNode) -> bool:
    """Whether the screen of a node is not all there, or it has none any more."""
    screen = next((one for one in node.ancestors_with_self if isinstance(one, Screen)), None)
    if screen is None:
        return True
    return screen._pruning or screen._closing or not screen.is_mounted or not screen.is_attached
