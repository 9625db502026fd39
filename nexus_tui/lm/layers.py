"""The layers that every block has: root-mean-square norm, the gated feed-forward network, dropout."""

from dataclasses import dataclass

import numpy as np
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


@dataclass(frozen=True)
class Dropout:
    """Zeroes numbers with probability `rate` and scales the others by 1 / (1 - rate): training only.

    Srivastava et al., JMLR 15, 2014. The draws come from `random` alone, 16 bits each.
    """

    rate: float
    random: np.random.Generator

    def __call__(self, x: Tensor) -> Tensor:
        """[...] -> [...]: each call draws anew."""
        draws = self.random.integers(0, 1 << 16, x.numel(), dtype=np.uint16)
        kept = torch.from_numpy(draws >= round(self.rate * (1 << 16))).view(x.shape)
        return x * kept.to(x.dtype).div_(1 - self.rate)
