"""The true best checkpoint: derived from all evaluations on record, each time anew.

Never a running minimum in memory and never a file that training overwrites: a resume can make neither
forget. Only evaluations of one protocol (same windows, context and text) are ranked together.
"""

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from nexus_tui.runs.checkpoints import Checkpoint
from nexus_tui.runs.run import Evaluation, Run

CONFIDENCE = 0.95
"""Of the interval that decides whether a checkpoint can be told from the best."""


@dataclass(frozen=True)
class Ranked:
    """One checkpoint's place among those evaluated under one protocol."""

    evaluation: Evaluation
    checkpoint: Checkpoint | None
    """Its weights; None if they are gone or damaged, and then it is not the best, whatever its loss."""
    best: bool
    delta: float
    """Its loss less the best's, nats per token; NaN if there is no best."""
    tied: bool | None
    """Whether the paired test cannot tell it from the best; None if the windows' losses are not on record."""


def ranking(run: Run) -> list[Ranked]:
    """Every checkpoint evaluated under the newest protocol, in order; evaluated twice, the newer counts."""
    if not run.evaluations:
        return []
    protocol = run.evaluations[-1].event.protocol
    evaluations = {e.name: e for e in run.evaluations if e.event.protocol == protocol}
    kept = [e for e in evaluations.values() if e.name in run.checkpoints and math.isfinite(e.loss)]
    winner = min(kept, key=lambda e: (e.loss, e.step), default=None)
    return [
        Ranked(
            evaluation=evaluation,
            checkpoint=run.checkpoints.get(name),
            best=evaluation is winner,
            delta=evaluation.loss - winner.loss if winner else math.nan,
            tied=_tied(run, winner, evaluation, len(kept) - 1)
            if winner and evaluation is not winner
            else None,
        )
        for name, evaluation in evaluations.items()
    ]


def best(run: Run) -> Ranked | None:
    """The true best checkpoint of a run, or None if no evaluated checkpoint has its weights."""
    return next((ranked for ranked in ranking(run) if ranked.best), None)


def _tied(run: Run, winner: Evaluation, other: Evaluation, comparisons: int) -> bool | None:
    """Paired test over windows. The best is one of several, hence Bonferroni's interval over all of them."""
    a, b = run.window_losses(winner.name), run.window_losses(other.name)
    if a is None or b is None or a.shape != b.shape or len(a) < 2:
        return None
    difference = b.astype(np.float64) - a
    stderr = float(difference.std(ddof=1)) / math.sqrt(len(difference))
    z = NormalDist().inv_cdf(1 - (1 - CONFIDENCE) / (2 * max(comparisons, 1)))
    return abs(float(difference.mean())) <= z * stderr
