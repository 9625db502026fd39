"""Deleting, restoring, renaming and noting: nothing is lost, and never under somebody who trains."""

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from nexus_tui.runs.journal import NotedEvent
from nexus_tui.runs.lock import RunLock, RunLockedError, holder
from nexus_tui.runs.naming import MoveError, new_folder, rename, why_not_called
from nexus_tui.runs.notes import note
from nexus_tui.runs.run import Run
from nexus_tui.runs.store import Runs
from nexus_tui.runs.trash import TRASH, delete, restore, weigh
from tests.runs.conftest import Writer

Make = Callable[..., Writer]
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


def test_a_deleted_run_is_kept_whole_and_comes_back(writer: Make, tmp_path: Path) -> None:
    run = writer("a")
    run.steps(1, 5)
    run.save(5)
    before = {path.relative_to(run.folder): path.stat().st_size for path in run.folder.rglob("*")}
    assert weigh(run.folder) == sum(size for path, size in before.items() if (run.folder / path).is_file())

    place = delete(run.folder, NOON)
    assert place == tmp_path / TRASH / "2026-05-01T12-00-00" / "a"
    assert not run.folder.exists()
    assert Runs(tmp_path).refresh() == [], "the trash is no run"
    assert Run(place).step == 5

    assert restore(place) == run.folder
    after = {path.relative_to(run.folder): path.stat().st_size for path in run.folder.rglob("*")}
    assert after == before
    assert not (tmp_path / TRASH).exists(), "what is empty is taken away"


def test_two_of_one_name_deleted_in_one_second_are_both_kept(writer: Make) -> None:
    first = delete(writer("a").folder, NOON)
    second = delete(writer("a").folder, NOON)
    assert first != second and first.exists() and second.exists()


def test_nothing_is_put_over_a_run_that_has_the_name_again(writer: Make) -> None:
    place = delete(writer("a").folder)
    writer("a")
    with pytest.raises(MoveError, match="There is a run a again"):
        restore(place)
    assert place.exists()


def test_who_trains_is_left_alone(writer: Make, tmp_path: Path) -> None:
    run = writer("a")
    with RunLock(run.folder):
        for act in (
            lambda: delete(run.folder),
            lambda: rename(run.folder, "b"),
            lambda: note(run.folder, 1, "hello"),
        ):
            with pytest.raises(RunLockedError, match="a is being trained by process"):
                act()
    assert run.folder.exists() and not (tmp_path / TRASH).exists()


def test_a_folder_that_cannot_be_written_says_so(writer: Make, tmp_path: Path) -> None:
    run = writer("a")
    (tmp_path / TRASH).write_text("in the way")
    with pytest.raises(MoveError, match=r"\.trash cannot be written \(File exists\)"):
        delete(run.folder)
    assert run.folder.exists()


def test_a_link_is_deleted_not_what_it_links_to(writer: Make, tmp_path: Path) -> None:
    elsewhere = writer("elsewhere").folder
    (tmp_path / "runs").mkdir()
    link = tmp_path / "runs" / "a"
    link.symlink_to(elsewhere)
    assert weigh(link) == 0
    place = delete(link)
    assert elsewhere.exists() and place.is_symlink() and holder(elsewhere) is None


def test_renaming(writer: Make, tmp_path: Path) -> None:
    run = writer("a")
    run.steps(1, 3)
    folder = rename(run.folder, "b")
    assert folder == tmp_path / "b" and Run(folder).step == 3 and holder(folder) is None
    assert sorted(path.name for path in folder.iterdir()) == ["journal.jsonl"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "cannot name a run"),
        ("../b", "cannot name a run"),
        (".hidden", "cannot name a run"),
        ("a" * 101, "100 at most"),
        ("taken", "There is a run taken already"),
        ("ß-2.b+c", ""),
    ],
)
def test_what_a_run_may_be_called(tmp_path: Path, name: str, reason: str) -> None:
    (tmp_path / "taken").mkdir()
    said = why_not_called(tmp_path, name)
    assert (reason in said) if reason else said == ""


def test_a_note_is_the_journal_s_last_line(writer: Make) -> None:
    run = writer("a")
    run.steps(1, 3)
    note(run.folder, 3, "the knee is here")
    (noted,) = [event for event in Run(run.folder).log if isinstance(event, NotedEvent)]
    assert (noted.step, noted.text) == (3, "the knee is here")
    assert holder(run.folder) is None


def test_a_new_run_s_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    with new_folder(tmp_path / "run") as folder:
        (folder / "journal.jsonl").touch()
        assert not (tmp_path / "run").exists()
        assert Runs(tmp_path).refresh() == []
    assert [path.name for path in tmp_path.rglob("*")] == ["run", "journal.jsonl"]
    with pytest.raises(FileExistsError), new_folder(tmp_path / "run"):
        pass
    with pytest.raises(ZeroDivisionError), new_folder(tmp_path / "other"):
        _ = 1 / 0
    (left := tmp_path / ".starting-1-2").mkdir()
    os.utime(left, (0, 0))
    with new_folder(tmp_path / "third"):
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run", "third"]
