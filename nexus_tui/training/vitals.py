"""What training asks of the machine: memory and processor time of this process, as the system counts them."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path

EVERY = 5.0
"""Seconds between two measurements."""


class Vitals:
    """Measures every few seconds.

    Args:
        clock: seconds that only ever grow.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since, self._spent = clock(), _processor_seconds()

    def due(self) -> dict[str, float | None]:
        """What was measured, by name, if it is time; else nothing.

        `memory` is what is resident now, in bytes, where the system tells; `cpu` is how many cores were busy
        on average since the last time: 2.0 of two full ones.
        """
        now = self._clock()
        if now - self._since < EVERY:
            return {}
        spent = _processor_seconds()
        values: dict[str, float | None] = {"cpu": round((spent - self._spent) / (now - self._since), 3)}
        self._since, self._spent = now, spent
        with contextlib.suppress(OSError, ValueError, IndexError):
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            values["memory"] = float(pages * os.sysconf("SC_PAGE_SIZE"))
        return values


def _processor_seconds() -> float:
    """Spent by all threads of this process."""
    times = os.times()
    return times.user + times.system
