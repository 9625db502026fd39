"""The selective scan on a GPU, forward and backward."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from nexus_tui.lm.selective_scan import triton_kernels as kernels

TILE, WIDE, WARPS = 8, 32, 1
"""Positions and channels of a tile, and the warps that hold it: a lane has one channel of it."""
FULL = 2048
"""Programs that fill a GPU. Rows are cut into chunks until there are so many; results depend on the cut, so
it follows from the shapes alone and not from the device."""
LEAST = 16
"""Tiles of a chunk: a shorter one costs more to chain than it gains."""


def _operand(x: Tensor) -> Tensor:
    """[batch, length, channel] with its channels side by side; copied only if they are not."""
    return x if x.stride(2) == 1 else x.contiguous()


def _strides(*operands: Tensor) -> list[int]:
    return [stride for x in operands for stride in x.stride()[:2]]


class _Cut:
    """How the work on [batch, length, channel] is divided, and the kernels' last arguments."""

    def __init__(self, u: Tensor, states: int) -> None:
        batch, length, channels = u.shape
        self.tiles, blocks = -(-length // TILE), -(-channels // WIDE)
        self.programs = batch * blocks
        wanted = max(1, min(-(-FULL // self.programs), self.tiles // LEAST))
        self.each = -(-self.tiles // wanted)
        self.chunks = -(-self.tiles // self.each)
        self.sizes = (length, channels, states, self.each)
        self.options = {"TILE": TILE, "WIDE": WIDE, "num_warps": WARPS}
        self.grid = (self.programs, self.chunks)

    def combine(self, kept: Tensor, elapsed: Tensor, A2: Tensor, reverse: bool) -> None:
        """Chain what the chunks hand on, from the first to the last or from the last to the first."""
        _, channels, states, each = self.sizes
        kernels.combine[(self.programs, states)](
            kept, elapsed, A2, self.tiles, self.chunks, channels, states, each,
            REVERSE=reverse, WIDE=WIDE, num_warps=WARPS,
        )  # fmt: skip


class _Scan(torch.autograd.Function):
    """`start` is `[batch, state, channel]`, in 32 bits."""

    @staticmethod
    def forward(ctx: Any, *operands: Tensor) -> tuple[Tensor, Tensor]:
        u, delta, A, B, C, D, z, bias, start = operands
        u, delta, B, C, z = (_operand(x) for x in (u, delta, B, C, z))
        A2 = (
            (A.float().t() * kernels.LOG2E.value).clamp(min=-1e18).contiguous()
        )  # as good as -inf, finite × 0
        D, bias = D.float().contiguous(), bias.float().contiguous()
        batch, _, channels = u.shape
        cut = _Cut(u, A.shape[1])
        y = torch.empty_like(u, memory_format=torch.contiguous_format)
        boundary = torch.empty(batch, cut.tiles + 1, *start.shape[1:], device=u.device)
        boundary[:, 0] = start
        if cut.chunks > 1:
            elapsed = torch.empty(batch, cut.chunks, channels, device=u.device)
            kernels.summary[cut.grid](
                u, delta, A2, B, bias, boundary, elapsed,
                *cut.sizes, *_strides(delta, u, B), **cut.options,
            )  # fmt: skip
            cut.combine(boundary, elapsed, A2, reverse=False)
        kernels.forward[cut.grid](
            u, delta, z, y, A2, B, C, D, bias, boundary,
            *cut.sizes, *_strides(delta, u, z, y, B, C), **cut.options,
        )  # fmt: skip
        ctx.save_for_backward(u, delta, A2, B, C, D, z, bias, boundary)
        final = boundary[:, -1].clone()
        ctx.mark_non_differentiable(final)
        return y, final

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gy: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        u, delta, A2, B, C, D, z, bias, boundary = ctx.saved_tensors
        gy = _operand(gy)
        batch, length, channels = u.shape
        states = A2.shape[0]
        cut = _Cut(u, states)
        gboundary = torch.empty_like(boundary)
        gboundary[:, -1] = 0
        if cut.chunks > 1:
            elapsed = torch.empty(batch, cut.chunks, channels, device=u.device)
            kernels.backward_summary[cut.grid](
                delta, z, gy, A2, C, bias, gboundary, elapsed,
                *cut.sizes, *_strides(delta, z, gy, C), **cut.options,
            )  # fmt: skip
            cut.combine(gboundary, elapsed, A2, reverse=True)
        gu, gdelta, gz = (torch.empty(u.shape, dtype=x.dtype, device=u.device) for x in (u, delta, z))
        gA = torch.empty(batch * cut.chunks, states, channels, device=u.device)
        gB, gC = torch.empty(2, batch, cut.programs // batch, states, length, device=u.device)
        gD, gbias = torch.empty(2, batch * cut.chunks, channels, device=u.device)
        kernels.backward[cut.grid](
            u, delta, z, gy, A2, B, C, D, bias, boundary, gboundary,
            gu, gdelta, gz, gA, gB, gC, gD, gbias,
            *cut.sizes, *_strides(delta, u, z, gy, gu, B, C), **cut.options,
        )  # fmt: skip
        gB, gC = (g.sum(1).transpose(1, 2).to(x.dtype) for g, x in ((gB, B), (gC, C)))
        return gu, gdelta, gA.sum(0).t(), gB, gC, gD.sum(0), gz, gbias.sum(0), None


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
    """As `reference.selective_scan`, for operands of 32 or 16 bits, computed in 32; the state has 32."""
    batch, _, channels = u.shape
    if initial_state is None:
        start = torch.zeros(batch, A.shape[1], channels, device=u.device)
    else:
        start = initial_state.detach().float().transpose(1, 2)
    y, final = _Scan.apply(u, delta, A, B, C, D, z, delta_bias, start)  # type: ignore[no-untyped-call]
    return y, final.transpose(1, 2)
