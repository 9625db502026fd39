"""Checkpoints: whole or absent, and never silently another's."""

import json
from pathlib import Path

import pytest

from nexus_tui.runs.checkpoints import (
    Checkpoint,
    CheckpointError,
    link_best,
    list_checkpoints,
    open_checkpoint,
    remove_unfinished,
    save_checkpoint,
)


def write(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"weights")
    (folder / "optimizer.safetensors").write_bytes(b"moments")


@pytest.fixture
def saved(tmp_path: Path) -> Checkpoint:
    return save_checkpoint(tmp_path / "checkpoints" / "step_3", 3, write)


def test_what_is_saved_opens_and_verifies(saved: Checkpoint) -> None:
    opened = open_checkpoint(saved.path)
    assert opened == saved
    assert (opened.name, opened.step, opened.bytes, opened.resumable) == ("step_3", 3, 14, True)
    opened.verify()


def test_a_save_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        write(folder)
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        save_checkpoint(tmp_path / "checkpoints" / "step_1", 1, fail)
    assert list((tmp_path / "checkpoints").iterdir()) == []


def test_leftovers_of_a_killed_save_are_no_checkpoint_and_are_removed(
    tmp_path: Path, saved: Checkpoint
) -> None:
    leftover = tmp_path / "checkpoints" / ".writing-step_9"
    leftover.mkdir()
    write(leftover)
    assert [c.name for c in list_checkpoints(tmp_path)] == ["step_3"]
    remove_unfinished(tmp_path)
    assert not leftover.exists()


@pytest.mark.parametrize("name", ["model.safetensors", "optimizer.safetensors"])
def test_a_flipped_byte_is_found_and_named(saved: Checkpoint, name: str) -> None:
    path = saved.path / name
    path.write_bytes(b"X" + path.read_bytes()[1:])
    with pytest.raises(CheckpointError, match=name):
        open_checkpoint(saved.path).verify()


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda p: (p / "manifest.json").unlink(), "no manifest.json"),
        (lambda p: (p / "manifest.json").write_text("{"), "manifest.json is damaged"),
        (lambda p: (p / "manifest.json").write_text("[]"), "manifest.json is damaged"),
        (lambda p: (p / "manifest.json").write_text('{"step": 1, "files": {}}'), "manifest.json is damaged"),
        (lambda p: (p / "model.safetensors").unlink(), "model.safetensors is missing"),
        (lambda p: (p / "model.safetensors").write_bytes(b"w"), "has 1 bytes, not 7"),
    ],
)
def test_a_damaged_folder_is_no_checkpoint(saved: Checkpoint, damage, reason: str) -> None:
    damage(saved.path)
    with pytest.raises(CheckpointError, match=reason):
        open_checkpoint(saved.path)


def test_a_manifest_may_not_name_files_elsewhere(saved: Checkpoint) -> None:
    manifest = saved.path / "manifest.json"
    content = json.loads(manifest.read_text())
    content["files"]["../../secret"] = {"bytes": 1, "sha256": ""}
    manifest.write_text(json.dumps(content))
    with pytest.raises(CheckpointError, match="not a file of its folder"):
        open_checkpoint(saved.path)


def test_best_is_a_relative_link_that_moves(tmp_path: Path, saved: Checkpoint) -> None:
    other = save_checkpoint(tmp_path / "checkpoints" / "step_5", 5, write)
    for checkpoint in (saved, other):
        link_best(tmp_path, checkpoint)
        assert (tmp_path / "best").readlink() == Path("checkpoints") / checkpoint.name
    link_best(tmp_path, None)
    assert not (tmp_path / "best").exists()


def test_a_folder_called_best_is_left_alone(tmp_path: Path, saved: Checkpoint) -> None:
    """As in a run that was copied with its links followed."""
    (tmp_path / "best").mkdir()
    (tmp_path / "best" / "mine").touch()
    before = sorted(tmp_path.rglob("*"))
    for checkpoint in (saved, None):
        with pytest.raises(OSError, match="a folder stands in its place; move that away"):
            link_best(tmp_path, checkpoint)
    assert sorted(tmp_path.rglob("*")) == before
