"""Run: everything on record about one run, read from its folder and kept up to date."""

import contextlib
import math
import tomllib
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from nexus_tui.runs import journal as j
from nexus_tui.runs.checkpoints import Checkpoint, CheckpointError, open_checkpoint
from nexus_tui.runs.columns import Table
from nexus_tui.runs.lock import Holder, holder
from nexus_tui.runs.record import TRAIN_STEPS, Branch, Evaluation, Record, Series, number
from nexus_tui.runs.source import Source, Weights
from nexus_tui.runs.summary import Summary, state_of, summarise

__all__ = ["TRAIN_STEPS", "Branch", "Evaluation", "Run", "RunError", "Series"]

_STEP_METRICS = ("loss", "lr", "grad_norm")


class RunError(Exception):
    """A folder is no run, or a name is none of its checkpoints; the message says which."""


class Run:
    """One run, read from its folder.

    `refresh` reads what the journal has grown by; everything else answers from memory. `revision` changes
    whenever something on record did, so a screen that has drawn it has nothing to do.
    """

    def __init__(self, folder: Path, source: Source | None = None) -> None:
        """A run of ours in a folder, or whatever `source` reads there."""
        self.folder = folder
        self.revision = 0
        self._source = source
        self._reader: Source | j.JournalReader = source or j.JournalReader(folder / "journal.jsonl")
        self._record = Record()
        self._checkpoints: dict[str, Checkpoint] = {}
        self._holder: Holder | None = None
        self._summary: tuple[int, Summary] | None = None
        self.refresh()

    @classmethod
    def open(cls, folder: Path) -> "Run":
        """Open a run. Raises RunError if the folder has no journal."""
        if not (folder / "journal.jsonl").is_file():
            raise RunError(f"{folder} is no run: it has no journal.jsonl.")
        return cls(folder)

    @property
    def name(self) -> str:
        """The folder's name, or what its source calls it."""
        return self._source.name if self._source else self.folder.resolve().name

    @property
    def kind(self) -> str:
        """`run`, `recorded` (put on record from elsewhere, without weights), or another tool's name."""
        if self._source:
            return self._source.kind
        return self.started.kind if self.started else "run"

    @property
    def foreign(self) -> bool:
        """Whether another tool wrote it: it can be looked at, not trained, sampled or changed."""
        return self._source is not None

    @cached_property
    def config(self) -> dict[str, dict[str, Any]]:
        """The tables of run.toml, or what the source says; empty if there is none or it cannot be read."""
        if self._source:
            return self._source.config
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
    def trained(self) -> list[Evaluation]:
        """`evaluations` without those of averages: the points of a curve over steps."""
        return [evaluation for evaluation in self._record.evaluations if not evaluation.averaged]

    @property
    def samples(self) -> list[j.SampledEvent]:
        """Every sample from the fixed prompts, in order."""
        return self._record.samples

    @property
    def heldout(self) -> list[j.HeldoutEvent]:
        """Every score over text kept from selection, in order."""
        return self._record.heldout

    @property
    def claims(self) -> list[j.ClaimedEvent]:
        """Every claim on record to be the best, in order; those of files in the folder are not among them."""
        return self._record.claims

    @property
    def metrics(self) -> list[str]:
        """The metrics that `series` knows, the usual ones first."""
        names = [name for name in _STEP_METRICS if np.isfinite(self.steps[name]).any()]
        if self.evaluations:
            names += ["validation_loss"]
        if any(math.isfinite(evaluation.bits_per_byte) for evaluation in self.evaluations):
            names += ["bits_per_byte"]
        others = dict.fromkeys(name for e in self.evaluations for name in e.event.metrics)
        return list(dict.fromkeys([*names, *others, *self._record.measured]))

    def series(self, metric: str) -> Series:
        """One of `metrics`; empty for any other name. Losses in nats per token where the run is ours.

        Averages are not in it.
        """
        steps = self.steps
        if metric in _STEP_METRICS:
            return Series(steps["step"], steps[metric].astype(np.float64), steps["branch"])
        if metric in ("validation_loss", "bits_per_byte"):
            attribute = "loss" if metric == "validation_loss" else metric
            points = [(e.step, getattr(e, attribute), e.branch) for e in self.trained]
        else:
            points = [
                (e.step, number(e.event.metrics[metric]), e.branch)
                for e in self.trained
                if metric in e.event.metrics
            ] + self._record.measured.get(metric, [])
        points.sort(key=lambda point: (point[2], point[0]))
        step, value, branch = zip(*points, strict=True) if points else ((), (), ())
        return Series(np.array(step, np.int64), np.array(value, np.float64), np.array(branch, np.int32))

    @property
    def log(self) -> list[j.AnyEvent]:
        """Every event but the steps and their other measurements, in order."""
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

    def weights(self, checkpoint: str) -> Weights:
        """Whether the weights of a checkpoint exist: a checkpoint counts as the best only if they do.

        `elsewhere` is believed: of a recorded run, whatever was saved.
        """
        if checkpoint in self._checkpoints:
            return "here"
        if self._source:
            return self._source.weights(checkpoint)
        recorded = self.kind != "run" and checkpoint in self._record.saved
        return "elsewhere" if recorded else "gone"

    def weights_path(self, checkpoint: str) -> Path | None:
        """Where the weights of a checkpoint are, if they are here."""
        if self._source:
            return self._source.weights_path(checkpoint)
        kept = self._checkpoints.get(checkpoint)
        return kept.path if kept else None

    @property
    def step(self) -> int:
        """The newest step; 0 before the first."""
        steps = self.steps["step"]
        return max(int(steps[-1]) if len(steps) else 0, self.branches[-1].start)

    @property
    def total_steps(self) -> int:
        """How many steps are planned; 0 if the run does not say."""
        steps = self.setting("budget.steps", 0)
        return steps if isinstance(steps, int) else 0

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
        """`new` (nothing happened), `training`, `paused`, `finished`, `stopped`, `failed` or `crashed`.

        Of a run that this program does not train, how it ended, or `recorded`.
        """
        record = self._record
        ended = record.ended.reason if record.ended else ""
        begun = record.started is not None or len(record.steps) > 0
        return state_of(self._holder is not None, record.paused, ended, self.kind, begun)

    @property
    def paused(self) -> bool:
        """Whether training was paused last, and not continued since."""
        return self._record.paused

    @property
    def summary(self) -> Summary:
        """The run in one record: what a list of runs says of it."""
        if self._summary is None or self._summary[0] != self.revision:
            self._summary = (self.revision, summarise(self))
        return self._summary[1]

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

    def averaged(self, checkpoint: str) -> bool:
        """Whether a checkpoint is an average of others: it has a name and weights, but nobody trained it."""
        return bool(self.parents(checkpoint))

    def parents(self, checkpoint: str) -> tuple[str, ...]:
        """What a checkpoint is an average of, as `averages.parents` reads them; none for what was trained."""
        return self._record.saved[checkpoint][1].parents if checkpoint in self._record.saved else ()

    def checkpoint(self, which: str | int) -> Checkpoint:
        """A kept checkpoint by name (`step_1400`) or step; of several with one step the newest line's.

        An average goes by its name alone. Raises RunError if there is none.
        """
        found = [
            checkpoint
            for name, checkpoint in self._checkpoints.items()
            if str(which) == name or (str(which) == str(checkpoint.step) and not self.averaged(name))
        ]
        if not found:
            for name in (str(which), f"step_{which}"):
                if damage := self.damage(name):
                    raise RunError(damage)
            names = [n if self.averaged(n) else str(kept.step) for n, kept in self._checkpoints.items()]
            kept = ", ".join(names) or "none"
            raise RunError(f"{self.name} keeps no checkpoint {which}; it has: {kept}.")
        return max(
            found, key=lambda c: (self.on_line(self.branch_of(c.name), c.step), self.branch_of(c.name))
        )

    def damage(self, checkpoint: str) -> str:
        """What is wrong with a checkpoint's files, which one, and what to do; empty if nothing is known."""
        path = self.folder / "checkpoints" / checkpoint
        if checkpoint in self._checkpoints or "/" in checkpoint or not (path / "manifest.json").is_file():
            return ""
        try:
            open_checkpoint(path)
        except CheckpointError as error:
            return f"{self.name}:{checkpoint} is damaged: {error}"
        return ""

    def newest_checkpoint(self) -> Checkpoint | None:
        """The kept checkpoint that training saved last: never an average, which it cannot go on from."""
        return next(
            (
                self._checkpoints[name]
                for name in reversed(self._record.saved)
                if name in self._checkpoints and not self.averaged(name)
            ),
            None,
        )

    def window_losses(self, checkpoint: str) -> "np.ndarray[Any, np.dtype[np.float32]] | None":
        """Mean loss of every validation window in nats per token, [windows]; None if not there or damaged."""
        path = self.folder / "evaluations" / f"{checkpoint}.npy"
        losses = None
        # A file that was cut off raises one of many exceptions: each means that it is not there.
        with contextlib.suppress(Exception):
            losses = np.load(path, allow_pickle=False) if path.is_file() else None
        known = isinstance(losses, np.ndarray) and losses.ndim == 1 and losses.dtype == np.float32
        return losses if known else None

    # Keeping up ------------------------------------------------------------------------------------------

    def refresh(self) -> bool:
        """Read what is new. Returns whether anything changed."""
        if self._reader.replaced():
            self._reader = self._reader.again()
            self._source = None if isinstance(self._reader, j.JournalReader) else self._reader
            self._record = Record()
            self.__dict__.pop("config", None)
        events = self._reader.read()
        for event in events:
            self._record.take(event)
        now_held = None if self._source else holder(self.folder)
        changed = bool(events) or now_held != self._holder
        self._holder = now_held
        if changed or not self.revision:
            self._look_at_checkpoints()
            self.revision += 1
        return changed

    def _look_at_checkpoints(self) -> None:
        if self._source:
            return
        found = {}
        for name in self._record.saved:
            with contextlib.suppress(CheckpointError):
                path = self.folder / "checkpoints" / name
                known = self._checkpoints.get(name)
                found[name] = known if known and path.exists() else open_checkpoint(path)
        self._checkpoints = found
