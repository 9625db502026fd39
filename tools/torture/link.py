"""The real program at the other end of a slow link: 50 kB/s, 200 ms each way, in a terminal of 120 × 40.

A relay stands between the program's pseudo-terminal and the terminal: bytes go through at the link's rate and
arrive after its delay, keys likewise; what the link cannot take stays in the pseudo-terminal, as with ssh. Of
a key it is said how long the program took, from the key's arrival to the last byte of the frame that answers,
and how long it took at the terminal, link included. A run grows at the pace of `nexus-byte`; then the program
trains `nexus-byte` itself, in turn with the same training without a screen (A B A B).
"""

import argparse
import contextlib
import os
import queue
import statistics
import sys
import tempfile
import threading
import time
from datetime import timedelta
from pathlib import Path
from random import Random

import pyte

from benchmarks import dashboard
from benchmarks.dashboard import APP, COLUMNS, LEFT, RIGHT, ROWS, crosshair, environment, quantile
from benchmarks.live_run import LiveRun
from benchmarks.terminal import ANSWERS, Piece, Program
from tools.torture.figures import Figures

RATE, DELAY = 50_000, 0.2
"""Bytes a second, and seconds each way."""
CHUNK = 1024


class Linked(Program):
    """A program behind the link. `pieces` are as they arrive at the terminal."""

    def _read(self) -> None:
        self.left: list[Piece] = []
        """The same pieces as they left the program."""
        self.open = threading.Event()
        """Cleared while the link is stalled."""
        self.open.set()
        self._keys: queue.Queue[tuple[float, bytes]] = queue.Queue()
        there: queue.Queue[tuple[float, bytes]] = queue.Queue()
        for carry in (lambda: self._arrive(there), self._type):
            threading.Thread(target=carry, daemon=True).start()
        free = time.perf_counter()
        with contextlib.suppress(OSError):
            while data := os.read(self._terminal, CHUNK):
                now = time.perf_counter()
                self.left.append(Piece(now, data))
                free = max(free, now) + len(data) / RATE
                there.put((free + DELAY, data))
                time.sleep(max(0.0, free - time.perf_counter()))
                self.open.wait()

    def _arrive(self, there: "queue.Queue[tuple[float, bytes]]") -> None:
        while True:
            at, data = there.get()
            time.sleep(max(0.0, at - time.perf_counter()))
            self.open.wait()
            self.pieces.append(Piece(time.perf_counter(), data))
            for question, answer in ANSWERS.items():
                if question in data:
                    self._keys.put((time.perf_counter() + DELAY, answer))

    def _type(self) -> None:
        while True:
            at, data = self._keys.get()
            time.sleep(max(0.0, at - time.perf_counter()))
            self.open.wait()
            with contextlib.suppress(OSError):
                os.write(self._terminal, data)

    def press(self, keys: str) -> float:
        """Type something. Returns when."""
        at = time.perf_counter()
        self._keys.put((at + DELAY, keys.encode()))
        return at

    def repainted(self) -> list[str]:
        """The screen, painted anew by the program as for a terminal that has changed its size and back."""
        for columns in (COLUMNS - 1, COLUMNS):
            self._screen = pyte.Screen(columns, ROWS)
            self._stream = pyte.ByteStream(self._screen)
            began = time.perf_counter()
            self.resize(columns, ROWS)
            self.come(began)
        return self.lines

    def come(self, began: float) -> float:
        """Wait until something has come since, and then no more for a while. Returns when the last came."""
        while not self.sent(began):
            time.sleep(0.01)
        return self.settle(1.5)

    def newest_left(self) -> float:
        """When the newest piece that was put on the screen had left the program."""
        return self.left[self._shown - 1].at


def answered(program: Linked, key: str, wait: float) -> tuple[float, float]:
    """Seconds that the program took to answer a key, and that it took at the terminal."""
    time.sleep(wait)
    while program.step():
        pass
    before = crosshair(program.lines)
    pressed = program.press(key)
    shown = program.until(lambda lines: crosshair(lines) != before, "a moved crosshair", 20)
    return program.newest_left() - pressed - DELAY, shown - pressed


def opened(run: Path, folder: Path) -> list[tuple[str, float, int]]:
    """What opening the app and going to each screen takes: seconds to the last byte, and bytes."""
    rows = []
    with Linked([*APP, str(run)], COLUMNS, ROWS, environment(folder)) as program:
        last = program.settle(3)
        rows.append(("the app, from the shell", last - program.started, program.sent()))
        for key, name in (
            ("1", "runs"),
            ("2", "training"),
            ("3", "checkpoints"),
            ("4", "compare"),
            ("5", "playground"),
        ):
            began = program.press(key)
            rows.append((f"{key}, {name}", program.come(began) - began, program.sent(began)))
    return rows


def stalled(folder: Path, seconds: float) -> list[str]:
    """Lines that are otherwise, the link stalled for so long and back, once all of it is painted anew."""
    run = LiveRun(folder / "runs" / "stalled", every=100, ago=timedelta(minutes=30)).train(1350)
    run.live()
    with Linked([*APP, str(run.folder)], COLUMNS, ROWS, environment(folder)) as program:
        program.wait(r"step +1,350 / ")
        program.settle()
        program.open.clear()
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            for event in run.next():
                run.append(event)
            time.sleep(0.2)
        program.open.set()
        program.wait(f"step +{run.step:,} / ", 30)
        program.settle(3)
        shown = program.lines
        wanted = program.repainted()
    run.close()
    return [f"{a.strip()!r} for {b.strip()!r}" for a, b in zip(shown, wanted, strict=True) if a != b]


def trained(run: Path, steps: int, keys: int, folder: Path) -> tuple[list[float], list[tuple[float, float]]]:
    """Seconds of so many steps trained in the app at the link, and of keys pressed then (see `answered`)."""
    numbers = Random(0)
    with Linked([*APP, str(run)], COLUMNS, ROWS, environment(folder)) as program:
        program.wait(r"step +\d+ / ")
        program.settle()
        program.press("r")
        seconds = dashboard.await_steps(run, 3 + steps)[3 : 3 + steps]
        for _ in range(2):
            answered(program, LEFT, 0.5)
        waits = [answered(program, LEFT if n % 2 else RIGHT, numbers.uniform(0.2, 0.5)) for n in range(keys)]
    return seconds, waits


def main() -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=30.0, help="that a growing run is watched")
    parser.add_argument("--stall", type=float, default=60.0)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--keys", type=int, default=30)
    parser.add_argument("--turns", type=int, default=2)
    arguments = parser.parse_args()
    figures = Figures()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        live = dashboard.watched(folder, arguments.seconds, Linked)
        print("| through the link | s to the last byte | kB |\n|---|---:|---:|")
        rows = opened(folder / "runs" / "live", folder)
        for what, seconds, sent in rows:
            print(f"| {what} | {seconds:.2f} | {sent / 1e3:.1f} |")
        print()
        wrong = stalled(folder, arguments.stall)
        source = dashboard.prepared(folder)
        ratios, keys = [], []
        for turn in range(arguments.turns):
            alone = dashboard.headless(dashboard.copied(source, 2 * turn), arguments.steps, folder)
            beside, waits = trained(
                dashboard.copied(source, 2 * turn + 1), arguments.steps, arguments.keys, folder
            )
            ratios.append(statistics.median(beside) / statistics.median(alone))
            keys += waits
    inside = quantile([wait for wait, _ in keys], 0.95)
    whole = quantile([wait for _, wait in keys], 0.95)
    figures.most(
        "a key to the frame's last byte, link excluded, 95 % within",
        50,
        inside * 1e3,
        "ms",
        f"of {len(keys)}",
    )
    figures.most("the same at the terminal, 400 ms of it the link's,", 500, whole * 1e3, "ms")
    figures.most("to the terminal, training live at 120×40,", 1.3, live.sent / live.seconds / 1e3, "kB/s")
    figures.most(
        "the oldest that a step is when it is shown", 1 + DELAY, max(live.ages), "s", f"of {len(live.ages)}"
    )
    figures.most("a training is slowed by", 2, (statistics.median(ratios) - 1) * 100, "%")
    figures.most("a screen is there within", 3, max(seconds for _, seconds, _ in rows[1:]), "s")
    figures.most(
        f"lines that are wrong after the link stalled for {arguments.stall:g} s", 0, len(wrong), "lines",
        "; ".join(wrong[:3]),
    )  # fmt: skip
    return figures.status


if __name__ == "__main__":
    sys.exit(main())
