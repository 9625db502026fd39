"""The log history of transformers' Trainer as the events of a run."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from nexus_tui.interop.files import finite, instant, whole
from nexus_tui.interop.trainer_state import AGAIN, Row, is_evaluation, is_summary, scores, step_of
from nexus_tui.runs import journal as j

_TAKEN = ("step", "loss", "learning_rate", "grad_norm")


@dataclass
class Branch:
    """One history to its end, and the checkpoints that were saved on it."""

    history: list[Row] = field(repr=False)
    saves: dict[int, int] = field(default_factory=dict)
    """By step: after how many rows of the history."""


def events_of(branches: list[Branch], loss: str) -> Iterator[j.AnyEvent]:
    """The events of all branches, oldest first; what two have in common comes once.

    `loss` is the score that is the validation loss.
    """
    told: list[Branch] = []
    named: set[int] = set()
    for number, branch in enumerate(branches):
        shared = max((_common(branch.history, other.history) for other in told), default=0)
        if told:
            start = max((step_of(row) for row in branch.history[:shared]), default=0)
            yield j.ResumedEvent(time=instant(None), step=start, checkpoint=f"checkpoint-{start}")
        elsewhere = {step for other in branches if other is not branch for step in other.saves} - set(
            branch.saves
        )
        for event in _events(branch, shared, loss):
            if isinstance(event, j.EvaluatedEvent) and number and event.step in elsewhere & named:
                # a checkpoint of this step is there, but it was saved on another branch
                name = f"checkpoint-{event.step}.{number}"
                event = j.EvaluatedEvent(
                    time=event.time, step=event.step, checkpoint=name, loss=event.loss, metrics=event.metrics
                )
            elif isinstance(event, j.EvaluatedEvent):
                named.add(event.step)
            yield event
        told.append(branch)


def _events(branch: Branch, first: int, loss: str) -> Iterator[j.AnyEvent]:
    """The events of the rows from `first` on, with the saves in their places."""
    due = sorted((rows, step) for step, rows in branch.saves.items() if rows > first or not first)
    last, epoch = -1, -1.0
    for index, row in enumerate(branch.history):
        step, at = step_of(row), finite(row.get("epoch"))
        if index >= first and (step < last or (step > last and at is not None and at < epoch)):
            start = last if step > last else _before(branch.history[:index], step)
            yield j.ResumedEvent(time=instant(None), step=start, checkpoint=f"checkpoint-{start}")
        last, epoch = step, epoch if at is None else at
        if index >= first:
            yield from _events_of_row(row, loss)
        while due and due[0][0] <= index + 1:
            yield _saved(due.pop(0)[1])
    yield from (_saved(step) for _, step in due)


def _before(rows: list[Row], step: int) -> int:
    return max((step_of(row) for row in rows if step_of(row) < step), default=0)


def _saved(step: int) -> j.SavedEvent:
    return j.SavedEvent(time=instant(None), step=step, checkpoint=f"checkpoint-{step}")


def _events_of_row(row: Row, loss: str) -> Iterator[j.AnyEvent]:
    step = step_of(row)
    if AGAIN in row:
        again = ", ".join(f"{name} {value:.6g}" for name, value in row[AGAIN].items() if value is not None)
        yield j.NotedEvent(time=instant(None), step=step, text=f"evaluated again after training: {again}")
        return
    if is_evaluation(row):
        found = scores(row)
        others = {name: value for name, value in found.items() if name != loss}
        yield j.EvaluatedEvent(
            time=instant(None),
            step=step,
            checkpoint=f"checkpoint-{step}",
            loss=found.get(loss),
            metrics=others,
        )
        return
    if "loss" in row:
        rate = finite(row.get("learning_rate"))
        yield j.StepEvent(
            time=instant(None),
            step=step,
            loss=finite(row["loss"]),
            lr=float("nan") if rate is None else rate,
            grad_norm=finite(row.get("grad_norm")),
            tokens=whole(row.get("num_input_tokens_seen")) or 0,
        )
    others = {
        key: number
        for key, value in row.items()
        if isinstance(key, str) and key not in _TAKEN and (number := finite(value)) is not None
    }
    if others and not is_summary(row):
        yield j.MeasuredEvent(time=instant(None), step=step, values=others)


def _common(one: list[Row], other: list[Row]) -> int:
    """How many rows two histories begin with alike."""
    length = min(len(one), len(other))
    return next((i for i in range(length) if one[i] != other[i]), length)
