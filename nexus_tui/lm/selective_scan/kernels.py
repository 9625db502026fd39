"""The compiled loops of the selective scan."""

from __future__ import annotations

import numba as nb
import numpy as np

LANES = 16
TIME_BLOCK = 32


@nb.njit(inline="always", fastmath=True)
def _exp2(x):  # type: ignore[no-untyped-def]
    """2**x for x <= 0: the bits of the exponent times a polynomial."""
    x = max(x, np.float32(-126.0))
    n = np.int32(x - np.float32(0.5))
    f = x - np.float32(n)
    p = np.float32(1.3264815e-3)
    p = p * f + np.float32(9.6708845e-3)
    p = p * f + np.float32(5.5507134e-2)
    p = p * f + np.float32(2.4022107e-1)
    p = p * f + np.float32(6.9314697e-1)
    p = p * f + np.float32(1.0)
    return p * np.int32((n + 127) << 23).view(np.float32)


@nb.njit(nogil=True, fastmath=True, cache=True)
def forward(first, last, dt, x, A2, B, C, start, y, boundary, final):  # type: ignore[no-untyped-def]
    """Scan items [first, last): an item is a batch row and a block of 16 channels."""
    length, channels = dt.shape[1:]
    states = A2.shape[0]
    blocks = channels // LANES
    h = np.empty((states, LANES), np.float32)
    total = np.empty(LANES, np.float32)
    for item in range(first, last):
        b = item // blocks
        c = (item % blocks) * LANES
        h[:] = start[b, :, c : c + LANES]
        for t in range(length):
            if t % TIME_BLOCK == 0:
                boundary[b, t // TIME_BLOCK, :, c : c + LANES] = h
            total[:] = 0
            for n in range(states):
                Bt = B[b, t, n]
                Ct = C[b, t, n]
                for i in range(LANES):
                    v = _exp2(dt[b, t, c + i] * A2[n, c + i]) * h[n, i] + x[b, t, c + i] * Bt
                    h[n, i] = v
                    total[i] += v * Ct
            y[b, t, c : c + LANES] = total
        final[b, :, c : c + LANES] = h


@nb.njit(nogil=True, fastmath=True, cache=True)
def backward(first, last, dt, x, A2, B, C, boundary, gy, gdt, gx, gA, gB, gC):  # type: ignore[no-untyped-def]
    """Reverse sweep of items [first, last); states are recomputed a block of time at once.

    gA `[batch, state, channel]` and gB, gC `[batch, block, length, state]` are partial sums.
    """
    length, channels = dt.shape[1:]
    states = A2.shape[0]
    blocks = channels // LANES
    hs = np.empty((TIME_BLOCK + 1, states, LANES), np.float32)
    decays = np.empty((TIME_BLOCK, states, LANES), np.float32)
    carry = np.empty((states, LANES), np.float32)
    ln2 = np.float32(0.6931471805599453)
    for item in range(first, last):
        b = item // blocks
        k = item % blocks
        c = k * LANES
        carry[:] = 0
        gA[b, :, c : c + LANES] = 0
        for block in range((length + TIME_BLOCK - 1) // TIME_BLOCK - 1, -1, -1):
            t0 = block * TIME_BLOCK
            t1 = min(length, t0 + TIME_BLOCK)
            hs[0] = boundary[b, block, :, c : c + LANES]
            for t in range(t0, t1):
                for n in range(states):
                    Bt = B[b, t, n]
                    for i in range(LANES):
                        a = _exp2(dt[b, t, c + i] * A2[n, c + i])
                        decays[t - t0, n, i] = a
                        hs[t - t0 + 1, n, i] = a * hs[t - t0, n, i] + x[b, t, c + i] * Bt
            for t in range(t1 - 1, t0 - 1, -1):
                for i in range(LANES):
                    gx[b, t, c + i] = 0
                    gdt[b, t, c + i] = 0
                for n in range(states):
                    Bt = B[b, t, n]
                    Ct = C[b, t, n]
                    sum_B = np.float32(0)
                    sum_C = np.float32(0)
                    for i in range(LANES):
                        gh = gy[b, t, c + i] * Ct + carry[n, i]
                        sum_C += gy[b, t, c + i] * hs[t - t0 + 1, n, i]
                        sum_B += gh * x[b, t, c + i]
                        back = gh * decays[t - t0, n, i]
                        carry[n, i] = back
                        grad = back * hs[t - t0, n, i]
                        gx[b, t, c + i] += gh * Bt
                        gdt[b, t, c + i] += grad * A2[n, c + i] * ln2
                        gA[b, n, c + i] += grad * dt[b, t, c + i]
                    gB[b, k, t, n] = sum_B
                    gC[b, k, t, n] = sum_C
