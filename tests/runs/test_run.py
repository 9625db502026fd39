"""Run: what the journal says, over every resume."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nexus_tui.runs import journal as j
from nexus_tui.runs.lock import RunLock, RunLockedError, holder
from nexus_tui.runs.run import Run, RunError
from nexus_tui.runs.store import Runs

from .conftest import Writer


def test_columns_grow_with_the_journal(writer: Callable[..., Writer]) -> None:
    w = writer()
    run = Run(w.folder)
    assert (run.step, len(run.steps), run.state) == (0, 0, "new")
    w.steps(1, 700)
    assert run.refresh()
    early = run.steps["loss"]
    w.steps(701, 900)
    run.refresh()
    assert run.steps["step"].tolist() == list(range(1, 901))
    assert len(early) == 700
    assert not run.refresh()
    with pytest.raises(ValueError, match="read-only"):
        early[0] = 1.0


def test_a_resume_abandons_later_steps_and_loses_no_row(writer: Callable[..., Writer]) -> None:
    w = writer()
    w.steps(1, 10)
    w.save(6)
    w.steps(11, 12)
    w.resume(6)
    w.steps(7, 9)
    run = Run(w.folder)
    assert len(run.steps) == 15
    assert run.steps["step"][run.canonical()].tolist() == list(range(1, 10))
    assert run.on_line(0, 6)
    assert not run.on_line(0, 7)
    assert run.step == 9


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.tuples(st.integers(1, 8), st.integers(0, 40)), min_size=1, max_size=7))
def test_the_line_to_the_newest_weights_rises_over_any_tree_of_resumes(
    tmp_path_factory: pytest.TempPathFactory, plan: list[tuple[int, int]]
) -> None:
    w = Writer(tmp_path_factory.mktemp("tree") / "run")
    w.journal.append(j.StartedEvent())
    saved: list[tuple[str, list[tuple[int, int]]]] = []  # name, the (branch, step) rows that led there
    line: list[tuple[int, int]] = []
    step = 0
    for branch, (count, which) in enumerate(plan):
        if branch:
            name, line = saved[which % len(saved)]
            step = line[-1][1]
            w.resume(step, name)
        for _ in range(count):
            step += 1
            w.step(step)
            line = [*line, (branch, step)]
            name = f"step_{step}.{branch}"
            w.save(step, name)
            saved.append((name, line))
    run = Run(w.folder)
    mask = run.canonical()
    rows = list(zip(run.steps["branch"][mask].tolist(), run.steps["step"][mask].tolist(), strict=True))
    assert rows == line
    assert [s for _, s in rows] == list(range(1, len(rows) + 1))


def test_a_name_used_on_another_branch_gets_the_branch_appended(writer: Callable[..., Writer]) -> None:
    w = writer()
    w.save(2)
    w.save(4)
    run = Run(w.folder)
    assert run.checkpoint_name(0, 4) == "step_4"
    w.resume(2)
    run.refresh()
    assert run.checkpoint_name(1, 4) == "step_4.1"
    assert run.checkpoint_name(1, 6) == "step_6"
    w.save(4, "step_4.1")
    run.refresh()
    assert run.checkpoint(4).name == "step_4.1"
    assert run.checkpoint("step_4").name == "step_4"
    with pytest.raises(RunError, match="keeps no checkpoint 5; it has: 2, 4, 4"):
        run.checkpoint(5)


def test_checkpoints_whose_files_are_gone_or_damaged_do_not_count(writer: Callable[..., Writer]) -> None:
    w = writer()
    w.save(1)
    w.save(2)
    w.save(3)
    shutil.rmtree(w.folder / "checkpoints" / "step_3")
    (w.folder / "checkpoints" / "step_2" / "model.safetensors").write_bytes(b"")
    run = Run(w.folder)
    assert list(run.checkpoints) == ["step_1"]
    assert list(run.saved) == ["step_1", "step_2", "step_3"]
    newest = run.newest_checkpoint()
    assert newest
    assert newest.name == "step_1"


def test_train_loss_is_the_mean_of_the_last_twenty_steps(writer: Callable[..., Writer]) -> None:
    w = writer()
    for step in range(1, 31):
        w.step(step, float(step))
    w.evaluate(30, 1.0)
    (evaluation,) = Run(w.folder).evaluations
    assert evaluation.train_loss == np.mean(range(11, 31))


def test_state_follows_lock_and_journal(writer: Callable[..., Writer]) -> None:
    w = writer()
    w.journal.append(j.StartedEvent())
    run = Run(w.folder)
    assert run.state == "crashed"
    with RunLock(w.folder):
        assert run.refresh()
        assert run.state == "training"
        assert holder(w.folder) == run.holder
        assert run.holder
        assert run.holder.pid == os.getpid()
        w.journal.append(j.ControlledEvent(step=0, act="pause"))
        run.refresh()
        assert run.state == "paused"
        with pytest.raises(RunLockedError, match=f"process {os.getpid()} on "):
            RunLock(w.folder)
    w.journal.append(j.EndedEvent(step=0, reason="stopped"))
    run.refresh()
    assert run.state == "stopped"


def test_a_deleted_and_rewritten_journal_is_read_anew(writer: Callable[..., Writer], tmp_path: Path) -> None:
    w = writer()
    w.steps(1, 5)
    run = Run(w.folder)
    shutil.rmtree(w.folder)
    run.refresh()
    assert len(run.steps) == 0
    w = writer()
    w.step(1)
    run.refresh()
    assert run.steps["step"].tolist() == [1]


def test_metrics_beside_the_steps_are_columns_in_the_order_of_branches(
    writer: Callable[..., Writer],
) -> None:
    w = writer()
    for step in range(1, 5):
        w.step(step)
        values = {"a": float(step), "b": None} if step != 3 else {"b": 3.0, "c": 1.0}
        w.journal.append(j.MeasuredEvent(step=step, values=values))
    w.resume(2)
    w.journal.append(j.MeasuredEvent(step=3, values={"a": 30.0}))
    w.journal.append(
        j.EvaluatedEvent(step=2, checkpoint="step_2", loss=1.0, metrics={"a": 20.0}),
        j.MeasuredEvent(step=1, values={"b": 10.0}),
    )
    run = Run(w.folder)
    assert run.metrics == ["loss", "lr", "grad_norm", "validation_loss", "a", "b", "c"]
    a, b = run.series("a"), run.series("b")
    assert (a.step.tolist(), a.value.tolist()) == ([1, 2, 4, 2, 3], [1.0, 2.0, 4.0, 20.0, 30.0])
    assert a.branch.tolist() == [0, 0, 0, 1, 1]
    assert b.step.tolist() == [1, 2, 3, 4, 1]
    assert np.array_equal(b.value, [np.nan, np.nan, 3.0, np.nan, 10.0], equal_nan=True)
    assert run.series("a") is a and len(run.series("nothing").step) == 0
    w.journal.append(j.MeasuredEvent(step=0, values={"a": 5.0}))
    run.refresh()
    assert run.series("a").step.tolist() == [1, 2, 4, 0, 2, 3]


def test_a_run_is_read_when_something_is_asked_of_it(
    writer: Callable[..., Writer], monkeypatch: pytest.MonkeyPatch
) -> None:
    w = writer()
    w.steps(1, 5)
    run = Run(w.folder)
    assert not run.is_read and run.refresh() and not run.refresh()
    assert (run.name, run.holder, run.size > 0, run.gone) == ("run", None, True, False) and not run.is_read
    w.step(6)
    assert run.refresh() and not run.is_read
    assert run.step == 6 and run.is_read and run.revision == 2
    other = Run(w.folder)
    other.adopt(run)
    assert other.is_read and other.steps is run.steps
    (w.folder / "checkpoints").mkdir()
    (w.folder / "run.toml").write_text("[budget]\nsteps = 9\n")
    assert run.refresh() and run.total_steps == 9


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"no journal\.jsonl"):
        Run.open(tmp_path)


def test_a_damaged_run_toml_does_not_stop_the_run_from_opening(writer: Callable[..., Writer]) -> None:
    w = writer()
    (w.folder / "run.toml").write_bytes(b"\xff not toml")
    run = Run.open(w.folder)
    assert (run.config, run.total_steps) == ({}, 0)


def test_windows_losses_that_are_damaged_are_not_there(writer: Callable[..., Writer]) -> None:
    w = writer()
    w.evaluate(100, 2.0, windows=np.linspace(1, 3, 50))
    run = Run(w.folder)
    path = w.folder / "evaluations" / "step_100.npy"
    whole = path.read_bytes()
    losses = run.window_losses("step_100")
    assert losses is not None and losses.shape == (50,)
    lies = whole.replace(b"'shape': (50,), }" + b" " * 20, b"'shape': (1152921504606846976,), }   ")
    assert len(lies) == len(whole) and lies != whole
    archive = w.folder / "other.npz"
    np.savez(archive, losses=losses)
    wrong = (b"", whole[:9], whole[:-1], b"PK\x03\x04", b"\x93NUMPY\x01\x00\x05\x00(((((", lies)
    for content in (*wrong, archive.read_bytes()):
        path.write_bytes(content)
        assert run.window_losses("step_100") is None
    path.unlink()
    os.mkfifo(path)  # must not be waited for
    assert run.window_losses("step_100") is None


def test_a_folder_that_refuses_writing_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        RunLockedError, match=r"gone cannot be written \(No such file or directory\): copy the run"
    ):
        RunLock(tmp_path / "gone")


def test_a_name_that_is_none_is_answered_with_those_that_are_each_once(tmp_path: Path) -> None:
    (tmp_path / "nexus-byte").mkdir()
    (tmp_path / "nexus-byte" / "journal.jsonl").touch()
    with pytest.raises(RunError, match=r"there are: nexus-byte, nexus-bpe-tuned \(recorded\), "):
        Runs(tmp_path).find("nope")
