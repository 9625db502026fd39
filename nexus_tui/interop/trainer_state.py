"""One `trainer_state.json` of transformers' Trainer: what it says, whatever else it holds.

The format is `TrainerState` in `transformers/trainer_callback.py`; `log_history` grows by one dict for each
time something was logged.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nexus_tui.interop.files import finite, read_json, whole
from nexus_tui.runs.directions import higher_is_better
from nexus_tui.runs.run import RunError

STATE = "trainer_state.json"
AGAIN = "evaluated again"
"""Where the scores are of an evaluation after training, which is not of the weights of its step."""
_CHECKPOINT = re.compile(r"checkpoint-([0-9]+)$")
_TIMING = ("_runtime", "_per_second", "_time", "_compilation_time")
Row = dict[str, Any]


@dataclass(frozen=True)
class TrainerState:
    """What a state file says. Absent and unusable fields are None or empty."""

    path: Path
    history: list[Row] = field(repr=False)
    """The logged dicts that have a step, in order."""
    skipped: int
    """Entries of the history that are no dict with a step."""
    step: int | None
    max_steps: int | None
    save_steps: int | None
    pointer: str
    """`best_model_checkpoint`, as it stands; empty for none."""
    best_metric: float | None
    best_step: int | None
    """`best_global_step`, which older versions have not."""

    @property
    def pointer_step(self) -> int | None:
        """The step that the pointer names."""
        return checkpoint_step(self.pointer)


def read_state(path: Path) -> TrainerState:
    """Read one state file. Raises RunError if it is damaged or something else."""
    content = read_json(path, "log_history")
    if not isinstance(content, dict) or not isinstance(content.get("log_history"), list):
        raise RunError(f"{path} is no trainer_state.json: it has no log_history.")
    entries = content["log_history"]
    history = [entry for entry in entries if isinstance(entry, dict) and whole(entry.get("step")) is not None]
    pointer = content.get("best_model_checkpoint")
    return TrainerState(
        path=path,
        history=history,
        skipped=len(entries) - len(history),
        step=whole(content.get("global_step")),
        max_steps=whole(content.get("max_steps")),
        save_steps=whole(content.get("save_steps")) or None,
        pointer=pointer if isinstance(pointer, str) else "",
        best_metric=finite(content.get("best_metric")),
        best_step=whole(content.get("best_global_step")),
    )


def checkpoint_step(path: str) -> int | None:
    r"""The step of `…/checkpoint-1400`, with slashes or backslashes; None if that is not its last part."""
    match = _CHECKPOINT.search(re.split(r"[\\/]", path.rstrip("\\/"))[-1])
    return whole(int(match[1])) if match and len(match[1]) < 17 else None


def step_of(row: Row) -> int:
    """The step of a logged dict."""
    return whole(row["step"]) or 0


def is_evaluation(row: Row) -> bool:
    """Whether a logged dict holds scores on validation data."""
    return any(isinstance(key, str) and key.startswith("eval_") for key in row)


def is_summary(row: Row) -> bool:
    """Whether a logged dict is what `train` logs when it has ended."""
    return "train_runtime" in row


def in_training(history: list[Row]) -> list[Row]:
    """The history as far as each evaluation is of the weights of its step; sets evaluated in turn in one row.

    `evaluate()` after training logs at the last step, but `load_best_model_at_end` has put the weights of
    another one in place by then: such a row has its scores under AGAIN if its step had been evaluated before,
    or if it repeats the scores of another step to the last digit.
    """
    ended = next((index for index, row in enumerate(history) if is_summary(row)), len(history))
    evaluated = [row for row in history[:ended] if is_evaluation(row)]
    steps = {step_of(row) for row in evaluated}
    known = [scores(row) for row in evaluated]
    kept = history[:ended]
    for row in history[ended:]:
        again = is_evaluation(row) and (step_of(row) in steps or scores(row) in known)
        kept.append({"step": row["step"], AGAIN: scores(row)} if again else row)
    return _merged(kept)


def _merged(history: list[Row]) -> list[Row]:
    """Evaluations of one step with different scores, logged one after the other, as one."""
    found: list[Row] = []
    for row in history:
        before = found[-1] if found else {}
        together = is_evaluation(row) and is_evaluation(before) and step_of(row) == step_of(before)
        if together and not scores(row).keys() & scores(before).keys():
            found[-1] = before | row
        else:
            found.append(row)
    return found


def scores(row: Row) -> dict[str, float | None]:
    """The scores of an evaluation by name; None for what was no finite number. Timings and lists are none."""
    return {
        key: finite(value)
        for key, value in row.items()
        if key.startswith("eval_")
        and not key.endswith(_TIMING)
        and (value is None or isinstance(value, int | float))
    }


def loss_key(rows: Sequence[Row], metric: str) -> str:
    """The score that is the validation loss: `eval_loss`, else the metric that selects, else any loss."""
    keys = list(dict.fromkeys(key for row in rows if is_evaluation(row) for key in scores(row)))
    if "eval_loss" in keys:
        return "eval_loss"
    losses = [key for key in keys if key.endswith("loss")]
    return metric if metric in losses else losses[0] if losses else ""


@dataclass(frozen=True)
class Selection:
    """By which metric the state's best was selected, as far as the numbers tell: nobody wrote it down."""

    metric: str = ""
    """Empty if `best_metric` is the score of no evaluation."""
    higher_is_better: bool = False
    """The direction in which the Trainer took it, right or wrong."""


def selection(state: TrainerState) -> Selection:
    """Which metric has the value `best_metric` somewhere, and in which direction it is the best up to then.

    Of several such metrics the one comes first that has it at the step that the state names, then one for
    which it really is the best, then the loss, then the first logged.
    """
    if state.best_metric is None:
        return Selection()
    named = {step for step in (state.pointer_step, state.best_step) if step is not None}
    candidates: list[tuple[tuple[bool, bool, bool, int], Selection]] = []
    rows = [row for row in state.history if is_evaluation(row)]
    for place, metric in enumerate(dict.fromkeys(key for row in rows for key in scores(row))):
        series = [(step_of(row), value) for row in rows if (value := scores(row).get(metric)) is not None]
        at = [step for step, value in series if math.isclose(value, state.best_metric, rel_tol=1e-9)]
        if at:
            values = [value for _, value in series]
            natural = higher_is_better(metric)
            is_max, is_min = state.best_metric >= max(values), state.best_metric <= min(values)
            taken = natural if is_max == is_min else is_max
            order = (not named & set(at), not (is_max or is_min), metric != "eval_loss", place)
            candidates.append((order, Selection(metric, taken)))
    return min(candidates, key=lambda candidate: candidate[0])[1] if candidates else Selection()
