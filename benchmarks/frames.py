"""A frame of live charts: what a new point costs, in processor time of Python and in bytes to the terminal.

Four charts of 50,000 points, smoothed, fill 160 × 48 cells; one point is appended to each, and the cells that
changed are made into what a terminal is sent. Then the same in the app on a run of 50,000 steps: from the
journal's new line to the bytes. Then 2,000 points are appended to a chart of a million.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
import tracemalloc
from pathlib import Path

import numpy as np
from rich.console import Console
from textual.drivers.headless_driver import HeadlessDriver
from textual.strip import Strip

from benchmarks.harness import goal
from benchmarks.live_run import LiveRun
from nexus_tui.tui import theme
from nexus_tui.tui.app import NexusApp
from nexus_tui.tui.chart.curves import Curve
from nexus_tui.tui.chart.frame import Frame, Styles
from nexus_tui.tui.chart.plot import Plot, Request

CHARTS, POINTS = 4, 50_000
WIDTH, HEIGHT = 80, 22
"""Cells of one of four charts on 160 × 48."""
MANY, MORE = 1_000_000, 2_000


class Growing:
    """A plot of a noisy curve, of which each frame shows so many points more."""

    def __init__(self, points: int, room: int, title: str, seed: int = 0) -> None:
        random = np.random.default_rng(seed)
        self.x = np.arange(1, points + room + 1)
        self.y = 1.4 + 4 * np.exp(-self.x / 900) + random.normal(0, 0.05, points + room)
        self.points = points
        self.plot = Plot(Request(title=title, unit="nats/token", smoothing=0.98, x_range=(0.0, points * 1.1)))
        self.frame: Frame | None = None

    def draw(self, styles: Styles, more: int = 0) -> list[Strip]:
        """Show so many points more. Returns what changed, as pieces of lines."""
        self.points += more
        self.plot.request.curves = [Curve("train", self.x[: self.points], self.y[: self.points])]
        before, self.frame = self.frame, self.plot.draw(WIDTH, HEIGHT, styles)
        changes = self.frame.changes(before)
        return [self.frame.strip(y).crop(start, stop) for y, start, stop in changes]


def frames(repetitions: int, styles: Styles) -> tuple[list[float], list[int]]:
    """Processor seconds and bytes of every frame of four charts."""
    console = Console(color_system="truecolor", force_terminal=True, width=WIDTH)
    charts = [Growing(POINTS, repetitions + 3, f"metric {n}", n) for n in range(CHARTS)]
    seconds, sent = [], []
    for repetition in range(-3, repetitions):
        before = time.thread_time()
        text = "".join(strip.render(console) for chart in charts for strip in chart.draw(styles, 1))
        if repetition >= 0:
            seconds.append(time.thread_time() - before)
            sent.append(len(text.encode()))
    return seconds, sent


def appended(repetitions: int, styles: Styles) -> tuple[list[float], float]:
    """Processor seconds of 2,000 more points on a chart of a million, and bytes of memory a point."""
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    chart = Growing(MANY, MORE * (repetitions + 2), "loss")
    chart.draw(styles)
    chart.draw(styles, MORE)
    memory = (tracemalloc.get_traced_memory()[0] - before) / len(chart.x)
    tracemalloc.stop()
    seconds = []
    for repetition in range(-1, repetitions):
        started = time.thread_time()
        chart.draw(styles, MORE)
        if repetition >= 0:
            seconds.append(time.thread_time() - started)
    return seconds, memory


class Counting(HeadlessDriver):
    """A terminal that takes everything and counts it."""

    sent = 0

    @property
    def is_headless(self) -> bool:
        """The app draws as on a terminal."""
        return False

    def write(self, data: str) -> None:
        """Count it."""
        Counting.sent += len(data.encode())


async def ticks(folder: Path, repetitions: int) -> tuple[list[float], list[int]]:
    """Processor seconds and bytes of every look of the app at a run that has grown by a step."""
    run = LiveRun(folder / "run", total=POINTS + 10_000, every=1_000).train(POINTS)
    app = NexusApp(folder, "run", preload=False)
    app.driver_class = Counting
    running = asyncio.create_task(app.run_async(size=(160, 48), mouse=False))
    while not app.loaded or app.current_mode != "training":
        await asyncio.sleep(0.05)
    seconds, sent = [], []
    for repetition in range(-8, repetitions):
        run.train(1)
        before, bytes_before = time.thread_time(), Counting.sent
        await asyncio.sleep(0.6)  # two looks of the app at the run, one of which finds the step
        if repetition >= 0:
            seconds.append(time.thread_time() - before)
            sent.append(Counting.sent - bytes_before)
    app.exit()
    await running
    run.close()
    return seconds, sent


def row(name: str, seconds: list[float], sent: list[int] | None = None) -> str:
    """A line of the table."""
    spread = f"{min(seconds) * 1e3:.1f} – {max(seconds) * 1e3:.1f}"
    told = f"{statistics.median(sent):,.0f}" if sent else "–"
    return f"| {name} | {statistics.median(seconds) * 1e3:.2f} | {spread} | {told} | {len(seconds)} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--repetitions", type=int, default=60)
    repetitions = parser.parse_args().repetitions
    styles = Styles(theme.DARK)
    drawn, sent = frames(repetitions, styles)
    more, memory = appended(repetitions, styles)
    with tempfile.TemporaryDirectory() as folder:
        looked, looked_sent = asyncio.run(ticks(Path(folder), min(repetitions, 20)))
    print("| ms of processor time | median | fastest – slowest | bytes | frames |\n|---|---:|---:|---:|---:|")
    print(row(f"four charts of {POINTS:,} points, a point more in each", drawn, sent))
    print(row(f"the app on a run of {POINTS:,} steps, a step more: 0.6 s of it", looked, looked_sent))
    print(row(f"a chart of {MANY:,} points, {MORE:,} more", more))
    print()
    middle = statistics.median(drawn) * 1e3
    print(goal("a frame of 4 charts of 50,000 points at 160×48 takes", 8, middle, "ms", "of Python"))
    middle = statistics.median(more) * 1e3
    print(goal("2,000 points more on a chart of a million take", 2, middle, "ms"))
    print(goal("a point of a chart of a million takes", 40, memory, "bytes", "of memory"))


if __name__ == "__main__":
    main()
