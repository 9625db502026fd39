"""The compiled loops of the root-mean-square norm.

An item of work is some rows. An operand `[row, channel]` is a tuple: flat array, stride of a row.
"""

# Types are for Numba to infer: mypy takes intrinsics for ordinary functions.
# mypy: ignore-errors

from __future__ import annotations

import math

import numpy as np

from nexus_tui.lm.selective_scan.compiled import kernel
from nexus_tui.lm.selective_scan.tiles import LANES, fma, load, spread, store, store_row_sums, take


def rows_of_an_item(channels: int) -> int:
    """How many rows of so many channels an item has: some 65,000 numbers, whatever the number of threads."""
    return max(1, (1 << 16) // channels)


@kernel
def forward(counter, items, shape, x, weight, count, eps, y, scale):
    """Items until none is left; shape is (rows, channels, rows of an item).

    scale `[row]` becomes 1 / sqrt(Σ x² / count + eps), y `[row, channel]` x · scale · weight.
    """
    rows, channels, share = shape
    item = take(counter)
    while item < items:
        for row in range(item * share, min((item + 1) * share, rows)):
            squares = spread(0.0)
            for c in range(0, channels, LANES):
                value = load(x[0], row * x[1] + c)
                squares = fma(value, value, squares)
            store_row_sums(scale, row, squares)
            scale[row] = 1 / math.sqrt(scale[row] / count + eps)
            factor = spread(scale[row])
            for c in range(0, channels, LANES):
                store(y, row * channels + c, 0, load(x[0], row * x[1] + c) * factor * load(weight, c))
        item = take(counter)


@kernel
def backward(counter, items, shape, x, gy, weight, scale, count, gx, gweight):
    """Gradients of items until none is left.

    gx = scale (weight gy - unit mean(weight gy unit)), where unit = x scale; gweight `[item, channel]` are
    partial sums for the caller to add up.
    """
    rows, channels, share = shape
    total = np.empty(1, np.float32)
    item = take(counter)
    while item < items:
        gweight[item * channels : (item + 1) * channels] = 0
        for row in range(item * share, min((item + 1) * share, rows)):
            products = spread(0.0)
            for c in range(0, channels, LANES):
                g = load(gy[0], row * gy[1] + c) * load(weight, c)
                products = fma(g, load(x[0], row * x[1] + c), products)
            store_row_sums(total, 0, products)
            factor = spread(scale[row])
            mean = spread(total[0] * scale[row] / count)
            for c in range(0, channels, LANES):
                g = load(gy[0], row * gy[1] + c)
                unit = load(x[0], row * x[1] + c) * factor
                at = item * channels + c
                store(gweight, at, 0, fma(g, unit, load(gweight, at)))
                store(gx, row * channels + c, 0, (g * load(weight, c) - unit * mean) * factor)
        item = take(counter)
