"""The memory that a training takes at its peak, against what was computed from its configuration.

Each configuration is trained for two steps and saved, in a process of its own. Measured is what is resident
at the peak beyond what was resident before the model was made; computed is what `nexus-tui train` compares
with what the machine, its control groups and the limits of the process leave.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.harness import goal
from nexus_tui.config import RunConfig
from nexus_tui.training.footprint import need, parameters

if TYPE_CHECKING:
    from nexus_tui.data.windows import Windows

WIDE = "model.hidden_size=512 model.intermediate_size=1792 model.mamba_dt_rank=32"
CASES = (
    "nexus-byte",
    "nexus-byte budget.micro_batch=8",
    "nexus-byte budget.micro_batch=1",
    "nexus-byte data.window=512",
    "nexus-byte data.window=4096 budget.batch=2",
    "nexus-byte regularization.dropout=0.1",
    f"nexus-byte {WIDE}",
    f"nexus-byte {WIDE} budget.micro_batch=2",
    "nexus-byte model.attn_layer_period=1 model.attn_layer_offset=0",
    "nexus-byte model.vocab_size=8000 data.tokenizer=bpe",
)
MOST, LEAST = 1.05, 0.75
"""Of what was computed: more would be a surprise, much less would refuse what fits."""


def measured(case: str) -> float:
    """Bytes at the peak of two steps and a save, beyond what was there before the model."""
    from nexus_tui.data.tokenizer import byte_tokenizer
    from nexus_tui.lm.selective_scan import warm_up
    from nexus_tui.training.learner import Learner
    from nexus_tui.training.memory import keep_freed_memory

    keep_freed_memory()
    warm_up()
    config = _config(case)
    dataset = _Tokens(byte_tokenizer())
    before = _status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
    learner = Learner(config, dataset)  # type: ignore[arg-type]
    for _ in range(2):
        learner.advance()
    with tempfile.TemporaryDirectory() as folder:
        learner.kept().write(Path(folder))
    return _status("VmHWM") - before


class _Tokens:
    """As much of a dataset as a learner looks at; the ids are those of bytes, whatever the vocabulary."""

    def __init__(self, tokenizer: object) -> None:
        import numpy as np

        self.tokenizer = tokenizer
        self.train = np.random.default_rng(0).integers(0, 256, 1 << 20).astype(np.int32)

    def batch(self, window: int, size: int, seed: int, step: int) -> "tuple[Windows, Windows]":
        from nexus_tui.data.windows import batch

        return batch(self.train, window, size, seed, step)


def _config(case: str) -> RunConfig:
    name, *settings = case.split()
    return RunConfig.load(name, settings)


def _status(key: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(float(line.split()[1]) * 1024 for line in lines if line.startswith(f"{key}:"))


def main() -> None:
    """Print a table, and both bounds; with a case, measure that one."""
    if sys.argv[1:]:
        print(json.dumps(measured(" ".join(sys.argv[1:]))))
        return
    print("| configuration | parameters | tokens at once | computed | measured | of it |")
    print("|---|---:|---:|---:|---:|---:|")
    shares = []
    for case in CASES:
        command = [sys.executable, "-m", "benchmarks.memory", *case.split()]
        taken = float(json.loads(subprocess.run(command, capture_output=True, check=True).stdout))
        config = _config(case)
        computed = need(config).total
        shares.append(taken / computed)
        tokens = config.windows_at_once * config.data.window
        print(
            f"| `{case}` | {parameters(config.model) / 1e6:.2f}M | {tokens:,} | {computed / 1e6:,.0f} MB "
            f"| {taken / 1e6:,.0f} MB | {taken / computed:.0%} |",
            flush=True,
        )
    print()
    print(goal("the peak, of what was computed", 100 * MOST, 100 * max(shares), "%"))
    print(goal("the peak, of what was computed", 100 * LEAST, 100 * min(shares), "%", least=True))


if __name__ == "__main__":
    main()
