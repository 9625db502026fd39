"""What a model thought of one token, and what else might stand in its place, to choose from."""

from __future__ import annotations

from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import BindingType
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from nexus_tui.tui import format, theme
from nexus_tui.tui.glyphs import spell
from nexus_tui.tui.heading import bar
from nexus_tui.tui.keys import BY_ID, bindings
from nexus_tui.tui.lines import Line, Span, ink, spread
from nexus_tui.tui.safe import fit
from nexus_tui.tui.thoughts import Option, Thought
from nexus_tui.untrusted import visible

DIGITS = "1234567890"
"""The key of each alternative."""
TALL = 14
"""Rows from which there is room for a list with an alternative a row."""
_CELL = 19
"""Cells of an alternative where several share a row."""
_WIDE = 70
"""Cells from which all that is said of the token fits into a row."""
_HINT = "←→ reads the text token by token: how probable each was, and what might stand in its place."


def spelled(token: bytes) -> str:
    """A token in one piece: blanks and line breaks as signs, bytes that are no character in hexadecimal."""
    ascii = theme.glyphs().ascii
    try:
        text = token.decode()
    except UnicodeDecodeError:
        return "".join(chr(b) if 0x20 < b < 0x7F else f"\\x{b:02x}" for b in token)
    text = text.replace(" ", "_" if ascii else "␣").replace("\n", "$" if ascii else "⏎")
    return visible(text, ascii) or format.MISSING


class Inspector(Widget, can_focus=True):
    """Shows a `Thought`. With the focus, one of its alternatives can be chosen."""

    DEFAULT_CSS = """
    Inspector { background: $background; }
    Inspector > .inspector--cursor {
        background: $block-cursor-background; text-style: $block-cursor-text-style;
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {"inspector--cursor"}
    BINDINGS: ClassVar[list[BindingType]] = bindings("options")

    class Chosen(Message):
        """Another token is wanted; `option` is its number from 0."""

        def __init__(self, option: int) -> None:
            super().__init__()
            self.option = option

    class Moved(Message):
        """Another place is wanted, so many tokens on."""

        def __init__(self, by: int) -> None:
            super().__init__()
            self.by = by

    class Left(Message):
        """Back to the text."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.option = 0
        """The alternative under the cursor."""
        self._thought: Thought | None = None
        self._where = ""
        self._of = 0

    def tell(self, thought: Thought | None, where: str = "", vocabulary: int = 0) -> None:
        """Show what was thought of a token, of a vocabulary of so many; None says how to look at one.

        `where` is its place in the text, in words.
        """
        if (thought, where, vocabulary) != (self._thought, self._where, self._of):
            another = thought is None or self._thought is None or thought.position != self._thought.position
            self._thought, self._where, self._of = thought, where, vocabulary
            if another:
                self.option = 0
            self.option = min(self.option, max(0, len(thought.options) - 1 if thought else 0))
            self.refresh()

    # Keys ------------------------------------------------------------------------------------------------

    async def action_key(self, id: str) -> None:
        """What the keys of the alternatives are bound to."""
        await self.run_action(BY_ID[id].action)

    async def on_key(self, event: events.Key) -> None:
        """A digit chooses at once."""
        if event.character and event.character in DIGITS and self._thought:
            event.stop()
            event.prevent_default()
            self._choose(DIGITS.index(event.character))

    def action_pick(self) -> None:
        """Digits say themselves which one they choose."""

    def action_option(self, by: int) -> None:
        """Another alternative."""
        if self._thought and self._thought.options:
            self.option = max(0, min(self.option + by, len(self._thought.options) - 1))
            self.refresh()

    def action_branch(self) -> None:
        """Choose the one under the cursor."""
        self._choose(self.option)

    def action_place(self, by: int) -> None:
        """Another token of the text."""
        self.post_message(self.Moved(by))

    def action_back(self) -> None:
        """Back to the text."""
        self.post_message(self.Left())

    def _choose(self, option: int) -> None:
        if self._thought and option < len(self._thought.options):
            self.post_message(self.Chosen(option))

    def on_focus(self) -> None:
        """Show the cursor among the alternatives."""
        self.refresh()

    def on_blur(self) -> None:
        """Hide it."""
        self.refresh()

    # Drawing ---------------------------------------------------------------------------------------------

    def render_line(self, y: int) -> Strip:
        """Row `y`."""
        width, palette = self.size.width, theme.palette(self.app)
        segments: list[Segment] = []
        for words, role, under in self._row(y):
            segments.append(Segment(spell(words), ink(palette, role) + under))
        return Strip(segments).adjust_cell_length(width).apply_style(self.rich_style)

    def _row(self, y: int) -> list[tuple[str, str, Style]]:
        thought, (width, height) = self._thought, self.size
        if thought is None:
            words = _HINT if width >= len(_HINT) else _HINT.partition(":")[0] + "."
            return [(words, "muted", Style.null())] if y == 0 else []
        tall = height >= TALL
        head = self._tall_head(thought, width) if tall or width < _WIDE else [self._head(thought, width)]
        if y < len(head):
            return [(words, role, Style.null()) for words, role in head[y]]
        row = y - len(head)
        if tall:
            return self._option(thought, row - 1, width)
        columns = max(1, width // _CELL)
        places = range(row * columns, min((row + 1) * columns, len(thought.options)))
        return [span for place in places for span in self._option(thought, place, _CELL, gap=2)]

    def _head(self, thought: Thought, width: int) -> Line:
        left: list[Span] = [(f"{spelled(thought.token)}   ", "live!"), *_probability(thought)]
        left += [("   rank ", "muted"), (f"{thought.rank:,}", "text")]
        left += [("   entropy ", "muted"), (f"{thought.entropy:.2f} bits", "text")]
        return spread(left, ((self._where, "muted"),), width)

    def _tall_head(self, thought: Thought, width: int) -> list[Line]:
        of = f" of {self._of:,}" if self._of else ""
        rank: list[Span] = [("rank ", "muted"), (f"{thought.rank:,}", "text"), (of, "muted")]
        entropy: list[Span] = [("   entropy ", "muted"), (f"{thought.entropy:.2f} bits", "text")]
        return [
            spread(((spelled(thought.token), "live!"),), ((self._where, "muted"),), width),
            tuple(_probability(thought)),
            (*rank, *entropy),
        ]

    def _option(self, thought: Thought, place: int, width: int, gap: int = 0) -> list[tuple[str, str, Style]]:
        """An alternative: its key, itself, a bar, and how probable it is."""
        if not 0 <= place < len(thought.options):
            return []
        option = thought.options[place]
        stands = option.id == thought.id
        style = Style.null()
        if self.has_focus and place == self.option:
            style = self.get_component_rich_style("inspector--cursor", partial=True)
        compact, width = gap > 0, width - gap
        percent = f"{_round(option):>5}" if compact else f"{_percent(option):>7}"
        wide = 4 if compact else min(24, width // 2)
        name = max(1, width - len(f"{DIGITS[place]}  ") - wide - len(percent))
        spans: list[Span] = [
            (f"{DIGITS[place]} ", "muted"),
            (fit(spelled(option.token), name), "live!" if stands else "text"),
            (" ", "text"),
            *bar(option.probability, wide, "live" if stands else "val"),
            (percent, "text"),
        ]
        return [*((words, role, style) for words, role in spans), (" " * gap, "text", Style.null())]


def _probability(thought: Thought) -> list[Span]:
    percent = _percent(Option(thought.id, thought.token, thought.probability))
    return [(percent, "text!"), ("   surprise ", "muted"), (f"{thought.bits:.2f} bits", "text")]


def _percent(option: Option) -> str:
    """Three figures, so that small ones still differ."""
    percent = 100 * option.probability
    if percent >= 99.95:
        return "100 %" if percent > 99.9999 else ">99.9 %"
    return f"{percent:.1f} %" if percent >= 0.1 else f"{percent:.2f} %" if percent >= 0.01 else "<0.01 %"


def _round(option: Option) -> str:
    """Whole percents."""
    return "<1 %" if option.probability < 0.005 else format.percent(option.probability)
