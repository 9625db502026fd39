"""Where a run's points stand: along steps, tokens, time and the clock, over resumes."""

from pathlib import Path

import numpy as np
import pytest

from nexus_tui.runs import journal as j
from nexus_tui.runs.run import Run
from nexus_tui.tui.metrics import BY_ID, metrics_of
from nexus_tui.tui.run_curves import expected
from nexus_tui.tui.run_points import AXES, RunPoints, axes_of
from nexus_tui.tui.view import Axis
from tests.tui.fake_runs import FakeRun


@pytest.fixture(scope="module")
def resumed(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """60 steps of 2 s; resumed from 40 and from 30, to 50; memory measured at every tenth step."""
    run = FakeRun(tmp_path_factory.mktemp("points") / "run", every=10, seconds=2.0)
    run.train(60)
    for start, end in ((40, 45), (30, 50)):
        run.end("stopped")
        run.resume(start)
        run.train(end)
    for step in (20, 40, 50):
        run.append(lambda t, step=step: j.MeasuredEvent(time=t, step=step, values={"memory": 1e6 * step}))
    return Run(run.folder)


@pytest.mark.parametrize("axis", AXES)
def test_what_counts_goes_only_forward_and_every_place_leads_back_to_its_step(
    resumed: Run, axis: Axis
) -> None:
    points = RunPoints(resumed, axis)
    x, loss = points.curve(BY_ID["loss"])
    assert len(x) == 50 and (np.diff(x) > 0).all()
    assert np.array_equal(loss, resumed.steps["loss"][resumed.canonical()])
    assert [points.where(place).step for place in x] == list(range(1, 51))
    assert [points.place_of(step) for step in range(1, 51)] == x.tolist()
    assert points.end == x[-1]
    left, _ = points.abandoned(BY_ID["loss"])
    assert len(left) == 30 + 5


def test_time_goes_on_where_a_branch_began(resumed: Run) -> None:
    points = RunPoints(resumed, "time")
    assert points.place(2, 31) == points.place(0, 31) == 62.0
    assert points.place(1, 41) == 82.0
    assert points.place(2, 10) == 20.0, "a step before the resume is that of what led to it"
    where = points.where(100.0)
    assert (where.step, where.tokens, where.seconds) == (50, 50 * 2048, 100.0)


def test_series_and_evaluations_stand_at_their_steps(resumed: Run) -> None:
    points = RunPoints(resumed, "tokens")
    x, memory = points.curve(BY_ID["memory"])
    assert x.tolist()[-2:] == [40 * 2048, 50 * 2048] and memory.tolist()[-1] == 5e7
    at, _ = points.evaluated(BY_ID["loss"], counts=True)
    assert at.tolist() == [step * 2048 for step in (10, 20, 30, 40, 50)]
    left, _ = points.evaluated(BY_ID["loss"], counts=False)
    assert left.tolist() == [step * 2048 for step in (40, 50, 60)]


def test_a_run_has_the_axes_and_metrics_that_its_record_has(resumed: Run, tmp_path: Path) -> None:
    assert axes_of(resumed) == AXES
    ids = [metric.id for metric in metrics_of(resumed)]
    assert ids == ["loss", "perplexity", "lr", "grad_norm", "speed", "gap", "memory", "bits_per_byte"]
    fresh = FakeRun(tmp_path / "fresh")
    assert axes_of(Run(fresh.folder)) == ("step",)
    fresh.hold()
    assert "cpu" in [metric.id for metric in metrics_of(Run(fresh.folder))], "it will have it before long"
    fresh.release()
    fresh.train(3)
    fresh.append(lambda t: j.MeasuredEvent(time=t, step=3, values={"learning_rate/head": 1.0, "acc": 0.5}))
    others = [(metric.id, metric.smooth) for metric in metrics_of(Run(fresh.folder))[-2:]]
    assert others == [("learning_rate/head", False), ("acc", True)]


@pytest.mark.parametrize(
    ("value", "low", "high", "text"),
    [
        (1.441, 1.421, 1.461, "1.44 ± 0.02"),
        (0.1, 0.0, 0.5, "0.10 (0.00–0.50)"),
        (20.0, 10.0, 40.0, "20.00 (10.00–40.00)"),
    ],
)
def test_a_forecast_is_told_as_it_is_on_record(value: float, low: float, high: float, text: str) -> None:
    assert expected(value, low, high, 6000)[2:] == (text, "forecast", "@6,000", True)
