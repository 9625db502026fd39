"""`nexus-tui compare`: what it prints, its JSON, and what it says to what cannot be done."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from nexus_tui.cli import app
from nexus_tui.config import RunConfig
from nexus_tui.runs.run import Run, RunError
from nexus_tui.training.session import Session

from .conftest import LINES, SMALL
from .runs.conftest import Writer


def shell(*arguments: object) -> str:
    result = CliRunner().invoke(app, ["compare", *(str(argument) for argument in arguments)])
    if result.exception:
        raise result.exception
    assert result.exit_code == 0
    return result.output


def told(*arguments: object) -> dict[str, Any]:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    found: dict[str, Any] = json.loads(shell(*arguments, "--json"), parse_constant=refuse)
    return found


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs `byte` and `bpe` over one text, which begins with a control sequence."""
    root = tmp_path_factory.mktemp("trained")
    (root / "sonnet.txt").write_text("".join(f"{number} \x1b[2J{LINES}" for number in range(60)))
    tables = {name: dict(table) for name, table in SMALL.items()}
    tables["data"]["corpus"] = str(root / "sonnet.txt")
    for name in ("byte", "bpe"):
        session = Session.start(root, RunConfig.check(tables, "test"), name)
        session.join()
        assert session.error is None, session.error
        tables["data"] |= {"tokenizer": "bpe", "window": 8}
        tables["model"] |= {"vocab_size": 270}
    return root


@pytest.fixture
def runs(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "copied", symlinks=True))


def test_a_recorded_run_side_by_side() -> None:
    text = shell("nexus-byte:1200", "nexus-byte:1400", "nexus-byte:2000", "nexus-byte:best")
    assert "B  nexus-byte:1400   0 → 1400, weights not here" in text
    rows = {line.split()[0]: line.split()[1:] for line in text.splitlines() if line.split()}
    assert rows["validation"] == ["1.4899", "1.4675", "1.4614", "1.4614"]
    assert rows["bits/byte"] == ["2.1495", "2.1172", "2.1083", "2.1083"]
    assert "B better than A     -0.0224" in text
    assert "C ≈ B               -0.0062" in text
    assert "D same as C               0" in text
    assert "in nats/token, 871 windows in 10 blocks" in text
    assert "no other is better than B, C, D" in text


def test_its_json_has_every_fact_and_every_pair() -> None:
    found = told("nexus-byte:1200", "nexus-byte:1400", "nexus-byte:2000")
    assert list(found) == ["confidence", "subjects", "pairs", "unbeaten", "config"]
    assert list(found["subjects"][1]) == [
        "label", "run", "checkpoint", "step", "tokens", "train_loss", "validation_loss", "stderr",
        "perplexity", "bits_per_byte", "gap", "bytes", "lineage", "parents", "weights", "sha256", "protocol",
    ]  # fmt: skip
    assert [(pair["a"], pair["b"], pair["verdict"]) for pair in found["pairs"]] == [
        ("nexus-byte:1200", "nexus-byte:1400", "better"),
        ("nexus-byte:1200", "nexus-byte:2000", "better"),
        ("nexus-byte:1400", "nexus-byte:2000", "undecided"),
    ]
    pair = found["pairs"][0]
    assert list(pair) == [
        "a", "b", "verdict", "better", "unit", "difference", "low", "high", "windows", "blocks", "bytes",
        "reason",
    ]  # fmt: skip
    assert pair["low"] < pair["difference"] < pair["high"] < 0
    assert (pair["windows"], pair["blocks"], pair["bytes"], pair["reason"]) == (871, 10, None, None)
    assert found["unbeaten"] == ["nexus-byte:1400", "nexus-byte:2000"]


def test_what_a_record_does_not_say_is_said(tmp_path: Path) -> None:
    text = shell("shakespeare-byte:1400", "shakespeare-byte:2000", "nexus-byte:2000")
    assert "B and A, no test     +0.0160" in text
    assert "the record of shakespeare-byte does not say which text its loss is of." in text
    assert "data.corpus" in text
    found = told("shakespeare-byte:1400", "nexus-byte:2000")
    assert found["config"]["data.corpus"] == ["Shakespeare", "tinyshakespeare"]
    (pair,) = found["pairs"]
    assert (pair["verdict"], pair["difference"], pair["low"]) == ("incomparable", None, None)


def test_other_tools_runs_compare_as_far_as_they_say(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("step,loss,val_loss\n1,2,2\n2,1,1\n")
    text = shell("table:1", "table.csv:2", "nexus-byte:2000", "--runs", tmp_path)
    assert "B and A, no test     -1.0000" in text
    assert "the record of table does not say which text its loss is of." in text


def test_deep_says_where_the_loss_lives(runs: Path) -> None:
    text = shell("byte:4", "byte:12", "--deep", "--runs", runs)
    for words in (
        "by position in the window",
        "letter inside a word",
        "tokens that cost A most",
        "windows in which A and B differ most",
        "nats of each token",
        "tokens of context, up to",
    ):
        assert words in text
    assert "\x1b[2J" not in text and "␛" in text
    positions = [line.split() for line in text.splitlines() if line.strip().startswith("9–16")]
    assert len(positions) == 1 and len(positions[0]) == 3
    assert len(list((runs / "byte" / "evaluations" / "analysis").glob("tokens-*.npz"))) == 2


def test_deep_json_agrees_with_the_record(runs: Path) -> None:
    found = told("byte:4", "byte:12", "--deep", "--runs", runs)
    deep = found["deep"]
    assert list(deep) == ["positions", "classes", "tokens", "windows", "moved", "inside"]
    for subject in found["subjects"]:
        label, loss = subject["label"], subject["validation_loss"]
        assert np.mean(deep["positions"][label]["mean"]) == pytest.approx(loss, abs=1e-5)
        assert len(deep["positions"][label]["stderr"]) == 16
        assert sum(row["contribution"] for row in deep["classes"][label]) == pytest.approx(loss, abs=1e-5)
        assert deep["tokens"][label][0]["loss"] > 0
    window = deep["windows"][0]
    losses = Run(runs / "byte").window_losses("step_12")
    assert losses is not None
    assert np.mean([token["b"] for token in window["tokens"]]) == pytest.approx(window["loss_b"], abs=1e-5)
    assert window["loss_b"] == pytest.approx(float(losses[window["window"]]), abs=1e-5)
    assert window["difference"] == pytest.approx(window["loss_b"] - window["loss_a"])
    text = (runs / "sonnet.txt").read_text()
    assert "".join(token["token"] for token in window["tokens"]) in text


def test_deep_says_what_moved_and_what_is_inside(runs: Path) -> None:
    text = shell("byte:4", "byte:8", "byte:12", "--deep", "--runs", runs)
    rows = {" ".join(line.split()[:3]): line.split() for line in text.splitlines() if line.split()}
    assert rows["part A →"] == ["part", "A", "→", "B", "B", "→", "C"]
    assert len(rows["block 0 mamba"]) > 3
    assert "what each Mamba layer remembers" in text and "block 1 head 1" in text
    deep = told("byte:4", "byte:8", "byte:12", "--deep", "--runs", runs)["deep"]
    assert [(way["a"], way["b"], way["reason"]) for way in deep["moved"]] == [
        ("byte:4", "byte:8", None),
        ("byte:8", "byte:12", None),
    ]
    assert all(part["change"] > 0 for part in deep["moved"][0]["parts"])
    mamba, attention = deep["inside"]["byte:12"]["layers"]
    assert (mamba["kind"], attention["kind"]) == ("mamba", "attention")
    assert len(mamba["memory"]) == 5 and mamba["memory"] == sorted(mamba["memory"])
    assert len(attention["entropy"]) == 2


def test_an_average_is_scored_and_saved_with_its_parents(runs: Path) -> None:
    text = shell("byte:8", "byte:12", "--average", "uniform", "--runs", runs)
    rows = [line.split() for line in text.splitlines() if line.startswith("average ")]
    assert rows[0][:4] == ["average", "of", "2:", "loss"]
    assert rows[1][1:4] == ["better", "than", "A"]  # between a poor checkpoint and a better one
    assert len(rows) == 3
    assert "saved" not in text
    found = told("byte:8", "byte:12", "--average", "ema", "--decay", 0.25, "--save", "mean", "--runs", runs)
    average = found["average"]
    assert average["method"] == "ema 0.25" and average["saved"] == "byte:mean"
    assert average["shares"] == pytest.approx([0.2, 0.8])
    assert [pair["a"] for pair in average["pairs"]] == ["byte:8", "byte:12"]
    assert [parent.partition("@")[0] for parent in average["parents"]] == ["byte:step_8", "byte:step_12"]
    again = told("byte:12", "byte:mean", "--runs", runs)
    mean = again["subjects"][1]
    assert (mean["label"], mean["lineage"]) == ("byte:mean", "average of 8 and 12, ema 0.25")
    assert mean["validation_loss"] == pytest.approx(average["validation_loss"], abs=1e-6)
    assert mean["parents"] == average["parents"]
    assert again["pairs"][0]["blocks"] > 0
    with pytest.raises(RunError, match="has a checkpoint mean already"):
        shell("byte:8", "byte:12", "--average", "uniform", "--save", "mean", "--runs", runs)


def test_deep_compares_across_tokenizers(runs: Path) -> None:
    shallow = shell("byte:12", "bpe:12", "--runs", runs)
    assert "only bits per byte of the same text compare" in shallow
    note = "of each one's own windows and tokens: they do not compare"
    assert note in shallow and note not in shell("byte:4", "byte:12", "--runs", runs)
    assert "--deep computes the loss of every token" in shallow
    text = shell("byte:12", "bpe:12", "--deep", "--runs", runs)
    assert "bits/byte, " in text and "bytes of text in 10 blocks" in text
    assert text.count("by position in the window") == 2  # each with its own tokens
    assert "windows in which" not in text
    assert "data.tokenizer" in text and "bpe" in text
    (pair,) = told("byte:12", "bpe:12", "--deep", "--runs", runs)["pairs"]
    assert (pair["unit"], pair["windows"]) == ("bits/byte", 0)
    assert pair["bytes"] > 100 and pair["verdict"] != "incomparable"


def test_names_are_text_and_never_markup_or_control(tmp_path: Path) -> None:
    for number, name in enumerate(("[red]x", "y\x1b[2J")):
        w = Writer(tmp_path / name)
        (w.folder / "run.toml").write_text(f'[data]\ncorpus = "[bold]{number}\\u001b[2J"\n')
        w.save(100 + number)
        w.evaluate(100 + number, 2.0, windows=np.linspace(1, 3, 50))
    text = shell("[red]x:100", "y\x1b[2J:101", "--runs", tmp_path)
    assert "[red]x:100" in text and "y␛[2J:101" in text and "[bold]1␛[2J" in text
    assert "\x1b" not in text


def test_what_cannot_be_done_is_one_sentence(tmp_path: Path, runs: Path) -> None:
    for arguments, sentence in (
        (["nexus-byte:200"], "2 to 8 checkpoints are compared at once, not 1"),
        (["nexus-byte:200"] * 9, "2 to 8 checkpoints are compared at once, not 9"),
        (
            ["nexus-byte:200", "nexus-byte:300"],
            "nexus-byte has no checkpoint 300 on record; it has: 200, 400",
        ),
        (["nexus-byte:200", "nothing:300"], "there is no run nothing"),
        (["nexus-byte:200", "nexus-byte:400", "--deep"], "none of these has its weights here"),
        (["byte:4", "byte:8", "--save", "mean"], "--save keeps an average: say which"),
        (
            ["byte:4", "byte:8", "--average", "median"],
            "there is no average median; there are uniform and ema",
        ),
    ):
        with pytest.raises(RunError, match=sentence):
            shell(*arguments, "--runs", runs)


def test_weights_that_are_gone_compare_from_the_record_beside_those_that_are_here(runs: Path) -> None:
    shutil.rmtree(runs / "byte" / "checkpoints" / "step_4")
    found = told("byte:4", "byte:12", "--deep", "--runs", runs)
    assert found["pairs"][0]["blocks"] > 0
    assert list(found["deep"]["positions"]) == ["byte:12"]
    assert found["deep"]["windows"] == []


def test_deep_also_tests_an_average_against_a_parent_without_windows_on_record(runs: Path) -> None:
    (runs / "byte" / "evaluations" / "step_4.npy").unlink()
    asked = ("byte:4", "byte:12", "--average", "uniform", "--runs", runs)
    assert [pair["blocks"] > 0 for pair in told(*asked)["average"]["pairs"]] == [False, True]
    assert all(pair["blocks"] > 0 for pair in told(*asked, "--deep")["average"]["pairs"])


def test_nothing_but_the_record_needs_no_torch(tmp_path: Path) -> None:
    import subprocess
    import sys

    code = (
        "import sys; from nexus_tui.cli import app\n"
        "try: app(['compare', 'nexus-byte:200', 'nexus-byte:400'])\n"
        "except SystemExit as ended: assert not ended.code\n"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "B better than A" in done.stdout
