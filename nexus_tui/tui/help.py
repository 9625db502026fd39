"""`?`: the keys that work here, from the table of keys."""

from typing import ClassVar

from rich.table import Table
from textual._path import CSSPathType
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.widgets import Static

from nexus_tui.tui.dialogs import Dialog
from nexus_tui.tui.keys import PARTS, Where, keys_of


class HelpScreen(Dialog[None]):
    """This screen's keys, and those that work everywhere; beside each other where there is room."""

    CSS_PATH: ClassVar[CSSPathType | None] = ["dialogs.tcss", "help.tcss"]
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark,q,enter", "dismiss(None)", "back", show=False)
    ]

    def __init__(self, where: Where, part: Where | None = None) -> None:
        """`part` is where the focus is, if that part of the screen has keys of its own: they come first."""
        super().__init__()
        self._where = where
        self._part = part

    def compose(self) -> ComposeResult:
        """The two columns, and how to leave."""
        here: dict[Where, str] = {} if self._where == "everywhere" else {self._where: str(self._where)}
        with VerticalScroll(classes="panel"):
            with Horizontal(classes="columns"):
                if here:
                    parts = PARTS.get(self._where, {})
                    first = {self._part: parts[self._part]} if self._part in parts else {}
                    yield Static(self._column(first | here | parts))
                yield Static(self._column({"everywhere": "everywhere"}))
            hint = self.ink(
                ("esc", "live!"),
                (" back   ", "muted"),
                ("^p", "live!"),
                (" finds any action by name", "muted"),
            )
            yield Static(hint, classes="hint")

    def _column(self, places: dict[Where, str]) -> Table:
        table = Table.grid(padding=(0, 2, 0, 0))
        table.add_column(justify="right", no_wrap=True)
        table.add_column()
        for place, title in places.items():
            if table.row_count:
                table.add_row()
            table.add_row("", self.ink((title, "text!")))
            for key in keys_of(place):
                if key.listed:
                    table.add_row(self.ink((key.written, "live!")), self.ink((key.help, "text")))
        return table
