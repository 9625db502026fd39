"""A training of a second, and a process of its own for it that costs no second of importing."""

import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from nexus_tui.config import RunConfig
from nexus_tui.runs.run import Run
from nexus_tui.training.session import Session

TABLES: dict[str, dict[str, object]] = {
    "model": {
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "attn_layer_period": 2,
        "attn_layer_offset": 1,
        "mamba_d_state": 8,
        "mamba_dt_rank": 2,
    },
    "data": {"window": 32},
    "optimizer": {"lr": 3e-3},
    "schedule": {"warmup": 2},
    "budget": {"steps": 60, "batch": 4},
    "evaluation": {"every": 10},
    "checkpoint": {"every": 5},
    "sampling": {"prompts": ["Shall"], "max_tokens": 4},
}


def config(folder: Path, **tables: dict[str, object]) -> RunConfig:
    """The training, on a text that is written into a folder; `tables` change some of it."""
    text = folder / "text.txt"
    if not text.exists():
        lines = "Shall I compare thee to a summer's day?\nThou art more lovely and more temperate:\n"
        text.write_text("".join(f"{number} {lines}" for number in range(80)))
    changed = {name: {**TABLES.get(name, {}), **tables.get(name, {})} for name in {**TABLES, **tables}}
    changed["data"]["corpus"] = str(text)
    return RunConfig.check(changed, "torture")


def process(do: Callable[[], int]) -> int:
    """Do something in a process of its own; gives its number. Call it before torch has made threads."""
    child = os.fork()
    if child:
        return child
    status = 99
    try:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        status = do()
    except BaseException:
        traceback.print_exc()
    sys.stderr.flush()
    os._exit(status)


def train(folder: Path, config: RunConfig, name: str) -> int:
    """Begin a run or go on with it, to its end. Returns 0 once it has finished."""
    run = folder / name
    if run.exists() and Run(run).state == "finished":  # killed as it ended
        return 0
    going = (run / "journal.jsonl").exists() and (run / "run.toml").exists()
    session = Session.resume(run) if going else Session.start(folder, config, name)
    session.join()
    if session.error:
        traceback.print_exception(session.error)
    return 0 if Run(run).state == "finished" else 1


def losses(run: Run) -> list[tuple[int, float]]:
    """Step and loss on the line that led to the newest weights."""
    line = run.canonical()
    return list(zip(run.steps["step"][line].tolist(), run.steps["loss"][line].tolist(), strict=True))


def same(run: Run, other: Run) -> bool:
    """Whether two runs have the same losses and end in the same weights, bit for bit."""
    ours, theirs = run.newest_checkpoint(), other.newest_checkpoint()
    return bool(losses(run) == losses(other) and ours and theirs and ours.sha256 == theirs.sha256)
