"""A list of rows with a cursor: columns that give way in a stated order, and only changed lines repainted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from nexus_tui.tui import theme
from nexus_tui.tui.glyphs import spell
from nexus_tui.tui.keys import BY_ID, bindings
from nexus_tui.tui.lines import ink
from nexus_tui.tui.safe import fit

GAP = 2
"""Blank cells between columns."""
MARGIN = "margin"
"""Key of the one cell before the first column."""


@dataclass(frozen=True)
class Column:
    """A column. Where there is no room for all, those with the highest `priority` go first."""

    key: str
    title: str
    width: int
    right: bool = False
    priority: int = 0
    grow: int = 0
    """How many cells it may take beyond its width when there is room."""


Cell = tuple[str, str]
"""A text and the role (see `theme`) in which it is drawn."""


@dataclass(frozen=True)
class Row:
    """A row: what it stands for, and its cells by the columns' keys; the one at MARGIN stands before them."""

    id: str
    cells: Mapping[str, Cell]


NAMES = 16
"""Cells that the name of a checkpoint may take at most, with its star."""


def with_room(columns: Sequence[Column], cells: int, key: str = "step") -> tuple[Column, ...]:
    """The columns, that of steps (`key`) wide enough for a name of so many cells, up to NAMES."""
    return tuple(
        replace(column, width=max(column.width, min(cells, NAMES))) if column.key == key else column
        for column in columns
    )


def fitting(columns: Sequence[Column], width: int) -> list[Column]:
    """The columns for a width of so many cells, in order, grown into what is left over."""
    kept: dict[str, int] = {}
    room = width - 2 + GAP  # a blank cell on both sides, and no gap after the last column
    for column in sorted(columns, key=lambda column: column.priority):
        room -= column.width + GAP
        if room < 0 and kept:
            room += column.width + GAP
            break
        kept[column.key] = column.width
    for column in columns:
        if column.key in kept and column.grow and room > 0:
            more = min(column.grow, room)
            kept[column.key] += more
            room -= more
    return [
        Column(c.key, c.title, kept[c.key], c.right, c.priority, c.grow) for c in columns if c.key in kept
    ]


class Listing(ScrollView, can_focus=True):
    """Rows under titles. `show` takes new ones; the cursor stays on what it was on."""

    DEFAULT_CSS = """
    Listing { background: $background; scrollbar-size-vertical: 1; overflow-x: hidden; }
    Listing > .listing--cursor {
        background: $block-cursor-blurred-background; text-style: $block-cursor-blurred-text-style;
    }
    Listing:focus > .listing--cursor {
        background: $block-cursor-background; text-style: $block-cursor-text-style;
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {"listing--cursor"}
    BINDINGS: ClassVar[list[BindingType]] = bindings("list")

    class Moved(Message):
        """The cursor stands on another row."""

    class Opened(Message):
        """A row was clicked twice."""

    class TitleClicked(Message):
        """A column's title was clicked."""

        def __init__(self, key: str) -> None:
            super().__init__()
            self.key = key

    def __init__(self, columns: Sequence[Column], *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.rows: list[Row] = []
        self.cursor = 0
        self._all = tuple(columns)
        self._columns: list[Column] = []
        self._sorted = ("", False)

    @property
    def current(self) -> str | None:
        """What the row under the cursor stands for."""
        return self.rows[self.cursor].id if self.rows else None

    @property
    def columns(self) -> list[Column]:
        """The columns that there is room for, in order."""
        return self._columns

    def show_columns(self, columns: Sequence[Column]) -> None:
        """Have these columns from now on."""
        if tuple(columns) != self._all:
            self._all = tuple(columns)
            self.on_resize()

    def show_sorted(self, key: str, falling: bool) -> None:
        """Say at the column's title that the rows are in its order, from the smallest or the greatest on."""
        if (key, falling) != self._sorted:
            self._sorted = (key, falling)
            self.refresh(Region(0, 0, self.size.width, 1))

    def show(self, rows: Sequence[Row]) -> None:
        """Take new rows, and repaint the lines that read otherwise now."""
        before, cursor, old = self.current, self.cursor, self.rows
        self.rows = list(rows)
        ids = [row.id for row in self.rows]
        self.cursor = ids.index(before) if before in ids else max(0, min(cursor, len(ids) - 1))
        if len(old) != len(self.rows):
            self.virtual_size = Size(0, len(self.rows) + 1)
            self.refresh()
        else:
            seen = range(top := self.scroll_offset.y, min(top + self.size.height, len(old)))
            changed = {i for i in seen if old[i] is not self.rows[i] and old[i] != self.rows[i]}
            self._repaint(changed | ({cursor, self.cursor} if cursor != self.cursor else set()))
        if self.cursor != cursor:
            self._follow()
        if self.current != before:
            self.post_message(self.Moved())

    def go_to(self, id: str) -> None:
        """Put the cursor on a row, if it is there."""
        for index, row in enumerate(self.rows):
            if row.id == id:
                self._go(index)

    def on_resize(self) -> None:
        """Choose the columns that fit now."""
        self._columns = fitting(self._all, self.size.width)
        self.virtual_size = Size(0, len(self.rows) + 1)
        self.refresh()
        self._follow()

    async def action_key(self, id: str) -> None:
        """What the keys of a list are bound to."""
        await self.run_action(BY_ID[id].action)

    def action_down(self) -> None:
        """Next row."""
        self._go(self.cursor + 1)

    def action_up(self) -> None:
        """Row before."""
        self._go(self.cursor - 1)

    def action_page(self, pages: int) -> None:
        """Move by so many screenfuls."""
        self._go(self.cursor + pages * max(1, self.size.height - 2))

    def action_first(self) -> None:
        """First row."""
        self._go(0)

    def action_last(self) -> None:
        """Last row."""
        self._go(len(self.rows) - 1)

    def on_click(self, event: events.Click) -> None:
        """A click moves the cursor, a double one opens; one on a title is told."""
        index = event.y - 1 + self.scroll_offset.y
        if not event.y and (key := self._title_at(event.x)):
            self.post_message(self.TitleClicked(key))
        if event.y and index < len(self.rows):
            self._go(index)
            if event.chain == 2:
                self.post_message(self.Opened())

    def render_line(self, y: int) -> Strip:
        """The titles, then the rows from the scroll position on."""
        width, base, palette = self.size.width, self.rich_style, theme.palette(self.app)
        if y == 0:
            return self._titles(palette).adjust_cell_length(width).apply_style(base)
        index = y - 1 + self.scroll_offset.y
        if index >= len(self.rows):
            return Strip.blank(width, base)
        here = index == self.cursor
        under = self.get_component_rich_style("listing--cursor", partial=True) if here else Style.null()
        strip = self._strip(self.rows[index].cells, palette, under)
        return strip.extend_cell_length(width, under).crop(0, width).apply_style(base)

    def _titles(self, palette: theme.Palette) -> Strip:
        """The titles, with an arrow behind that of the column that the rows are sorted by."""
        key, falling = self._sorted
        segments = [Segment(" ")]
        for column in self._columns:
            text, role = fit(spell(column.title), column.width, column.right) + " " * GAP, "muted"
            if column.key == key:
                title = f"{spell(column.title)}{theme.glyphs().down if falling else theme.glyphs().up}"
                text, role = fit(title, column.width + (1 if column.right else 0), column.right), "text"
                text = fit(text, column.width + GAP)
            segments.append(Segment(text, ink(palette, role)))
        return Strip(segments)

    def _title_at(self, x: int) -> str:
        """Key of the column at a cell; empty for none."""
        left = 1
        for column in self._columns:
            if left <= x < left + column.width + GAP:
                return column.key
            left += column.width + GAP
        return ""

    def _strip(self, cells: Mapping[str, Cell], palette: theme.Palette, under: Style) -> Strip:
        text, role = cells.get(MARGIN, ("", "text"))
        segments = [Segment(fit(spell(text), 1), ink(palette, role) + under)]
        for column in self._columns:
            text, role = cells.get(column.key, ("", "text"))
            text = fit(spell(text), column.width, column.right)
            segments.append(Segment(text + " " * GAP, ink(palette, role) + under))
        return Strip(segments)

    def _go(self, index: int) -> None:
        index = max(0, min(index, len(self.rows) - 1))
        if index != self.cursor:
            before, self.cursor = self.cursor, index
            self._follow()
            self._repaint({before, index})
            self.post_message(self.Moved())

    def _repaint(self, indices: set[int]) -> None:
        top = self.scroll_offset.y
        for index in indices:
            if 0 <= index - top < self.size.height - 1:
                self.refresh(Region(0, index - top + 1, self.size.width, 1))

    def _follow(self) -> None:
        """Scroll as little as shows the cursor."""
        height, top = self.size.height - 1, self.scroll_offset.y
        if height > 0 and (target := min(self.cursor, max(top, self.cursor - height + 1))) != top:
            self.scroll_to(y=target, animate=False, force=True)
