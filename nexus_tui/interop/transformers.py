"""A run of transformers' Trainer: its output folder, one of its checkpoints, or a lone trainer_state.json.

The newest state holds the history that led to it. Checkpoints that a resume has left behind have the rest of
theirs in their own states, so that all states together are the whole history, branches included.
"""

import re
from collections.abc import Iterable
from pathlib import Path

from nexus_tui.interop.files import instant
from nexus_tui.interop.snapshot import Snapshot
from nexus_tui.interop.trainer_events import Branch, events_of
from nexus_tui.interop.trainer_state import (
    STATE,
    Row,
    Selection,
    TrainerState,
    checkpoint_step,
    in_training,
    is_evaluation,
    loss_key,
    read_state,
    selection,
    step_of,
)
from nexus_tui.runs import journal as j
from nexus_tui.runs.run import RunError
from nexus_tui.runs.source import Weights

_WEIGHTS = ("*.safetensors", "pytorch_model*.bin", "adapter_model.bin", "tf_model.h5", "flax_model.msgpack")
_MOST_BYTES = 256 << 20
"""Of all states together; beyond that the oldest checkpoints' are left unread."""


class TrainerRun(Snapshot):
    """A run as the Trainer's states tell it."""

    kind = "transformers"

    @property
    def name(self) -> str:
        """The folder; of a file that is called as every other, the folder that it is in."""
        path = self.path.resolve()
        inside = path.name == STATE or (path.is_dir() and checkpoint_step(path.name) is not None)
        return path.parent.name if inside else super().name

    def files(self) -> Iterable[Path]:
        """The states, and the folder, which changes with its checkpoints."""
        folder = self._folder
        if folder is None:
            return [self.path]
        return [folder, folder / STATE, *(place / STATE for place in checkpoint_folders(folder).values())]

    @property
    def _folder(self) -> Path | None:
        """The output folder; None for a lone file."""
        if self.path.is_file():
            return None
        inside = checkpoint_step(self.path.resolve().name) is not None
        return self.path.resolve().parent if inside else self.path

    def events(self) -> list[j.AnyEvent]:
        """The history, the checkpoints that are there, and what the newest state claims."""
        folder = self._folder
        self._checkpoints = checkpoint_folders(folder) if folder else {}
        states = self._states()
        lines = _lines(states)
        newest = lines[-1][0]
        branches = [branch for _, branch in lines]
        _place_saves(branches, states, self._checkpoints)
        chosen = selection(newest)
        loss = loss_key(newest.history, chosen.metric)
        self._never = set() if self._checkpoints else _never_saved(newest)
        self._emptied = bool(
            folder and not self._checkpoints and _parent(newest.pointer) == folder.resolve().name
        )
        self.config = {
            "budget": {"steps": newest.max_steps or newest.step or 0},
            "columns": {"loss": "loss", "validation": loss, "lr": "learning_rate"},
        }
        if newest.save_steps:
            self.config["checkpoint"] = {"every": newest.save_steps}
        last = newest.step or max((step_of(row) for row in newest.history), default=0)
        ended = newest.max_steps is not None and last >= newest.max_steps
        return [
            j.StartedEvent(time=instant(None), kind=self.kind),
            *events_of(branches, loss),
            *_claims(newest, chosen, loss),
            *([j.EndedEvent(time=instant(None), step=last, reason="finished")] if ended else []),
        ]

    def weights(self, checkpoint: str) -> Weights:
        """Here if its folder holds weights. Where no checkpoint is to be seen they are elsewhere.

        Then those steps are gone that `save_steps` tells were never saved; and all, if the state says that
        this very folder has held them.
        """
        if self._checkpoints or self._emptied:
            return "here" if self.weights_path(checkpoint) else "gone"
        return "gone" if checkpoint_step(checkpoint) in self._never else "elsewhere"

    def weights_path(self, checkpoint: str) -> Path | None:
        """Its folder, if that holds weights."""
        place = self._checkpoints.get(step) if (step := checkpoint_step(checkpoint)) is not None else None
        return place if place and any(any(place.glob(pattern)) for pattern in _WEIGHTS) else None

    def _states(self) -> list[TrainerState]:
        """Every state that can be read. Raises RunError, naming the first that cannot, if none can."""
        folder = self._folder
        paths = [self.path] if folder is None else [folder / STATE, *_newest_first(self._checkpoints)]
        states, failed, read = list[TrainerState](), list[RunError](), 0
        for path in paths:
            size = path.stat().st_size if path.is_file() else 0
            if not path.is_file() or (read + size > _MOST_BYTES and states):
                continue
            read += size
            try:
                states.append(read_state(path))
            except RunError as error:
                failed.append(error)
        if not states:
            raise failed[0] if failed else RunError(f"{self.path} has no {STATE}.")
        return states


def checkpoint_folders(folder: Path) -> dict[int, Path]:
    """The `checkpoint-N` folders of an output folder, by step."""
    try:
        found = {step: path for path in folder.iterdir() if (step := checkpoint_step(path.name)) is not None}
    except OSError:
        return {}
    return {step: found[step] for step in sorted(found) if found[step].is_dir()}


def _newest_first(checkpoints: dict[int, Path]) -> list[Path]:
    return [checkpoints[step] / STATE for step in sorted(checkpoints, reverse=True)]


def _lines(states: list[TrainerState]) -> list[tuple[TrainerState, Branch]]:
    """The histories that are not the beginning of another, each with its state, the newest last.

    Copying a folder shuffles the times of its files; a single line is told rightly even then.
    """
    found: list[tuple[TrainerState, Branch]] = []
    for state in sorted(states, key=lambda state: (len(state.history), state.step or 0), reverse=True):
        history = in_training(state.history)
        if not any(_begins(history, line.history) for _, line in found):
            found.append((state, Branch(history)))
    return sorted(found, key=lambda each: (_written(each[0].path), each[0].step or 0))


def _place_saves(lines: list[Branch], states: list[TrainerState], checkpoints: dict[int, Path]) -> None:
    """Put each checkpoint on the oldest line that its history leads to."""
    for state in states:
        step = checkpoint_step(state.path.parent.name)
        if step in checkpoints:
            history = in_training(state.history)
            line = next(line for line in lines if _begins(history, line.history))
            line.saves[step] = len(history)
    placed = {step for line in lines for step in line.saves}
    for step in checkpoints.keys() - placed:  # its state is missing or unreadable
        lines[-1].saves[step] = sum(step_of(row) <= step for row in lines[-1].history)


def _written(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def _begins(start: list[Row], whole: list[Row]) -> bool:
    return len(start) <= len(whole) and start == whole[: len(start)]


def _parent(pointer: str) -> str:
    """The folder in which a pointer such as `./results\\checkpoint-40` finds its checkpoint."""
    parts = re.split(r"[\\/]", pointer.rstrip("\\/"))
    return parts[-2] if len(parts) > 1 else ""


def _never_saved(state: TrainerState) -> set[int]:
    """Evaluated steps that `save_steps` rules out. Empty unless it is borne out by what else is known.

    The field says 500 by default, even where saving is by epochs.
    """
    every = state.save_steps
    evaluated = {step_of(row) for row in state.history if is_evaluation(row)}
    if not every or not any(step and step % every == 0 for step in evaluated):
        return set()
    if state.pointer_step is not None and state.pointer_step % every:
        return set()
    return {step for step in evaluated if step % every}


def _claims(state: TrainerState, chosen: Selection, loss: str) -> list[j.AnyEvent]:
    if not state.pointer and state.best_metric is None:
        return []
    metric = "" if chosen.metric == loss else chosen.metric
    step, name, path = state.pointer_step, "best_model_checkpoint", state.pointer
    if not state.pointer:
        series = [row for row in state.history if row.get(chosen.metric) == state.best_metric]
        measured = step_of(series[0]) if chosen.metric and series else None
        step, name = state.best_step if state.best_step is not None else measured, "best_metric"
    return [
        j.ClaimedEvent(
            time=instant(None), name=name, step=step, metric=metric, value=state.best_metric,
            higher_is_better=chosen.higher_is_better, path=path,
        )
    ]  # fmt: skip
