"""The selective scan's kernels for a GPU, in Triton: `cuda` launches them.

A program has WIDE channels of one batch row and goes through its tiles of TILE positions; within a tile the
states are gone through one after the other, each a recurrence over [TILE, WIDE] in registers. Of states only
those at the tiles' starts are in memory: `[batch, tiles + 1, state, channel]`. A long row is cut into chunks
that run beside each other: `summary` finds what a chunk adds to a state of zero, `combine` chains the chunks,
and each then starts from its true state; backward in the same way, from the end.

All is computed in 32 bits, whatever the operands are. Operands [batch, length, channel] come with the
strides of their first two dimensions. `A2` is A · log2(e), `[state, channel]`, contiguous.
"""

# mypy: ignore-errors
# (Triton compiles these functions from their text; a type checker knows nothing of its language.)

import triton
import triton.language as tl

LOG2E = tl.constexpr(1.4426950408889634)

# A stride that is not known to be divisible has the loads of a tile made one channel a thread: a tile's
# positions then lie in one thread's registers, where a scan needs no other thread.
STRIDES = ("delta_b", "delta_t", "u_b", "u_t", "z_b", "z_t", "gy_b", "gy_t", "out_b", "out_t")


@triton.jit
def softplus(x):
    """log(1 + e^x), exact for small results too (Goldberg, 1991, theorem 4)."""
    e = tl.exp(tl.minimum(x, 20.0))
    w = 1.0 + e
    small = tl.where(w == 1.0, e, tl.log(w) * e / tl.where(w == 1.0, 1.0, w - 1.0))
    return tl.where(x > 20.0, x, small)


@triton.jit
def whose(length, channels, chunk_tiles, TILE: tl.constexpr, WIDE: tl.constexpr):
    """This program's row, its channels [WIDE], which of them there are; all tiles, its first, and its end."""
    blocks, tiles, first = tl.cdiv(channels, WIDE), tl.cdiv(length, TILE), tl.program_id(1) * chunk_tiles
    c = tl.program_id(0) % blocks * WIDE + tl.arange(0, WIDE)
    row = (tl.program_id(0) // blocks).to(tl.int64)
    return row, c, c < channels, tiles, first, tl.minimum(first + chunk_tiles, tiles)


@triton.jit
def read(x, row, t, c, stride_b, stride_t, here):
    """A tile of an operand in 32 bits, zero where there is nothing: [TILE, WIDE]."""
    return tl.load(x + row * stride_b + t[:, None] * stride_t + c[None, :], mask=here, other=0.0).to(
        tl.float32
    )


@triton.jit
def write(x, row, t, c, stride_b, stride_t, here, value):
    """Keep a tile [TILE, WIDE] in the operand's own type."""
    place = x + row * stride_b + t[:, None] * stride_t + c[None, :]
    tl.store(place, value.to(x.dtype.element_ty), mask=here)


@triton.jit
def column(x, row, t, n, stride_b, stride_t, length):
    """What B or C is for one state: [TILE]."""
    return tl.load(x + row * stride_b + t * stride_t + n, mask=t < length, other=0.0).to(tl.float32)


@triton.jit
def step_sizes(delta, bias, row, t, c, stride_b, stride_t, here):
    """dt, zero where there is nothing, so that a state stays as it is: [TILE, WIDE]."""
    return tl.where(here, softplus(read(delta, row, t, c, stride_b, stride_t, here) + bias[None, :]), 0.0)


@triton.jit
def pick(x, which: tl.constexpr):
    """One row of [TILE, WIDE]: [WIDE]. Nothing is computed: adding integers that are zero is left out."""
    rows = tl.arange(0, x.shape[0])
    bits = tl.where((rows == which)[:, None], x.to(tl.int32, bitcast=True), 0)
    return tl.sum(bits, axis=0).to(tl.float32, bitcast=True)


@triton.jit
def states(decay, added, h):
    """h ← decay h + added, row after row: all h [TILE, WIDE], and the last [WIDE]."""
    rows, every = tl.arange(0, decay.shape[0])[:, None], tl.zeros_like(decay)
    for row in tl.static_range(decay.shape[0]):
        h = pick(decay, row) * h + pick(added, row)
        every = tl.where(rows == row, h[None, :], every)
    return every, h


@triton.jit
def gradients(decay, added, come):
    """g = added + what comes from the row after it, from the last row to the first: all g [TILE, WIDE], and
    what the first row hands on, [WIDE]; a row hands on decay · g."""
    rows, every = tl.arange(0, decay.shape[0])[:, None], tl.zeros_like(decay)
    for back in tl.static_range(decay.shape[0]):
        g = pick(added, decay.shape[0] - 1 - back) + come
        every = tl.where(rows == decay.shape[0] - 1 - back, g[None, :], every)
        come = pick(decay, decay.shape[0] - 1 - back) * g
    return every, come


@triton.jit(do_not_specialize=STRIDES)
def forward(
    u, delta, z, y, A2, B, C, D, bias, boundary,
    length, channels, state, chunk_tiles,
    delta_b, delta_t, u_b, u_t, z_b, z_t, out_b, out_t, B_b, B_t, C_b, C_t,
    TILE: tl.constexpr, WIDE: tl.constexpr,
):  # fmt: skip
    """Outputs, and the states at the starts of tiles; those at the starts of chunks are there already."""
    row, c, inside, tiles, first, end = whose(length, channels, chunk_tiles, TILE, WIDE)
    D_c, bias_c = tl.load(D + c, mask=inside, other=0.0), tl.load(bias + c, mask=inside, other=0.0)
    for tile in range(first, end):
        t = tile * TILE + tl.arange(0, TILE)
        here = (t < length)[:, None] & inside[None, :]
        dt = step_sizes(delta, bias_c, row, t, c, delta_b, delta_t, here)
        u_t_c = read(u, row, t, c, u_b, u_t, here)
        x, out = dt * u_t_c, D_c[None, :] * u_t_c
        kept = boundary + (row * (tiles + 1) + tile) * state * channels + c
        for n in range(state):
            A_n = tl.load(A2 + n * channels + c, mask=inside, other=0.0)
            before = tl.load(kept + n * channels, mask=inside, other=0.0)
            B_n = column(B, row, t, n, B_b, B_t, length)
            h, last = states(tl.exp2(dt * A_n[None, :]), x * B_n[:, None], before)
            out += h * column(C, row, t, n, C_b, C_t, length)[:, None]
            # What the next chunk starts from is known, and it may be reading it now.
            ours = inside & ((tile + 1 < end) | (end == tiles))
            tl.store(kept + (state + n) * channels, last, mask=ours)
        gate = read(z, row, t, c, z_b, z_t, here)
        write(y, row, t, c, out_b, out_t, here, out * gate * tl.sigmoid(gate))
        tl.debug_barrier()  # the next tile reads what was stored


@triton.jit(do_not_specialize=STRIDES)
def summary(
    u, delta, A2, B, bias, boundary, elapsed,
    length, channels, state, chunk_tiles,
    delta_b, delta_t, u_b, u_t, B_b, B_t,
    TILE: tl.constexpr, WIDE: tl.constexpr,
):  # fmt: skip
    """The state that a chunk ends with if it starts from zero, and the sum of its dt."""
    row, c, inside, tiles, first, end = whose(length, channels, chunk_tiles, TILE, WIDE)
    bias_c = tl.load(bias + c, mask=inside, other=0.0)
    kept = boundary + (row * (tiles + 1) + end) * state * channels + c
    spent = tl.zeros((WIDE,), tl.float32)
    for tile in range(first, end):
        t = tile * TILE + tl.arange(0, TILE)
        here = (t < length)[:, None] & inside[None, :]
        dt = step_sizes(delta, bias_c, row, t, c, delta_b, delta_t, here)
        x = dt * read(u, row, t, c, u_b, u_t, here)
        spent += tl.sum(dt, axis=0)
        for n in range(state):
            A_n = tl.load(A2 + n * channels + c, mask=inside, other=0.0)
            before = tl.load(kept + n * channels, mask=inside & (tile > first), other=0.0)
            B_n = column(B, row, t, n, B_b, B_t, length)
            _, last = states(tl.exp2(dt * A_n[None, :]), x * B_n[:, None], before)
            tl.store(kept + n * channels, last, mask=inside)
        tl.debug_barrier()
    tl.store(elapsed + (row * tl.num_programs(1) + tl.program_id(1)) * channels + c, spent, mask=inside)


@triton.jit(do_not_specialize=STRIDES)
def backward_summary(
    delta, z, gy, A2, C, bias, gboundary, elapsed,
    length, channels, state, chunk_tiles,
    delta_b, delta_t, z_b, z_t, gy_b, gy_t, C_b, C_t,
    TILE: tl.constexpr, WIDE: tl.constexpr,
):  # fmt: skip
    """The gradient that a chunk hands to the position before it if none comes from behind it."""
    row, c, inside, tiles, first, end = whose(length, channels, chunk_tiles, TILE, WIDE)
    bias_c = tl.load(bias + c, mask=inside, other=0.0)
    kept = gboundary + (row * (tiles + 1) + first) * state * channels + c
    spent = tl.zeros((WIDE,), tl.float32)
    for back in range(0, end - first):
        t = (end - 1 - back) * TILE + tl.arange(0, TILE)
        here = (t < length)[:, None] & inside[None, :]
        dt = step_sizes(delta, bias_c, row, t, c, delta_b, delta_t, here)
        gate = read(z, row, t, c, z_b, z_t, here)
        go = read(gy, row, t, c, gy_b, gy_t, here) * gate * tl.sigmoid(gate)
        spent += tl.sum(dt, axis=0)
        for n in range(state):
            A_n = tl.load(A2 + n * channels + c, mask=inside, other=0.0)
            behind = tl.load(kept + n * channels, mask=inside & (back > 0), other=0.0)
            C_n = column(C, row, t, n, C_b, C_t, length)
            _, handed = gradients(tl.exp2(dt * A_n[None, :]), go * C_n[:, None], behind)
            tl.store(kept + n * channels, handed, mask=inside)
        tl.debug_barrier()
    tl.store(elapsed + (row * tl.num_programs(1) + tl.program_id(1)) * channels + c, spent, mask=inside)


@triton.jit
def combine(
    kept, elapsed, A2,
    tiles, chunks, channels, state, chunk_tiles,
    REVERSE: tl.constexpr, WIDE: tl.constexpr,
):  # fmt: skip
    """Add to what every chunk hands on what came to it, one chunk after the other."""
    blocks = tl.cdiv(channels, WIDE)
    row, n = (tl.program_id(0) // blocks).to(tl.int64), tl.program_id(1)
    c = tl.program_id(0) % blocks * WIDE + tl.arange(0, WIDE)
    inside = c < channels
    A_n = tl.load(A2 + n * channels + c, mask=inside, other=0.0)
    place = kept + (row * (tiles + 1) * state + n) * channels + c
    first = tl.where(REVERSE, tiles, 0)
    come = tl.load(place + first.to(tl.int64) * state * channels, mask=inside, other=0.0)
    for i in range(0, chunks):
        chunk = chunks - 1 - i if REVERSE else i
        to = chunk * chunk_tiles if REVERSE else tl.minimum((chunk + 1) * chunk_tiles, tiles)
        there = place + to.to(tl.int64) * state * channels
        spent = tl.load(elapsed + (row * chunks + chunk) * channels + c, mask=inside, other=0.0)
        come = tl.load(there, mask=inside, other=0.0) + tl.exp2(spent * A_n) * come
        tl.store(there, come, mask=inside)


@triton.jit(do_not_specialize=STRIDES)
def backward(
    u, delta, z, gy, A2, B, C, D, bias, boundary, gboundary,
    gu, gdelta, gz, gA, gB, gC, gD, gbias,
    length, channels, state, chunk_tiles,
    delta_b, delta_t, u_b, u_t, z_b, z_t, gy_b, gy_t, out_b, out_t, B_b, B_t, C_b, C_t,
    TILE: tl.constexpr, WIDE: tl.constexpr,
):  # fmt: skip
    """All gradients: of B and C for these channels alone, of A, D and the bias for this chunk alone."""
    row, c, inside, tiles, first, end = whose(length, channels, chunk_tiles, TILE, WIDE)
    D_c, bias_c = tl.load(D + c, mask=inside, other=0.0), tl.load(bias + c, mask=inside, other=0.0)
    ours_alone = row * tl.num_programs(1) + tl.program_id(1)  # of this row and chunk
    gD_c, gbias_c = tl.zeros((WIDE,), tl.float32), tl.zeros((WIDE,), tl.float32)
    for back in range(0, end - first):
        tile = end - 1 - back
        t = tile * TILE + tl.arange(0, TILE)
        here = (t < length)[:, None] & inside[None, :]
        dt = step_sizes(delta, bias_c, row, t, c, delta_b, delta_t, here)
        u_t_c = read(u, row, t, c, u_b, u_t, here)
        gate, gy_t_c = read(z, row, t, c, z_b, z_t, here), read(gy, row, t, c, gy_b, gy_t, here)
        sigmoid = tl.sigmoid(gate)
        go, x, out = gy_t_c * gate * sigmoid, dt * u_t_c, D_c[None, :] * u_t_c
        gx, gdt = tl.zeros((TILE, WIDE), tl.float32), tl.zeros((TILE, WIDE), tl.float32)
        kept = (row * (tiles + 1) + tile) * state * channels + c
        shared = tl.program_id(0).to(tl.int64) * state * length + t  # of this row and these channels
        for n in range(state):
            A_n = tl.load(A2 + n * channels + c, mask=inside, other=0.0)
            B_n = column(B, row, t, n, B_b, B_t, length)
            C_n = column(C, row, t, n, C_b, C_t, length)
            decay = tl.exp2(dt * A_n[None, :])
            before = tl.load(boundary + kept + n * channels, mask=inside, other=0.0)
            h, _ = states(decay, x * B_n[:, None], before)
            behind = tl.load(gboundary + kept + (state + n) * channels, mask=inside, other=0.0)
            g, handed = gradients(decay, go * C_n[:, None], behind)
            ours = inside & ((tile > first) | (first == 0))  # else it is known, and may be being read
            tl.store(gboundary + kept + n * channels, handed, mask=ours)
            out += h * C_n[:, None]
            gx += g * B_n[:, None]
            decayed = g * (h - x * B_n[:, None])  # what is left of the state before, times its gradient
            gdt += decayed * (A_n / LOG2E)[None, :]
            place = gA + (ours_alone * state + n) * channels + c
            sofar = tl.load(place, mask=inside & (back > 0), other=0.0)
            tl.store(place, sofar + tl.sum(decayed * dt, axis=0), mask=inside)
            tl.store(gB + shared + n * length, tl.sum(g * x, axis=1), mask=t < length)
            tl.store(gC + shared + n * length, tl.sum(go * h, axis=1), mask=t < length)
        raw = read(delta, row, t, c, delta_b, delta_t, here) + bias_c[None, :]
        gdelta_t_c = tl.where(here, (gdt + gx * u_t_c) * tl.sigmoid(raw), 0.0)
        gz_t_c = gy_t_c * out * sigmoid * (1.0 + gate * (1.0 - sigmoid))
        gD_c += tl.sum(go * u_t_c, axis=0)
        gbias_c += tl.sum(gdelta_t_c, axis=0)
        write(gdelta, row, t, c, out_b, out_t, here, gdelta_t_c)
        write(gu, row, t, c, out_b, out_t, here, go * D_c[None, :] + gx * dt)
        write(gz, row, t, c, out_b, out_t, here, gz_t_c)
        tl.debug_barrier()
    tl.store(gD + ours_alone * channels + c, gD_c, mask=inside)
    tl.store(gbias + ours_alone * channels + c, gbias_c, mask=inside)
