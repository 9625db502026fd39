"""The footer: one row, the most important key first, dropping from the end; messages pass through it."""

from dataclasses import replace

from rich.segment import Segment
from textual import events
from textual.strip import Strip
from textual.timer import Timer
from textual.widget import Widget

from nexus_tui.tui import theme
from nexus_tui.tui.glyphs import spell
from nexus_tui.tui.keys import BY_ID, Key, Where, footer_keys
from nexus_tui.tui.lines import Line, ink, width_of
from nexus_tui.tui.safe import fit, plain

_LAST = (BY_ID["screens"], BY_ID["help"], BY_ID["palette"])
_ESCAPE = Key("escape", "escape", "", "", "", "everywhere")
"""Stands for what esc does while a text is edited."""
SECONDS = 5.0
"""How long a message stays."""


class KeyBar(Widget, can_focus=False):
    """The keys of a screen in one row, which ends with the screens, `?` and `^p`. A click presses the key."""

    DEFAULT_CSS = "KeyBar { height: 1; dock: bottom; background: $footer-background; }"

    def __init__(self, where: Where) -> None:
        super().__init__()
        self._where = where
        self._greyed: frozenset[str] = frozenset()
        self._escape = ""
        self._part: Where | None = None
        self._message: tuple[str, str] | None = None
        self._timer: Timer | None = None

    def show(self, greyed: frozenset[str], escape: str = "", part: Where | None = None) -> None:
        """Grey out the keys with these ids; repaints only if that is news.

        While a text is edited, `escape` says what esc does: it then stands in place of the screens, and keys
        that would be typed are grey. The keys of `part`, where the focus is, come first.
        """
        if (greyed, escape, part) != (self._greyed, self._escape, self._part):
            self._greyed, self._escape, self._part = greyed, escape, part
            self.refresh()

    def say(self, message: str, role: str = "text") -> None:
        """Show one sentence in place of the keys for a while."""
        self._message = (plain(message), role)
        if self._timer:
            self._timer.stop()
        self._timer = self.set_timer(SECONDS, self.hush)
        self.refresh()

    def hush(self) -> None:
        """Show the keys again."""
        if self._message:
            self._message = None
            self.refresh()

    @property
    def message(self) -> str:
        """The sentence that is shown now; empty if there is none."""
        return self._message[0] if self._message else ""

    def places(self) -> list[tuple[int, Key]]:
        """The keys that are shown, each with its first cell."""
        width = self.size.width
        last = (replace(_ESCAPE, label=self._escape), *_LAST[1:]) if self._escape else _LAST
        tail = sum(width_of(self._entry(key)) for key in last)
        shown: list[tuple[int, Key]] = []
        x = 1
        for key in footer_keys(self._where, self._part):
            if self._escape and key.keys == _ESCAPE.keys:
                continue
            cells = width_of(self._entry(key))
            if x + cells + tail > width:
                break
            shown.append((x, key))
            x += cells
        x = max(x, width - tail)
        for key in last:
            shown.append((x, key))
            x += width_of(self._entry(key))
        return shown

    def grey(self, key: Key) -> bool:
        """Whether a key does nothing now."""
        return key.id in self._greyed or (bool(self._escape) and key.typed)

    def _entry(self, key: Key) -> Line:
        grey = self.grey(key)
        return (
            (key.written, "faint" if grey else "text!"),
            (f" {key.label}  ", "faint" if grey else "muted"),
        )

    def render_line(self, y: int) -> Strip:  # noqa: ARG002
        """The row."""
        palette, width = theme.palette(self.app), self.size.width
        line: list[tuple[str, str]] = []
        if self._message:
            line.append((fit(f" {self._message[0]}", width), self._message[1]))
        else:
            for x, key in self.places():
                line += [(" " * (x - width_of(line)), "text"), *self._entry(key)]
        segments = [Segment(spell(text), ink(palette, role)) for text, role in line]
        return Strip(segments).adjust_cell_length(width).apply_style(self.rich_style)

    async def on_click(self, event: events.Click) -> None:
        """Do what the key under the mouse does."""
        under = [key for x, key in self.places() if x <= event.x]
        if under and not self._message:
            if under[-1].id == _ESCAPE.id:
                self.app.simulate_key("escape")
                return
            await self.run_action(f"screen.key('{under[-1].id}')")
