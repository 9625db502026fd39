"""What can be drawn of a run: each quantity's name, unit, how it is written, and what it is made of."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from nexus_tui.runs.run import Evaluation, Run
from nexus_tui.tui import format as fmt
from nexus_tui.tui.safe import plain

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Metric:
    """One measured quantity: its line is `values` or a series of the run, its points are `evaluated`."""

    id: str
    """As the journal calls it, if the journal does."""
    title: str
    unit: str = ""
    format: Callable[[float | None], str] = fmt.value
    values: Callable[[Run], Array] | None = None
    """A value for every row of the run's steps."""
    evaluated: Callable[[Evaluation], float] | None = None
    """A value for an evaluation; NaN if it says nothing."""
    of_loss: Callable[[float], float] | None = None
    """What a validation loss is in it, where it is one: forecasts are losses."""
    series: bool = False
    """Whether the run's series of this name is its line."""
    ranks: bool = False
    """Whether the true best has a star in it."""
    color: str = "train"
    smooth: bool = True
    label: str = ""
    unit_of: Callable[[Run], str] | None = None
    """What stands in the unit's place, where it differs from run to run."""


def _perplexity(run: Run) -> Array:
    return np.asarray(np.exp(np.minimum(run.steps["loss"], 700.0)))


def _speed(run: Run) -> Array:
    steps = run.steps
    tokens = np.diff(steps["tokens"], prepend=0).astype(np.float64)
    back = np.flatnonzero(tokens <= 0)  # the first step after a resume counts from another place
    tokens[back] = tokens[np.minimum(back + 1, len(tokens) - 1)]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(tokens / steps["seconds"])


def _exp(loss: float) -> float:
    return math.exp(min(loss, 700.0)) if math.isfinite(loss) else math.nan


def _cores(value: float | None) -> str:
    return fmt.MISSING if value is None or not math.isfinite(value) else f"{value:.2f}"


def _whole(value: float | None) -> str:
    return fmt.MISSING if value is None or not math.isfinite(value) else f"{value:.0f}"


def _of_card(run: Run) -> str:
    """How much memory the GPU has that a run was trained on last."""
    total = run.series("gpu_memory_total").value
    return f"of {fmt.size(float(total[-1]))}" if len(total) else ""


METRICS: tuple[Metric, ...] = (
    Metric(
        "loss", "loss", "nats/token", fmt.loss, lambda run: run.steps["loss"], lambda e: e.loss, float,
        ranks=True, label="train",
    ),
    Metric(
        "perplexity", "perplexity", "", fmt.perplexity, _perplexity, lambda e: _exp(e.loss), _exp,
        ranks=True, label="train",
    ),
    Metric(
        "lr", "learning rate", "", fmt.learning_rate, lambda run: run.steps["lr"],
        color="rate", smooth=False,
    ),
    Metric("grad_norm", "gradient norm", "", fmt.value, lambda run: run.steps["grad_norm"], color="note"),
    Metric("speed", "speed", "tokens/s", fmt.count, _speed, color="muted"),
    Metric("gap", "gap", "val – train", fmt.delta, evaluated=lambda e: e.loss - e.train_loss, color="val"),
    Metric(
        "gpu_memory", "GPU memory", "", fmt.size, unit_of=_of_card, series=True, color="rate", smooth=False
    ),
    Metric("gpu_utilization", "GPU utilisation", "%", _whole, series=True, color="muted"),
    Metric("gpu_power", "GPU power", "W", _whole, series=True, color="note"),
    Metric("gpu_temperature", "GPU temperature", "°C", _whole, series=True, color="warn", smooth=False),
    Metric("memory", "memory", "", fmt.size, series=True, color="rate", smooth=False),
    Metric("cpu", "CPU", "cores", _cores, series=True, color="muted"),
    Metric("bits_per_byte", "bits per byte", "", fmt.loss, evaluated=lambda e: e.bits_per_byte, ranks=True),
)  # fmt: skip
"""What this program measures, in the usual order."""

BY_ID = {metric.id: metric for metric in METRICS}
_ELSEWHERE = {"validation_loss", "gpu_memory_total"}
"""Series that are the points, or the unit, of another metric."""
_USUAL = ("loss", "perplexity", "lr", "grad_norm", "speed", "gap", "memory", "cpu")
"""What a run that is being trained is sure to have before long: the board is laid out once."""
_OF_GPU = ("gpu_memory", "gpu_utilization", "gpu_power", "gpu_temperature")
"""What one that is trained on a GPU may have; the first measurement says what the card tells of it."""
_SMOOTH_ALREADY = re.compile(r"(^|[/_.\- ])(lr|learning_rate|learning rate|epoch|momentum|beta\d*)\b", re.I)


def metrics_of(run: Run) -> list[Metric]:
    """The metrics that a run carries, in the usual order; then whatever else is on its record."""
    carried = set(run.metrics)
    known = [metric for metric in METRICS if _has(run, metric, carried)]
    others = [name for name in run.metrics if name not in BY_ID and name not in _ELSEWHERE]
    return [*known, *(_other(run, name) for name in others)] or [METRICS[0]]


def _has(run: Run, metric: Metric, carried: set[str]) -> bool:
    if metric.id in _USUAL and not run.foreign and (run.holder or run.state == "new"):
        return True
    if metric.id in _OF_GPU and run.holder and "cpu" not in carried:
        return run.kind == "run" and run.device is not None and run.device.device != "cpu"
    if metric.id in ("loss", "perplexity"):
        return bool(carried & {"loss", "validation_loss"})
    if metric.id == "speed":
        return bool(np.any(run.steps["tokens"] > 0) and np.any(run.steps["seconds"] > 0))
    if metric.id == "gap":
        return any(math.isfinite(e.loss - e.train_loss) for e in run.trained)
    return metric.id in carried


def _other(run: Run, name: str) -> Metric:
    """A metric that this program knows nothing about, such as another tool's."""
    if any(name in evaluation.event.metrics for evaluation in run.evaluations):
        return Metric(name, plain(name), color="val", series=True, smooth=False)
    return Metric(name, plain(name), series=True, smooth=not _SMOOTH_ALREADY.search(name))
