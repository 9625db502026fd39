"""What comes before the first step of a run on a large corpus: it takes long, is told of, and can be left."""

import time
from collections.abc import Callable
from dataclasses import replace

import torch

from nexus_tui.config import RunConfig
from nexus_tui.data.cache import Cancelled
from nexus_tui.data.dataset import Dataset
from nexus_tui.data.windows import usual_shuffle
from nexus_tui.runs.journal import StartedEvent
from nexus_tui.training import footprint_gpu
from nexus_tui.training.control import Control
from nexus_tui.training.launch import Launch
from nexus_tui.training.learner import Learner, precision
from nexus_tui.training.room import Room

FIRST = 2.0
"""Seconds after which it is said how far it is; then whenever a twentieth longer has passed."""
PATIENCE = 1.0
"""Seconds within which a run that is to be stopped begins all the same, and is on record."""
AS_MUCH = 1.0
"""Evaluations may read as many tokens as training does, before that is worth a note."""


class Preparing:
    """Told how far the corpus is: says it at ever longer intervals, and ends it if that is wished for."""

    def __init__(self, say: Callable[[str], None], control: Control) -> None:
        self._say, self._control = say, control
        self._what = ""
        self._since = self._began = self._next = time.monotonic()

    def __call__(self, what: str, done: int, total: int) -> None:
        """So much of `what` has been done. Raises Cancelled."""
        now = time.monotonic()
        if self._control.stopping and now - self._since >= PATIENCE:
            raise Cancelled
        if what != self._what:
            self._what, self._began, self._next = what, now, now + (FIRST if total else 0.0)
        if now < self._next:
            return
        passed = now - self._began
        self._next = now + max(FIRST, passed / 20) if total else now + 86400
        if not total:
            self._say(what)
        elif done:
            left = passed * (total - done) / done
            took = f"{left:.0f} s" if left < 120 else f"{left / 60:.0f} min"
            self._say(f"{what}: {done / total:.0%} of {total / 1e6:,.0f} MB, about {took} to go")


def shuffled(dataset: Dataset, config: RunConfig, started: StartedEvent | None) -> Dataset:
    """The dataset with its windows in the order that the run began with, or a new one takes."""
    if started is None:
        return replace(dataset, shuffle=usual_shuffle(len(dataset.train), config.data.window))
    return replace(dataset, shuffle="feistel" if started.shuffle == "feistel" else "sort")


def about_evaluations(learner: Learner) -> str:
    """A sentence for a run whose evaluations will read more than it trains on; empty for others."""
    config = learner.config
    between = config.evaluation.every * config.budget.batch * config.data.window
    validation = len(learner.dataset.validation)
    if validation <= AS_MUCH * between or learner.dataset.mapping is None:
        return ""
    share = config.data.validation * between / validation / 10
    return (
        f"An evaluation reads {validation:,} tokens, the {config.evaluation.every:,} steps between two of "
        f"them {between:,}: a smaller data.validation, such as {share:.1g}, leaves more time to training."
    )


def about_memory(learner: Learner, launch: Launch, room: Room | None) -> str:
    """A sentence for a run that may not fit into what its GPU left before it took any; empty for others."""
    half = precision(learner.config, learner.device) == torch.bfloat16
    return footprint_gpu.warning(learner.config, learner.at_once, half, launch, room)
