"""Which checkpoints cannot be told from the best: paired over the validation text, all of them at once.

Two things make the naive test too sure. The best was picked because its mean is the lowest of several,
so that even equal checkpoints differ from it; and neighbouring windows come from the same scene of a
play, so that they are no independent draws. Hence blocks of consecutive windows as the units, and a
critical value for the largest of all differences from the lowest (multiple comparison with the best:
Hsu, Multiple Comparisons, 1996, chapter 4), stepped down as those that are clearly worse drop out.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

CONFIDENCE = 0.95
"""Of all verdicts of one run together: where checkpoints are equal, none is told from the best this often."""

BLOCKS = 10
"""Consecutive windows are averaged to this many blocks, the units that the error is estimated from.

Measured on a run over Tiny Shakespeare (871 windows of 128 bytes, ten checkpoints): the difference of
two neighbouring checkpoints has an autocorrelation of 0.1 from one window to the next, still 0.04 over
the next ten; its standard error over blocks of 32 windows is 1.2 to 1.8 times that over single ones.
Simulated with such windows, 10 blocks keep false separations to 6 to 7 % of runs at the nominal 5 %; 30
blocks give 9 to 16 %, single windows 25 to 96 %.
"""

_DRAWS, _AT_ONCE = 4000, 500


@dataclass(frozen=True)
class Difference:
    """How much higher a checkpoint's loss is than the best's, nats per token."""

    mean: float
    stderr: float
    """Standard error of the mean over blocks of the text."""
    low: float
    high: float
    """Simultaneous interval of CONFIDENCE: it allows for having picked the best of several."""

    @property
    def tied(self) -> bool:
        """Whether the two cannot be told apart."""
        return self.low <= 0 <= self.high


def differences(losses: "Mapping[str, np.ndarray[Any, Any]]", best: str) -> dict[str, Difference]:
    """Every checkpoint against the best, by name. `losses`: mean loss of each window, [windows] each.

    Those with another number of windows than the best, and all if it has fewer than two, are left out.
    """
    windows = len(losses[best])
    names = [name for name, each in losses.items() if name != best and len(each) == windows]
    if windows < 2 or not names:
        return {}
    apart = np.stack([losses[name] for name in names]).astype(np.float64) - losses[best].astype(np.float64)
    means = blocks(apart)
    mean, stderr = apart.mean(axis=1), means.std(axis=1, ddof=1) / np.sqrt(means.shape[1])
    half, left = np.zeros(len(names)), np.ones(len(names), bool)
    while left.any():
        half[left] = critical_value(int(left.sum()) + 1, means.shape[1]) * stderr[left]
        worse = left & (np.abs(mean) > half)
        if not worse.any():
            break
        left &= ~worse
    return {
        name: Difference(float(m), float(e), float(m - h), float(m + h))
        for name, m, e, h in zip(names, mean, stderr, half, strict=True)
    }


def blocks(losses: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
    """Means over BLOCKS stretches of consecutive windows: [checkpoints, windows] -> [checkpoints, blocks]."""
    edges = np.linspace(0, losses.shape[1], min(BLOCKS, losses.shape[1]) + 1).astype(int)
    means: np.ndarray[Any, Any] = np.add.reduceat(losses, edges[:-1], axis=1) / np.diff(edges)
    return means


@lru_cache
def critical_value(checkpoints: int, blocks: int) -> float:
    """How many standard errors part the lowest of equal checkpoints from any other at most, CONFIDENCE of the
    time.

    Simulated with a fixed seed, each pair with its own standard error over `blocks` blocks, as in
    `differences`. What all checkpoints of a block have in common cancels, so it need not be drawn.
    """
    random = np.random.default_rng(0)
    largest = []
    for _ in range(_DRAWS // _AT_ONCE):
        drawn = random.standard_normal((_AT_ONCE, checkpoints, blocks), dtype=np.float32)
        lowest = drawn.mean(axis=2).argmin(axis=1)
        drawn -= drawn[np.arange(_AT_ONCE), lowest][:, None]
        spread = drawn.std(axis=2, ddof=1)
        ratio = np.divide(drawn.mean(axis=2), spread, out=np.zeros_like(spread), where=spread > 0)
        largest.append(ratio.max(axis=1))
    return float(np.quantile(largest, CONFIDENCE) * np.sqrt(blocks))
