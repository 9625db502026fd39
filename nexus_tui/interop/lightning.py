"""Lightning's checkpoint files, by their names alone: `epoch=3-step=400-val_loss=1.31.ckpt` is a pickle.

`best_model_path` is in those pickles, so it is not read; what can be read are the scores in the names, and
`best_k_models.yaml` where `ModelCheckpoint.to_yaml` has written it.
"""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from nexus_tui.interop.files import finite, instant
from nexus_tui.runs import journal as j
from nexus_tui.runs.directions import higher_is_better

_PAIR = re.compile(r"(?:^|-)(?P<key>[A-Za-z_][\w ./]*)=(?P<value>-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)")
_LISTED = re.compile(r"^\s*['\"]?(?P<path>[^'\"\n]+\.ckpt)['\"]?\s*:\s*(?P<value>\S+)\s*$", re.MULTILINE)
_LISTING = "best_k_models.yaml"


@dataclass(frozen=True)
class CheckpointFile:
    """One file of weights and what its name says."""

    path: Path
    step: int
    scores: dict[str, float]
    """By metric, rounded as the name has them."""

    @property
    def name(self) -> str:
        """The file's name without its ending."""
        return self.path.stem


def checkpoint_files(folder: Path) -> list[CheckpointFile]:
    """The checkpoints in `folder/checkpoints`, else in the folder, whose names tell their step; by step."""
    found = []
    place = folder / "checkpoints" if (folder / "checkpoints").is_dir() else folder
    try:
        paths = sorted(place.glob("*.ckpt"))
    except OSError:
        return []
    for path in paths:
        pairs = ((match["key"].strip(), float(match["value"])) for match in _PAIR.finditer(path.stem))
        said = {key: value for key, value in pairs if math.isfinite(value)}
        step = said.pop("step", None)
        said.pop("epoch", None)
        if step is not None and step.is_integer() and 0 <= step < 2**53:
            found.append(CheckpointFile(path, int(step), said))
    return sorted(found, key=lambda file: (file.step, file.name))


def names_by_step(files: Iterable[CheckpointFile], evaluated: Iterable[int]) -> dict[int, str]:
    """The checkpoint of each evaluated step.

    Lightning counts the step at which it saves from 1 and the one at which it logs from 0, so that an
    evaluation at step 399 is of the checkpoint of step 400.
    """
    by_step = {file.step: file.name for file in files}
    steps = set(evaluated)
    names = {}
    for step in steps:
        name = by_step.get(step) or (by_step.get(step + 1) if step + 1 not in steps else None)
        if name:
            names[step] = name
    return names


def with_saves(events: Sequence[j.AnyEvent], files: Iterable[CheckpointFile]) -> list[j.AnyEvent]:
    """The events with each checkpoint file as a save, right after its evaluation; else at the end."""
    last = {
        event.checkpoint: index for index, event in enumerate(events) if isinstance(event, j.EvaluatedEvent)
    }
    saves: dict[int, list[j.AnyEvent]] = {}
    for file in files:
        index = last.get(file.name, len(events) - 1)
        event = events[index]
        step = event.step if isinstance(event, j.EvaluatedEvent) and file.name in last else file.step
        saved = j.SavedEvent(time=instant(None), step=step, checkpoint=file.name, bytes=_size(file.path))
        saves.setdefault(index, []).append(saved)
    return [each for index, event in enumerate(events) for each in (event, *saves.get(index, ()))]


def claims(files: Sequence[CheckpointFile], events: Sequence[j.AnyEvent], folder: Path) -> list[j.AnyEvent]:
    """What the names and the listing claim, checked against the evaluations that were logged.

    The file with the best score in its name is claimed to be the best. Of the others only those are claims
    that show a score which is not theirs.
    """
    evaluations = [event for event in events if isinstance(event, j.EvaluatedEvent)]
    found: list[j.AnyEvent] = list(_listed(folder, files, evaluations))
    for metric in dict.fromkeys(metric for file in files for metric in file.scores):
        scored = [file for file in files if metric in file.scores]
        sign = -1 if higher_is_better(metric) else 1
        best = min(scored, key=lambda file: (sign * file.scores[metric], file.step))
        for file in scored:
            claim = _claim(file, file.path.name, metric, _digits(file, metric), evaluations)
            wrong = claim.value is not None and claim.value != _own(file, claim.metric, evaluations)
            if file is best or wrong:
                found.append(claim)
    return found


def _listed(
    folder: Path, files: Sequence[CheckpointFile], evaluations: Sequence[j.EvaluatedEvent]
) -> Iterable[j.ClaimedEvent]:
    path = folder / "checkpoints" / _LISTING
    try:
        text = path.read_bytes()[: 1 << 20].decode("utf-8", "replace")
    except OSError:
        return
    listed = [
        (re.split(r"[\\/]", match["path"])[-1], value)
        for match in _LISTED.finditer(text)
        if (value := _float(match["value"])) is not None
    ]
    known = {file.path.name: file for file in files}
    metric = next((metric for file in files for metric in file.scores), "")
    if listed:
        sign = -1 if higher_is_better(metric) else 1
        name, value = min(listed, key=lambda entry: sign * entry[1])
        if name in known:
            yield _claim(known[name], _LISTING, metric, repr(value), evaluations)
        else:
            yield j.ClaimedEvent(name=_LISTING, path=name, metric=_metric(metric, evaluations), value=value)


def _claim(
    file: CheckpointFile, name: str, metric: str, shown: str, evaluations: Sequence[j.EvaluatedEvent]
) -> j.ClaimedEvent:
    """A claim about a file, with the score on record that `shown` was rounded from: its own if that fits."""
    metric = _metric(metric, evaluations)
    digits = len(shown.partition(".")[2].partition("e")[0])
    value = float(shown)
    of_record = [(e, score) for e in evaluations if (score := _score(e, metric)) is not None]
    fitting = [(e, score) for e, score in of_record if round(score, digits) == round(value, digits)]
    own = [score for e, score in fitting if e.checkpoint == file.name]
    exact = own[0] if own else fitting[0][1] if fitting else value
    evaluated = next((e.step for e in evaluations if e.checkpoint == file.name), file.step)
    return j.ClaimedEvent(
        name=name, step=evaluated, metric=metric, value=exact,
        higher_is_better=higher_is_better(metric), path=file.path.name,
    )  # fmt: skip


def _own(file: CheckpointFile, metric: str, evaluations: Sequence[j.EvaluatedEvent]) -> float | None:
    return next((_score(e, metric) for e in reversed(evaluations) if e.checkpoint == file.name), None)


def _metric(metric: str, evaluations: Sequence[j.EvaluatedEvent]) -> str:
    """Empty for the validation loss, which is no other metric."""
    return metric if any(metric in e.metrics for e in evaluations) or "loss" not in metric else ""


def _score(event: j.EvaluatedEvent, metric: str) -> float | None:
    return event.metrics.get(metric) if metric else event.loss


def _digits(file: CheckpointFile, metric: str) -> str:
    """The score as it stands in the name."""
    return next(m["value"] for m in _PAIR.finditer(file.name) if m["key"].strip() == metric)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _float(text: str) -> float | None:
    try:
        return finite(float(text))
    except ValueError:
        return None
