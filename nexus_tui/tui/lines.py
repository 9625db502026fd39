"""A few lines of coloured text; a refresh repaints only the cells from the first that differs."""

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
                start = _same(before, after)
                if start < self.size.width:
                    regions.append(Region(start, y, self.size.width - start, 1))
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


def _same(before: Line, after: Line) -> int:
    """How many cells at the beginning are the same: whole spans, then whole characters."""
    cells = 0
    for (old, old_role), (new, new_role) in zip(before, after, strict=False):
        if old_role != new_role:
            break
        if old == new:
            cells += cell_len(old)
            continue
        for a, b in zip(old, new, strict=False):
            if a != b:
                return cells
            cells += cell_len(a)
        break
    return cells
