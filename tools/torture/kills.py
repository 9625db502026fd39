"""kill -9 at random moments, also within saves and while a run is being made, 200 times.

Each time the run is trained on, and killed again, until it has ended; a second process reads its journal all
the while, and the newest checkpoint that it finds there. Losses and weights of the end are compared with
those of a run that nobody killed, bit for bit. Every process is a fork of one that has trained
before, so that a kill costs no second of importing.
"""

import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.sharedctypes import RawArray
from pathlib import Path

import numpy as np

from nexus_tui.config import RunConfig
from nexus_tui.runs import journal as j
from nexus_tui.runs.checkpoints import CheckpointError
from nexus_tui.runs.run import Run
from tools.torture.figures import Figures
from tools.torture.small import config, losses, process, same, train

KILLS = 200
STUCK = 5
"""Processes that could not go on, after which it is given up."""
RUN, READINGS, UNREADABLE, STOP = range(4)
"""Places in what the reader and the killer share."""


@dataclass
class Told:
    """What happened."""

    kills: int = 0
    in_saves: int = 0
    beginnings: int = 0
    """Kills before the run had its journal, or its first step."""
    runs: int = 0
    different: int = 0
    damaged: int = 0
    faults: int = 0
    """What went wrong in these runs, in their own words: a save that failed, say."""
    stuck: int = 0
    """Processes that neither ended well nor were killed."""


def torture(folder: Path, shared: "RawArray[int]", times: int = KILLS, seed: int = 0) -> Told:
    """Kill a training so many times, in as many runs as that takes; each is trained to its end."""
    told, numbers = Told(), random.Random(seed)
    plan = config(folder)
    assert train(folder, plan, "undisturbed") == 0
    started = time.monotonic()
    assert _wait(process(lambda: train(folder, plan, "again"))) == 0
    whole = time.monotonic() - started
    undisturbed = Run(folder / "undisturbed")
    assert same(Run(folder / "again"), undisturbed)
    with reader(folder, shared):
        while told.kills < times and told.stuck < STUCK:
            shared[RUN] = told.runs
            _until_finished(folder, plan, f"killed-{told.runs}", told, times, whole, numbers)
            told.different += _differs(Run(folder / f"killed-{told.runs}"), undisturbed)
            told.faults += faults(Run(folder / f"killed-{told.runs}"))
            if told.runs > 2:  # the reader may still be at the last one
                shutil.rmtree(folder / f"killed-{told.runs - 2}", ignore_errors=True)
            told.runs += 1
    return told


def faults(run: Run) -> int:
    """How often a run's journal says that something failed; says what."""
    found = [event.message for event in run.log if isinstance(event, j.FaultedEvent)]
    for message in found:
        print(f"{run.name}: {message}", file=sys.stderr)
    return len(found)


def _differs(run: Run, undisturbed: Run) -> bool:
    """Whether a run is another than the undisturbed one; says in which way."""
    if same(run, undisturbed):
        return False
    ours, theirs = losses(run), losses(undisturbed)
    first = next((a for a, b in zip(ours, theirs, strict=False) if a != b), None)
    newest = run.newest_checkpoint()
    print(
        f"{run.name}: {run.state}, {len(ours)} losses of {len(theirs)}, first other one {first}, "
        f"newest checkpoint {newest and newest.name}, branches {run.branches}",
        file=sys.stderr,
    )
    return True


def _until_finished(
    folder: Path, plan: RunConfig, name: str, told: Told, times: int, whole: float, numbers: random.Random
) -> None:
    """Train a run to its end, killing it on the way."""
    run = folder / name
    while told.stuck < STUCK:
        child = process(lambda: train(folder, plan, name))
        if told.kills < times:
            kind = numbers.random()
            longest = 0.03 if kind < 0.3 and not run.exists() else whole  # as it is being made
            after, later = numbers.random() * longest, numbers.random() * 0.02
            _kill(child, run, after=after, within_save=kind > 0.5, later=later)
        status = _wait(child)
        if status == -signal.SIGKILL:
            told.kills += 1
            told.in_saves += _saves(run)
            told.beginnings += not (run / "journal.jsonl").exists() or not len(Run(run).steps)
        if (run / "journal.jsonl").exists():
            told.damaged += _is_damaged(run)
        if status == 0:
            return
        if status != -signal.SIGKILL:
            told.stuck += 1
            print(f"{name} ended with {status}: {Run(run).state}, {Run(run).ended}", file=sys.stderr)


def _kill(child: int, run: Path, *, after: float, within_save: bool, later: float) -> None:
    """Kill a child after so many seconds, or a little `later` than it then begins to save, unless it ends."""
    end = time.monotonic() + after
    while os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        if time.monotonic() < end:
            time.sleep(0.001)
        elif not within_save:
            break
        elif _saves(run):
            time.sleep(later)
            break
        else:
            time.sleep(0.0005)
    with suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)


def _saves(run: Path) -> bool:
    """Whether a checkpoint is being written, or was when its writer died."""
    with suppress(OSError):
        return any(entry.name.startswith(".writing-") for entry in os.scandir(run / "checkpoints"))
    return False


def _is_damaged(run: Path) -> bool:
    """Whether a kill has left a checkpoint that is not whole, or none of one that is on record as saved."""
    try:
        opened = Run(run)
        for checkpoint in opened.checkpoints.values():
            checkpoint.verify()
        return bool(set(opened.saved) - set(opened.checkpoints))
    except CheckpointError:
        return True


@contextmanager
def reader(folder: Path, shared: "RawArray[int]") -> Iterator[None]:
    """Meanwhile another process reads whatever run is being trained."""
    child = process(lambda: _read(folder, shared))
    try:
        yield
    finally:
        shared[STOP] = 1
        os.waitpid(child, 0)


def _read(folder: Path, shared: "RawArray[int]") -> int:
    """Read the record as any other process may at any moment: anew, and what has been added since."""
    kept = Run(folder)
    while not shared[STOP]:
        run = folder / f"killed-{shared[RUN]}"
        if kept.folder != run:
            kept = Run(run)
        if (run / "journal.jsonl").exists():
            shared[READINGS] += 1
            try:
                _look(kept, Run(run))
            except Exception as error:
                print(f"{type(error).__name__} while reading: {error}", file=sys.stderr)
                shared[UNREADABLE] += 1
        time.sleep(0.01)
    return 0


def _look(kept: Run, opened: Run) -> None:
    """Raise for a record that says what cannot be, or a checkpoint that is not whole."""
    kept.refresh()
    for run in (kept, opened):
        assert (np.diff(run.steps["step"][run.canonical()]) == 1).all(), "steps are missing"
        assert not run.damaged_lines, "damaged lines"
    ours, theirs = losses(opened), losses(kept)
    length = min(len(ours), len(theirs))
    # The later look may be after a resume, which abandons steps: those that both have are the same.
    assert dict(ours[:length]).items() <= dict(theirs).items() or len(theirs) < len(ours), "losses differ"
    if newest := opened.newest_checkpoint():
        newest.verify()


def _wait(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def main() -> int:
    """Print what happened. Returns the exit status."""
    times = int(sys.argv[1]) if len(sys.argv) > 1 else KILLS
    shared = RawArray("q", 4)
    with tempfile.TemporaryDirectory() as folder:
        told = torture(Path(folder), shared, times)
    print(
        f"{told.kills} kills in {told.runs} runs: {told.in_saves} of them within a save, "
        f"{told.beginnings} before the first step.\n"
    )
    figures = Figures()
    figures.least("kill -9", times, told.kills, "times")
    figures.least("of them within a save", times / 10, told.in_saves, "times")
    figures.most("processes that could not go on", 0, told.stuck)
    figures.most("runs whose losses or weights differ by a bit from the undisturbed run's", 0, told.different)
    figures.most("checkpoints half-written, or lost though on record", 0, told.damaged)
    figures.most("saves that failed, and other faults in their journals", 0, told.faults)
    figures.least("readings of the journal by another process", 5 * times, shared[READINGS])
    figures.most("of them failed, or found a checkpoint that was not whole", 0, shared[UNREADABLE])
    return figures.status


if __name__ == "__main__":
    sys.exit(main())
