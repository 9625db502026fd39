"""The root-mean-square norm on a GPU, in Triton, computed in 32 bits: its input is read once each way."""

# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator"

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd.function import once_differentiable

PARTS = 264
"""Programs that sum a weight's gradient, each over every so manieth group of rows: two for each processor of
an H100."""
_NUMBERS = 1024
"""Of a group of rows: so many rows that they have about as many numbers."""


@triton.jit
def _forward(x, y, weight, scale, rows, channels, stride, eps, ROWS: tl.constexpr, WIDE: tl.constexpr):
    r, c = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS), tl.arange(0, WIDE)
    here = (r < rows)[:, None] & (c < channels)[None, :]
    value = tl.load(x + r[:, None] * stride + c[None, :], mask=here, other=0.0).to(tl.float32)
    w = tl.load(weight + c, mask=c < channels, other=0.0).to(tl.float32)
    s = tl.rsqrt(tl.sum(value * value, axis=1) / channels + eps)
    place = y + r[:, None] * channels + c[None, :]
    tl.store(place, (value * s[:, None] * w[None, :]).to(y.dtype.element_ty), mask=here)
    tl.store(scale + r, s, mask=r < rows)


@triton.jit
def _backward(
    x, gy, weight, scale, gx, gweight, rows, channels, stride, ROWS: tl.constexpr, WIDE: tl.constexpr
):  # fmt: skip
    c = tl.arange(0, WIDE)
    w = tl.load(weight + c, mask=c < channels, other=0.0).to(tl.float32)
    summed = tl.zeros((WIDE,), tl.float32)
    for group in range(tl.program_id(0), tl.cdiv(rows, ROWS), tl.num_programs(0)):
        r = (group * ROWS + tl.arange(0, ROWS)).to(tl.int64)
        here = (r < rows)[:, None] & (c < channels)[None, :]
        s = tl.load(scale + r, mask=r < rows, other=0.0)[:, None]
        normed = s * tl.load(x + r[:, None] * stride + c[None, :], mask=here, other=0.0).to(tl.float32)
        place = r[:, None] * channels + c[None, :]
        g = tl.load(gy + place, mask=here, other=0.0).to(tl.float32)
        summed += tl.sum(g * normed, axis=0)
        g *= w[None, :]
        along = tl.sum(g * normed, axis=1)[:, None] / channels
        tl.store(gx + place, (s * (g - normed * along)).to(gx.dtype.element_ty), mask=here)
    tl.store(gweight + tl.program_id(0) * channels + c, summed, mask=c < channels)


def _groups(x: Tensor) -> dict[str, int]:
    wide = triton.next_power_of_2(x.shape[1])
    return {"ROWS": max(1, _NUMBERS // wide), "WIDE": wide, "num_warps": 4}


class _RMSNorm(torch.autograd.Function):
    """x is `[row, channel]`, its channels side by side."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, eps: float, dtype: torch.dtype) -> Tensor:
        rows, channels = x.shape
        y = torch.empty(rows, channels, dtype=dtype, device=x.device)
        scale = torch.empty(rows, device=x.device)
        groups = _groups(x)
        grid = (triton.cdiv(rows, groups["ROWS"]),)
        _forward[grid](x, y, weight, scale, rows, channels, x.stride(0), eps, **groups)
        ctx.save_for_backward(x, weight, scale)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gy: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, scale = ctx.saved_tensors
        rows, channels = x.shape
        groups = _groups(x)
        parts = min(PARTS, triton.cdiv(rows, groups["ROWS"]))
        gx = torch.empty(rows, channels, dtype=x.dtype, device=x.device)
        gweight = torch.empty(parts, channels, device=x.device)
        _backward[(parts,)](
            x, gy.contiguous(), weight, scale, gx, gweight, rows, channels, x.stride(0), **groups
        )
        return gx, gweight.sum(0).to(weight.dtype), None, None


def rms_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """As `rms_norm.rms_norm`; under autocast the result has its type, as a product's operand has."""
    where = x.device.type
    dtype = torch.get_autocast_dtype(where) if torch.is_autocast_enabled(where) else x.dtype
    rows = x.reshape(-1, x.shape[-1])  # a view, if rows are as far apart as each other
    rows = rows if rows.stride(1) == 1 else rows.contiguous()
    return _RMSNorm.apply(rows, weight.contiguous(), eps, dtype).view(x.shape)  # type: ignore[no-any-return]
