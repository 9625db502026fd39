"""`nexus-tui audit`: what it prints and how it exits."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nexus_tui.cli import app
from nexus_tui.runs.checkpoints import link_best
from nexus_tui.runs.run import Run, RunError

from .runs.conftest import Writer


def shell(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.output


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    w = Writer(tmp_path / "run")
    for step, loss in ((100, 2.0), (200, 1.5), (300, 1.6)):
        w.save(step)
        w.evaluate(step, loss)
    return w.folder


def link(folder: Path, step: int) -> None:
    link_best(folder, Run(folder).checkpoint(step))


def test_true_is_0_and_stale_is_1(folder: Path) -> None:
    link(folder, 200)
    code, text = shell("audit", folder)
    assert (code, "TRUE  best → step 200" in text) == (0, True)
    assert "★ step 200, loss 1.5000 nats per token" in text
    link(folder, 300)
    code, text = shell("audit", "run", "--runs", folder.parent)
    assert code == 1
    assert "STALE  best → step 300" in text
    assert "step 200 is better by 0.1000 nats per token." in text


def test_json(folder: Path) -> None:
    link(folder, 300)
    code, text = shell("audit", folder, "--json")
    row = json.loads(text)
    assert (code, row["ok"], row["best_step"]) == (1, False, 200)
    assert row["claims"][0]["verdict"] == "STALE"


def test_verify_hashes_every_checkpoint(folder: Path) -> None:
    link(folder, 200)
    path = folder / "checkpoints" / "step_100" / "model.safetensors"
    path.write_bytes(bytes(reversed(path.read_bytes())))
    assert shell("audit", folder)[0] == 0
    code, text = shell("audit", folder, "--verify")
    assert (code, "step_100/model.safetensors is damaged" in text) == (1, True)


def test_damaged_lines_of_the_journal_are_said(folder: Path) -> None:
    with (folder / "journal.jsonl").open("ab") as file:
        file.write(b'oops\n{"event":"st')
    for command in ("audit", "checkpoints"):
        code, text = shell(command, "run", "--runs", folder.parent)
        assert code == 0
        assert "1 damaged line of journal.jsonl is passed over; what it said is missing.\n" in text


def test_a_folder_of_runs_audits_all_of_them(folder: Path) -> None:
    (folder.parent / "table.csv").write_text("step,loss,val_loss\n1,2,2\n2,1,1\n")
    code, text = shell("audit", folder.parent)
    assert code == 0
    assert "run: ★ step 200" in text
    assert "table: ★ step 2, loss 1.0000\n" in text
    assert len(json.loads(shell("audit", folder.parent, "--json")[1])) == 2


def test_other_tools_and_recorded_runs_are_listed_with_their_kind(folder: Path) -> None:
    (folder.parent / "table.csv").write_text("step,loss,val_loss\n1,2,2\n2,1,1\n")
    rows = json.loads(shell("runs", "--runs", folder.parent, "--json")[1])
    kinds = {row["name"]: row["kind"] for row in rows}
    assert kinds == {
        "run": "run",
        "table": "table",
        "nexus-bpe-tuned": "recorded",
        "nexus-byte-tuned": "recorded",
        "nexus-byte": "recorded",
        "shakespeare-byte": "recorded",
        "shakespeare-bpe": "recorded",
    }
    code, text = shell("checkpoints", "shakespeare-byte")
    assert code == 0
    assert any(
        line.split()[:2] == ["★", "1,400"] and "weights not here" in line for line in text.splitlines()
    )


def test_control_characters_in_a_name_are_shown(folder: Path) -> None:
    (folder / "best.\x1b[2J").write_bytes(b"")
    assert "\x1b" not in shell("audit", folder)[1]
    assert "best.␛[2J" in shell("audit", folder)[1]


def test_nothing_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="there is no run nothing"):
        shell("audit", "nothing", "--runs", tmp_path)
    (tmp_path / "bad.csv").write_text("a,b\n")
    with pytest.raises(RunError, match="holds no table with a step and a loss"):
        shell("audit", tmp_path / "bad.csv")
    with pytest.raises(RunError, match="--reevaluate takes one run"):
        for name in "ab":
            (tmp_path / f"{name}.csv").write_text("step,loss\n1,2\n")
        shell("audit", tmp_path, "--reevaluate")
