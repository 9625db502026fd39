"""What a journal has said so far: columns, branches, evaluations, checkpoints; event after event."""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nexus_tui.runs import averages
from nexus_tui.runs import journal as j
from nexus_tui.runs.columns import Table

TRAIN_STEPS = 20
"""A checkpoint's training loss is the mean over this many steps up to it: one batch alone is noise."""


@dataclass(frozen=True)
class Series:
    """One metric over a run: [points] each, in the order in which they were written."""

    step: "np.ndarray[Any, np.dtype[np.int64]]"
    value: "np.ndarray[Any, np.dtype[np.float64]]"
    branch: "np.ndarray[Any, np.dtype[np.int32]]"


@dataclass(frozen=True)
class Branch:
    """A stretch of training without a resume. The first has no parent and starts at step 0."""

    index: int
    parent: int | None = None
    start: int = 0
    """The step of the checkpoint it resumed from."""


@dataclass(frozen=True)
class Evaluation:
    """One evaluation on record, with the branch it happened on."""

    branch: int
    event: j.EvaluatedEvent
    train_loss: float
    """Mean training loss of the last TRAIN_STEPS steps up to it, in nats per token; NaN if there are none."""
    averaged: bool = False
    """Whether its weights are an average of checkpoints: a contender for the best, no point of a curve."""

    @property
    def step(self) -> int:
        """The step whose weights were evaluated."""
        return self.event.step

    @property
    def loss(self) -> float:
        """Validation loss, nats per token; NaN if it was no finite number."""
        return number(self.event.loss)

    @property
    def stderr(self) -> float:
        """Standard error of the loss over windows, nats per token."""
        return number(self.event.stderr)

    @property
    def bits_per_byte(self) -> float:
        """Validation loss in bits per byte of text: what compares runs with different tokenizers."""
        return number(self.event.bits_per_byte)

    @property
    def perplexity(self) -> float:
        """exp of the validation loss."""
        return math.exp(min(self.loss, 700.0)) if math.isfinite(self.loss) else math.nan

    @property
    def name(self) -> str:
        """Name of the checkpoint that was evaluated, such as `step_1400`."""
        return self.event.checkpoint

    @property
    def title(self) -> str:
        """What a sentence calls it: its step, or the name of an average, whose step is that of a parent."""
        return self.name if self.averaged else f"step {self.step}"


@dataclass
class Record:
    """What the journal has said so far."""

    steps: Table = field(
        default_factory=lambda: Table(
            step=np.int64, loss=np.float64, lr=np.float64, grad_norm=np.float64,
            tokens=np.int64, seconds=np.float64, time=np.float64, branch=np.int32,
        )
    )  # fmt: skip
    branches: list[Branch] = field(default_factory=lambda: [Branch(0)])
    evaluations: list[Evaluation] = field(default_factory=list)
    saved: dict[str, tuple[int, j.SavedEvent]] = field(default_factory=dict)
    """By checkpoint name: the branch and the event."""
    samples: list[j.SampledEvent] = field(default_factory=list)
    claims: list[j.ClaimedEvent] = field(default_factory=list)
    heldout: list[j.HeldoutEvent] = field(default_factory=list)
    measured: dict[str, list[tuple[int, float, int]]] = field(default_factory=dict)
    """By metric: step, value, branch."""
    log: list[j.AnyEvent] = field(default_factory=list)
    """Every event but steps, other measurements and activities, in order."""
    started: j.StartedEvent | None = None
    ended: j.EndedEvent | None = None
    paused: bool = False
    activity: str = ""

    def take(self, event: j.AnyEvent) -> None:
        """Let one event tell."""
        branch = self.branches[-1].index
        if isinstance(event, j.StepEvent):
            self.steps.append(
                step=event.step,
                loss=number(event.loss),
                lr=event.lr,
                grad_norm=number(event.grad_norm),
                tokens=event.tokens,
                seconds=event.seconds,
                time=event.time.timestamp(),
                branch=branch,
            )
            self.activity = ""
            return
        if isinstance(event, j.ActivityEvent):
            self.activity = event.activity
            return
        if isinstance(event, j.MeasuredEvent):
            for name, value in event.values.items():
                self.measured.setdefault(name, []).append((event.step, number(value), branch))
            return
        self.log.append(event)
        match event:
            case j.StartedEvent():
                self.started = event
            case j.DeviceEvent():
                self.ended, self.paused = None, False
            case j.ResumedEvent():
                parent = self.saved.get(event.checkpoint, (branch, None))[0]
                self.branches.append(Branch(len(self.branches), parent, event.step))
            case j.EvaluatedEvent():
                self.evaluations.append(self._evaluation(branch, event))
            case j.SavedEvent():
                self.saved.pop(event.checkpoint, None)
                self.saved[event.checkpoint] = (self._branch_of_parents(event, branch), event)
            case j.HeldoutEvent():
                self.heldout.append(event)
            case j.ClaimedEvent():
                self.claims.append(event)
            case j.SampledEvent():
                self.samples.append(event)
            case j.ControlledEvent() if event.act in ("pause", "continue"):
                self.paused = event.act == "pause"
            case j.EndedEvent():
                self.ended = event

    def _evaluation(self, branch: int, event: j.EvaluatedEvent) -> Evaluation:
        on, saved = self.saved.get(event.checkpoint, (branch, None))
        if saved and saved.parents:
            return Evaluation(on, event, math.nan, averaged=True)
        return Evaluation(branch, event, self._train_loss(event.step))

    def _branch_of_parents(self, event: j.SavedEvent, branch: int) -> int:
        """Where a checkpoint stands in the tree: an average beside the last of its parents that is known."""
        for _, name, sha256 in reversed(averages.parents(event)):
            on, saved = self.saved.get(name, (branch, None))
            if saved and saved.sha256.startswith(sha256):
                return on
        return branch

    def _train_loss(self, step: int) -> float:
        """Mean over the newest rows up to `step`. NaN if there are none."""
        steps = self.steps["step"][-TRAIN_STEPS:]
        losses = self.steps["loss"][-TRAIN_STEPS:][(steps <= step) & (steps > step - TRAIN_STEPS)]
        return float(losses.mean()) if len(losses) else math.nan


def number(value: float | None) -> float:
    """A number that a journal may lack: NaN for None."""
    return math.nan if value is None else value
