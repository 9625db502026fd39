"""Writes a run of 20 metrics × 50,000 steps, as a trainer that measures much would have: `python -m
benchmarks.big_run DIR`.

Three of the metrics are in the steps (loss, learning rate, gradient norm), the others are measured beside
them; every 1,000 steps there is an evaluation. The weights are elsewhere: the run is one put on record.
"""

import argparse
import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import numpy as np

from nexus_tui.runs import journal as j

STEPS, METRICS = 50_000, 20
IN_STEPS = 3
"""Of the metrics, those that a step's event has."""
NAMES = (
    "accuracy", "entropy", "logit_max", "z_loss", "router_loss", "router_entropy", "tokens_dropped",
    "weight_norm", "update_norm", "activation_max", "attention_entropy", "memory_gb", "gpu_busy",
    "loader_seconds", "forward_seconds", "backward_seconds", "optimizer_seconds",
)  # fmt: skip
TOML = f"""\
description = "20 metrics × 50,000 steps"
preset = "nexus-byte"
kind = "recorded"
[data]
corpus = "tinyshakespeare"
tokenizer = "byte"
window = 128
[budget]
steps = {STEPS}
batch = 16
"""


def events(steps: int = STEPS, metrics: int = METRICS, seed: int = 0) -> Iterator[j.Event]:
    """The events of the run, a second a step; what is random is so by `seed`."""
    random = np.random.default_rng(seed)
    names = [NAMES[i] if i < len(NAMES) else f"layer_{i}" for i in range(metrics - IN_STEPS)]
    levels = random.uniform(0.2, 5.0, len(names))
    noise = random.normal(0, 0.05, (steps, len(names) + 2))
    start = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)
    yield j.StartedEvent(time=start, kind="recorded", parameters=6_739_088, validation_tokens=111_540)
    for step in range(1, steps + 1):
        at = start + timedelta(seconds=step)
        far = step / steps
        loss = 1.2 + 4.3 * math.exp(-40 * far) + 0.5 * math.exp(-5 * far)
        yield j.StepEvent(
            time=at,
            step=step,
            loss=loss + float(noise[step - 1, 0]),
            lr=1.5e-4 * (1 + math.cos(math.pi * far)),
            grad_norm=0.4 + 2 * math.exp(-30 * far) + abs(float(noise[step - 1, 1])),
            tokens=step * 2048,
            seconds=1.0,
        )
        values = levels * (0.3 + math.exp(-3 * far)) + noise[step - 1, 2:]
        yield j.MeasuredEvent(time=at, step=step, values=dict(zip(names, values.tolist(), strict=True)))
        if step % 1000 == 0:
            name = f"step_{step}"
            yield j.SavedEvent(time=at, step=step, checkpoint=name)
            yield j.EvaluatedEvent(
                time=at, step=step, checkpoint=name, loss=loss + 0.1 + 0.2 * far, stderr=0.01,
                bits_per_byte=(loss + 0.1 + 0.2 * far) / math.log(2), windows=48, protocol="p",
            )  # fmt: skip
    yield j.EndedEvent(time=start + timedelta(seconds=steps), step=steps, reason="finished")


def write(folder: Path, steps: int = STEPS, metrics: int = METRICS, seed: int = 0) -> Path:
    """Write the run into a new folder. Returns the folder."""
    folder.mkdir(parents=True)
    (folder / "run.toml").write_text(TOML, "utf-8")
    with (folder / "journal.jsonl").open("wb") as file:
        for event in events(steps, metrics, seed):
            file.write(msgspec.json.encode(event) + b"\n")
    return folder


def main() -> None:
    """Write it where the command line says."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.big_run", description=__doc__)
    parser.add_argument("folder", type=Path, help="a new folder")
    arguments = parser.parse_args()
    folder = write(arguments.folder)
    size = (folder / "journal.jsonl").stat().st_size
    print(f"{folder}: {METRICS} metrics × {STEPS:,} steps, {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
