"""What is remembered of texts, and how they are drawn: tensors that stay where they are, a slot a text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nexus_tui.lm.cache import AttentionState, Cache, MambaState
from nexus_tui.lm.captured.telling import figures
from nexus_tui.lm.config import JambaConfig

AHEAD = 256
"""Random numbers of each text that are there beforehand: one a token."""
TEMPERATURE, TOP_K, TOP_P, MIN_P, PENALTY, FIRST, NUMBERS = range(7)
"""Columns of `how`; FIRST is the position that the first of the random numbers, from NUMBERS on, is for."""


def rounded(count: int) -> int:
    """The next power of two: what there is room for, and what a program can hold."""
    return 1 << (count - 1).bit_length()


class Slots:
    """Room for `count` texts of `capacity` tokens each, where a weight is and as exact as it.

    A slot that is not active is stepped over: what a step computes for it is kept nowhere but behind its last
    token, where the next one goes.
    """

    def __init__(self, config: JambaConfig, weight: Tensor, count: int, capacity: int) -> None:
        device = weight.device
        self.count, self.capacity = count, capacity
        self.config, self._weight = config, weight
        self.cache = Cache(config, count, capacity, device, weight.dtype)
        for state in self.cache.layers:
            if isinstance(state, AttentionState):  # what is masked must still be a number
                state.keys.zero_()
                state.values.zero_()
        self.active = torch.zeros(count, dtype=torch.bool, device=device)
        self.newest = torch.zeros(count, dtype=torch.int64, device=device)
        """[count] the token of each text that is read next."""
        self.length = torch.zeros(count, dtype=torch.int64, device=device)
        """[count] tokens read of each text; below capacity."""
        self.seen = torch.zeros(count, config.vocab_size, dtype=torch.bool, device=device)
        """[count, vocab] the tokens that each text has."""
        self.how = torch.ones(count, NUMBERS + AHEAD, dtype=torch.float64, device=device)
        """[count, columns] settings and random numbers, as `drawing` takes them."""
        self.told = torch.zeros(count, figures(config.vocab_size), dtype=torch.float64, device=device)
        """[count, figures] what a step tells the host, as `telling` has it."""

    def put(self, slot: int, cache: Cache) -> None:
        """Remember in a slot what was read into a cache of one text."""
        for own, state in zip(self.cache.layers, cache.layers, strict=True):
            if isinstance(state, MambaState):
                mamba = cast("MambaState", own)
                mamba.conv[slot] = state.conv[0]
                mamba.ssm[slot] = state.ssm[0]
            else:
                attention = cast("AttentionState", own)
                for mine, its in ((attention.keys, state.keys), (attention.values, state.values)):
                    mine[slot].zero_()  # a text before it may have met numbers that are none
                    mine[slot, :, : state.length] = its[0, :, : state.length]
        self.length[slot] = cache.length

    def begin(self, slots: Sequence[int], newest: Sequence[int], seen: Sequence[NDArray[np.bool_]]) -> None:
        """Say with which token each of these slots goes on, and which tokens its text has."""
        device = self.newest.device
        index = torch.tensor(slots, device=device)
        self.newest[index] = torch.tensor(newest, device=device)
        self.seen[index] = torch.from_numpy(np.stack(seen)).to(device)

    def grown(self, count: int, capacity: int) -> Slots:
        """The same in slots more, or longer ones; these are to be used no more."""
        new = Slots(self.config, self._weight, count, capacity)
        for name in ("active", "newest", "length", "seen", "how"):
            getattr(new, name)[: self.count] = getattr(self, name)
        for own, state in zip(new.cache.layers, self.cache.layers, strict=True):
            if isinstance(state, MambaState):
                cast("MambaState", own).conv[: self.count] = state.conv
                cast("MambaState", own).ssm[: self.count] = state.ssm
            else:
                cast("AttentionState", own).keys[: self.count, :, : self.capacity] = state.keys
                cast("AttentionState", own).values[: self.count, :, : self.capacity] = state.values
        return new
