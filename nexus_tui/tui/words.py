"""A label of coloured words that costs nothing while it says the same."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text
from textual.app import App
from textual.widget import Widget

from nexus_tui.tui import theme
from nexus_tui.tui.checkpoint_rows import Span
from nexus_tui.tui.checkpoint_table import drawn


def ink(app: App[object], spans: Sequence[Span]) -> Text:
    """Text of (words, role) parts, never read as markup; a role that ends in `!` is bold."""
    palette = theme.palette(app)
    text = Text(end="")
    for words, role in spans:
        text.append(drawn(words), theme.style(palette, role.removesuffix("!"), bold=role.endswith("!")))
    return text


class Words(Widget):
    """Words on the left and, if there is room, on the right."""

    DEFAULT_CSS = "Words { height: 1; background: $background; }"

    def __init__(self, *, id: str | None = None, wraps: bool = False) -> None:
        super().__init__(id=id)
        self._left: list[Span] = []
        self._right: list[Span] = []
        self._wraps = wraps

    def show(self, left: Sequence[Span], right: Sequence[Span] = ()) -> None:
        """Say something else; the same costs nothing."""
        if (self._left, self._right) != ([*left], [*right]):
            self._left, self._right = [*left], [*right]
            self.refresh(layout=self._wraps)

    def render(self) -> Text:
        """The words."""
        text = ink(self.app, self._left)
        text.no_wrap = not self._wraps
        right = ink(self.app, self._right)
        room = self.size.width - text.cell_len - right.cell_len
        if right and room > 0:
            text.append(" " * room)
            text.append_text(right)
        return text
