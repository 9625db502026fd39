"""Where a prompt is written, with the earlier ones at hand."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import TextArea

from nexus_tui.tui.long_prompt import editable
from nexus_tui.tui.number_field import screen_keys
from nexus_tui.tui.pasting import exact

KEPT = 200
"""Earlier prompts that are remembered."""


class History:
    """Earlier prompts, oldest first, in a file of one JSON string a line. Without the file it forgets."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.prompts: list[str] = []
        with contextlib.suppress(OSError, UnicodeDecodeError):
            for line in path.read_text("utf-8").split("\n"):
                with contextlib.suppress(ValueError, RecursionError):
                    prompt = json.loads(line)
                    if isinstance(prompt, str) and editable(prompt):
                        self.prompts.append(prompt)
        del self.prompts[:-KEPT]

    def add(self, prompt: str) -> None:
        """Remember a prompt as the newest."""
        if not prompt or (self.prompts and self.prompts[-1] == prompt):
            return
        self.prompts = [*(old for old in self.prompts if old != prompt), prompt][-KEPT:]
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            temporary = self._path.with_suffix(".new")
            temporary.write_text("".join(json.dumps(old) + "\n" for old in self.prompts), "utf-8")
            temporary.replace(self._path)


class PromptEditor(TextArea):
    """Several lines of text, none of which is hidden or steers a terminal: see `editable`.

    Tab leaves it; what redoes is `ctrl+shift+z`, for the playground's keys with ctrl are the screen's.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("alt+up", "earlier(-1)", "earlier prompt", show=False),
        Binding("alt+down", "earlier(1)", "later prompt", show=False),
        Binding("ctrl+shift+z", "redo", "redo", show=False),
        *screen_keys(),
    ]

    class Refused(Message):
        """A text was pasted that is not for an editor."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    def __init__(self, history: History, *, id: str | None = None) -> None:
        super().__init__(
            id=id, compact=True, soft_wrap=True, tab_behavior="focus", highlight_cursor_line=False
        )
        self.cursor_blink = False
        self._history = history
        self._place = len(history.prompts)
        self._draft = ""

    def write(self, prompt: str) -> None:
        """Put an editable prompt in place of what is there, the cursor at its end."""
        self.text = prompt
        self.move_cursor(self.document.end)

    def remember(self) -> None:
        """The prompt was used."""
        self._history.add(self.text)
        self._place = len(self._history.prompts)

    async def _on_paste(self, event: events.Paste) -> None:
        """Insert what is for an editor; a terminal pastes line breaks as carriage returns."""
        pasted = exact(event).replace("\r\n", "\n").replace("\r", "\n")
        if editable(self.text + pasted):
            await super()._on_paste(events.Paste(pasted))
        else:
            self.post_message(self.Refused(pasted))
        event.prevent_default()
        event.stop()

    def action_paste(self) -> None:
        """What this program copied last."""
        if editable(self.text + self.app.clipboard):
            super().action_paste()
        else:
            self.post_message(self.Refused(self.app.clipboard))

    def action_earlier(self, direction: int) -> None:
        """An earlier prompt, or a later one; after the newest comes what was being written."""
        prompts = self._history.prompts
        if self._place >= len(prompts):
            self._draft = self.text
        self._place = max(0, min(len(prompts), self._place + direction))
        self.write(prompts[self._place] if self._place < len(prompts) else self._draft)
