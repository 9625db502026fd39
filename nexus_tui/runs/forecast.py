"""Forecast: what the next evaluations of a run will be, with an interval, and when there is nothing to say.

Nothing is carried over from one run to another but the method and its few constants: the candidate is
chosen by its errors within the run, from rolling origins (Tashman, International Journal of Forecasting 16,
2000), and the interval is as wide as would have held 80 % of its misses there (conformal prediction; Vovk,
Gammerman and Shafer, Algorithmic Learning in a Random World, 2005). Misses of one curve are not exchangeable:
the share is no theorem but is measured, by benchmarks/forecast.py.

Early in a long run a fit can say anything of the end, and its misses over short distances do not tell: what
lies beyond HORIZON is held back, and a candidate that says less than FLOOR of the newest loss is passed over.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nexus_tui.runs.fits import CANDIDATES, Axis, Floats, axis

NOMINAL = 0.8
"""Share of actual losses that the intervals are made to hold."""
LEAST = 4
"""Evaluations after warm-up before anything is forecast."""
ORIGINS = 24
"""Newest evaluations that the candidates are tried out from."""
PRIOR = {"last value": 1.0, "line in log step": 0.9, "annealing law": 0.7}
"""Expected error as a share of persistence's, while a run is too young to have shown it."""
PRIOR_WEIGHT = 2.0
"""How many misses of a run the prior counts as."""
GROWTH = 0.75
"""Misses are taken to grow with this power of the distance in log steps: between random walk and drift."""
ENOUGH = 3
"""Misses of the chosen candidate from which its interval can be read without help."""
STANDIN = 0.3
"""… and what a miss of persistence counts for where it stands in for one."""
HORIZON = 3.0
"""Times the newest step that a forecast goes; in benchmarks/curves it could be tried as far as 2.8."""
FLOOR = 0.5
"""Share of the newest loss under which a candidate is not believed; no curve there ends under 0.88 of it."""
REVERSAL = 3
"""Evaluations over which training loss falls while validation loss rises before a forecast is withdrawn."""


@dataclass(frozen=True)
class Prediction:
    """What the validation loss of one step will be, nats per token."""

    step: int
    value: float
    low: float
    high: float
    method: str
    data: str
    """What it was made from, in words."""


@dataclass(frozen=True)
class Forecast:
    """Predictions, and the reason why there are none, or none of the farthest target."""

    predictions: list[Prediction]
    withheld: str = ""


@dataclass(frozen=True)
class _Trial:
    """One candidate tried out within the run: what it would have said, from which origin, of which step."""

    misses: Floats
    """Predicted less actual, [pairs]."""
    persistence: Floats
    """The same of the last value, from the same origins, [pairs]."""
    distance: Floats
    """Log of the target's step less that of the origin's, [pairs]."""

    def relative_error(self, prior: float) -> float:
        """Mean absolute error as a share of persistence's, drawn to the prior while there are few pairs."""
        if not len(self.misses):
            return prior
        made, persisted = float(np.abs(self.misses).sum()), float(np.abs(self.persistence).sum())
        weight = PRIOR_WEIGHT * max(persisted / len(self.misses), 1e-12)
        return (made + prior * weight) / (persisted + weight)


def forecast(
    steps: Sequence[int],
    losses: Sequence[float],
    rates: Sequence[float] | Floats,
    targets: Sequence[int],
    *,
    warmup: int = 0,
    train: Sequence[float] = (),
) -> Forecast:
    """Predict the validation loss of every target step.

    `steps` and `losses` are the evaluations so far, `train` the training losses beside them (or nothing),
    `rates` [total + 1] the learning rate of every step of the run, past and to come (index 0 is unused).
    Targets that are not ahead, or that lie beyond the rates, are passed over; one beyond HORIZON is held
    back, and the reason says so beside what is forecast. A target's prediction is that of the best candidate
    that is believed there; persistence always is.
    """
    known = np.isfinite(np.asarray(losses, np.float64)) & (np.asarray(steps) > warmup)
    at, values = np.asarray(steps, np.int64)[known], np.asarray(losses, np.float64)[known]
    if reason := _withheld(at, values, steps, warmup, np.asarray(train)[known] if len(train) else None):
        return Forecast([], reason)
    coming = [target for target in targets if at[-1] < target < len(rates)]
    wanted = [target for target in coming if target <= HORIZON * at[-1]]
    points = axis(np.concatenate([at, np.asarray(wanted, np.int64)]), np.asarray(rates, np.float64))
    count = len(at)
    trials = {name: _try(name, points[:count], values) for name in CANDIDATES}
    ranked = sorted(trials, key=lambda name: trials[name].relative_error(PRIOR[name]))
    made = {name: CANDIDATES[name][1](points[:count], values, points[count:]) for name in ranked}
    data = f"{count} evaluations, steps {at[0]:,} to {at[-1]:,}"
    predictions = []
    for index, target in enumerate(wanted):
        believed = (name for name in ranked if made[name][index] >= FLOOR * values[-1])
        method = next(believed, "last value")
        value = float(made[method][index])
        half = _half_width(trials, method, math.log(target / at[-1]))
        predictions.append(Prediction(target, value, max(0.0, value - half), value + half, method, data))
    return Forecast(predictions, _too_far(coming, int(at[-1])))


def _too_far(coming: Sequence[int], newest: int) -> str:
    """Why the farthest target is held back; empty if it is not."""
    end = max(coming, default=newest)
    if end <= HORIZON * newest:
        return ""
    return (
        f"no forecast of step {end:,} before step {math.ceil(end / HORIZON):,}: "
        f"{newest:,} steps do not show what comes after so many more"
    )


def _withheld(
    at: npt.NDArray[np.int64], values: Floats, steps: Sequence[int], warmup: int, train: Floats | None
) -> str:
    """Why nothing is forecast; empty if something can be."""
    if not len(steps) or max(steps) <= warmup:
        return f"no forecast before the learning rate has warmed up, at step {warmup:,}"
    if len(at) < LEAST:
        return f"no forecast before {LEAST} evaluations after warm-up; there are {len(at)}"
    if train is not None and np.isfinite(train[-REVERSAL:]).all():
        rises, falls = np.diff(values[-REVERSAL:]) > 0, np.diff(train[-REVERSAL:]) < 0
        if rises.all() and falls.all():
            since = at[-REVERSAL]
            return (
                f"forecast withdrawn: since step {since:,} training loss falls while validation loss rises; "
                "what the curve did so far no longer says where it goes"
            )
    return ""


def _try(name: str, points: Axis, values: Floats) -> _Trial:
    """Let a candidate predict from every earlier evaluation what is now known."""
    need, fit = CANDIDATES[name]
    count = len(values)
    misses, persistence, distance = [], [], []
    for seen in range(max(need, count - ORIGINS), count):
        told = fit(points[:seen], values[:seen], points[seen:])
        misses.append(told - values[seen:])
        persistence.append(values[seen - 1] - values[seen:])
        distance.append(np.log(points.steps[seen:] / points.steps[seen - 1]))
    if not misses:
        return _Trial(np.empty(0), np.empty(0), np.empty(0))
    return _Trial(*(np.concatenate(part) for part in (misses, persistence, distance)))


def _half_width(trials: dict[str, _Trial], method: str, distance: float) -> float:
    """The distance from the prediction that held the nominal share of the run's own misses.

    While they are few, persistence's misses from the same evaluations stand in for those that lack, scaled
    by what the candidate is expected to be better.
    """
    own, common = (np.abs(t.misses) / t.distance**GROWTH for t in (trials[method], trials["last value"]))
    lacking = max(0, ENOUGH - len(own))
    pool = np.concatenate([own, STANDIN * np.sort(common)[::-1][:lacking]])
    rank = math.ceil((len(pool) + 1) * NOMINAL)
    return float(np.sort(pool)[min(rank, len(pool)) - 1]) * float(distance**GROWTH)
