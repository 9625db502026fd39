"""Marking checkpoints: letters that stay, over several runs, by keyboard."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from nexus_tui.runs.run import Run
from nexus_tui.tui.app import NexusApp
from nexus_tui.tui.marks import MOST, Marks
from tests.tui.conftest import ready
from tests.tui.screens import line, press, text
from tests.tui.trained import branched, straight

Make = Callable[..., NexusApp]


@pytest.fixture(scope="module")
def templates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("templates") / "runs"
    branched(folder / "byte")
    straight(folder / "other", 600)
    return folder


@pytest.fixture
def runs(templates: Path, folder: Path) -> Path:
    """Two runs that a test may damage."""
    shutil.copytree(templates, folder, symlinks=True)
    return folder


def letters(marks: Marks) -> str:
    return " ".join(f"{marked.letter}={marked.name}" for marked in marks.all)


def test_a_letter_stays_and_a_free_one_is_given_again(runs: Path) -> None:
    run, marks = Run(runs / "byte"), Marks()
    for name in ("step_200", "step_400", "step_600"):
        assert marks.toggle(run, name) == ""
    assert letters(marks) == "A=step_200 B=step_400 C=step_600"
    marks.toggle(run, "step_400")
    assert letters(marks) == "A=step_200 C=step_600"
    marks.toggle(run, "step_800")
    assert letters(marks) == "A=step_200 C=step_600 B=step_800"
    assert set(marks.of(run)) == {"step_200", "step_600", "step_800"}
    assert marks.of(Run(runs / "other")) == {}


def test_the_same_name_in_another_run_is_another_checkpoint_and_a_run_read_anew_is_the_same(
    runs: Path,
) -> None:
    marks = Marks()
    marks.toggle(Run(runs / "byte"), "step_200")
    marks.toggle(Run(runs / "other"), "step_200")
    assert len(marks) == 2
    marks.toggle(Run(runs / "byte"), "step_200")
    assert [marked.run.name for marked in marks.all] == ["other"]


def test_the_ninth_is_refused(runs: Path) -> None:
    run, marks = Run(runs / "byte"), Marks()
    refused = [marks.toggle(run, name) for name in run.checkpoints]
    assert refused[:MOST] == [""] * MOST
    assert refused[MOST].startswith("8 checkpoints are marked, which is as many")
    assert len(marks) == MOST
    assert [subject.name for subject in marks.subjects()] == list(run.checkpoints)[:MOST]
    marks.clear()
    assert len(marks) == 0


async def test_space_marks_the_row_and_the_letter_stands_before_it(make_app: Make, runs: Path) -> None:
    app = make_app()
    async with app.run_test(size=(100, 24)) as pilot:
        await ready(pilot)
        app.current = next(run for run in app.runs if run.name == "byte")
        await press(pilot, "3", "space", "down", "space")
        assert line(app, "★ 1,400   ").startswith("A")
        assert line(app, "1,600   1.4").startswith("B")
        assert "2 marked" in line(app, "on record")
        await press(pilot, "space")
        assert not line(app, "1,600   1.4").startswith("B")
        assert "1 marked" in line(app, "on record")


async def test_marks_survive_another_run_and_u_unmarks_all(make_app: Make, runs: Path) -> None:
    app = make_app()
    async with app.run_test(size=(100, 30)) as pilot:
        await ready(pilot)
        app.current = next(run for run in app.runs if run.name == "byte")
        await press(pilot, "3", "space", "1")
        app.screen.listing.go_to("runs/other")  # type: ignore[attr-defined]
        await press(pilot, "enter", "3", "home", "space")
        assert letters(app.marks) == "A=step_1400.1 B=step_200"
        assert line(app, "200   2.4").startswith("B")
        assert "2 marked, 1 in other runs" in text(app)
        await press(pilot, "u")
        assert len(app.marks) == 0
        assert "marked" not in line(app, "on record")
        await press(pilot, "u")
        assert "No checkpoint is marked; space marks the one here." in text(app)
