"""A text of tokens with a cursor over them, and how surprising each was: as shades, or as numbers beneath."""

from __future__ import annotations

from bisect import bisect_right
from itertools import groupby
from typing import ClassVar

from rich.cells import cell_len, get_character_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.binding import BindingType
from textual.message import Message

from nexus_tui.tui import theme
from nexus_tui.tui.keys import BY_ID, bindings
from nexus_tui.tui.text_view import TextView
from nexus_tui.tui.thoughts import Thoughts
from nexus_tui.tui.token_text import TokenText

LEVELS = (1.0, 2.0, 4.0, 8.0)
"""Bits of surprise from which a character is of level 1, 2, 3, 4."""
_STRENGTHS = (0.0, 0.14, 0.28, 0.44, 0.62)
"""How much of the shade's colour is in the background, by level."""
_UNDER = ("faint", "muted", "text", "val", "warn!")
"""Roles of the numbers beneath, by level."""


def level(bits: float) -> int:
    """How surprising so many bits are, 0 to 4."""
    return bisect_right(LEVELS, bits)


class TokenView(TextView):
    """Shows a `TokenText` as it grows. While `pointing`, one token of it is under the cursor."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("text")

    class Moved(Message):
        """Another token is under the cursor, or none is."""

    class Entered(Message):
        """Another token is wanted for the place under the cursor."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._tokens = TokenText()
        self._thoughts = Thoughts()
        self._marked: tuple[int, int] | None = None
        self.cursor: int | None = None
        """The token that is looked at; None: the newest one."""
        self.pointing = False
        """Whether the cursor shows."""
        self.shading = "off"
        """`off`, `shades` or `bits`."""

    # What is shown ---------------------------------------------------------------------------------------

    def open(self, tokens: TokenText, thoughts: Thoughts, *, live: bool, keep: bool = False) -> None:
        """Show another text, with `keep` the same token under the cursor if there is one."""
        self._tokens, self._thoughts, self._marked = tokens, thoughts, None
        if not keep or self.cursor is None or self.cursor >= len(tokens):
            self.cursor = None
        self._text, self._bold, self._live = tokens.shown, tokens.head, live
        self._lines, self._paragraph = [], 0
        self._wrap()
        self.refresh()
        if self.cursor is None:
            self.scroll_end(animate=False, force=True)
        else:
            self._follow()
        self.post_message(self.Moved())

    def clear(self) -> None:
        """Show nothing but the hint."""
        self.open(TokenText(), Thoughts(), live=False)

    def grow(self, more: str) -> None:
        """The text has more tokens; `more` is what is new of what is shown."""
        self.append(more)

    def finish(self) -> None:
        """Nothing more comes: the newest token may be looked at."""
        if self._live:
            super().finish()
            self.post_message(self.Moved())

    def mark(self, tokens: tuple[int, int] | None) -> None:
        """Underline the tokens from one to before another, and bring the first of them into sight."""
        self._marked = tokens
        self.refresh()
        if tokens and tokens[0] < len(self._tokens):
            self._into_sight(self._line_of(self._tokens.span(tokens[0])[0]))

    @property
    def marked(self) -> bool:
        """Whether something is underlined."""
        return self._marked is not None

    @property
    def place(self) -> int | None:
        """The token under the cursor; the newest one is not looked at while more come."""
        if self.cursor is None and self._live:
            return None
        return self._here

    @property
    def _here(self) -> int | None:
        """Where moving begins."""
        if not len(self._tokens):
            return None
        return len(self._tokens) - 1 if self.cursor is None else self.cursor

    def point(self, pointing: bool) -> None:
        """Show the cursor, or hide it."""
        if pointing != self.pointing:
            self.pointing = pointing
            self._repaint_cursor()
            self.post_message(self.Moved())

    def next_shading(self) -> str:
        """Off, shades, bits, off …; where colours cannot be mixed there are no shades. The one it is now."""
        ways = ["off", "shades", "bits"] if self._palette.blends else ["off", "bits"]
        self.shading = ways[(ways.index(self.shading) + 1) % len(ways)] if self.shading in ways else "off"
        first = self._lines[self.scroll_offset.y // self._pitch] if self._lines else None
        self._pitch = 2 if self.shading == "bits" else 1
        self._wrap()
        self.refresh()
        if first:
            top = self._lines.index(first) * self._pitch
            self.scroll_to(y=top, animate=False, force=True)
            self._follow()
        return self.shading

    def on_resize(self) -> None:
        """Keep in sight what is looked at: the token under the cursor, else the end."""
        super().on_resize()
        if self._live and self.cursor is None:
            self.scroll_end(animate=False, force=True)
        else:
            self._follow()

    # Moving ----------------------------------------------------------------------------------------------

    async def action_key(self, id: str) -> None:
        """What the keys of the text are bound to."""
        await self.run_action(BY_ID[id].action)

    def action_token(self, by: int) -> None:
        """So many tokens on."""
        if (place := self._here) is not None:
            self._go(place + by)

    def action_first(self) -> None:
        """The first token; in a text without any, its beginning."""
        if len(self._tokens):
            self._go(0)
        else:
            self.scroll_home(animate=False)

    def action_last(self) -> None:
        """The last token; the newest one while more come."""
        self._go(len(self._tokens) - 1)
        self.cursor = None
        self.scroll_end(animate=False, force=True)

    def action_page(self, pages: int) -> None:
        """So many screenfuls on."""
        self.action_line(pages * max(1, self.size.height // self._pitch - 1))

    def action_line(self, by: int) -> None:
        """So many lines on, in the same column as far as there is one."""
        place = self._here
        if place is None:
            self.scroll_relative(y=by, animate=False)
            return
        start = self._tokens.span(place)[0]
        line = self._line_of(start)
        column = self._cells(self._lines[line][0], start)
        line = max(0, min(line + by, len(self._lines) - 1))
        start, end = self._lines[line]
        while start < end - 1 and column >= (cells := get_character_cell_size(self._text[start])):
            column -= cells
            start += 1
        found = self._tokens.at(start)
        self._go(found if found is not None else 0 if start < self._bold else len(self._tokens) - 1)

    def action_options(self) -> None:
        """Choose another token for the place under the cursor."""
        if self.place is not None:
            self.post_message(self.Entered())

    def _go(self, token: int) -> None:
        if not len(self._tokens):
            return
        self._repaint_cursor()
        self.cursor = max(0, min(token, len(self._tokens) - 1))
        self._repaint_cursor()
        self._follow()
        self.post_message(self.Moved())

    def _line_of(self, place: int) -> int:
        """The line of a place of the text, shown at its end if it is no cell of its own."""
        return max(0, bisect_right(self._lines, place, key=lambda line: line[0]) - 1)

    def _follow(self) -> None:
        if (place := self.place) is not None:
            self._into_sight(self._line_of(self._tokens.span(place)[0]))

    def _into_sight(self, line: int) -> None:
        """Scroll as little as shows a line."""
        top, first, height = self.scroll_offset.y, line * self._pitch, self.size.height
        target = min(first, max(top, first + self._pitch - height))
        if height and target != top:
            self.scroll_to(y=target, animate=False, force=True)

    def _repaint_cursor(self) -> None:
        if (place := self.place) is None or not self._lines:
            return
        start, end = self._tokens.span(place)
        for line in range(self._line_of(start), self._line_of(max(start, end - 1)) + 1):
            self._refresh_cells(line, 0, self.size.width)

    # Drawing ---------------------------------------------------------------------------------------------

    def _segments(self, index: int) -> list[Segment]:
        start, end = self._lines[index]
        cursor = self._cursor_span()
        pointed = cursor is not None and cursor[0] < end and cursor[1] > start
        if self.shading != "shades" and self._marked is None and not pointed:
            return super()._segments(index)
        levels = [level(bits) for bits in self._bits(start, end)] if self.shading == "shades" else []
        marked = self._marked_span()

        def look(place: int) -> tuple[bool, int, bool, bool]:
            return (
                place < self._bold,
                levels[place - start] if levels else 0,
                marked[0] <= place < marked[1],
                cursor is not None and cursor[0] <= place < cursor[1],
            )

        runs = groupby(range(start, end), key=look)
        return [
            Segment("".join(self._text[place] for place in places), self._style(*how)) for how, places in runs
        ]

    def _style(self, bold: bool, shade: int, marked: bool, pointed: bool) -> Style:
        palette = self._palette
        on = None
        if shade and palette.blends:
            background = theme.color_of(palette, "background")
            on = background.blend(theme.color_of(palette, "val"), _STRENGTHS[shade]).hex
        style = theme.style(palette, "text", bold=bold or shade == len(LEVELS), on=on)
        return style + Style(underline=marked or None, reverse=pointed or None)

    def _mark(self, index: int) -> list[Segment]:
        """A token under the cursor that has no cell of its own is shown at the end of its line."""
        cursor = self._cursor_span()
        if cursor is not None and self._line_of(cursor[0]) == index and cursor[0] >= self._lines[index][1]:
            sign = "\n" in self._text[cursor[0] : cursor[1]]
            newline = "$" if theme.glyphs().ascii else "⏎"
            return [
                Segment(newline if sign else " ", theme.style(self._palette, "text") + Style(reverse=True))
            ]
        return super()._mark(index)

    def _under(self, index: int) -> list[Segment]:
        """Bits of surprise of each token under its first character, 9 for more."""
        start, end = self._lines[index]
        bits = self._bits(start, end)
        starts = {self._tokens.span(token)[0] for token in self._tokens.tokens(start, end)}
        segments = []
        for place in range(start, end):
            cells = cell_len(self._text[place])
            if place in starts and cells:
                number = str(min(9, round(bits[place - start])))
                style = theme.style(
                    self._palette,
                    (role := _UNDER[level(bits[place - start])]).removesuffix("!"),
                    bold=role.endswith("!"),
                )
                segments.append(Segment(number.ljust(cells), style))
            else:
                segments.append(Segment(" " * cells))
        return segments

    def _bits(self, start: int, end: int) -> list[float]:
        """Of each character between two places, the bits of all its tokens that begin with it, or go on."""
        bits = [0.0] * (end - start)
        for token in self._tokens.tokens(start, end):
            first, last = self._tokens.span(token)
            for place in range(max(first, start), min(last, end)):
                bits[place - start] += self._thoughts.bits[token]
        return bits

    def _cursor_span(self) -> tuple[int, int] | None:
        place = self.place
        return self._tokens.span(place) if self.pointing and place is not None else None

    def _marked_span(self) -> tuple[int, int]:
        if self._marked is None or not len(self._tokens):
            return (0, 0)
        first, end = self._marked
        last = min(end, len(self._tokens)) - 1
        return (self._tokens.span(first)[0], self._tokens.span(last)[1]) if first <= last else (0, 0)
