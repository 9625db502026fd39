"""Training by how OpenMP's idle threads wait: alone on the machine, and beside one busy process.

Why `nexus_tui` sets GOMP_SPINCOUNT. A process for every figure: the median of three training steps, tokens/s.
"""

import argparse
import os
import statistics
import subprocess
import sys

WAYS = {
    "libgomp's default": {},
    "GOMP_SPINCOUNT=1000": {"GOMP_SPINCOUNT": "1000"},
    "passive": {"OMP_WAIT_POLICY": "passive"},
}

# torch comes first, so that what nexus_tui sets does not count here
CHILD = """
import statistics, time, torch
torch.zeros(4096, 4096).sum()
from benchmarks.step import training_step
from nexus_tui.lm.config import JambaConfig
from nexus_tui.lm.hybrid import HybridLM
model = HybridLM(JambaConfig())
ids = torch.zeros(16, 128, dtype=torch.long)
step = training_step(model, lambda: model.loss(ids, ids))
seconds = []
for _ in range(5):
    started = time.perf_counter(); step(); seconds.append(time.perf_counter() - started)
print(statistics.median(seconds[2:]))
"""


def step_seconds(way: dict[str, str]) -> float:
    """The median training step of a new process, seconds."""
    keep = {k: v for k, v in os.environ.items() if k not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    done = subprocess.run(
        [sys.executable, "-c", CHILD], env=keep | way, check=True, capture_output=True, text=True
    )
    return float(done.stdout)


def main() -> None:
    """Print a table: tokens/s by way of waiting, on a quiet machine and beside a busy neighbour."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--repetitions", type=int, default=3)
    tokens = {(way, busy): [] for way in WAYS for busy in (False, True)}
    for _ in range(parser.parse_args().repetitions):
        for busy in (False, True):
            neighbour = subprocess.Popen([sys.executable, "-c", "while True: pass"]) if busy else None
            try:
                for way, environment in WAYS.items():
                    tokens[way, busy].append(16 * 128 / step_seconds(environment))
            finally:
                if neighbour:
                    neighbour.kill()
                    neighbour.wait()
    print("| tokens/s, median of runs (all runs) | quiet machine | one busy neighbour |\n|---|---:|---:|")
    for way in WAYS:
        cells = [
            f"{statistics.median(runs):,.0f} ({', '.join(f'{run:,.0f}' for run in runs)})"
            for runs in (tokens[way, False], tokens[way, True])
        ]
        print(f"| {way} | {cells[0]} | {cells[1]} |")


if __name__ == "__main__":
    main()
