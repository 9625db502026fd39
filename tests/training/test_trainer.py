"""Training: the journal it writes, and that stopping, resuming and watching change nothing."""

import dataclasses
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numba
import numpy as np
import pytest
import torch

from nexus_tui.config import RegularizationConfig, RunConfig
from nexus_tui.data.corpus import load_corpus
from nexus_tui.data.dataset import prepare
from nexus_tui.lm.pretrained import load_model
from nexus_tui.runs import journal as j
from nexus_tui.runs import truth
from nexus_tui.runs.lock import RunLockedError
from nexus_tui.runs.run import Run
from nexus_tui.training import control as c
from nexus_tui.training import trainer
from nexus_tui.training.evaluation import summary, validation
from nexus_tui.training.learner import Kept, Learner
from nexus_tui.training.schedule import learning_rate
from nexus_tui.training.session import Session, SessionError


def trained(folder: Path, config: RunConfig, name: str = "run") -> Run:
    session = Session.start(folder, config, name)
    session.join()
    assert session.error is None, session.error
    return Run(session.folder)


def losses(run: Run) -> list[tuple[int, float, float]]:
    """Step, loss and gradient norm on the line that led to the newest weights."""
    mask = run.canonical()
    steps = run.steps
    return list(zip(steps["step"][mask], steps["loss"][mask], steps["grad_norm"][mask], strict=True))


def weights(run: Run) -> str:
    newest = run.newest_checkpoint()
    assert newest
    return newest.sha256


def test_a_run_has_on_record_all_that_happened(tmp_path: Path, small: RunConfig) -> None:
    run = trained(tmp_path, small)
    assert run.state == "finished"
    assert run.steps["step"].tolist() == list(range(1, 13))
    assert run.steps["tokens"].tolist() == [step * 4 * 16 for step in range(1, 13)]
    assert run.steps["lr"].tolist() == [learning_rate(small, step) for step in range(1, 13)]
    assert [e.step for e in run.evaluations] == list(run.setting("evaluation.every") * np.arange(1, 4))
    assert list(run.checkpoints) == ["step_4", "step_8", "step_12"]
    assert [(s.step, s.prompt) for s in run.samples] == [(4, "Shall"), (8, "Shall"), (12, "Shall")]
    assert run.steps["loss"][-1] < run.steps["loss"][0]
    assert run.started
    assert run.started.corpus_sha256 == load_corpus(small.data.corpus).sha256
    assert RunConfig.check(run.config, "run.toml") == small
    best = truth.best(run)
    assert best
    assert best.evaluation.loss == min(e.loss for e in run.evaluations)
    assert (run.folder / "best").resolve().name == best.evaluation.name
    for checkpoint in run.checkpoints.values():
        checkpoint.verify()


def test_compiling_is_on_record_only_where_something_is_compiled(
    tmp_path: Path, small: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = small.model_copy(update={"budget": small.budget.model_copy(update={"steps": 1})})

    def said(run: Run) -> int:
        return (run.folder / "journal.jsonl").read_text().count("compiling kernels (once on this machine)")

    monkeypatch.setattr(trainer.compiling, "for_sampling", lambda: subprocess.Popen(["true"]))
    trained(tmp_path, config, "loads")  # or compiles, in a process that has compiled nothing yet
    assert said(trained(tmp_path, config, "has")) == 0
    monkeypatch.setattr(trainer, "warm_up", lambda: numba.njit(lambda x: x + 1)(1))
    assert said(trained(tmp_path, config, "compiles")) == 1


def test_an_evaluation_is_the_mean_over_all_windows_of_the_validation_text(
    tmp_path: Path, small: RunConfig
) -> None:
    run = trained(tmp_path, small)
    dataset = prepare(load_corpus(small.data.corpus), "byte")
    model = load_model(run.checkpoint(12).path)
    windows = (len(dataset.validation) - 1) // 16
    inputs = torch.from_numpy(dataset.validation[: windows * 16].astype(np.int64)).view(-1, 16)
    targets = torch.from_numpy(dataset.validation[1 : windows * 16 + 1].astype(np.int64)).view(-1, 16)
    with torch.no_grad():
        logits = model(inputs)
    expected = torch.nn.functional.cross_entropy(logits.flatten(0, 1).double(), targets.flatten())
    evaluation = run.evaluations[-1]
    assert evaluation.event.windows == windows
    assert evaluation.loss == pytest.approx(float(expected), abs=1e-5)
    assert evaluation.bits_per_byte == pytest.approx(float(expected) / np.log(2), abs=1e-5)
    on_disk = run.window_losses("step_12")
    assert on_disk is not None
    assert summary(on_disk) == (evaluation.loss, evaluation.stderr)


def test_bits_per_byte_counts_the_bytes_of_the_targets(corpus: Path) -> None:
    dataset = prepare(load_corpus(str(corpus)), "bpe", 270)
    measured = validation(dataset, 16)
    text = b"".join(dataset.token_bytes[token] for token in measured.targets.flatten())
    assert measured.bytes == len(text)
    assert measured.bits_per_byte(np.log(2)) == pytest.approx(measured.targets.size / len(text))


def test_killed_between_a_save_and_its_record_it_saves_that_step_again(
    tmp_path: Path, small: RunConfig
) -> None:
    undisturbed = trained(tmp_path, small, "a")
    run = trained(tmp_path, small, "b")
    journal = run.folder / "journal.jsonl"
    record, _, _ = journal.read_bytes().partition(b'{"event":"saved","step":12,')
    journal.write_bytes(record)
    Session.resume(run.folder).join()
    run = Run(run.folder)
    assert (run.state, list(run.checkpoints)) == ("finished", ["step_4", "step_8", "step_12"])
    assert weights(run) == weights(undisturbed)
    assert not list((run.folder / "checkpoints").glob(".*"))


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_resuming_is_as_if_never_stopped(tmp_path: Path, small: RunConfig, dropout: float) -> None:
    small = small.model_copy(update={"regularization": RegularizationConfig(dropout=dropout)})
    undisturbed = trained(tmp_path, small, "a")
    session = Session.start(tmp_path, small, "b")
    session.stop()
    session.join()
    stops = [Run(session.folder).step]
    while Run(session.folder).state == "stopped":
        session = Session.resume(session.folder)
        session.control.request(c.Note("again"))
        wait_for_steps(session, 3)
        session.stop()
        session.join()
        assert session.error is None
        stops.append(Run(session.folder).step)
    run = Run(session.folder)
    assert len(stops) > 1
    assert losses(run) == losses(undisturbed)
    assert weights(run) == weights(undisturbed)
    assert [e.loss for e in run.evaluations] == [e.loss for e in undisturbed.evaluations]


def test_dropout_falls_on_training_alone(small: RunConfig) -> None:
    dataset = prepare(load_corpus(small.data.corpus), "byte")
    without = Learner(small, dataset)
    config = small.model_copy(update={"regularization": RegularizationConfig(dropout=0.3)})
    [stepped] = Learner(config, dataset).advance()
    assert stepped == dataclasses.replace(Learner(config, dataset).advance()[0], seconds=stepped.seconds)
    assert stepped.loss != without.advance()[0].loss
    windows = validation(dataset, 16)
    losses = [next(windows.losses(Learner(each, dataset).model)) for each in (small, config)]
    assert (losses[0] == losses[1]).all()


def wait_for_steps(session: Session, count: int) -> None:
    run = Run(session.folder)
    wanted = len(run.steps) + count
    while session.alive and len(run.steps) < wanted:
        time.sleep(0.005)
        run.refresh()


def test_a_branch_from_an_earlier_step_keeps_everything_and_its_best_is_the_best_of_all(
    tmp_path: Path, small: RunConfig
) -> None:
    first = trained(tmp_path, small)
    before = first.steps["loss"].tolist()
    session = Session.resume(first.folder, 4)
    session.control.request(c.ScaleRate(0.0))  # learns nothing more: cannot be better
    session.join()
    run = Run(first.folder)
    assert run.steps["loss"].tolist()[:12] == before
    assert run.steps["step"].tolist() == [*range(1, 13), *range(5, 13)]
    assert list(run.checkpoints) == ["step_4", "step_8", "step_12", "step_8.1", "step_12.1"]
    best = truth.best(run)
    assert best
    assert (best.evaluation.name, run.newest_checkpoint().name) == ("step_12", "step_12.1")
    assert (run.folder / "best").resolve().name == "step_12"
    assert run.steps["lr"][-1] == 0


def test_killed_at_any_moment_it_resumes_to_the_same_weights(tmp_path: Path, small: RunConfig) -> None:
    undisturbed = trained(tmp_path, small, "undisturbed")
    config = tmp_path / "small.toml"
    config.write_text(small.to_toml())
    command = [sys.executable, "-m", "nexus_tui", "train", "--runs", str(tmp_path)]
    arguments = ["--model", str(config), "--name", "killed"]
    for moment in (1, 6):
        process = subprocess.Popen([*command, *arguments], stdout=subprocess.DEVNULL)
        while process.poll() is None and not (
            (tmp_path / "killed" / "journal.jsonl").exists() and Run(tmp_path / "killed").step >= moment
        ):
            time.sleep(0.002)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert Run(tmp_path / "killed").state in ("crashed", "finished")
        arguments = ["--resume", "killed"]
    if Run(tmp_path / "killed").state == "crashed":
        session = Session.resume(tmp_path / "killed")
        session.join()
        assert session.error is None
    run = Run(tmp_path / "killed")
    assert losses(run) == losses(undisturbed)
    assert weights(run) == weights(undisturbed)


def test_acts_are_carried_out_in_order_and_journalled(tmp_path: Path, small: RunConfig) -> None:
    session = Session.start(tmp_path, small, "run")
    for act in (c.Pause(), c.ScaleRate(0.5), c.Note("half"), c.Evaluate(), c.Sample(), c.Continue()):
        session.control.request(act)
    session.join()
    run = Run(session.folder)
    acts = [(e.act, e.value) for e in run.log if isinstance(e, j.ControlledEvent)]
    assert acts == [("pause", None), ("rate_scale", 0.5), ("continue", None)]
    assert run.steps["lr"].tolist() == [learning_rate(small, step) * 0.5 for step in range(1, 13)]
    assert [e.text for e in run.log if isinstance(e, j.NotedEvent)] == ["half"]


def test_evaluating_saving_and_sampling_between_steps_change_no_loss(
    tmp_path: Path, small: RunConfig
) -> None:
    quiet = trained(tmp_path, small, "quiet")
    session = Session.start(tmp_path, small, "busy")
    while session.alive:
        for act in (c.Save(), c.Evaluate(), c.Sample()):
            session.control.request(act)
        wait_for_steps(session, 1)
    busy = Run(session.folder)
    assert losses(busy) == losses(quiet)
    assert len(busy.checkpoints) > len(quiet.checkpoints)


def test_a_full_disk_costs_the_save_and_not_the_training(
    tmp_path: Path, small: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Kept.write

    def full_at_8(self: Kept, folder: Path) -> None:
        if self.state["step"] == 8:
            raise OSError(28, "No space left on device")
        write(self, folder)

    monkeypatch.setattr(Kept, "write", full_at_8)
    run = trained(tmp_path, small)
    assert run.state == "finished"
    assert list(run.checkpoints) == ["step_4", "step_12"]
    assert [(e.step, "No space left" in e.message) for e in run.log if isinstance(e, j.FaultedEvent)] == [
        (8, True)
    ]


def test_a_run_whose_folder_is_deleted_trains_on_and_is_written_anew(
    tmp_path: Path, small: RunConfig
) -> None:
    undisturbed = trained(tmp_path / "other", small)
    session = Session.start(tmp_path, small, "run")
    session.control.request(c.Pause())
    while b'"act":"pause"' not in (session.folder / "journal.jsonl").read_bytes():
        time.sleep(0.005)
    shutil.rmtree(session.folder)
    session.control.request(c.Continue())
    session.join()
    run = Run(session.folder)
    assert (session.error, run.state, list(run.checkpoints)) == (
        None,
        "finished",
        list(undisturbed.checkpoints),
    )
    assert run.steps["loss"].tolist() == undisturbed.steps["loss"].tolist()
    assert [e.message[:33] for e in run.log if isinstance(e, j.FaultedEvent)] == [
        "the run's folder was deleted: its"
    ]
    assert run.config == undisturbed.config


def test_a_second_trainer_is_refused_and_told_who_has_it(tmp_path: Path, small: RunConfig) -> None:
    session = Session.start(tmp_path, small, "run")
    session.control.request(c.Pause())
    with pytest.raises(RunLockedError, match=f"run is being trained by process {os.getpid()}"):
        Session.resume(session.folder)
    with pytest.raises(SessionError, match="there is a run run already"):
        Session.start(tmp_path, small, "run")
    session.stop()
    session.join()
    assert Run(session.folder).state == "stopped"


def test_a_trainer_that_finds_anothers_line_in_its_journal_stops_and_writes_no_more(
    tmp_path: Path, small: RunConfig
) -> None:
    """No lock tells of the other: a shared folder whose locks do not work, and a holder taken for dead."""
    session = Session.start(tmp_path, small, "run")
    session.control.request(c.Pause())
    journal = session.folder / "journal.jsonl"
    while b'"act":"pause"' not in journal.read_bytes():
        time.sleep(0.005)
    other = j.Journal(journal)
    other.append(j.NotedEvent(step=0, text="mine"))
    written = journal.read_bytes()
    session.control.request(c.Continue())
    session.join()
    assert "another process writes" in session.taken
    assert journal.read_bytes() == written


@pytest.mark.parametrize("name", ["../up", "a/b", "-x", "a\x1b", "n" * 101])
def test_a_name_must_be_a_plain_one(tmp_path: Path, small: RunConfig, name: str) -> None:
    with pytest.raises(SessionError, match="cannot name a run"):
        Session.start(tmp_path, small, name)


def test_another_corpus_than_the_runs_is_refused(tmp_path: Path, small: RunConfig, corpus: Path) -> None:
    session = Session.start(tmp_path, small, "run")
    session.stop()
    session.join()
    corpus.write_text(corpus.read_text() + "more")
    session = Session.resume(session.folder)
    session.join()
    assert "is not the one this run was trained on" in str(session.error)
    assert Run(session.folder).state == "failed"


def test_a_run_killed_after_its_last_save_is_brought_to_its_end(tmp_path: Path, small: RunConfig) -> None:
    run = trained(tmp_path, small)
    evaluations = [(e.name, e.loss) for e in run.evaluations]
    (run.folder / "report.md").unlink()
    journal = run.folder / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    last = max(number for number, line in enumerate(lines) if b'"event":"saved"' in line)
    journal.write_bytes(b"".join(lines[: last + 1]))
    session = Session.resume(run.folder)
    session.join()
    again = Run(run.folder)
    assert (session.error, again.state, again.step) == (None, "finished", 12)
    assert [(e.name, e.loss) for e in again.evaluations] == evaluations
    assert (run.folder / "report.md").exists()
    with pytest.raises(SessionError, match="has finished its 12 steps"):
        Session.resume(run.folder)


def test_a_finished_run_says_so(tmp_path: Path, small: RunConfig) -> None:
    run = trained(tmp_path, small)
    with pytest.raises(SessionError, match="has finished its 12 steps"):
        Session.resume(run.folder)


def test_the_real_model_stops_and_resumes_to_the_same_losses(tmp_path: Path, corpus: Path) -> None:
    config = RunConfig.load(
        "nexus-byte",
        [
            f"data.corpus={corpus}",
            "budget.steps=4",
            "budget.batch=2",
            "schedule.warmup=2",
            "sampling.max_tokens=2",
        ],
    )
    undisturbed = trained(tmp_path, config, "a")
    session = Session.start(tmp_path, config, "b")
    for _ in range(2):
        wait_for_steps(session, 1)
        session.stop()
        session.join()
        assert session.error is None
        if Run(session.folder).state == "finished":
            break
        session = Session.resume(session.folder)
    session.join()
    run = Run(session.folder)
    assert len(run.branches) > 1
    assert losses(run) == losses(undisturbed)
    assert weights(run) == weights(undisturbed)


def test_a_newest_checkpoint_that_is_damaged_is_named_where_an_older_one_is_gone_on_from(
    tmp_path: Path, small: RunConfig
) -> None:
    run = trained(tmp_path, small)
    os.truncate(run.folder / "checkpoints" / "step_12" / "model.safetensors", 100)
    session = Session.resume(run.folder)
    session.join()
    resumed = Run(run.folder)
    [fault] = [e for e in resumed.log if isinstance(e, j.FaultedEvent)]
    assert re.search(r"step_12.*model\.safetensors.*: it goes on from step 8\.$", fault.message)
    session = Session.resume(run.folder, 4)  # which somebody chose: there is nothing to be said
    session.join()
    assert len([e for e in Run(run.folder).log if isinstance(e, j.FaultedEvent)]) == 1


def test_a_precision_that_only_a_gpu_has_is_said_to_be_none_here(tmp_path: Path, small: RunConfig) -> None:
    config = small.model_copy(update={"budget": small.budget.model_copy(update={"precision": "bf16"})})
    run = trained(tmp_path, config)
    assert [e.text for e in run.log if isinstance(e, j.NotedEvent)] == [
        "budget.precision is bf16 on a GPU alone: here all is computed in 32 bits"
    ]
