"""Configuration: what is wrong is refused by name."""

import tomllib
from pathlib import Path

import pytest

from nexus_tui.config import ConfigError, RunConfig


@pytest.mark.parametrize(
    "preset", ["nexus-byte", "nexus-bpe", "nexus-byte-tuned", "nexus-bpe-tuned", "nexus-tiny"]
)
def test_what_is_written_is_what_was_meant(preset: str) -> None:
    config = RunConfig.load(preset, ['sampling.prompts=["a\\"b\\n", "é\\u001b"]'])
    assert RunConfig.check(tomllib.loads(config.to_toml()), "written") == config


@pytest.mark.parametrize(
    ("override", "reason"),
    [
        ("optimizer.rate=1", r"there is no key optimizer\.rate"),
        ("optimiser.lr=1", r"there is no key optimiser"),
        ("optimizer.lr=fast", r"optimizer\.lr: Input should be a valid number"),
        ("optimizer.lr=-1", r"optimizer\.lr: Input should be greater than 0"),
        ("model.vocab_size=300", "the byte tokenizer has 256 ids"),
        ("model.num_attention_heads=7", "hidden_size 256 is not a multiple of num_attention_heads 7"),
        ("schedule.warmup=5000", r"schedule\.warmup is 5000, not below budget\.steps 2000"),
        ("lr=1", r"write table\.key=value"),
        ("preset.lr=1", "preset is no table"),
        ("optimizer.betas=[0.9, 1.0]", "betas must be"),
    ],
)
def test_what_is_wrong_is_named(override: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        RunConfig.load("nexus-byte", [override])


def test_an_unknown_model_names_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError,
        match="there is no model gpt; choose one of nexus-bpe, nexus-bpe-tuned, "
        "nexus-byte, nexus-byte-tuned, nexus-tiny",
    ):
        RunConfig.load("gpt")
    with pytest.raises(ConfigError, match="No such file"):
        RunConfig.load(str(tmp_path / "x.toml"))
    (tmp_path / "x.toml").write_text("= 1")
    with pytest.raises(ConfigError, match="no valid TOML"):
        RunConfig.load(str(tmp_path / "x.toml"))
