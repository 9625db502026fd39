"""Numba imported by several threads at once, as texts that begin at the same time do."""

import subprocess
import sys

IMPORTS = """
import importlib, threading
import torch
lm = ["rms_norm_cpu", "step.tokens", "compiling"]
names = ["nexus_tui.data.longest_copy", *(f"nexus_tui.lm.{name}" for name in lm)]
together, failed = threading.Barrier(len(names)), []

def enter(name):
    together.wait()
    try:
        importlib.import_module(name)
    except Exception as error:
        failed.append(f"{name}: {error!r}")

threads = [threading.Thread(target=enter, args=[name]) for name in names]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert not failed, failed
"""


def test_threads_that_need_numba_at_the_same_time_all_get_it_whole() -> None:
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", IMPORTS], capture_output=True, text=True, check=False, timeout=120
        )
        assert done.returncode == 0, done.stderr
