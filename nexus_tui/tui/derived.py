"""What follows from a run's record and costs something: worked out once for each change of the record."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import numpy as np

from nexus_tui.runs import journal as j
from nexus_tui.runs.predictions import on_line, planned_rates
from nexus_tui.runs.run import Evaluation, Run
from nexus_tui.tui.checkpoint_rows import Row, rows, signature

T = TypeVar("T")
_known: WeakKeyDictionary[Run, dict[str, tuple[object, Any]]] = WeakKeyDictionary()


def _once(run: Run, name: str, now: object, make: Callable[[], T]) -> T:
    """What `make` gave for the same `now`, or gives."""
    kept = _known.setdefault(run, {})
    if name not in kept or kept[name][0] != now:
        kept[name] = (now, make())
    found: T = kept[name][1]
    return found


def checkpoints(run: Run) -> list[Row]:
    """Every checkpoint on record, as `checkpoint_rows.rows` has them: ties read files."""
    return _once(run, "checkpoints", signature(run), lambda: rows(run))


def best(run: Run) -> Evaluation | None:
    """The evaluation of the true best checkpoint."""
    return next((row.evaluation for row in checkpoints(run) if row.best), None)


def rates(run: Run) -> "np.ndarray[Any, np.dtype[np.float64]] | None":
    """The learning rate of every step to the end, [steps + 1]: recorded, then planned; None if unknown."""
    total = run.total_steps
    if not total or not isinstance(run.setting("schedule.shape"), str):
        return None
    now = (len(run.log), len(run.steps) > 0, total)
    return _once(run, "rates", now, lambda: planned_rates(run, total))


@dataclass(frozen=True)
class Ahead:
    """The forecast on record that still stands: validation loss in nats per token, at rising steps."""

    steps: tuple[int, ...]
    values: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    """The first of each is the newest evaluation, which is no forecast."""


def ahead(run: Run) -> Ahead | None:
    """The newest predictions about steps to come; None if there are none, or a resume has made them void."""
    return _once(run, "ahead", (len(run.log), run.step), lambda: _ahead(run))


def _ahead(run: Run) -> Ahead | None:
    newest: dict[int, j.PredictedEvent] = {}
    made = -1
    for event in reversed(run.log):
        if isinstance(event, j.ResumedEvent):
            break
        if isinstance(event, j.PredictedEvent) and event.step >= made:
            made = event.step
            newest.setdefault(event.target, event)
    evaluated = on_line(run)
    coming = [newest[target] for target in sorted(newest) if target > run.step]
    bounded = [(e.target, e.value, e.low, e.high) for e in coming if e.low is not None and e.high is not None]
    if not bounded or not evaluated:
        return None
    start = evaluated[-1]
    return Ahead(
        (start.step, *(target for target, _, _, _ in bounded)),
        (start.loss, *(value for _, value, _, _ in bounded)),
        (start.loss, *(low for _, _, low, _ in bounded)),
        (start.loss, *(high for _, _, _, high in bounded)),
    )
