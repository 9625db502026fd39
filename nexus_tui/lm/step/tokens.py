"""The step through all layers."""

# Types are for Numba to infer: mypy takes intrinsics for ordinary functions.
# mypy: ignore-errors

from __future__ import annotations

import numpy as np

from nexus_tui.lm.selective_scan.compiled import kernel, part
from nexus_tui.lm.selective_scan.tiles import LANES, take
from nexus_tui.lm.step.attention import attention
from nexus_tui.lm.step.mamba import mamba
from nexus_tui.lm.step.products import SET, feed_forward, norm, times
from nexus_tui.lm.step.vectors import zeros


@part
def _read(size, weights, attends, embedding, ids, homes, rooms, lengths, logits):
    """One more token of each of a few texts, on this thread."""
    texts, hidden = len(ids), size.hidden_padded
    x = zeros(texts * hidden)
    for text in range(texts):
        for i in range(size.hidden):
            x[text * hidden + i] = embedding[ids[text], i]
    # Heads are put side by side: what pads the last of them may stand after the last row.
    normed, wide = zeros(texts * hidden + LANES), zeros(texts * size.wide)
    selected, dt = zeros(texts * size.selected_padded), zeros(texts * size.channels_padded)
    most = rooms[0]
    for room in rooms:
        most = max(most, room)
    scores = zeros(most)
    at = place = number = np.int64(0)  # not plain 0, for which all would be compiled again
    for layer in range(len(attends)):
        if attends[layer]:
            at = attention(texts, size, weights, at, x, normed, wide, scores, homes, rooms, lengths, number)
            number += 1
        else:
            at = mamba(texts, size, weights, at, x, normed, wide, selected, dt, homes, place)
            place += (size.taps - 1 + size.states_padded) * size.channels_padded
        at = feed_forward(texts, size, weights, at, x, normed, wide)
    at = norm(texts, size, weights, at, x, normed)
    vocabulary = size.vocabulary_padded
    times(texts, weights, at, size.hidden, vocabulary, normed, hidden, logits, vocabulary, SET)


@kernel
def step(counter, items, size, weights, attends, embedding, ids, homes, rooms, lengths, logits):
    """Read one more token of each text, in `items` groups of texts; each group reads all weights.

    size is a `Sizes`; weights flat, attends [layer] whether it is attention, embedding [vocabulary, hidden].
    Of each text: ids, homes (the address of its memory), rooms and lengths (positions that its attention has
    room for, and that are taken; one must be free). logits, flat [text, padded vocabulary], are set.
    """
    share = (len(ids) + items - 1) // items
    while True:
        item = take(counter)
        if item >= items:
            break
        first, last = item * share, min((item + 1) * share, len(ids))
        if first < last:
            width = size.vocabulary_padded
            _read(
                size, weights, attends, embedding, ids[first:last], homes[first:last], rooms[first:last],
                lengths[first:last], logits[first * width : last * width],
            )  # fmt: skip
