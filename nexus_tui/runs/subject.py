"""One checkpoint as somebody who compares looks at it: what the record says of it, in one place."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from nexus_tui.runs import averages, truth
from nexus_tui.runs.checkpoints import Checkpoint
from nexus_tui.runs.numbers import finite
from nexus_tui.runs.run import TRAIN_STEPS, Evaluation, Run, RunError
from nexus_tui.runs.store import Runs
from nexus_tui.runs.token_losses import TokenLosses

_CONFIG = "config.json"


@dataclass(frozen=True)
class Subject:
    """A checkpoint of a run by its name, its weights here or not, evaluated or not.

    Answers from the run as it was when it was first asked: make a new one when the run's revision changes.
    """

    run: Run
    name: str
    measured: TokenLosses | None = field(default=None, compare=False, repr=False)
    """Its loss on every validation token, where that was computed: fills what the record lacks."""

    @cached_property
    def label(self) -> str:
        """`nexus-byte:1400`, or `nexus-byte:step_1400.1` where training saved several with that step.

        An average goes by its name.
        """
        alike = [n for n, step in names(self.run).items() if step == self.step and not self.run.averaged(n)]
        return f"{self.run.name}:{self.step if alike == [self.name] else self.name}"

    @cached_property
    def step(self) -> int:
        """The step of its weights; 0 if the record does not know it."""
        return names(self.run).get(self.name, 0)

    @cached_property
    def evaluation(self) -> Evaluation | None:
        """The newest evaluation under the run's newest protocol."""
        return truth.evaluated(self.run).get(self.name)

    @property
    def checkpoint(self) -> Checkpoint | None:
        """Its files, as this program wrote them; None if they are elsewhere, gone or damaged."""
        return self.run.checkpoints.get(self.name)

    @property
    def scored(self) -> bool:
        """Whether there is a loss of it, a finite number or not."""
        return self.evaluation is not None or self.measured is not None

    @property
    def protocol(self) -> str:
        """What its loss was measured on; empty if it has none or the record does not say."""
        if self.measured:
            return self.measured.protocol
        return self.evaluation.event.protocol if self.evaluation else ""

    @property
    def sha256(self) -> str:
        """SHA-256 of its weights; empty if the record does not say."""
        if self.checkpoint:
            return self.checkpoint.sha256
        saved = self.run.saved.get(self.name)
        return saved.sha256 if saved else ""

    @cached_property
    def branch(self) -> int:
        """The stretch of training that it is of."""
        if self.name in self.run.saved:
            return self.run.branch_of(self.name)
        return self.evaluation.branch if self.evaluation else 0

    @cached_property
    def tokens(self) -> int | None:
        """How many tokens it had been trained on; None if the record does not say, or nobody trained it."""
        if self.parents:
            return None
        steps = self.run.steps
        found = steps["tokens"][(steps["step"] == self.step) & (steps["branch"] == self.branch)]
        return int(found[-1]) or None if len(found) else None

    @cached_property
    def train_loss(self) -> float:
        """Mean training loss of its last steps, nats per token; NaN if it has none on record."""
        if self.evaluation:
            return self.evaluation.train_loss
        if self.parents:
            return math.nan
        steps = self.run.steps
        own = (steps["branch"] == self.branch) & (steps["step"] <= self.step)
        losses = steps["loss"][own & (steps["step"] > self.step - TRAIN_STEPS)]
        return float(losses.mean()) if len(losses) else math.nan

    @property
    def loss(self) -> float:
        """Validation loss, nats per token; NaN if it is not known."""
        if self.evaluation:
            return self.evaluation.loss
        return self.measured.loss if self.measured else math.nan

    @property
    def stderr(self) -> float:
        """Standard error of the loss over windows, nats per token; NaN if it is not known."""
        if self.evaluation:
            return self.evaluation.stderr
        return self.measured.stderr if self.measured else math.nan

    @property
    def perplexity(self) -> float:
        """exp of the loss; never comparable across tokenizers."""
        return math.exp(min(self.loss, 700.0)) if math.isfinite(self.loss) else math.nan

    @property
    def bits_per_byte(self) -> float:
        """The loss in bits per byte of text; NaN if it is not known."""
        if self.evaluation:
            return self.evaluation.bits_per_byte
        return self.measured.bits_per_byte if self.measured else math.nan

    @property
    def gap(self) -> float:
        """Validation less training loss, nats per token; NaN if one is not known."""
        return self.loss - self.train_loss

    @property
    def bytes(self) -> int | None:
        """Size of its files; None if the record does not say."""
        if self.checkpoint:
            return self.checkpoint.bytes
        saved = self.run.saved.get(self.name)
        return saved.bytes or None if saved else None

    @cached_property
    def parents(self) -> tuple[str, ...]:
        """The checkpoints it is the average of, `RUN:NAME@sha256[:12]` each; mostly none."""
        saved = self.run.saved.get(self.name)
        return saved.parents if saved else ()

    @cached_property
    def lineage(self) -> str:
        """The way from the first step to its own over those it was resumed from: `0 → 1400 → 2000`.

        Of an average, what it is of: `average of 1800 and 2000`.
        """
        if self.parents:
            return averages.words(self.run.saved[self.name], self.run.name)
        stops, branch = [self.step], self.run.branches[self.branch]
        while branch.parent is not None:
            stops.append(branch.start)
            branch = self.run.branches[branch.parent]
        stops.append(branch.start)
        way = list(dict.fromkeys(reversed(stops)))  # a checkpoint saved as training resumed stands there once
        return " → ".join(str(step) for step in way)

    @cached_property
    def window_losses(self) -> "np.ndarray[Any, np.dtype[np.float32]] | None":
        """Mean loss of every validation window in nats per token, [windows]; None if not known."""
        if self.measured:
            return self.measured.window_losses
        losses = self.run.window_losses(self.name) if self.evaluation else None
        if losses is None or self.evaluation is None:
            return None
        return losses if self.evaluation.event.windows in (0, len(losses)) else None

    def same_weights(self, other: "Subject") -> bool:
        """Whether both are one model: weights of one SHA-256 and, where both are here, one config.json."""
        if not self.sha256 or self.sha256 != other.sha256:
            return False
        configs = {
            subject.checkpoint.files.get(_CONFIG, {}).get("sha256")
            for subject in (self, other)
            if subject.checkpoint
        }
        return len(configs) < 2

    def as_dict(self) -> dict[str, Any]:
        """As `compare --json` prints it: losses in nats per token; what is not known is None."""
        return {
            "label": self.label,
            "run": self.run.name,
            "checkpoint": self.name,
            "step": self.step,
            "tokens": self.tokens,
            "train_loss": finite(self.train_loss),
            "validation_loss": finite(self.loss),
            "stderr": finite(self.stderr),
            "perplexity": finite(self.perplexity),
            "bits_per_byte": finite(self.bits_per_byte),
            "gap": finite(self.gap),
            "bytes": self.bytes,
            "lineage": self.lineage,
            "parents": list(self.parents),
            "weights": self.run.weights(self.name),
            "sha256": self.sha256 or None,
            "protocol": self.protocol or None,
        }


def names(run: Run) -> dict[str, int]:
    """Every checkpoint that a run knows, saved or evaluated, with its step; in the order of the record."""
    known = {evaluation.name: evaluation.step for evaluation in run.evaluations}
    return known | {name: event.step for name, event in run.saved.items()}


def find_subject(run: Run, which: str = "best") -> Subject:
    """A checkpoint of a run, with weights or without: its name, its step, `best` or `last`.

    Of several with one step, the one on the line to the newest weights; an average goes by its name alone.
    Raises RunError if there is none.
    """
    known = names(run)
    trained = {name: step for name, step in known.items() if not run.averaged(name)}
    if which == "best":
        best = truth.best(run)
        if best is None:
            raise RunError(
                f"{run.name} has no evaluated checkpoint with weights; name one, as in {run.name}:last."
            )
        return Subject(run, best.evaluation.name)
    if which == "last":
        newest = run.newest_checkpoint()
        found = [newest.name] if newest else list(trained)[-1:]
    else:
        found = [which] if which in known else [name for name, step in trained.items() if str(step) == which]
    if not found:
        steps = [str(step) for step in sorted(set(trained.values()))]
        listed = ", ".join(steps + [name for name in known if name not in trained]) or "none"
        raise RunError(f"{run.name} has no checkpoint {which} on record; it has: {listed}.")
    subjects = [Subject(run, name) for name in found]
    return max(subjects, key=lambda subject: (run.on_line(subject.branch, subject.step), subject.branch))


def find_subjects(runs: Runs, references: Iterable[str]) -> list[Subject]:
    """RUN:STEP, RUN:NAME, RUN:best, RUN:last or RUN (its best), each of any run. Raises RunError."""
    opened: dict[str, Run] = {}

    def run(name: str) -> Run:
        if name not in opened:
            opened[name] = runs.find(name)
        return opened[name]

    def subject(reference: str) -> Subject:
        try:
            found, which = run(reference), "best"
        except RunError:
            name, _, which = reference.rpartition(":")
            if not name:
                raise
            found = run(name)
        return find_subject(found, which)

    return [subject(reference) for reference in references]
