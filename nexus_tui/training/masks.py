"""Dropout of some rows of a batch as if the whole batch were in one process.

A process that trains alone draws the masks of a step one after the other: of each micro-batch, of each thing
that a layer adds, row after row. Whoever holds some of the rows finds its numbers in that one stream by
counting, and need not draw those of the others.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

import numpy as np
import numpy.typing as npt

from nexus_tui.data.random import generator
from nexus_tui.lm.layers import Dropout

_WORDS = 8
"""Words of 32 bits that Philox makes at a time: its counter moves by one for so many."""


@dataclass(frozen=True)
class Stream:
    """The numbers that one process alone draws for the dropout of a step."""

    seed: int
    step: int
    calls: int
    """How many times a forward pass draws."""
    batch: int
    """Rows of the whole batch."""
    at_once: int
    """Rows of its micro-batches; the last may have fewer."""

    def rows(self, call: int, rows: range, each: int) -> npt.NDArray[np.uint16]:
        """What falls on some rows of the batch at a call, `each` numbers a row: [rows · each]."""
        parts = [self._draw(*place) for place in self._places(call, rows, each)]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _places(self, call: int, rows: range, each: int) -> Iterator[tuple[int, int, int]]:
        """Where these rows are: the word at which the call's draws begin, which of them, and how many."""
        for first in range(rows.start // self.at_once * self.at_once, rows.stop, self.at_once):
            size = min(self.at_once, self.batch - first)
            before = first // self.at_once * self.calls * _words(self.at_once * each)
            begin, end = max(rows.start, first), min(rows.stop, first + size)
            yield before + call * _words(size * each), (begin - first) * each, (end - begin) * each

    def _draw(self, word: int, skipped: int, count: int) -> npt.NDArray[np.uint16]:
        """`count` draws, `skipped` draws after those that begin at a word."""
        block, within = divmod(word + skipped // 2, _WORDS)
        left_out = 2 * within + skipped % 2
        random = generator(self.seed, "dropout", self.step)
        random.bit_generator.advance(block)  # type: ignore[attr-defined]
        draws: npt.NDArray[np.uint16] = random.integers(0, 1 << 16, left_out + count, dtype=np.uint16)
        return draws[left_out:]


def _words(draws: int) -> int:
    """Words that so many draws of 16 bits take; a half that is left is not used."""
    return (draws + 1) // 2


class RowDropout(Dropout):
    """Dropout of one forward pass over some rows of the batch."""

    def __init__(self, rate: float, stream: Stream, rows: range) -> None:
        super().__init__(rate, generator(stream.seed, "dropout", stream.step))
        self._stream, self._rows, self._call = stream, rows, 0

    def draws(self, shape: tuple[int, ...]) -> npt.NDArray[np.uint16]:
        """Those of the next call; `shape` is [rows, …]."""
        call, self._call = self._call, self._call + 1
        return self._stream.rows(call, self._rows, prod(shape[1:]))
