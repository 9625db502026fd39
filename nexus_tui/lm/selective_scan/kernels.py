"""The compiled loops of the selective scan.

An item of work is a batch row and a group of blocks of `WIDE` channels; items do not depend on one another.
Within an item time goes in chunks of `CHUNK` positions, whose working set stays in the caches of a core, and
within a chunk `ROWS` states stay in registers while time passes. The forward pass saves the state at the
start of every chunk; the backward pass recomputes the others from it, so that `[batch, length, channel,
state]` never exists.

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
    LINE,
    ROWS,
    WIDE,
    add_products,
    at_least,
    choose,
    dot,
    exp2_product,
    fma,
    load_column,
    load_rows,
    load_wide,
    load_wide_rows,
    prefetch,
    spread,
    store,
    store_row_sums,
    take,
    widen,
)

CHUNK = 32

LOG2E = math.log2(math.e)
LN2 = math.log(2.0)

# What is kept of a block at a position while its chunk is worked on: vectors side by side, under these names.
DT, X, Y, G, GX, GDT, SLOPE, GATE = range(0, 8 * WIDE, WIDE)
RECORD = 8 * WIDE
# What is kept of ROWS states at a position: of a block, and of all the blocks of a group together.
DECAY, DECAYED = range(0, 2 * ROWS * WIDE, ROWS * WIDE)
TILE = 2 * ROWS * WIDE
SUM_B, SUM_C = range(0, 2 * ROWS * LANES, ROWS * LANES)
SUMS = 2 * ROWS * LANES


@part
def scratch(size):
    """An uninitialised array that starts on a cache line: vectors that straddle two cost twice."""
    buffer = np.empty(size + 16, np.float32)
    skip = (-buffer.ctypes.data % 64) // 4
    return buffer[skip : skip + size]


@part
def load_at(operand, b, t, c):
    """WIDE channels from c of position t of batch row b."""
    return load_wide(operand[0], b * operand[1] + t * operand[2] + c)


@part
def store_at(operand, b, t, c, tile):
    """The opposite of `load_at`."""
    store(operand[0], b * operand[1] + t * operand[2] + c, 0, tile)


@part
def _fetch(array, start):
    """Ask for WIDE numbers from array[start]."""
    for i in range(start, start + WIDE, LINE):
        prefetch(array, i)


@part
def fetch_at(operand, b, t, c):
    """Ask for WIDE channels from c of position t of batch row b, to be read or written soon.

    A chunk's rows lie far apart in memory, and the processor does not foresee them. Asked for while another
    chunk keeps it busy, they are there in time: 15 % of the forward pass, 10 % of the backward pass.
    """
    _fetch(operand[0], b * operand[1] + t * operand[2] + c)


@part
def sigmoid(x):
    """1 / (1 + exp(-x))."""
    return spread(1.0) / (spread(1.0) + exp2_product(x, spread(-LOG2E)))


@part
def _softplus(x):
    """The value and the slope of max(x, 0) + log1p(e), e = exp(-|x|).

    log1p(e) = 2 atanh(s), s = e / (2 + e) <= 1/3, by the series of atanh; the first term left out is 1e-8
    of it.
    """
    positive = at_least(x, spread(0.0))
    e = exp2_product(x - positive - positive, spread(LOG2E))
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
        a = exp2_product(load_wide(records, record + DT), a2)
        h = fma(
            a,
            h,
            load_wide(records, record + X) * load_column(B[0], b * B[1] + (t0 + t) * B[2] + n),
        )
        c = load_column(C[0], b * C[1] + (t0 + t) * C[2] + n)
        store(records, record + Y, 0, dot(h, c, load_wide(records, record + Y)))
    return h


@kernel
def forward(counter, items, shape, delta, u, z, A2, B, C, D, bias, start, y, boundary, final):
    """Scan items until none is left.

    shape is (length, channels, states, blocks in a group at most); A2 is A log2(e) `[state, channel]`; D and
    bias `[channel]`; start and final `[batch, state, channel]`. boundary is a tuple: flat array `[batch,
    block, chunk, state, lane]`, stride of a block, stride of a chunk (0 where nothing is to be kept).
    """
    length, channels, states, most = shape
    blocks = channels // WIDE
    groups = -(-blocks // most)
    records = scratch(most * CHUNK * RECORD)
    hs = scratch(most * states * WIDE)
    item = take(counter)
    while item < items:
        b, first = item // groups, item % groups * most
        width = min(most, blocks - first)
        for k in range(width):
            for n in range(0, states, ROWS):
                h = load_wide_rows(start, (b * states + n) * channels + (first + k) * WIDE, channels)
                store(hs, (k * states + n) * WIDE, WIDE, h)
        for t0 in range(0, length, CHUNK):
            steps = min(CHUNK, length - t0)
            for t in range(steps):
                for k in range(width):
                    at = (k * CHUNK + t) * RECORD
                    c = (first + k) * WIDE
                    dt, _ = _softplus(load_at(delta, b, t0 + t, c) + load_wide(bias, c))
                    x = load_at(u, b, t0 + t, c)
                    store(records, at + DT, 0, dt)
                    store(records, at + X, 0, dt * x)
                    store(records, at + Y, 0, x * load_wide(D, c))
            for k in range(width):
                saved = (b * blocks + first + k) * boundary[1] + t0 // CHUNK * boundary[2]
                for n in range(0, states, ROWS):
                    for t in range(t0 + n // ROWS, t0 + steps, states // ROWS):
                        fetch_at(y, b, t, (first + k) * WIDE)
                    for t in range(t0 + CHUNK + n // ROWS, min(t0 + 2 * CHUNK, length), states // ROWS):
                        fetch_at(delta, b, t, (first + k) * WIDE)
                        fetch_at(u, b, t, (first + k) * WIDE)
                        fetch_at(z, b, t, (first + k) * WIDE)
                    at = (k * states + n) * WIDE
                    h = load_wide_rows(hs, at, WIDE)
                    store(boundary[0], saved + n * WIDE, WIDE, h)
                    a2 = load_wide_rows(A2, n * channels + (first + k) * WIDE, channels)
                    h = _advance(records, k * CHUNK * RECORD, h, a2, steps, B, C, b, t0, n)
                    store(hs, at, WIDE, h)
            for t in range(steps):
                for k in range(width):
                    c = (first + k) * WIDE
                    gate = load_at(z, b, t0 + t, c)
                    out = load_wide(records, (k * CHUNK + t) * RECORD + Y)
                    store_at(y, b, t0 + t, c, out * gate * sigmoid(gate))
        for k in range(width):
            for n in range(0, states, ROWS):
                h = load_wide_rows(hs, (k * states + n) * WIDE, WIDE)
                store(
                    final,
                    (b * states + n) * channels + (first + k) * WIDE,
                    channels,
                    h,
                )
        item = take(counter)


@part
def _sweep(records, base, tiles, sums, h, a2, carry, gA, steps, B, C, b, t0, n):
    """Recompute ROWS states of a block over one chunk from h, then go back over them.

    Gradients with respect to B and C add to the sums, the others to the records. Returns the gradient that
    flows into the chunk before, and gA.
    """
    for t in range(steps):
        record, tile = base + t * RECORD, t * TILE
        a = exp2_product(load_wide(records, record + DT), a2)
        decayed = a * h
        h = fma(
            load_wide(records, record + X), load_column(B[0], b * B[1] + (t0 + t) * B[2] + n), decayed
        )  # fmt: skip
        store(tiles, tile + DECAY, WIDE, a)
        store(tiles, tile + DECAYED, WIDE, decayed)
        c = load_column(C[0], b * C[1] + (t0 + t) * C[2] + n)
        store(records, record + Y, 0, dot(h, c, load_wide(records, record + Y)))
        add_products(sums, t * SUMS + SUM_C, h, load_wide(records, record + G))
    for t in range(steps - 1, -1, -1):
        record, tile = base + t * RECORD, t * TILE
        c = load_column(C[0], b * C[1] + (t0 + t) * C[2] + n)
        gh = fma(load_wide(records, record + G), c, carry)
        add_products(sums, t * SUMS + SUM_B, gh, load_wide(records, record + X))
        column = load_column(B[0], b * B[1] + (t0 + t) * B[2] + n)
        store(records, record + GX, 0, dot(gh, column, load_wide(records, record + GX)))
        gexponent = gh * load_wide_rows(tiles, tile + DECAYED, WIDE)
        carry = gh * load_wide_rows(tiles, tile + DECAY, WIDE)
        store(records, record + GDT, 0, dot(gexponent, a2, load_wide(records, record + GDT)))
        gA = fma(gexponent, load_wide(records, record + DT), gA)
    return carry, gA


@part
def _open_chunk(records, steps, width, b, t0, first, delta, u, z, gy, D, bias):
    """Fill the records of a group of blocks with all that does not depend on the state."""
    for t in range(steps):
        for k in range(width):
            at = (k * CHUNK + t) * RECORD
            c = (first + k) * WIDE
            dt, slope = _softplus(load_at(delta, b, t0 + t, c) + load_wide(bias, c))
            x = load_at(u, b, t0 + t, c)
            gate = load_at(z, b, t0 + t, c)
            g = load_at(gy, b, t0 + t, c)
            sig = sigmoid(gate)
            store(records, at + DT, 0, dt)
            store(records, at + X, 0, dt * x)
            store(records, at + Y, 0, x * load_wide(D, c))
            store(records, at + G, 0, g * gate * sig)
            store(records, at + GX, 0, widen(spread(0.0)))
            store(records, at + GDT, 0, widen(spread(0.0)))
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
            c = (first + k) * WIDE
            total = b * channels + c
            x = load_at(u, b, t0 + t, c)
            g = load_wide(records, at + G)
            gx = load_wide(records, at + GX)
            gv = fma(gx, x, load_wide(records, at + GDT) * spread(LN2)) * load_wide(records, at + SLOPE)
            store_at(gdelta, b, t0 + t, c, gv)
            store_at(gu, b, t0 + t, c, fma(gx, load_wide(records, at + DT), load_wide(D, c) * g))
            store_at(gz, b, t0 + t, c, load_wide(records, at + GATE) * load_wide(records, at + Y))
            store(gD, total, 0, fma(g, x, load_wide(gD, total)))
            store(gbias, total, 0, load_wide(gbias, total) + gv)


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
    """Gradients of items until none is left; shape as for `forward`.

    gA `[batch, state, channel]`, gD and gbias `[batch, channel]` (these three zero at first), gB and gC
    `[batch, group, length, state]` are partial sums for the caller to add up: their order does not depend on
    the number of threads.
    """
    length, channels, states, most = shape
    blocks = channels // WIDE
    groups = -(-blocks // most)
    records = scratch(most * CHUNK * RECORD)
    tiles = scratch(CHUNK * TILE)
    sums = scratch(CHUNK * SUMS)
    carries = scratch(most * states * WIDE)
    item = take(counter)
    while item < items:
        b, group = item // groups, item % groups
        first = group * most
        width = min(most, blocks - first)
        carries[:] = 0
        for chunk in range((length - 1) // CHUNK, -1, -1):
            t0 = chunk * CHUNK
            steps = min(CHUNK, length - t0)
            _open_chunk(records, steps, width, b, t0, first, delta, u, z, gy, D, bias)
            for n in range(0, states, ROWS):
                sums[:] = 0
                for k in range(width):
                    block = first + k
                    saved = (b * blocks + block) * boundary[1] + chunk * boundary[2] + n * WIDE
                    for t in range(t0 + n // ROWS, t0 + steps, states // ROWS):
                        fetch_at(gdelta, b, t, block * WIDE)
                        fetch_at(gu, b, t, block * WIDE)
                        fetch_at(gz, b, t, block * WIDE)
                    if t0 > 0:
                        for t in range(t0 - CHUNK + n // ROWS, t0, states // ROWS):
                            fetch_at(delta, b, t, block * WIDE)
                            fetch_at(u, b, t, block * WIDE)
                            fetch_at(z, b, t, block * WIDE)
                            fetch_at(gy, b, t, block * WIDE)
                        for r in range(ROWS):
                            _fetch(boundary[0], saved - boundary[2] + r * WIDE)
                    at = (k * states + n) * WIDE
                    at_A = (b * states + n) * channels + block * WIDE
                    h = load_wide_rows(boundary[0], saved, WIDE)
                    a2 = load_wide_rows(A2, n * channels + block * WIDE, channels)
                    carry = load_wide_rows(carries, at, WIDE)
                    sum_A = load_wide_rows(gA, at_A, channels)
                    carry, sum_A = _sweep(
                        records, k * CHUNK * RECORD, tiles, sums, h, a2, carry, sum_A, steps, B, C, b, t0, n
                    )  # fmt: skip
                    store(carries, at, WIDE, carry)
                    store(gA, at_A, channels, sum_A)
                for t in range(steps):
                    at = ((b * groups + group) * length + t0 + t) * states + n
                    store_row_sums(gB, at, load_rows(sums, t * SUMS + SUM_B, LANES))
                    store_row_sums(gC, at, load_rows(sums, t * SUMS + SUM_C, LANES))
            _close_chunk(
                records, steps, width, b, t0, first, channels, u, D, gdelta, gu, gz, gD, gbias
            )  # fmt: skip
        item = take(counter)
