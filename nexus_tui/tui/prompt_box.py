"""The prompt: an editor, or in its place the name of a file or of a pasted text."""

from __future__ import annotations

from typing import ClassVar

from rich.segment import Segment
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from nexus_tui.tui import theme
from nexus_tui.tui.flow import flow
from nexus_tui.tui.glyphs import spell
from nexus_tui.tui.lines import Line, ink
from nexus_tui.tui.long_prompt import LongPrompt, editable, long_prompt
from nexus_tui.tui.prompt_editor import History, PromptEditor
from nexus_tui.tui.safe import plain

_END = 160
"""Characters of the end of a long prompt that are shown."""


class NamedPrompt(Widget, can_focus=True):
    """Says what a long prompt is, and how it ends."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("backspace,delete", "away", "write the prompt", show=False)
    ]

    class Away(Message):
        """The prompt is to be written again."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.prompt: LongPrompt | None = None

    def action_away(self) -> None:
        """Write the prompt again."""
        self.post_message(self.Away())

    def render_line(self, y: int) -> Strip:
        """What it is, how it ends, how to be rid of it."""
        width, palette = self.size.width, theme.palette(self.app)
        lines = self._lines(width)
        words = lines[y] if y < len(lines) else ()
        segments = [Segment(spell(text), ink(palette, role)) for text, role in words]
        return Strip(segments).adjust_cell_length(width).apply_style(self.rich_style)

    def _lines(self, width: int) -> list[Line]:
        if self.prompt is None or width < 1:
            return []
        text = self.prompt.text
        end = text.decode(errors="replace")[-_END:] if isinstance(text, bytes) else text[-_END:]
        about = flow([(self.prompt.about, "text!")], width)
        away: Line = (("backspace", "live!"), (" writes a prompt instead", "muted"))
        room = max(0, self.size.height - len(about) - 1)
        ending = flow([(f"{theme.glyphs().ellipsis}{plain(end)}", "muted")], width)
        return [*about, *(ending[-room:] if room else []), away]


class PromptBox(Container):
    """Holds what is to be continued."""

    DEFAULT_CSS = """
    PromptBox { height: auto; }
    PromptBox #named { display: none; }
    PromptBox.-named #prompt { display: none; }
    PromptBox.-named #named { display: block; }
    """

    def __init__(self, history: History, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._history = history

    def compose(self) -> ComposeResult:
        """Both, one of them hidden."""
        yield PromptEditor(self._history, id="prompt")
        yield NamedPrompt(id="named")

    @property
    def editor(self) -> PromptEditor:
        """Where it is written."""
        return self.query_one(PromptEditor)

    @property
    def _shown(self) -> NamedPrompt:
        return self.query_one(NamedPrompt)

    @property
    def named(self) -> LongPrompt | None:
        """The file or pasted text that is the prompt, if one is."""
        return self._shown.prompt

    @property
    def prompt(self) -> str | bytes:
        """What is to be continued; bytes if it is no UTF-8 text."""
        return self.named.text if self.named else self.editor.text

    def show(self, prompt: str | LongPrompt, name: str = "text") -> None:
        """Put a prompt in place of the one that is there; one that is not for an editor is shown by name."""
        if isinstance(prompt, str) and not editable(prompt):
            prompt = long_prompt(name, prompt.encode("utf-8", "surrogatepass"))
        focused = self.editor.has_focus or self._shown.has_focus
        self._shown.prompt = prompt if isinstance(prompt, LongPrompt) else None
        self.set_class(self.named is not None, "-named")
        if isinstance(prompt, str):
            self.editor.write(prompt)
        self._shown.refresh()
        if focused:
            self.take_focus()

    def take_focus(self) -> None:
        """Let the user change the prompt."""
        (self._shown if self.named else self.editor).focus()

    def remember(self) -> None:
        """The prompt was used."""
        if self.named is None:
            self.editor.remember()

    def on_prompt_editor_refused(self, event: PromptEditor.Refused) -> None:
        """A pasted text that is not for an editor is the prompt by itself."""
        event.stop()
        self.show(event.text, "pasted text")

    def on_named_prompt_away(self, event: NamedPrompt.Away) -> None:
        """Back to the editor, as it was."""
        event.stop()
        self.show(self.editor.text)
        self.editor.focus()
