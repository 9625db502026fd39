"""Ask for a file by its path, with the names there are at hand."""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import islice, takewhile
from pathlib import Path
from typing import Any, ClassVar

from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Input, Static

from nexus_tui.tui.dialogs import Dialog
from nexus_tui.tui.glyphs import glyphs
from nexus_tui.tui.long_prompt import LIMIT, LongPrompt, read_prompt
from nexus_tui.tui.safe import plain

SHOWN = 8
"""Names that are shown."""
LOOKED_AT = 5_000
"""Names of a folder that are looked at."""


def matches(typed: str) -> list[str]:
    """What may be typed instead: paths that go on as it does, folders with a slash at the end, sorted.

    Names that begin with a dot only where a dot was typed.
    """
    folder, name = os.path.split(typed)
    try:
        with os.scandir(Path(folder or ".").expanduser()) as entries:
            found = [
                entry.name + ("/" if entry.is_dir() else "")
                for entry in islice(entries, LOOKED_AT)
                if entry.name.startswith(name) and (name.startswith(".") or not entry.name.startswith("."))
            ]
    except (OSError, ValueError, RuntimeError):
        return []
    return [os.path.join(folder, one) for one in sorted(found)]  # noqa: PTH118 - as it was typed, `~` and all


class _Path(Input):
    """A field that tab does not leave: what was typed fast before it is there when it completes."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("tab", "screen.complete", show=False)]


class FileDialog(Dialog[Path]):
    """One line for a path. Tab completes it; `check` says in one sentence why a path will not do."""

    def __init__(self, title: str, sentence: str, check: Callable[[Path], str]) -> None:
        super().__init__()
        self._title, self._sentence, self._check = title, sentence, check

    def compose(self) -> ComposeResult:
        """Title, sentence, field, the names there are, and room for what is wrong."""
        with Vertical(classes="panel"):
            yield Static(self.ink((self._title, "text!")), classes="title")
            yield Static(self.ink((self._sentence, "muted")), classes="sentence")
            field = _Path(placeholder="path/to/a/text.txt", compact=True)
            field.cursor_blink = False
            yield field
            yield Static(classes="names")
            yield Static(classes="wrong")
            keys = (("enter", " takes it   "), ("tab", " completes the name   "), ("esc", " back"))
            yield Static(
                self.ink(*(part for key, does in keys for part in ((key, "live!"), (does, "muted"))))
            )

    def on_mount(self) -> None:
        """Show what is here."""
        names = self.query_one(".names", Static)
        names.styles.height = SHOWN
        names.styles.margin = (1, 0, 0, 0)
        self._show_names("")

    def on_input_changed(self, event: Input.Changed) -> None:
        """Show what goes on as it does."""
        self._show_names(event.value)
        self.query_one(".wrong", Static).update("")

    def _show_names(self, typed: str) -> None:
        found = matches(typed)
        names = [Path(path).name + "/" * path.endswith("/") for path in found[:SHOWN]]
        if len(found) > SHOWN:
            names[-1] = f"{glyphs().ellipsis} {len(found) - SHOWN + 1:,} more"
        words = "\n".join(plain(name) for name in names) or "nothing there begins so"
        self.query_one(".names", Static).update(self.ink((words, "muted")))

    def action_complete(self) -> None:
        """Type on as far as there is only one way to, and nothing that a field cannot show."""
        field = self.query_one(Input)
        found = matches(field.value)
        common = os.path.commonprefix(found)  # noqa: RUF071 - of names, letter by letter, is what is wanted
        common = "".join(takewhile(str.isprintable, common))  # what steers a terminal would do so from there
        if len(common) > len(field.value):
            field.value = common
            field.cursor_position = len(common)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter: take it, go into a folder, or say what is wrong."""
        event.stop()
        try:
            path = Path(event.value).expanduser()
            if event.value and path.is_dir():
                field = self.query_one(Input)
                field.value = event.value.rstrip("/") + "/"
                field.cursor_position = len(field.value)
                return
            wrong = self._check(path) if event.value else "Write the path of a file, or press esc."
        except (OSError, ValueError, RuntimeError) as error:
            wrong = str(error)
        if wrong:
            self.query_one(".wrong", Static).update(self.ink((wrong, "warn")))
        else:
            self.dismiss(path)


def ask_for_prompt(app: App[Any], take: Callable[[str | LongPrompt], None]) -> None:
    """Ask for a file and read it as a prompt."""
    read: list[str | LongPrompt] = []

    def check(path: Path) -> str:
        try:
            read[:] = [read_prompt(path)]
        except OSError as error:
            return f"{path} cannot be read ({error.strerror})."
        except ValueError as error:
            return str(error)
        return ""

    dialog = FileDialog(
        "A file as the prompt",
        f"Short text comes into the editor; of anything else its last {LIMIT:,} bytes are the prompt.",
        check,
    )
    app.push_screen(dialog, lambda path: take(read[0]) if path else None)
