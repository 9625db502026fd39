"""The learning rate of every step: a pure function of the configuration."""

from nexus_tui.config import RunConfig
from nexus_tui.runs import schedule


def learning_rate(config: RunConfig, step: int) -> float:
    """The rate that step `step` (from 1) trains with: linear warm-up, then the schedule's shape down to 0."""
    return schedule.learning_rate(
        step,
        peak=config.optimizer.lr,
        warmup=config.schedule.warmup,
        total=config.budget.steps,
        shape=config.schedule.shape,
    )
