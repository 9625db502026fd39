"""The layers that every block has: root-mean-square norm, the gated feed-forward network, dropout."""

from collections.abc import Callable
from dataclasses import dataclass
from math import prod

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from nexus_tui.lm.config import JambaConfig
from nexus_tui.lm.rms_norm import rms_norm
from nexus_tui.lm.swiglu import swiglu


class RMSNorm(nn.Module):
    """Root-mean-square norm over the last dimension. Zhang and Sennrich, arXiv 1910.07467."""

    def __init__(self, channels: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """[..., channel] -> [..., channel]."""
        return rms_norm(x, self.weight, self.eps)


class FeedForward(nn.Module):
    """SwiGLU: down(silu(gate(x)) · up(x)). Shazeer, arXiv 2002.05202."""

    def __init__(self, config: JambaConfig) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.up_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.down_proj = nn.Linear(config.intermediate_size, config.hidden_size, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """[batch, length, hidden] -> [batch, length, hidden]."""
        return self.down_proj(swiglu(self.gate_proj(x), self.up_proj(x)))  # type: ignore[no-any-return]


Drop = Callable[[Tensor], Tensor]
"""Zeroes some numbers and scales the others, [row, ...] -> [row, ...]: each call other ones."""


@dataclass
class Dropout:
    """Zeroes numbers with probability `rate` and scales the others by 1 / (1 - rate): training only.

    Srivastava et al., JMLR 15, 2014. The draws come from `random` alone, 16 bits each.
    """

    rate: float
    random: np.random.Generator

    def __call__(self, x: Tensor) -> Tensor:
        """[...] -> [...]: each call draws anew."""
        kept = torch.from_numpy(self.draws(x.shape) >= round(self.rate * (1 << 16))).view(x.shape)
        return x * kept.to(x.device, x.dtype).div_(1 - self.rate)

    def draws(self, shape: tuple[int, ...]) -> npt.NDArray[np.uint16]:
        """As many numbers below 2^16 as a shape has places."""
        return self.random.integers(0, 1 << 16, prod(shape), dtype=np.uint16)
