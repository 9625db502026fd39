"""The compiled loops of the selective scan.

An item of work is a batch row and a group of `GROUP` blocks of `LANES` channels; items do not depend on one
another. Within an item time goes in chunks of `CHUNK` positions, whose working set stays in the first-level
cache, and within a chunk `ROWS` states stay in registers while time passes. The forward pass saves the
state at the start of every chunk; the backward pass recomputes the others from it, so that `[batch, length,
channel, state]` never exists.

An operand `[batch, length, channel]` (or state) is a tuple: flat array, stride of a batch row, of a position.
"""

# Types are for Numba to infer: mypy takes intrinsics for ordinary functions.
# mypy: ignore-errors

from __future__ import annotations

import math

import numpy as np

from nexus_tui.lm.selective_scan.compiled import kernel, part
from nexus_tui.lm.selective_scan.tiles import (
    LANES,
    ROWS,
    at_least,
    at_most,
    choose,
    dot,
    exp2,
    fma,
    load,
    load_column,
    load_rows,
    prefetch,
    spread,
    store,
    store_row_sums,
    take,
)

CHUNK = 16
GROUP = 8

LOG2E = math.log2(math.e)
LN2 = math.log(2.0)

# What is kept of a block at a position while its chunk is worked on: vectors side by side, under these names.
DT, X, Y, G, GX, GDT, SLOPE, GATE = range(0, 8 * LANES, LANES)
RECORD = 8 * LANES
# What is kept of ROWS states at a position.
DECAY, H, SUM_B, SUM_C = range(0, 4 * ROWS * LANES, ROWS * LANES)
TILE = 4 * ROWS * LANES


@part
def scratch(size):
    """An uninitialised array that starts on a cache line: vectors that straddle two cost twice."""
    buffer = np.empty(size + 16, np.float32)
    skip = (-buffer.ctypes.data % 64) // 4
    return buffer[skip : skip + size]


@part
def load_at(operand, b, t, c):
    """LANES channels from c of position t of batch row b."""
    return load(operand[0], b * operand[1] + t * operand[2] + c)


@part
def store_at(operand, b, t, c, tile):
    """The opposite of `load_at`."""
    store(operand[0], b * operand[1] + t * operand[2] + c, 0, tile)


@part
def _fetch_ahead(delta, u, z, gy, b, t, c):
    """Ask for what the next chunk needs while this one keeps the processor busy: 7 % of the backward pass."""
    prefetch(delta[0], b * delta[1] + t * delta[2] + c)
    prefetch(u[0], b * u[1] + t * u[2] + c)
    prefetch(z[0], b * z[1] + t * z[2] + c)
    prefetch(gy[0], b * gy[1] + t * gy[2] + c)


@part
def _clamped_exp2(x):
    return exp2(at_most(at_least(x, spread(-126.0)), spread(126.0)))


@part
def sigmoid(x):
    """1 / (1 + exp(-x))."""
    return spread(1.0) / (spread(1.0) + _clamped_exp2(x * spread(-LOG2E)))


@part
def _softplus(x):
    """The value and the slope of max(x, 0) + log1p(e), e = exp(-|x|).

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
    slope = choose(x, spread(1.0), e) / (spread(1.0) + e)
    return fma(s + s, series, positive), slope


@part
def _advance(records, base, h, a2, steps, B, C, b, t0, n):
    """ROWS states of a block through a chunk; their share of y goes to the records, which begin at base."""
    for t in range(steps):
        record = base + t * RECORD
        a = _clamped_exp2(load(records, record + DT) * a2)
        h = fma(
            a,
            h,
            load(records, record + X) * load_column(B[0], b * B[1] + (t0 + t) * B[2] + n),
        )
        c = load_column(C[0], b * C[1] + (t0 + t) * C[2] + n)
        store(records, record + Y, 0, dot(h, c, load(records, record + Y)))
    return h


@kernel
def forward(counter, items, shape, delta, u, z, A2, B, C, D, bias, start, y, boundary, final):
    """Scan items until none is left.

    shape is (length, channels, states); A2 is A log2(e) `[state, channel]`; D and bias `[channel]`; start
    and final `[batch, state, channel]`. boundary is a tuple: flat array `[batch, block, chunk, state,
    lane]`, stride of a block, stride of a chunk (0 where nothing is to be kept).
    """
    length, channels, states = shape
    blocks = channels // LANES
    groups = -(-blocks // GROUP)
    records = scratch(GROUP * CHUNK * RECORD)
    hs = scratch(GROUP * states * LANES)
    item = take(counter)
    while item < items:
        b, first = item // groups, item % groups * GROUP
        width = min(GROUP, blocks - first)
        for k in range(width):
            for n in range(0, states, ROWS):
                h = load_rows(start, (b * states + n) * channels + (first + k) * LANES, channels)
                store(hs, (k * states + n) * LANES, LANES, h)
        for t0 in range(0, length, CHUNK):
            steps = min(CHUNK, length - t0)
            for t in range(steps):
                for k in range(width):
                    at = (k * CHUNK + t) * RECORD
                    c = (first + k) * LANES
                    dt, _ = _softplus(load_at(delta, b, t0 + t, c) + load(bias, c))
                    x = load_at(u, b, t0 + t, c)
                    store(records, at + DT, 0, dt)
                    store(records, at + X, 0, dt * x)
                    store(records, at + Y, 0, x * load(D, c))
            for k in range(width):
                saved = (b * blocks + first + k) * boundary[1] + t0 // CHUNK * boundary[2]
                for n in range(0, states, ROWS):
                    at = (k * states + n) * LANES
                    h = load_rows(hs, at, LANES)
                    store(boundary[0], saved + n * LANES, LANES, h)
                    a2 = load_rows(A2, n * channels + (first + k) * LANES, channels)
                    h = _advance(records, k * CHUNK * RECORD, h, a2, steps, B, C, b, t0, n)
                    store(hs, at, LANES, h)
            for t in range(steps):
                for k in range(width):
                    c = (first + k) * LANES
                    gate = load_at(z, b, t0 + t, c)
                    out = load(records, (k * CHUNK + t) * RECORD + Y)
                    store_at(y, b, t0 + t, c, out * gate * sigmoid(gate))
        for k in range(width):
            for n in range(0, states, ROWS):
                h = load_rows(hs, (k * states + n) * LANES, LANES)
                store(
                    final,
                    (b * states + n) * channels + (first + k) * LANES,
                    channels,
                    h,
                )
        item = take(counter)


@part
def _sweep(records, base, tiles, h, a2, carry, gA, steps, B, C, b, t0, n):
    """Recompute ROWS states of a block over one chunk from h, then go back over them.

    Gradients with respect to B and C add to the tiles, the others to the records. Returns the gradient that
    flows into the chunk before, and gA.
    """
    store(tiles, H, LANES, h)
    for t in range(steps):
        record, tile = base + t * RECORD, t * TILE
        a = _clamped_exp2(load(records, record + DT) * a2)
        h = fma(
            a,
            h,
            load(records, record + X) * load_column(B[0], b * B[1] + (t0 + t) * B[2] + n),
        )
        c = load_column(C[0], b * C[1] + (t0 + t) * C[2] + n)
        store(tiles, tile + DECAY, LANES, a)
        store(tiles, tile + TILE + H, LANES, h)
        store(records, record + Y, 0, dot(h, c, load(records, record + Y)))
    for t in range(steps - 1, -1, -1):
        record, tile = base + t * RECORD, t * TILE
        g = load(records, record + G)
        gh = fma(g, load_column(C[0], b * C[1] + (t0 + t) * C[2] + n), carry)
        store(tiles, tile + SUM_C, LANES, fma(g, h, load_rows(tiles, tile + SUM_C, LANES)))
        sum_B = fma(gh, load(records, record + X), load_rows(tiles, tile + SUM_B, LANES))
        store(tiles, tile + SUM_B, LANES, sum_B)
        column = load_column(B[0], b * B[1] + (t0 + t) * B[2] + n)
        store(records, record + GX, 0, dot(gh, column, load(records, record + GX)))
        carry = gh * load_rows(tiles, tile + DECAY, LANES)
        h = load_rows(tiles, tile + H, LANES)
        gexponent = carry * h
        store(records, record + GDT, 0, dot(gexponent, a2, load(records, record + GDT)))
        gA = fma(gexponent, load(records, record + DT), gA)
    return carry, gA


@part
def _open_chunk(records, steps, width, b, t0, first, delta, u, z, gy, D, bias):
    """Fill the records of a group of blocks with all that does not depend on the state."""
    for t in range(steps):
        for k in range(width):
            at = (k * CHUNK + t) * RECORD
            c = (first + k) * LANES
            dt, slope = _softplus(load_at(delta, b, t0 + t, c) + load(bias, c))
            x = load_at(u, b, t0 + t, c)
            gate = load_at(z, b, t0 + t, c)
            g = load_at(gy, b, t0 + t, c)
            sig = sigmoid(gate)
            store(records, at + DT, 0, dt)
            store(records, at + X, 0, dt * x)
            store(records, at + Y, 0, x * load(D, c))
            store(records, at + G, 0, g * gate * sig)
            store(records, at + GX, 0, spread(0.0))
            store(records, at + GDT, 0, spread(0.0))
            store(records, at + SLOPE, 0, slope)
            store(
                records,
                at + GATE,
                0,
                g * sig * fma(gate, spread(1.0) - sig, spread(1.0)),
            )


@part
def _close_chunk(records, steps, width, b, t0, first, channels, u, D, gdelta, gu, gz, gD, gbias):
    """Turn the finished records into gradients of the inputs."""
    for t in range(steps):
        for k in range(width):
            at = (k * CHUNK + t) * RECORD
            c = (first + k) * LANES
            total = b * channels + c
            x = load_at(u, b, t0 + t, c)
            g = load(records, at + G)
            gx = load(records, at + GX)
            gv = fma(gx, x, load(records, at + GDT) * spread(LN2)) * load(records, at + SLOPE)
            store_at(gdelta, b, t0 + t, c, gv)
            store_at(gu, b, t0 + t, c, fma(gx, load(records, at + DT), load(D, c) * g))
            store_at(gz, b, t0 + t, c, load(records, at + GATE) * load(records, at + Y))
            store(gD, total, 0, fma(g, x, load(gD, total)))
            store(gbias, total, 0, load(gbias, total) + gv)


@kernel
def backward(
    counter,
    items,
    shape,
    delta,
    u,
    z,
    gy,
    A2,
    B,
    C,
    D,
    bias,
    boundary,
    gdelta,
    gu,
    gz,
    gA,
    gB,
    gC,
    gD,
    gbias,
):
    """Gradients of items until none is left.

    gA `[batch, state, channel]`, gD and gbias `[batch, channel]` (these three zero at first), gB and gC
    `[batch, group, length, state]` are partial sums for the caller to add up: their order does not depend on
    the number of threads.
    """
    length, channels, states = shape
    blocks = channels // LANES
    groups = -(-blocks // GROUP)
    records = scratch(GROUP * CHUNK * RECORD)
    tiles = scratch((CHUNK + 1) * TILE)
    carries = scratch(GROUP * states * LANES)
    zero = spread(0.0)
    item = take(counter)
    while item < items:
        b, group = item // groups, item % groups
        first = group * GROUP
        width = min(GROUP, blocks - first)
        carries[:] = 0
        for chunk in range((length - 1) // CHUNK, -1, -1):
            t0 = chunk * CHUNK
            steps = min(CHUNK, length - t0)
            _open_chunk(records, steps, width, b, t0, first, delta, u, z, gy, D, bias)
            for n in range(0, states, ROWS):
                for t in range(steps):
                    for r in range(ROWS):
                        store(tiles, t * TILE + SUM_B + r * LANES, 0, zero)
                        store(tiles, t * TILE + SUM_C + r * LANES, 0, zero)
                for k in range(width):
                    block = first + k
                    if t0 > 0:
                        for t in range(t0 - CHUNK + n // ROWS, t0, states // ROWS):
                            _fetch_ahead(delta, u, z, gy, b, t, block * LANES)
                    at = (k * states + n) * LANES
                    at_A = (b * states + n) * channels + block * LANES
                    saved = (b * blocks + block) * boundary[1] + chunk * boundary[2] + n * LANES
                    h = load_rows(boundary[0], saved, LANES)
                    a2 = load_rows(A2, n * channels + block * LANES, channels)
                    carry, sum_A = _sweep(
                        records, k * CHUNK * RECORD, tiles, h, a2,
                        load_rows(carries, at, LANES), load_rows(gA, at_A, channels), steps, B, C, b, t0, n
                    )  # fmt: skip
                    store(carries, at, LANES, carry)
                    store(gA, at_A, channels, sum_A)
                for t in range(steps):
                    at = ((b * groups + group) * length + t0 + t) * states + n
                    store_row_sums(gB, at, load_rows(tiles, t * TILE + SUM_B, LANES))
                    store_row_sums(gC, at, load_rows(tiles, t * TILE + SUM_C, LANES))
            _close_chunk(
                records, steps, width, b, t0, first, channels, u, D, gdelta, gu, gz, gD, gbias
            )  # fmt: skip
        item = take(counter)
