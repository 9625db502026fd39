"""The compiled loops of the causal convolution.

An item of work is a batch row and a group of at most `GROUP` blocks of `WIDE` channels. Time goes in chunks
of `CHUNK` positions, whose inputs are first copied behind those before them: then every position has its taps
in a row. Taps are a multiple of ROWS; filters that have fewer begin with zeros. Operands are tuples as in
`selective_scan.kernels`.
"""

# Types are for Numba to infer: mypy takes intrinsics for ordinary functions.
# mypy: ignore-errors

from __future__ import annotations

from nexus_tui.lm.selective_scan.compiled import kernel, part
from nexus_tui.lm.selective_scan.kernels import fetch_at, load_at, scratch, sigmoid, store_at
from nexus_tui.lm.selective_scan.tiles import (
    ROWS,
    WIDE,
    dot,
    fma,
    load_wide,
    load_wide_rows,
    spread,
    store,
    take,
    widen,
)

GROUP = 512 // WIDE
CHUNK = 16


@part
def _gather(inputs, x, before, taps, steps, b, t0, c):
    """A block's inputs of a chunk, those of taps - 1 positions before it first."""
    for i in range(steps + taps - 1):
        t = t0 + i - (taps - 1)
        if t < 0:
            store(inputs, i * WIDE, 0, load_at(before, b, t + taps - 1, c))
        else:
            store(inputs, i * WIDE, 0, load_at(x, b, t, c))


@part
def _convolve(inputs, i, weight, start, taps, channels, c):
    """start + the sum over taps of a block's channels from c at position i of its chunk."""
    for j in range(0, taps, ROWS):
        filters = load_wide_rows(weight, j * channels + c, channels)
        start = dot(load_wide_rows(inputs, (i + j) * WIDE, WIDE), filters, start)
    return start


@kernel
def forward(counter, items, shape, x, before, weight, bias, y):
    """Items until none is left; shape is (length, channels, taps), weight `[tap, channel]`."""
    length, channels, taps = shape
    blocks = channels // WIDE
    groups = -(-blocks // GROUP)
    inputs = scratch((CHUNK + taps - 1) * WIDE)
    item = take(counter)
    while item < items:
        b, first = item // groups, item % groups * GROUP
        for t0 in range(0, length, CHUNK):
            steps = min(CHUNK, length - t0)
            for block in range(first, min(first + GROUP, blocks)):
                c = block * WIDE
                for t in range(t0 + CHUNK, min(t0 + 2 * CHUNK, length)):
                    fetch_at(x, b, t, c)
                _gather(inputs, x, before, taps, steps, b, t0, c)
                for i in range(steps):
                    s = _convolve(inputs, i, weight, load_wide(bias, c), taps, channels, c)
                    store_at(y, b, t0 + i, c, s * sigmoid(s))
        item = take(counter)


@part
def _slopes(inputs, slopes, weight, bias, gy, taps, channels, steps, b, t0, c):
    """Gradients of a chunk before the silu, to the slopes; returns their sum."""
    one, total = spread(1.0), widen(spread(0.0))
    for i in range(steps):
        s = _convolve(inputs, i, weight, load_wide(bias, c), taps, channels, c)
        sig = sigmoid(s)
        g = load_at(gy, b, t0 + i, c) * sig * fma(s, one - sig, one)
        store(slopes, i * WIDE, 0, g)
        total = total + g
    return total


@kernel
def backward(counter, items, shape, x, before, weight, mirrored, bias, gy, gx, gweight, gbias):
    """Gradients of items until none is left; mirrored is the weight, last tap first.

    gweight `[batch, tap, channel]` and gbias `[batch, channel]`, zero at first, are partial sums for the
    caller to add up.
    """
    length, channels, taps = shape
    blocks = channels // WIDE
    groups = -(-blocks // GROUP)
    inputs = scratch((CHUNK + taps - 1) * WIDE)
    slopes = scratch(GROUP * (CHUNK + taps - 1) * WIDE)
    size = (CHUNK + taps - 1) * WIDE
    item = take(counter)
    while item < items:
        b, first = item // groups, item % groups * GROUP
        slopes[:] = 0
        for t0 in range((length - 1) // CHUNK * CHUNK, -1, -CHUNK):
            steps = min(CHUNK, length - t0)
            for block in range(first, min(first + GROUP, blocks)):
                c = block * WIDE
                for t in range(max(0, t0 - CHUNK), t0):
                    fetch_at(x, b, t, c)
                    fetch_at(gy, b, t, c)
                _gather(inputs, x, before, taps, steps, b, t0, c)
                own = slopes[(block - first) * size : (block - first + 1) * size]
                # Behind a chunk's own: those of the first positions after it, which it reaches.
                for i in range(taps - 2, -1, -1):
                    store(own, (steps + i) * WIDE, 0, load_wide(own, i * WIDE))
                total = _slopes(inputs, own, weight, bias, gy, taps, channels, steps, b, t0, c)
                store(gbias, b * channels + c, 0, load_wide(gbias, b * channels + c) + total)
                for i in range(steps):
                    g = _convolve(own, i, mirrored, widen(spread(0.0)), taps, channels, c)
                    store_at(gx, b, t0 + i, c, g)
                for j in range(0, taps, ROWS):
                    at = (b * taps + j) * channels + c
                    sums = load_wide_rows(gweight, at, channels)
                    for i in range(steps):
                        rows = load_wide_rows(inputs, (i + j) * WIDE, WIDE)
                        sums = fma(load_wide(own, i * WIDE), rows, sums)
                    store(gweight, at, channels, sums)
        item = take(counter)
