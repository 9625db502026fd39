"""A look inside is kept beside the evaluations, and taken for no other weights, text or version."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from nexus_tui.analysis import inside as looking
from nexus_tui.analysis.inside import inside
from nexus_tui.analysis.reading import read
from nexus_tui.analysis.subject import opened
from nexus_tui.runs.checkpoints import CheckpointError
from nexus_tui.runs.run import Run, RunError
from nexus_tui.runs.subject import Subject
from tests.analysis.tiny import configuration, trained


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return trained(tmp_path, configuration(tmp_path))


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The checkpoints that were read with, in order."""
    names: list[str] = []
    computed = looking._computed

    def noted(ready: object, progress: object) -> object:
        names.append(ready.checkpoint.name)  # type: ignore[attr-defined]
        return computed(ready, progress)  # type: ignore[arg-type]

    monkeypatch.setattr(looking, "_computed", noted)
    return names


def test_it_is_what_reading_finds_and_is_kept(run: Run, looks: list[str]) -> None:
    told: list[tuple[int, int]] = []
    found = inside(Subject(run, "step_12"), lambda done, total: told.append((done, total)))
    ready = opened(Subject(run, "step_12"))
    assert found == read(ready.model, ready.validation.inputs[: looking.WINDOWS])
    assert told[-1] == (found.windows, found.windows)
    assert inside(Subject(Run(run.folder), "step_12")) == found
    assert inside(Subject(run, "step_4")) != found
    assert looks == ["step_12", "step_4"]


def test_what_was_never_evaluated_is_read_on_the_runs_text(run: Run, looks: list[str]) -> None:
    journal = run.folder / "journal.jsonl"
    lines = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join(line for line in lines if '"evaluated"' not in line))
    found = inside(Subject(run, "step_12"))
    assert inside(Subject(Run(run.folder), "step_12")) == found
    assert looks == ["step_12"]


def test_another_version_or_a_damaged_file_is_computed_anew(
    run: Run, looks: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = inside(Subject(run, "step_12"))
    (kept,) = (run.folder / "evaluations" / "analysis").glob("inside-*.npz")
    kept.write_bytes(kept.read_bytes()[:-40])
    assert inside(Subject(run, "step_12")) == found
    monkeypatch.setattr(looking, "_VERSION", 99)
    assert inside(Subject(run, "step_12")) == found
    assert len(looks) == 3
    arrays = {**looking.pack(found), "mamba": np.zeros((1, 13))}
    monkeypatch.setattr(looking, "pack", lambda _: arrays)
    kept.unlink()
    inside(Subject(run, "step_12"))
    assert inside(Subject(run, "step_12")) == found  # what was kept has no mixer for every layer
    assert len(looks) == 5


def test_damaged_and_missing_weights_are_refused(run: Run) -> None:
    path = run.folder / "checkpoints" / "step_8" / "model.safetensors"
    inside(Subject(run, "step_8"))
    data = path.read_bytes()
    path.write_bytes(data[:-4] + b"\1\1\1\1")
    with pytest.raises(
        CheckpointError, match="damaged"
    ):  # although the kept result would do for the whole one
        inside(Subject(run, "step_8"))
    shutil.rmtree(path.parent)
    with pytest.raises(RunError, match="tiny:8 has no weights here"):
        inside(Subject(Run(run.folder), "step_8"))
