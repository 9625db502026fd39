"""`?`: the keys that work here, from the table of keys."""

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.widgets import Static

from nexus_tui.tui.dialogs import Dialog
from nexus_tui.tui.keys import Key, Where, keys_at


class HelpScreen(Dialog[None]):
    """Two columns: this screen's keys, and those that work everywhere."""

    CSS_PATH = "help.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark,q,enter", "dismiss(None)", "back", show=False)
    ]

    def __init__(self, where: Where) -> None:
        super().__init__()
        self._where = where

    def compose(self) -> ComposeResult:
        """The two columns, and how to leave."""
        here = [] if self._where == "everywhere" else keys_at(self._where)
        with VerticalScroll(classes="panel"):
            with Horizontal(classes="columns"):
                if here:
                    yield Static(self._column(str(self._where), here))
                yield Static(self._column("everywhere", keys_at("everywhere")))
            hint = self.ink(
                ("esc", "live!"),
                (" back   ", "muted"),
                ("^p", "live!"),
                (" finds any action by name", "muted"),
            )
            yield Static(hint)

    def _column(self, title: str, keys: list[Key]) -> Text:
        width = max(len(key.written) for key in keys)
        text = self.ink((title, "text!"), "\n")
        for key in keys:
            text.append_text(self.ink((f"{key.written:>{width}}", "live!"), "  ", (key.label, "text"), "\n"))
            text.append_text(self.ink((f"{'':{width}}  {key.help}\n", "muted")))
        return text
