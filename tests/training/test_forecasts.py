"""What the trainer predicts is on record before it happens, stays as it was, and ends in the report."""

from pathlib import Path

import pytest

from nexus_tui.config import RunConfig
from nexus_tui.runs import journal as j
from nexus_tui.runs import predictions, report
from nexus_tui.runs.forecast import LEAST
from nexus_tui.runs.run import Run
from nexus_tui.training import trainer
from nexus_tui.training.session import Session


@pytest.fixture
def often(small: RunConfig) -> RunConfig:
    """Twelve steps, evaluated after every second."""
    tables = small.model_dump()
    tables["evaluation"]["every"] = tables["checkpoint"]["every"] = 2
    tables["sampling"]["prompts"] = ()
    return RunConfig.check(tables, "test")


def trained(folder: Path, config: RunConfig) -> Run:
    session = Session.start(folder, config, "run")
    session.join()
    assert session.error is None, session.error
    return Run(session.folder)


def test_predictions_are_journalled_before_what_they_are_about(tmp_path: Path, often: RunConfig) -> None:
    run = trained(tmp_path, often)
    evaluated, made = set(), []
    for event in run.log:
        if isinstance(event, j.EvaluatedEvent):
            evaluated.add(event.step)
        elif isinstance(event, j.PredictedEvent):
            assert event.target not in evaluated
            assert event.step == max(evaluated)
            made.append((event.step, event.target))
    assert len([step for step in evaluated if step > often.schedule.warmup]) > LEAST
    assert made == [(10, 12)]
    (row,) = predictions.judged(run)
    assert row.actual == run.evaluations[-1].loss
    assert row.persisted == run.evaluations[-2].loss


def test_the_finished_run_has_its_report(tmp_path: Path, often: RunConfig) -> None:
    run = trained(tmp_path, often)
    text = (run.folder / report.REPORT).read_text("utf-8")
    assert text == report.markdown(report.facts(run))
    assert "Finished at step 12 of 12." in text
    assert "`best` claims to be the best" in text
    assert "**TRUE**" in text or "**TIED**" in text


def test_a_forecast_or_report_that_fails_costs_no_run(
    tmp_path: Path, often: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(trainer, "predicted_events", fail)
    monkeypatch.setattr(trainer, "write_report", fail)
    run = trained(tmp_path, often)
    assert run.state == "finished"
    faults = [event.message for event in run.log if isinstance(event, j.FaultedEvent)]
    assert "report.md could not be written: the disk is full" in faults
    assert "there is no forecast after step 10: the disk is full" in faults
