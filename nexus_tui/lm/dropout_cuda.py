"""Dropout on a GPU, by numbers that are counted and not kept: Philox (Salmon et al., 2011), in Triton."""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd.function import once_differentiable

_BLOCK = 1024


# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator"
@triton.jit
def _dropped(x, y, place, seed, call, rate, each, count, BLOCK: tl.constexpr):
    """Numbers of a row are counted within it, so that a row loses the same whoever holds it."""
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    here = at < count
    step, row = tl.load(place).to(tl.uint32), (tl.load(place + 1) + at // each).to(tl.uint32)
    nothing = tl.zeros((BLOCK,), tl.uint32)
    random, _, _, _ = tl.philox(seed, (at % each).to(tl.uint32), row, nothing + step, nothing + call)
    kept = tl.uint_to_uniform_float(random) >= rate
    value = tl.load(x + at, mask=here, other=0.0).to(tl.float32)
    tl.store(y + at, tl.where(kept, value / (1 - rate), 0.0).to(y.dtype.element_ty), mask=here)


class _Drop(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, place: Tensor, seed: int, call: int, rate: float) -> Tensor:
        ctx.place, ctx.rest = place, (seed, call, rate)
        return _drop(x.contiguous(), place, seed, call, rate)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        return _drop(gradient.contiguous(), ctx.place, *ctx.rest), None, None, None, None


def _drop(x: Tensor, place: Tensor, seed: int, call: int, rate: float) -> Tensor:
    y = torch.empty_like(x)
    grid = (triton.cdiv(x.numel(), _BLOCK),)
    _dropped[grid](x, y, place, seed, call, rate, x[0].numel(), x.numel(), BLOCK=_BLOCK)
    return y


class DeviceDropout:
    """Zeroes numbers with probability `rate` and scales the others by 1 / (1 - rate): training only.

    As `layers.Dropout`, but what it draws depends on nothing besides the seed, the step, the row of the
    batch, the place in it and which call of a forward pass it is.

    Args:
        rate: how many are left out, of 1.
        seed: of the run.
        place: the step and the first row, int64 [2], where x is: read anew at each call.
    """

    def __init__(self, rate: float, seed: int, place: Tensor) -> None:
        self.rate, self._seed, self._place, self._calls = rate, seed, place, 0

    def __call__(self, x: Tensor) -> Tensor:
        """[row, ...] -> [row, ...]."""
        self._calls += 1
        return _Drop.apply(x, self._place, self._seed, self._calls, self.rate)  # type: ignore[no-any-return]
