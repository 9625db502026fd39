"""The root-mean-square norm compiled for the CPU: nothing kept but its input and a number a row."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from nexus_tui.lm import rms_norm_kernels as kernels
from nexus_tui.lm.selective_scan.cpu import flat
from nexus_tui.lm.selective_scan.pool import run
from nexus_tui.lm.selective_scan.tiles import LANES


def _operand(x: Tensor) -> tuple[Any, int]:
    """A tensor `[row, channel]` for a kernel; copied only if channels are not side by side."""
    x = x if x.stride(1) == 1 else x.contiguous()
    return flat(x), x.stride(0)


class _RMSNorm(torch.autograd.Function):
    """x is `[row, channel]`, channels a multiple of LANES, of which `count` count in the mean."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, count: int, eps: float) -> Tensor:
        rows, channels = x.shape
        weight = weight.contiguous()
        scale = x.new_empty(rows)
        y = x.new_empty(rows, channels)
        share = kernels.rows_of_an_item(channels)
        run(
            kernels.forward,
            -(-rows // share),
            (rows, channels, share),
            _operand(x),
            flat(weight),
            count,
            eps,
            *map(flat, (y, scale)),
        )
        ctx.save_for_backward(x, weight, scale)
        ctx.count = count
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gy: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, scale = ctx.saved_tensors
        rows, channels = x.shape
        share = kernels.rows_of_an_item(channels)
        items = -(-rows // share)
        gx = x.new_empty(rows, channels)
        gweight = x.new_empty(items, channels)
        run(
            kernels.backward,
            items,
            (rows, channels, share),
            *map(_operand, (x, gy)),
            *map(flat, (weight, scale)),
            ctx.count,
            *map(flat, (gx, gweight)),
        )
        return gx, gweight.sum(0), None, None


def rms_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """As `rms_norm.rms_norm`, for 32-bit floating point."""
    shape, channels = x.shape, x.shape[-1]
    rows = x.reshape(-1, channels)
    padding = -channels % LANES
    if padding:
        rows, weight = F.pad(rows, (0, padding)), F.pad(weight, (0, padding))
    y: Tensor = _RMSNorm.apply(rows, weight, channels, eps)  # type: ignore[no-untyped-call]
    return (y[:, :channels] if padding else y).view(shape)


def warm_up() -> None:
    """Compile forward and backward, or load them from the cache."""
    with torch.enable_grad():
        x = torch.zeros(1, LANES, requires_grad=True)
        torch.autograd.grad(rms_norm(x, torch.ones(LANES), 1e-6).sum(), x)
