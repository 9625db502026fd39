"""The true best checkpoint: derived from all evaluations on record, each time anew.

Never a running minimum in memory and never a file that training overwrites: a resume can make neither
forget. Only evaluations of one protocol (same windows, context and text) are ranked together.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nexus_tui.runs.checkpoints import Checkpoint
from nexus_tui.runs.record import Evaluation
from nexus_tui.runs.source import Weights
from nexus_tui.runs.ties import CONFIDENCE, Difference, differences

if TYPE_CHECKING:
    from nexus_tui.runs.run import Run

__all__ = ["CONFIDENCE", "Ranked", "best", "evaluated", "lowest", "ranking"]


@dataclass(frozen=True)
class Ranked:
    """One checkpoint's place among those evaluated under one protocol."""

    evaluation: Evaluation
    checkpoint: Checkpoint | None
    """Its weights as this program wrote them; None if they are elsewhere, gone or damaged."""
    best: bool
    delta: float
    """Its loss less the best's, nats per token; NaN if there is no best."""
    tied: bool | None
    """Whether the paired test cannot tell it from the best; None if the windows' losses are not on record."""
    weights: Weights = "gone"
    """Whether its weights exist. If they are gone it is not the best, whatever its loss."""
    difference: Difference | None = None
    """From the best, with its interval; None where `tied` rests on no test."""


def evaluated(run: Run) -> dict[str, Evaluation]:
    """Every checkpoint evaluated under the newest protocol, by name; evaluated twice, the newer counts."""
    if not run.evaluations:
        return {}
    protocol = run.evaluations[-1].event.protocol
    return {e.name: e for e in run.evaluations if e.event.protocol == protocol}


def best(run: Run) -> Ranked | None:
    """The true best checkpoint of a run, or None if no evaluated checkpoint has its weights."""
    winner = lowest([e for e in evaluated(run).values() if run.weights(e.name) != "gone"])
    return _ranked(run, winner, winner, {}) if winner else None


def ranking(run: Run) -> list[Ranked]:
    """Every checkpoint evaluated under the newest protocol, in order."""
    evaluations = evaluated(run)
    winner = lowest([e for name, e in evaluations.items() if run.weights(name) != "gone"])
    losses = {name: run.window_losses(name) for name in evaluations} if winner else {}
    known = {name: each for name, each in losses.items() if each is not None}
    apart = differences(known, winner.name) if winner and winner.name in known else {}
    return [_ranked(run, evaluation, winner, apart) for evaluation in evaluations.values()]


def lowest(evaluations: list[Evaluation]) -> Evaluation | None:
    """The one with the lowest loss, of equal ones the earliest step; None if no loss is a finite number."""
    finite = [e for e in evaluations if math.isfinite(e.loss)]
    return min(finite, key=lambda e: (e.loss, e.step), default=None)


def _ranked(
    run: Run, evaluation: Evaluation, winner: Evaluation | None, apart: dict[str, Difference]
) -> Ranked:
    name, is_best = evaluation.name, evaluation is winner
    delta = evaluation.loss - winner.loss if winner else math.nan
    difference = apart.get(name)
    tied: bool | None = None
    if not is_best:
        tied = difference.tied if difference else (True if delta == 0 else None)
    return Ranked(evaluation, run.checkpoints.get(name), is_best, delta, tied, run.weights(name), difference)
