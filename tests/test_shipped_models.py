"""The models that come with the program: their weights, their records and their cards say the same."""

import json
import re
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open

from nexus_tui import cli
from nexus_tui.analysis import cache
from nexus_tui.data.corpus import load_corpus
from nexus_tui.data.tokenizer import encode, load_tokenizer
from nexus_tui.data.windows import split, validation_windows
from nexus_tui.lm.pretrained import load_model
from nexus_tui.resources import is_shipped, record_folders, resource
from nexus_tui.runs import truth
from nexus_tui.runs.audit import audit
from nexus_tui.runs.checkpoints import WEIGHTS, Checkpoint
from nexus_tui.runs.run import Run
from nexus_tui.runs.store import Runs, resolve

NAMES = ["nexus-bpe-tuned", "nexus-byte-tuned"]
WINDOWS = 4
pytestmark = pytest.mark.parametrize("name", NAMES)


def shipped(name: str) -> tuple[Run, Checkpoint]:
    run, checkpoint = resolve(Runs(Path("nowhere")), name)
    assert run.folder == resource("models", name)
    return run, checkpoint


def test_the_recorded_run_is_of_the_model_of_that_name(name: str) -> None:
    run, checkpoint = shipped(name)
    recipe = tomllib.loads(resource("models", f"{name}.toml").read_text("utf-8"))
    for table in ("model", "data", "optimizer", "regularization", "schedule", "budget", "run"):
        recorded = {key: value for key, value in run.config[table].items() if key in recipe[table]}
        assert recorded == recipe[table]
    checkpoint.verify()
    assert audit(run, verify=True).ok
    assert checkpoint.step == run.total_steps == run.step


def test_the_weights_are_bfloat16_and_the_best_on_record(name: str) -> None:
    run, checkpoint = shipped(name)
    best = truth.best(run)
    assert best and best.checkpoint and best.evaluation.name == checkpoint.name
    with safe_open(checkpoint.path / WEIGHTS, "pt") as stored:
        assert {stored.get_slice(key).get_dtype() for key in stored.keys()} == {"BF16"}  # noqa: SIM118
    assert json.loads((checkpoint.path / "config.json").read_text())["dtype"] == "bfloat16"
    assert checkpoint.path.stat().st_size < 15e6


def test_some_windows_cost_what_is_on_record(name: str) -> None:
    run, checkpoint = shipped(name)
    length = run.setting("data.window")
    text = split(load_corpus(run.setting("data.corpus")).data, run.setting("data.validation")).validation
    tokens = encode(load_tokenizer(checkpoint.path / "tokenizer.json"), text[: 8 * WINDOWS * length])
    inputs, targets = validation_windows(tokens, length)
    with torch.inference_mode():
        losses = load_model(checkpoint.path).loss(
            torch.from_numpy(inputs[:WINDOWS]), torch.from_numpy(targets[:WINDOWS]), reduction="none"
        )
    kept = run.window_losses(checkpoint.name)
    assert kept is not None and len(kept) == run.evaluations[-1].event.windows
    np.testing.assert_allclose(losses.double().mean(-1), kept[:WINDOWS], atol=1e-5)
    assert kept.astype(np.float64).mean() == pytest.approx(run.evaluations[-1].loss, abs=1e-7)


def test_the_card_has_the_figures_of_the_record(name: str) -> None:
    run, checkpoint = shipped(name)
    card = (run.folder / "README.md").read_text("utf-8")
    trained, rounded = (e for e in run.evaluations if e.name == checkpoint.name)
    assert f"# {name}:{checkpoint.step}\n" in card
    assert f"| validation loss | {trained.loss:.4f} ± {trained.stderr:.4f} nats per token |" in card
    bits = f"{rounded.bits_per_byte:.4f} bits per byte over the same windows"
    assert f"so rounded, {rounded.loss:.4f} nats per token and {bits}" in card
    assert abs(rounded.loss - trained.loss) < 2e-4
    assert run.started and run.started.corpus_sha256 in card
    for heading in ("How it was chosen", "Use", "Limits", "Recipe", "How the recipe was chosen"):
        assert f"\n## {heading}\n" in card


def test_it_writes_in_a_shell_right_away(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["sample", name, "To be", "--max-tokens", "8", "--temperature", "0"]
    monkeypatch.setattr(sys, "argv", ["nexus-tui", *words])
    with pytest.raises(SystemExit) as exit:
        cli.main()
    assert not exit.value.code
    assert re.fullmatch(r"To be\S*( \S+)+ ?\n", capsys.readouterr().out)
    assert not list(tmp_path.iterdir())


def test_what_is_found_out_about_it_is_kept_in_the_cache(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert all(is_shipped(folder) for folder in record_folders())
    place = cache.entry(resource("models", name), "tokens", 1, "0" * 64, "0" * 16).path
    assert place.is_relative_to(tmp_path / "nexus-tui") and name in place.parts
    elsewhere = cache.entry(tmp_path, "tokens", 1, "0" * 64, "0" * 16).path
    assert elsewhere.is_relative_to(tmp_path / "evaluations")
