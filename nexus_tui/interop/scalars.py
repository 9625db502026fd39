"""Numbers by step and name, from wherever, as the events of a run."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from nexus_tui.interop.columns import Columns, is_validation
from nexus_tui.interop.files import instant
from nexus_tui.runs import journal as j


@dataclass(frozen=True)
class Row:
    """What was written about one step at one time. None stands for what was no finite number."""

    step: int
    values: Mapping[str, float | None]
    time: float = 0.0
    """Seconds since 1970; 0 if that is not on record."""


def events_of(
    rows: Iterable[Row], columns: Columns, names: Mapping[int, str] | None = None
) -> list[j.AnyEvent]:
    """The events that rows stand for, in their order. A step that falls back is a resume.

    `names` are those of the checkpoints by the step that was evaluated; any other is called `step_N`.
    """
    events: list[j.AnyEvent] = []
    seen: list[int] = []
    for row in rows:
        at = instant(row.time)
        if seen and row.step < seen[-1]:
            start = max((step for step in seen if step < row.step), default=0)
            events.append(j.ResumedEvent(time=at, step=start, checkpoint=f"step_{start}"))
            seen = [step for step in seen if step <= start]
        seen.append(row.step)
        name = (names or {}).get(row.step, f"step_{row.step}")
        events += _events_of_row(row, columns, name, at)
    return events


def _events_of_row(row: Row, columns: Columns, name: str, at: datetime) -> list[j.AnyEvent]:
    values, events = row.values, list[j.AnyEvent]()
    others = {key: value for key, value in values.items() if key not in columns.used}
    alone = columns.loss not in values  # then whatever stands beside a validation loss belongs to it
    scores = {
        key: value
        for key, value in others.items()
        if columns.validation in values and (alone or is_validation(key))
    }
    others = {key: value for key, value in others.items() if key not in scores}
    if columns.loss in values:
        rate = values.get(columns.lr)
        events.append(
            j.StepEvent(
                time=at,
                step=row.step,
                loss=values[columns.loss],
                lr=float("nan") if rate is None else rate,
                grad_norm=values.get(columns.grad_norm),
            )
        )
    if columns.validation in values:
        events.append(
            j.EvaluatedEvent(
                time=at,
                step=row.step,
                checkpoint=name,
                loss=values[columns.validation],
                metrics=scores,
            )
        )
    if others:
        events.append(j.MeasuredEvent(time=at, step=row.step, values=others))
    return events
