"""What a journal has said so far: columns, branches, evaluations, checkpoints; event after event."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np

from nexus_tui.runs import averages
from nexus_tui.runs import journal as j
from nexus_tui.runs.columns import Table
from nexus_tui.runs.numbers import number

MOST_EVENTS, MOST_METRICS = 1_000_000, 10_000
"""Events besides steps, and names of other measurements, that are kept: a file has room for any number."""
MOST_STEPS = 10**9
"""That a run may plan."""
TRAIN_STEPS = 20
"""A checkpoint's training loss is the mean over this many steps up to it: one batch alone is noise."""


@dataclass(frozen=True)
class Series:
    """One metric over a run: [points] each."""

    step: "np.ndarray[Any, np.dtype[np.int64]]"
    value: "np.ndarray[Any, np.dtype[np.float64]]"
    branch: "np.ndarray[Any, np.dtype[np.int32]]"

    def sorted(self) -> "Series":
        """By branch, then step; what is equal in both stays in order."""
        order = np.lexsort((self.step, self.branch))
        return Series(self.step[order], self.value[order], self.branch[order])

    def and_then(self, other: "Series") -> "Series":
        """These points, then the other's."""
        return Series(
            np.concatenate([self.step, other.step]),
            np.concatenate([self.value, other.value]),
            np.concatenate([self.branch, other.branch]),
        )


class Points:
    """A metric that is measured beside the steps, as columns that grow."""

    def __init__(self) -> None:
        self._table = Table(step=np.int64, value=np.float64, branch=np.int32)
        self._last = (0, 0)
        """Branch and step of the newest."""
        self.ordered = True
        """Whether branch and step never fell."""

    def __len__(self) -> int:
        return len(self._table)

    def extend(self, step: "np.ndarray[Any, Any]", value: "np.ndarray[Any, Any]", branch: int) -> None:
        """Add points, [n] each, in the order in which they were written."""
        rising = self._last <= (branch, int(step[0])) and bool((step[1:] >= step[:-1]).all())
        self.ordered = self.ordered and rising
        self._last = (branch, int(step[-1]))
        self._table.extend(step=step, value=value, branch=np.full(len(step), branch, np.int32))

    def series(self) -> Series:
        """All of them, as they were written; without a copy."""
        return Series(self._table["step"], self._table["value"], self._table["branch"])


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
    measured: dict[str, Points] = field(default_factory=dict)
    """By metric."""
    log: list[j.AnyEvent] = field(default_factory=list)
    """Every event but steps, other measurements and activities, in order."""
    started: j.StartedEvent | None = None
    ended: j.EndedEvent | None = None
    diverged: j.DivergedEvent | None = None
    """Why training stopped before a harmful update, if that is how it ended."""
    planned: int | None = None
    """Steps planned by somebody's wish, where that is not what the configuration says."""
    paused: bool = False
    activity: str = ""
    too_many: int = 0
    """Events and metrics that were passed over, for there are more than anybody's run has."""

    def take(self, events: Iterable[j.AnyEvent]) -> None:
        """Let events tell, in order. Steps and measurements, which are most of them, are taken together."""
        steps: list[j.StepEvent] = []
        measured: list[j.MeasuredEvent] = []
        for event in events:
            if isinstance(event, j.StepEvent):
                steps.append(event)
                self.activity = ""
            elif isinstance(event, j.MeasuredEvent):
                measured.append(event)
            elif isinstance(event, j.ActivityEvent):
                self.activity = event.activity
            else:
                self._step(steps)
                self._measure(measured)
                steps, measured = [], []
                self._happen(event)
        self._step(steps)
        self._measure(measured)

    def _step(self, events: Sequence[j.StepEvent]) -> None:
        if events:
            self.steps.extend(
                step=[event.step for event in events],
                loss=[event.loss for event in events],
                lr=[event.lr for event in events],
                grad_norm=[event.grad_norm for event in events],
                tokens=[event.tokens for event in events],
                seconds=[event.seconds for event in events],
                time=[event.time.timestamp() for event in events],
                branch=[self.branches[-1].index] * len(events),
            )

    def _measure(self, events: Sequence[j.MeasuredEvent]) -> None:
        kinds = {tuple(event.values) for event in events}
        if len(kinds) == 1:  # nearly always, and three times as fast
            step = np.array([event.step for event in events], np.int64)
            names = kinds.pop()
            values = _numbers(chain.from_iterable(event.values.values() for event in events))
            for name, column in zip(names, values.reshape(len(events), len(names)).T, strict=True):
                self._put(name, step, column)
            return
        columns: dict[str, tuple[list[int], list[float | None]]] = {}
        for event in events:
            for name, value in event.values.items():
                steps, numbers = columns.setdefault(name, ([], []))
                steps.append(event.step)
                numbers.append(value)
        for name, (steps, numbers) in columns.items():
            self._put(name, np.array(steps, np.int64), np.array(numbers, np.float64))

    def _put(self, name: str, step: "np.ndarray[Any, Any]", value: "np.ndarray[Any, Any]") -> None:
        if name not in self.measured and len(self.measured) >= MOST_METRICS:
            self.too_many += 1
            return
        self.measured.setdefault(name, Points()).extend(step, value, self.branches[-1].index)

    def _happen(self, event: j.AnyEvent) -> None:
        """Let any other event tell."""
        branch = self.branches[-1].index
        if len(self.log) >= MOST_EVENTS:
            self.too_many += 1
            return
        self.log.append(event)
        match event:
            case j.StartedEvent():
                self.started = event
            case j.DeviceEvent():
                self.ended, self.diverged, self.paused = None, None, False
            case j.ResumedEvent():
                parent = self.saved.get(event.checkpoint, (branch, None))[0]
                self.branches.append(Branch(len(self.branches), parent, event.step))
                self.planned = None  # the trainer says it again if it still holds
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
            case j.ControlledEvent(act="plan", value=float(value)) if 0 < value <= MOST_STEPS:
                self.planned = int(value)
            case j.DivergedEvent():
                self.diverged = event
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


def _numbers(values: Iterable[float | None]) -> "np.ndarray[Any, np.dtype[np.float64]]":
    """Numbers that a journal may lack: NaN for None."""
    known = list(values)
    try:
        return np.fromiter(known, np.float64, len(known))
    except TypeError:  # a None among them; making an array of a list takes three times as long
        return np.array(known, np.float64)
