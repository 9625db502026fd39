"""Checkpoints held open while several are asked in turns: as many as a part of the memory holds."""

from __future__ import annotations

import contextlib
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Protocol

from nexus_tui.runs.checkpoints import WEIGHTS, Checkpoint

if TYPE_CHECKING:
    from nexus_tui.lm.drawing import Sampling
    from nexus_tui.training.sampling import Piece


class Continues(Protocol):
    """What writes texts side by side: `Texts`."""

    def add(self, prompt: str | bytes, sampling: Sampling, *, stop: Sequence[str] = ()) -> int:
        """One more text; its number."""

    def step(self) -> list[tuple[int, Piece | FloatingPointError]]:
        """The next piece of texts, by their numbers; none once all have ended."""


class Writes(Protocol):
    """What can continue prompts: a `Sampler`."""

    def together(
        self, *, share: float | Callable[[], float] = 1.0, progress: Callable[[int, int], None] | None = None
    ) -> Continues:
        """Several texts to be written side by side."""


def opened(checkpoint: Checkpoint) -> Writes:
    """Open a checkpoint, its files verified. Raises what `Sampler.open` raises."""
    from nexus_tui.training.sampling import Sampler

    return Sampler.open(checkpoint)


def part_of_memory() -> int:
    """An eighth of the machine's memory, in bytes; 512 MB where that is not known."""
    with contextlib.suppress(AttributeError, OSError, ValueError):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 8
    return 512_000_000


class Seats:
    """Opens checkpoints and keeps the newest ones, up to `limit` bytes of memory, but two at least."""

    def __init__(self, limit: int | None = None, opener: Callable[[Checkpoint], Writes] = opened) -> None:
        self.limit = part_of_memory() if limit is None else limit
        self._opener = opener
        self._taken: OrderedDict[str, tuple[int, Writes]] = OrderedDict()
        self._lock = threading.Lock()

    def hold(self, checkpoints: Iterable[Checkpoint]) -> bool:
        """Whether all of these can be held at once."""
        sizes = {checkpoint.sha256: _size(checkpoint) for checkpoint in checkpoints}
        return sum(sizes.values()) <= self.limit or len(sizes) <= 2

    def open(self, checkpoint: Checkpoint) -> Writes:
        """An open checkpoint. Slow the first time; raises what opening it raises."""
        key = ":".join(str(entry["sha256"]) for _, entry in sorted(checkpoint.files.items()))
        with self._lock:
            found = self._taken.pop(key, None) or (_size(checkpoint), self._opener(checkpoint))
            self._taken[key] = found
            while len(self._taken) > 2 and sum(size for size, _ in self._taken.values()) > self.limit:
                self._taken.popitem(last=False)
            return found[1]


def _size(checkpoint: Checkpoint) -> int:
    """Bytes of an open checkpoint: its weights, and their copy that writing reads."""
    return 2 * int(checkpoint.files[WEIGHTS]["bytes"])
