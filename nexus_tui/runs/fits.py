"""Curves through the evaluations of a run, each a way to say what later ones will be.

Three candidates: the last value, a line in the logarithm of the step, and the law of Tissue, Wang and Wang
(arXiv 2408.11029), L = L0 + A·S1^-α - C·S2, which knows the learning rate: S1 is the area under it up to a
step, S2 the area of its annealing, in which each fall of the rate goes on counting, fading by λ a step.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

ALPHAS = (0.25, 0.35, 0.5, 0.7, 1.0)
"""Exponents tried; the paper's fits lie near 0.5."""
LAMBDAS = (0.5, 0.9, 0.97, 0.99)
"""Fading of the annealing tried; the paper's 0.99 to 0.999 are for runs of ten thousands of steps."""
NOISE = 0.01
"""Nats: grid points whose fits differ by less than this have about the same say."""
NEIGHBOURS = 3
"""Evaluations that the local line goes through."""


@dataclass(frozen=True)
class Axis:
    """Evaluated steps as the candidates see them, [points] each; `s2` is [lambdas, points]."""

    steps: Ints
    s1: Floats
    s2: Floats

    def __getitem__(self, part: slice) -> "Axis":
        return Axis(self.steps[part], self.s1[part], self.s2[:, part])


def axis(steps: Ints, rates: Floats) -> Axis:
    """Areas under the learning rate up to each step, in units of steps at the peak rate.

    `rates` [total + 1] holds the rate of every step (index 0 is unused); `steps` [points] index it. A rise
    of the rate (warm-up) is no annealing.
    """
    relative = np.array(rates, np.float64)
    relative[0] = 0.0
    relative /= max(float(relative.max()), 1e-300)
    falls = np.maximum(0.0, -np.diff(relative, prepend=0.0))
    s2 = np.stack([np.cumsum(_faded(falls, fading))[steps] for fading in LAMBDAS])
    return Axis(steps, np.cumsum(relative)[steps], s2)


def _faded(falls: Floats, fading: float) -> Floats:
    """m[i] = fading·m[i-1] + falls[i]: [steps] -> [steps]."""
    faded, momentum = np.empty_like(falls), 0.0
    for index, fall in enumerate(falls.tolist()):
        momentum = fading * momentum + fall
        faded[index] = momentum
    return faded


def last_value(_seen: Axis, losses: Floats, ahead: Axis) -> Floats:
    """The newest loss, for every step ahead: persistence, the baseline."""
    return np.full(len(ahead.steps), losses[-1])


def log_linear(seen: Axis, losses: Floats, ahead: Axis) -> Floats:
    """A line in log step through the newest evaluations; it never rises."""
    x, y = np.log(seen.steps[-NEIGHBOURS:]), losses[-NEIGHBOURS:]
    spread = x - x.mean()
    slope = min(0.0, float(spread @ (y - y.mean())) / max(float(spread @ spread), 1e-12))
    return np.asarray(y.mean() + slope * (np.log(ahead.steps) - x.mean()), np.float64)


def annealing_law(seen: Axis, losses: Floats, ahead: Axis) -> Floats:
    """L0 + A·S1^-α - C·S2 with A, C >= 0, by least squares for every α and λ of a grid.

    The grid's predictions are averaged with weights (squared error + NOISE²)^(-points/2): few evaluations
    do not tell one exponent from another, and the best of them alone would swing with the noise.
    """
    count = len(losses)
    columns = np.stack(
        [_columns(seen, ahead, alpha, index) for alpha in ALPHAS for index in range(len(LAMBDAS))]
    )
    weights, errors = non_negative(columns[:, :count], losses, free=1)
    predicted = np.einsum("gpk,gk->gp", columns[:, count:], weights)
    say = (errors / count + NOISE**2) ** (-count / 2)
    return np.asarray(say @ predicted / say.sum(), np.float64)


def _columns(seen: Axis, ahead: Axis, alpha: float, index: int) -> Floats:
    """The law's columns at the points seen and ahead, each of a size near one: [points, 3]."""
    s1 = np.concatenate([seen.s1, ahead.s1]) / seen.s1[0]
    s2 = np.concatenate([seen.s2[index], ahead.s2[index]])
    return np.stack([np.ones_like(s1), s1**-alpha, -s2 / max(float(s2.max()), 1e-9)], 1)


def non_negative(columns: Floats, values: Floats, free: int = 0) -> tuple[Floats, Floats]:
    """Least squares with weights >= 0 but for the first `free`, for many matrices at once.

    [grid, points, k], [points] -> weights [grid, k], squared errors [grid]. Exact for few columns: of every
    set of columns kept, the best whose weights are all allowed.
    """
    grid, _, count = columns.shape
    best, error = np.zeros((grid, count)), np.full(grid, float(values @ values))
    for size in range(count - free + 1):
        for kept in combinations(range(free, count), size):
            chosen = [*range(free), *kept]
            if not chosen:
                continue
            part = columns[:, :, chosen]
            gram = np.einsum("gpi,gpj->gij", part, part) + 1e-9 * np.eye(len(chosen))
            solved = np.linalg.solve(gram, np.einsum("gpi,p->gi", part, values)[..., None])[..., 0]
            missed = ((values - np.einsum("gpi,gi->gp", part, solved)) ** 2).sum(1)
            better = (solved[:, free:] >= 0).all(1) & (missed < error * (1 - 1e-9))
            error[better] = missed[better]
            best[better] = 0.0
            best[np.ix_(better, chosen)] = solved[better]
    return best, error


Fit = Callable[[Axis, Floats, Axis], Floats]
CANDIDATES: dict[str, tuple[int, Fit]] = {
    "last value": (1, last_value),
    "line in log step": (3, log_linear),
    "annealing law": (3, annealing_law),
}
"""By name: how many evaluations it needs, and the fit."""
