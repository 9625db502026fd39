"""The journal of a loop of one's own."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from nexus_tui import Journal
from nexus_tui.runs import truth
from nexus_tui.runs.lock import RunLockedError
from nexus_tui.runs.loop import Journal as LoopJournal
from nexus_tui.runs.run import Run, RunError


def put(journal: LoopJournal, step: int, loss: float) -> None:
    with journal.checkpoint(step) as folder:
        save_file({"w": np.zeros(2, np.float32)}, folder / "model.safetensors")
    journal.evaluate(step, np.full(40, loss) + np.arange(40) / 100, protocol="text")


def test_a_resume_is_a_branch_and_the_best_is_true_over_both(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    with Journal.create(folder, {"lr": 1e-3, "model": {"width": 8}}, steps=30) as journal:
        for step in (10, 20):
            journal.step(step, 3.0 - step / 10, lr=1e-3)
            put(journal, step, 3.0 - step / 10)
    with Journal.resume(folder, 10) as journal:
        journal.step(20, 2.5, lr=1e-3)
        put(journal, 20, 2.5)
    run = Run.open(folder)
    assert run.config == {"model": {"width": 8}, "loop": {"lr": 1e-3}, "budget": {"steps": 30}}
    assert [branch.start for branch in run.branches] == [0, 10]
    assert set(run.checkpoints) == {"step_10", "step_20", "step_20.1"}
    best = truth.best(run)
    assert best is not None and best.evaluation.name == "step_20"
    assert (folder / "best").readlink() == Path("checkpoints/step_20")


def test_weights_that_are_gone_are_not_the_best(tmp_path: Path) -> None:
    with Journal.create(tmp_path / "mine") as journal:
        journal.evaluate(1, 1.0, protocol="text")
        put(journal, 2, 2.0)
    best = truth.best(Run.open(tmp_path / "mine"))
    assert best is not None and best.evaluation.step == 2


@pytest.mark.parametrize(
    ("error", "state"), [(ValueError("too hot"), "failed"), (KeyboardInterrupt(), "stopped")]
)
def test_how_it_ended_is_on_record(tmp_path: Path, error: BaseException, state: str) -> None:
    folder = tmp_path / "mine"
    with pytest.raises(type(error)), Journal.create(folder) as journal:
        journal.step(1, float("nan"), measured=float("inf"))
        raise error
    run = Run.open(folder)
    assert run.state == state
    assert run.ended is not None and ("too hot" in run.ended.message) == (state == "failed")
    assert np.isnan(run.series("measured").value).all()


def test_a_checkpoint_is_whole_or_not_there(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    with Journal.create(folder) as journal:
        with pytest.raises(RunError, match=r"got no model\.safetensors"), journal.checkpoint(1):
            pass
        with pytest.raises(OSError, match="full"), journal.checkpoint(2) as inside:
            (inside / "model.safetensors").write_bytes(b"half")
            raise OSError("full")
        put(journal, 3, 1.0)
    assert [path.name for path in (folder / "checkpoints").iterdir()] == ["step_3"]


def test_one_process_writes_a_run(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    with Journal.create(folder) as journal:
        put(journal, 1, 1.0)
        with pytest.raises(RunLockedError):
            Journal.resume(folder, 1)
        with pytest.raises(RunError, match=r"exists; resume it"):
            Journal.create(folder)
    with pytest.raises(RunError, match="keeps no checkpoint 7"):
        Journal.resume(folder, 7)


def test_columns_are_what_is_on_record(tmp_path: Path) -> None:
    with Journal.create(tmp_path / "mine") as journal:
        for step in (1, 2):
            journal.step(step, 2.0 / step, lr=0.1, tokens=step * 64, accuracy=step / 2)
        journal.evaluate(2, np.array([1.0, 2.0]), protocol="text", bits_per_byte=2.2, f1=0.5)
    run = Run.open(tmp_path / "mine")
    steps, scored = run.columns(), run.columns("evaluations")
    assert steps["loss"].tolist() == [2.0, 1.0]
    assert steps["time"].dtype == np.dtype("datetime64[ms]")
    assert {name: column.tolist() for name, column in run.columns("accuracy").items()} == {
        "step": [1, 2], "accuracy": [0.5, 1.0], "branch": [0, 0],
    }  # fmt: skip
    assert (scored["checkpoint"].tolist(), scored["loss"].tolist(), scored["f1"].tolist()) == (
        ["step_2"], [1.5], [0.5],
    )  # fmt: skip
    with pytest.raises(KeyError, match="it has: loss"):
        run.columns("nothing")


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_columns_as_a_frame(tmp_path: Path, library: str) -> None:
    with Journal.create(tmp_path / "mine") as journal:
        journal.step(1, 2.0)
    frame = getattr(Run.open(tmp_path / "mine"), library)
    try:
        __import__(library)
    except ImportError:
        with pytest.raises(ImportError, match=f"pip install {library}"):
            frame()
    else:
        assert list(frame().columns)[:2] == ["step", "loss"]
