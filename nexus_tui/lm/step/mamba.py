"""The step of a Mamba layer."""

# Types are for Numba to infer: mypy takes intrinsics for ordinary functions.
# mypy: ignore-errors

from __future__ import annotations

from nexus_tui.lm.selective_scan.compiled import part
from nexus_tui.lm.selective_scan.tiles import LANES, ROWS, dot, fma, load, load_column, load_rows, store
from nexus_tui.lm.step.products import ADD, SET, norm, norm_part, times
from nexus_tui.lm.step.vectors import apart, bounded_exp2, memory_at, silu, softplus, whole, zeros


@part
def _convolve(size, weights, at, u, start, memory, place):
    """u [channel] becomes silu of the filter's output; the history [tap - 1, channel] moves on by one."""
    apart()
    channels, before = size.channels_padded, size.taps - 1
    bias = at + size.taps * channels
    for c in range(0, channels, LANES):
        newest = load(u, start + c)
        total = fma(load(weights, at + before * channels + c), newest, load(weights, bias + c))
        for k in range(before):
            old = place + k * channels + c
            value = load(memory, old)
            total = fma(load(weights, at + k * channels + c), value, total)
            if k:
                store(memory, old - channels, 0, value)
        if before:
            store(memory, place + (before - 1) * channels + c, 0, newest)
        store(u, start + c, 0, silu(total))


@part
def _recur(size, weights, at, u, start, dt, dt_at, B, C, memory, place):
    """u [channel] becomes the gated output of one step of the recurrence; the state advances.

    From `at`: the bias of dt [channel], A log2(e) [state, channel], D [channel]; z follows u.
    """
    apart()
    channels = size.channels_padded
    rates = at + channels
    D = rates + size.states_padded * channels
    for c in range(0, channels, LANES):
        step, value = softplus(load(dt, dt_at + c) + load(weights, at + c)), load(u, start + c)
        drive = step * value
        y = load(weights, D + c) * value
        for n in range(0, size.states_padded, ROWS):
            here = n * channels + c
            decay = bounded_exp2(step * load_rows(weights, rates + here, channels))
            h = fma(decay, load_rows(memory, place + here, channels), drive * load_column(B, n))
            store(memory, place + here, channels, h)
            y = dot(h, load_column(C, n), y)
        store(u, start + c, 0, y * silu(load(u, start + channels + c)))


@part
def mamba(texts, size, weights, at, x, normed, wide, selected, dt, homes, place):
    """x += mamba(norm(x)); histories and states, from `place` in each text's memory, advance."""
    hidden, channels, narrow = size.hidden_padded, size.channels_padded, size.selected_padded
    rank, states = size.rank, size.states
    step = size.wide
    at = norm(texts, size, weights, at, x, normed)
    at = times(texts, weights, at, size.hidden, 2 * channels, normed, hidden, wide, step, SET)
    for text in range(texts):
        memory = memory_at(homes[text])
        _convolve(size, weights, at, wide, text * step, memory, place)
    at += (size.taps + 1) * channels
    at = times(texts, weights, at, size.channels, narrow, wide, step, selected, narrow, SET)
    for text in range(texts):
        start = text * narrow
        norm_part(selected, start, rank, weights, at, size.eps, selected, start)
    B_norm = at + whole(rank)
    C_norm = B_norm + whole(states)
    at = C_norm + whole(states)
    at = times(texts, weights, at, rank, channels, selected, narrow, dt, channels, SET)
    B, C = zeros(size.states_padded), zeros(size.states_padded)
    state = place + (size.taps - 1) * channels
    for text in range(texts):
        memory = memory_at(homes[text])
        start = text * narrow + rank
        norm_part(selected, start, states, weights, B_norm, size.eps, B, 0)
        norm_part(selected, start + states, states, weights, C_norm, size.eps, C, 0)
        _recur(size, weights, at, wide, text * step, dt, text * channels, B, C, memory, state)
    at += (size.states_padded + 2) * channels
    return times(texts, weights, at, size.channels, hidden, wide, step, x, hidden, ADD)
