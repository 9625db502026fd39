"""One text of several that are written together: what it is to be, and what is known of it so far."""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from nexus_tui.runs.checkpoints import Checkpoint
from nexus_tui.runs.run import Run
from nexus_tui.tui.parting import Relation, characters, relation, token_at
from nexus_tui.tui.writer import Figures

if TYPE_CHECKING:
    from nexus_tui.data.novelty import Novelty

State = Literal["waiting", "opening", "writing", "done", "stopped", "failed"]


@dataclass(frozen=True)
class Part:
    """What a voice is to write: from which weights, after which prompt, with which arguments of `Sampling`.

    With `recorded` it is a text that is on record already, and only its figures are wanted.
    """

    run: Run
    """Whose training text it is compared with."""
    checkpoint: Checkpoint | None
    prompt: str | bytes
    settings: Mapping[str, Any] = field(default_factory=dict)
    recorded: str | None = None


class Voice:
    """A part and its text. The thread that writes adds to it; a screen reads it whenever it suits.

    `revision` rises with everything that becomes known, so a screen knows what it has drawn.
    """

    def __init__(self, part: Part) -> None:
        self.part = part
        self.state: State = "waiting" if part.recorded is None else "done"
        self.error = ""
        """Why it failed, in one sentence."""
        self.figures = Figures()
        self.novelty: Novelty | None = None
        self.unknown = ""
        """Why the text cannot be compared with the training text, in one sentence."""
        self.revision = 0
        self.ends: list[int] = []
        """Where each token ends, in bytes of the text."""
        self._texts: list[str] = [part.recorded] if part.recorded else []
        self._bytes = bytearray((part.recorded or "").encode())
        self._before = _unfinished(part.prompt)

    @property
    def live(self) -> bool:
        """Whether more text may come."""
        return self.state in ("waiting", "opening", "writing")

    @property
    def text(self) -> str:
        """What is written, the prompt left out; bytes that are no UTF-8 are U+FFFD."""
        return "".join(self._texts)

    @property
    def raw(self) -> bytes:
        """The same as exact bytes; while it is written these may be ahead of `text`."""
        return bytes(self._bytes)

    def add(self, text: str, token: bytes, figures: Figures) -> None:
        """One more token, and the text that it completes."""
        self._bytes += token
        self.ends.append(len(self._bytes))
        if text:
            self._texts.append(text)
        self.figures = figures
        self.change("writing")

    def change(self, state: State | None = None) -> None:
        """Something else is known of it."""
        if state:
            self.state = state
        self.revision += 1

    def cut(self) -> None:
        """A stop text ended it: forget its bytes, which are not shown."""
        shown, whole = len(self.text), self.raw
        end = next((end for end in range(len(whole)) if self.characters(0, end + 1)[1] > shown), None)
        if end is not None:
            self._bytes = bytearray(whole[:end])
            self.ends = [*(at for at in self.ends if at < end), end]

    def against(self, reference: Voice) -> Relation:
        """How this text stands to another one."""
        return relation(reference.raw, self.raw, ended=not (self.live or reference.live))

    def token(self, at: int) -> tuple[int, int] | None:
        """First character and end of the token that holds byte `at`; None if it is not written or shown."""
        found = token_at(self.ends, at)
        if found is None:
            return None
        first, end = self.characters(*found)
        return (first, end) if first < len(self.text) else None

    def characters(self, start: int, end: int) -> tuple[int, int]:
        """First character and end of what bytes `start` to `end` are part of."""
        before = len(self._before)
        return characters(self._before + self.raw, before + start, before + end)


def _unfinished(prompt: str | bytes) -> bytes:
    """The beginning of a character that a prompt ends amid: the text completes it."""
    if isinstance(prompt, str):
        return b""
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    decoder.decode(prompt)
    return decoder.getstate()[0]
