"""Two tiny runs, really trained: over bytes, and over pieces of BPE."""

from pathlib import Path

import pytest

from nexus_tui.runs.run import Run
from tests.analysis.tiny import configuration, trained


@pytest.fixture(scope="session")
def byte_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("bytes")
    return trained(folder / "runs", configuration(folder), "bytes")


@pytest.fixture(scope="session")
def bpe_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("pieces")
    config = configuration(folder, data={"tokenizer": "bpe"}, model={"vocab_size": 280})
    return trained(folder / "runs", config, "pieces")


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    return tmp_path / "runs"
