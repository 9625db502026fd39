"""The compiled loops of the causal convolution.

An item of work is a batch row and a group of `GROUP` blocks of `WIDE` channels. Operands are tuples as in
`selective_scan.kernels`.
"""

# Types are for Numba to infer: mypy takes intrinsics for ordinary functions.
# mypy: ignore-errors

from __future__ import annotations

from nexus_tui.lm.selective_scan.compiled import kernel, part
from nexus_tui.lm.selective_scan.kernels import load_at, sigmoid, store_at
from nexus_tui.lm.selective_scan.tiles import WIDE, fma, load_wide, spread, store, take, widen

GROUP = 512 // WIDE


@part
def _convolve(x, before, weight, bias, taps, channels, b, t, c):
    total = load_wide(bias, c)
    early = max(0, taps - 1 - t)  # so many taps reach back before the first position
    for j in range(early):
        total = fma(load_at(before, b, t + j, c), load_wide(weight, j * channels + c), total)
    for j in range(early, taps):
        total = fma(load_at(x, b, t - taps + 1 + j, c), load_wide(weight, j * channels + c), total)
    return total


@kernel
def forward(counter, items, shape, x, before, weight, bias, y):
    """Items until none is left; shape is (length, channels, taps), weight `[tap, channel]`."""
    length, channels, taps = shape
    blocks = channels // WIDE
    groups = -(-blocks // GROUP)
    item = take(counter)
    while item < items:
        b, first = item // groups, item % groups * GROUP
        for t in range(length):
            for block in range(first, min(first + GROUP, blocks)):
                s = _convolve(x, before, weight, bias, taps, channels, b, t, block * WIDE)
                store_at(y, b, t, block * WIDE, s * sigmoid(s))
        item = take(counter)


@kernel
def backward(counter, items, shape, x, before, weight, bias, gy, gx, gweight, gbias):
    """Gradients of items until none is left.

    gweight `[batch, tap, channel]` and gbias `[batch, channel]`, zero at first, are partial sums for the
    caller to add up.
    """
    length, channels, taps = shape
    blocks = channels // WIDE
    groups = -(-blocks // GROUP)
    one = spread(1.0)
    item = take(counter)
    while item < items:
        b, first = item // groups, item % groups * GROUP
        for t in range(length):
            for block in range(first, min(first + GROUP, blocks)):
                c = block * WIDE
                s = _convolve(x, before, weight, bias, taps, channels, b, t, c)
                sig = sigmoid(s)
                g = load_at(gy, b, t, c) * sig * fma(s, one - sig, one)
                at = b * channels + c
                store(gbias, at, 0, load_wide(gbias, at) + g)
                early = max(0, taps - 1 - t)
                at = b * taps * channels + c
                for j in range(early):
                    total = fma(g, load_at(before, b, t + j, c), load_wide(gweight, at + j * channels))
                    store(gweight, at + j * channels, 0, total)
                # What comes later has not reached gx[t] yet: it starts here, and the rows before it gain.
                store_at(gx, b, t, c, widen(spread(0.0)))
                for j in range(early, taps):
                    source = t - taps + 1 + j
                    total = fma(g, load_at(x, b, source, c), load_wide(gweight, at + j * channels))
                    store(gweight, at + j * channels, 0, total)
                    share = fma(g, load_wide(weight, j * channels + c), load_at(gx, b, source, c))
                    store_at(gx, b, source, c, share)
        item = take(counter)
