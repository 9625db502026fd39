"""A subject's weights and its validation windows, ready to be computed with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nexus_tui.runs.checkpoints import Checkpoint
from nexus_tui.runs.run import RunError
from nexus_tui.runs.subject import Subject

if TYPE_CHECKING:
    from nexus_tui.training.opened import Opened

__all__ = ["Subject", "checkpoint_of", "opened"]


def opened(subject: Subject) -> Opened:
    """The dataset, the validation windows that it was evaluated on and, when first asked for, the model.

    Slow (imports torch, reads and splits the corpus). Raises RunError if the weights or the very text are not
    here, CorpusError and ConfigError for a corpus or configuration that cannot be read.
    """
    checkpoint = checkpoint_of(subject)
    evaluation = subject.evaluation
    from nexus_tui.training.opened import opened as open_for_scoring

    return open_for_scoring(subject.run, checkpoint, evaluation.event.protocol if evaluation else "")


def checkpoint_of(subject: Subject) -> Checkpoint:
    """The subject's files. Raises RunError, in one sentence, if they are not here."""
    if subject.checkpoint is None:
        if damage := subject.run.damage(subject.name):
            raise RunError(damage)
        raise RunError(f"{subject.label} has no weights here, so nothing can be computed with them.")
    return subject.checkpoint
