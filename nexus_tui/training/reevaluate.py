"""A checkpoint's validation loss computed anew, and compared with the one on record."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from nexus_tui.runs.run import Evaluation, Run, RunError

TOLERANCE = 1e-4
"""Nats per token. Other threads and processors round differently, by some 1e-7 of a mean over windows."""


@dataclass(frozen=True)
class Reevaluation:
    """What came out."""

    step: int
    checkpoint: str
    title: str
    """What a sentence calls it."""
    journalled: float
    """Validation loss on record, nats per token."""
    loss: float
    """… and now, over the same windows."""
    windows: int
    largest: float
    """Largest difference of one window's loss; NaN if those are not on record."""

    @property
    def difference(self) -> float:
        """Now less then, nats per token."""
        return self.loss - self.journalled

    @property
    def agrees(self) -> bool:
        """Whether the two are the same but for rounding."""
        return abs(self.difference) <= TOLERANCE and not self.largest > 100 * TOLERANCE

    def as_dict(self) -> dict[str, Any]:
        """As `audit --json` prints it. Losses in nats per token."""
        return {
            "step": self.step,
            "journalled": self.journalled,
            "loss": self.loss,
            "difference": self.difference,
            "agrees": self.agrees,
        }


def reevaluate(
    run: Run, which: str | int, progress: Callable[[int, int], None] | None = None
) -> Reevaluation:
    """Score a kept checkpoint on every validation window, as the trainer did.

    `progress` is told how many windows of how many are done. The weights are taken as they are on disk:
    whether their SHA-256 is right is another question (`Checkpoint.verify`). Imports torch.
    Raises RunError if the checkpoint, its evaluation or the very text cannot be had, CorpusError and
    ValueError for a corpus or model that cannot be read.
    """
    checkpoint = run.checkpoint(which)
    evaluation = _evaluation(run, checkpoint.name)

    import numpy as np

    from nexus_tui.training.evaluation import summary
    from nexus_tui.training.opened import opened

    scored = opened(run, checkpoint, evaluation.event.protocol)
    windows = scored.validation
    parts, done = [], 0
    for part in windows.losses(scored.model):
        parts.append(part)
        done += len(part)
        if progress:
            progress(done, len(windows.inputs))
    losses = np.concatenate(parts)
    recorded = run.window_losses(checkpoint.name)
    comparable = recorded is not None and recorded.shape == losses.shape
    return Reevaluation(
        step=checkpoint.step,
        checkpoint=checkpoint.name,
        title=evaluation.title,
        journalled=evaluation.loss,
        loss=summary(losses)[0],
        windows=len(losses),
        largest=float(np.abs(losses - recorded).max()) if comparable and recorded is not None else math.nan,
    )


def _evaluation(run: Run, checkpoint: str) -> Evaluation:
    found = [evaluation for evaluation in run.evaluations if evaluation.name == checkpoint]
    if not found:
        raise RunError(
            f"{checkpoint} of {run.name} was never evaluated, so there is no loss to compare with."
        )
    return found[-1]
