"""The step of an attention layer: the newest token over all that are remembered."""

# Types are for Numba to infer: mypy takes intrinsics for ordinary functions.
# mypy: ignore-errors

from __future__ import annotations

import math

import numpy as np

from nexus_tui.lm.selective_scan.compiled import part
from nexus_tui.lm.selective_scan.tiles import (
    LANES,
    ROWS,
    at_least,
    dot,
    fma,
    load_column,
    load_rows,
    spread,
    store,
    store_row_sums,
)
from nexus_tui.lm.step.products import ADD, SET, norm, times
from nexus_tui.lm.step.vectors import LOG2E, PANEL, apart, bounded_exp2, memory_at, whole


@part
def _weigh(size, query, start, length, room, memory, place, scores):
    """scores [position] = exp(query · key / sqrt(channels)), the largest 1, then zeros; their sum.

    Keys are [channel, room].
    """
    channels = size.head_dim
    factor = spread(LOG2E / math.sqrt(channels))
    end = whole(length)
    rows = np.empty(PANEL, np.float32)
    for p in range(0, end, PANEL):
        total = load_rows(memory, place + p, LANES) * spread(query[start])
        for c in range(1, channels):
            total = fma(load_rows(memory, place + c * room + p, LANES), spread(query[start + c]), total)
        store(scores, p, LANES, total * factor)
    for p in range(length, end):
        scores[p] = -np.inf
    largest = load_rows(scores, 0, LANES)
    for p in range(PANEL, end, PANEL):
        largest = at_least(load_rows(scores, p, LANES), largest)
    store(rows, 0, LANES, largest)
    most = rows[0]
    for i in range(1, PANEL):
        most = max(most, rows[i])
    for p in range(0, end, PANEL):
        store(scores, p, LANES, bounded_exp2(load_rows(scores, p, LANES) - spread(most)))
    for p in range(length, end):
        scores[p] = 0
    sums = load_rows(scores, 0, LANES)
    for p in range(PANEL, end, PANEL):
        sums = sums + load_rows(scores, p, LANES)
    store_row_sums(rows, 0, sums)
    total = np.float32(0)
    for row in range(ROWS):
        total += rows[row]
    return total


@part
def _attend(size, query, start, length, room, memory, keys, values, scores, mixed, to):
    """mixed [channel] = softmax(query · keys / sqrt(channels)) · values; values [room, padded channel]."""
    apart()
    share = spread(np.float32(1) / _weigh(size, query, start, length, room, memory, keys, scores))
    width = size.head_padded
    for c in range(0, width, LANES):
        total = load_column(scores, 0) * load_rows(memory, values + c, width)
        for p in range(ROWS, length, ROWS):
            total = fma(load_column(scores, p), load_rows(memory, values + p * width + c, width), total)
        store(mixed, to + c, 0, dot(total, share, spread(0.0)))


@part
def _remember(size, wide, start, position, room, memory, keys, values):
    """Put the newest key and value of a head where they belong."""
    key, value = start, start + whole(size.kv_heads * size.head_dim)
    for c in range(size.head_dim):
        memory[keys + c * room + position] = wide[key + c]
        memory[values + position * size.head_padded + c] = wide[value + c]


@part
def attention(texts, size, weights, at, x, normed, wide, scores, homes, rooms, lengths, number):
    """x += attention(norm(x)); the keys and values of attention layer `number` gain a position."""
    hidden, channels, step = size.hidden_padded, size.head_dim, size.wide
    shared = whole(size.kv_heads * channels)
    at = norm(texts, size, weights, at, x, normed)
    outputs = hidden + 2 * shared
    at = times(texts, weights, at, size.hidden, outputs, normed, hidden, wide, step, SET)
    group = size.heads // size.kv_heads  # heads that share a key
    for text in range(texts):
        memory, room = memory_at(homes[text]), rooms[text]
        keys = size.recurrent + number * size.kv_heads * (channels + size.head_padded) * room
        values = keys + size.kv_heads * channels * room
        for head in range(size.heads):
            shares = head // group
            K, V = keys + shares * channels * room, values + shares * size.head_padded * room
            if head % group == 0:
                key = text * step + hidden + shares * channels
                _remember(size, wide, key, lengths[text], room, memory, K, V)
            query, to = text * step + head * channels, text * hidden + head * channels
            _attend(size, wide, query, lengths[text] + 1, room, memory, K, V, scores, normed, to)
    return times(texts, weights, at, size.hidden, hidden, normed, hidden, x, hidden, ADD)
