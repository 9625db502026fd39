"""The learning rate of every step, from plain numbers: the trainer follows it, the forecast looks ahead."""

import math

SHAPES = ("cosine", "linear", "constant")


def learning_rate(step: int, *, peak: float, warmup: int, total: int, shape: str) -> float:
    """The rate that step `step` (from 1) trains with: linear warm-up, then the schedule's shape down to 0.

    Cosine: Loshchilov and Hutter, SGDR, arXiv 1608.03983, equation 5, one period. Raises ValueError for a
    shape that is none of SHAPES.
    """
    if shape not in SHAPES:
        raise ValueError(f"there is no schedule {shape!r}; there are: {', '.join(SHAPES)}.")
    if step < warmup:
        return peak * step / warmup
    if shape == "constant":
        return peak
    progress = min(1.0, (step - warmup) / max(total - warmup, 1))
    if shape == "linear":
        return peak * (1.0 - progress)
    return peak * 0.5 * (1.0 + math.cos(math.pi * progress))
