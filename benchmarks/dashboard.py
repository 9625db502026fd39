"""The app beside a training, in a real terminal of 120 × 40: bytes, age of what is shown, keys, its cost.

A run grows at the pace of `nexus-byte`, 1.055 s a step with evaluations and samples, but is written by the
benchmark, so that bytes and age do not depend on how busy the machine is. Keys are pressed, and steps timed,
while the program itself trains `nexus-byte` on all processors; without the app the same training goes on from
the same checkpoint, in turn (A B A B).
"""

import argparse
import os
import random
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import numpy as np

from benchmarks.harness import goal, spread
from benchmarks.live_run import LiveRun
from benchmarks.terminal import Program
from nexus_tui.runs.run import Run

COLUMNS, ROWS = 120, 40
APP = (sys.executable, "-m", "nexus_tui")
STEP = re.compile(r"step +([\d,]+) / ")
RIGHT, LEFT = "\x1b[C", "\x1b[D"
EVALUATING = 6.0
"""Seconds that an evaluation of `nexus-byte` takes."""


def environment(folder: Path) -> dict[str, str]:
    """The program's state in a folder of the benchmark; its compiled kernels where they are."""
    return {"XDG_STATE_HOME": str(folder / "state"), "NEXUS_RUNS": str(folder / "runs")}


def shown_step(lines: Sequence[str]) -> int:
    """The step that the screen says; -1 if it says none."""
    found = STEP.search("\n".join(lines[:3]))
    return int(found[1].replace(",", "")) if found else -1


def quantile(values: Sequence[float], share: float) -> float:
    """The value that so large a share does not exceed."""
    return float(np.quantile(np.asarray(values), share))


# At the pace of a training ---------------------------------------------------------------------------------


@dataclass
class Watched:
    """A training as it was watched for so many seconds."""

    seconds: float
    sent: int
    ages: list[float]
    """Seconds from each step's line in the journal to the last byte of the frame that shows it."""
    processor: float


def watched(folder: Path, seconds: float, terminal: type[Program] = Program) -> Watched:
    """Watch a run that grows at the pace of the reference model."""
    run = LiveRun(folder / "runs" / "live", every=100, ago=timedelta(minutes=30)).train(1350)
    run.live()
    written: dict[int, float] = {}
    with terminal([*APP, str(run.folder)], COLUMNS, ROWS, environment(folder)) as program:
        program.wait(r"step +1,350 / ")
        program.settle()
        program.calm()
        started, used = time.perf_counter(), program.processor()
        while (now := time.perf_counter()) - started < seconds:
            for event in run.next():
                run.append(event)
                written.setdefault(run.step, time.perf_counter())
                time.sleep(EVALUATING / 5 if run.step % run.every == 0 else 0)
            time.sleep(max(0.0, now + run.seconds - time.perf_counter()))
        ended, used = time.perf_counter(), program.processor() - used
        time.sleep(1.0)
        sent = program.sent(started) - program.sent(ended)
        ages = seen(program, written)
    run.close()
    return Watched(ended - started, sent, ages, used)


def seen(program: Program, written: dict[int, float]) -> list[float]:
    """How old each step was when the screen first showed it or a later one, seconds."""
    ages, waiting = [], dict(sorted(written.items()))
    while piece := program.step():
        newest = shown_step(program.lines)
        ages += [piece.at - waiting.pop(step) for step in list(waiting) if step <= newest]
    if waiting:
        raise RuntimeError(f"the screen never showed step {min(waiting)}")
    return ages


def idle(folder: Path, seconds: float) -> tuple[int, float]:
    """Bytes sent, and share of a processor used, while a paused run is watched in which nothing happens."""
    run = LiveRun(folder / "runs" / "idle", ago=timedelta(days=3)).train(1412)
    with Program([*APP, str(run.folder)], COLUMNS, ROWS, environment(folder)) as program:
        program.wait(r"step +1,412 / ")
        program.settle(4.0)
        program.calm()
        before, used = time.perf_counter(), program.processor()
        time.sleep(seconds)
        used = program.processor() - used
        sent = program.sent(before)
    run.close()
    return sent, used / seconds


# While the program trains ----------------------------------------------------------------------------------


def prepared(folder: Path) -> Path:
    """A run of `nexus-byte` that was stopped after some steps, to be resumed again and again."""
    command = [*APP, "train", "--model", "nexus-byte", "--name", "trained"]
    process = subprocess.Popen(
        command, env=os.environ | environment(folder), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    run = folder / "runs" / "trained"
    await_steps(run, 3, process)
    process.send_signal(signal.SIGINT)
    process.wait()
    return run


def await_steps(folder: Path, steps: int, process: "subprocess.Popen[bytes] | None" = None) -> list[float]:
    """Wait until a run has so many steps on its newest branch. Returns their seconds."""
    while True:
        if process and process.poll() is not None:
            raise RuntimeError(f"the training of {folder.name} ended with status {process.returncode}")
        if (folder / "journal.jsonl").exists():
            run = Run(folder)
            table = run.steps
            on_branch = table["branch"] == run.branches[-1].index
            if int(on_branch.sum()) >= steps:
                return [float(second) for second in table["seconds"][on_branch]]
        time.sleep(0.2)


def copied(run: Path, number: int) -> Path:
    """The run under another name."""
    return Path(shutil.copytree(run, run.parent / f"copy-{number}", symlinks=True))


def headless(run: Path, steps: int, folder: Path) -> list[float]:
    """Seconds of each step, trained without a screen."""
    command = [*APP, "train", "--resume", run.name]
    process = subprocess.Popen(
        command, env=os.environ | environment(folder), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    seconds = await_steps(run, 3 + steps, process)
    process.kill()
    process.wait()
    return seconds[3 : 3 + steps]


@dataclass
class Trained:
    """A training in the app."""

    steps: list[float]
    """Seconds of each."""
    keys: list[float]
    """Seconds from each key to the last byte of the frame that answers it."""
    drawing: float
    """Of one processor, what the thread takes that draws."""


def in_app(run: Path, steps: int, keys: int, folder: Path) -> Trained:
    """Train in the app for so many steps, then press so many keys while it goes on."""
    with Program([*APP, str(run)], COLUMNS, ROWS, environment(folder)) as program:
        program.wait(r"step +\d+ / ")
        program.settle()
        program.press("r")
        await_steps(run, 3)
        started, used = time.perf_counter(), program.drawing()
        seconds = await_steps(run, 3 + steps)[3 : 3 + steps]
        drawing = (program.drawing() - used) / (time.perf_counter() - started)
        for _ in range(2):  # it comes, and goes to where it can go either way from
            answered(program, LEFT)
        waits = [answered(program, LEFT if number % 2 else RIGHT) for number in range(keys)]
    return Trained(seconds, waits, drawing)


def answered(program: Program, key: str) -> float:
    """Seconds from a key that moves the crosshair to the frame in which it has moved."""
    time.sleep(random.uniform(0.2, 0.5))
    while program.step():
        pass
    before = crosshair(program.lines)
    pressed = program.press(key)
    try:
        return program.until(lambda lines: crosshair(lines) != before, "a moved crosshair", 10.0) - pressed
    except TimeoutError:
        return 10.0


def crosshair(lines: Sequence[str]) -> str:
    """What the screen says of the place of the crosshair."""
    return "".join(re.findall(r"^ *step [\d,]+ · ", "\n".join(lines), re.MULTILINE))


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=180.0, help="that a growing run is watched")
    parser.add_argument("--idle", type=float, default=30.0, help="seconds without news")
    parser.add_argument("--steps", type=int, default=20, help="timed with and without the app, in turn")
    parser.add_argument("--keys", type=int, default=60, help="pressed while the program trains, in each turn")
    parser.add_argument("--turns", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        live = watched(folder, arguments.seconds)
        still, resting = idle(folder, arguments.idle)
        source = prepared(folder)
        alone, beside = [], []
        for turn in range(arguments.turns):
            alone.append(headless(copied(source, 2 * turn), arguments.steps, folder))
            beside.append(in_app(copied(source, 2 * turn + 1), arguments.steps, arguments.keys, folder))
    keys = [wait for trained in beside for wait in trained.keys]
    slower = [
        statistics.median(trained.steps) / statistics.median(without)
        for trained, without in zip(beside, alone, strict=True)
    ]
    drawing = statistics.median(trained.drawing for trained in beside)
    print("| | median | 95 % within | longest | of |\n|---|---:|---:|---:|---:|")
    for what, values in (("age of a step when it is shown, ms", live.ages), ("key to painted, ms", keys)):
        figures = (statistics.median(values), quantile(values, 0.95), max(values))
        print(f"| {what} | {' | '.join(f'{value * 1e3:.0f}' for value in figures)} | {len(values)} |")
    print(
        f"\nWatching a training takes {live.processor / live.seconds:.2%} of one processor, nothing new to "
        f"show {resting:.2%}. A step beside the app takes {spread(slower, 3)} times as long as without; the "
        f"thread that draws takes {drawing:.2%} of one processor meanwhile.\n"
    )
    rate = live.sent / live.seconds / 1e3
    print(goal("to the terminal, training live at 120×40,", 1.3, rate, "kB/s"))
    print(goal("the oldest that a shown step gets is", 1, max(live.ages), "s"))
    print(goal("nothing new to show:", 0, still, "bytes", f"in {arguments.idle:g} s"))
    print(goal("nothing new to show:", 0.5, resting * 100, "%", "of one processor"))
    late = quantile(keys, 0.95) * 1e3
    print(goal("key to painted, 95th percentile while all processors train,", 50, late, "ms"))
    slow = (statistics.median(slower) - 1) * 100
    print(goal("the app slows a training by", 2, slow, "%"))


if __name__ == "__main__":
    main()
