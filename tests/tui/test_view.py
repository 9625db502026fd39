"""The view of a runs folder: kept, and never in the way."""

from pathlib import Path

import pytest

from nexus_tui.tui.view import FORMAT, QUIET, View, ViewFile


def test_it_is_as_it_was_left_and_one_for_each_folder(tmp_path: Path) -> None:
    file = ViewFile(tmp_path / "runs")
    view, said = file.load()
    assert not said and view == View(folder=str(tmp_path / "runs"))
    view.axis, view.smoothing, view.log, view.places = "tokens", 0.95, ["loss"], {"a": 2}
    assert file.save(view) == ""
    assert ViewFile(tmp_path / "x" / ".." / "runs").load() == (view, "")
    assert ViewFile(tmp_path / "others").load()[0].axis == "step"
    assert [path.suffix for path in file.path.parent.iterdir()] == [".json"]


def test_it_is_written_once_it_rests_and_only_if_it_changed(tmp_path: Path) -> None:
    file = ViewFile(tmp_path)
    view, _ = file.load()
    for _ in range(3 * QUIET):
        file.look(view)
    assert not file.path.exists()
    for number in range(2 * QUIET):
        view.pins.append(str(number))
        file.look(view)
    assert not file.path.exists(), "a key held down is one change"
    for _ in range(QUIET):
        file.look(view)
    assert ViewFile(tmp_path).load()[0].pins == view.pins


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b'{"smoothing": 7}',
        b'{"axis": "leagues"}',
        b'{"format": 99}',
        b"[" * 100_000,
        b'{"later": ' + b"[" * 100_000,
    ],
)
def test_a_file_that_cannot_be_used_is_set_aside(tmp_path: Path, content: bytes) -> None:
    file = ViewFile(tmp_path)
    file.path.parent.mkdir(parents=True)
    file.path.write_bytes(content)
    view, said = file.load()
    aside = file.path.with_suffix(".damaged")
    assert view == View(folder=str(tmp_path)) and view.format == FORMAT
    assert aside.name in said and "as at first" in said and aside.read_bytes() == content
    view.axis = "time"
    assert file.save(view) == "" and ViewFile(tmp_path).load() == (view, "")


def test_unknown_keys_of_a_later_program_do_no_harm(tmp_path: Path) -> None:
    file = ViewFile(tmp_path)
    file.path.parent.mkdir(parents=True)
    file.path.write_bytes(b'{"format": 1, "theme": "nexus-light", "later": {"x": 1}}')
    assert file.load()[0].theme == "nexus-light"


def test_a_folder_that_cannot_be_written_is_said_once(tmp_path: Path) -> None:
    file = ViewFile(tmp_path)
    file.path.parent.parent.mkdir(parents=True)
    file.path.parent.write_text("a file is in the way")
    view, _ = file.load()
    view.axis = "time"
    assert "cannot be kept" in file.save(view)
    view.axis = "step"
    assert file.save(view) == ""
