"""The checkpoints that the user has marked, over all runs: those that are compared and sampled together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nexus_tui.runs.comparison import Subject
    from nexus_tui.runs.run import Run

MOST = 8
"""As many can be marked: each has a letter, a colour and a sign of its own."""
LETTERS = "ABCDEFGH"


@dataclass(frozen=True)
class Marked:
    """One marked checkpoint."""

    run: Run
    name: str
    place: int
    """0 to MOST - 1, its own until it is unmarked: the index of its letter, and of its `theme.series`."""

    @property
    def letter(self) -> str:
        """`A` to `H`."""
        return LETTERS[self.place]


class Marks:
    """Up to MOST checkpoints in the order of marking. Each keeps its letter until it is unmarked."""

    def __init__(self) -> None:
        self._all: list[Marked] = []

    def __len__(self) -> int:
        return len(self._all)

    @property
    def all(self) -> tuple[Marked, ...]:
        """Every one, in the order of marking; differs from an earlier answer whenever anything changed."""
        return tuple(self._all)

    def toggle(self, run: Run, name: str) -> str:
        """Mark a checkpoint, or unmark it. Returns why not, in one sentence; empty if it was done."""
        if known := self._find(run, name):
            self._all.remove(known)
            return ""
        if len(self._all) == MOST:
            return f"{MOST} checkpoints are marked, which is as many as can be compared; unmark one first."
        taken = {marked.place for marked in self._all}
        place = next(place for place in range(MOST) if place not in taken)
        self._all.append(Marked(run, name, place))
        return ""

    def set(self, some: list[tuple[Run, str]]) -> None:
        """Mark these, the first MOST of them, and no others."""
        self._all = [Marked(run, name, place) for place, (run, name) in enumerate(some[:MOST])]

    def clear(self) -> None:
        """Unmark all."""
        self._all = []

    def of(self, run: Run) -> dict[str, Marked]:
        """The marked checkpoints of a run, by name."""
        return {marked.name: marked for marked in self._all if marked.run.folder == run.folder}

    def subjects(self) -> list[Subject]:
        """All of them as `runs.comparison.compare` takes them, in the order of marking."""
        from nexus_tui.runs.comparison import Subject

        return [Subject(marked.run, marked.name) for marked in self._all]

    def _find(self, run: Run, name: str) -> Marked | None:
        return self.of(run).get(name)
