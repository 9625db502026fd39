"""Parts of a token's step for a GPU, in Triton: what torch does in a dozen launches is one here.

`fused` launches them. With a text a token, a launch takes longer than its work. All is computed in 32 bits,
drawing in 64. A slot that is not active keeps its memories.
"""

# mypy: ignore-errors
# (Triton compiles these functions from their text; a type checker knows nothing of its language.)

import triton
import triton.language as tl

from nexus_tui.lm.captured import slots, telling

TEMPERATURE, MIN_P = tl.constexpr(slots.TEMPERATURE), tl.constexpr(slots.MIN_P)
PENALTY, FIRST = tl.constexpr(slots.PENALTY), tl.constexpr(slots.FIRST)
NUMBERS, AHEAD = tl.constexpr(slots.NUMBERS), tl.constexpr(slots.AHEAD)
HEAD = tl.constexpr(telling.HEAD)
NOTHING = tl.constexpr(-(1 << 63))
LOW = tl.constexpr(0xFFFFFFFF)


@triton.jit
def silu(x):
    """x · sigmoid(x)."""
    return x * tl.sigmoid(x)


@triton.jit
def convolve(uz, memory, weight, bias, active, out, channels, TAPS: tl.constexpr, WIDE: tl.constexpr):
    """silu of the short convolution at the newest input: `uz` [slot, 2 channel] -> `out` [slot, channel].

    `memory` [slot, tap - 1, channel] takes the input in.
    """
    row = tl.program_id(0).to(tl.int64)
    c = tl.program_id(1) * WIDE + tl.arange(0, WIDE)
    here = c < channels
    moves = here & (tl.load(active + row) != 0)
    total = tl.load(bias + c, mask=here, other=0.0).to(tl.float32)
    own = memory + row * (TAPS - 1) * channels + c
    for tap in tl.static_range(TAPS - 1):
        value = tl.load(own + tap * channels, mask=here, other=0.0)
        total += value.to(tl.float32) * tl.load(weight + c * TAPS + tap, mask=here, other=0.0).to(tl.float32)
        if tap > 0:
            tl.store(own + (tap - 1) * channels, value, mask=moves)
    value = tl.load(uz + row * 2 * channels + c, mask=here, other=0.0)
    total += value.to(tl.float32) * tl.load(weight + c * TAPS + TAPS - 1, mask=here, other=0.0).to(tl.float32)
    if TAPS > 1:
        tl.store(own + (TAPS - 2) * channels, value, mask=moves)
    tl.store(out + row * channels + c, silu(total).to(out.dtype.element_ty), mask=here)


@triton.jit
def norm(x, weight, size, eps, WIDE: tl.constexpr):
    """x / sqrt(mean(x²) + eps) · weight of `size` numbers, in their place."""
    i = tl.arange(0, WIDE)
    here = i < size
    value = tl.load(x + i, mask=here, other=0.0).to(tl.float32)
    value *= tl.rsqrt(tl.sum(value * value, axis=0) / size + eps)
    value *= tl.load(weight + i, mask=here, other=0.0).to(tl.float32)
    tl.store(x + i, value.to(x.dtype.element_ty), mask=here)


@triton.jit
def select(
    x, dt_weight, b_weight, c_weight, eps, rank, state, RANK: tl.constexpr, STATE: tl.constexpr
):  # fmt: skip
    """The norms of dt, B and C, side by side in `x` [slot, rank + 2 state], in their place."""
    own = x + tl.program_id(0).to(tl.int64) * (rank + 2 * state)
    norm(own, dt_weight, rank, eps, RANK)
    norm(own + rank, b_weight, state, eps, STATE)
    norm(own + rank + state, c_weight, state, eps, STATE)


@triton.jit
def recur(
    u, delta, uz, selected, A_log, D, bias, memory, active, out,
    channels, rank, state, WIDE: tl.constexpr, STATE: tl.constexpr,
):  # fmt: skip
    """h = exp(dt A) h + dt u B in `memory` [slot, channel, state], and (C · h + D u) silu(z) in `out`."""
    row = tl.program_id(0).to(tl.int64)
    c = tl.program_id(1) * WIDE + tl.arange(0, WIDE)
    n = tl.arange(0, STATE)
    here, there = c < channels, n < state
    both = here[:, None] & there[None, :]
    at = row * channels + c
    u_c = tl.load(u + at, mask=here, other=0.0).to(tl.float32)
    raw = tl.load(delta + at, mask=here, other=0.0).to(tl.float32)
    raw += tl.load(bias + c, mask=here, other=0.0).to(tl.float32)
    dt = tl.where(raw > 20.0, raw, tl.log(1.0 + tl.exp(tl.minimum(raw, 20.0))))
    chosen = selected + row * (rank + 2 * state) + rank + n
    B = tl.load(chosen, mask=there, other=0.0).to(tl.float32)
    C = tl.load(chosen + state, mask=there, other=0.0).to(tl.float32)
    place = c[:, None] * state + n[None, :]
    A = -tl.exp(tl.load(A_log + place, mask=both, other=0.0).to(tl.float32))
    own = memory + row * channels * state + place
    h = tl.exp(dt[:, None] * A) * tl.load(own, mask=both, other=0.0) + (dt * u_c)[:, None] * B[None, :]
    tl.store(own, h, mask=both & (tl.load(active + row) != 0))
    y = tl.sum(h * C[None, :], axis=1) + u_c * tl.load(D + c, mask=here, other=0.0).to(tl.float32)
    z = tl.load(uz + row * 2 * channels + channels + c, mask=here, other=0.0).to(tl.float32)
    tl.store(out + at, (y * silu(z)).to(out.dtype.element_ty), mask=here)


@triton.jit
def keys(logits, ids):
    """As `drawing._keys`."""
    bits = (logits + 0.0).to(tl.int32, bitcast=True)
    rising = tl.where(bits < 0, bits ^ 0x7FFFFFFF, bits).to(tl.int64)
    return (rising << 32) + LOW - ids.to(tl.int64)


@triton.jit
def pick(weights, number, ids, WIDE: tl.constexpr):
    """As `drawing._pick`."""
    reached = tl.cumsum(weights, axis=0)
    past = reached > number * tl.max(reached, axis=0)
    merit = tl.where(weights > 0, tl.where(past, 2 * WIDE - ids, ids), -1)
    best = tl.max(merit, axis=0)
    return tl.maximum(tl.where(best > WIDE, 2 * WIDE - best, best), 0)


@triton.jit
def draw(
    logits, how, read, seen, active, newest, told, size,
    WIDE: tl.constexpr, LIKELIEST: tl.constexpr,
):  # fmt: skip
    """`drawing.draw` without order and `drawing.think`, and what a step keeps of them: one text a program."""
    row = tl.program_id(0).to(tl.int64)
    ids = tl.arange(0, WIDE)
    here = ids < size
    raw = tl.load(logits + row * size + ids, mask=here, other=float("-inf")).to(tl.float32)
    scores = raw.to(tl.float64)
    settings = how + row * (NUMBERS + AHEAD)
    penalty = tl.load(settings + PENALTY)
    before = tl.load(seen + row * size + ids, mask=here, other=0) != 0
    penalised = tl.where(before, tl.where(scores < 0, scores * penalty, scores / penalty), scores)
    largest = tl.max(penalised, axis=0)
    weights = tl.exp((penalised - largest) / tl.load(settings + TEMPERATURE))
    weights = tl.where(here & (weights >= tl.load(settings + MIN_P)), weights, 0.0)
    length = tl.load(read + row)
    place = length + 1 - tl.load(settings + FIRST).to(tl.int64)
    place = tl.minimum(tl.maximum(place, 0), AHEAD - 1)
    chosen = pick(weights, tl.load(settings + NUMBERS + place), ids, WIDE)

    moves = tl.load(active + row) != 0
    tl.store(newest + row, chosen.to(tl.int64), mask=moves)
    tl.store(read + row, length + 1, mask=moves)
    tl.store(seen + row * size + chosen, 1, mask=moves)

    order = tl.where(here, keys(raw, ids), NOTHING)
    own = tl.sum(tl.where(ids == chosen, order, 0), axis=0)
    rank = tl.sum((order > own).to(tl.int32), axis=0) + 1
    top = tl.sum(tl.where(order == tl.max(order, axis=0), scores, 0.0), axis=0)
    differences = tl.where(here, scores - top, 0.0)
    parts = tl.where(here, tl.exp(differences), 0.0)
    total = tl.sum(parts, axis=0)
    log_total = tl.log(total)
    finite = tl.sum((tl.abs(differences) < float("inf")).to(tl.int32), axis=0) == WIDE
    figures = told + row * (HEAD + 2 * LIKELIEST)
    tl.store(figures, chosen.to(tl.float64))
    tl.store(figures + 1, tl.where(finite, rank, 0).to(tl.float64))
    tl.store(figures + 2, log_total - tl.sum(parts * differences, axis=0) / total)
    tl.store(figures + 3, tl.sum(tl.where(ids == chosen, differences, 0.0), axis=0) - log_total)
    for at in tl.static_range(LIKELIEST):
        best = tl.max(order, axis=0)
        tl.store(figures + HEAD + at, (~best & LOW).to(tl.float64))
        its = tl.sum(tl.where(order == best, differences, 0.0), axis=0)
        tl.store(figures + HEAD + LIKELIEST + at, its - log_total)
        order = tl.where(order == best, NOTHING, order)
