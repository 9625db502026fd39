"""The text of one window, each token shaded by what two models lose on it, with a cursor that reads it."""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.binding import BindingType
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from nexus_tui.tui import shades, theme
from nexus_tui.tui.glyphs import spell
from nexus_tui.tui.keys import BY_ID, bindings
from nexus_tui.tui.lines import Span, ink
from nexus_tui.tui.safe import plain
from nexus_tui.tui.text_view import wrap

_AIRY = 14
"""Rows from which on there is a blank one after each line of text."""
_MARGIN = 4
"""Cells before each line, for the letter."""


@dataclass(frozen=True)
class Reading:
    """What one model lost on every token of the window."""

    name: Span
    losses: Sequence[float]
    """Nats, [tokens]."""


def token_texts(tokens: Sequence[bytes]) -> list[str]:
    """What each token adds to the text as shown: a character stands with the token that ends it."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    texts = [decoder.decode(token) for token in tokens]
    if texts:
        texts[-1] += decoder.decode(b"", final=True)
    return [plain(text, "↵") for text in texts]


class WindowText(ScrollView, can_focus=True):
    """Every line of the text once for each model, and digits under it where they are wanted."""

    DEFAULT_CSS = "WindowText { background: $background; scrollbar-size-vertical: 0; overflow-x: hidden; }"
    BINDINGS: ClassVar[list[BindingType]] = bindings("reading")

    class Moved(Message):
        """The cursor stands on another token."""

    class Left(Message):
        """The cursor was moved out of the text, upwards."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.cursor = 0
        """The token that is read."""
        self.digits = False
        """Whether digits stand under the text though it is shaded."""
        self._readings: list[Reading] = []
        self._owner: list[int] = []  # of every character, its token
        self._text = ""
        self._lines: list[tuple[int, int]] = []

    def show(self, tokens: Sequence[bytes], readings: Sequence[Reading]) -> None:
        """Show a window; the cursor stays where it is only if the text does."""
        texts = token_texts(tokens)
        text = "".join(texts)
        if text != self._text:
            self.cursor = 0
        self._text, self._readings = text, list(readings)
        self._owner = [index for index, text in enumerate(texts) for _ in text]
        self._wrap()

    @property
    def count(self) -> int:
        """How many tokens there are."""
        return len(self._readings[0].losses) if self._readings else 0

    def on_resize(self) -> None:
        """Wrap to the new width."""
        self._wrap()

    def _wrap(self) -> None:
        width = max(8, self.size.width - _MARGIN - 1)
        self._lines, start = [], 0
        while start < len(self._text):
            end = self._text.find("↵", start) + 1 or len(self._text)
            while end < len(self._text) and self._text[end] == "↵":  # an empty line is no line of its own
                end += 1
            self._lines += wrap(self._text, start, end, width)
            start = end
        self.set_reactive(WindowText.virtual_size, Size(0, len(self._lines) * self._rows))
        self._follow()
        self.refresh()

    @property
    def _rows(self) -> int:
        """Screen rows a line of text takes: one a model, as many again for digits, and a blank one."""
        return max(1, len(self._readings) * (2 if self.numbered else 1) + self._gap)

    @property
    def _gap(self) -> int:
        """A blank row after each line of text, where there is room for that."""
        return 1 if self.size.height >= _AIRY else 0

    @property
    def numbered(self) -> bool:
        """Whether digits are shown: wanted, or the only sign there is."""
        return self.digits or theme.glyphs().ascii or not shades.shaded(theme.palette(self.app))

    # The cursor ------------------------------------------------------------------------------------------

    async def action_key(self, id: str) -> None:
        """What the keys of the text are bound to."""
        await self.run_action(BY_ID[id].action)

    def action_token(self, by: int) -> None:
        """The token before, or after."""
        self._go(self.cursor + by)

    def action_back(self) -> None:
        """Out of the text."""
        self.post_message(self.Left())

    def action_scroll_home(self) -> None:
        """The first token."""
        self._go(0)

    def action_scroll_end(self) -> None:
        """The last token."""
        self._go(self.count - 1)

    def action_line(self, direction: int) -> None:
        """The line above, or out of the text; or the line below."""
        if not self._line(direction) and direction < 0:
            self.action_back()

    def _place(self) -> int:
        """The first character of the token under the cursor; of one that shows none, the next."""
        return next((i for i, owner in enumerate(self._owner) if owner >= self.cursor), len(self._owner) - 1)

    def _line(self, direction: int) -> bool:
        """Move up or down by a line, in the same column; whether there is one."""
        place = self._place()
        now = next((i for i, (first, last) in enumerate(self._lines) if first <= place < last), 0)
        if not 0 <= now + direction < len(self._lines):
            return False
        first, last = self._lines[now + direction]
        self._go(self._owner[min(first + place - self._lines[now][0], max(first, last - 1))])
        return True

    def _go(self, token: int) -> None:
        token = max(0, min(token, self.count - 1))
        if token != self.cursor:
            self.cursor = token
            self._follow()
            self.refresh()
            self.post_message(self.Moved())

    def _follow(self) -> None:
        """Scroll as little as shows the cursor's line."""
        place = self._place()
        line = next((i for i, (first, last) in enumerate(self._lines) if first <= place < last), 0)
        top, height = line * self._rows, max(1, self.size.height)
        first = min(top, max(self.scroll_offset.y, top + self._rows - self._gap - height))
        if first != self.scroll_offset.y:
            self.scroll_to(y=max(0, first), animate=False, force=True)

    # Drawing ---------------------------------------------------------------------------------------------

    def on_focus(self) -> None:
        """The cursor is seen."""
        self.refresh()

    def on_blur(self) -> None:
        """The cursor is not seen."""
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """One row: a model's name and its shades, or its digits."""
        width, base = self.size.width, self.rich_style
        line, row = divmod(y + self.scroll_offset.y, self._rows)
        if line >= len(self._lines) or not self._readings or row == self._rows - self._gap:
            return Strip.blank(width, base)
        each = 2 if self.numbered else 1
        reading, below = self._readings[row // each], row % each == 1
        palette = theme.palette(self.app)
        name, role = reading.name
        segments = [Segment(("" if below else spell(name)).ljust(_MARGIN), ink(palette, role))]
        segments += self._cells(self._lines[line], reading, palette, below)
        return Strip(segments).adjust_cell_length(width).apply_style(base)

    def _cells(
        self, line: tuple[int, int], reading: Reading, palette: theme.Palette, below: bool
    ) -> list[Segment]:
        segments, at = [], line[0]
        while at < line[1]:
            token = self._owner[at]
            end = at
            while end < line[1] and self._owner[end] == token:
                end += 1
            here = token == self.cursor and self.has_focus
            text, level = self._text[at:end], shades.level(reading.losses[token])
            style: Style = shades.shade(palette, level, cursor=here)
            if below:
                text, style = (
                    shades.digit(reading.losses[token]).ljust(end - at),
                    theme.style(palette, "muted"),
                )
            segments.append(Segment(spell(text), style))
            at = end
        return segments
