"""The compiled loops of the selective scan.

An item of work is a batch row and a group of `GROUP` blocks of `LANES` channels; items do not depend on one another.
Within an item time goes in chunks of `CHUNK` positions, whose working set stays in the first-level cache, and within
a chunk `ROWS` states stay in registers while time passes. The forward pass stores the state at the start of every
chunk, the backward pass recomputes the others from it.

Arrays are flat. [batch, length, channel] operands come with the strides of a batch row and of a position.
"""

# mypy: disallow-untyped-defs=false, disallow-untyped-calls=false, disallow-untyped-decorators=false

from __future__ import annotations

import math

import numba as nb
import numpy as np

from nexus_tui.lm.selective_scan.tiles import (
    LANES,
    ROWS,
    dot,
    exp2,
    fma,
    load,
    load_column,
    load_rows,
    maximum,
    minimum,
    spread,
    store,
    store_row_sums,
)

CHUNK = 32
GROUP = 8

_jit = nb.njit(nogil=True, cache=True, error_model="numpy")
_inline = nb.njit(nogil=True, error_model="numpy")

_LOG2E = math.log2(math.e)
_LN2 = math.log(2.0)
_STEP = GROUP * CHUNK * LANES  # numbers of a [block, position, lane] scratch array
_ROW_BYTES = 4 * LANES


@_inline
def _scratch(size):
    """An uninitialised array that starts on a cache line: vectors that straddle two cost twice."""
    buffer = np.empty(size + LANES, np.float32)
    skip = (-buffer.ctypes.data % _ROW_BYTES) // 4
    return buffer[skip : skip + size]


@_inline
def _exp(x):
    return exp2(minimum(maximum(x * spread(_LOG2E), spread(-126.0)), spread(126.0)))


@_inline
def _sigmoid(x):
    return spread(1.0) / (spread(1.0) + _exp(spread(0.0) - x))


@_inline
def _softplus(x):
    """max(x, 0) + log1p(e), e = exp(-|x|), where log1p(e) = 2 atanh(e / (2 + e)), by its series: argument <= 1/3."""
    positive = maximum(x, spread(0.0))
    e = _exp(x - positive - positive)
    s = e / (spread(2.0) + e)
    q = s * s
    series = fma(q, spread(1 / 13), spread(1 / 11))
    series = fma(q, series, spread(1 / 9))
    series = fma(q, series, spread(1 / 7))
    series = fma(q, series, spread(1 / 5))
    series = fma(q, series, spread(1 / 3))
    series = fma(q, series, spread(1.0))
    return fma(s + s, series, positive)


@_jit
def forward(
    first, last, length, channels, states,
    delta, delta_batch, delta_row, u, u_batch, u_row, z, z_batch, z_row,
    A2, B, C, D, bias, start, y, boundary, final,
):  # fmt: skip
    """Scan items [first, last).

    A2 is A log2(e) `[state, channel]`; B, C `[batch, length, state]`; start, final `[batch, state, channel]`; boundary
    `[batch, block, chunk, state, lane]`; y `[batch, length, channel]`.
    """
    blocks = channels // LANES
    groups = (blocks + GROUP - 1) // GROUP
    chunks = (length + CHUNK - 1) // CHUNK
    scratch = _scratch(3 * _STEP + GROUP * states * LANES)
    dts, xs, ys, hs = (
        scratch[:_STEP],
        scratch[_STEP : 2 * _STEP],
        scratch[2 * _STEP : 3 * _STEP],
        scratch[3 * _STEP :],
    )
    for item in range(first, last):
        b, block0 = item // groups, item % groups * GROUP
        c0 = block0 * LANES
        width = min(GROUP, blocks - block0)
        for k in range(width):
            for n in range(0, states, ROWS):
                h = load_rows(start, (b * states + n) * channels + c0 + k * LANES, channels)
                store(hs, (k * states + n) * LANES, LANES, h)
        for chunk in range(chunks):
            t0 = chunk * CHUNK
            steps = min(CHUNK, length - t0)
            for t in range(steps):
                for k in range(width):
                    at = (k * CHUNK + t) * LANES
                    c = c0 + k * LANES
                    dt = _softplus(load(delta, b * delta_batch + (t0 + t) * delta_row + c) + load(bias, c))
                    store(dts, at, 0, dt)
                    store(xs, at, 0, dt * load(u, b * u_batch + (t0 + t) * u_row + c))
                    store(ys, at, 0, spread(0.0))
            for k in range(width):
                for n in range(0, states, ROWS):
                    h = load_rows(hs, (k * states + n) * LANES, LANES)
                    store(
                        boundary,
                        (((b * blocks + block0 + k) * chunks + chunk) * states + n) * LANES,
                        LANES,
                        h,
                    )
                    a2 = load_rows(A2, n * channels + c0 + k * LANES, channels)
                    for t in range(steps):
                        at = (k * CHUNK + t) * LANES
                        position = (b * length + t0 + t) * states + n
                        a = exp2(maximum(load(dts, at) * a2, spread(-126.0)))
                        h = fma(a, h, load(xs, at) * load_column(B, position))
                        store(ys, at, 0, dot(h, load_column(C, position), load(ys, at)))
                    store(hs, (k * states + n) * LANES, LANES, h)
            for t in range(steps):
                for k in range(width):
                    at = (k * CHUNK + t) * LANES
                    c = c0 + k * LANES
                    gate = load(z, b * z_batch + (t0 + t) * z_row + c)
                    out = fma(load(D, c), load(u, b * u_batch + (t0 + t) * u_row + c), load(ys, at))
                    store(y, (b * length + t0 + t) * channels + c, 0, out * gate * _sigmoid(gate))
        for k in range(width):
            for n in range(0, states, ROWS):
                h = load_rows(hs, (k * states + n) * LANES, LANES)
                store(final, (b * states + n) * channels + c0 + k * LANES, channels, h)


@_inline
def _reverse_tile(n, c, k, steps, position, states, channels, A2, B, C, boundary, state_at, work):
    """Recompute ROWS states of a block over one chunk, then sweep back over them."""
    dts, xs, gs, ys, gxs, gdts, carries, gAs, decays, hs, sums_B, sums_C = work
    a2 = load_rows(A2, n * channels + c, channels)
    h = load_rows(boundary, state_at, LANES)
    store(hs, 0, LANES, h)
    for t in range(steps):
        at = (k * CHUNK + t) * LANES
        column = position + t * states + n
        a = exp2(maximum(load(dts, at) * a2, spread(-126.0)))
        h = fma(a, h, load(xs, at) * load_column(B, column))
        store(decays, t * ROWS * LANES, LANES, a)
        store(hs, (t + 1) * ROWS * LANES, LANES, h)
        store(ys, at, 0, dot(h, load_column(C, column), load(ys, at)))
    carry = load_rows(carries, (k * states + n) * LANES, LANES)
    gA = load_rows(gAs, (k * states + n) * LANES, LANES)
    for t in range(steps - 1, -1, -1):
        at = (k * CHUNK + t) * LANES
        row = t * ROWS * LANES
        column = position + t * states + n
        g = load(gs, at)
        gh = fma(g, load_column(C, column), carry)
        store(sums_C, row, LANES, fma(g, h, load_rows(sums_C, row, LANES)))
        store(sums_B, row, LANES, fma(gh, load(xs, at), load_rows(sums_B, row, LANES)))
        store(gxs, at, 0, dot(gh, load_column(B, column), load(gxs, at)))
        carry = gh * load_rows(decays, row, LANES)
        h = load_rows(hs, row, LANES)
        grad = carry * h
        store(gdts, at, 0, dot(grad, a2, load(gdts, at)))
        gA = fma(grad, load(dts, at), gA)
    store(carries, (k * states + n) * LANES, LANES, carry)
    store(gAs, (k * states + n) * LANES, LANES, gA)


@_jit
def backward(
    first, last, length, channels, states,
    delta, delta_batch, delta_row, u, u_batch, u_row, z, z_batch, z_row, gy, gy_batch, gy_row,
    A2, B, C, D, bias, boundary,
    gdelta, gu, gz, gA, gB, gC, gD, gbias,
):  # fmt: skip
    """Gradients of items [first, last).

    gA `[batch, state, channel]`, gD and gbias `[batch, channel]`, gB and gC `[batch, group, length, state]` are
    partial sums that the caller adds up, in an order that does not depend on the number of threads.
    """
    blocks = channels // LANES
    groups = (blocks + GROUP - 1) // GROUP
    chunks = (length + CHUNK - 1) // CHUNK
    state = GROUP * states * LANES
    tile = CHUNK * ROWS * LANES
    s = _scratch(6 * _STEP + 2 * state + 4 * tile + ROWS * LANES)
    dts, xs, gs = s[:_STEP], s[_STEP : 2 * _STEP], s[2 * _STEP : 3 * _STEP]
    ys, gxs, gdts = s[3 * _STEP : 4 * _STEP], s[4 * _STEP : 5 * _STEP], s[5 * _STEP : 6 * _STEP]
    r = s[6 * _STEP :]
    carries, gAs, r = r[:state], r[state : 2 * state], r[2 * state :]
    sums_B, sums_C, decays, hs = r[:tile], r[tile : 2 * tile], r[2 * tile : 3 * tile], r[3 * tile :]
    work = (dts, xs, gs, ys, gxs, gdts, carries, gAs, decays, hs, sums_B, sums_C)
    zero = spread(0.0)
    for item in range(first, last):
        b, group = item // groups, item % groups
        block0 = group * GROUP
        c0 = block0 * LANES
        width = min(GROUP, blocks - block0)
        carries[:] = 0
        gAs[:] = 0
        for k in range(width):
            store(gD, b * channels + c0 + k * LANES, 0, zero)
            store(gbias, b * channels + c0 + k * LANES, 0, zero)
        for chunk in range(chunks - 1, -1, -1):
            t0 = chunk * CHUNK
            steps = min(CHUNK, length - t0)
            for t in range(steps):
                for k in range(width):
                    at = (k * CHUNK + t) * LANES
                    c = c0 + k * LANES
                    dt = _softplus(load(delta, b * delta_batch + (t0 + t) * delta_row + c) + load(bias, c))
                    gate = load(z, b * z_batch + (t0 + t) * z_row + c)
                    store(dts, at, 0, dt)
                    store(xs, at, 0, dt * load(u, b * u_batch + (t0 + t) * u_row + c))
                    store(gs, at, 0, load(gy, b * gy_batch + (t0 + t) * gy_row + c) * gate * _sigmoid(gate))
                    store(ys, at, 0, zero)
                    store(gxs, at, 0, zero)
                    store(gdts, at, 0, zero)
            for n in range(0, states, ROWS):
                sums_B[:] = 0
                sums_C[:] = 0
                for k in range(width):
                    state_at = (((b * blocks + block0 + k) * chunks + chunk) * states + n) * LANES
                    position = (b * length + t0) * states
                    _reverse_tile(
                        n,
                        c0 + k * LANES,
                        k,
                        steps,
                        position,
                        states,
                        channels,
                        A2,
                        B,
                        C,
                        boundary,
                        state_at,
                        work,
                    )
                for t in range(steps):
                    at = ((b * groups + group) * length + t0 + t) * states + n
                    store_row_sums(gB, at, load_rows(sums_B, t * ROWS * LANES, LANES))
                    store_row_sums(gC, at, load_rows(sums_C, t * ROWS * LANES, LANES))
            for t in range(steps):
                for k in range(width):
                    at = (k * CHUNK + t) * LANES
                    c = c0 + k * LANES
                    out = (b * length + t0 + t) * channels + c
                    total = b * channels + c
                    x = load(u, b * u_batch + (t0 + t) * u_row + c)
                    gate = load(z, b * z_batch + (t0 + t) * z_row + c)
                    g = load(gs, at)
                    gx = load(gxs, at)
                    dt = load(dts, at)
                    slope = _sigmoid(load(delta, b * delta_batch + (t0 + t) * delta_row + c) + load(bias, c))
                    gd = fma(gx, x, load(gdts, at) * spread(_LN2)) * slope
                    store(gdelta, out, 0, gd)
                    store(gu, out, 0, fma(gx, dt, load(D, c) * g))
                    sig = _sigmoid(gate)
                    ungated = fma(load(D, c), x, load(ys, at))
                    dsilu = sig * fma(gate, spread(1.0) - sig, spread(1.0))
                    store(gz, out, 0, load(gy, b * gy_batch + (t0 + t) * gy_row + c) * ungated * dsilu)
                    store(gD, total, 0, fma(g, x, load(gD, total)))
                    store(gbias, total, 0, load(gbias, total) + gd)
        for k in range(width):
            for n in range(0, states, ROWS):
                at = (b * states + n) * channels + c0 + k * LANES
                store(gA, at, channels, load_rows(gAs, (k * states + n) * LANES, LANES))
