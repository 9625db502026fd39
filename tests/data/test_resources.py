"""What the program ships besides code is found in a checkout; in a wheel: tests/test_installed.py."""

import tomllib
from pathlib import Path

import pytest

from nexus_tui.data.tinyshakespeare import corrections
from nexus_tui.resources import model_files, resource

ROOT = Path(__file__).parents[2]
MODELS = ["nexus-bpe", "nexus-bpe-tuned", "nexus-byte", "nexus-byte-tuned", "nexus-tiny"]


def test_found_in_a_checkout() -> None:
    assert resource("assets").samefile(ROOT / "assets")
    assert list(model_files()) == MODELS
    assert len(corrections()) == 33


def test_what_is_missing_is_named() -> None:
    with pytest.raises(FileNotFoundError, match=r"models/nexus-huge\.toml is not in this installation"):
        resource("models", "nexus-huge.toml")


@pytest.mark.parametrize("name", MODELS)
def test_every_model_says_what_it_is_for_and_leaves_nothing_to_defaults(name: str) -> None:
    tables = tomllib.loads(model_files()[name].read_text(encoding="utf-8"))
    assert tables.pop("description")
    reference = tomllib.loads(model_files()["nexus-byte"].read_text(encoding="utf-8"))
    reference.pop("description")
    assert {name: set(table) for name, table in tables.items()} == {
        name: set(table) for name, table in reference.items()
    }
