"""A corpus and a model so small that training them is a matter of a second."""

import os
from pathlib import Path

import pytest
import torch

from nexus_tui.config import RunConfig

if not torch.cuda.is_available():  # Triton asks when it is imported, whoever does so first
    os.environ.setdefault("TRITON_INTERPRET", "1")

LINES = "Shall I compare thee to a summer's day?\nThou art more lovely and more temperate:\n"
SMALL = {
    "model": {
        "hidden_size": 16,
        "intermediate_size": 24,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "attn_layer_period": 2,
        "attn_layer_offset": 1,
        "mamba_d_state": 4,
        "mamba_dt_rank": 2,
    },
    "data": {"window": 16},
    "optimizer": {"lr": 3e-3},
    "schedule": {"warmup": 2},
    "budget": {"steps": 12, "batch": 4},
    "evaluation": {"every": 4},
    "checkpoint": {"every": 4},
    "sampling": {"prompts": ["Shall"], "max_tokens": 4},
}


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    path = tmp_path / "sonnet.txt"
    path.write_text("".join(f"{number} {LINES}" for number in range(60)))
    return path


@pytest.fixture
def small(corpus: Path) -> RunConfig:
    tables = {name: dict(table) for name, table in SMALL.items()}
    tables["data"]["corpus"] = str(corpus)
    return RunConfig.check(tables, "test")
