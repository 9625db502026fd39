"""The order of an epoch without a list of it: a permutation of any size, of which single places are asked."""

from typing import Any

import numpy as np
import numpy.typing as npt

ROUNDS = 6
"""Words of a key. Four rounds make a permutation that is as good as random if the round's function is."""


def permuted(places: npt.NDArray[np.int64], count: int, key: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
    """Where a permutation of 0 … count - 1 takes some places: the same shape. `key` is uint64 [ROUNDS].

    A Feistel network permutes the smallest square of a power of two that holds them all; a place that it
    takes beyond `count` is taken on until it is within, which is fewer than four times on average.

    Source: Luby and Rackoff, How to construct pseudorandom permutations (1988); Black and Rogaway, Ciphers
    with arbitrary finite domains (2002), for walking the cycle.
    """
    half = np.uint64(max(1, (max(count - 1, 1).bit_length() + 1) // 2))
    mask = (np.uint64(1) << half) - np.uint64(1)
    found = places.astype(np.uint64)
    outside = np.ones(found.shape, bool)
    while outside.any():
        left, right = found[outside] >> half, found[outside] & mask
        for word in key:
            left, right = right, left ^ (_mixed(right ^ word) & mask)
        found[outside] = (left << half) | right
        outside = found >= np.uint64(count)
    return found.astype(np.int64)


def _mixed(words: npt.NDArray[np.uint64]) -> Any:
    """Words of 64 bits, each changed by every bit of itself.

    Source: the finalizer of SplitMix64; Steele et al., Fast splittable pseudorandom number generators (2014).
    """
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))
