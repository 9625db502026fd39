"""Cutting: a text into its two parts, tokens into batches to train on and fixed windows to evaluate on.

Targets are the inputs one token later, so a window of `window` tokens takes `window` + 1 tokens of text.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from nexus_tui.data.cache import CorpusError
from nexus_tui.data.corpus import Text
from nexus_tui.data.random import generator
from nexus_tui.data.shuffle import ROUNDS, permuted

Tokens = npt.NDArray[Any]
"""Ids: int32 in memory, or unsigned and as narrow as the vocabulary lets them be if they are mapped."""
Windows = npt.NDArray[np.int64]
Shuffle = Literal["sort", "feistel"]
"""How the slots of an epoch are put in order: by sorted random words, or without a list of them."""
WINDOWS_AT_ONCE = 1024
FEW = 1 << 22
"""Slots up to which they are sorted: 0.1 GB and half a second an epoch at most."""


@dataclass(frozen=True)
class Split:
    """The parts of a text, as bytes and in its order; `holdout` is mostly empty."""

    train: Text = field(repr=False)
    validation: Text = field(repr=False)
    holdout: Text = field(default=b"", repr=False)


def split(data: Text, validation: float = 0.1, holdout: float = 0.0) -> Split:
    """The first bytes to train on, the next `validation` of all to select on, the last `holdout` for neither.

    A character that a cut would divide goes to the part after it.
    """
    end = _cut(data, int(len(data) * (1 - holdout)))
    cut = _cut(data, int(len(data) * (1 - validation - holdout)))
    return Split(data[:cut], data[cut:end], data[end:])


def _cut(data: Text, at: int) -> int:
    """The last place up to `at` that divides no character."""
    while 0 < at < len(data) and data[at] & 0xC0 == 0x80:  # a continuation byte of UTF-8
        at -= 1
    return at


def usual_shuffle(tokens: int, window: int) -> Shuffle:
    """How a new run puts the slots of so many tokens in order."""
    return "sort" if tokens // window <= FEW else "feistel"


def batch(
    tokens: Tokens, window: int, size: int, seed: int, step: int, shuffle: Shuffle = "sort"
) -> tuple[Windows, Windows]:
    """The inputs and targets of one step: int64 [size, window] each; micro-batches are slices of them.

    A pure function of its arguments. Each epoch cuts the tokens into slots of one window, from a random
    phase on, and visits them in random order: every token is learned from once an epoch, but for less than
    two windows at the ends, where offsets drawn freely would miss 1/e of them. The phase is drawn anew each
    epoch, so a token meets different contexts. Steps may count from 0 or 1.
    Raises CorpusError if the tokens do not fill one window.
    """
    starts = window_starts(tokens, window, size, seed, step, shuffle)
    taken = tokens[starts[:, None] + np.arange(window + 1)].astype(np.int64)
    return taken[:, :-1], taken[:, 1:]


def window_starts(
    tokens: Tokens, window: int, size: int, seed: int, step: int, shuffle: Shuffle = "sort"
) -> npt.NDArray[np.int64]:
    """Where the windows of a step's `batch` begin among the tokens: [size]. Raises CorpusError likewise."""
    require_window(tokens, window, "training")
    slots = max(1, (len(tokens) - window) // window)
    epochs, places = np.divmod(step * size + np.arange(size, dtype=np.int64), slots)
    starts = np.empty(size, dtype=np.int64)
    for epoch in np.unique(epochs):
        here = epochs == epoch
        phase, slot = _epoch(seed, int(epoch), slots, len(tokens) - slots * window, shuffle, places[here])
        starts[here] = phase + window * slot
    return starts


def _epoch(
    seed: int, epoch: int, slots: int, phases: int, shuffle: Shuffle, places: npt.NDArray[np.int64]
) -> tuple[int, npt.NDArray[np.int64]]:
    """Where the epoch's first slot begins, in [0, phases), and which slots are at some places of it."""
    if shuffle == "sort":
        phase, order = _sorted(seed, epoch, slots, phases)
        return phase, order[places]
    words = generator(seed, "batches", epoch).bit_generator.random_raw(1 + ROUNDS)
    return int(words[0] % phases), permuted(places, slots, words[1:])


@lru_cache(maxsize=2)
def _sorted(seed: int, epoch: int, slots: int, phases: int) -> tuple[int, npt.NDArray[np.int64]]:
    """Where the epoch's first slot begins, and the order of its slots: [slots]."""
    # Raw words are Philox's own, the same in every version of numpy; `permutation` need not be.
    words = generator(seed, "batches", epoch).bit_generator.random_raw(slots + 1)
    return int(words[0] % phases), np.argsort(words[1:], kind="stable")


def validation_windows(tokens: Tokens, window: int) -> tuple[Tokens, Tokens]:
    """All full windows, one after the other, always the same: inputs and targets, [windows, window].

    They are int64, or a view as narrow as the tokens if those are mapped. The last tokens, too few for a
    window, are left out. Raises CorpusError if there is no full window.
    """
    require_window(tokens, window, "validation")
    count = (len(tokens) - 1) // window
    inputs = tokens[: count * window].reshape(count, window)
    targets = tokens[1 : count * window + 1].reshape(count, window)
    return (
        (inputs, targets) if tokens.dtype != np.int32 else (inputs.astype(np.int64), targets.astype(np.int64))
    )


def target_bytes(targets: Tokens, token_bytes: Sequence[bytes]) -> npt.NDArray[np.int64]:
    """How many bytes of text each window's targets cover, [windows]: what bits per byte divides by."""
    lengths = np.array([len(token) for token in token_bytes], dtype=np.int64)
    covered = np.empty(len(targets), np.int64)
    for start in range(0, len(targets), WINDOWS_AT_ONCE):
        part = slice(start, start + WINDOWS_AT_ONCE)
        covered[part] = lengths[targets[part]].sum(axis=1)
    return covered


def require_window(tokens: Tokens, window: int, part: str) -> None:
    """Raise CorpusError unless the tokens fill one window and its last target."""
    if len(tokens) < window + 1:
        raise CorpusError(
            f"The corpus is too short: its {part} part has {len(tokens):,} tokens and one window takes "
            f"{window + 1:,}: use a longer text or a smaller data.window."
        )
