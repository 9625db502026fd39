"""SwiGLU's gate compiled for the CPU: one pass forward, one backward, nothing kept but the two inputs."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from nexus_tui.lm import swiglu_kernels as kernels
from nexus_tui.lm.selective_scan.cpu import flat
from nexus_tui.lm.selective_scan.pool import run
from nexus_tui.lm.selective_scan.tiles import LANES

LEAST = LANES
"""The kernels take no fewer numbers than fill a vector."""


def _items(x: Tensor) -> int:
    return -(-x.numel() // kernels.ITEM)


class _SwiGLU(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, gate: Tensor, up: Tensor) -> Tensor:
        gate, up = gate.contiguous(), up.contiguous()
        y = torch.empty_like(gate)
        run(kernels.forward, _items(gate), gate.numel(), *map(flat, (gate, up, y)))
        ctx.save_for_backward(gate, up)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gy: Tensor) -> tuple[Tensor, Tensor]:
        gate, up = ctx.saved_tensors
        ggate, gup = torch.empty_like(gate), torch.empty_like(up)
        operands = (gate, up, gy.contiguous(), ggate, gup)
        run(kernels.backward, _items(gate), gate.numel(), *map(flat, operands))
        return ggate, gup


def swiglu(gate: Tensor, up: Tensor) -> Tensor:
    """As `swiglu.swiglu`, for at least LEAST numbers in 32-bit floating point."""
    return _SwiGLU.apply(gate, up)  # type: ignore[no-any-return, no-untyped-call]


def warm_up() -> None:
    """Compile forward and backward, or load them from the cache."""
    with torch.enable_grad():
        x = torch.zeros(LEAST, requires_grad=True)
        torch.autograd.grad(swiglu(x, x).sum(), x)
