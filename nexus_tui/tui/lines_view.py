"""Lines of coloured text that scroll where there are too many; no layout, so that a change costs little."""

from collections.abc import Sequence

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from nexus_tui.tui import theme
from nexus_tui.tui.glyphs import spell
from nexus_tui.tui.lines import Line, ink


class LinesView(ScrollView, can_focus=True):
    """Shows lines from the top. A sign at the bottom says that there are more; arrow keys scroll to them."""

    # A scrollbar that came and went with the lines would lay out the whole screen each time.
    DEFAULT_CSS = """
    LinesView { background: $background; scrollbar-size-vertical: 0; overflow-x: hidden; }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._lines: list[Line] = []

    def show(self, lines: Sequence[Line], *, top: bool = False) -> None:
        """Show these lines from now on, with `top` from the first; repaints the rows that differ."""
        old, self._lines = self._lines, [tuple(line) for line in lines]
        # Assigning virtual_size would lay out the screen; without scrollbars nothing depends on it.
        self.set_reactive(LinesView.virtual_size, Size(0, len(self._lines)))
        if top or self.scroll_offset.y > self.max_scroll_y:
            self.scroll_to(y=0 if top else self.max_scroll_y, animate=False, force=True)
        first, height = self.scroll_offset.y, self.size.height
        more = len(old) > first + height, len(self._lines) > first + height
        for y in range(height):
            if self._at(old, first + y) != self._at(self._lines, first + y) or (
                y == height - 1 and more[0] != more[1]
            ):
                self.refresh(Region(0, y, self.size.width, 1))

    @staticmethod
    def _at(lines: list[Line], index: int) -> Line:
        return lines[index] if index < len(lines) else ()

    def render_line(self, y: int) -> Strip:
        """Row `y` of what is in sight."""
        base, (width, height) = self.rich_style, self.size
        palette, index = theme.palette(self.app), y + self.scroll_offset.y
        line = self._at(self._lines, index)
        strip = Strip([Segment(spell(text), ink(palette, role)) for text, role in line])
        if y == height - 1 and len(self._lines) > index + 1:
            sign = theme.glyphs().down
            strip = strip.adjust_cell_length(max(0, width - 2))
            strip = Strip([*strip, Segment(f" {sign}", ink(palette, "muted"))])
        return strip.adjust_cell_length(width).apply_style(self.under(index)).apply_style(base)

    def under(self, index: int) -> Style:  # noqa: ARG002
        """What a line is drawn on, besides the background."""
        return Style.null()
