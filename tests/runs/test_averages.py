"""An average of checkpoints on record: ranked like any other, and no part of the run's training."""

import math
from datetime import UTC, datetime, timedelta

import pytest

from nexus_tui import console
from nexus_tui.runs import truth
from nexus_tui.runs.audit import Verdict, as_dict, audit
from nexus_tui.runs.averages import Parent, brief, parents, short, words
from nexus_tui.runs.checkpoints import link_best
from nexus_tui.runs.journal import ClaimedEvent, EvaluatedEvent, SavedEvent
from nexus_tui.runs.predictions import on_line
from nexus_tui.runs.report import facts, markdown
from nexus_tui.runs.run import Run, RunError
from nexus_tui.runs.store import Runs, find_step, resolve
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
    (found,), step = find_step(store, "reference:average_2000")
    assert (found.name, step) == ("reference", "average_2000")
    with pytest.raises(RunError, match="no run reference:average_1"):
        find_step(store, "reference:average_1")


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


def test_the_report_says_what_it_is_and_keeps_it_out_of_the_progress(averaged: Run) -> None:
    told = facts(averaged)
    row = next(row for row in told["checkpoints"] if row["checkpoint"] == "average_2000")
    assert (row["average"], row["best"], row["new_best"]) == ("average of 1600, 1800 and 2000", True, False)
    assert (row["train_loss"], row["lr"]) == (None, None)
    assert [each["checkpoint"] for each in told["checkpoints"]][-2:] == ["step_2000", "average_2000"]
    assert told["summary"]["best_checkpoint"] == "average_2000"
    assert (told["summary"]["final_loss"], told["summary"]["final_step"]) == (2.6472, 2000)
    assert told["gap"][-1]["gap"] == pytest.approx(0.3)
    assert "★" not in told["trend"]
    assert not any("2.6000" in note["text"] for each in told["progress"] for note in each["notes"])
    text = markdown(told)
    assert "| 2000 | – | – | 2.6000 | 13.46 |" in text
    assert "★ average of 1600, 1800 and 2000" in text
    assert "- `average_2000`: average of 1600, 1800 and 2000, SHA-256" in text
    assert "**2.6000 (average\\_2000)**" in text
    assert "- **Val loss**: 2.8293 → 2.7930 → 2.7724 → 2.7097 → 2.6312 → 2.6600 → 2.6523 → 2.6472\n" in text
    assert "Use `average_2000`, an average of 1600, 1800 and 2000: of the checkpoints" in text
    assert "to train more, resume from one of its parents" in text


def test_a_new_best_of_training_is_one_though_an_average_was_lower(reference_run: Writer) -> None:
    reference_run.average(["step_1800", "step_2000"], 2.60)
    reference_run.steps(2001, 2200)
    reference_run.save(2200)
    reference_run.evaluate(2200, 2.62)
    told = facts(Run(reference_run.folder))
    row = next(row for row in told["checkpoints"] if row["step"] == 2200)
    notes = [note["text"] for each in told["progress"] for note in each["notes"]]
    assert row["new_best"] and any("2.6200" in note and "new best" in note for note in notes)


def test_a_report_does_not_count_the_time_until_it_was_made(reference_run: Writer) -> None:
    before = facts(Run(reference_run.folder))["summary"]["seconds"]
    late = datetime.now(UTC) + timedelta(days=3)
    reference_run.journal.append(
        SavedEvent(time=late, step=2000, checkpoint="late", parents=("r:step_2000@0",), method="uniform"),
        EvaluatedEvent(time=late, step=2000, checkpoint="late", loss=2.0, protocol="p"),
    )
    assert facts(Run(reference_run.folder))["summary"]["seconds"] == before


def test_the_audit_calls_it_by_its_name(averaged: Run) -> None:
    link_best(averaged.folder, averaged.checkpoints["step_1400"])
    result = audit(averaged)
    (judged,) = result.judged
    assert judged.verdict == Verdict.STALE
    assert judged.reason == "average_2000 is better by 0.0312 nats per token."
    assert judged.cause == "it was the best until average_2000, and has not been updated since"
    told = as_dict(result)
    assert (told["best_checkpoint"], told["best_step"]) == ("average_2000", 2000)
    link_best(averaged.folder, averaged.checkpoints["average_2000"])
    assert audit(averaged).ok


def test_a_claim_about_its_step_is_about_what_was_trained(averaged: Run, reference_run: Writer) -> None:
    reference_run.journal.append(ClaimedEvent(name="best", step=2000, metric="loss", value=2.6472))
    (judged,) = audit(Run(averaged.folder)).judged
    assert judged.claim.checkpoint == "step_2000"


def test_the_list_of_checkpoints_names_it(averaged: Run, capsys: pytest.CaptureFixture[str]) -> None:
    row = console.checkpoint_rows(averaged)[-1]
    assert (row["checkpoint"], row["best"], row["lr"], row["train_loss"]) == (
        "average_2000",
        True,
        None,
        None,
    )
    assert [parent.split("@")[0] for parent in row["parents"]] == [
        "reference:step_1600",
        "reference:step_1800",
        "reference:step_2000",
    ]
    assert {tuple(row["parents"]) for row in console.checkpoint_rows(averaged)[:-1]} == {()}
    console.print_checkpoints(averaged)
    assert "average_2000: average of 1600, 1800 and 2000" in capsys.readouterr().out
    console.print_runs([averaged])
    assert "★ average_2000" in capsys.readouterr().out


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
    assert brief(saved, "other") == "ema 0.5 of my:run@home:1 and 2.1"
    assert parents(SavedEvent(step=1, checkpoint="b", parents=("no at or colon",))) == [
        Parent("", "", "no at or colon")
    ]
