"""The loss of the true best on the text that was kept from choosing it."""

import numpy as np

from nexus_tui.lm.pretrained import load_model
from nexus_tui.runs import journal as j
from nexus_tui.runs import truth
from nexus_tui.runs.checkpoints import Checkpoint
from nexus_tui.runs.run import Run
from nexus_tui.training.evaluation import Validation, summary


def unscored(run: Run) -> Checkpoint | None:
    """The true best, unless it has been scored there already."""
    winner = truth.best(run)
    if winner is None or winner.checkpoint is None:
        return None
    known = any(event.checkpoint == winner.checkpoint.name for event in run.heldout)
    return None if known else winner.checkpoint


def scored(checkpoint: Checkpoint, holdout: Validation) -> j.HeldoutEvent:
    """Score it, as it is on disk."""
    losses = np.concatenate(list(holdout.losses(load_model(checkpoint.path).eval())))
    loss, stderr = summary(losses)
    return j.HeldoutEvent(
        step=checkpoint.step,
        checkpoint=checkpoint.name,
        loss=loss,
        stderr=stderr,
        bits_per_byte=holdout.bits_per_byte(loss),
        windows=len(losses),
        protocol=holdout.protocol,
    )
