"""What is on record of a run as columns, for scripts and notebooks: numpy, pandas or polars."""

import importlib
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from nexus_tui.runs.run import Run

Columns = dict[str, "np.ndarray[Any, Any]"]


def columns(run: "Run", what: str = "steps") -> Columns:
    """The columns of `steps`, of `evaluations`, or of one metric of `run.metrics`; of equal length each.

    `steps`: `step`, `loss` (nats per token), `lr`, `grad_norm`, `tokens` (so far), `seconds` (of the step),
    `time` (datetime64[ms], UTC), `branch`. `evaluations`: `step`, `checkpoint`, `loss` and `stderr` (nats per
    token), `bits_per_byte`, `perplexity`, `train_loss`, `branch`, `averaged`, and the metrics that came with
    them. A metric: `step`, its name, `branch`. What is not on record is NaN.
    Raises KeyError for another name.
    """
    if what == "steps":
        return _steps(run)
    if what == "evaluations":
        return _evaluations(run)
    if what not in run.metrics:
        raise KeyError(f"{run.name} has no metric {what}; it has: {', '.join(run.metrics) or 'none'}")
    series = run.series(what)
    return {"step": series.step, what: series.value, "branch": series.branch}


def _steps(run: "Run") -> Columns:
    names = ("step", "loss", "lr", "grad_norm", "tokens", "seconds", "time", "branch")
    found: Columns = {name: run.steps[name] for name in names}
    found["time"] = (found["time"] * 1e3).round().astype("datetime64[ms]")
    return found


def _evaluations(run: "Run") -> Columns:
    events = run.evaluations
    numbers = ("loss", "stderr", "bits_per_byte", "perplexity", "train_loss")
    others = dict.fromkeys(name for each in events for name in each.event.metrics)
    return {
        "step": np.array([each.step for each in events], np.int64),
        "checkpoint": np.array([each.name for each in events], np.str_),
        **{name: np.array([getattr(each, name) for each in events], np.float64) for name in numbers},
        "branch": np.array([each.branch for each in events], np.int32),
        "averaged": np.array([each.averaged for each in events], np.bool_),
        **{name: np.array([each.event.metrics.get(name) for each in events], np.float64) for name in others},
    }


def pandas(run: "Run", what: str = "steps") -> Any:
    """`columns` as a pandas.DataFrame. Raises ImportError, and says so, where pandas is not installed."""
    return _library("pandas").DataFrame(columns(run, what))


def polars(run: "Run", what: str = "steps") -> Any:
    """`columns` as a polars.DataFrame. Raises ImportError, and says so, where polars is not installed."""
    return _library("polars").DataFrame(columns(run, what))


def _library(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise ImportError(f"{name} is not installed: pip install {name}, or use run.columns().") from None
