"""Speed and time left: robust against single slow steps, silent until there is something to go by."""

from datetime import timedelta
from pathlib import Path

import pytest

from nexus_tui.runs.run import Run
from nexus_tui.tui.pace import WARM_UP, pace
from tests.tui.fake_runs import FakeRun


def test_silent_during_the_first_steps_of_a_process(folder: Path) -> None:
    run = FakeRun(folder / "a", every=100)
    run.train(WARM_UP - 1)
    assert pace(Run(run.folder)) is None
    run.train(WARM_UP)
    assert pace(Run(run.folder)) is not None
    run.train(100)
    run.resume(100)
    run.train(100 + WARM_UP - 1)
    assert pace(Run(run.folder)) is None, "a resumed run has to warm up again"


def test_speed_is_that_of_the_recent_steps(folder: Path) -> None:
    run = FakeRun(folder / "a", seconds=4.0).train(100)
    run.seconds = 0.5
    run.train(160)
    found = pace(Run(run.folder))
    assert found is not None
    assert found.seconds == 0.5
    assert found.tokens_per_second == pytest.approx(2048 / 0.5)


def test_one_slow_step_moves_nothing(folder: Path) -> None:
    run = FakeRun(folder / "a", seconds=0.5).train(80)
    run.seconds = 60.0
    run.train(81)
    run.seconds = 0.5
    run.train(90)
    found = pace(Run(run.folder))
    assert found is not None
    assert found.seconds == 0.5


def test_the_time_left_counts_steps_and_evaluations_to_come(folder: Path) -> None:
    # An evaluation takes six seconds in a FakeRun. 550 steps are left, and evaluations at 600, 800 and 1,000.
    run = FakeRun(folder / "a", total=1000, every=200, seconds=1.0).train(450)
    found = pace(Run(run.folder))
    assert found is not None
    assert found.left == pytest.approx(550 * 1.0 + 3 * 6.0, abs=1e-3)


def test_a_night_s_pause_is_not_mistaken_for_an_evaluation(folder: Path) -> None:
    run = FakeRun(folder / "a", total=1000, every=100, seconds=1.0).train(300)
    run.now += timedelta(hours=8)
    run.train(450)
    found = pace(Run(run.folder))
    assert found is not None
    assert found.left == pytest.approx(550 + 6 * 6.0, abs=1e-3)


def test_without_a_plan_there_is_no_end(folder: Path) -> None:
    run = FakeRun(folder / "a").train(50)
    (run.folder / "run.toml").unlink()
    found = pace(Run(run.folder))
    assert found is not None and found.left is None
