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

from nexus_tui.lm.selective_scan import kernels


def _flat(x: Tensor) -> Any:
    """The memory from the first number of a tensor to its last, as a contiguous array."""
    extent = 1 + sum((size - 1) * stride for size, stride in zip(x.shape, x.stride(), strict=True))
    return x.detach().as_strided((extent,), (1,)).numpy()


def _strided(x: Tensor) -> tuple[Any, int, int]:
    x = x if x.stride(2) == 1 else x.contiguous()
    return _flat(x), x.stride(0), x.stride(1)


class _Scan(torch.autograd.Function):
    """Channels are a multiple of LANES and states of ROWS."""

    @staticmethod
    def forward(ctx: Any, *operands: Tensor) -> tuple[Tensor, Tensor]:
        u, delta, A, B, C, D, z, bias, start = operands
        batch, length, channels = u.shape
        states = A.shape[1]
        blocks = channels // kernels.LANES
        A2 = (A.t() * math.log2(math.e)).contiguous()
        y = u.new_empty(batch, length, channels)
        chunks = -(-length // kernels.CHUNK)
        boundary = u.new_empty(batch * blocks * chunks * states * kernels.LANES)
        final = torch.empty_like(start)
        arrays = (
            *_strided(delta),
            *_strided(u),
            *_strided(z),
            *(_flat(x.contiguous()) for x in (A2, B, C, D, bias, start, y, boundary, final)),
        )
        run_slices(
            lambda i, j: kernels.forward(i, j, length, channels, states, *arrays),
            batch * -(-blocks // kernels.GROUP),
        )
        ctx.save_for_backward(u, delta, A2, B, C, D, z, bias, boundary)
        ctx.mark_non_differentiable(final)
        return y, final

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        u, delta, A2, B, C, D, z, bias, boundary = ctx.saved_tensors
        batch, length, channels = u.shape
        states = A2.shape[0]
        groups = -(-channels // kernels.LANES // kernels.GROUP)
        groups = -(-(channels // kernels.LANES) // kernels.GROUP)
        gdelta, gu, gz = (u.new_empty(batch, length, channels) for _ in range(3))
        gA = u.new_empty(batch, states, channels)
        gB, gC = (u.new_empty(batch, groups, length, states) for _ in range(2))
        gD, gbias = (u.new_empty(batch, channels) for _ in range(2))
        arrays = (
            *_strided(delta),
            *_strided(u),
            *_strided(z),
            *_strided(grads[0]),
            *(_flat(x.contiguous()) for x in (A2, B, C, D, bias, boundary)),
            *(_flat(x) for x in (gdelta, gu, gz, gA, gB, gC, gD, gbias)),
        )
        run_slices(lambda i, j: kernels.backward(i, j, length, channels, states, *arrays), batch * groups)
        return gu, gdelta, gA.sum(0).t(), gB.sum(1), gC.sum(1), gD.sum(0), gz, gbias.sum(0), None


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
    start = (
        u.new_zeros(batch, states, channels)
        if initial_state is None
        else initial_state.transpose(1, 2).detach()
    )
    c = -channels % kernels.LANES
    n = -states % kernels.ROWS
    if c or n:
        u, delta, z, D, delta_bias = (F.pad(x, (0, c)) for x in (u, delta, z, D, delta_bias))
        A = F.pad(A, (0, n, 0, c))
        B, C = F.pad(B, (0, n)), F.pad(C, (0, n))
        start = F.pad(start, (0, c, 0, n))
    y, final = _Scan.apply(u, delta, A, B, C, D, z, delta_bias, start.contiguous())
    return y[..., :channels], final[:, :states, :channels].transpose(1, 2)


def warm_up() -> None:
    """Compile forward and backward, or load them from the cache."""
    ones = [torch.ones(1, 1, 16, requires_grad=True) for _ in range(2)]
    matrix = torch.ones(1, 1, 1)
    y, _ = selective_scan(
        *ones, -matrix.expand(1, 16, 1)[0], matrix, matrix, ones[0][0, 0], ones[0], ones[0][0, 0]
    )
    y.sum().backward()
