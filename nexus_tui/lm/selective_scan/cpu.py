"""The selective scan compiled for the CPU, forward and backward."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from nexus_tui.lm.selective_scan import kernels
from nexus_tui.lm.selective_scan.pool import run
from nexus_tui.lm.selective_scan.tiles import ROWS, WIDE


def flat(x: Tensor) -> Any:
    """The memory from the first number of a tensor to its last, as a contiguous array."""
    if x.numel() == 0:
        return x.detach().numpy().reshape(0)
    extent = 1 + sum((size - 1) * stride for size, stride in zip(x.shape, x.stride(), strict=True))
    return x.detach().as_strided((extent,), (1,)).numpy()


def operand(x: Tensor) -> tuple[Any, int, int]:
    """A tensor `[batch, length, channel]` for a kernel; copied only if channels are not side by side."""
    x = x if x.stride(2) == 1 else x.contiguous()
    return flat(x), x.stride(0), x.stride(1)


def _boundary(x: Tensor, chunks: int, states: int) -> tuple[Any, int, int]:
    """The states at the start of every chunk; one over another where `x` has room for one only."""
    size = states * WIDE
    kept = x.numel() // x.shape[0] // size
    return flat(x), kept * size, size if kept == chunks else 0


def _groups(batch: int, channels: int) -> tuple[int, int]:
    """How many groups of blocks a batch row has, and how many blocks a group at most.

    The wider a group, the longer the stretches of memory that are read at once: 5 % of forward and backward.
    But there has to be work for many threads. How many there are is not asked: results depend on the groups.
    """
    blocks = channels // WIDE
    wide, narrow = 512 // WIDE, 128 // WIDE
    most = wide if batch * -(-blocks // wide) >= 16 else narrow
    return -(-blocks // most), most


class _Scan(torch.autograd.Function):
    """Channels are a multiple of WIDE, states of ROWS; `start` is `[batch, state, channel]`."""

    @staticmethod
    def forward(ctx: Any, training: bool, *operands: Tensor) -> tuple[Tensor, Tensor]:
        u, delta, A, B, C, D, z, bias, start = operands
        batch, length, channels = u.shape
        states = A.shape[1]
        groups, most = _groups(batch, channels)
        blocks = channels // WIDE
        chunks = -(-length // kernels.CHUNK)
        A2 = (A.t() * kernels.LOG2E).clamp(min=-1e18).contiguous()  # as good as -inf, and within exp2's reach
        D, bias = D.contiguous(), bias.contiguous()
        y = u.new_empty(batch, length, channels)
        final = torch.empty_like(start)
        boundary = u.new_empty(batch * blocks, chunks if training else 1, states, WIDE)
        run(
            kernels.forward,
            batch * groups,
            (length, channels, states, most),
            *map(operand, (delta, u, z)),
            flat(A2),
            *map(operand, (B, C)),
            *map(flat, (D, bias, start)),
            operand(y),
            _boundary(boundary, chunks, states),
            flat(final),
        )
        ctx.save_for_backward(u, delta, A2, B, C, D, z, bias, boundary)
        ctx.mark_non_differentiable(final)
        return y, final

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gy: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        u, delta, A2, B, C, D, z, bias, boundary = ctx.saved_tensors
        batch, length, channels = u.shape
        states = A2.shape[0]
        groups, most = _groups(batch, channels)
        gdelta, gu, gz = (u.new_empty(batch, length, channels) for _ in range(3))
        gB, gC = (u.new_empty(batch, groups, length, states) for _ in range(2))
        gA = u.new_zeros(batch, states, channels)
        gD, gbias = u.new_zeros(2, batch, channels)
        run(
            kernels.backward,
            batch * groups,
            (length, channels, states, most),
            *map(operand, (delta, u, z, gy)),
            flat(A2),
            *map(operand, (B, C)),
            *map(flat, (D, bias)),
            _boundary(boundary, -(-length // kernels.CHUNK), states),
            *map(operand, (gdelta, gu, gz)),
            *map(flat, (gA, gB, gC, gD, gbias)),
        )
        return (
            None,
            gu,
            gdelta,
            gA.sum(0).t(),
            gB.sum(1),
            gC.sum(1),
            gD.sum(0),
            gz,
            gbias.sum(0),
            None,
        )


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
    if initial_state is None:
        start = u.new_zeros(batch, states, channels)
    else:
        start = initial_state.detach().transpose(1, 2).contiguous()
    c, n = -channels % WIDE, -states % ROWS
    if c or n:
        u, delta, D, z, delta_bias = (F.pad(x, (0, c)) for x in (u, delta, D, z, delta_bias))
        A, B, C = F.pad(A, (0, n, 0, c)), F.pad(B, (0, n)), F.pad(C, (0, n))
        start = F.pad(start, (0, c, 0, n))
    operands = (u, delta, A, B, C, D, z, delta_bias, start)
    training = torch.is_grad_enabled() and any(x.requires_grad for x in operands)
    y, final = _Scan.apply(training, *operands)  # type: ignore[no-untyped-call]
    if c or n:
        y, final = y[..., :channels], final[:, :states, :channels]
    return y, final.transpose(1, 2)


def warm_up() -> None:
    """Compile forward and backward, or load them from the cache."""
    with torch.enable_grad():
        x = torch.zeros(1, 1, WIDE, requires_grad=True)
        matrix = torch.zeros(WIDE, ROWS)
        vector = torch.zeros(WIDE)
        y, _ = selective_scan(x, x, matrix, matrix[None, :1], matrix[None, :1], vector, x, vector)
        torch.autograd.grad(y.sum(), x)
