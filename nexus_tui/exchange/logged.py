"""A journal in the words of other tools' logs: rows of numbers by tag, one for each event that has any.

The tags are those that transformers' Trainer writes, which dashboards and people expect: `train/loss`,
`train/learning_rate`, `train/grad_norm`, `eval/loss` …
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from nexus_tui.interop.opening import reader_for
from nexus_tui.runs import journal as j
from nexus_tui.runs.numbers import number
from nexus_tui.runs.run import Run

_MACHINE = {
    "cpu": "system/cores_busy",
    "memory": "system/memory_bytes",
    "gpu_memory": "system/gpu_memory_bytes",
    "gpu_memory_total": "system/gpu_memory_total_bytes",
    "gpu_utilization": "system/gpu_utilization_percent",
    "gpu_temperature": "system/gpu_temperature_celsius",
    "gpu_power": "system/gpu_power_watts",
}
"""The trainer's own measurements, which have no group in their names."""


@dataclass(frozen=True)
class Row:
    """What one event says. Losses in nats per token; NaN for what was no finite number."""

    step: int
    time: float
    """Seconds since 1970."""
    values: dict[str, float] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    resumed: bool = False
    """Training began again: rows after `step` that came before are of an abandoned branch."""


class Rows:
    """Turns events into rows, in order. Which rows come depends on the events alone."""

    def __init__(self) -> None:
        self._averages: set[str] = set()

    def take(self, events: Iterable[j.AnyEvent]) -> Iterator[Row]:
        """The rows of the next events."""
        for event in events:
            if isinstance(event, j.SavedEvent) and event.parents:
                self._averages.add(event.checkpoint)
            elif isinstance(event, j.EvaluatedEvent) and event.checkpoint in self._averages:
                continue  # nobody trained it: no point of a curve
            elif not isinstance(event, j.UnknownEvent) and (row := _row(event)):
                yield row


def events_of(run: Run) -> list[j.AnyEvent]:
    """Every event of a run, ours or another tool's, from its beginning."""
    if run.foreign:
        reader = reader_for(run.folder)
        return reader(run.folder).read() if reader else []
    return j.JournalReader(run.folder / "journal.jsonl").read()


def _row(event: j.KnownEvent) -> Row | None:
    time = event.time.timestamp()
    match event:
        case j.StepEvent():
            return Row(event.step, time, _present(_of_step(event)))
        case j.EvaluatedEvent():
            return Row(event.step, time, _of_evaluation(event))
        case j.HeldoutEvent():
            bits = {} if event.bits_per_byte is None else {"test/bits_per_byte": event.bits_per_byte}
            return Row(event.step, time, {"test/loss": number(event.loss), **bits})
        case j.MeasuredEvent() if event.values:
            values = {_MACHINE.get(name, name): number(value) for name, value in event.values.items()}
            return Row(event.step, time, values)
        case j.SampledEvent():
            return Row(event.step, time, texts={f"sample/{event.prompt}": event.prompt + event.text})
        case j.NotedEvent():
            return Row(event.step, time, texts={"note": event.text})
        case j.ResumedEvent():
            return Row(event.step, time, resumed=True)
    return None


def _of_step(event: j.StepEvent) -> dict[str, float | None]:
    return {
        "train/loss": number(event.loss),
        "train/learning_rate": event.lr if math.isfinite(event.lr) else None,
        "train/grad_norm": event.grad_norm,
        "train/num_input_tokens_seen": float(event.tokens) or None,
        "train/step_seconds": event.seconds or None,
    }


def _of_evaluation(event: j.EvaluatedEvent) -> dict[str, float]:
    loss = number(event.loss)
    told = {
        "eval/loss_stderr": event.stderr,
        "eval/perplexity": math.exp(loss) if loss < 700 else None,
        "eval/bits_per_byte": event.bits_per_byte,
        "eval/runtime": event.seconds or None,
    }
    others = {
        name if name.startswith(("eval", "val")) else f"eval/{name}": number(value)
        for name, value in event.metrics.items()
    }
    return {"eval/loss": loss, **_present(told), **others}


def _present(values: dict[str, float | None]) -> dict[str, float]:
    """Without what is not on record."""
    return {name: value for name, value in values.items() if value is not None}
