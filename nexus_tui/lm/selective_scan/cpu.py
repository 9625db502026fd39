"""The selective scan compiled for the CPU, forward and backward."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import platformdirs
import torch
import torch.nn.functional as F
from torch import Tensor

from nexus_tui.lm.selective_scan.pool import run_slices

os.environ.setdefault("NUMBA_CACHE_DIR", str(Path(platformdirs.user_cache_dir("nexus-tui")) / "numba"))

from nexus_tui.lm.selective_scan import kernels  # noqa: E402


class _Scan(torch.autograd.Function):
    """h_t = exp2(dt_t A2) h_{t-1} + x_t B_t; y_t = h_t · C_t."""

    @staticmethod
    def forward(ctx: Any, *operands: Tensor) -> tuple[Tensor, Tensor]:
        dt, x, A2, B, C, start = operands
        batch, length, channels = dt.shape
        y = torch.empty_like(dt)
        chunks = -(-length // kernels.TIME_BLOCK)
        boundary = dt.new_empty(batch, chunks, A2.shape[0], channels)
        final = torch.empty_like(start)
        arrays = [a.numpy() for a in (dt, x, A2, B, C, start, y, boundary, final)]
        run_slices(lambda i, j: kernels.forward(i, j, *arrays), batch * channels // kernels.LANES)
        ctx.save_for_backward(dt, x, A2, B, C, boundary)
        ctx.mark_non_differentiable(final)
        return y, final

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        dt, x, A2, B, C, boundary = ctx.saved_tensors
        batch, length, channels = dt.shape
        blocks = channels // kernels.LANES
        gdt, gx = torch.empty_like(dt), torch.empty_like(dt)
        gA = dt.new_empty(batch, *A2.shape)
        gB = dt.new_empty(batch, blocks, length, A2.shape[0])
        gC = torch.empty_like(gB)
        operands = (dt, x, A2, B, C, boundary, grads[0].contiguous(), gdt, gx, gA, gB, gC)
        arrays = [a.numpy() for a in operands]
        run_slices(lambda i, j: kernels.backward(i, j, *arrays), batch * blocks)
        return gdt, gx, gA.sum(0) * math.log(2), gB.sum(1), gC.sum(1), None


def selective_scan(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor,
    z: Tensor,
    delta_bias: Tensor,
    initial_state: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """As `reference.selective_scan`, for 32-bit floating point."""
    batch, _, channels = u.shape
    states = A.shape[1]
    dt = F.softplus(delta + delta_bias)
    A2 = A.t() * math.log2(math.e)
    padding = (0, -channels % kernels.LANES)
    start = u.new_zeros(batch, states, channels) if initial_state is None else initial_state.transpose(1, 2)
    padded = [F.pad(x, padding).contiguous() for x in (dt, dt * u, A2)]
    y, final = _Scan.apply(
        *padded, B.contiguous(), C.contiguous(), F.pad(start.detach(), padding).contiguous()
    )
    y = y[..., :channels] + D * u
    return y * F.silu(z), final[..., :channels].transpose(1, 2).contiguous()


def warm_up() -> None:
    """Compile forward and backward, or load them from the cache."""
    ones = [torch.ones(1, 1, 16, requires_grad=True) for _ in range(2)]
    matrix = torch.ones(1, 1, 1)
    y, _ = selective_scan(
        *ones, -matrix.expand(1, 16, 1)[0], matrix, matrix, ones[0][0, 0], ones[0], ones[0][0, 0]
    )
    y.sum().backward()
