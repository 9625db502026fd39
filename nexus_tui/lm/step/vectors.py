"""What the parts of the step are made of."""

# Types are for Numba to infer: mypy takes intrinsics for ordinary functions.
# mypy: ignore-errors
# Numba prescribes the arguments of an intrinsic and of its builder, needed or not.
# ruff: noqa: ARG001

from __future__ import annotations

import math
from typing import NamedTuple

from nexus_tui.jit import numba as nb
from nexus_tui.jit import types
from nexus_tui.lm.selective_scan.compiled import intrinsic, part
from nexus_tui.lm.selective_scan.kernels import scratch
from nexus_tui.lm.selective_scan.tiles import LANES, ROWS, at_least, at_most, exp2, fma, spread

PANEL = ROWS * LANES
"""Outputs of a product that are computed side by side."""
LOG2E = math.log2(math.e)


class Sizes(NamedTuple):
    """What the step must know of a model. Padded sizes are whole panels, `states` whole rows."""

    hidden: int
    hidden_padded: int
    feed: int
    feed_padded: int
    channels: int
    channels_padded: int
    states: int
    states_padded: int
    rank: int
    selected_padded: int
    taps: int
    heads: int
    kv_heads: int
    head_dim: int
    head_padded: int
    vocabulary_padded: int
    wide: int
    """The most that is computed of a layer at once."""
    recurrent: int
    """Numbers that all Mamba layers remember of a text."""
    eps: float


def padded(size: int, whole: int = PANEL) -> int:
    """The next multiple of `whole`."""
    return -(-size // whole) * whole


@part
def whole(size):
    """As `padded`, in compiled code."""
    return (size + PANEL - 1) // PANEL * PANEL


@part
def zeros(size):
    """As `scratch`, of zeros."""
    array = scratch(size)
    array[:] = 0
    return array


@intrinsic
def _pointer(typing, address):
    """An address as a pointer to float32."""

    def build(context, builder, signature, args):
        return builder.inttoptr(args[0], context.get_value_type(signature.return_type))

    return types.CPointer(types.float32)(types.intp), build


@intrinsic
def apart(typing):
    """Keeps LLVM from copying the function that says this into its callers, and compiling it again there."""

    def build(context, builder, signature, args):
        builder.function.attributes.add("noinline")
        return context.get_dummy_value()

    return types.void(), build


@part
def memory_at(address):
    """What a text remembers. Indices are not checked, so how long it is said to be does not matter."""
    return nb.carray(_pointer(address), (1,))


@part
def bounded_exp2(x):
    """2^x, for x below -126 or above 126 that of the bound; a NaN stays."""
    return exp2(at_most(at_least(x, spread(-126.0)), spread(126.0)))


@part
def silu(x):
    """x / (1 + exp(-x))."""
    return x / (spread(1.0) + bounded_exp2(x * spread(-LOG2E)))


@part
def softplus(x):
    """max(x, 0) + log1p(e), e = exp(-|x|) = 2^-|x log2(e)|.

    log1p(e) = 2 atanh(s), s = e / (2 + e) <= 1/3, by the series of atanh; the first term left out is 1e-8
    of it.
    """
    positive = at_least(x, spread(0.0))
    e = exp2(at_least((x - positive - positive) * spread(LOG2E), spread(-126.0)))
    s = e / (spread(2.0) + e)
    q = s * s
    series = fma(q, spread(1 / 13), spread(1 / 11))
    series = fma(q, series, spread(1 / 9))
    series = fma(q, series, spread(1 / 7))
    series = fma(q, series, spread(1 / 5))
    series = fma(q, series, spread(1 / 3))
    series = fma(q, series, spread(1.0))
    return fma(s + s, series, positive)
