"""The step's parts that are kernels of our own on a GPU, with what they are launched with."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from nexus_tui.lm.cache import MambaState
from nexus_tui.lm.captured import kernels
from nexus_tui.lm.captured.slots import Slots, rounded
from nexus_tui.lm.drawing import ALTERNATIVES
from nexus_tui.lm.mamba import Mamba

WIDE = 32
"""Channels of one program: so few that even one text is on many processors. What a program changes in its
place must be in one thread each, so there are no more threads than numbers."""
MOST = 4096
"""Tokens that a program can draw from; larger vocabularies are drawn from by torch."""


def mix(mixer: Mamba, x: Tensor, memory: MambaState, active: Tensor) -> Tensor:
    """As `Mamba.step` up to `out_proj`, [slot, hidden] -> [slot, channel], for slots that are active."""
    uz: Tensor = mixer.in_proj(x)
    channels, state = mixer.A_log.shape
    rank = mixer.split[0]
    grid = (len(x), -(-channels // WIDE))
    u, y = uz.new_empty(2, len(x), channels).unbind()
    convolution = mixer.conv1d
    kernels.convolve[grid](
        uz, memory.conv, convolution.weight, convolution.bias, active, u, channels,
        TAPS=convolution.weight.shape[-1], WIDE=WIDE, num_warps=1,
    )  # fmt: skip
    selected = mixer.x_proj(u)
    kernels.select[grid[:1]](
        selected, mixer.dt_layernorm.weight, mixer.b_layernorm.weight, mixer.c_layernorm.weight,
        mixer.dt_layernorm.eps, rank, state, RANK=rounded(rank), STATE=rounded(state),
        num_warps=1,
    )  # fmt: skip
    delta = F.linear(selected[:, :rank], mixer.dt_proj.weight)
    kernels.recur[grid](
        u, delta, uz, selected, mixer.A_log, mixer.D, mixer.dt_proj.bias, memory.ssm, active, y,
        channels, rank, state, WIDE=WIDE, STATE=rounded(state), num_warps=4 if state >= 16 else 1,
    )  # fmt: skip
    return y


def draws(vocabulary: int) -> bool:
    """Whether `draw` can."""
    return vocabulary <= MOST


def draw(slots: Slots, logits: Tensor) -> None:
    """Draw from logits [slot, vocab], tell it, and go on; no text has its tokens put in order."""
    count, size = logits.shape
    wide = rounded(size)
    kernels.draw[(count,)](
        logits, slots.how, slots.length, slots.seen, slots.active, slots.newest, slots.told, size,
        WIDE=wide, LIKELIEST=min(ALTERNATIVES, size), num_warps=max(1, min(wide // 256, 8)),
    )  # fmt: skip
