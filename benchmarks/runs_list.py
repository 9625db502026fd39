"""The list of 10 and of 2,000 runs, 2,000 steps each, in a real terminal of 160 × 48.

The program is started in turn on the two folders, its cache of summaries warm; what is computed is counted in
processor time, which other work on the machine changes little. Then the cost of watching is measured alone.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.harness import goal
from benchmarks.many_runs import STEPS, write
from benchmarks.terminal import Program

FEW, MANY = 10, 2000


@dataclass(frozen=True)
class Start:
    """One start of the program, to the list at rest. Seconds since it was started."""

    painted: float
    listed: float
    processor: float
    """Processor time until then."""
    resident: float
    """Memory, MB."""


def start(folder: Path, home: Path) -> Start:
    """Start the program on a folder and wait until the list is there and nothing more comes."""
    environment = {"XDG_CACHE_HOME": str(home / "cache"), "XDG_STATE_HOME": str(home / "state")}
    with Program([sys.executable, "-m", "nexus_tui", str(folder)], 160, 48, environment) as program:
        painted = program.wait("nexus-tui") - program.started
        listed = program.wait(r"run-\d{4}") - program.started
        processor = program.processor()
        program.settle()
        program.calm()
        status = Path(f"/proc/{program.pid}/status").read_text("utf-8")
        resident = next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]
        program.press("q")
        while Path(f"/proc/{program.pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0] != "Z":
            time.sleep(0.01)  # it keeps its summaries
    return Start(painted, listed, processor, int(resident) / 1024)


@dataclass(frozen=True)
class Watching:
    """What looking at a folder costs, in seconds of processor time."""

    cold: float
    """Reading every journal, once."""
    first: float
    """The first look, every summary kept from the last time."""
    ticks: list[float]
    """Those of one round, in which nothing has changed."""


def watching(folder: Path, home: Path) -> Watching:
    """Watch a folder in this process."""
    os.environ["XDG_CACHE_HOME"] = str(home / "cache-of-watching")
    from nexus_tui.runs.store import Runs
    from nexus_tui.runs.summaries import Summaries
    from nexus_tui.tui.app import TICK
    from nexus_tui.tui.watch import IDLE, Watcher

    def look() -> tuple[Watcher, float]:
        began = time.process_time()
        watcher = Watcher(Runs(folder, summaries=Summaries(folder, wait=False)), lambda: now[0])
        watcher.look()
        while watcher.fetcher.busy:
            watcher.fetcher.take()
            time.sleep(0.05)
        assert all(run.summary.known for run in watcher.runs)
        return watcher, time.process_time() - began

    now = [0.0]
    watcher, cold = look()
    watcher.close()
    watcher, first = look()
    ticks = []
    for _ in range(round(2 * IDLE / TICK) * 4):
        now[0] += TICK
        began = time.process_time()
        changed = watcher.tick()
        ticks.append(time.process_time() - began)
        assert not changed
    return Watching(cold, first, ticks)


def main() -> None:
    """Print a table, what watching costs, and whether the goals are met."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.runs_list", description=__doc__)
    parser.add_argument("--starts", type=int, default=7, help="of each; default: 7")
    parser.add_argument("--runs", type=int, default=MANY, help=f"in the large folder; default: {MANY}")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(temporary)
        folders = {count: write(home / f"runs-{count}", count) for count in (FEW, arguments.runs)}
        starts: dict[int, list[Start]] = {count: [] for count in folders}
        for round_ in range(-1, arguments.starts):  # the first fills the cache
            for count, folder in folders.items():
                one = start(folder, home)
                if round_ >= 0:
                    starts[count].append(one)
        costs = {count: watching(folder, home) for count, folder in folders.items()}
    print(f"Runs of {STEPS:,} steps; medians of {arguments.starts} starts of each, in turn.\n")
    print("| runs | first paint, s | list, s | processor time to the list, s | memory, MB |")
    print("|---:|---:|---:|---:|---:|")
    for count, some in starts.items():
        figures = [statistics.median(getattr(s, name) for s in some) for name in Start.__annotations__]
        painted, listed, processor, resident = figures
        print(f"| {count:,} | {painted:.2f} | {listed:.2f} | {processor:.2f} | {resident:.0f} |")
    print("\n| runs | every journal read, once, s | first look, s | a tick, ms | longest tick, ms |")
    print("|---:|---:|---:|---:|---:|")
    for count, cost in costs.items():
        mean, longest = 1000 * statistics.mean(cost.ticks), 1000 * max(cost.ticks)
        print(f"| {count:,} | {cost.cold:.2f} | {cost.first:.3f} | {mean:.2f} | {longest:.1f} |")
    print("\nAll of the second table is processor time; a tick comes four times a second.\n")
    few, many = (statistics.median(s.painted for s in some) for some in starts.values())
    print(goal(f"first paint with {arguments.runs:,} runs", 1.1, many / few, "×", f"that with {FEW}"))
    few, many = (statistics.median(s.processor for s in some) for some in starts.values())
    print(goal("the list costs", 0.3, many - few, "s more"))
    share = statistics.mean(costs[arguments.runs].ticks) / 0.25
    print(goal("watching takes", 1, 100 * share, "% of a core"))


if __name__ == "__main__":
    main()
