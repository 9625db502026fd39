"""A run in one record: what a list of thousands says of each, without the record of its steps."""

from __future__ import annotations

import math
from itertools import islice
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from nexus_tui.runs import journal as j
from nexus_tui.runs import truth

if TYPE_CHECKING:
    from nexus_tui.runs.run import Run

SPARK = 32
"""Values that a spark line has at most."""


class Summary(msgspec.Struct, frozen=True, array_like=True):
    """What is known of a run without its steps. None: it is not on record, or no finite number."""

    name: str
    kind: str = "run"
    """`run`, `recorded`, or another tool's name."""
    preset: str = ""
    """The model that the configuration was made from."""
    corpus: str = ""
    tokenizer: str = ""
    parameters: int = 0
    """0 if the record does not say."""
    step: int = 0
    """The newest one."""
    total_steps: int = 0
    """As planned; 0 if the run does not say."""
    best_loss: float | None = None
    """Validation loss of the true best checkpoint, nats per token."""
    best_bits: float | None = None
    """The same in bits per byte."""
    best_name: str = ""
    """What a list calls it: its step (`1,400`), or the name of an average; empty if there is no best."""
    best_step: int | None = None
    best_checkpoint: str = ""
    """Its name, such as `step_1400`."""
    last_active: float | None = None
    """When anything happened last, epoch seconds."""
    ended: str = ""
    """How training ended (`finished`, `stopped`, `failed`); empty if it did not, or has been resumed."""
    paused: bool = False
    begun: bool = False
    """Whether anything happened at all."""
    notes: tuple[str, ...] = ()
    """The user's, oldest first."""
    spark: tuple[float, ...] = ()
    """The loss over the steps that led to the newest weights: means of up to SPARK equal stretches.

    Of a record without training losses, the validation loss. NaN where a stretch has no finite value.
    """
    config: dict[str, Any] = {}
    """As `Run.config`: its tables, and what stands beside them."""
    known: bool = True
    """False while the run's journal is being read: then only its name is known."""

    def state(self, held: bool) -> str:
        """The run's state, as `Run.state` has it; `held` says whether a living process trains it."""
        if not self.known and not held:
            return "unread"
        return state_of(held, self.paused, self.ended, self.kind, self.begun)


def state_of(held: bool, paused: bool, ended: str, kind: str, begun: bool) -> str:
    """`new` (nothing happened), `training`, `paused`, how it ended, or `crashed`: its writer is gone.

    Of a run that this program does not train, how it ended, or `recorded`.
    """
    if held:
        return "paused" if paused else "training"
    if ended:
        return ended
    if kind != "run":
        return "recorded"
    return "crashed" if begun else "new"


def summarise(run: Run) -> Summary:
    """The summary of a run as it is in memory; looks at no file."""
    best = truth.best(run)
    name = ""
    if best:
        evaluation = best.evaluation
        name = evaluation.name if evaluation.averaged else f"{evaluation.step:,}"
    return Summary(
        name=run.name,
        kind=run.kind,
        preset=_text(run.config.get("preset")),
        corpus=_text(run.setting("data.corpus")),
        tokenizer=_text(run.setting("data.tokenizer")),
        parameters=run.started.parameters if run.started else 0,
        step=run.step,
        total_steps=run.total_steps,
        best_loss=_finite(best.evaluation.loss) if best else None,
        best_bits=_finite(best.evaluation.bits_per_byte) if best else None,
        best_name=name,
        best_step=best.evaluation.step if best else None,
        best_checkpoint=best.evaluation.name if best else "",
        last_active=_last_active(run),
        ended=run.ended.reason if run.ended else "",
        paused=run.paused,
        begun=run.started is not None or len(run.steps) > 0,
        notes=tuple(event.text for event in run.log if isinstance(event, j.NotedEvent)),
        spark=_spark(run),
        config=run.config,
    )


def _last_active(run: Run) -> float | None:
    """A note is none: who comes back to an old run and notes something on it has not trained it."""
    log = (e for e in reversed(run.log) if isinstance(e, j.Event) and not isinstance(e, j.NotedEvent))
    times = [event.time.timestamp() for event in islice(log, 1)]
    if len(run.steps):
        times.append(float(run.steps["time"][-1]))
    return max(times, default=None)


def _spark(run: Run) -> tuple[float, ...]:
    losses = run.steps["loss"][run.canonical()]
    if not len(losses):
        validation = run.series("validation_loss")
        line = [run.on_line(b, s) for b, s in zip(validation.branch, validation.step, strict=True)]
        losses = validation.value[np.array(line, bool)]
    return reduced(losses, SPARK)


def reduced(values: np.ndarray[Any, Any], most: int) -> tuple[float, ...]:
    """Means of the finite values in up to `most` equal stretches of [values]; NaN where there are none."""
    if not len(values):
        return ()
    starts = np.linspace(0, len(values), min(most, len(values)) + 1).astype(int)[:-1]
    finite = np.isfinite(values)
    sums = np.add.reduceat(np.where(finite, values, 0.0), starts)
    counts = np.add.reduceat(finite.astype(np.float64), starts)
    means = np.divide(sums, counts, out=np.full(len(starts), math.nan), where=counts > 0)
    return tuple(means.tolist())


def _text(value: object) -> str:
    """A configured name; empty for none."""
    return "" if value is None else str(value)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
