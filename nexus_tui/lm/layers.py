"""The layers that every block has: root-mean-square norm, the gated feed-forward network, dropout."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nexus_tui.lm.config import JambaConfig


class _RMSNorm(torch.autograd.Function):
    """y = x / sqrt(mean(x²) + eps) · weight, with its derivative written out.

    Torch composes its CPU norm of primitives and keeps every intermediate for the backward pass; here only
    the input and one number a row are kept.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, eps: float) -> Tensor:
        scale = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
        scale.square_().div_(x.shape[-1]).add_(eps).rsqrt_()
        ctx.save_for_backward(x, weight, scale)
        return torch.mul(x, scale).mul_(weight)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        (grad,) = grads
        x, weight, scale = ctx.saved_tensors
        unit = x * scale
        direct = grad * unit
        grad_weight = direct.flatten(0, -2).sum(0) if ctx.needs_input_grad[1] else None
        # dx = scale · (weight · grad - unit · mean(weight · grad · unit))
        mean = (direct @ weight).unsqueeze(-1).div_(x.shape[-1])
        grad_x = torch.mul(grad, weight, out=direct).addcmul_(unit, mean, value=-1).mul_(scale)
        return grad_x, grad_weight, None


class RMSNorm(nn.Module):
    """Root-mean-square norm over the last dimension. Zhang and Sennrich, arXiv 1910.07467."""

    def __init__(self, channels: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """[..., channel] -> [..., channel]."""
        if torch.is_grad_enabled():
            return _RMSNorm.apply(x, self.weight, self.eps)  # type: ignore[no-any-return, no-untyped-call]
        return F.rms_norm(x, self.weight.shape, self.weight, self.eps)


class FeedForward(nn.Module):
    """SwiGLU: down(silu(gate(x)) · up(x)). Shazeer, arXiv 2002.05202."""

    def __init__(self, config: JambaConfig) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.up_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.down_proj = nn.Linear(config.intermediate_size, config.hidden_size, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """[batch, length, hidden] -> [batch, length, hidden]."""
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))  # type: ignore[no-any-return]


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
