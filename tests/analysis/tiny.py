"""A tiny run, really trained, and its weights as plain arrays: what the analysis is compared with."""

from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file

from nexus_tui.config import RunConfig
from nexus_tui.runs.run import Run
from nexus_tui.training.session import Session
from tests.conftest import LINES, SMALL

Array = np.ndarray[Any, np.dtype[np.float64]]


def configuration(folder: Path, lines: int = 60, **tables: dict[str, Any]) -> RunConfig:
    """The small configuration, with four heads that share two keys, on a text written into `folder`."""
    corpus = folder / "sonnet.txt"
    corpus.write_text("".join(f"{number} {LINES}" for number in range(lines)))
    content: dict[str, dict[str, Any]] = {name: dict(table) for name, table in SMALL.items()}
    content["model"] |= {"num_attention_heads": 4, "num_key_value_heads": 2, "num_hidden_layers": 3}
    content["data"]["corpus"] = str(corpus)
    content["optimizer"]["lr"] = 1e-2  # so that nothing stays where it began
    for name, table in tables.items():
        content[name] = content.get(name, {}) | table
    return RunConfig.check(content, "test")


def trained(folder: Path, config: RunConfig, name: str = "tiny") -> Run:
    """Train a run to its end: checkpoints at 4, 8 and 12."""
    session = Session.start(folder, config, name)
    session.join()
    assert session.error is None, session.error
    return Run(session.folder)


def weights(run: Run, name: str) -> dict[str, Array]:
    """A checkpoint's tensors in 64-bit floating point."""
    stored = load_file(run.folder / "checkpoints" / name / "model.safetensors")
    return {key: tensor.astype(np.float64) for key, tensor in stored.items()}
