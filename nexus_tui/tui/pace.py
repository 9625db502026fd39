"""How fast a run trains and when it will be done, from what its newest steps took."""

from dataclasses import dataclass

import numpy as np

from nexus_tui.runs.run import Run

WARM_UP = 10
"""Steps in this process before anything is said: the first ones compile and fill caches."""
RECENT = 50
"""Steps that the pace is taken from."""


@dataclass(frozen=True)
class Pace:
    """Medians over recent steps, which one slow step (a busy machine, a swap) does not move."""

    seconds: float
    """A step takes."""
    tokens_per_second: float
    left: float | None
    """Seconds until the last planned step, evaluations and saves included; None if no steps are planned."""


def pace(run: Run) -> Pace | None:
    """The pace of the newest branch; None while it is too young to tell."""
    steps = run.steps
    rows = np.flatnonzero(steps["branch"][-RECENT:] == run.branches[-1].index) + max(0, len(steps) - RECENT)
    if len(rows) < WARM_UP:
        return None
    rows = rows[1:] if rows[0] == 0 else rows
    seconds = float(np.median(steps["seconds"][rows]))
    tokens = float(np.median(np.diff(steps["tokens"][rows])))
    if seconds <= 0:
        return None
    return Pace(seconds, tokens / seconds, _left(run, seconds))


def _left(run: Run, seconds: float) -> float | None:
    total = run.total_steps
    if not total:
        return None
    every = int(run.setting("evaluation.every", 0))
    evaluations = -(-total // every) - run.step // every if every else 1
    return max(0, total - run.step) * seconds + max(0, evaluations) * _interruption(run, seconds)


def _interruption(run: Run, seconds: float) -> float:
    """What an evaluation costs beside the steps, with its save and its samples: the median gap after one."""
    steps, times, branches = run.steps["step"], run.steps["time"], run.steps["branch"]
    gaps = []
    for evaluation in run.trained[-8:]:
        first, last = np.searchsorted(branches, [evaluation.branch, evaluation.branch + 1])
        after = first + int(np.searchsorted(steps[first:last], evaluation.step + 1))
        if 0 < after < last and steps[after] == evaluation.step + 1:
            gaps.append(float(times[after] - times[after - 1]) - seconds)
    if gaps:
        return max(0.0, float(np.median(gaps)))
    return run.trained[-1].event.seconds if run.trained else 0.0
