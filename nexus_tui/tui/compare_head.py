"""The lines around the overview: what is compared on which text, what is being done, the sections' names."""

from __future__ import annotations

from collections.abc import Sequence

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from nexus_tui.tui import format, theme
from nexus_tui.tui.analyst import Analyst
from nexus_tui.tui.compare_table import CompareTable
from nexus_tui.tui.comparing import Comparing
from nexus_tui.tui.glyphs import spell
from nexus_tui.tui.lines import Line, Span, ink, spread
from nexus_tui.tui.safe import fit, plain


def head(c: Comparing | None, filled: int, width: int) -> Line:
    """How many, of which runs, on what text."""
    if c is None:
        return (("compare", "text!"),)
    names = list(dict.fromkeys(plain(row.subject.run.name) for row in c.rows))
    of = names[0] if len(names) == 1 else f"{len(names)} runs: {', '.join(names)}"
    left: list[Span] = [("compare ", "text!"), (f"{len(c.rows)} checkpoints of {of}", "muted")]
    if filled:
        what = "the true best and the newest evaluated" if filled == 2 else "what is marked, and another"
        left = [("compare ", "text!"), (f"{what} of {of}; space in 3 marks others", "muted")]
    for text in validation_texts(c):
        line = spread(left, ((text, "muted"),), width)
        if len(line) > len(left):
            return line
    return (left[0], (fit(left[1][0], max(0, width - 8)), "muted"))


def validation_texts(c: Comparing) -> list[str]:
    """The validation text as the record names it, then shorter and shorter."""
    subjects = [s for s in c.comparison.subjects if s.evaluation]
    protocols = {s.protocol for s in subjects}
    if len(protocols) != 1:
        return ["different validation texts" if protocols else "no validation on record"]
    subject = subjects[0]
    parts = []
    if corpus := subject.run.setting("data.corpus"):
        parts.append(plain(str(corpus)))
    if subject.evaluation and subject.evaluation.event.windows:
        length = subject.run.setting("data.window")
        of = f" of {length}" if isinstance(length, int) else ""
        parts.append(f"{format.count(subject.evaluation.event.windows)} windows{of}")
    if subject.protocol:
        parts.append(f"protocol {plain(subject.protocol[:8])}")
    return [" · ".join(parts[:count]) for count in (3, 2)] + parts[1:2]


def info(analyst: Analyst, c: Comparing | None, table: CompareTable, width: int) -> Line:
    """What is being worked out; else what of the row under the cursor has no column."""
    if analyst.live:
        words = fit(analyst.news, max(0, min(len(analyst.news), width - 14)))
        return ((words, "live"), ("   esc cancels", "muted"))
    spans: list[Span] = []
    room = width
    for label, value in table.left_out() if c else ():
        text = f"{label} {value}"
        room -= len(text) + 3
        if room < 0:
            break
        spans.append((f"{text}   ", "muted"))
    return tuple(spans)


class SectionTabs(Widget, can_focus=False):
    """The sections' names in a row; the letter that opens one is underlined."""

    DEFAULT_CSS = "SectionTabs { height: 1; background: $footer-background; }"

    class Chosen(Message):
        """A name was clicked."""

        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

    def __init__(self, names: Sequence[tuple[str, str]], *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._names = list(names)
        self._current = names[0][0]

    def show(self, name: str) -> None:
        """Mark this one as the one that is seen."""
        if name != self._current:
            self._current = name
            self.refresh()

    def _places(self) -> list[tuple[int, int, str]]:
        places, x = [], 1
        for name, _ in self._names:
            places.append((x, x + len(name) + 2, name))
            x += len(name) + 3
        return places

    def render_line(self, y: int) -> Strip:  # noqa: ARG002
        """The row."""
        palette = theme.palette(self.app)
        underline = Style(underline=True)
        segments = [Segment(" ")]
        for name, letter in self._names:
            here = name == self._current
            style = ink(palette, "live!" if here else "muted")
            opened, closed = ("[", "]") if here else (" ", " ")
            at = name.index(letter)
            segments += [
                Segment(f"{opened}{name[:at]}", style),
                Segment(name[at], style + underline),
                Segment(f"{name[at + 1 :]}{closed} ", style),
            ]
        strip = Strip(segments)
        hint = spell("tab")
        room = self.size.width - strip.cell_length - len(hint) - 8
        if room > 0:
            strip = Strip(
                [
                    *strip,
                    Segment(" " * room),
                    Segment(f"{hint} ", ink(palette, "text!")),
                    Segment("next", ink(palette, "muted")),
                ]
            )
        return strip.adjust_cell_length(self.size.width).apply_style(self.rich_style)

    def on_click(self, event: events.Click) -> None:
        """Open the section under the mouse."""
        for start, end, name in self._places():
            if start <= event.x < end:
                self.post_message(self.Chosen(name))
