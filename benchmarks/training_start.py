"""The first training on a machine compiles its kernels; every later one finds them and begins at once.

The program's own training of `nexus-byte` in new processes: with an empty cache folder, and after that. From
the moment that torch is imported (by then the command has read its configuration) to the end of the first
optimizer step there lie importing Numba, the kernels, the corpus and its tokens, the model, and the step.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from datetime import datetime
from pathlib import Path

from benchmarks.harness import goal

CHILD = """
import json, sys, time
from pathlib import Path
from nexus_tui.config import RunConfig
from nexus_tui.runs.run import Run
from nexus_tui.training.session import Session
config = RunConfig.load("nexus-byte")
import torch
imported = time.perf_counter()
session = Session.start(Path(sys.argv[1]), config, "run")
run = Run(session.folder)
while session.alive and not len(run.steps):
    time.sleep(0.002)
    run.refresh()
seconds = time.perf_counter() - imported
session.stop()
session.join()
assert session.error is None, session.error
print(json.dumps({"first": seconds, "step": float(run.steps["seconds"][0])}))
"""


def begun(cache: Path) -> dict[str, float]:
    """Seconds of a new process until its `first` step has ended, of that `step`, and of `compiling`."""
    environment = {k: v for k, v in os.environ.items() if k != "NUMBA_CACHE_DIR"}
    environment |= {"XDG_CACHE_HOME": str(cache), "HOME": str(cache)}
    with tempfile.TemporaryDirectory() as runs:
        command = [sys.executable, "-c", CHILD, runs]
        done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
        lines = (Path(runs) / "run" / "journal.jsonl").read_text("utf-8").splitlines()
    return json.loads(done.stdout) | {"compiling": compiling([json.loads(line) for line in lines], cache)}


def compiling(events: list[dict[str, str]], cache: Path) -> float:
    """Seconds from the announcement until all kernels were on disk; 0 where nothing was announced."""
    for event in events:
        if event.get("activity", "").startswith("compiling"):
            ended = max(path.stat().st_mtime for path in cache.rglob("*.nbi"))
            return ended - datetime.fromisoformat(event["time"]).timestamp()
    return 0.0


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--repetitions", type=int, default=2, help="empty caches; three starts with each")
    fresh, later = [], []
    for _ in range(parser.parse_args().repetitions):
        with tempfile.TemporaryDirectory() as cache:
            fresh.append(begun(Path(cache)))
            later += [begun(Path(cache)) for _ in range(3)]
    assert all(told["compiling"] for told in fresh), "nothing was compiled with an empty cache"
    assert not any(told["compiling"] for told in later), "a second process compiled"
    rows = {
        "empty cache: compiling, those of sampling in the background": [told["compiling"] for told in fresh],
        "empty cache: torch imported to first step done": [told["first"] for told in fresh],
        "a later process: torch imported to first step done": [told["first"] for told in later],
        "of which the step itself": [told["step"] for told in later],
    }
    print("| seconds | median | fastest – slowest | runs |\n|---|---:|---:|---:|")
    for name, seconds in rows.items():
        spread = f"{min(seconds):.2f} – {max(seconds):.2f}"
        print(f"| {name} | {statistics.median(seconds):.2f} | {spread} | {len(seconds)} |")
    compiled, _, first, _ = (statistics.median(seconds) for seconds in rows.values())
    print()
    print(goal("kernels compile once on a machine, in", 15, compiled, "s"))
    print(goal("the first step of a later process ends, after torch is imported, in", 1.5, first, "s"))


if __name__ == "__main__":
    main()
