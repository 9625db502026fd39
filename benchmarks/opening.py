"""From the shell to the settled screen, on a run of 20 metrics × 50,000 steps, in a terminal of 160 × 48.

From the start of the process to the last byte, after which nothing comes for three seconds; the program's and
those of `wandb leet` on the same values as an offline run of W&B, in turn. The files come from memory.
"""

import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import big_run
from benchmarks.harness import goal
from benchmarks.terminal import Program

COLUMNS, ROWS = 160, 48
QUIET = 3.0
"""Seconds without a byte after which a screen has settled."""


@dataclass(frozen=True)
class Opened:
    """One start: seconds until the settled screen, and bytes until then."""

    seconds: float
    sent: int


def opened(command: Sequence[str], pattern: str, environment: dict[str, str]) -> Opened:
    """Start a program and wait until a pattern stands on its screen and nothing comes any more."""
    with Program(command, COLUMNS, ROWS, environment) as program:
        program.wait(pattern, 300)
        settled = program.settle(QUIET, 300)
        assert re.search(pattern, "\n".join(program.lines)), "it has gone again"
        return Opened(settled - program.started, program.sent())


def of_wandb(wandb: str, journal: Path, folder: Path) -> Path:
    """The same values as an offline run of W&B, written by the Python that W&B is in."""
    python = Path(wandb).parent / "python"
    script = Path(__file__).with_name("wandb_run.py")
    environment = os.environ | {"HOME": str(folder)}
    subprocess.run([python, script, journal, folder], check=True, env=environment, stdout=subprocess.DEVNULL)
    return next((folder / "wandb").glob("offline-run-*"))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--steps", type=int, default=big_run.STEPS, help="fewer, to try it")
    parser.add_argument(
        "--wandb", default=shutil.which("wandb"), help="the program of W&B, in an environment of its own"
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run = big_run.write(folder / "runs" / "big", arguments.steps)
        environment = {"HOME": name, "XDG_STATE_HOME": f"{name}/state", "XDG_CACHE_HOME": f"{name}/cache"}
        ours = [sys.executable, "-m", "nexus_tui", str(run)]
        contenders = {"nexus-tui": (ours, rf"step +{arguments.steps:,} / ")}
        if arguments.wandb:
            offline = of_wandb(arguments.wandb, run / "journal.jsonl", folder)
            contenders["wandb leet"] = (
                [arguments.wandb, "leet", "run", str(offline)],
                rf"_step +{arguments.steps}",
            )
        found: dict[str, list[Opened]] = {name: [] for name in contenders}
        for repetition in range(-1, arguments.repetitions):
            for name, (command, pattern) in contenders.items():
                start = opened(command, pattern, environment)
                if repetition >= 0:
                    found[name].append(start)
    print("| | s to the settled screen | fastest – slowest | kB sent | starts |\n|---|---:|---:|---:|---:|")
    for name, starts in found.items():
        seconds = [start.seconds for start in starts]
        sent = statistics.median(start.sent for start in starts) / 1e3
        spread = f"{min(seconds):.2f} – {max(seconds):.2f}"
        print(f"| {name} | {statistics.median(seconds):.2f} | {spread} | {sent:.0f} | {len(starts)} |")
    if not arguments.wandb:
        print("\n`wandb` is not installed here, so `wandb leet` was not measured; --wandb names its program.")
    seconds = statistics.median(start.seconds for start in found["nexus-tui"])
    sent = statistics.median(start.sent for start in found["nexus-tui"]) / 1e3
    print()
    print(
        goal("a run of 20 metrics × 50,000 steps, from the shell to the settled screen,", 1.0, seconds, "s")
    )
    print(goal("until it has settled, the terminal is sent", 60, sent, "kB"))


if __name__ == "__main__":
    main()
