"""Predictions of a run: made from what is on its record, and held against what came."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from nexus_tui.runs import journal as j
from nexus_tui.runs.fits import Floats
from nexus_tui.runs.forecast import NOMINAL, Forecast, forecast
from nexus_tui.runs.numbers import finite
from nexus_tui.runs.run import Branch, Evaluation, Run
from nexus_tui.runs.schedule import SHAPES, learning_rate

FARTHEST = 4_000_000
"""The last step that is forecast: the learning rate of each before it is reckoned."""


@dataclass(frozen=True)
class Judged:
    """A prediction on record with what came of it. Losses in nats per token."""

    event: j.PredictedEvent
    actual: float | None
    """The loss of the evaluation it was about; None while that is still to come."""
    persisted: float | None
    """The newest loss when it was made: what persistence would have predicted."""

    @property
    def inside(self) -> bool | None:
        """Whether the actual loss lies in the interval; None if there is none or the other."""
        low, high = self.event.low, self.event.high
        if self.actual is None or low is None or high is None:
            return None
        return low <= self.actual <= high


@dataclass(frozen=True)
class Score:
    """Predictions against what came, over all that have been decided."""

    decided: int
    intervals: int
    """How many of them came with an interval."""
    hits: int
    """… that held the actual loss."""
    error: float
    """Mean absolute error, nats per token; NaN if none is decided."""
    persistence: float
    """That of the newest loss at the time, over the same predictions."""
    nominal: float = NOMINAL


def predict(run: Run, targets: Iterable[int] = ()) -> Forecast:
    """Forecast the given steps, or else the next evaluation and the end of the run.

    From the evaluations on the line that led to the newest weights, under the newest protocol.
    """
    evaluations = on_line(run)
    if not evaluations:
        return Forecast([], "no forecast before the first evaluation")
    wanted = list(targets) or upcoming(run)
    if wanted and min(wanted) > FARTHEST:
        return Forecast([], f"no forecast beyond step {FARTHEST:,}")
    wanted = [target for target in wanted if target <= FARTHEST]
    if not wanted:
        return Forecast([], f"nothing to forecast: the run has come to its end, at step {run.step:,}")
    rates = planned_rates(run, max(wanted))
    return forecast(
        [evaluation.step for evaluation in evaluations],
        [evaluation.loss for evaluation in evaluations],
        rates,
        wanted,
        warmup=_warmup(run, rates),
        train=[evaluation.train_loss for evaluation in evaluations],
    )


def predicted_events(run: Run) -> list[j.PredictedEvent]:
    """The current forecast as events for the journal; what is on record for this step is not made again."""
    step = run.step
    made = {(e.step, e.target) for e in run.log if isinstance(e, j.PredictedEvent)}
    return [
        j.PredictedEvent(
            step=step, target=p.step, value=p.value, low=p.low, high=p.high, method=p.method, basis=p.data
        )
        for p in predict(run).predictions
        if (step, p.step) not in made
    ]


def judged(run: Run) -> list[Judged]:
    """Every prediction on record, in order, with the first evaluation of its target that came after it.

    A resume from before its step leaves a prediction undecided: what it was about never came.
    """
    found, seen, branch = [], 0, 0
    for event in run.log:
        match event:
            case j.ResumedEvent():
                branch += 1
            case j.EvaluatedEvent():
                seen += 1
            case j.PredictedEvent():
                before, after = run.evaluations[:seen], run.evaluations[seen:]
                known = _lineage(run.branches, branch)
                came = (
                    e.loss
                    for e in after
                    if e.step == event.target
                    and not e.averaged
                    and _lineage(run.branches, e.branch).get(branch, -1) >= event.step
                )
                persisted = (
                    e.loss
                    for e in reversed(before)
                    if e.step <= min(event.step, known.get(e.branch, -1)) and not e.averaged
                )
                found.append(Judged(event, finite(next(came, None)), finite(next(persisted, None))))
    return found


def score(rows: Iterable[Judged]) -> Score:
    """How good the decided predictions were."""
    decided = [row for row in rows if row.actual is not None and row.persisted is not None]
    inside = [row.inside for row in decided if row.inside is not None]
    errors = [abs(row.event.value - (row.actual or 0.0)) for row in decided]
    persisted = [abs((row.persisted or 0.0) - (row.actual or 0.0)) for row in decided]
    return Score(
        decided=len(decided),
        intervals=len(inside),
        hits=sum(inside),
        error=float(np.mean(errors)) if errors else math.nan,
        persistence=float(np.mean(persisted)) if persisted else math.nan,
    )


def on_line(run: Run) -> list[Evaluation]:
    """The evaluations on the line that led to the newest weights, under the newest protocol, steps rising.

    Averages are not among them.
    """
    if not run.evaluations:
        return []
    protocol, line = run.evaluations[-1].event.protocol, run.line()
    found = {
        e.step: e
        for e in run.trained
        if e.event.protocol == protocol and e.step <= line.get(e.branch, -1) and math.isfinite(e.loss)
    }
    return [found[step] for step in sorted(found)]


def upcoming(run: Run) -> list[int]:
    """The steps of the next evaluation and of the end of the run, as far as they are known and ahead."""
    steps = [evaluation.step for evaluation in on_line(run)]
    every = int(run.setting("evaluation.every", 0)) or (steps[-1] - steps[-2] if len(steps) > 1 else 0)
    now, end = max(run.step, steps[-1] if steps else 0), run.total_steps
    following = (now // every + 1) * every if every else 0
    if end:
        following = min(following, end)
    return sorted({step for step in (following, end) if step > now})


def planned_rates(run: Run, last: int) -> Floats:
    """The learning rate of every step up to `last`, [last + 1]: as recorded, then as the schedule plans.

    A scale that the user has set goes on. A run that does not tell its schedule keeps its newest rate.
    """
    kept = run.canonical()
    steps, recorded = run.steps["step"][kept], run.steps["lr"][kept]
    rates = _schedule(run, last)
    inside = steps <= last
    steps, recorded = steps[inside], recorded[inside]
    if len(steps) and rates is None:
        return np.asarray(np.interp(np.arange(last + 1), steps, recorded), np.float64)
    if rates is None:
        return np.ones(last + 1)
    if len(steps) and rates[steps[-1]] > 0:
        scale = recorded[-1] / rates[steps[-1]]
        if abs(scale - 1) > 0.01:  # as printed in a log, a rate has three digits
            rates[steps[-1] :] *= scale
    rates[steps] = recorded
    return rates


def _schedule(run: Run, last: int) -> Floats | None:
    """The configured rates, [last + 1]; None if the run does not say enough."""
    try:
        peak, warmup = float(run.setting("optimizer.lr")), int(run.setting("schedule.warmup"))
        shape, total = str(run.setting("schedule.shape")), run.total_steps
    except (TypeError, ValueError):
        return None
    if shape not in SHAPES or total <= 0:
        return None
    return np.array(
        [learning_rate(step, peak=peak, warmup=warmup, total=total, shape=shape) for step in range(last + 1)]
    )


def _warmup(run: Run, rates: Floats) -> int:
    """The last step of the warm-up; where the run does not say, the first with the highest rate."""
    configured = run.setting("schedule.warmup")
    return int(configured) if isinstance(configured, int) else int(np.argmax(rates))


def _lineage(branches: list[Branch], index: int) -> dict[int, float]:
    """The branches that a branch goes back to, each with the last step that led to it."""
    limit, branch = math.inf, branches[index]
    line = {index: limit}
    while branch.parent is not None:
        limit = min(limit, branch.start)
        branch = branches[branch.parent]
        line[branch.index] = limit
    return line
