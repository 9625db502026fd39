"""The commands, as a shell sees them: what they print, and with which status they exit."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from nexus_tui import __main__, cli
from nexus_tui.config import RunConfig
from nexus_tui.foreground import INTERRUPTED
from nexus_tui.runs.run import Run
from tests.tui.fake_runs import FakeRun


@dataclass
class Result:
    status: int
    out: str
    err: str


@pytest.fixture
def shell(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Callable[..., Result]:
    """Run a command in this process, on the runs folder of the test."""
    monkeypatch.setenv("NEXUS_RUNS", str(tmp_path / "runs"))

    def run(*arguments: str) -> Result:
        monkeypatch.setattr(sys, "argv", ["nexus-tui", *arguments])
        capsys.readouterr()
        try:
            cli.main()
            status = 0
        except SystemExit as exit:
            status = int(exit.code or 0)
        return Result(status, *capsys.readouterr())

    return run


def runs_of(shell: Callable[..., Result]) -> list[dict[str, object]]:
    """The runs trained here, without the recorded ones that are always there."""
    return [run for run in json.loads(shell("runs", "--json").out) if run["kind"] == "run"]


@pytest.fixture
def model(tmp_path: Path, small: RunConfig) -> str:
    path = tmp_path / "small.toml"
    path.write_text(small.to_toml())
    return str(path)


def test_train_list_and_sample(shell: Callable[..., Result], model: str) -> None:
    done = shell("train", "--model", model, "--set", "schedule.warmup=3", "--seed", "7")
    assert done.status == 0
    lines = done.out.splitlines()
    assert lines[-1] == "finished at step 12"
    assert sum("evaluated: validation loss" in line for line in lines) == 3
    assert any(line.startswith("step     10 / 12  loss ") for line in lines)

    (run,) = runs_of(shell)
    assert (run["name"], run["state"], run["step"], run["steps"]) == ("small-1", "finished", 12, 12)
    rows = json.loads(shell("checkpoints", "small-1", "--json").out)
    assert [row["step"] for row in rows] == [4, 8, 12]
    assert [row["best"] for row in rows].count(True) == 1
    best = next(row for row in rows if row["best"])
    assert (run["best_step"], run["best_loss"]) == (best["step"], best["validation_loss"])
    assert min(row["validation_loss"] for row in rows) == best["validation_loss"]
    assert f"★ {best['step']:>5}" in shell("checkpoints", "small-1").out
    assert re.search(r"^small-1 +finished", shell("runs").out, re.MULTILINE)

    arguments = ("Shall I", "--max-tokens", "9", "--seed", "3")
    text = shell("sample", "small-1", *arguments).out
    assert text.startswith("Shall I")
    assert shell("sample", f"small-1:{best['step']}", *arguments).out == text
    assert shell("sample", "small-1", "--step", str(best["step"]), *arguments).out == text
    as_json = json.loads(shell("sample", "small-1:best", *arguments, "--json").out)
    assert as_json["tokens"] == 9
    assert cli.json.dumps(as_json["text"])
    assert as_json["step"] == best["step"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("train", "--model", "gpt"), "there is no model gpt; choose one of "),
        (("train", "--set", "optimizer.rate=1"), "there is no key optimizer.rate"),
        (("train", "--resume", "x"), "there is no run x in "),
        (("train", "--device", "tpu"), "--device is auto, cpu or cuda, not tpu."),
        (("train", "--from", "3"), "--from needs --resume RUN."),
        (("train", "--resume", "x", "--seed", "5"), "--seed is for a new run; x goes on as it was begun."),
        (("train", "--resume", "x", "--model", "nexus-tiny"), "--model is for a new run"),
        (("train", "--name", "../x"), "cannot name a run"),
        (("checkpoints", "x"), "there is no run x in "),
        (("sample", "x:3", "To be"), "there is no run x in "),
    ],
)
def test_wrong_input_is_one_sentence_and_status_2(
    shell: Callable[..., Result], arguments: tuple[str, ...], sentence: str
) -> None:
    result = shell(*arguments)
    assert result.status == 2
    assert result.out == ""
    assert result.err.startswith("nexus-tui: ")
    assert sentence in result.err
    assert result.err.count("\n") == 1


def test_a_missing_corpus_is_told_before_anything_starts(
    shell: Callable[..., Result], tmp_path: Path
) -> None:
    result = shell("train", "--model", "nexus-tiny", "--corpus", str(tmp_path / "none.txt"))
    assert result.status == 2
    assert "none.txt" in result.err
    assert runs_of(shell) == []


def test_no_runs_says_how_to_begin(shell: Callable[..., Result]) -> None:
    result = shell("runs")
    assert result.status == 0
    assert "shakespeare-byte" in result.out
    assert "nexus-tui train" in result.err


def test_without_a_terminal_the_app_names_the_commands(shell: Callable[..., Result]) -> None:
    result = shell()
    assert result.status == 2
    assert "nexus-tui train" in result.err


def test_runs_are_filtered_as_in_the_app(shell: Callable[..., Result], tmp_path: Path) -> None:
    FakeRun(tmp_path / "runs" / "one", preset="nexus-tiny", every=10).train(20)
    FakeRun(tmp_path / "runs" / "two", preset="nexus-byte").train(5)

    def listed(wanted: str) -> list[str]:
        return [run["name"] for run in json.loads(shell("runs", "--json", "--filter", wanted).out)]

    assert listed("model:tiny lr>=1e-4 best<10 -kind:recorded") == ["one"]
    assert sorted(listed("state:crashed -best<10")) == ["two"]
    assert listed("pinned:yes") == []
    assert "2 of" in shell("runs", "--filter", "kind:run").err
    result = shell("runs", "--filter", "model:tiny besst<2")
    assert result.status == 2 and result.out == ""
    assert result.err.startswith("nexus-tui: --filter at 'besst': There is no key besst; near it: best")

    (tmp_path / "runs" / "table.csv").write_text("step,loss,val_loss\n1,2,2\n3,1,1\n")
    _, *recorded = shell("runs", "--filter", "state:recorded").out.splitlines()
    assert recorded and all(" recorded " in line for line in recorded), "the word that was asked for"
    assert " 3 " in shell("runs", "--filter", "table").out and " / 0" not in shell("runs").out


@pytest.mark.parametrize("command", ["train", "runs", "checkpoints", "sample", "models", "corpora"])
def test_every_command_has_help(shell: Callable[..., Result], command: str) -> None:
    result = shell(command, "--help")
    assert result.status == 0
    assert command in result.out


def test_models_and_corpora(shell: Callable[..., Result]) -> None:
    assert {"nexus-byte", "nexus-bpe", "nexus-tiny"} <= {
        m["name"] for m in json.loads(shell("models", "--json").out)
    }
    assert "tinyshakespeare" in json.loads(shell("corpora", "--json").out)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_saves_and_stops(model: str, tmp_path: Path, number: signal.Signals) -> None:
    command = [sys.executable, "-m", "nexus_tui", "train", "--model", model, "--runs", str(tmp_path)]
    process = subprocess.Popen(
        [*command, "--steps", "100000", "--name", "run"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not (tmp_path / "run" / "journal.jsonl").exists() or Run(tmp_path / "run").step < 5:
        assert process.poll() is None
        time.sleep(0.01)
    os.kill(process.pid, number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == INTERRUPTED
    assert "saving and stopping" in err
    run = Run(tmp_path / "run")
    assert run.state == "stopped"
    newest = run.newest_checkpoint()
    assert newest
    assert newest.step == run.step
    newest.verify()


def test_names_are_text_and_no_markup(shell: Callable[..., Result], tmp_path: Path) -> None:
    (tmp_path / "runs" / "[bold]x\x1b[2J").mkdir(parents=True)
    (tmp_path / "runs" / "[bold]x\x1b[2J" / "journal.jsonl").touch()
    assert "[bold]x␛[2J" in shell("runs").out


def test_a_record_cannot_be_sampled_and_says_so(shell: Callable[..., Result]) -> None:
    result = shell("sample", "nexus-byte", "To be")
    assert result.status == 2
    assert "nexus-byte is a record without weights" in result.err


def test_a_command_is_one_where_a_folder_has_its_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    FakeRun(tmp_path / "runs" / "mine").train(3)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NEXUS_RUNS", raising=False)
    for words, said in ((["runs"], "mine"), (["./runs"], "The app needs a terminal")):
        monkeypatch.setattr(sys, "argv", ["nexus-tui", *words])
        with pytest.raises(SystemExit):
            __main__.main()
        assert said in "".join(capsys.readouterr())
