"""A few lines of coloured text; a refresh repaints only the cells that differ."""

from collections.abc import Sequence

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from nexus_tui.tui import theme
from nexus_tui.tui.glyphs import spell

Span = tuple[str, str]
"""A text and the role (see `theme`) it is drawn in: `role!` bold, `role_` underlined, `role~` reverse."""
Line = tuple[Span, ...]

_NEAR = 6
"""Cells between two changes for which it is not worth to move the cursor."""
_UNDERLINED, _REVERSED = Style(underline=True), Style(reverse=True)


def ink(palette: theme.Palette, role: str) -> Style:
    """Style of a role; the signs at its end make it bold (`!`), underlined (`_`) or reversed (`~`)."""
    name = role.rstrip("!_~")
    signs = role[len(name) :]
    style = theme.style(palette, name, bold="!" in signs)
    style = style + _UNDERLINED if "_" in signs else style
    return style + _REVERSED if "~" in signs else style


def width_of(line: Sequence[Span]) -> int:
    """Cells of a line."""
    return sum(cell_len(text) for text, _ in line)


def spread(left: Sequence[Span], right: Sequence[Span], width: int) -> Line:
    """Left and right parts with blank cells between them; without room for both, the left part alone."""
    room = width - width_of(left) - width_of(right)
    return (*left, (" " * room, "text"), *right) if room > 0 else tuple(left)


class Lines(Widget, can_focus=False):
    """Shows lines, from the top. They are cut at the right edge."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._lines: list[Line] = []

    def show(self, lines: Sequence[Line]) -> None:
        """Show these lines from now on; repaints what differs."""
        old, self._lines = self._lines, [tuple(line) for line in lines]
        regions = []
        for y in range(min(max(len(old), len(self._lines)), self.size.height)):
            before = old[y] if y < len(old) else ()
            after = self._lines[y] if y < len(self._lines) else ()
            if before != after:
                regions += [Region(x, y, stop - x, 1) for x, stop in _changes(before, after, self.size.width)]
        if regions:
            self.refresh(*regions)

    def render_line(self, y: int) -> Strip:
        """Line `y`."""
        base, width = self.rich_style, self.size.width
        if y >= len(self._lines):
            return Strip.blank(width, base)
        palette = theme.palette(self.app)
        segments = [Segment(spell(text), ink(palette, role)) for text, role in self._lines[y]]
        return Strip(segments).adjust_cell_length(width).apply_style(base)


def _changes(before: Line, after: Line, width: int) -> list[tuple[int, int]]:
    """First cell and the one after the last of every stretch of `width` cells that differs."""
    old, new = _cells(before, width), _cells(after, width)
    spans: list[tuple[int, int]] = []
    for x, (one, other) in enumerate(zip(old, new, strict=True)):
        if one == other:
            continue
        if spans and x - spans[-1][1] < _NEAR:
            spans[-1] = (spans[-1][0], x + 1)
        else:
            spans.append((x, x + 1))
    return spans


def _cells(line: Line, width: int) -> list[tuple[str, str]]:
    """What stands in each of `width` cells, and its role; a wide character in two."""
    cells: list[tuple[str, str]] = []
    for text, role in line:
        if text.isascii():
            cells += [(character, role) for character in text]
        else:
            cells += [(character, role) for character in text for _ in range(cell_len(character))]
        if len(cells) >= width:
            break
    return cells[:width] + [(" ", "")] * (width - len(cells))
