"""What is said of a training that ended before its time: which batch it was, what is kept, how to go on."""

from nexus_tui.runs import journal as j
from nexus_tui.runs.checkpoints import Checkpoint, CheckpointError, open_checkpoint
from nexus_tui.runs.numbers import finite
from nexus_tui.runs.run import Run
from nexus_tui.training.batches import windows_of
from nexus_tui.training.health import DivergedError
from nexus_tui.training.learner import Learner

SHOWN = 400
"""Characters of each window of a batch that are put on record where training diverged."""


def passed_over(run: Run, checkpoint: Checkpoint | None) -> list[str]:
    """What is wrong with the newer checkpoints of a run that goes on from its newest whole one, or the start.

    Of one that goes on from a checkpoint that somebody chose there is nothing to be said.
    """
    newest = run.newest_checkpoint()
    if (newest and newest.path) != (checkpoint and checkpoint.path):
        return []
    said = []
    for name in reversed(run.saved):
        if newest and name == newest.name:
            break
        path = run.folder / "checkpoints" / name
        if path.exists() and not run.averaged(name):
            try:
                open_checkpoint(path)
            except CheckpointError as error:
                said.append(str(error).rstrip("."))
    return said


def diverged_event(
    error: DivergedError, learner: Learner, good: Checkpoint | None, *, scored: bool
) -> j.DivergedEvent:
    """Why training stopped, and over which batch; `good` is where to go on from.

    With `scored`, what each window of the batch costs under the weights that were not harmed.
    """
    config = learner.config
    seen = windows_of(learner.dataset, config, error.step)
    return j.DivergedEvent(
        step=error.step,
        cause=error.cause,
        loss=finite(error.loss),
        grad_norm=finite(error.grad_norm),
        seed=config.run.seed,
        places=tuple(window.place for window in seen),
        losses=tuple(map(finite, learner.window_losses(error.step))) if scored else (),
        texts=tuple(window.text[:SHOWN] for window in seen),
        checkpoint=good.name if good else "",
        rate_scale=learner.rate_scale,
    )


def last_good(run: Run, since: int) -> Checkpoint | None:
    """The newest checkpoint from before a spike that is not over (`since`; 0: there is none).

    If there is none from before it, the newest.
    """
    newest = run.newest_checkpoint()
    if newest is None or not since:
        return newest
    kept = [
        checkpoint
        for name, checkpoint in run.checkpoints.items()
        if checkpoint.step < since - 1  # the step that showed it has the weights of the one before
        and not run.averaged(name)
        and run.on_line(run.branch_of(name), checkpoint.step)
    ]
    return max(kept, key=lambda checkpoint: checkpoint.step, default=newest)


def too_large(run: Run, windows_at_once: int, *, gpu: bool = False) -> str:
    """That memory, with `gpu` that of one, was refused, what is kept, and how to go on."""
    ran_out = "the GPU's memory ran out" if gpu else "memory ran out"
    newest = run.newest_checkpoint()
    kept = f"step {newest.step:,} is kept" if newest else "nothing had been saved"
    if windows_at_once == 1:
        return f"{ran_out}; {kept}. Train a smaller model or a smaller data.window."
    fewer = f"nexus-tui train --resume {run.name} --micro-batch {windows_at_once // 2}"
    return f"{ran_out}; {kept}. Fewer windows at once take less: {fewer}"
