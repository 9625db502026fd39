"""The windows in which the chosen two differ most: a list, and under it the text with both models' losses."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType

from nexus_tui.analysis.breakdown import WindowDifference, most_different, window_text
from nexus_tui.runs.token_losses import TokenLosses
from nexus_tui.tui import format, shades, theme
from nexus_tui.tui.analyst import Job
from nexus_tui.tui.compare_section import Section, Sheet, missing
from nexus_tui.tui.comparing import Comparing
from nexus_tui.tui.keys import bindings
from nexus_tui.tui.lines import Line, Lines, spread
from nexus_tui.tui.listing import Column, Listing, Row
from nexus_tui.tui.safe import fit
from nexus_tui.tui.window_text import Reading, WindowText, token_texts

EACH_WAY = 12
"""Windows that are listed in which b is better, and as many in which a is."""


class WindowList(Listing):
    """The windows. Above the first one the cursor goes back to the overview; enter and ↓ go to the text."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("windows")

    def action_up(self) -> None:
        """Row before; before the first one, the overview."""
        if self.cursor == 0:
            self.screen.action_out()  # type: ignore[attr-defined]
        else:
            super().action_up()

    def action_pair(self, direction: int) -> None:
        """Another pair."""
        self.screen.action_pair(direction)  # type: ignore[attr-defined]

    async def action_back(self) -> None:
        """As everywhere on the screen."""
        await self.screen.action_back()  # type: ignore[attr-defined]

    def action_down(self) -> None:
        """Next row; after the last one, the text."""
        if self.cursor >= len(self.rows) - 1:
            self.action_read()
        else:
            super().action_down()

    def action_read(self) -> None:
        """Go to the text."""
        self.screen.query_one(WindowText).focus()


class WindowsSection(Section):
    """Where two checkpoints disagree, in the text itself."""

    NAME: ClassVar[str] = "windows"
    LETTER: ClassVar[str] = "i"
    PAIRED: ClassVar[bool] = True
    VIEWS: ClassVar[bool] = True
    DEFAULT_CSS = """
    WindowsSection Sheet { height: auto; }
    WindowsSection WindowList { height: 40%; min-height: 4; margin-bottom: 1; }
    WindowsSection WindowText { height: 1fr; padding: 0 1; }
    WindowsSection Lines { height: 1; padding: 0 1; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._shown: tuple[TokenLosses, TokenLosses] | None = None
        self._wanted = False
        """Whether the list is to have the focus as soon as it is there."""

    def compose(self) -> ComposeResult:
        """What is missing, list, text and what the cursor reads."""
        yield Sheet()
        yield WindowList(_columns("A", "B"))
        yield WindowText()
        yield Lines(id="read")

    def jobs(self, c: Comparing) -> list[Job]:
        """The losses of the chosen two."""
        return [c.token_job(place) for place in c.pair]

    def toggle(self) -> None:
        """Digits under the shades, or none."""
        text = self.query_one(WindowText)
        text.digits = not text.digits
        text.on_resize()

    def enter(self) -> None:
        """Take the cursor: the list, if there is one."""
        listing = self.query_one(WindowList)
        (listing if listing.display else self.sheet).focus()

    def arrive(self) -> None:
        """To the list at once, or when it is there."""
        self._wanted = True
        self._to_list()

    def leave(self) -> None:
        """Another section is seen, or the cursor was moved elsewhere."""
        self._wanted = False

    def _to_list(self) -> None:
        listing = self.query_one(WindowList)
        if self._wanted and listing.display and listing.rows:
            self._wanted = False
            listing.focus()

    def draw(self, c: Comparing, *, top: bool = False) -> None:
        """The list for the chosen two, or what is missing of it."""
        a, b = (c.tokens(place) for place in c.pair)
        listing = self.query_one(WindowList)
        lines = missing(c, self.jobs(c), self.room)
        if a and b and a.protocol != b.protocol:
            lines.append(
                (("Their windows are not the same text, so they cannot be put side by side.", "warn"),)
            )
        ready = not lines and a is not None and b is not None
        self.sheet.styles.height = len(lines)
        self.sheet.display = bool(lines)
        self.sheet.show(lines, top=top)
        for widget in (listing, self.query_one(WindowText), self.query_one("#read")):
            widget.display = ready
        if ready and a is not None and b is not None and (a, b) != self._shown:
            self._shown = (a, b)
            self._list(c, a, b)
        self._text()
        self._to_list()

    def lines(self, c: Comparing, width: int) -> list[Line]:  # noqa: ARG002
        """Nothing: the list and the text say it."""
        return []

    def _list(self, c: Comparing, a: TokenLosses, b: TokenLosses) -> None:
        listing = self.query_one(WindowList)
        first, second = (c.rows[place].letter for place in c.pair)
        chosen = listing.current
        listing.show_columns(_columns(first, second))
        listing.show([])
        listing.show([_row(a, found) for found in _most(a, b)])
        if chosen in {row.id for row in listing.rows}:
            listing.go_to(chosen or "")
        else:
            listing.go_to(listing.rows[0].id if listing.rows else "")
            listing.scroll_to(y=0, animate=False, force=True)

    def on_listing_moved(self, event: Listing.Moved) -> None:
        """Another window."""
        event.stop()
        self._text()

    def on_listing_opened(self, event: Listing.Opened) -> None:
        """Clicked twice: read it."""
        event.stop()
        self.query_one(WindowText).focus()

    def on_window_text_left(self) -> None:
        """Back to the list."""
        self.query_one(WindowList).focus()

    def on_window_text_moved(self) -> None:
        """Another token is read."""
        self._read()

    def _text(self) -> None:
        """The text of the window under the cursor."""
        current, c = self.query_one(WindowList).current, self.c
        if self._shown is None or current is None or c is None:
            return
        window = int(current)
        readings, tokens = [], []
        for place, losses in zip(c.pair, self._shown, strict=True):
            parts = window_text(losses, window)
            tokens = [token for token, _ in parts]
            readings.append(Reading(c.rows[place].title, [loss for _, loss in parts]))
        self.query_one(WindowText).show(tokens, readings)
        self._read()

    def _read(self) -> None:
        """What stands under the cursor: the token, and both losses in nats."""
        c, text = self.c, self.query_one(WindowText)
        current = self.query_one(WindowList).current
        if self._shown is None or c is None or current is None:
            return
        parts = [window_text(losses, int(current)) for losses in self._shown]
        token, first = parts[0][text.cursor]
        second = parts[1][text.cursor][1]
        a, b = c.pair
        shown = token_texts([token])[0].replace(" ", "␣")
        line: Line = (
            (f"token {text.cursor + 1:>3} ", "muted"),
            (fit(f"“{shown}”", 8), "text!"),
            c.rows[a].title,
            (f" {format.loss(first)}   ", "text"),
            c.rows[b].title,
            (f" {format.loss(second)}   ", "text"),
            (f"{format.delta(second - first)} nats", "text"),
        )
        for legend in (shades.LEGEND, shades.SHORT_LEGEND):
            whole = spread(line, ((legend, "muted"),), self.room)
            if len(whole) > len(line):
                break
        self.query_one("#read", Lines).show([whole])


@lru_cache(8)
def _most(a: TokenLosses, b: TokenLosses) -> list[WindowDifference]:
    """Kept, for every look at what is being worked out draws them again."""
    return most_different(a, b, EACH_WAY)


def _columns(a: str, b: str) -> tuple[Column, ...]:
    return (
        Column("window", "window", 6, right=True),
        Column("apart", f"{b} − {a}", 8, right=True),
        Column("a", f"{a} nats", 7, right=True),
        Column("b", f"{b} nats", 7, right=True),
        Column("text", "text", 30, grow=200, priority=1),
    )


def _row(a: TokenLosses, found: WindowDifference) -> Row:
    tokens = [token for token, _ in window_text(a, found.window)]
    text = "".join(token_texts(tokens[:240])).strip("↵")
    text = re.sub("↵+", f" {theme.glyphs().rule} ", text)
    return Row(
        str(found.window),
        {
            "window": (format.count(found.window), "muted"),
            "apart": (format.delta(found.difference), "good" if found.difference < 0 else "warn"),
            "a": (format.loss(found.loss_a), "text"),
            "b": (format.loss(found.loss_b), "text"),
            "text": (text, "muted"),
        },
    )
