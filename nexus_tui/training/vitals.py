"""What training asks of the machine: memory and processor time of this process, and what its GPU says."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from nexus_tui.training.card import Card

if TYPE_CHECKING:
    import torch

EVERY = 5.0
"""Seconds between two measurements."""


class Vitals:
    """Measures every few seconds.

    Args:
        device: what is trained on: of a GPU, what it says of itself is measured too.
        clock: seconds that only ever grow.
    """

    def __init__(
        self, device: torch.device | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self._card = Card(device) if device is not None and device.type == "cuda" else None
        self._since, self._spent = clock(), _processor_seconds()

    def due(self) -> dict[str, float | None]:
        """What was measured, by name, if it is time; else nothing.

        `memory` is what is resident now, in bytes, where the system tells; `cpu` is how many cores were busy
        on average since the last time: 2.0 of two full ones. Of a GPU, what `Card.read` tells.
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
        if self._card:
            values |= self._card.read()
        return values


def _processor_seconds() -> float:
    """Spent by all threads of this process."""
    times = os.times()
    return times.user + times.system
