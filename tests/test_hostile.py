"""Hostile files: refused with the file and the reason, in bounded time and memory; nothing of them runs."""

import contextlib
import json
import os
import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nexus_tui import cli
from nexus_tui.runs.run import Run
from nexus_tui.untrusted import visible
from tools.fuzz.folder import hostile
from tools.fuzz.looking import look
from tools.fuzz.one import changed, first_inputs
from tools.fuzz.targets import Target, check, targets
from tools.fuzz.watching import Watch

SLOW = {
    "config.json", "model.safetensors", "optimizer.safetensors", "a whole run", "run.toml",
    "TensorBoard event file", "trainer_state.json", "Lightning's folder",
}  # fmt: skip
"""Each input makes a model, or is looked at on every screen."""


@pytest.fixture(scope="module")
def watch(tmp_path_factory: pytest.TempPathFactory) -> Watch:
    return Watch(tmp_path_factory.getbasetemp())


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CACHE", "STATE", "CONFIG", "DATA"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name))


@pytest.mark.parametrize("name", list(targets()))
def test_every_parser_refuses_by_what_is_documented(name: str, tmp_path: Path, watch: Watch) -> None:
    """Whatever the bytes are; `tools/fuzz` gives it millions more."""
    target: Target = targets()[name]
    target.prepare(tmp_path)
    firsts = first_inputs(name)
    for data in firsts:
        check(target, tmp_path, data)

    @settings(max_examples=2 if name in SLOW else 12, deadline=None, database=None, derandomize=True,
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(st.integers(0, 2**64))
    def holds(seed: int) -> None:
        data = changed(random.Random(seed), firsts)
        with watch.on():
            check(target, tmp_path, data)

    holds()
    assert watch.seen == []


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("hostile")
    return hostile(place / "runs", place / "outside")


@pytest.fixture(autouse=True)
def _nothing_outside_is_touched(folder: Path) -> Iterator[None]:
    yield
    outside = folder.parent / "outside"
    assert [path.name for path in outside.iterdir()] == ["precious"]
    assert (outside / "precious").read_text() == "as it was\n"


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    """The exit status of a command, and everything that it printed."""
    before, sys.argv = sys.argv, ["nexus-tui", *arguments]
    status = 0
    try:
        with contextlib.suppress(SystemExit):
            cli.main()
    except SystemExit as ended:
        status = int(ended.code or 0)
    finally:
        sys.argv = before
    printed = capsys.readouterr()
    return status, printed.out + printed.err


def test_no_command_is_steered_by_a_folder(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Names and texts that would steer the terminal are shown; pipes, devices and giants are passed over."""
    before = time.monotonic()
    watch = Watch(folder.parents[1], code=False)  # commands import what they need
    with watch.on():
        printed = [run(capsys, "runs", "--runs", str(folder))[1]]
        listed = run(capsys, "runs", "--runs", str(folder), "--json")[1]
        commands = ("checkpoints", "audit", "report", "forecast", "sample", "nonsense")
        name = "00\x1b]0;title\x07"
        printed += [run(capsys, command, name, "--runs", str(folder))[1] for command in commands]
        printed += [run(capsys, "audit", str(folder), "--json")[1]]
    assert time.monotonic() - before < 60, "no pipe or giant file is waited for"
    for text in (listed, *printed):
        assert text
        assert visible(text) == text
    assert len(json.loads(listed)) > 40
    assert watch.seen == []


@pytest.mark.parametrize("kind", ["pipe", "folder", "device", "giant", "shut", "link"])
def test_what_is_no_file_is_said(kind: str, folder: Path) -> None:
    for place in folder.glob(f"{kind}-*"):
        opened = Run(place)
        look(opened)
        part = place.name.removeprefix(f"{kind}-")
        if kind in ("pipe", "folder", "device", "giant") and part in ("journal", "run"):
            assert any(part in sentence for sentence in opened.damage_of_record), opened.damage_of_record


def test_a_record_is_not_written_through_a_link(folder: Path) -> None:
    """Neither a note nor a lock, an evaluation, a checkpoint, a report or the trash."""
    import numpy as np

    from nexus_tui.runs.checkpoints import save_checkpoint, save_window_losses
    from nexus_tui.runs.naming import MoveError
    from nexus_tui.runs.notes import NoteError, note
    from nexus_tui.runs.trash import delete

    with pytest.raises(NoteError, match=r"journal\.jsonl cannot be written \(it is a link"):
        note(folder / "link-journal", 1, "a note")
    with contextlib.suppress(Exception):
        note(folder / "link-lock", 1, "a note")
    with pytest.raises(OSError, match="it is a link"):
        save_window_losses(folder / "out-evaluations", "step_1", np.ones(3))
    with pytest.raises(OSError, match="it is a link"):
        save_checkpoint(folder / "out-checkpoints" / "checkpoints" / "step_9", 9, lambda _: None)
    (folder / ".trash").symlink_to(folder.parent / "outside")
    try:
        with pytest.raises(MoveError):
            delete(folder / "pipe-lock")
    finally:
        (folder / ".trash").unlink()


def test_a_long_line_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from nexus_tui.runs import journal as j

    monkeypatch.setattr(j, "LONGEST", 3000)
    monkeypatch.setattr(j, "_BATCH", 1000)
    path = tmp_path / "journal.jsonl"
    first, last = (
        json.dumps({"event": "noted", "step": s, "text": "", "time": "2026-01-02T03:04:05Z"}) for s in (1, 2)
    )
    path.write_text(f"{first}\n{'x' * 10_000}\n{last}\n")
    reader = j.JournalReader(path)
    assert [event.step for event in reader.read()] == [1, 2]
    assert reader.damaged == 1
    assert reader.read() == [] and reader.damaged == 1


@pytest.mark.parametrize(
    "value", ["0x" + "f" * 5000, "1e999", "nan", "1979-05-27", "'x'", "[[1]]", "-1", "true"]
)
def test_a_setting_that_is_none_is_reckoned_with_nowhere(value: str, tmp_path: Path) -> None:
    from tools.fuzz import seeds

    (tmp_path / "journal.jsonl").write_bytes(seeds.JOURNAL)
    tables = (
        "budget.steps",
        "budget.batch",
        "data.window",
        "evaluation.every",
        "schedule.warmup",
        "schedule.shape",
    )
    text = "".join(f"{key} = {value}\n" for key in (*tables, "optimizer.lr", "model.attn_layer_offset"))
    (tmp_path / "run.toml").write_text(text)
    look(Run(tmp_path))


@pytest.mark.parametrize(
    "when", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "1969-12-31T00:00:00Z"]
)
def test_times_at_the_ends_of_the_calendar(when: str, tmp_path: Path) -> None:
    from tools.fuzz import seeds

    text = seeds.JOURNAL.replace(b"2026-01-02T03:05:07Z", when.encode())
    (tmp_path / "journal.jsonl").write_bytes(text)
    look(Run(tmp_path))


def test_a_config_that_claims_terabytes_makes_no_room_for_them(tmp_path: Path) -> None:
    from nexus_tui.lm.pretrained import load_model
    from tools.fuzz.seeds import model_folder

    for name, data in model_folder().items():
        (tmp_path / name).write_bytes(data)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(
        json.dumps(config | {"hidden_size": 65_536, "num_hidden_layers": 512})
    )
    with pytest.raises(ValueError, match=r"model\.safetensors is damaged: it is too small"):
        load_model(tmp_path)


def test_json_on_a_terminal_is_harmless_and_says_the_same() -> None:
    from nexus_tui.untrusted import as_json

    value = {"a\x1b[2J\x9b\u202e\udcff": ["é", "\n", "\U000e0001"]}
    assert visible(as_json(value)) == as_json(value)
    assert json.loads(as_json(value)) == value
    assert "é" in as_json(value)
    assert os.sep
