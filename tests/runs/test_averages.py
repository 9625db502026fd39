"""An average of checkpoints on record: ranked like any other, and no part of the run's training."""

import math

import pytest

from nexus_tui.runs import truth
from nexus_tui.runs.averages import Parent, parents, short, words
from nexus_tui.runs.journal import SavedEvent
from nexus_tui.runs.predictions import on_line
from nexus_tui.runs.run import Run, RunError
from nexus_tui.runs.store import Runs, resolve
from tests.runs.conftest import Writer


@pytest.fixture
def averaged(reference_run: Writer) -> Run:
    """The reference run with an average of its last three that scores lower than all."""
    reference_run.average(["step_1600", "step_1800", "step_2000"], 2.60)
    return Run(reference_run.folder)


def test_it_is_the_best_if_its_loss_is_the_lowest(averaged: Run) -> None:
    best = truth.best(averaged)
    assert best is not None
    assert best.checkpoint is averaged.checkpoints["average_2000"]
    assert best.evaluation.title == "average_2000"
    assert math.isnan(best.evaluation.train_loss)
    _, checkpoint = resolve(Runs(averaged.folder.parent), "reference")
    assert checkpoint.name == "average_2000"


def test_training_never_goes_on_from_it(averaged: Run) -> None:
    assert averaged.newest_checkpoint() is averaged.checkpoints["step_2000"]
    store = Runs(averaged.folder.parent)
    assert resolve(store, "reference:last")[1].name == "step_2000"
    assert resolve(store, "reference:2000")[1].name == "step_2000"
    assert resolve(store, "reference:average_2000")[1].name == "average_2000"


def test_a_step_whose_weights_are_gone_is_not_its_average(averaged: Run) -> None:
    (averaged.folder / "checkpoints" / "step_2000" / "manifest.json").unlink()
    run = Run(averaged.folder)
    with pytest.raises(RunError, match=r"keeps no checkpoint 2000; it has: .*1800, average_2000\.$"):
        run.checkpoint(2000)
    newest = run.newest_checkpoint()
    assert newest is not None and newest.step == 1800


def test_no_curve_and_no_forecast_has_it(averaged: Run) -> None:
    assert averaged.series("validation_loss").value.tolist()[-1] == 2.6472
    assert averaged.evaluations[-1].averaged
    assert averaged.trained == averaged.evaluations[:-1]
    assert [e.loss for e in on_line(averaged)][-1] == 2.6472


def test_it_stands_on_the_branch_of_its_last_parent(reference_run: Writer) -> None:
    reference_run.average(["step_600", "step_800"], 2.78)
    reference_run.resume(2000)
    reference_run.average(["step_1600", "step_1800"], 2.64, "late")
    run = Run(reference_run.folder)
    assert len(run.branches) == 3
    assert {name: run.branch_of(name) for name in ("average_800", "late")} == {"average_800": 0, "late": 1}
    assert [e.branch for e in run.evaluations if e.averaged] == [0, 1]


def test_parents_are_read_whatever_runs_are_called(reference_run: Writer) -> None:
    saved = SavedEvent(
        step=2, checkpoint="a", method="ema 0.5", parents=("my:run@home:step_1@abc", "other:step_2.1@def")
    )
    assert parents(saved) == [Parent("my:run@home", "step_1", "abc"), Parent("other", "step_2.1", "def")]
    assert tuple(map(str, parents(saved))) == saved.parents
    assert words(saved, "other") == "average of my:run@home:1 and 2.1, ema 0.5"
    assert short(saved) == "average of 2"
    assert parents(SavedEvent(step=1, checkpoint="b", parents=("no at or colon",))) == [
        Parent("", "", "no at or colon")
    ]
