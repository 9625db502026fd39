"""Averages of checkpoints on record: of what, and how a sentence says so."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from nexus_tui.runs.journal import SavedEvent

if TYPE_CHECKING:
    from nexus_tui.runs.subject import Subject

DIGITS = 12
"""Of a parent's SHA-256, in its name on record."""


class Parent(NamedTuple):
    """One of the checkpoints that an average was made of."""

    run: str
    name: str
    sha256: str
    """The first DIGITS of that of its weights."""

    def __str__(self) -> str:
        return f"{self.run}:{self.name}@{self.sha256}"


def parents(saved: SavedEvent) -> list[Parent]:
    """What an average was made of, oldest first; empty for a checkpoint that training saved."""
    found = []
    for text in saved.parents:
        reference, _, sha256 = text.rpartition("@")
        run, _, name = reference.rpartition(":")
        found.append(Parent(run, name, sha256))
    return found


def oldest_first(subjects: Iterable[Subject]) -> list[Subject]:
    """Subjects by step; of one step, in an order that depends on their weights alone."""
    return sorted(subjects, key=lambda subject: (subject.step, subject.sha256))


def named(subjects: Iterable[Subject]) -> tuple[str, ...]:
    """Subjects as the record names the parents of an average, oldest first."""
    return tuple(str(Parent(s.run.name, s.name, s.sha256[:DIGITS])) for s in oldest_first(subjects))


def short(saved: SavedEvent) -> str:
    """`average of 3`, for a narrow column."""
    return f"average of {len(saved.parents)}"


def brief(saved: SavedEvent, run: str) -> str:
    """`uniform of 1000 … 1400`, how it was made first; parents of another run than `run` with its name."""
    names = _names(saved, run)
    return f"{saved.method} of {' and '.join(names) if len(names) < 3 else f'{names[0]} … {names[-1]}'}"


def words(saved: SavedEvent, run: str) -> str:
    """`average of 1000, 1200 and 1400`, for a sentence; parents of another run than `run` with its name."""
    names = _names(saved, run)
    listed = " and ".join(part for part in (", ".join(names[:-1]), names[-1]) if part) if names else ""
    return f"average of {listed}" + (f", {saved.method}" if saved.method != "uniform" else "")


def _names(saved: SavedEvent, run: str) -> list[str]:
    return [
        ("" if parent.run == run else f"{parent.run}:") + parent.name.removeprefix("step_")
        for parent in parents(saved)
    ]
