"""Putting an average on record: a checkpoint like any other, but for training, which cannot go on from it."""

from __future__ import annotations

import contextlib
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from nexus_tui.analysis import cache
from nexus_tui.analysis.subject import checkpoint_of
from nexus_tui.runs import journal as j
from nexus_tui.runs import truth
from nexus_tui.runs.checkpoints import (
    Checkpoint,
    link_best,
    save_checkpoint,
    save_window_losses,
)
from nexus_tui.runs.lock import RunLock
from nexus_tui.runs.run import Run, RunError

if TYPE_CHECKING:
    from nexus_tui.analysis.average import Average

TOKENIZER = "tokenizer.json"
_NAME = re.compile(r"(?!step_|best|last$|\d+$)[^\W_][\w.+-]{0,99}", re.IGNORECASE)


def save_average(run: Run, average: Average, name: str = "") -> Checkpoint:
    """Save an average in the run of one of its parents, and journal it with them, its loss and its windows'.

    `name` defaults to its method and step, `uniform_2000`, numbered if that is taken. The checkpoint has no
    optimizer state; the link `best` moves to it if it is the true best, or the journal says why it could not.
    `run` is left as it is: refresh it. Takes the run's lock: raises RunLockedError while someone trains it;
    RunError if the name will not do, the run is another or the disk refuses it, CheckpointError if a parent
    is damaged. Nothing is left behind then.
    """
    folder = run.folder
    if run.kind == "recorded":
        raise RunError(
            f"{run.name} is a record, and nothing is added to it: go on from it in a run of your own."
        )
    if run.kind != "run" or folder.resolve() not in {s.run.folder.resolve() for s in average.subjects}:
        names = ", ".join(dict.fromkeys(subject.run.name for subject in average.subjects))
        raise RunError(f"{run.name} has no part in this average: save it in one that has, as in {names}.")
    with RunLock(folder):
        now = Run(folder)  # not the caller's, which may belong to another thread
        _require_one_protocol(now, average)
        saved = _written(folder, average, _name(now, average, name))
        _journalled(folder, average, saved)
        _linked(now, saved)
    return saved


def _require_one_protocol(run: Run, average: Average) -> None:
    """An older protocol would become the newest, under which nothing else was evaluated."""
    if run.evaluations and run.evaluations[-1].event.protocol != average.protocol:
        raise RunError(
            f"{run.name} was evaluated on other windows since, so this average could not be ranked there: "
            "average checkpoints that were evaluated as its newest one was."
        )


def _name(run: Run, average: Average, wish: str) -> str:
    """The name for an average. Raises RunError if the wished one will not do."""
    taken = {*run.saved, *(evaluation.name for evaluation in run.evaluations)}
    taken |= {path.name for path in (run.folder / "checkpoints").glob("*")}
    if not wish:
        first = f"{average.method.split()[0]}_{average.step}"
        numbered = (f"{first}.{number}" for number in range(2, len(taken) + 3))
        return next(name for name in (first, *numbered) if name not in taken)
    if not _NAME.fullmatch(wish):
        raise RunError(
            f"{wish!r} cannot name an average; use letters, digits and . _ + - (100 at most), "
            "and neither a step nor best, last or step_… at its start."
        )
    if wish in taken:
        raise RunError(f"{run.name} has a checkpoint {wish} already; choose another name.")
    return wish


def _written(folder: Path, average: Average, name: str) -> Checkpoint:
    from nexus_tui.analysis.mixing import mixed
    from nexus_tui.lm.pretrained import save_model

    for subject in average.subjects:
        cache.weights_key(checkpoint_of(subject))
    if not average.unchanged:
        raise RunError("its parents have changed since the average was made: make it again.")
    model = mixed(average.subjects, average.shares)
    tokenizer = checkpoint_of(average.subjects[-1]).path / TOKENIZER  # that of every one: one protocol

    def write(target: Path) -> None:
        save_model(model, target)
        shutil.copyfile(tokenizer, target / TOKENIZER)

    try:
        return save_checkpoint(folder / "checkpoints" / name, average.step, write)
    except Exception as error:  # safetensors wraps the disk's errors in its own
        raise RunError(f"{name} could not be saved: {error}") from error


def _journalled(folder: Path, average: Average, saved: Checkpoint) -> None:
    """Put it on record; if the disk refuses that, take the checkpoint back and raise RunError."""
    journal = j.Journal(folder / "journal.jsonl")
    try:
        save_window_losses(folder, saved.name, average.window_losses)
        journal.append(
            j.SavedEvent(
                step=saved.step, checkpoint=saved.name, sha256=saved.sha256, bytes=saved.bytes,
                parents=average.parents, method=average.method,
            ),
            j.EvaluatedEvent(
                step=saved.step, checkpoint=saved.name, loss=average.loss, stderr=average.stderr,
                bits_per_byte=average.bits_per_byte, windows=len(average.window_losses),
                protocol=average.protocol,
            ),
            durable=True,
        )  # fmt: skip
        if journal.failure:
            raise journal.failure
    except OSError as error:
        shutil.rmtree(saved.path, ignore_errors=True)
        with contextlib.suppress(OSError):
            (folder / "evaluations" / f"{saved.name}.npy").unlink(missing_ok=True)
        raise RunError(f"{saved.name} could not be put on record: {error.strerror or error}.") from error
    finally:
        journal.close()


def _linked(run: Run, saved: Checkpoint) -> None:
    """Let `best` point to the true best. The average is on record by now: a failure is put there, too."""
    run.refresh()
    ranked = truth.best(run)
    try:
        link_best(run.folder, ranked.checkpoint if ranked else None)
    except OSError as error:
        with contextlib.suppress(OSError):
            journal = j.Journal(run.folder / "journal.jsonl")
            message = f"the link `best` could not be moved: {error}"
            journal.append(j.FaultedEvent(step=saved.step, message=message))
            journal.close()
