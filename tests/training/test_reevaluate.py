"""A checkpoint's loss computed anew is the one on record; other weights or texts do not pass for it."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from typer.testing import CliRunner

from nexus_tui.cli import app
from nexus_tui.config import RunConfig
from nexus_tui.runs.run import Run, RunError
from nexus_tui.training.reevaluate import reevaluate
from nexus_tui.training.session import Session, SessionError


@pytest.fixture
def run(tmp_path: Path, small: RunConfig) -> Run:
    session = Session.start(tmp_path, small, "run")
    session.join()
    assert session.error is None, session.error
    return Run(session.folder)


def shell(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return result.exit_code, result.output


def test_the_loss_is_the_one_on_record(run: Run) -> None:
    told: list[tuple[int, int]] = []
    again = reevaluate(run, 8, lambda done, total: told.append((done, total)))
    assert again.agrees
    assert abs(again.difference) < 1e-6
    assert again.largest < 1e-5
    assert again.windows == len(run.window_losses("step_8"))
    assert told[-1] == (again.windows, again.windows)
    code, text = shell("audit", f"{run.folder}:8", "--reevaluate")
    assert code == 0
    assert "agrees  step 8:" in text
    code, text = shell("audit", run.folder, "--reevaluate", "--json")
    best = json.loads(text)
    assert best["reevaluation"]["step"] == best["best_step"]


def test_other_weights_do_not_pass(run: Run) -> None:
    path = run.folder / "checkpoints" / "step_8" / "model.safetensors"
    tensors = load_file(path)
    name = next(name for name, tensor in tensors.items() if tensor.ndim == 2)
    save_file(tensors | {name: tensors[name] * np.float32(1.3)}, path, {"format": "pt"})
    again = reevaluate(Run(run.folder), 8)
    assert not again.agrees
    assert abs(again.difference) > 1e-4
    assert shell("audit", f"{run.folder}:8", "--reevaluate")[0] == 1


def test_a_wrong_journal_does_not_pass(run: Run) -> None:
    journal = run.folder / "journal.jsonl"
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    for line in lines:
        if line["event"] == "evaluated":
            line["loss"] -= 0.01
    journal.write_text("".join(json.dumps(line) + "\n" for line in lines))
    again = reevaluate(Run(run.folder), 8)
    assert again.difference == pytest.approx(0.01, abs=1e-5)
    assert not again.agrees


def test_another_text_is_refused(run: Run, corpus: Path) -> None:
    corpus.write_text(corpus.read_text().replace("thee", "thou"))
    with pytest.raises(RunError, match="evaluated on another text, tokenizer or window"):
        reevaluate(run, 8)


def test_what_was_never_evaluated_or_is_gone_is_refused(run: Run) -> None:
    with pytest.raises(RunError, match="keeps no checkpoint 5"):
        reevaluate(run, 5)
    lines = (run.folder / "journal.jsonl").read_text().splitlines(keepends=True)
    kept = [line for line in lines if '"evaluated"' not in line]
    (run.folder / "journal.jsonl").write_text("".join(kept))
    with pytest.raises(RunError, match="step_8 of run was never evaluated"):
        reevaluate(Run(run.folder), 8)
    shutil.rmtree(run.folder / "checkpoints" / "step_8")
    with pytest.raises(RunError, match="keeps no checkpoint 8"):
        reevaluate(Run(run.folder), 8)


def test_a_recorded_run_is_not_resumed(tmp_path: Path) -> None:
    folder = tmp_path / "recorded"
    folder.mkdir()
    (folder / "journal.jsonl").write_text(
        '{"event":"started","kind":"recorded","time":"2026-01-01T00:00:00Z"}\n'
    )
    with pytest.raises(SessionError, match="goes on in a run of your own"):
        Session.resume(folder)
    with pytest.raises(SessionError, match="a record without weights"):
        Session.branch(Run(folder), tmp_path, None, 20)
