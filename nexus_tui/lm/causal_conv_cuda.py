"""The causal convolution on a GPU, in Triton, computed in 32 bits. What comes out of it before its silu is
computed anew for the gradients: the taps are few, and their inputs near."""

# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator"

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd.function import once_differentiable

from nexus_tui.lm.rms_norm_cuda import PARTS

TILE, WIDE = 8, 64
"""Positions and channels that a program has at once."""


@triton.jit
def _input(x, before, row, t, c, channels, length, row_stride, stride, inside, TAPS: tl.constexpr):
    """Inputs at some positions, those before the first among them: [TILE, WIDE]."""
    now, early = (t >= 0) & (t < length), (t < 0) & (t > -TAPS)
    place = x + row * row_stride + t[:, None] * stride + c[None, :]
    value = tl.load(place, mask=now[:, None] & inside[None, :], other=0.0).to(tl.float32)
    place = before + (row * (TAPS - 1) + t[:, None] + TAPS - 1) * channels + c[None, :]
    return value + tl.load(place, mask=early[:, None] & inside[None, :], other=0.0).to(tl.float32)


@triton.jit
def _filtered(
    x, before, weight, bias, row, t, c, channels, length, row_stride, stride, inside, TAPS: tl.constexpr
):  # fmt: skip
    """What silu is taken of: [TILE, WIDE]."""
    total = tl.load(bias + c, mask=inside, other=0.0).to(tl.float32)[None, :]
    for tap in tl.static_range(TAPS):
        w = tl.load(weight + c * TAPS + tap, mask=inside, other=0.0).to(tl.float32)
        at = t - (TAPS - 1) + tap
        total += w[None, :] * _input(
            x, before, row, at, c, channels, length, row_stride, stride, inside, TAPS
        )
    return total


@triton.jit
def _forward(
    x, before, weight, bias, y, channels, length, row_stride, stride,
    TAPS: tl.constexpr, TILE: tl.constexpr, WIDE: tl.constexpr,
):  # fmt: skip
    tiles = tl.cdiv(length, TILE)
    row, c = (tl.program_id(0) // tiles).to(tl.int64), tl.program_id(1) * WIDE + tl.arange(0, WIDE)
    t, inside = tl.program_id(0) % tiles * TILE + tl.arange(0, TILE), c < channels
    total = _filtered(x, before, weight, bias, row, t, c, channels, length, row_stride, stride, inside, TAPS)
    place = y + (row * length + t[:, None]) * channels + c[None, :]
    here = (t < length)[:, None] & inside[None, :]
    tl.store(place, (total * tl.sigmoid(total)).to(y.dtype.element_ty), mask=here)


@triton.jit
def _slope(
    x, before, weight, bias, gy, row, t, c, channels, length, row_stride, stride, inside, TAPS: tl.constexpr
):  # fmt: skip
    """The gradient of what silu is taken of, zero where there is nothing: [TILE, WIDE]."""
    total = _filtered(x, before, weight, bias, row, t, c, channels, length, row_stride, stride, inside, TAPS)
    here = (t < length)[:, None] & inside[None, :]
    g = tl.load(gy + (row * length + t[:, None]) * channels + c[None, :], mask=here, other=0.0).to(tl.float32)
    s = tl.sigmoid(total)
    return g * s * (1 + total * (1 - s))


@triton.jit
def _backward(
    x, before, weight, bias, gy, gx, gweight, gbias, items, channels, length, row_stride, stride,
    TAPS: tl.constexpr, TILE: tl.constexpr, WIDE: tl.constexpr,
):  # fmt: skip
    """A program has every so manieth tile: sums of so many that there are few to add."""
    tiles, part = tl.cdiv(length, TILE), tl.program_id(0)
    c = tl.program_id(1) * WIDE + tl.arange(0, WIDE)
    inside = c < channels
    tl.store(gbias + part * channels + c, tl.zeros((WIDE,), tl.float32), mask=inside)
    for tap in tl.static_range(TAPS):
        tl.store(gweight + (part * channels + c) * TAPS + tap, tl.zeros((WIDE,), tl.float32), mask=inside)
    for item in range(part, items, tl.num_programs(0)):
        row, t = tl.cast(item // tiles, tl.int64), item % tiles * TILE + tl.arange(0, TILE)
        g = _slope(x, before, weight, bias, gy, row, t, c, channels, length, row_stride, stride, inside, TAPS)
        place = gbias + part * channels + c
        tl.store(place, tl.load(place, mask=inside, other=0.0) + tl.sum(g, axis=0), mask=inside)
        summed = tl.zeros((TILE, WIDE), tl.float32)
        for tap in tl.static_range(TAPS):
            at = t - (TAPS - 1) + tap
            value = _input(x, before, row, at, c, channels, length, row_stride, stride, inside, TAPS)
            place = gweight + (part * channels + c) * TAPS + tap
            tl.store(place, tl.load(place, mask=inside, other=0.0) + tl.sum(g * value, axis=0), mask=inside)
            later = t + TAPS - 1 - tap  # the position to which this one came through the tap
            w = tl.load(weight + c * TAPS + tap, mask=inside, other=0.0).to(tl.float32)
            summed += w[None, :] * _slope(
                x, before, weight, bias, gy, row, later, c, channels, length, row_stride, stride, inside, TAPS
            )
        place = gx + (row * length + t[:, None]) * channels + c[None, :]
        tl.store(place, summed.to(gx.dtype.element_ty), mask=(t < length)[:, None] & inside[None, :])


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, before: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        batch, length, channels = x.shape
        y = torch.empty(x.shape, dtype=x.dtype, device=x.device)
        grid = (batch * triton.cdiv(length, TILE), triton.cdiv(channels, WIDE))
        _forward[grid](
            x, before, weight, bias, y, channels, length, x.stride(0), x.stride(1),
            TAPS=weight.shape[1], TILE=TILE, WIDE=WIDE, num_warps=2,
        )  # fmt: skip
        ctx.save_for_backward(x, before, weight, bias)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gy: Tensor) -> tuple[Tensor | None, ...]:
        x, before, weight, bias = ctx.saved_tensors
        batch, length, channels = x.shape
        items, blocks = batch * triton.cdiv(length, TILE), triton.cdiv(channels, WIDE)
        parts = min(items, PARTS)
        gx = torch.empty(x.shape, dtype=x.dtype, device=x.device)
        gweight = torch.empty(parts, *weight.shape, device=x.device)
        gbias = torch.empty(parts, channels, device=x.device)
        _backward[(parts, blocks)](
            x, before, weight, bias, gy.contiguous(), gx, gweight, gbias, items, channels, length,
            x.stride(0), x.stride(1), TAPS=weight.shape[1], TILE=TILE, WIDE=WIDE, num_warps=2,
        )  # fmt: skip
        return gx, None, gweight.sum(0).to(weight.dtype), gbias.sum(0).to(bias.dtype)


def causal_conv_silu(x: Tensor, weight: Tensor, bias: Tensor, before: Tensor) -> Tensor:
    """As `causal_conv.causal_conv_silu`, with the inputs before the first."""
    x = x if x.stride(2) == 1 else x.contiguous()
    operands = (x, before.contiguous(), weight.contiguous(), bias.contiguous())
    return _Convolution.apply(*operands)  # type: ignore[no-any-return]
