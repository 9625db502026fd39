"""The learning rate of every step: a pure function of the configuration and of how many are planned."""

from nexus_tui.config import RunConfig
from nexus_tui.runs import schedule


def learning_rate(config: RunConfig, step: int, total: int = 0) -> float:
    """The rate that step `step` (from 1) trains with: linear warm-up, then the schedule's shape down to 0.

    `total` steps are planned, by default those of the configuration.
    """
    return schedule.learning_rate(
        step,
        peak=config.optimizer.lr,
        warmup=config.schedule.warmup,
        total=total or config.budget.steps,
        shape=config.schedule.shape,
    )
