"""Why a name that claims to be the best is not: hypotheses, each tested against the history of evaluations.

They are the ways in which trainers go wrong: a resume after which the best so far starts from nothing, a
comparison with NaN, a metric taken in the wrong direction, a name that follows every save.
"""

import math
from collections.abc import Callable, Sequence

from nexus_tui.runs.directions import higher_is_better
from nexus_tui.runs.run import Evaluation, Run

Score = Callable[[Evaluation], float]
"""Of an evaluation; lower is better, NaN for none."""


def why_stale(run: Run, claimed: Evaluation, better: Evaluation, score: Score) -> str:
    """The cause, as far as the history tells: the first hypothesis that it bears out; empty if none.

    `better` is the evaluation that `claimed` was taken for, by `score`.
    """
    # An average is made when training is over: a trainer could not have known it.
    among = run.evaluations if better.averaged else run.trained
    history = [e for e in among if e.event.protocol == claimed.event.protocol]
    at = max((i for i, e in enumerate(history) if e is claimed or e.name == claimed.name), default=-1)
    if at < 0:
        return ""
    if not math.isfinite(score(claimed)):
        return "its own score is no finite number, and nothing ever compares as better than that"
    if better.averaged:
        return _not_updated(history, at, better, score)
    return (
        _after_a_resume(run, history, claimed, better, score)
        or _newest(history, claimed)
        or _turned_round(history, claimed, score)
        or _not_updated(history, at, better, score)
        or _another_metric(history, claimed)
        or _one_late(history, at, better)
    )


def _wins(among: Sequence[Evaluation], claimed: Evaluation, score: Score) -> bool:
    scores = [score(e) for e in among if math.isfinite(score(e))]
    return bool(scores) and score(claimed) <= min(scores)


def _after_a_resume(
    run: Run, history: list[Evaluation], claimed: Evaluation, better: Evaluation, score: Score
) -> str:
    for branch in reversed(run.branches[1:]):
        after = [e for e in history if e.branch >= branch.index]
        if better.branch < branch.index <= claimed.branch and _wins(after, claimed, score):
            return f"compared only with evaluations after the resume at step {branch.start}"
    if run.on_line(better.branch, better.step):
        return ""
    on_line = [e for e in history if run.on_line(e.branch, e.step)]
    if claimed in on_line and _wins(on_line, claimed, score):
        left = min(b.start for b in run.branches if b.index > better.branch and b.start < better.step)
        return f"{better.title} was forgotten when training resumed at step {left}"
    return ""


def _turned_round(history: list[Evaluation], claimed: Evaluation, score: Score) -> str:
    if len(history) > 2 and _wins(history, claimed, lambda e: -score(e)):
        return "it is the worst of all: the metric was taken in the wrong direction"
    return ""


def _newest(history: list[Evaluation], claimed: Evaluation) -> str:
    newest = history[-1]
    if newest is claimed and len(history) > 1:
        return "it is the newest evaluation: the name seems to follow every save, better or not"
    return ""


def _not_updated(history: list[Evaluation], at: int, better: Evaluation, score: Score) -> str:
    before, after = history[: at + 1], history[at + 1 :]
    if _wins(before, history[at], score) and better in after:
        first = next(e for e in after if score(e) < score(history[at]))
        return f"it was the best until {first.title}, and has not been updated since"
    return ""


def _another_metric(history: list[Evaluation], claimed: Evaluation) -> str:
    def by(metric: str) -> Score:
        sign = -1 if higher_is_better(metric) else 1
        return lambda e: sign * (math.nan if (value := e.event.metrics.get(metric)) is None else value)

    for metric in dict.fromkeys(name for e in history for name in e.event.metrics):
        if not _is_timing(metric) and len(history) > 2 and _wins(history, claimed, by(metric)):
            return f"it is the best by {metric}, which is another question"
    if len(history) > 2 and _wins(history, claimed, lambda e: e.train_loss):
        return "it is the best by training loss, which is another question"
    return ""


def _one_late(history: list[Evaluation], at: int, better: Evaluation) -> str:
    if at and history[at - 1] is better:
        return f"it is the evaluation after {better.title}: scores seem to be attached one evaluation late"
    return ""


def _is_timing(metric: str) -> bool:
    return metric.endswith(("_runtime", "_per_second", "epoch", "_time"))
