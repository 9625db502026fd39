"""How good the forecast is, on real curves: `python -m benchmarks.forecast [--outside DIR]`.

Standing at every evaluation of every curve in turn, it predicts the next one and the end of the run, and is
held against what came and against persistence (the newest loss). The curves are short runs of this program
(tools/record_curves.py: `design` were looked at while the forecast was written, `test` were not), one full
run, and the byte-level run of the reference log. `--outside` adds a folder of transformers'
trainer_state.json files.
"""

import argparse
import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nexus_tui.resources import resource
from nexus_tui.runs.fits import Floats
from nexus_tui.runs.forecast import LEAST, forecast
from nexus_tui.runs.predictions import on_line, planned_rates
from nexus_tui.runs.run import Run
from nexus_tui.runs.schedule import learning_rate

CURVES = Path(__file__).parent / "curves"


@dataclass(frozen=True)
class Curve:
    """The evaluations of one run; `rates` [total + 1] is the learning rate of every step."""

    name: str
    use: str
    steps: list[int]
    losses: list[float]
    train: list[float]
    rates: Floats
    warmup: int


@dataclass(frozen=True)
class Tried:
    """One prediction of a backtest and what came, in nats per token."""

    error: float
    persistence: float
    inside: bool
    following: bool
    """Of the next evaluation; else of the end of the run."""
    method: str


def recorded_curves() -> Iterator[Curve]:
    """The curves in benchmarks/curves."""
    for path in sorted(CURVES.glob("*.json")):
        told = json.loads(path.read_text("utf-8"))
        schedule = {
            "peak": told["lr"],
            "warmup": told["warmup"],
            "total": told["steps"],
            "shape": told["shape"],
        }
        rates = np.array([learning_rate(step, **schedule) for step in range(told["steps"] + 1)])
        columns = {key: [e[key] for e in told["evaluations"]] for key in ("step", "loss", "train_loss")}
        yield Curve(
            path.stem,
            told["use"],
            columns["step"],
            columns["loss"],
            columns["train_loss"],
            rates,
            told["warmup"],
        )


def reference_curve() -> Curve:
    """The byte-level run of the reference log."""
    run = Run.open(resource("assets", "runs", "shakespeare-byte"))
    line = on_line(run)
    return Curve(
        run.name,
        "design",
        [e.step for e in line],
        [e.loss for e in line],
        [e.train_loss for e in line],
        planned_rates(run, run.total_steps),
        int(run.setting("schedule.warmup")),
    )


def outside_curves(folder: Path) -> Iterator[Curve]:
    """`eval_loss` of transformers' trainer states with at least LEAST + 2 evaluations and a learning rate."""
    for path in sorted(folder.rglob("*.json")):
        try:
            history = json.loads(path.read_text("utf-8"))["log_history"]
        except (ValueError, KeyError, TypeError):
            continue
        rows = [row for row in history if isinstance(row, dict)]
        losses = {r["step"]: r["eval_loss"] for r in rows if isinstance(r.get("eval_loss"), float)}
        rates = {r["step"]: r["learning_rate"] for r in rows if isinstance(r.get("learning_rate"), float)}
        steps = sorted(step for step in losses if step > 0 and math.isfinite(losses[step]))
        if len(steps) < LEAST + 2 or len(rates) < 2:
            continue
        known = sorted(rates)
        every = np.interp(np.arange(steps[-1] + 1), known, [rates[step] for step in known])
        if every.max() <= 0:
            continue
        train = {r["step"]: r["loss"] for r in rows if isinstance(r.get("loss"), float)}
        beside = [train.get(step, math.nan) for step in steps]
        name = path.stem.partition("__")[2] or path.stem
        warmup = int(np.argmax(every))
        yield Curve(name[:28], "outside", steps, [losses[step] for step in steps], beside, every, warmup)


def backtest(curve: Curve) -> tuple[list[Tried], int]:
    """Every prediction that could have been made, and how often the forecast was withdrawn."""
    tried, withdrawn = [], 0
    for count in range(1, len(curve.steps)):
        targets = sorted({curve.steps[count], curve.steps[-1]})
        made = forecast(
            curve.steps[:count],
            curve.losses[:count],
            curve.rates,
            targets,
            warmup=curve.warmup,
            train=curve.train[:count],
        )
        withdrawn += "withdrawn" in made.withheld
        for prediction in made.predictions:
            actual = curve.losses[curve.steps.index(prediction.step)]
            tried.append(
                Tried(
                    abs(prediction.value - actual),
                    abs(curve.losses[count - 1] - actual),
                    prediction.low <= actual <= prediction.high,
                    prediction.step == curve.steps[count],
                    prediction.method,
                )
            )
    return tried, withdrawn


def standing_at(curve: Curve, step: int) -> tuple[float, float]:
    """Mean absolute error over all later evaluations, standing at one; and persistence's."""
    count = curve.steps.index(step) + 1
    known, ahead = curve.losses[:count], curve.steps[count:]
    made = forecast(curve.steps[:count], known, curve.rates, ahead, warmup=curve.warmup).predictions
    actual = np.array(curve.losses[count:])
    errors = np.abs(np.array([prediction.value for prediction in made]) - actual)
    return float(errors.mean()), float(np.abs(known[-1] - actual).mean())


def line(name: str, tried: Iterable[Tried], withdrawn: int = 0) -> str:
    """One line of the table."""
    rows = list(tried)
    if not rows:
        return f"{name:28}  {'no forecast' + (', withdrawn' if withdrawn else '')}"
    error, persistence = (float(np.mean([getattr(r, k) for r in rows])) for k in ("error", "persistence"))
    shares = [
        np.mean([r.inside for r in rows if r.following == following] or [math.nan])
        for following in (True, False)
    ]
    law = sum(r.method == "annealing law" for r in rows) / len(rows)
    return (
        f"{name:28} {len(rows):4} {error:8.4f} {persistence:11.4f} {error / persistence:6.2f} "
        f"{np.mean([r.inside for r in rows]):8.0%} {shares[0]:6.0%} {shares[1]:6.0%} {law:6.0%}"
        + (f"  withdrawn {withdrawn}×" if withdrawn else "")
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.forecast", description=__doc__)
    parser.add_argument("--outside", type=Path, help="a folder of trainer_state.json files")
    outside = parser.parse_args().outside
    curves = [*recorded_curves(), reference_curve()]
    if outside:
        curves += outside_curves(outside)
    print(
        f"{'curve':28} {'n':>4} {'error':>8} {'persistence':>11} {'ratio':>6} {'in 80 %':>8} {'next':>6} "
        f"{'end':>6} {'law':>6}"
    )
    results = {curve.name: (curve, *backtest(curve)) for curve in curves}
    for use in ("design", "test", "outside"):
        chosen = [result for result in results.values() if result[0].use == use]
        for curve, tried, withdrawn in chosen:
            print(line(curve.name, tried, withdrawn))
        if chosen:
            pooled = [t for _, tried, _ in chosen for t in tried]
            print(line(f"= {use}, {len(chosen)} curves", pooled, sum(result[2] for result in chosen)), "\n")
    ours = [t for curve, tried, _ in results.values() if curve.use != "outside" for t in tried]
    print(line("= design and test", ours))
    error, persistence = standing_at(reference_curve(), 1200)
    print(
        f"\nThe reference log's byte-level run, standing at step 1200, over 1400 to 2000: mean error "
        f"{error:.4f}, persistence {persistence:.4f}, the log's own predictions 0.0696."
    )


if __name__ == "__main__":
    main()
