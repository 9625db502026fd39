"""A text that grows at its end: wrapped as it comes, and only the lines that changed are repainted."""

from __future__ import annotations

from collections.abc import Iterator

from rich.cells import cell_len, get_character_cell_size
from rich.segment import Segment
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from nexus_tui.tui import theme
from nexus_tui.untrusted import visible


def wrap(text: str, start: int, end: int, width: int) -> Iterator[tuple[int, int]]:
    """Lines of at most `width` cells for a paragraph, as offsets; broken after spaces where there are any."""
    line, column, space = start, 0, 0
    for index in range(start, end):
        cells = get_character_cell_size(text[index])
        if column + cells > width:
            if text[index] == " ":  # a space at the edge hangs over it
                yield line, index
                line, column, space = index + 1, 0, 0
                continue
            while column + cells > width and line < index:
                cut = space if space > line else index
                yield line, cut
                line = cut
                column = cell_len(text[line:index])
        column += cells
        if text[index] == " ":
            space = index + 1
    yield line, end


class TextView(ScrollView, can_focus=True):
    """Shows a prompt (bold) and what follows it. Keeps to the end while the end is in sight."""

    DEFAULT_CSS = "TextView { background: $background; scrollbar-size-vertical: 1; overflow-x: hidden; }"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._text = ""
        self._bold = 0  # the prompt's length
        self._lines: list[tuple[int, int]] = []
        self._paragraph = 0  # the first line of the last paragraph
        self._live = False
        self._hint = ""
        self._pitch = 1  # rows to a line of text

    @property
    def text(self) -> str:
        """All of it as shown: control characters are symbols."""
        return self._text

    def begin(self, prompt: str) -> None:
        """Start anew with a prompt."""
        self._text = visible(prompt, theme.glyphs().ascii)
        self._bold = len(self._text)
        self._lines, self._paragraph, self._live = [], 0, True
        self._wrap()
        self.refresh()
        self.scroll_end(animate=False, force=True)

    def append(self, text: str) -> None:
        """Add to the end."""
        if not text:
            return
        follow = self.scroll_offset.y >= self.max_scroll_y - 1
        before = self._lines
        self._text += visible(text, theme.glyphs().ascii)
        self._wrap()
        self._repaint(before)
        if follow and self.max_scroll_y > self.scroll_offset.y:
            self.scroll_end(animate=False, force=True)

    def finish(self) -> None:
        """Nothing more comes."""
        if self._live:
            self._live = False
            self._repaint(self._lines)

    def hint(self, text: str) -> None:
        """What to say while there is no text."""
        if text != self._hint:
            self._hint = text
            self.refresh()

    def on_resize(self) -> None:
        """Wrap all of it to the new width."""
        self._lines, self._paragraph = [], 0
        self._wrap()
        self.refresh()

    def _wrap(self) -> None:
        self._wrap_to(max(1, self.size.width - 1))  # room for the mark at the end
        lines, height = len(self._lines) * self._pitch, self.size.height
        if (lines > height) == (self.virtual_size.height > height):
            # The scrollbar neither comes nor goes: spare the layout, which paints the whole screen.
            self.set_reactive(TextView.virtual_size, Size(0, lines))
            self.vertical_scrollbar.window_virtual_size = lines
        else:
            self.virtual_size = Size(0, lines)

    def _wrap_to(self, width: int) -> None:
        """Bring the lines up to date from the last paragraph on."""
        lines = self._lines[: self._paragraph]
        start = self._lines[self._paragraph][0] if self._paragraph < len(self._lines) else 0
        while True:
            newline = self._text.find("\n", start)
            self._paragraph = len(lines)
            lines.extend(wrap(self._text, start, len(self._text) if newline < 0 else newline, width))
            if newline < 0:
                break
            start = newline + 1
        self._lines = lines

    def _repaint(self, before: list[tuple[int, int]]) -> None:
        """Repaint the cells in sight that differ from those of the lines before, and the mark at the end."""
        top, pitch = self.scroll_offset.y, self._pitch
        bottom = -(-(top + self.size.height) // pitch)
        for index in range(top // pitch, min(bottom, max(len(before), len(self._lines)))):
            old = before[index] if index < len(before) else (0, 0)
            new = self._lines[index] if index < len(self._lines) else (0, 0)
            if old == new and index not in (len(before) - 1, len(self._lines) - 1):
                continue
            kept = self._cells(old[0], min(old[1], new[1])) if old[0] == new[0] else 0
            end = max(self._cells(*old), self._cells(*new)) + 1  # and the mark
            self._refresh_cells(index, kept, end)

    def _refresh_cells(self, index: int, start: int, end: int) -> None:
        """Repaint some cells of a line."""
        top, width, height = self.scroll_offset.y, *self.size
        first, last = max(index * self._pitch - top, 0), min((index + 1) * self._pitch - top, height)
        if first < last:
            self.refresh(Region(start, first, min(end, width) - start, last - first))

    def _cells(self, start: int, end: int) -> int:
        return cell_len(self._text[start:end])

    def render_line(self, y: int) -> Strip:
        """One row: the text of a line, or what stands under it."""
        width, base = self.size.width, self.rich_style
        index, below = divmod(y + self.scroll_offset.y, self._pitch)
        segments: list[Segment] = []
        if not self._text and not self._live:
            segments = [Segment(self._hint, theme.style(self._palette, "muted"))] if y == 0 else []
        elif index < len(self._lines):
            segments = self._under(index) if below else [*self._segments(index), *self._mark(index)]
        return Strip(segments).adjust_cell_length(width).apply_style(base)

    @property
    def _palette(self) -> theme.Palette:
        return theme.palette(self.app)

    def _segments(self, index: int) -> list[Segment]:
        """A line: the prompt's part bold, the rest plain."""
        start, end = self._lines[index]
        cut = min(max(self._bold, start), end)
        return [
            Segment(self._text[start:cut], theme.style(self._palette, "text", bold=True)),
            Segment(self._text[cut:end], theme.style(self._palette, "text")),
        ]

    def _mark(self, index: int) -> list[Segment]:
        """What stands after a line: a mark at the end while more may come."""
        if self._live and index == len(self._lines) - 1:
            return [Segment("_" if theme.glyphs().ascii else "▌", theme.style(self._palette, "live"))]
        return []

    def _under(self, index: int) -> list[Segment]:  # noqa: ARG002
        """What stands under a line, where a line has more than one row."""
        return []
