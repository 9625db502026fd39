"""A whole session: where it writes, and that it talks to nobody. Hooks tell, and what lies there after."""

import contextlib
import importlib
import os
import sys
from pathlib import Path

import pytest

from nexus_tui import cli
from nexus_tui.config import RunConfig
from nexus_tui.runs.trash import delete
from nexus_tui.training.session import Session
from nexus_tui.tui.copying import export
from nexus_tui.tui.view import View, ViewFile
from tools.fuzz.watching import Watch


def test_a_whole_session_writes_and_talks_nowhere_else(
    tmp_path: Path, small: RunConfig, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Train, resume, look, compare, sample, report, note, delete. No hook sees what native code writes."""
    importlib.import_module("nexus_tui.lm.selective_scan.compiled")  # kernels are kept where they were
    home, elsewhere, runs = tmp_path / "home", tmp_path / "elsewhere", tmp_path / "runs"
    for folder in (elsewhere, runs, home / ".cache", home / ".local" / "state"):
        folder.mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    for name in ("CACHE", "STATE", "CONFIG", "DATA"):
        monkeypatch.delenv(f"XDG_{name}_HOME", raising=False)
    monkeypatch.chdir(elsewhere)
    before = {path.name for path in tmp_path.iterdir()}
    own = (home / ".cache" / "nexus-tui", home / ".local" / "state" / "nexus-tui")
    watch = Watch(runs, *own, Path(os.environ["NUMBA_CACHE_DIR"]), code=False)

    def command(*arguments: str) -> None:
        monkeypatch.setattr(sys, "argv", ["nexus-tui", *arguments, "--runs", str(runs)])
        with contextlib.suppress(SystemExit):
            cli.main()

    with watch.on():
        Session.start(runs, small, "one").join()
        Session.resume(runs / "one", 8).join()
        for arguments in (
            ["runs"], ["checkpoints", "one"], ["audit", "one", "--verify"], ["forecast", "one"],
            ["report", "one"], ["compare", "one:4", "one:12", "--deep"],
            ["sample", "one", "Shall", "--max-tokens", "4"], ["note", "one", "a note"],
        ):  # fmt: skip
            command(*arguments)
        kept = ViewFile(runs)
        kept.save(View(folder=str(runs), sort="name"))
        export("sample", "a text")
        delete(runs / "one")
    printed = capsys.readouterr()
    assert "4" in printed.out
    assert watch.seen == []
    assert {path.name for path in tmp_path.iterdir()} == before
    assert list(elsewhere.iterdir()) == []
    made = {str(path.relative_to(home)) for path in home.rglob("*") if path.is_file()}
    assert made
    assert all(name.startswith((".cache/nexus-tui/", ".local/state/nexus-tui/")) for name in made)
