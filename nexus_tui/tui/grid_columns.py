"""The checkpoints of a grid: those that are marked, else a few that are worth setting beside each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nexus_tui.runs.run import Run
from nexus_tui.tui.checkpoint_rows import Row
from nexus_tui.tui.derived import checkpoints
from nexus_tui.tui.marks import Marked
from nexus_tui.tui.prompts import Prompt
from nexus_tui.tui.safe import plain
from nexus_tui.tui.voice import Part, Voice


@dataclass(frozen=True)
class Column:
    """A checkpoint of the grid."""

    run: Run
    name: str
    place: int
    """Index of its letter and of its `theme.series`."""

    @property
    def letter(self) -> str:
        """`A` to `H`."""
        return chr(ord("A") + self.place)

    @property
    def row(self) -> Row | None:
        """What is on record about it."""
        return next((row for row in checkpoints(self.run) if row.name == self.name), None)

    @property
    def tokenizer(self) -> str:
        """What tells its tokenizer from others; empty if its files are not here."""
        files = self.row.checkpoint.files if self.row and self.row.checkpoint else {}
        return str(files.get("tokenizer.json", {}).get("sha256", ""))

    def voice(self, prompt: Prompt, settings: dict[str, Any]) -> Voice:
        """A text of this checkpoint, not yet begun; a failed one if its weights are gone."""
        row = self.row
        voice = Voice(Part(self.run, row.checkpoint if row else None, prompt, settings))
        if voice.part.checkpoint is None:
            state = row.weights or "not saved" if row else "gone"
            voice.state = "failed"
            voice.error = f"The weights of {plain(self.name)} are {state}; [ or ] chooses another checkpoint."
        return voice


def marked_columns(marks: Sequence[Marked]) -> list[Column]:
    """A column for each marked checkpoint, with the letter that it has everywhere."""
    return [Column(marked.run, marked.name, marked.place) for marked in marks]


def first_columns(source: tuple[Run, str] | None) -> list[Column]:
    """The checkpoint of the playground, the true best and one of half its steps, where nothing is marked."""
    if source is None:
        return []
    run, name = source
    kept = [row for row in checkpoints(run) if row.checkpoint]
    best = next((row.name for row in kept if row.best), name)
    names = dict.fromkeys([name, best])
    step = min((row.step for row in kept if row.name in names), default=0)
    before = [row for row in kept if row.step < step]
    if before:
        names[min(before, key=lambda row: abs(row.step - step / 2)).name] = None
    return [Column(run, one, place) for place, one in enumerate(names)]
