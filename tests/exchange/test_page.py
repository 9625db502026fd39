"""Every command of docs/exchange.md, run in order on a tiny run."""

import re
import shlex
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nexus_tui.cli import app
from nexus_tui.runs.run import Run

PAGE = Path(__file__).parents[2] / "docs" / "exchange.md"


def test_every_command_of_the_page_runs(byte_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NEXUS_RUNS", raising=False)
    shutil.copytree(byte_run.folder, tmp_path / "runs" / "mine", symlinks=True)
    shutil.copyfile(byte_run.setting("data.corpus"), tmp_path / "my.txt")
    toml = (byte_run.folder / "run.toml").read_text()
    (tmp_path / "my.toml").write_text(re.sub(r"^preset = .*$", "", toml, flags=re.M))
    blocks = re.findall(r"^```sh\n(.*?)^```", PAGE.read_text("utf-8"), re.M | re.S)
    commands = [shlex.split(line) for block in blocks for line in block.splitlines()]
    assert len(commands) == 15
    for program, *arguments in commands:
        assert program == "nexus-tui"
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 0, (arguments, result.output, result.exception)
    assert {Run(tmp_path / "runs" / name).state for name in ("taken", "logged")} == {"finished"}
    made = {"my-model", "my-bf16", "mine.gguf", "mine-16.gguf", "curves.csv", "curves.parquet", "logs"}
    assert made <= {path.name for path in tmp_path.iterdir()}
    assert list((tmp_path / "runs" / "logged" / "tensorboard").iterdir())
