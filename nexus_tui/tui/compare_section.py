"""What the sections of the compare screen share: a sheet of lines, and what stands for missing results."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container

from nexus_tui.tui.analyst import Job
from nexus_tui.tui.comparing import Comparing
from nexus_tui.tui.flow import flow
from nexus_tui.tui.glyphs import spell
from nexus_tui.tui.lines import Line
from nexus_tui.tui.lines_view import LinesView


class Sheet(LinesView):
    """Lines that scroll. Above the first one the cursor goes back to the overview; ← → choose the pair."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j", "scroll_down", show=False),
        Binding("k", "scroll_up", show=False),
    ]

    def show(self, lines: Sequence[Line], *, top: bool = False) -> None:
        """Show these lines from now on, in what this terminal can draw."""
        super().show([tuple((spell(text), role) for text, role in line) for line in lines], top=top)

    def _go(self, y: int) -> None:
        self.scroll_to(y=max(0, min(y, self.max_scroll_y)), animate=False, force=True)

    def action_scroll_up(self) -> None:
        """One line up, or out of the section."""
        if self.scroll_offset.y <= 0:
            self.screen.action_out()  # type: ignore[attr-defined]
        else:
            self._go(self.scroll_offset.y - 1)

    def action_scroll_down(self) -> None:
        """One line down."""
        self._go(self.scroll_offset.y + 1)

    def action_page_up(self) -> None:
        """A screenful up."""
        self._go(self.scroll_offset.y - max(1, self.size.height - 1))

    def action_page_down(self) -> None:
        """A screenful down."""
        self._go(self.scroll_offset.y + max(1, self.size.height - 1))

    def action_scroll_home(self) -> None:
        """The first line."""
        self._go(0)

    def action_scroll_end(self) -> None:
        """The last line."""
        self._go(self.max_scroll_y)

    def action_scroll_left(self) -> None:
        """The pair before."""
        self.screen.action_pair(-1)  # type: ignore[attr-defined]

    def action_scroll_right(self) -> None:
        """The next pair."""
        self.screen.action_pair(1)  # type: ignore[attr-defined]


class Section(Container):
    """One section. `show` draws what is known; `jobs` says what else is to be worked out for it."""

    NAME: ClassVar[str] = ""
    """Its name, and its id."""
    LETTER: ClassVar[str] = ""
    """The letter of its name that opens it."""
    PAIRED: ClassVar[bool] = False
    """Whether ← and → do anything here."""
    VIEWS: ClassVar[bool] = False
    """Whether it can be shown another way."""
    DEFAULT_CSS = "Section { height: 1fr; } Section Sheet { height: 1fr; padding: 0 1; }"

    def __init__(self) -> None:
        super().__init__(id=self.NAME)
        self.c: Comparing | None = None

    def compose(self) -> ComposeResult:
        """A sheet."""
        yield Sheet()

    @property
    def sheet(self) -> Sheet:
        """The lines."""
        return self.query_one(Sheet)

    @property
    def room(self) -> int:
        """Cells of a line."""
        return max(20, self.size.width - 2)

    def jobs(self, c: Comparing) -> list[Job]:  # noqa: ARG002
        """What it needs, in the order in which it is wanted."""
        return []

    def lines(self, c: Comparing, width: int) -> list[Line]:
        """What the sheet says."""
        raise NotImplementedError

    def show(self, c: Comparing) -> None:
        """Draw what is known of these."""
        other = self.c is None or self.c.rows != c.rows or self.c.pair != c.pair
        self.c = c
        if self.is_mounted and self.size.width:
            self.draw(c, top=other)

    def draw(self, c: Comparing, *, top: bool = False) -> None:
        """Draw, with `top` from the first line."""
        self.sheet.show(self.lines(c, self.room), top=top)

    def on_resize(self) -> None:
        """Another size."""
        if self.c is not None:
            self.call_after_refresh(self.show, self.c)

    def enter(self) -> None:
        """Take the cursor."""
        self.sheet.focus()

    def arrive(self) -> None:
        """It was chosen: take the cursor, if it is what there is to move in."""

    def leave(self) -> None:
        """What it was waiting for is not wanted any more."""

    def toggle(self) -> None:
        """What `t` does here."""

    def step(self, direction: int) -> bool:  # noqa: ARG002
        """What ← and → do here, if not choosing the pair; whether anything."""
        return False


def missing(c: Comparing, jobs: Iterable[Job], width: int) -> list[Line]:
    """What is not there, and why: failures in full, then how far it is or how to begin."""
    lines: list[Line] = []
    waiting = False
    for job in jobs:
        if failure := c.analyst.failure(job.key):
            lines += flow([(f"{job.words.partition(':')[0]}: {failure}", "error")], width)
        waiting = waiting or not c.analyst.knows(job.key)
    if waiting:
        lines.append(later(c))
    return lines


def later(c: Comparing) -> Line:
    """Stands for what is not worked out yet."""
    if c.analyst.live:
        return (("being worked out", "live"), ("; esc cancels", "muted"))
    return (("not worked out; ", "muted"), ("r", "text!"), (" begins", "muted"))
