"""The compiled loops of SwiGLU's gate. An item of work is `ITEM` numbers of flat arrays."""

# Types are for Numba to infer: mypy takes intrinsics for ordinary functions.
# mypy: ignore-errors

from __future__ import annotations

from nexus_tui.lm.selective_scan.compiled import kernel
from nexus_tui.lm.selective_scan.kernels import sigmoid
from nexus_tui.lm.selective_scan.tiles import LANES, fma, load, spread, store, take

ITEM = 1 << 14


@kernel
def forward(counter, items, size, gate, up, y):
    """y = silu(gate) up over `size` numbers, LANES at least; items until none is left."""
    item = take(counter)
    while item < items:
        for i in range(item * ITEM, min((item + 1) * ITEM, size), LANES):
            at = min(i, size - LANES)  # the last vector may do again what the one before it did
            x = load(gate, at)
            store(y, at, 0, x * sigmoid(x) * load(up, at))
        item = take(counter)


@kernel
def backward(counter, items, size, gate, up, gy, ggate, gup):
    """Gradients with respect to gate and up; items until none is left."""
    one = spread(1.0)
    item = take(counter)
    while item < items:
        for i in range(item * ITEM, min((item + 1) * ITEM, size), LANES):
            at = min(i, size - LANES)
            x, g = load(gate, at), load(gy, at)
            sig = sigmoid(x)
            g_sig = g * sig
            store(gup, at, 0, g_sig * x)
            store(ggate, at, 0, g_sig * load(up, at) * fma(x, one - sig, one))
        item = take(counter)
