"""A corpus of any size: what it costs to begin with, the first time and later, and what it costs a step.

Each row is a process of its own that trains the smallest model on a text that is generated beforehand, and
counts from the process' start to the end of its first step. Memory is the most that was resident, all of it
and without what is mapped. Afterwards some batches are held against the text file itself.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from nexus_tui.data.corpus import load_corpus
from nexus_tui.data.dataset import prepare
from nexus_tui.data.windows import usual_shuffle, window_starts

CHILD = """
import json, sys, time
from pathlib import Path
from nexus_tui.config import RunConfig
from nexus_tui.runs.run import Run
from nexus_tui.training.session import Session
def memory(name):
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) / 1024
session = Session.start(Path(sys.argv[1]), RunConfig.load("nexus-tiny", sys.argv[2:]), "run")
run, anonymous = Run(session.folder), 0
while session.alive:
    session.join(0.05)
    anonymous = max(anonymous, memory("RssAnon"))
assert session.error is None, session.error
run.refresh()
steps = run.steps
began = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
started = float(Path("/proc/self/stat").read_text().rsplit(")")[1].split()[19]) / 100
print(json.dumps({
    "first": float(steps["time"][0]) - began - started,
    "step": sorted(steps["seconds"][5:])[len(steps) // 2 - 2],
    "peak": memory("VmHWM"), "anonymous": anonymous, "tokens": run.started.train_tokens,
}))
"""
STEPS, WINDOW = 60, 64


def generate(path: Path, size: int) -> None:
    """Write the lines of tinyshakespeare, in ever other orders, until there are `size` bytes."""
    lines = np.array(bytes(load_corpus("tinyshakespeare").data).splitlines(keepends=True), object)
    random = np.random.default_rng(1)
    with path.open("wb") as file:
        while file.tell() < size:
            file.write(b"".join(random.permutation(lines)))


def trained(cache: Path, corpus: str, *overrides: str) -> dict[str, float]:
    """What a training in a new process measured of itself."""
    environment = os.environ | {"XDG_CACHE_HOME": str(cache)}
    settings = [f"data.corpus={corpus}", f"budget.steps={STEPS}", f"data.window={WINDOW}"]
    settings += [f"{table}.every={STEPS}" for table in ("evaluation", "checkpoint")]
    with tempfile.TemporaryDirectory() as runs:
        command = [sys.executable, "-c", CHILD, runs, *settings, *overrides]
        done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    told: dict[str, float] = json.loads(done.stdout)
    return told


def row(name: str, told: dict[str, float]) -> None:
    """Print a row of the table."""
    print(
        f"| {name} | {told['tokens'] / 1e6:,.0f} M | {told['first']:.2f} | {told['peak']:,.0f} | "
        f"{told['anonymous']:,.0f} | {told['step'] * 1e3:.1f} |",
        flush=True,
    )


def batches_are_the_files(path: Path, share: float, steps: int) -> None:
    """Raise AssertionError unless every window of some steps stands in the text file where it should."""
    dataset = prepare(load_corpus(str(path)), "byte", 256, share)
    shuffle = usual_shuffle(len(dataset.train), WINDOW)
    with path.open("rb") as file:
        for step in range(1, 10**6, 10**6 // steps):
            starts = window_starts(dataset.train, WINDOW, 16, 1, step, shuffle)
            for start in starts:
                file.seek(int(start))
                inputs = dataset.train[start : start + WINDOW]
                assert bytes(inputs) == file.read(WINDOW)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", type=float, default=2.0, help="GB of the large text, byte by byte")
    parser.add_argument("--bpe-size", type=float, default=0.1, help="GB of the text for BPE; 0 leaves it out")
    parser.add_argument("--folder", help="where the texts and the cache may be for a while")
    arguments = parser.parse_args()
    print("| corpus | tokens | start to first step, s | peak memory, MB | not mapped, MB | step, ms |")
    print("|---|---:|---:|---:|---:|---:|")
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        folder = Path(name)
        os.environ["XDG_CACHE_HOME"] = str(folder)
        small = f"data.validation={1e5 / 1.1e6:.4f}"
        trained(folder, "tinyshakespeare", small)  # compiles the kernels
        row("1.1 MB, bytes", trained(folder, "tinyshakespeare", small))
        for kind, size in (("bytes", arguments.size), ("BPE", arguments.bpe_size)):
            if not size:
                continue
            text, share = folder / f"{kind}.txt", 1e5 / (size * 1e9)
            generate(text, int(size * 1e9))
            settings = [f"data.validation={share:.3g}"]
            settings += ["data.tokenizer=bpe", "model.vocab_size=1000"] * (kind == "BPE")
            for time in ("first", "second"):
                row(f"{size:,g} GB, {kind}, {time} start", trained(folder, str(text), *settings))
            if kind == "bytes":
                batches_are_the_files(text, share, 100)
            text.unlink()
    print(
        "\nEvery window of 100 batches, spread over a million steps, stands in the text file where it should."
    )


if __name__ == "__main__":
    main()
