"""How long reading a text will take, and how far it is: said on standard error, be it a terminal or not."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TextIO

import numpy as np

SURE = 3.0
"""Seconds to watch before anything is said."""
WORTH = 5.0
"""Seconds to come for which it is."""


class Wait:
    """Told how many tokens of how many have been read, says how long the rest takes.

    Attention looks at all that was read, so each chunk takes a little longer than the one before: a line
    through the chunks' times tells those of the rest. On a terminal one line is kept up to date; elsewhere a
    line is written at the beginning and whenever another tenth is done.
    """

    def __init__(self, output: TextIO | None = None, clock: Callable[[], float] = time.perf_counter) -> None:
        self._output, self._clock = output or sys.stderr, clock
        self._seen: list[tuple[float, int]] = []
        """When how many tokens had been read."""
        self._tenth = -1

    def __call__(self, done: int, total: int) -> None:
        """So many tokens of so many have been read."""
        self._seen.append((self._clock(), done))
        spoken = self._tenth >= 0
        if done < total:
            left = self._left(total)
            if spoken or (self._clock() - self._seen[0][0] >= SURE and left >= WORTH):
                self._say(done, total, left)
        elif spoken and self._output.isatty():
            print("\r\x1b[K", end="", file=self._output, flush=True)

    def _left(self, total: int) -> float:
        """Seconds for the rest."""
        times, tokens = (np.array(column, float) for column in zip(*self._seen, strict=True))
        if len(times) < 4:
            return 0.0
        # What `n` tokens take is a n + b n²: its growth a + b (n + n') between two of them is a line.
        pace = np.diff(times) / np.diff(tokens)
        slope, level = np.polyfit(tokens[1:] + tokens[:-1], pace, 1)
        if slope < 0:
            slope, level = 0.0, float(pace.mean())
        rest = total - tokens[-1]
        return float(max(level + slope * (total + tokens[-1]), 0.0) * rest)

    def _say(self, done: int, total: int, left: float) -> None:
        tenth = 10 * done // total
        words = f"{done / total:.0%} of {total:,} tokens, about {_spoken(left)} to go"
        if self._output.isatty():
            print(f"\r\x1b[K{words}", end="", file=self._output, flush=True)
        elif tenth > self._tenth:
            print(words, file=self._output, flush=True)
        self._tenth = tenth


def _spoken(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
