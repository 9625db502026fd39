"""The loss of every validation token under a checkpoint: computed once, kept beside its evaluation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from nexus_tui.runs.subject import Subject
from nexus_tui.runs.token_losses import TokenLosses

__all__ = ["Progress", "TokenLosses", "measured", "token_losses"]

Progress = Callable[[int, int], None]
"""Told how much of how much is done; what it raises ends the work, and nothing is kept of it."""


def token_losses(subject: Subject, progress: Progress | None = None) -> TokenLosses:
    """Score a checkpoint on every validation token, as the trainer did, or take the cached scores.

    `progress` is told how many windows of how many are done. Raises RunError if weights or text are not here
    or the mean is not the loss on record, CheckpointError for damaged files, CorpusError, ConfigError and
    ValueError for what cannot be read.
    """
    raise NotImplementedError


def measured(subject: Subject, progress: Progress | None = None) -> Subject:
    """The subject with its token losses, so that `compare` knows the loss of one that was never evaluated,
    and bits per byte over the same text where tokenizers differ. Raises as `token_losses`.
    """
    return replace(subject, measured=token_losses(subject, progress))
