"""The paired test of two checkpoints as one of all pairs among several: intervals that hold all at once.

As in `ties`, the units are blocks of consecutive windows. There the question is which can be told from the
best; here it is every pair's, so the critical value is that of the largest of all pairs' differences, each
in its own standard errors (Tukey, The problem of multiple comparisons, 1953, has one common error for all;
checkpoints far apart in training differ far more noisily than neighbours, so each pair keeps its own).
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from nexus_tui.runs.ties import BLOCKS, CONFIDENCE, blocks
from nexus_tui.runs.token_losses import TokenLosses

_DRAWS, _AT_ONCE = 20_000, 1000
_PAIRS = 28
"""As many are kept, all of eight checkpoints: a screen asks again whenever something else becomes known."""


@dataclass(frozen=True)
class Apart:
    """How much higher one loss is than another over the same text."""

    mean: float
    low: float
    high: float
    """The interval; of all pairs of the comparison together, CONFIDENCE."""
    blocks: int
    """How many stretches of the text were the units."""
    bytes: int = 0
    """How much text was compared, where that is known."""


def paired(a: "np.ndarray[Any, Any]", b: "np.ndarray[Any, Any]", checkpoints: int = 2) -> Apart:
    """b less a: losses of the same windows, [windows] each; one pair of those among so many checkpoints.

    Raises ValueError for windows of unequal number, or fewer than two.
    """
    if a.shape != b.shape or a.ndim != 1 or len(a) < 2:
        raise ValueError(f"windows of shape {a.shape} and {b.shape} make no pairs")
    apart = b.astype(np.float64) - a.astype(np.float64)
    return _interval(float(apart.mean()), blocks(apart[None])[0], checkpoints)


def paired_bits(a: TokenLosses, b: TokenLosses, checkpoints: int = 2) -> Apart:
    """b less a in bits per byte of the text that both cover, whatever their tokens and windows.

    The text is cut into BLOCKS stretches of nearly equal length, each cut where a token ends in both. So
    both are scored on exactly the same bytes, and nothing is divided within a token.
    Raises ValueError, with a sentence's predicate about the two, if there is no such text.
    """
    bits, sizes = _stretches(a, b)
    size = int(sizes.sum())
    found = _interval(float(bits.sum()) / size, bits / sizes, checkpoints)
    return Apart(found.mean, found.low, found.high, found.blocks, size)


@lru_cache(_PAIRS)
def _stretches(a: TokenLosses, b: TokenLosses) -> "tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]":
    """Of each stretch of text how many bits more b costs than a, and its bytes: [stretches] each."""
    shared = min(len(a.text), len(b.text))
    if a.text[:shared] != b.text[:shared]:
        raise ValueError("were validated on different texts")
    ends = [np.concatenate(([each.start], each.ends)) for each in (a, b)]
    common = np.intersect1d(ends[0], ends[1])
    if len(common) < 3:
        raise ValueError("cut the text into tokens that share no ends")
    wanted = np.linspace(common[0], common[-1], BLOCKS + 1)
    after = np.searchsorted(common, wanted).clip(1, len(common) - 1)
    nearer = wanted - common[after - 1] < common[after] - wanted
    cuts = np.unique(np.where(nearer, common[after - 1], common[after]))
    if len(cuts) < 3:
        raise ValueError("share too little text")
    bits = [_bits_until(each, at, cuts) for each, at in zip((a, b), ends, strict=True)]
    return np.diff(bits[1] - bits[0]), np.diff(cuts)


def _bits_until(
    t: TokenLosses, ends: "np.ndarray[Any, Any]", cuts: "np.ndarray[Any, Any]"
) -> "np.ndarray[Any, Any]":
    """The bits that the targets up to each cut cost: [cuts]."""
    until = np.concatenate(([0.0], t.losses.ravel().astype(np.float64).cumsum())) / math.log(2)
    bits: np.ndarray[Any, Any] = until[np.searchsorted(ends, cuts, side="right") - 1]
    return bits


def _interval(mean: float, units: "np.ndarray[Any, Any]", checkpoints: int) -> Apart:
    count = len(units)
    half = critical_value(checkpoints, count) * float(units.std(ddof=1)) / math.sqrt(count)
    return Apart(mean, mean - half, mean + half, count)


@lru_cache
def critical_value(checkpoints: int, blocks: int) -> float:
    """How many of its standard errors the largest difference of any pair among equal checkpoints has at most,
    CONFIDENCE of the time. With two it is Student's t.

    Simulated with a fixed seed, each pair with its own standard error over `blocks` blocks, as in `paired`.
    What all checkpoints of a block have in common cancels, so it need not be drawn.
    """
    random = np.random.default_rng(0)
    first, second = np.triu_indices(checkpoints, 1)
    largest = []
    for _ in range(_DRAWS // _AT_ONCE):
        drawn = random.standard_normal((_AT_ONCE, checkpoints, blocks), dtype=np.float32)
        apart = drawn[:, first] - drawn[:, second]
        largest.append((np.abs(apart.mean(axis=2)) / apart.std(axis=2, ddof=1)).max(axis=1))
    return float(np.quantile(largest, CONFIDENCE) * math.sqrt(blocks))
