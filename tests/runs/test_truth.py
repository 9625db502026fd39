"""The true best: not what came last, not what a resume remembers, and not what is gone."""

import math
import shutil
from collections.abc import Callable

import numpy as np
import pytest

from nexus_tui.runs import journal as j
from nexus_tui.runs import truth
from nexus_tui.runs.run import Run, RunError
from nexus_tui.runs.store import Runs, resolve

from .conftest import Writer


def best_step(w: Writer) -> int | None:
    ranked = truth.best(Run(w.folder))
    return ranked.evaluation.step if ranked else None


def test_the_reference_log_has_its_best_before_the_resume(reference_run: Writer) -> None:
    run = Run(reference_run.folder)
    assert best_step(reference_run) == 1400
    by_step = {r.evaluation.step: r for r in truth.ranking(run)}
    assert by_step[2000].delta == pytest.approx(0.0160)
    assert run.newest_checkpoint().step == 2000
    assert [r.tied for r in by_step.values()] == [None] * 8  # no windows on record: not known


def test_an_abandoned_branch_can_be_the_best(writer: Callable[..., Writer]) -> None:
    w = writer()
    for step, loss in ((10, 2.0), (20, 1.0)):
        w.save(step)
        w.evaluate(step, loss)
    w.resume(10)
    w.save(20, "step_20.1")
    w.evaluate(20, 1.5, "step_20.1")
    ranked = truth.best(Run(w.folder))
    assert ranked.evaluation.name == "step_20"


def test_weights_that_are_gone_are_not_the_best(reference_run: Writer) -> None:
    shutil.rmtree(reference_run.folder / "checkpoints" / "step_1400")
    assert best_step(reference_run) == 2000
    assert len(truth.ranking(Run(reference_run.folder))) == 8
    shutil.rmtree(reference_run.folder / "checkpoints")
    assert best_step(reference_run) is None


def test_a_loss_that_is_no_number_is_not_the_best(writer: Callable[..., Writer]) -> None:
    w = writer()
    for step, loss in ((1, 3.0), (2, -math.inf), (3, math.inf)):
        w.save(step)
        w.evaluate(step, loss)
    assert best_step(w) == 1
    assert len(truth.ranking(Run(w.folder))) == 3


def test_of_equal_losses_the_earlier_is_the_best(writer: Callable[..., Writer]) -> None:
    w = writer()
    for step in (1, 2):
        w.save(step)
        w.evaluate(step, 1.0)
    assert best_step(w) == 1


def test_other_windows_are_not_ranked_together(writer: Callable[..., Writer]) -> None:
    w = writer()
    w.save(1)
    w.evaluate(1, 0.5, protocol="shorter windows")
    w.save(2)
    w.evaluate(2, 1.0)
    assert best_step(w) == 2
    w.evaluate(1, 1.2)
    assert best_step(w) == 2
    assert len(truth.ranking(Run(w.folder))) == 2


def test_ties_are_told_by_pairs_of_windows(writer: Callable[..., Writer]) -> None:
    w = writer()
    windows = np.random.default_rng(0).normal(1.5, 0.3, 800)  # windows differ far more than checkpoints do
    noise = np.random.default_rng(1).normal(0, 0.05, 800)
    for step, losses in (
        (1, windows),
        (2, windows + noise - noise.mean() + 0.001),
        (3, windows + noise + 0.02),
    ):
        w.save(step)
        w.evaluate(step, float(losses.mean()), windows=losses)
    assert [(r.best, r.tied) for r in truth.ranking(Run(w.folder))] == [
        (True, None),
        (False, True),
        (False, False),
    ]


def test_names_resolve_to_checkpoints(reference_run: Writer) -> None:
    runs = Runs(reference_run.folder.parent)
    for reference, step in {
        "reference": 1400,
        "reference:best": 1400,
        "reference:last": 2000,
        "reference:800": 800,
    }.items():
        assert resolve(runs, reference)[1].step == step
    assert resolve(runs, str(reference_run.folder))[1].step == 1400
    with pytest.raises(RunError, match=r"no run nothing in .*; there are: reference"):
        resolve(runs, "nothing")
    with pytest.raises(RunError, match="keeps no checkpoint 7"):
        resolve(runs, "reference:7")
    assert [run.name for run in runs.refresh()] == ["reference"]


def test_a_recorded_run_is_believed_about_its_weights(writer: Callable[..., Writer]) -> None:
    w = writer()
    w.journal.append(j.StartedEvent(kind="recorded"))
    for step, loss in ((1, 2.0), (2, 1.0), (3, 0.5)):
        if step < 3:
            w.journal.append(j.SavedEvent(step=step, checkpoint=f"step_{step}"))
        w.evaluate(step, loss)
    run = Run(w.folder)
    assert (run.kind, run.state) == ("recorded", "recorded")
    by_step = {r.evaluation.step: r for r in truth.ranking(run)}
    assert {step: r.weights for step, r in by_step.items()} == {1: "elsewhere", 2: "elsewhere", 3: "gone"}
    assert by_step[2].best  # step 3 was never saved
    assert by_step[2].checkpoint is None
    with pytest.raises(RunError, match="run is a record without weights"):
        resolve(Runs(w.folder.parent), "run:best")


def test_equal_losses_are_tied_without_any_windows(writer: Callable[..., Writer]) -> None:
    w = writer()
    for step, loss in ((1, 1.0), (2, 1.0), (3, 1.1)):
        w.save(step)
        w.evaluate(step, loss)
    assert [r.tied for r in truth.ranking(Run(w.folder))] == [None, True, None]


def test_a_difference_has_an_interval_around_it(writer: Callable[..., Writer]) -> None:
    w = writer()
    text = np.random.default_rng(3).normal(1.5, 0.3, 400)
    for step, offset in ((1, 0.0), (2, 0.02)):
        losses = text + offset + np.random.default_rng(step).normal(0, 0.02, 400)
        w.save(step)
        w.evaluate(step, float(losses.mean()), windows=losses)
    _, second = truth.ranking(Run(w.folder))
    assert second.difference.low < second.delta < second.difference.high
    assert second.difference.mean == pytest.approx(second.delta, abs=1e-6)
    assert second.tied is (second.difference.low <= 0)
