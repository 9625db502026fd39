"""What a step tells of each text, on its way from the device to the host."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import overload

import numpy as np
import torch
from torch import Tensor

from nexus_tui.lm.drawing import ALTERNATIVES, Alternative, Token, no_number
from nexus_tui.lm.text import Drawn

HEAD = 4
"""The first figures: id, rank, entropy and logprob."""


def figures(vocabulary: int) -> int:
    """How many figures are told of each text: those of HEAD, then the likeliest ids, then their logprobs."""
    return HEAD + 2 * min(ALTERNATIVES, vocabulary)


class Alternatives(Sequence[Alternative]):
    """The likeliest tokens, best first, made when somebody looks: nobody looks at most of them."""

    __slots__ = ("_told",)

    def __init__(self, told: bytes) -> None:
        self._told = told

    def __len__(self) -> int:
        return len(self._told) // 16

    @overload
    def __getitem__(self, index: int) -> Alternative: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Alternative, ...]: ...
    def __getitem__(self, index: int | slice) -> Alternative | tuple[Alternative, ...]:
        return tuple(self)[index]

    def __iter__(self) -> Iterator[Alternative]:
        numbers = struct.unpack(f"={len(self._told) // 8}d", self._told)
        return map(Alternative, map(int, numbers[: len(self)]), numbers[len(self) :])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return repr(tuple(self))


class Flight:
    """The figures [slot, figures] of one step, which are copied to the host while it does something else."""

    def __init__(self, told: Tensor) -> None:
        self._landed: torch.cuda.Event | None = None
        self._width = 8 * told.shape[1]
        self._heads: list[tuple[list[int], list[float]]] = []
        self._raw = b""
        if not told.is_cuda:
            self._told = told.clone()
            return
        self._told = torch.empty(told.shape, dtype=told.dtype, pin_memory=True)
        self._told.copy_(told, non_blocking=True)
        self._landed = torch.cuda.Event()  # type: ignore[no-untyped-call]
        self._landed.record()

    def take(self, slot: int, position: int) -> Drawn:
        """What was drawn for a slot, at a position of its text; waits until it is told."""
        if not self._raw:
            self._land()
        (id, rank), (entropy, logprob) = self._heads[slot]
        if not rank:
            return no_number(position)
        start = slot * self._width
        told = self._raw[start + 8 * HEAD : start + self._width]
        return Token(id, logprob, rank, entropy, Alternatives(told))

    def _land(self) -> None:
        if self._landed:
            self._landed.synchronize()
        told = self._told.numpy()
        heads = told[:, :2].astype(np.int64).tolist(), told[:, 2:HEAD].tolist()
        self._raw, self._heads = told.tobytes(), list(zip(*heads, strict=True))
