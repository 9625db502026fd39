"""The causal convolution compiled for the CPU, forward and backward."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from nexus_tui.lm import causal_conv_kernels as kernels
from nexus_tui.lm.selective_scan.cpu import flat, operand
from nexus_tui.lm.selective_scan.pool import run
from nexus_tui.lm.selective_scan.tiles import ROWS, WIDE


def _items(x: Tensor) -> int:
    return x.shape[0] * -(-x.shape[2] // (WIDE * kernels.GROUP))


class _Convolution(torch.autograd.Function):
    """Channels are a multiple of WIDE, taps of ROWS; weight is `[kernel, channel]`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, before: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        y = x.new_empty(x.shape)
        shape = (x.shape[1], x.shape[2], weight.shape[0])
        weight, bias = weight.contiguous(), bias.contiguous()
        run(
            kernels.forward,
            _items(x),
            shape,
            operand(x),
            operand(before),
            flat(weight),
            flat(bias),
            operand(y),
        )
        ctx.save_for_backward(x, before, weight, bias)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gy: Tensor) -> tuple[Tensor | None, ...]:
        x, before, weight, bias = ctx.saved_tensors
        batch, length, channels = x.shape
        gx = x.new_empty(x.shape)
        gweight = x.new_zeros(batch, *weight.shape)
        gbias = x.new_zeros(batch, channels)
        run(
            kernels.backward,
            _items(x),
            (length, channels, weight.shape[0]),
            *map(operand, (x, before)),
            *map(flat, (weight, weight.flip(0), bias)),
            *map(operand, (gy, gx)),
            *map(flat, (gweight, gbias)),
        )
        return gx, None, gweight.sum(0), gbias.sum(0)


def causal_conv_silu(x: Tensor, weight: Tensor, bias: Tensor, before: Tensor) -> Tensor:
    """As `causal_conv.causal_conv_silu`, for 32-bit floating point; before `[batch, kernel - 1, channel]`."""
    channels = x.shape[2]
    weight = weight.t()
    padding, taps = -channels % WIDE, -weight.shape[0] % ROWS
    if padding:
        x, weight, bias, before = (F.pad(v, (0, padding)) for v in (x, weight, bias, before))
    if taps:
        weight, before = (F.pad(v, (0, 0, taps, 0)) for v in (weight, before))
    y: Tensor = _Convolution.apply(x, before, weight, bias)  # type: ignore[no-untyped-call]
    return y[..., :channels] if padding else y


def warm_up() -> None:
    """Compile forward and backward, or load them from the cache."""
    with torch.enable_grad():
        x = torch.zeros(1, 1, WIDE, requires_grad=True)
        y = causal_conv_silu(x, torch.zeros(WIDE, 2), torch.zeros(WIDE), torch.zeros(1, 1, WIDE))
        torch.autograd.grad(y.sum(), x)
