"""kill -9 at random moments, also within saves, while another process reads the journal all the time."""

import contextlib
import os
import random
import shutil
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nexus_tui.config import RunConfig
from nexus_tui.runs.checkpoints import CheckpointError
from nexus_tui.runs.run import Run
from tools.torture.small import config, process, same, train


@dataclass
class Told:
    """What happened."""

    kills: int = 0
    in_saves: int = 0
    runs: int = 0
    different: int = 0
    damaged: int = 0
    readings: int = 0
    unreadable: int = 0


def torture(folder: Path, times: int = 200, seed: int = 0) -> Told:
    """Kill a training so many times, in as many runs as that takes; each is trained to its end."""
    told, random_numbers = Told(), random.Random(seed)
    plan = config(folder)
    started = time.monotonic()
    assert _wait(process(lambda: train(folder, plan, "undisturbed"))) == 0
    whole = time.monotonic() - started
    undisturbed = Run(folder / "undisturbed")
    while told.kills < times:
        name = f"killed-{told.runs}"
        _until_finished(folder, plan, name, told, times, whole, random_numbers)
        told.different += not same(Run(folder / name), undisturbed)
        told.runs += 1
        shutil.rmtree(folder / name)
    return told


def _until_finished(
    folder: Path, plan: RunConfig, name: str, told: Told, times: int, whole: float, numbers: random.Random
) -> None:
    """Train a run to its end, killing it on the way."""
    run = folder / name
    while True:
        child = process(lambda: train(folder, plan, name))
        if told.kills < times:
            within = numbers.random() < 0.4
            told.in_saves += _kill(child, run, told, within_save=within, after=numbers.random() * whole)
        status = _wait(child)
        told.kills += status == -signal.SIGKILL
        if (run / "journal.jsonl").exists():
            _check(run, told)
        if status == 0:
            return


def _kill(child: int, run: Path, told: Told, *, within_save: bool, after: float) -> bool:
    """Kill a child after so many seconds or as soon as it saves then, unless it ends before.

    The journal is read all the while. Tells whether it was saving.
    """
    end = time.monotonic() + after
    saving = False
    while not saving and os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        if time.monotonic() < end:
            _read(run, told)
        elif within_save:
            saving = _saves(run)
        else:
            break
    with contextlib.suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)
    return saving


def _saves(run: Path) -> bool:
    """Whether a checkpoint is being written now."""
    with contextlib.suppress(OSError):
        return any(entry.name.startswith(".writing-") for entry in os.scandir(run / "checkpoints"))
    return False


def _read(run: Path, told: Told) -> None:
    """Read the record as any other process may at any moment."""
    if not (run / "journal.jsonl").exists():
        return
    told.readings += 1
    try:
        opened = Run(run)
        assert (np.diff(opened.steps["step"][opened.canonical()]) == 1).all()
    except Exception:
        told.unreadable += 1


def _check(run: Path, told: Told) -> None:
    """What a kill leaves: every checkpoint whole, and none lost that is on record as saved."""
    try:
        opened = Run(run)
        for checkpoint in opened.checkpoints.values():
            checkpoint.verify()
        told.damaged += bool(set(opened.saved) - set(opened.checkpoints))
    except CheckpointError:
        told.damaged += 1


def _wait(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def main() -> None:
    """Print what happened."""
    import sys
    import tempfile

    times = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    with tempfile.TemporaryDirectory() as folder:
        told = torture(Path(folder), times)
    print(f"{told.kills} kills, {told.in_saves} of them within a save, in {told.runs} runs to their ends:")
    print(f"- {told.different} runs whose losses or weights differ from the undisturbed run's by a bit")
    print(f"- {told.damaged} times a checkpoint was damaged, or one that was on record was lost")
    print(f"- {told.unreadable} of {told.readings:,} readings of the journal meanwhile failed")


if __name__ == "__main__":
    main()
