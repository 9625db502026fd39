"""Rows of one or more lines with a cursor; only changed lines are repainted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.style import Style
from textual.binding import BindingType
from textual.geometry import Region
from textual.message import Message

from nexus_tui.tui.keys import BY_ID, bindings
from nexus_tui.tui.lines import Line
from nexus_tui.tui.lines_view import LinesView


class RowsView(LinesView):
    """Rows, each of as many lines as the others. The cursor's lines have a background of their own."""

    DEFAULT_CSS = """
    RowsView > .rows--cursor {
        background: $block-cursor-blurred-background; text-style: $block-cursor-blurred-text-style;
    }
    RowsView:focus > .rows--cursor {
        background: $block-cursor-background; text-style: $block-cursor-text-style;
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {"rows--cursor"}
    BINDINGS: ClassVar[list[BindingType]] = bindings("list")

    class Moved(Message):
        """The user put the cursor on another row."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.cursor = 0
        self._tall = 1
        self._count = 0

    def show_rows(self, rows: Sequence[Sequence[Line]], tall: int) -> None:
        """Show rows of `tall` lines each from now on; repaints the lines that differ."""
        if tall != self._tall:
            self._tall = tall
            self.refresh()
        self._count = len(rows)
        self.show([line for row in rows for line in (*row, *[()] * (tall - len(row)))])
        self.go_to(self.cursor)

    def go_to(self, index: int) -> None:
        """Put the cursor on a row."""
        index = max(0, min(index, self._count - 1))
        if index != self.cursor:
            before, self.cursor = self.cursor, index
            self._repaint_rows(before, index)
        self._follow()

    async def action_key(self, id: str) -> None:
        """What the keys of a list are bound to."""
        await self.run_action(BY_ID[id].action)

    def action_down(self) -> None:
        """Next row."""
        self._move(self.cursor + 1)

    def action_up(self) -> None:
        """Row before."""
        self._move(self.cursor - 1)

    def action_page(self, pages: int) -> None:
        """Move by so many screenfuls."""
        self._move(self.cursor + pages * max(1, self.size.height // self._tall - 1))

    def action_first(self) -> None:
        """First row."""
        self._move(0)

    def action_last(self) -> None:
        """Last row."""
        self._move(self._count - 1)

    def _move(self, index: int) -> None:
        self.go_to(index)
        self.post_message(self.Moved())

    def _repaint_rows(self, *rows: int) -> None:
        for row in rows:
            for line in range(row * self._tall, (row + 1) * self._tall):
                y = line - self.scroll_offset.y
                if 0 <= y < self.size.height:
                    self.refresh(Region(0, y, self.size.width, 1))

    def _follow(self) -> None:
        """Scroll as little as shows the cursor's row."""
        height, top = self.size.height, self.scroll_offset.y
        first, end = self.cursor * self._tall, (self.cursor + 1) * self._tall
        target = max(0, min(first, max(top, end - height)))
        if height > 0 and target != top:
            self.scroll_to(y=target, animate=False, force=True)

    def under(self, index: int) -> Style:
        """The cursor's background."""
        if self._count and index // self._tall == self.cursor:
            return self.get_component_rich_style("rows--cursor", partial=True)
        return super().under(index)
