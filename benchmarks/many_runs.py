"""Writes a folder of many runs of 2,000 steps: `python -m benchmarks.many_runs DIR --runs 2000`."""

import argparse
import json
import math
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import numpy as np

from nexus_tui.runs import journal as j
from nexus_tui.runs.checkpoints import MANIFEST, WEIGHTS

STEPS, EVERY = 2000, 200
DIFFERENT = 20
"""So many journals are written; the runs have one of them each, by hard links, so that 2,000 take 12 MB."""
TOML = """\
preset = "{preset}"
[model]
hidden_size = 256
num_hidden_layers = 6
[data]
corpus = "tinyshakespeare"
tokenizer = "byte"
window = 128
[optimizer]
lr = {lr}
weight_decay = 0.1
betas = [0.9, 0.95]
clip = 1.0
[schedule]
warmup = 100
shape = "cosine"
[budget]
steps = 2000
batch = 16
[evaluation]
every = 200
[checkpoint]
every = 200
[run]
seed = {seed}
"""


def events(seed: int) -> Iterator[j.Event]:
    """A run that finished: a step a second, with checkpoints, evaluations and notes."""
    random = np.random.default_rng(seed)
    start = datetime(2026, 1, 5, 8, 0, tzinfo=UTC) + timedelta(hours=seed)
    noise = random.normal(0, 0.05, STEPS + 1)
    yield j.StartedEvent(time=start, parameters=6_739_088, validation_tokens=111_540)
    for step in range(1, STEPS + 1):
        at, loss = start + timedelta(seconds=step), 1.3 + 0.01 * seed + 4.2 * math.exp(-step / 150)
        yield j.StepEvent(
            time=at, step=step, loss=loss + float(noise[step]), lr=3e-4 * (1 - step / STEPS),
            grad_norm=0.4 + abs(float(noise[step])), tokens=step * 2048, seconds=1.0,
        )  # fmt: skip
        if step % EVERY == 0:
            name = f"step_{step}"
            yield j.SavedEvent(time=at, step=step, checkpoint=name, sha256="ab", bytes=10)
            yield j.EvaluatedEvent(
                time=at, step=step, checkpoint=name, loss=loss + 0.2, stderr=0.01,
                bits_per_byte=(loss + 0.2) / math.log(2), windows=48, protocol="p",
            )  # fmt: skip
    yield j.NotedEvent(time=start + timedelta(seconds=STEPS), step=STEPS, text=f"note {seed}")
    yield j.EndedEvent(time=start + timedelta(seconds=STEPS), step=STEPS, reason="finished")


def write(folder: Path, runs: int) -> Path:
    """Write so many runs into a new folder, each with its last checkpoint's files. Returns the folder."""
    folder.mkdir(parents=True)
    journals = folder.with_name(f".{folder.name}-journals")
    journals.mkdir()
    for seed in range(min(runs, DIFFERENT)):
        lines = [msgspec.json.encode(event) + b"\n" for event in events(seed)]
        (journals / str(seed)).write_bytes(b"".join(lines))
    manifest = json.dumps({"step": STEPS, "files": {WEIGHTS: {"bytes": 7, "sha256": "ab"}}})
    for number in range(runs):
        run = folder / f"run-{number:04}"
        kept = run / "checkpoints" / f"step_{STEPS}"
        kept.mkdir(parents=True)
        (kept / WEIGHTS).write_bytes(b"weights")
        (kept / MANIFEST).write_text(manifest, "utf-8")
        preset = "nexus-byte" if number % 3 else "nexus-tiny"
        (run / "run.toml").write_text(TOML.format(preset=preset, lr=1e-4 * (1 + number % 7), seed=number))
        os.link(journals / str(number % DIFFERENT), run / "journal.jsonl")
    return folder


def main() -> None:
    """Write them where the command line says."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.many_runs", description=__doc__)
    parser.add_argument("folder", type=Path, help="a new folder")
    parser.add_argument("--runs", type=int, default=2000)
    arguments = parser.parse_args()
    print(write(arguments.folder, arguments.runs))


if __name__ == "__main__":
    main()
