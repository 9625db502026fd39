"""A recorded run that has weights goes on in a run of one's own; the record stays as it was."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from nexus_tui import train
from nexus_tui.analysis.movement import movement
from nexus_tui.config import RunConfig
from nexus_tui.lm.pretrained import load_model, save_model
from nexus_tui.runs.checkpoints import save_checkpoint
from nexus_tui.runs.journal import Journal, NotedEvent, SavedEvent
from nexus_tui.runs.run import Run
from nexus_tui.runs.subject import Subject
from nexus_tui.training.session import Session, SessionError
from tests.training.test_trainer import trained


@pytest.fixture
def recorded(tmp_path: Path, small: RunConfig) -> Run:
    """A run of 12 steps as it would be shipped: its record, and the weights of step 12 in bfloat16."""
    run = trained(tmp_path / "made", small)
    folder = tmp_path / "shipped" / "run"
    shutil.copytree(run.folder, folder, symlinks=True)
    shutil.rmtree(folder / "checkpoints")
    (folder / "best").unlink()
    lines = (run.folder / "journal.jsonl").read_text().splitlines()
    events = [json.loads(line) for line in lines]
    kinds = [event | ({"kind": "recorded"} if event["event"] == "started" else {}) for event in events]
    (folder / "journal.jsonl").write_text("".join(json.dumps(event) + "\n" for event in kinds))
    source = run.checkpoints["step_12"].path

    def write(target: Path) -> None:
        save_model(load_model(source), target, torch.bfloat16)
        shutil.copyfile(source / "tokenizer.json", target / "tokenizer.json")

    saved = save_checkpoint(folder / "checkpoints" / "step_12", 12, write)
    journal = Journal(folder / "journal.jsonl")
    journal.append(SavedEvent(step=12, checkpoint="step_12", sha256=saved.sha256, bytes=saved.bytes))
    journal.close()
    return Run.open(folder)


def test_it_begins_with_the_record_and_goes_on(recorded: Run, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in recorded.folder.rglob("*") if path.is_file()}
    session = Session.branch(recorded, tmp_path, "step_12", 16)
    session.join()
    assert session.error is None
    run = Run.open(tmp_path / "run-1")
    assert (run.kind, run.state, run.step, run.total_steps) == ("run", "finished", 16, 16)
    assert run.steps["step"].tolist() == list(range(1, 17))
    assert run.steps["loss"][:12].tolist() == recorded.steps["loss"].tolist()
    assert np.isfinite(run.steps["loss"]).all() and run.steps["lr"][12:].max() > 0
    assert [(branch.parent, branch.start) for branch in run.branches] == [(None, 0), (0, 12)]
    assert {name: run.weights(name) for name in ("step_4", "step_12", "step_16")} == {
        "step_4": "gone", "step_12": "here", "step_16": "here"
    }  # fmt: skip
    assert any(isinstance(e, NotedEvent) and "the optimizer begins anew" in e.text for e in run.log)
    assert run.checkpoints["step_16"].resumable
    assert {path: path.read_bytes() for path in recorded.folder.rglob("*") if path.is_file()} == before


def test_a_script_goes_on_with_it_too(recorded: Run, tmp_path: Path) -> None:
    run = train(resume=str(recorded.folder), runs=tmp_path, name="mine", steps=14)
    assert (run.folder, run.state, run.step) == (tmp_path / "mine", "finished", 14)


def test_what_moved_since_it_is_told(recorded: Run, tmp_path: Path) -> None:
    session = Session.branch(recorded, tmp_path, None, 14, "mine")
    session.join()
    run = Run.open(tmp_path / "mine")
    moved = movement(Subject(recorded, "step_12"), Subject(run, "step_14"))
    assert all(0 < row.change < 1 for row in moved.blocks)


@pytest.mark.parametrize(
    ("steps", "name", "said"),
    [
        (12, "", r"run is at step 12; say how far to go on, as in --steps 18"),
        (0, "", r"say how far to go on"),
        (16, "../x", r"cannot name a run"),
        (16, "made", r"there is a run made already"),
    ],
)
def test_what_cannot_be_is_said_and_nothing_written(
    recorded: Run, tmp_path: Path, steps: int, name: str, said: str
) -> None:
    before = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(SessionError, match=said):
        Session.branch(recorded, tmp_path, None, steps, name)
    assert sorted(path.name for path in tmp_path.iterdir()) == before
