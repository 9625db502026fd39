"""The footer: one row, the most important key first, dropping from the end; messages pass through it."""

from rich.style import Style
from rich.text import Text
from textual.timer import Timer
from textual.widget import Widget

from nexus_tui.tui import theme
from nexus_tui.tui.keys import BY_ID, Key, Where, footer_keys
from nexus_tui.tui.safe import fit, plain

_LAST = (BY_ID["help"], BY_ID["palette"])
SECONDS = 5.0
"""How long a message stays."""


class KeyBar(Widget, can_focus=False):
    """The keys of a screen in one row. It always ends with `? keys  ^p all`."""

    DEFAULT_CSS = "KeyBar { height: 1; dock: bottom; background: $footer-background; }"

    def __init__(self, where: Where) -> None:
        super().__init__()
        self._where = where
        self._greyed: frozenset[str] = frozenset()
        self._message: tuple[str, str] | None = None
        self._timer: Timer | None = None

    def show(self, greyed: frozenset[str]) -> None:
        """Grey out the keys with these ids; repaints only if that is news."""
        if greyed != self._greyed:
            self._greyed = greyed
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

    def render(self) -> Text:
        """The row."""
        palette = theme.palette(self.app)
        width = self.size.width
        if self._message:
            message, role = self._message
            return Text(fit(f" {message}", width), theme.style(palette, role))
        strong, quiet = theme.style(palette, "text", bold=True), theme.style(palette, "muted")
        faint = theme.style(palette, "faint")
        tail = self._row(list(_LAST), strong, quiet, faint)
        row = Text(" ", no_wrap=True, end="")
        for key in footer_keys(self._where):
            entry = self._row([key], strong, quiet, faint)
            if row.cell_len + entry.cell_len + tail.cell_len > width:
                break
            row.append_text(entry)
        row.append(" " * (width - row.cell_len - tail.cell_len))
        return row.append_text(tail)

    def _row(self, keys: list[Key], strong: Style, quiet: Style, faint: Style) -> Text:
        row = Text(end="")
        for key in keys:
            click = Style(meta={"@click": f"screen.key('{key.id}')"})
            grey = key.id in self._greyed
            row.append(key.written, (faint if grey else strong) + click)
            row.append(f" {key.label}", (faint if grey else quiet) + click)
            row.append("  ")
        return row
