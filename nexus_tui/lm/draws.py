"""The draw of a token from its logits and what the model thought of it, compiled: a few microseconds.

`drawing` says what it means. Sums are taken in order, so a text is the same on every machine.
"""

# Types are for Numba to infer.
# mypy: ignore-errors

from __future__ import annotations

import math

import numpy as np

from nexus_tui.lm.selective_scan.compiled import kernel, part


@part
def _high(a, b):
    """The upper 64 bits of the product of two numbers of 64 bits."""
    mask, half = np.uint64(0xFFFFFFFF), np.uint64(32)
    low_a, high_a, low_b, high_b = a & mask, a >> half, b & mask, b >> half
    middle = high_a * low_b + (low_a * low_b >> half)
    other = low_a * high_b + (middle & mask)
    return high_a * high_b + (middle >> half) + (other >> half)


@kernel
def uniform(seed, position):
    """A number in [0, 1): the first of numpy's Philox with this key and counter. Salmon et al., SC 2011."""
    a, b, c, d = position + np.uint64(1), np.uint64(0), np.uint64(0), np.uint64(0)
    first, second = seed, np.uint64(0)
    for _ in range(10):
        m, n = np.uint64(0xD2E7470EE14C6C93), np.uint64(0xCA5A826395121157)
        a, b, c, d = _high(n, c) ^ b ^ first, n * c, _high(m, a) ^ d ^ second, m * a
        first += np.uint64(0x9E3779B97F4A7C15)
        second += np.uint64(0xBB67AE8584CAA73B)
    return np.float64(a >> np.uint64(11)) / 9007199254740992.0


@kernel
def uniforms(seed, first, out):
    """Fill an array with the numbers of the positions from the first on."""
    for i in range(len(out)):
        out[i] = uniform(seed, first + np.uint64(i))


@kernel
def weigh(logits, order, temperature, top_k, top_p, min_p):
    """Weights [vocab] to draw with, unnormalised; the most probable token's is 1.

    `order` is that of the logits, largest first; it may be empty without top_k and top_p.
    """
    weights, largest, keep = np.empty_like(logits), logits.max(), len(logits)
    for i in range(keep):
        weights[i] = math.exp((logits[i] - largest) / temperature)
    if top_k:
        keep = min(top_k, keep)
    if top_p < 1:
        total = 0.0
        for i in range(keep):
            total += weights[order[i]]
        reached, needed, kept = 0.0, top_p * total, 0
        while kept < keep and reached < needed:
            reached += weights[order[kept]]
            kept += 1
        keep = kept
    for i in range(keep, len(order)):
        weights[order[i]] = 0
    for i in range(len(weights)):
        if weights[i] < min_p:
            weights[i] = 0
    return weights


@part
def _pick(weights, at):
    """The token in which a part `at` of all weight lies; never one of weight 0."""
    total = 0.0
    for weight in weights:
        total += weight
    point, reached, last = at * total, 0.0, 0
    for i in range(len(weights)):
        if weights[i] > 0:
            reached, last = reached + weights[i], i
            if reached > point:
                break
    return last


@kernel
def choose(logits, order, temperature, top_k, top_p, min_p, seed, position):
    """The token at a position, drawn from logits [vocab]; with temperature 0 the most probable one."""
    if temperature == 0:
        return logits.argmax()
    return _pick(weigh(logits, order, temperature, top_k, top_p, min_p), uniform(seed, position))


@kernel
def think(logits, chosen, count):
    """What is thought of a token: its rank and the `count` likeliest ids; entropy, its logprob and theirs.

    The rank is 0 if a logit is no finite number. Of equal logits the lower id comes first.
    """
    count = min(count, len(logits))
    ids, figures = np.zeros(1 + count, np.int64), np.zeros(2 + count)
    largest = logits.max()
    if not np.isfinite(largest):
        return ids, figures
    total, product, rank = 0.0, 0.0, 1
    for i in range(len(logits)):
        difference = logits[i] - largest
        if not np.isfinite(difference):
            return ids, figures
        weight = math.exp(difference)
        total += weight
        product += weight * difference
        rank += logits[i] > logits[chosen] or (logits[i] == logits[chosen] and i < chosen)
    ids[0] = rank
    found = 0
    for i in range(len(logits)):
        if found < count or logits[i] > logits[ids[found]]:
            found = min(found + 1, count)
            place = found
            while place > 1 and logits[i] > logits[ids[place - 1]]:
                ids[place] = ids[place - 1]
                place -= 1
            ids[place] = i
    log_total = math.log(total)
    figures[0] = log_total - product / total  # -sum p log p, p = weight / total
    figures[1] = logits[chosen] - largest - log_total
    for place in range(1, count + 1):
        figures[1 + place] = logits[ids[place]] - largest - log_total
    return ids, figures
