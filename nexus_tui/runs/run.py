"""Run: everything on record about one run, read from its folder and kept up to date."""

import contextlib
import math
import tomllib
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from nexus_tui.runs import journal as j
from nexus_tui.runs.checkpoints import Checkpoint, CheckpointError, open_checkpoint
from nexus_tui.runs.columns import Table
from nexus_tui.runs.lock import Holder, holder

TRAIN_STEPS = 20
"""A checkpoint's training loss is the mean over this many steps up to it: one batch alone is noise."""


class RunError(Exception):
    """A folder is no run, or a name is none of its checkpoints; the message says which."""


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

    @property
    def step(self) -> int:
        """The step whose weights were evaluated."""
        return self.event.step

    @property
    def loss(self) -> float:
        """Validation loss, nats per token; NaN if it was no finite number."""
        return _number(self.event.loss)

    @property
    def stderr(self) -> float:
        """Standard error of the loss over windows, nats per token."""
        return _number(self.event.stderr)

    @property
    def bits_per_byte(self) -> float:
        """Validation loss in bits per byte of text: what compares runs with different tokenizers."""
        return _number(self.event.bits_per_byte)

    @property
    def perplexity(self) -> float:
        """exp of the validation loss."""
        return math.exp(min(self.loss, 700.0)) if math.isfinite(self.loss) else math.nan

    @property
    def name(self) -> str:
        """Name of the checkpoint that was evaluated, such as `step_1400`."""
        return self.event.checkpoint


@dataclass
class _Record:
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
    log: list[j.AnyEvent] = field(default_factory=list)
    """Every event but steps and activities, in order."""
    started: j.StartedEvent | None = None
    ended: j.EndedEvent | None = None
    paused: bool = False
    activity: str = ""


class Run:
    """One run, read from its folder.

    `refresh` reads what the journal has grown by; everything else answers from memory. `revision` changes
    whenever something on record did, so a screen that has drawn it has nothing to do.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.revision = 0
        self._reader = j.JournalReader(folder / "journal.jsonl")
        self._record = _Record()
        self._checkpoints: dict[str, Checkpoint] = {}
        self._holder: Holder | None = None
        self.refresh()

    @classmethod
    def open(cls, folder: Path) -> "Run":
        """Open a run. Raises RunError if the folder has no journal."""
        if not (folder / "journal.jsonl").is_file():
            raise RunError(f"{folder} is no run: it has no journal.jsonl.")
        return cls(folder)

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.folder.resolve().name

    @cached_property
    def config(self) -> dict[str, dict[str, Any]]:
        """The tables of run.toml; empty if there is none or it cannot be read."""
        with contextlib.suppress(OSError, tomllib.TOMLDecodeError, UnicodeDecodeError):
            return tomllib.loads((self.folder / "run.toml").read_text("utf-8"))
        return {}

    def setting(self, key: str, default: Any = None) -> Any:
        """One configured value by its dotted key, such as `budget.steps`."""
        table, _, name = key.partition(".")
        content = self.config.get(table)
        return content.get(name, default) if isinstance(content, dict) else default

    # What is on record -----------------------------------------------------------------------------------

    @property
    def steps(self) -> Table:
        """A row a step: `step`, `loss`, `lr`, `grad_norm`, `tokens`, `seconds`, `time` (epoch), `branch`."""
        return self._record.steps

    @property
    def evaluations(self) -> list[Evaluation]:
        """Every evaluation ever journalled, over all branches, in order."""
        return self._record.evaluations

    @property
    def samples(self) -> list[j.SampledEvent]:
        """Every sample from the fixed prompts, in order."""
        return self._record.samples

    @property
    def log(self) -> list[j.AnyEvent]:
        """Every event but the steps, in order."""
        return self._record.log

    @property
    def branches(self) -> list[Branch]:
        """The stretches between resumes, oldest first."""
        return self._record.branches

    @property
    def started(self) -> j.StartedEvent | None:
        """How the run began."""
        return self._record.started

    @property
    def checkpoints(self) -> dict[str, Checkpoint]:
        """By name: the saved checkpoints whose files are there with the right sizes."""
        return self._checkpoints

    @property
    def saved(self) -> dict[str, j.SavedEvent]:
        """By name: every checkpoint ever saved, its files kept or not."""
        return {name: event for name, (_, event) in self._record.saved.items()}

    @property
    def step(self) -> int:
        """The newest step; 0 before the first."""
        steps = self.steps["step"]
        return max(int(steps[-1]) if len(steps) else 0, self.branches[-1].start)

    @property
    def total_steps(self) -> int:
        """How many steps are planned; 0 if the run does not say."""
        return int(self.setting("budget.steps", 0))

    @property
    def ended(self) -> j.EndedEvent | None:
        """How training ended, if it did and has not been resumed."""
        return self._record.ended

    @property
    def activity(self) -> str:
        """What the trainer does besides steps, such as `evaluating`; empty while it steps or is gone."""
        return self._record.activity if self._holder else ""

    @property
    def holder(self) -> Holder | None:
        """The process that trains the run, as of the last refresh."""
        return self._holder

    @property
    def state(self) -> str:
        """`new` (nothing happened), `training`, `paused`, `finished`, `stopped`, `failed` or `crashed`."""
        if self._holder:
            return "paused" if self._record.paused else "training"
        if self._record.ended:
            return self._record.ended.reason
        return "crashed" if self._record.started or len(self.steps) else "new"

    def canonical(self) -> "np.ndarray[Any, np.dtype[np.bool_]]":
        """Which rows of `steps` led to the newest weights: [rows]. Their steps strictly rise."""
        limits = np.full(len(self.branches), -1, np.int64)
        for index, limit in self.line().items():
            limits[index] = limit
        table = self.steps
        return np.asarray(table["step"] <= limits[table["branch"]])

    def line(self) -> dict[int, int]:
        """The branches that led to the newest weights, each with the last step that counts on it."""
        limit, branch = np.iinfo(np.int64).max, self.branches[-1]
        line = {branch.index: int(limit)}
        while branch.parent is not None:
            limit = min(limit, branch.start)
            branch = self.branches[branch.parent]
            line[branch.index] = int(limit)
        return line

    def on_line(self, branch: int, step: int) -> bool:
        """Whether a step of a branch lies on the line that led to the newest weights."""
        return step <= self.line().get(branch, -1)

    def branch_of(self, checkpoint: str) -> int:
        """The branch on which a checkpoint was saved. Raises KeyError for one that never was."""
        return self._record.saved[checkpoint][0]

    def checkpoint_name(self, branch: int, step: int) -> str:
        """The name for a checkpoint: `step_1400`, or `step_1400.2` where an earlier branch has used that."""
        name = f"step_{step}"
        taken = {event.checkpoint: on for on, event in self._record.saved.values()}
        taken |= {evaluation.name: evaluation.branch for evaluation in self.evaluations}
        return f"{name}.{branch}" if taken.get(name, branch) != branch else name

    def checkpoint(self, which: str | int) -> Checkpoint:
        """A kept checkpoint by name (`step_1400`) or step; of several with one step the newest line's.

        Raises RunError if there is none.
        """
        found = [
            checkpoint
            for name, checkpoint in self._checkpoints.items()
            if str(which) == name or str(which) == str(checkpoint.step)
        ]
        if not found:
            kept = ", ".join(str(checkpoint.step) for checkpoint in self._checkpoints.values()) or "none"
            raise RunError(f"{self.name} keeps no checkpoint {which}; it has: {kept}.")
        return max(
            found, key=lambda c: (self.on_line(self.branch_of(c.name), c.step), self.branch_of(c.name))
        )

    def newest_checkpoint(self) -> Checkpoint | None:
        """The kept checkpoint that was saved last."""
        return next(
            (self._checkpoints[name] for name in reversed(self._record.saved) if name in self._checkpoints),
            None,
        )

    def window_losses(self, checkpoint: str) -> "np.ndarray[Any, np.dtype[np.float32]] | None":
        """Mean loss of every validation window in nats per token, [windows]; None if not on disk."""
        try:
            losses = np.load(self.folder / "evaluations" / f"{checkpoint}.npy", allow_pickle=False)
        except (OSError, ValueError):
            return None
        return losses if losses.ndim == 1 and losses.dtype == np.float32 else None

    # Keeping up ------------------------------------------------------------------------------------------

    def refresh(self) -> bool:
        """Read what is new. Returns whether anything changed."""
        if self._reader.replaced():
            self._reader = j.JournalReader(self._reader.path)
            self._record = _Record()
            self.__dict__.pop("config", None)
        events = self._reader.read()
        for event in events:
            self._take(event)
        now_held = holder(self.folder)
        changed = bool(events) or now_held != self._holder
        self._holder = now_held
        if changed or not self.revision:
            self._look_at_checkpoints()
            self.revision += 1
        return changed

    def _look_at_checkpoints(self) -> None:
        found = {}
        for name in self._record.saved:
            with contextlib.suppress(CheckpointError):
                path = self.folder / "checkpoints" / name
                known = self._checkpoints.get(name)
                found[name] = known if known and path.exists() else open_checkpoint(path)
        self._checkpoints = found

    def _take(self, event: j.AnyEvent) -> None:
        record = self._record
        branch = record.branches[-1].index
        if isinstance(event, j.StepEvent):
            record.steps.append(
                step=event.step,
                loss=_number(event.loss),
                lr=event.lr,
                grad_norm=_number(event.grad_norm),
                tokens=event.tokens,
                seconds=event.seconds,
                time=event.time.timestamp(),
                branch=branch,
            )
            record.activity = ""
            return
        if isinstance(event, j.ActivityEvent):
            record.activity = event.activity
            return
        record.log.append(event)
        match event:
            case j.StartedEvent():
                record.started = event
            case j.DeviceEvent():
                record.ended, record.paused = None, False
            case j.ResumedEvent():
                parent = record.saved.get(event.checkpoint, (branch, None))[0]
                record.branches.append(Branch(len(record.branches), parent, event.step))
            case j.EvaluatedEvent():
                record.evaluations.append(Evaluation(branch, event, self._train_loss(event.step)))
            case j.SavedEvent():
                record.saved.pop(event.checkpoint, None)
                record.saved[event.checkpoint] = (branch, event)
            case j.SampledEvent():
                record.samples.append(event)
            case j.ControlledEvent() if event.act in ("pause", "continue"):
                record.paused = event.act == "pause"
            case j.EndedEvent():
                record.ended = event

    def _train_loss(self, step: int) -> float:
        """Mean over the newest rows up to `step`. NaN if there are none."""
        steps = self.steps["step"][-TRAIN_STEPS:]
        losses = self.steps["loss"][-TRAIN_STEPS:][(steps <= step) & (steps > step - TRAIN_STEPS)]
        return float(losses.mean()) if len(losses) else math.nan


def _number(value: float | None) -> float:
    return math.nan if value is None else value
