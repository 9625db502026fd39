"""SwiGLU's gate on a GPU, in Triton, computed in 32 bits: operands are read once each way."""

# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator"

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd.function import once_differentiable

_BLOCK = 1024


@triton.jit
def _forward(gate, up, y, count, BLOCK: tl.constexpr):
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    here = at < count
    g = tl.load(gate + at, mask=here, other=0.0).to(tl.float32)
    u = tl.load(up + at, mask=here, other=0.0).to(tl.float32)
    tl.store(y + at, (g * tl.sigmoid(g) * u).to(y.dtype.element_ty), mask=here)


@triton.jit
def _backward(gate, up, gy, ggate, gup, count, BLOCK: tl.constexpr):
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    here = at < count
    g = tl.load(gate + at, mask=here, other=0.0).to(tl.float32)
    u = tl.load(up + at, mask=here, other=0.0).to(tl.float32)
    dy = tl.load(gy + at, mask=here, other=0.0).to(tl.float32)
    s = tl.sigmoid(g)
    tl.store(ggate + at, (dy * u * s * (1 + g * (1 - s))).to(ggate.dtype.element_ty), mask=here)
    tl.store(gup + at, (dy * g * s).to(gup.dtype.element_ty), mask=here)


class _SwiGLU(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, gate: Tensor, up: Tensor) -> Tensor:
        y = torch.empty_like(gate)
        _forward[(triton.cdiv(y.numel(), _BLOCK),)](gate, up, y, y.numel(), BLOCK=_BLOCK)
        ctx.save_for_backward(gate, up)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gy: Tensor) -> tuple[Tensor, Tensor]:
        gate, up = ctx.saved_tensors
        ggate, gup = torch.empty_like(gate), torch.empty_like(up)
        grid = (triton.cdiv(gate.numel(), _BLOCK),)
        _backward[grid](gate, up, gy.contiguous(), ggate, gup, gate.numel(), BLOCK=_BLOCK)
        return ggate, gup


def swiglu(gate: Tensor, up: Tensor) -> Tensor:
    """As `swiglu.swiglu`."""
    return _SwiGLU.apply(gate.contiguous(), up.contiguous())  # type: ignore[no-any-return]
