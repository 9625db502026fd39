"""A prompt, asked for over a screen; the earlier ones are at hand."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Static

from nexus_tui.tui.copying import state_folder
from nexus_tui.tui.dialogs import Dialog
from nexus_tui.tui.long_prompt import editable
from nexus_tui.tui.prompt_editor import History, PromptEditor
from nexus_tui.tui.prompts import Prompt


def can_edit(prompt: Prompt) -> bool:
    """Whether an editor shows a prompt as it is."""
    return isinstance(prompt, str) and editable(prompt)


class PromptDialog(Dialog[str]):
    """Several lines of text, as in the playground: enter breaks the line, `ctrl+r` takes it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+r,ctrl+s", "take", "take it", show=False, priority=True)
    ]
    DEFAULT_CSS = """
    PromptDialog PromptEditor {
        height: auto; min-height: 3; max-height: 12; margin-bottom: 1; padding: 0 1; background: $surface;
    }
    """

    def __init__(self, title: str, prompt: str = "") -> None:
        super().__init__()
        self._title, self._prompt = title, prompt

    def compose(self) -> ComposeResult:
        """Title, editor, and its keys."""
        with Vertical(classes="panel"):
            yield Static(self.ink((self._title, "text!")), classes="title")
            yield PromptEditor(History(state_folder() / "prompts.jsonl"))
            yield Static(classes="wrong")
            keys = (("^r", " writes   "), ("alt+↑↓", " earlier prompts   "), ("esc", " back"))
            parts = [part for key, does in keys for part in ((key, "live!"), (does, "muted"))]
            yield Static(self.ink(*parts))

    def on_mount(self) -> None:
        """Begin at the end of the text."""
        editor = self.query_one(PromptEditor)
        editor.write(self._prompt)
        editor.focus()

    def on_prompt_editor_refused(self, _: PromptEditor.Refused) -> None:
        """Something was pasted that is not for an editor."""
        said = "This text is too long or too strange for an editor; open it as a file in the playground."
        self.query_one(".wrong", Static).update(self.ink((said, "warn")))

    def action_take(self) -> None:
        """Answer with what is there."""
        editor = self.query_one(PromptEditor)
        editor.remember()
        self.dismiss(editor.text)
