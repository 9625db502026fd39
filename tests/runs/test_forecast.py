"""The forecast: its candidates, when it speaks, what it is worth, and that it is never rewritten."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.forecast import CURVES, backtest, recorded_curves, reference_curve, standing_at
from nexus_tui.runs import fits
from nexus_tui.runs import journal as j
from nexus_tui.runs.forecast import LEAST, NOMINAL, forecast
from nexus_tui.runs.predictions import (
    judged,
    on_line,
    planned_rates,
    predict,
    predicted_events,
    score,
    upcoming,
)
from nexus_tui.runs.run import Run
from nexus_tui.runs.schedule import learning_rate

from .conftest import Writer

TOTAL = 2000


def rates(shape: str = "cosine", total: int = TOTAL) -> np.ndarray:
    return np.array(
        [learning_rate(s, peak=1e-3, warmup=100, total=total, shape=shape) for s in range(total + 1)]
    )


def law(steps: list[int], schedule: np.ndarray) -> list[float]:
    """Losses that follow the law exactly."""
    points = fits.axis(np.array(steps), schedule)
    return (2.5 + 12 * points.s1**-0.5 - 0.008 * points.s2[fits.LAMBDAS.index(0.99)]).tolist()


# The candidates ----------------------------------------------------------------------------------


def test_areas_are_those_of_the_paper() -> None:
    schedule = rates("linear", 300)
    points = fits.axis(np.array([150, 300]), schedule)
    relative = schedule / schedule.max()
    for place, step in enumerate((150, 300)):
        assert math.isclose(points.s1[place], relative[1 : step + 1].sum(), rel_tol=1e-12)
        for row, fading in enumerate(fits.LAMBDAS):
            area = sum(
                max(0.0, relative[k - 1] - relative[k]) * fading ** (i - k)
                for i in range(1, step + 1)
                for k in range(1, i + 1)
            )
            assert math.isclose(points.s2[row, place], area, rel_tol=1e-9, abs_tol=1e-12)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 1))
def test_non_negative_least_squares_meets_its_optimality_conditions(seed: int, free: int) -> None:
    random = np.random.default_rng(seed)
    columns, values = random.normal(size=(3, 9, 3)), random.normal(size=9)
    weights, errors = fits.non_negative(columns, values, free=free)
    for matrix, found, error in zip(columns, weights, errors, strict=True):
        missed = values - matrix @ found
        assert math.isclose(missed @ missed, error, rel_tol=1e-6)
        pull = matrix.T @ missed  # Karush, Kuhn and Tucker: no column that could help is left at zero
        assert (found[free:] >= 0).all()
        assert (np.abs(pull[:free]) < 1e-5).all()
        assert (pull[free:] < 1e-5).all()
        assert (np.abs(pull[free:] * found[free:]) < 1e-5).all()


@pytest.mark.parametrize("shape", ["cosine", "linear", "constant"])
def test_a_run_that_follows_the_law_is_foretold_by_it(shape: str) -> None:
    steps = list(range(200, TOTAL + 1, 200))
    losses = law(steps, rates(shape))
    made = forecast(steps[:6], losses[:6], rates(shape), steps[6:], warmup=100).predictions
    assert {prediction.method for prediction in made} == {"annealing law"}
    for prediction, actual in zip(made, losses[6:], strict=True):
        assert abs(prediction.value - actual) < 0.15 * abs(losses[5] - actual)


def test_the_law_knows_that_the_rate_will_fall() -> None:
    """The same evaluations, once with annealing still to come and once without."""
    steps = list(range(200, 1601, 200))
    falling = np.concatenate([rates("constant", 1200), np.linspace(1e-3, 0, 801)[1:]])
    losses = law(steps, falling)
    ahead = forecast(steps[:7], losses[:7], falling, [2000], warmup=100).predictions[0]
    held = np.concatenate([falling[:1401], np.full(600, falling[1400])])
    without = forecast(steps[:7], losses[:7], held, [2000], warmup=100).predictions[0]
    assert ahead.method == without.method == "annealing law"
    assert ahead.value < without.value


def test_where_nothing_moves_the_last_value_is_the_forecast() -> None:
    steps = list(range(200, 2001, 200))
    noise = [2.0, 2.01, 1.99, 2.005, 2.0, 1.995, 2.01, 2.0]
    made = forecast(steps[:8], noise, rates("constant"), [1800, 2000], warmup=100).predictions
    assert all(abs(p.value - 2.0) < 0.02 and p.low < 2.0 < p.high for p in made)
    assert made[0].high - made[0].low < made[1].high - made[1].low < 0.2


# When it speaks ----------------------------------------------------------------------------------


def test_nothing_is_said_before_warm_up_has_ended_and_four_evaluations_exist() -> None:
    steps, losses = list(range(50, 401, 50)), [4.0, 3.5, 3.2, 3.0, 2.9, 2.8, 2.7, 2.6]
    for count in range(len(steps) + 1):
        told = forecast(steps[:count], losses[:count], rates(), [450], warmup=100)
        after = sum(step > 100 for step in steps[:count])
        assert bool(told.predictions) == (after >= LEAST)
        assert bool(told.withheld) == (after < LEAST)
        if count <= 2:
            assert "warmed up" in told.withheld
        elif after < LEAST:
            assert f"there are {after}" in told.withheld


def test_it_is_withdrawn_when_training_falls_while_validation_rises() -> None:
    steps, losses = list(range(200, 1401, 200)), [3.0, 2.8, 2.7, 2.65, 2.66, 2.70, 2.75]
    train = [2.9, 2.6, 2.4, 2.2, 2.1, 2.0, 1.9]
    told = forecast(steps, losses, rates(), [1600], warmup=100, train=train)
    assert not told.predictions
    assert "withdrawn: since step 1,000 training loss falls while validation loss rises" in told.withheld
    assert forecast(steps, losses, rates(), [1600], warmup=100).predictions
    assert forecast(steps, losses, rates(), [1600], warmup=100, train=train[::-1]).predictions
    assert forecast(steps[:5], losses[:5], rates(), [1600], warmup=100, train=train[:5]).predictions


def test_an_evaluation_that_is_no_number_is_no_evidence() -> None:
    steps, losses = list(range(200, 1401, 200)), [3.0, 2.8, math.nan, 2.65, 2.6, 2.57, 2.55]
    made = forecast(steps, losses, rates(), [1600], warmup=100).predictions[0]
    kept = [i for i in range(7) if i != 2]
    clean = forecast([steps[i] for i in kept], [losses[i] for i in kept], rates(), [1600], warmup=100)
    assert made == clean.predictions[0]
    assert made.data == "6 evaluations, steps 200 to 1,400"


def test_targets_behind_or_beyond_the_schedule_are_passed_over() -> None:
    steps, losses = list(range(200, 1001, 200)), [3.0, 2.8, 2.7, 2.65, 2.6]
    made = forecast(steps, losses, rates(), [800, 1000, 1200, TOTAL + 1], warmup=100).predictions
    assert [prediction.step for prediction in made] == [1200]


def test_the_end_of_a_long_run_is_held_back_until_a_third_of_it_is_seen() -> None:
    """A steep start of 6,000 steps: the line in log step through it would end below zero."""
    steps, losses = [50, 100, 150, 200, 250], [3.1, 2.75, 2.45, 2.22, 2.02]
    schedule = rates("cosine", 6000)
    told = forecast(steps, losses, schedule, [300, 6000], warmup=20)
    assert [prediction.step for prediction in told.predictions] == [300]
    assert 1.6 < told.predictions[0].value <= 2.02
    assert told.withheld.startswith("no forecast of step 6,000 before step 2,000: 250 steps")
    assert not forecast(steps, losses, schedule, [6000], warmup=20).predictions
    assert not forecast(steps, losses, schedule, [300, 750], warmup=20).withheld


@pytest.mark.parametrize("said", [-0.4, 0.0, 0.19, math.nan])
def test_a_fit_that_comes_near_zero_is_passed_over(said: float, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = list(range(200, 1201, 200))
    losses = law(steps, rates())
    _, sound = fits.CANDIDATES["annealing law"]

    def absurd_at_the_end(seen: fits.Axis, known: fits.Floats, ahead: fits.Axis) -> fits.Floats:
        return np.where(ahead.steps == TOTAL, said, sound(seen, known, ahead))

    monkeypatch.setitem(fits.CANDIDATES, "annealing law", (3, absurd_at_the_end))
    following, end = forecast(steps, losses, rates(), [1400, TOTAL], warmup=100).predictions
    assert (following.method, end.method) == ("annealing law", "line in log step")
    assert 0.5 * losses[-1] < end.low < end.value < losses[-1]


# What it is worth --------------------------------------------------------------------------------


def test_over_real_curves_it_beats_persistence_and_its_intervals_hold_what_they_say() -> None:
    curves = [*recorded_curves(), reference_curve()]
    assert len(curves) >= 12
    assert len({curve.name for curve in curves}) == len(curves)
    for curve in curves:
        assert len(curve.steps) >= LEAST + 2
    tried = {curve.name: backtest(curve)[0] for curve in curves}
    for use in ("design", "test"):
        pooled = [t for curve in curves if curve.use == use for t in tried[curve.name]]
        error, persistence = (np.mean([getattr(t, k) for t in pooled]) for k in ("error", "persistence"))
        assert error < 0.75 * persistence
        assert 0.7 <= np.mean([t.inside for t in pooled]) <= 0.9


def test_on_the_recorded_run_it_beats_persistence_and_the_logs_own_predictions() -> None:
    error, persistence = standing_at(reference_curve(), 1200)
    assert f"{persistence:.4f}" == "0.0620"
    assert error < persistence < 0.0696


def test_the_curves_say_how_they_were_made() -> None:
    for path in CURVES.glob("*.json"):
        told = json.loads(path.read_text("utf-8"))
        assert told["command"].startswith("nexus-tui train --model nexus-")
        assert told["use"] in ("design", "test")
        for row in told["evaluations"]:
            planned = learning_rate(
                row["step"], peak=told["lr"], warmup=told["warmup"], total=told["steps"], shape=told["shape"]
            )
            assert math.isclose(row["lr"], planned, rel_tol=1e-9, abs_tol=1e-15)


# On a run's record -------------------------------------------------------------------------------

TOML = """[optimizer]
lr = 1e-3
[schedule]
warmup = 100
shape = "cosine"
[budget]
steps = 2000
[evaluation]
every = 200
"""


@pytest.fixture
def run(writer: Callable[..., Writer]) -> Writer:
    """Evaluated five times, every 200 steps of 2,000."""
    made = writer()
    (made.folder / "run.toml").write_text(TOML)
    advance(made, 200, 1000)
    return made


def advance(w: Writer, first: int, last: int, offset: float = 0.0) -> None:
    steps = list(range(200, TOTAL + 1, 200))
    for step, loss in zip(steps, law(steps, rates()), strict=True):
        if first <= step <= last:
            rate = float(rates()[step])
            w.journal.append(j.StepEvent(step=step, loss=loss - 0.1, lr=rate))
            w.save(step, f"step_{step}.{offset}")
            w.evaluate(step, loss + offset, f"step_{step}.{offset}")


def test_the_next_evaluation_and_the_end_are_predicted(run: Writer) -> None:
    opened = Run(run.folder)
    assert upcoming(opened) == [1200, 2000]
    assert [prediction.step for prediction in predict(opened).predictions] == [1200, 2000]
    events = predicted_events(opened)
    assert [(event.step, event.target) for event in events] == [(1000, 1200), (1000, 2000)]
    run.journal.append(*events)
    opened.refresh()
    assert predicted_events(opened) == []
    advance(run, 1200, 2000)
    opened.refresh()
    assert "come to its end" in predict(opened).withheld
    rows = judged(opened)
    assert [row.event for row in rows] == events
    actual = {e.step: e.loss for e in opened.evaluations}
    assert [(row.actual, row.persisted) for row in rows] == [
        (actual[1200], actual[1000]),
        (actual[2000], actual[1000]),
    ]
    total = score(rows)
    assert (total.decided, total.intervals, total.nominal) == (2, 2, NOMINAL)
    assert total.hits == sum(row.event.low <= row.actual <= row.event.high for row in rows)  # type: ignore
    assert math.isclose(
        total.error, np.mean([abs(row.event.value - actual[row.event.target]) for row in rows])
    )
    assert total.error < 0.2 * total.persistence


def test_a_forecast_knows_only_what_was_on_record(run: Writer) -> None:
    now = predict(Run(run.folder))
    advance(run, 1200, 2000, offset=0.5)
    assert Run(run.folder).step == 2000
    lines = (run.folder / "journal.jsonl").read_bytes().splitlines(keepends=True)
    cut = next(i for i, line in enumerate(lines) if b'"step":1200' in line)
    (run.folder / "journal.jsonl").write_bytes(b"".join(lines[:cut]))
    assert predict(Run(run.folder)) == now


def test_a_resume_from_before_a_prediction_leaves_it_undecided(run: Writer) -> None:
    run.journal.append(*predicted_events(Run(run.folder)))
    run.resume(600, "step_600.0.0")
    advance(run, 800, 1200, offset=0.3)
    (first, _) = judged(Run(run.folder))
    assert (first.event.target, first.actual) == (1200, None)


def test_a_resume_from_its_step_or_later_decides_it(run: Writer) -> None:
    run.journal.append(*predicted_events(Run(run.folder)))
    run.resume(1000, "step_1000.0.0")
    advance(run, 1200, 1200, offset=0.3)
    opened = Run(run.folder)
    (first, end) = judged(opened)
    assert first.actual == opened.evaluations[-1].loss
    assert (end.actual, end.inside) == (None, None)


def test_only_the_line_to_the_newest_weights_is_evidence(run: Writer) -> None:
    run.resume(600, "step_600.0.0")
    advance(run, 800, 800, offset=0.3)
    found = on_line(Run(run.folder))
    assert [(e.step, e.branch) for e in found] == [(200, 0), (400, 0), (600, 0), (800, 1)]


def test_a_rate_scaled_by_hand_stays_scaled(run: Writer) -> None:
    run.journal.append(j.StepEvent(step=1001, loss=2.0, lr=float(rates()[1001]) / 4))
    planned = planned_rates(Run(run.folder), TOTAL)
    assert np.allclose(planned[:1001], rates()[:1001])
    assert np.allclose(planned[1001:], rates()[1001:] / 4)


def test_a_run_that_tells_no_schedule_keeps_its_newest_rate(writer: Callable[..., Writer]) -> None:
    w = writer()
    for step in (100, 200, 300, 400, 500):
        w.journal.append(j.StepEvent(step=step, loss=2.0, lr=1e-3))
        w.evaluate(step, 3 - step / 1000)
    run = Run(w.folder)
    assert upcoming(run) == [600]
    assert planned_rates(run, 600).tolist() == [1e-3] * 601
    (prediction,) = predict(run).predictions
    assert prediction.step == 600


def test_a_run_without_evaluations_has_no_forecast(writer: Callable[..., Writer], tmp_path: Path) -> None:
    assert "before the first evaluation" in predict(Run(writer().folder)).withheld
