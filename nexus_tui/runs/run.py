"""Run: everything on record about one run, read from its folder and kept up to date."""

import contextlib
import math
import os
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from nexus_tui.runs import frames
from nexus_tui.runs import journal as j
from nexus_tui.runs.arrays import read_npy
from nexus_tui.runs.checkpoints import Checkpoint, CheckpointError, open_checkpoint
from nexus_tui.runs.columns import Table
from nexus_tui.runs.lock import Holder, holder
from nexus_tui.runs.numbers import number
from nexus_tui.runs.reading import CHECKPOINTS, CONFIG, JOURNAL, Reading, Signature, signature
from nexus_tui.runs.record import TRAIN_STEPS, Branch, Evaluation, Record, Series
from nexus_tui.runs.settings_file import read_settings, usable
from nexus_tui.runs.source import Source, Weights
from nexus_tui.runs.summary import Summary, state_of, summarise
from nexus_tui.untrusted_files import is_plain_name, read_file

if TYPE_CHECKING:
    from nexus_tui.runs.frames import Columns
    from nexus_tui.runs.summaries import Summaries

__all__ = ["TRAIN_STEPS", "Branch", "Evaluation", "Run", "RunError", "Series"]

T = TypeVar("T")
_WINDOWS = 256 << 20
"""Bytes of the losses of an evaluation's windows."""
_STEP_METRICS = ("loss", "lr", "grad_norm")


class RunError(Exception):
    """A folder is no run, or a name is none of its checkpoints; the message says which."""


class Run:
    """One run, read from its folder once something is asked that only its journal knows.

    `refresh` looks whether anything is new; everything else answers from memory. `revision` changes whenever
    something on record did, so a screen that has drawn it has nothing to do.
    """

    def __init__(
        self, folder: Path, source: Source | None = None, summaries: "Summaries | None" = None
    ) -> None:
        """A run of ours in a folder, or whatever `source` reads there; no file is looked at yet.

        With `summaries`, what a list needs is had from there as long as nothing else is asked.
        """
        self.folder = folder
        self.revision = 0
        self._source = source
        self._summaries = summaries
        self._reading: Reading | None = None
        self._signature: Signature | None = Signature() if source else None
        """As of the last look at the folder; None before the first. Of another tool's run there is none."""
        self._checkpoints: dict[str, Checkpoint] = {}
        self._holder: Holder | None = None
        self._summary: tuple[int, Summary] | None = None
        self._made: dict[str | None, tuple[object, Any]] = {}

    @classmethod
    def open(cls, folder: Path | str) -> "Run":
        """Open a run. Raises RunError if the folder has no journal."""
        folder = Path(folder)
        if not (folder / JOURNAL).is_file():
            raise RunError(f"{folder} is no run: it has no {JOURNAL}.")
        return cls(folder)

    @cached_property
    def name(self) -> str:
        """The folder's name, or what its source calls it."""
        if self._source:
            return self._source.name
        linked = self.folder.name in ("", "..") or os.path.islink(self.folder)  # noqa: PTH114
        return (self.folder.resolve() if linked else self.folder).name

    @property
    def kind(self) -> str:
        """`run`, `recorded` (put on record from elsewhere, without weights), or another tool's name."""
        if self._source:
            return self._source.kind
        if self._listed:
            return self.summary.kind
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
        return self._settings[0]

    @cached_property
    def _settings(self) -> tuple[dict[str, Any], str]:
        """The tables of run.toml, and why there are none."""
        return read_settings(self.folder / CONFIG)

    def setting(self, key: str, default: Any = None) -> Any:
        """One configured value by its dotted key, such as `budget.steps`, unless it is nonsense."""
        table, _, name = key.partition(".")
        content = self.config.get(table)
        value = content.get(name, default) if isinstance(content, dict) else default
        return value if usable(key, value) else default

    # What is on record -----------------------------------------------------------------------------------

    @property
    def is_read(self) -> bool:
        """Whether the journal was read, so that everything is in memory."""
        return self._reading is not None

    def read(self, leave: Callable[[], bool] = lambda: False) -> None:
        """Read the journal now, unless it was read.

        Raises LeftError, and has read nothing, when `leave` says so.
        """
        if self._reading is None:
            self._ensure_seen()
            reading = Reading(self._source or j.JournalReader(self.folder / JOURNAL))
            reading.go_on(leave)
            self._reading = reading
            self._read_on(reading)

    @property
    def _record(self) -> Record:
        return self._read().record

    def _read(self) -> Reading:
        self.read()
        assert self._reading is not None
        return self._reading

    def _ensure_seen(self) -> None:
        if self._signature is None:
            self.refresh()

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
        return list(self._once(None, self._metrics))

    def _metrics(self) -> list[str]:
        names = [name for name in _STEP_METRICS if np.isfinite(self.steps[name]).any()]
        if self.evaluations:
            names += ["validation_loss"]
        if any(math.isfinite(evaluation.bits_per_byte) for evaluation in self.evaluations):
            names += ["bits_per_byte"]
        others = dict.fromkeys(name for e in self.evaluations for name in e.event.metrics)
        return list(dict.fromkeys([*names, *others, *self._record.measured]))

    def series(self, metric: str) -> Series:
        """One of `metrics`; empty for any other name. Losses in nats per token where the run is ours.

        Averages are not in it. It is made once, and again when there is something new.
        """
        return self._once(metric, lambda: self._series(metric))

    def _series(self, metric: str) -> Series:
        if metric in _STEP_METRICS:
            return Series(self.steps["step"], self.steps[metric], self.steps["branch"])
        evaluated, measured = self._evaluated(metric), self._record.measured.get(metric)
        if measured is None:
            return evaluated.sorted()
        if not len(evaluated.step):
            return measured.series() if measured.ordered else measured.series().sorted()
        return evaluated.and_then(measured.series()).sorted()

    def _evaluated(self, metric: str) -> Series:
        """What evaluations say of a metric."""
        if metric in ("validation_loss", "bits_per_byte"):
            attribute = "loss" if metric == "validation_loss" else metric
            points = [(e.step, getattr(e, attribute), e.branch) for e in self.trained]
        else:
            points = [
                (e.step, number(e.event.metrics[metric]), e.branch)
                for e in self.trained
                if metric in e.event.metrics
            ]
        step, value, branch = zip(*points, strict=True) if points else ((), (), ())
        return Series(np.array(step, np.int64), np.array(value, np.float64), np.array(branch, np.int32))

    def _once(self, name: str | None, make: Callable[[], T]) -> T:
        """What `make` gave for a metric, or for all (None), when the record was as it is now, or gives."""
        record = self._record
        measured = record.measured.get(name) if name is not None else None
        now = (
            len(record.steps),
            len(record.evaluations),
            len(record.measured) if measured is None else len(measured),
        )
        if name not in self._made or self._made[name][0] != now:
            self._made[name] = (now, make())
        made: T = self._made[name][1]
        return made

    def columns(self, what: str = "steps") -> "Columns":
        """The record as numpy columns: `steps`, `evaluations` or a metric; see `frames.columns`."""
        return frames.columns(self, what)

    def pandas(self, what: str = "steps") -> Any:
        """`columns` as a pandas.DataFrame. Raises ImportError where pandas is not installed."""
        return frames.pandas(self, what)

    def polars(self, what: str = "steps") -> Any:
        """`columns` as a polars.DataFrame. Raises ImportError where polars is not installed."""
        return frames.polars(self, what)

    @property
    def log(self) -> list[j.AnyEvent]:
        """Every event but the steps and their other measurements, in order."""
        return self._record.log

    @property
    def damaged_lines(self) -> int:
        """Whole lines of the journal that could not be read. An unfinished last line is none of them."""
        reader = self._read().reader
        return reader.damaged if isinstance(reader, j.JournalReader) else 0

    @property
    def damage_of_record(self) -> list[str]:
        """What of the record cannot be read, a sentence each, without a stop: the file, and why."""
        told = [j.damage(self.damaged_lines)] if self.damaged_lines else []
        if many := self._record.too_many:
            told.append(f"{many:,} events of journal.jsonl are passed over, for no run has so many")
        if self._source:
            return told
        reason = self._read().reader.failure  # type: ignore[union-attr]
        return [*told, *([reason] if reason else []), *([self._settings[1]] if self._settings[1] else [])]

    @property
    def branches(self) -> list[Branch]:
        """The stretches between resumes, oldest first."""
        return self._record.branches

    @property
    def started(self) -> j.StartedEvent | None:
        """How the run began."""
        return self._record.started

    @property
    def device(self) -> j.DeviceEvent | None:
        """What it was trained on last."""
        return next((event for event in reversed(self.log) if isinstance(event, j.DeviceEvent)), None)

    @property
    def checkpoints(self) -> dict[str, Checkpoint]:
        """By name: the saved checkpoints whose files are there with the right sizes."""
        self._read()
        return self._checkpoints

    @property
    def saved(self) -> dict[str, j.SavedEvent]:
        """By name: every checkpoint ever saved, its files kept or not."""
        return {name: event for name, (_, event) in self._record.saved.items()}

    def weights(self, checkpoint: str) -> Weights:
        """Whether the weights of a checkpoint exist: a checkpoint counts as the best only if they do.

        `elsewhere` is believed: of a recorded run, whatever was saved.
        """
        if checkpoint in self.checkpoints:
            return "here"
        if self._source:
            return self._source.weights(checkpoint)
        recorded = self.kind == "recorded" and checkpoint in self._record.saved
        return "elsewhere" if recorded else "gone"

    def weights_path(self, checkpoint: str) -> Path | None:
        """Where the weights of a checkpoint are, if they are here."""
        if self._source:
            return self._source.weights_path(checkpoint)
        kept = self.checkpoints.get(checkpoint)
        return kept.path if kept else None

    @property
    def step(self) -> int:
        """The newest step; 0 before the first."""
        steps = self.steps["step"]
        return max(int(steps[-1]) if len(steps) else 0, self.branches[-1].start)

    @property
    def total_steps(self) -> int:
        """How many steps are planned, by the newest wish if there is one; 0 if the run does not say."""
        if self._listed:
            return self.summary.total_steps
        if self._record.planned is not None:
            return self._record.planned
        return int(self.setting("budget.steps", 0))

    @property
    def ended(self) -> j.EndedEvent | None:
        """How training ended, if it did and has not been resumed."""
        return self._record.ended

    @property
    def diverged(self) -> j.DivergedEvent | None:
        """Why training stopped before a harmful update, if it did and has not been resumed."""
        return self._record.diverged

    @property
    def activity(self) -> str:
        """What the trainer does besides steps, such as `evaluating`; empty while it steps or is gone."""
        return self._record.activity if self.holder else ""

    @property
    def holder(self) -> Holder | None:
        """The process that trains the run, as of the last refresh."""
        self._ensure_seen()
        return self._holder

    @property
    def state(self) -> str:
        """`new` (nothing happened), `training`, `paused`, `finished`, `stopped`, `failed` or `crashed`.

        Of a run that this program does not train, how it ended, or `recorded`.
        """
        held = self.holder is not None
        if self._listed:
            return self.summary.state(held)
        record = self._record
        ended = record.ended.reason if record.ended else ""
        begun = record.started is not None or len(record.steps) > 0
        return state_of(held, record.paused, ended, self.kind, begun)

    @property
    def paused(self) -> bool:
        """Whether training was paused last, and not continued since."""
        return self._record.paused

    @property
    def summary(self) -> Summary:
        """The run in one record: what a list of runs says of it."""
        if self._summary is None or self._summary[0] != self.revision:
            found: Summary | None
            if self._listed:
                found = self._summaries.of(self.folder, self.signature) if self._summaries else None
                if found is None:  # it is being read, and comes soon
                    return Summary(self.name, known=False)
            else:
                found = summarise(self)
            self._summary = (self.revision, found)
        return self._summary[1]

    @property
    def signature(self) -> Signature:
        """What told at the last look whether its files have changed; zeros for another tool's run."""
        self._ensure_seen()
        return self._signature or Signature()

    @property
    def size(self) -> int:
        """Bytes of the journal at the last look; 0 for another tool's run."""
        return self.signature.journal.size

    @property
    def summarised(self) -> bool:
        """Whether `summary` is at hand, and of the files as they were at the last look."""
        return not self._listed or bool(
            self._summaries and self._summaries.current(self.folder, self.signature)
        )

    @property
    def gone(self) -> bool:
        """Whether its journal was not there at the last look. Another tool's run goes with its file."""
        return self._source is None and not self.signature.journal.inode

    @property
    def _listed(self) -> bool:
        """Whether nothing was asked yet that a list does not ask: its summary answers."""
        return self._summaries is not None and self._reading is None and self._source is None

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
            for name, checkpoint in self.checkpoints.items()
            if str(which) == name or (str(which) == str(checkpoint.step) and not self.averaged(name))
        ]
        if not found:
            for name in (str(which), f"step_{which}"):
                if damage := self.damage(name):
                    raise RunError(damage)
            names = [n if self.averaged(n) else str(kept.step) for n, kept in self.checkpoints.items()]
            kept = ", ".join(names) or "none"
            raise RunError(f"{self.name} keeps no checkpoint {which}; it has: {kept}.")
        return max(
            found, key=lambda c: (self.on_line(self.branch_of(c.name), c.step), self.branch_of(c.name))
        )

    def damage(self, checkpoint: str) -> str:
        """What is wrong with a checkpoint's files, which one, and what to do; empty if nothing is known."""
        path = self.folder / CHECKPOINTS / checkpoint
        known = checkpoint in self.checkpoints or not is_plain_name(checkpoint)
        if known or not (path / "manifest.json").is_file():
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
                self.checkpoints[name]
                for name in reversed(self._record.saved)
                if name in self.checkpoints and not self.averaged(name)
            ),
            None,
        )

    def window_losses(self, checkpoint: str) -> "np.ndarray[Any, np.dtype[np.float32]] | None":
        """Mean loss of every validation window in nats per token, [windows]; None if not there or damaged."""
        # A file that was cut off raises one of many exceptions: each means that it is not there.
        with contextlib.suppress(Exception):
            if is_plain_name(f"{checkpoint}.npy"):
                path = self.folder / "evaluations" / f"{checkpoint}.npy"
                losses = read_npy(read_file(path, _WINDOWS))
                return losses if losses.ndim == 1 and losses.dtype == np.float32 else None
        return None

    # Keeping up ------------------------------------------------------------------------------------------

    def refresh(self) -> bool:
        """Look whether anything is new, and read it if the rest was read. Returns whether anything was."""
        news, held = self._look(), self._holder
        self._holder = None if self._source else holder(self.folder)
        if news and self._reading:
            self._read_on(self._reading)
        if news or self._holder != held:
            self.revision += 1
            return True
        return False

    def adopt(self, other: "Run") -> None:
        """Take over what another Run of this folder has read, maybe in a thread; that one is used no more."""
        if self._reading is None:
            self._reading, self._checkpoints = other._read(), other._checkpoints
            self.refresh()
            self.touch()

    def touch(self) -> None:
        """Something about the run became known that was on record before."""
        self.revision += 1

    def _look(self) -> bool:
        """Whether the files have changed since the last look, by their times and sizes."""
        if self._source:
            return self._source.replaced()
        before, self._signature = self._signature, signature(self.folder)
        if before is None or before.config != self._signature.config:
            for kept in ("config", "_settings"):
                self.__dict__.pop(kept, None)
        return before != self._signature

    def _read_on(self, reading: Reading) -> None:
        record = reading.record
        reading.go_on()
        if reading.record is not record:
            self._made.clear()
        if not isinstance(reading.reader, j.JournalReader):
            self._source = reading.reader
        self._look_at_checkpoints()

    def _look_at_checkpoints(self) -> None:
        if self._source:
            return
        found = {}
        for name in filter(is_plain_name, self._record.saved):
            with contextlib.suppress(CheckpointError):
                path = self.folder / CHECKPOINTS / name
                known = self._checkpoints.get(name)
                found[name] = known if known and path.exists() else open_checkpoint(path)
        self._checkpoints = found
