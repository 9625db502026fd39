"""Weights times the vectors of several texts, norms, and the feed-forward network that is made of them."""

# Types are for Numba to infer: mypy takes intrinsics for ordinary functions.
# mypy: ignore-errors

from __future__ import annotations

import math

import numpy as np

from nexus_tui.lm.selective_scan.compiled import part
from nexus_tui.lm.selective_scan.tiles import LANES, ROWS, fma, load_rows, spread, store, store_row_sums
from nexus_tui.lm.step.vectors import PANEL, apart, silu

BLOCK = 4 if LANES == 16 else 2
"""Texts whose sums have room in the registers while a panel passes."""
# Whether a product is added to what is there. Not plain booleans: for each, all would be compiled again.
SET, ADD = np.bool_(False), np.bool_(True)


@part
def _panel_for_four(weights, at, inputs, x, x_at, x_step):
    w = load_rows(weights, at, LANES)
    a, b = w * spread(x[x_at]), w * spread(x[x_at + x_step])
    c, d = w * spread(x[x_at + 2 * x_step]), w * spread(x[x_at + 3 * x_step])
    for j in range(1, inputs):
        w = load_rows(weights, at + j * PANEL, LANES)
        a = fma(w, spread(x[x_at + j]), a)
        b = fma(w, spread(x[x_at + x_step + j]), b)
        c = fma(w, spread(x[x_at + 2 * x_step + j]), c)
        d = fma(w, spread(x[x_at + 3 * x_step + j]), d)
    return a, b, c, d


@part
def _panel_for_two(weights, at, inputs, x, x_at, x_step):
    w = load_rows(weights, at, LANES)
    a, b = w * spread(x[x_at]), w * spread(x[x_at + x_step])
    for j in range(1, inputs):
        w = load_rows(weights, at + j * PANEL, LANES)
        a = fma(w, spread(x[x_at + j]), a)
        b = fma(w, spread(x[x_at + x_step + j]), b)
    return a, b


@part
def _panel(weights, at, inputs, x, x_at):
    a = load_rows(weights, at, LANES) * spread(x[x_at])
    for j in range(1, inputs):
        a = fma(load_rows(weights, at + j * PANEL, LANES), spread(x[x_at + j]), a)
    return a


@part
def _put(y, at, tile, add):
    if add:
        tile = load_rows(y, at, LANES) + tile
    store(y, at, LANES, tile)


@part
def times(texts, weights, at, inputs, outputs, x, x_step, y, y_step, add):
    """y [text, output] = weight · x [text, input], or that added to it; where the weight ends."""
    apart()
    for first in range(0, outputs, PANEL):
        text = 0
        while BLOCK == 4 and text + 4 <= texts:
            a, b, c, d = _panel_for_four(weights, at, inputs, x, text * x_step, x_step)
            _put(y, text * y_step + first, a, add)
            _put(y, (text + 1) * y_step + first, b, add)
            _put(y, (text + 2) * y_step + first, c, add)
            _put(y, (text + 3) * y_step + first, d, add)
            text += 4
        while text + 2 <= texts:
            a, b = _panel_for_two(weights, at, inputs, x, text * x_step, x_step)
            _put(y, text * y_step + first, a, add)
            _put(y, (text + 1) * y_step + first, b, add)
            text += 2
        if text < texts:
            _put(y, text * y_step + first, _panel(weights, at, inputs, x, text * x_step), add)
        at += inputs * PANEL
    return at


@part
def norm(texts, size, weights, at, x, y):
    """y = rms_norm(x), both [text, hidden]; where its weights end."""
    apart()
    step = size.hidden_padded
    sums = np.empty(ROWS, np.float32)
    for text in range(texts):
        start = text * step
        v = load_rows(x, start, LANES)
        squares = v * v
        for i in range(PANEL, step, PANEL):
            v = load_rows(x, start + i, LANES)
            squares = fma(v, v, squares)
        store_row_sums(sums, 0, squares)
        total = np.float32(0)
        for row in range(ROWS):
            total += sums[row]
        scale = spread(1 / math.sqrt(total / size.hidden + size.eps))
        for i in range(0, step, PANEL):
            v = load_rows(x, start + i, LANES) * scale * load_rows(weights, at + i, LANES)
            store(y, start + i, LANES, v)
    return at + step


@part
def norm_part(x, at, count, weights, weights_at, eps, y, y_at):
    """The same of a few numbers from anywhere."""
    apart()
    square = np.float32(0)
    for i in range(count):
        square += x[at + i] * x[at + i]
    scale = np.float32(1 / math.sqrt(square / count + eps))
    for i in range(count):
        y[y_at + i] = x[at + i] * scale * weights[weights_at + i]


@part
def feed_forward(texts, size, weights, at, x, normed, wide):
    """x += feed_forward(norm(x))."""
    hidden, feed = size.hidden_padded, size.feed_padded
    at = norm(texts, size, weights, at, x, normed)
    step = size.wide
    at = times(texts, weights, at, size.hidden, 2 * feed, normed, hidden, wide, step, SET)
    for text in range(texts):
        for i in range(text * step, text * step + feed, PANEL):
            gated = silu(load_rows(wide, i, LANES)) * load_rows(wide, i + feed, LANES)
            store(wide, i, LANES, gated)
    return times(texts, weights, at, size.feed, hidden, wide, step, x, hidden, ADD)
