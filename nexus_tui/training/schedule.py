"""The learning rate of every step: a pure function of the configuration."""

import math

from nexus_tui.config import RunConfig


def learning_rate(config: RunConfig, step: int) -> float:
    """The rate that step `step` (from 1) trains with: linear warm-up, then the schedule's shape down to 0.

    Cosine: Loshchilov and Hutter, SGDR, arXiv 1608.03983, equation 5, one period.
    """
    peak, warmup, total = config.optimizer.lr, config.schedule.warmup, config.budget.steps
    if step < warmup:
        return peak * step / warmup
    if config.schedule.shape == "constant":
        return peak
    progress = min(1.0, (step - warmup) / (total - warmup))
    if config.schedule.shape == "linear":
        return peak * (1.0 - progress)
    return peak * 0.5 * (1.0 + math.cos(math.pi * progress))
