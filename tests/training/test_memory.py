"""A training step takes its memory from the process, not page by page from the kernel."""

import platform
import subprocess
import sys

import pytest

FAULTS = """
import resource, sys, threading
from nexus_tui.training.memory import keep_freed_memory

if sys.argv[1] == "kept":
    keep_freed_memory()
import torch

def work():
    for _ in range(40):
        if _ == 10:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        blocks = [torch.ones(1 << 19) for _ in range(60)]  # 120 MB, as activations: all freed at once
        del blocks
    print((resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) // 30)

thread = threading.Thread(target=work)
thread.start()
thread.join()
"""


def faults(how: str) -> int:
    """Page faults each time that a thread takes 120 MB and frees them."""
    command = [sys.executable, "-c", FAULTS, how]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the setting is glibc's")
def test_what_a_thread_frees_is_there_when_it_asks_again() -> None:
    assert faults("kept") < 100 < faults("default")
