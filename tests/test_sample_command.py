"""`sample` and `score`, as a shell sees them: one text for one seed, wherever it is asked for."""

import io
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from nexus_tui import cli
from nexus_tui.cli import _checkpoint
from nexus_tui.config import RunConfig
from nexus_tui.console_sample import print_score
from nexus_tui.data.tokenizer import load_tokenizer
from nexus_tui.runs.run import Run, RunError
from nexus_tui.training.session import Session
from nexus_tui.tui.writer import Writer
from tests.test_cli import Result


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of bytes and one of BPE, on a text with more than ASCII in it."""
    from tests.conftest import LINES, SMALL

    folder = tmp_path_factory.mktemp("sampled")
    corpus = folder / "sonnet.txt"
    corpus.write_text("".join(f"{number} {LINES} — c'est l'été —\n" for number in range(60)))
    for name, tokenizer, vocabulary in (("byte", "byte", 256), ("bpe", "bpe", 280)):
        tables = {key: dict(table) for key, table in SMALL.items()}
        tables["data"] |= {"corpus": str(corpus), "tokenizer": tokenizer}
        tables["model"]["vocab_size"] = vocabulary
        session = Session.start(folder / "runs", RunConfig.check(tables, "test"), name)
        session.join()
        assert not session.error
    return folder / "runs"


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], runs: Path):
    def run(*arguments: str, stdin: bytes = b"") -> Result:
        monkeypatch.setattr(sys, "argv", ["nexus-tui", *arguments, "--runs", str(runs)])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        capsys.readouterr()
        try:
            cli.main()
            status = 0
        except SystemExit as exit:
            status = int(exit.code or 0)
        return Result(status, *capsys.readouterr())

    return run


SETTINGS = {
    "temperature": 1.1, "top_k": 90, "top_p": 0.97, "min_p": 0.001, "repetition_penalty": 1.1,
    "max_tokens": 40, "seed": 7,
}  # fmt: skip


def options(**settings: float) -> list[str]:
    pairs = settings.items()
    return [text for name, value in pairs for text in (f"--{name.replace('_', '-')}", str(value))]


@pytest.mark.parametrize("run", ["byte", "bpe"])
def test_one_seed_one_text_in_the_shell_and_in_the_app(shell, runs: Path, run: str):
    told = json.loads(shell("sample", f"{run}:8", "Shall I", *options(**SETTINGS), "--json").out)
    writer = Writer(Run(runs / run).checkpoints["step_8"], "Shall I", SETTINGS)
    writer.start()
    writer.join(60)
    assert writer.state == "done"
    assert "".join(piece.text for piece in writer.take()) == told["text"]
    assert writer.figures.tokens == told["tokens"] == 40
    assert writer.figures.bits_per_byte == pytest.approx(told["bits_per_byte"])
    assert {name: told[name] for name in SETTINGS} == SETTINGS
    assert told["tokens_per_second"] > 0
    assert told["end"] == "max tokens"
    other = json.loads(
        shell("sample", f"{run}:8", "Shall I", *options(**SETTINGS | {"seed": 8}), "--json").out
    )
    assert other["text"] != told["text"]


@pytest.mark.parametrize("penalty", [1.0, 1.2])
@pytest.mark.parametrize("run", ["byte", "bpe"])
def test_greedy_text_is_that_of_transformers_on_the_checkpoint_folder(
    shell, runs: Path, run: str, penalty: float
):
    import torch
    from transformers import AutoModelForCausalLM

    told = json.loads(
        shell(
            "sample", f"{run}:12", "Shall I", "--json",
            *options(temperature=0, max_tokens=60, repetition_penalty=penalty),
        ).out
    )  # fmt: skip
    folder = Run(runs / run).checkpoints["step_12"].path
    tokenizer = load_tokenizer(folder / "tokenizer.json")
    prompt = tokenizer.encode("Shall I").ids
    ids = AutoModelForCausalLM.from_pretrained(folder).generate(
        torch.tensor([prompt]), do_sample=False, max_new_tokens=60, repetition_penalty=penalty,
        eos_token_id=-1, pad_token_id=0,
    )  # fmt: skip
    assert tokenizer.decode(ids[0, len(prompt) :].tolist()) == told["text"]
    assert len(told["text"]) > 20


def test_a_stop_text_ends_it(shell):
    whole = json.loads(shell("sample", "byte", "Shall", "--seed", "1", "--json").out)["text"]
    stop = whole[30:33]
    told = json.loads(
        shell("sample", "byte", "Shall", "--seed", "1", "--stop", stop, "--stop", r"\n\n", "--json").out
    )
    assert told["text"] == whole[: min(i for i in (whole.find(stop), whole.find("\n\n")) if i >= 0)]
    assert told["end"] == "stop text"
    assert told["stop"] == [stop, "\n\n"]
    shown = shell("sample", "byte", "Shall", "--seed", "1", "--stop", stop)
    assert stop not in shown.out.removeprefix("Shall")


def test_prompts_of_any_bytes_are_shown_and_never_executed(shell):
    nasty = b"a\x1b[2J\x07\x9b1m\xe2\x80\xaeb\xc3"
    shown = shell("sample", "byte", "-", "--max-tokens", "3", stdin=nasty)
    assert shown.status == 0
    assert shown.out.startswith("a␛[2J␇�1m�b")
    assert not set(shown.out) & {"\x1b", "\x07", "\x9b", "\u202e"}
    told = json.loads(shell("sample", "byte", os.fsdecode(nasty), "--max-tokens", "3", "--json").out)
    assert told["prompt"] == "a\x1b[2J\x07�1m\u202eb"
    empty = json.loads(shell("sample", "byte", "--json").out)
    assert empty["tokens"] == 200
    refused = shell("sample", "bpe", "-", stdin=nasty)
    assert (refused.status, refused.out) == (2, "")
    assert refused.err.startswith("nexus-tui: The text is no UTF-8 (at byte 6), which is all that its ")
    assert refused.err.count("\n") == 1


def test_a_prompt_of_no_utf8_through_a_real_command_line(runs: Path):
    command = [sys.executable, "-m", "nexus_tui", "sample", "byte", b"caf\xc3", "--json", "--max-tokens", "2"]
    done = subprocess.run([*command, "--runs", str(runs)], capture_output=True, check=True)
    assert json.loads(done.stdout)["prompt"] == "caf"


# Score ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("run", ["byte", "bpe"])
def test_the_score_of_a_file(shell, tmp_path: Path, run: str):
    text = "Shall I compare thee to l'été?\n"
    (tmp_path / "t.txt").write_text(text)
    told = json.loads(shell("score", f"{run}:12", str(tmp_path / "t.txt"), "--json", "--tokens").out)
    assert told["step"] == 12
    assert told["bytes"] == len(text.encode())
    assert told["tokens"] == len(told["per_token"])
    assert math.fsum(token["nats"] for token in told["per_token"]) == pytest.approx(told["nats"])
    assert told["bits_per_byte"] == pytest.approx(told["nats"] / told["bytes"] / math.log(2))
    assert told["nats_per_token"] == pytest.approx(told["nats"] / told["tokens"])
    again = json.loads(shell("score", f"{run}:12", "-", "--json", stdin=text.encode()).out)
    assert again == {name: value for name, value in told.items() if name != "per_token"}
    lines = shell("score", f"{run}:12", str(tmp_path / "t.txt"), "--tokens").out.splitlines()
    assert len(lines) == told["tokens"] + 1
    assert lines[-1].startswith(f"{run} at step 12: {told['bits_per_byte']:.4f} bits/byte")


def test_the_score_of_bytes_that_are_no_text(shell):
    lines = shell("score", "byte", "-", "--tokens", stdin=b"\xff\x1b\n").out.splitlines()
    assert [line.split("  ")[-1] for line in lines[:3]] == ["'\\xff'", "'␛'", "'\\n'"]
    assert shell("score", "bpe", "-", stdin=b"\xff").status == 2


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("sample", "byte", "x", "--top-p", "0"), "top_p is 0.0; it must be above 0"),
        (("sample", "byte", "x", "--min-p", "2"), "min_p is 2.0; it must be from 0 (off) to 1."),
        (("sample", "byte", "x", "--repetition-penalty", "0"), "repetition_penalty is 0.0; it must be"),
        (("sample", "byte", "x", "--stop", ""), "A stop text is empty"),
        (("sample", "byte:9", "x"), "byte keeps no checkpoint 9; it has: 4, 8, 12."),
        (("sample", "nexus-byte:1400", "x"), "nexus-byte is a record without weights"),
        (("sample", "shakespeare-bpe:best", "x"), "shakespeare-bpe is a record without weights"),
        (("score", "nexus-byte:last", "-"), "nexus-byte is a record without weights"),
        (("score", "byte", "/"), "The text / cannot be read: Is a directory."),
        (("score", "byte", "none.txt"), "The text none.txt cannot be read: No such file or directory."),
        (("score", "byte", "-"), "The text is empty, so there is nothing to score."),
    ],
)
def test_what_cannot_be_done_is_one_sentence_and_status_2(shell, arguments: tuple[str, ...], sentence: str):
    result = shell(*arguments)
    assert (result.status, result.out) == (2, "")
    assert result.err.startswith("nexus-tui: ")
    assert sentence in result.err
    assert result.err.count("\n") == 1


def test_another_tools_run_is_refused_by_its_kind(shell, tmp_path: Path):
    table = tmp_path / "log.csv"
    table.write_text("step,train_loss,val_loss\n1,3.0,3.1\n2,2.0,2.2\n")
    result = shell("sample", f"{table}:2", "x")
    assert result.status == 2
    assert "log is a table run to look at, whose weights this program does not read" in result.err


def test_the_score_of_an_average_carries_its_name(capsys):
    sums = {"run": "byte", "step": 12, "checkpoint": "soup", "tokens": 1, "bytes": 1, "nats": 1.0}
    print_score({**sums, "average": True, "nats_per_token": 1.0, "bits_per_byte": 1.4427})
    assert capsys.readouterr().out.startswith("byte:soup: 1.4427 bits/byte")


def test_a_step_that_is_named_twice_is_refused() -> None:
    with pytest.raises(RunError, match=r"nexus-byte:2000 with --step 800 names the step twice"):
        _checkpoint("nexus-byte:2000", 800, None)


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs that there is no GPU")
@pytest.mark.parametrize("command", [["sample", "byte", "Shall"], ["score", "byte", "-"]])
def test_a_gpu_that_is_not_there_is_refused_in_one_sentence(shell, command: list[str]):
    told = shell(*command, "--device", "cuda", stdin=b"Shall")
    assert told.status == 2
    assert told.out == ""
    assert "finds no GPU here" in told.err
    assert "--device cpu" in told.err


def test_a_device_of_no_kind_is_refused(shell):
    told = shell("sample", "byte", "Shall", "--device", "tpu")
    assert told.status == 2
    assert told.err == "nexus-tui: --device is auto, cpu or cuda, not tpu.\n"


def test_without_a_gpu_auto_is_the_cpu(shell):
    texts = [shell("sample", "byte", "Shall", "--device", device).out for device in ("auto", "cpu")]
    if torch.cuda.is_available():
        assert all(texts)
    else:
        assert texts[0] == texts[1] != ""
