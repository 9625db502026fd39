"""How often equal checkpoints are told apart, nominally 5 % of comparisons, and how often different ones."""

import argparse
from itertools import combinations
from typing import Any

import numpy as np

from nexus_tui.runs.pairs import paired

WINDOWS, NOISE, REAL = 871, 0.05, 0.012
"""Windows of the reference run's validation text; scatter of one's loss, and a real difference, in nats."""
Losses = np.ndarray[Any, np.dtype[np.float64]]


def drawn(random: np.random.Generator, count: int, slow: float) -> Losses:
    """Losses of equal checkpoints, [checkpoints, windows]; `slow` of their scatter lasts some 30 windows."""
    own = random.normal(0, NOISE, (count, WINDOWS))
    drift = random.normal(0, 1, (count, WINDOWS + 29))
    smooth = np.stack([np.convolve(row, np.full(30, 30**-0.5), "valid") for row in drift])
    return 2 + own + slow * NOISE * smooth


def told_apart(losses: Losses) -> bool:
    """Whether any pair has a verdict."""
    for a, b in combinations(losses, 2):
        apart = paired(a, b, len(losses))
        if apart.low > 0 or apart.high < 0:
            return True
    return False


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--repetitions", type=int, default=1000)
    repetitions = parser.parse_args().repetitions
    print(
        f"| checkpoints | equal, independent windows | equal, windows that resemble their neighbours "
        f"| one better by {REAL} nats |\n|---:|---:|---:|---:|"
    )
    for count in (2, 4, 8):
        cells = []
        for slow, better in ((0.0, 0.0), (0.3, 0.0), (0.0, REAL)):
            random = np.random.default_rng(count)
            hits = 0
            for _ in range(repetitions):
                losses = drawn(random, count, slow)
                losses[0] -= better
                hits += told_apart(losses)
            cells.append(f"{hits / repetitions:.1%}")
        print(f"| {count} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
