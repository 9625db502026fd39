"""The GPU's kernels are compiled for one here, where none need be: the largest of each kind."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("triton", reason="Triton is for Linux")


LARGEST = ("scan backward", "convolution backward", "norm backward", "dropout", "a token's")


def test_kernels_compile_for_a_gpu_and_stay_in_its_registers(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    command = [sys.executable, "-m", "tools.kernels", *LARGEST]
    ran = subprocess.run(
        command, capture_output=True, text=True, env=environment | {"TRITON_CACHE_DIR": str(tmp_path)}
    )
    assert ran.returncode == 0, ran.stderr
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in ran.stdout.splitlines()[2:]]
    assert len(rows) == 9
    assert {name: spilled for name, _, spilled, _ in rows if spilled != "0"} == {}
