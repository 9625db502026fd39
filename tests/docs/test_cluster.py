"""The SLURM script of docs/cluster.md, with programs in SLURM's place that say what they were asked."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.docs.test_commands import ROOT, _launch

PAGE = (ROOT / "docs" / "cluster.md").read_text("utf-8")


@pytest.mark.parametrize("goes_on", [False, True])
def test_the_script_begins_a_run_and_goes_on_with_it(tmp_path: Path, goes_on: bool) -> None:
    (script,) = re.findall(r"^```bash\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    stand_ins = {
        "srun": 'printf "%s\\n" "$OMP_NUM_THREADS" "$@"',
        "scontrol": 'printf "node7\\nnode8\\n"',
    }
    for name, does in stand_ins.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{does}\n")
        (tmp_path / name).chmod(0o755)
    if goes_on:
        (tmp_path / "runs" / "deep").mkdir(parents=True)
        (tmp_path / "runs" / "deep" / "journal.jsonl").touch()
    slurm = {"CPUS_PER_TASK": "32", "JOB_NODELIST": "node[7-8]", "NNODES": "2", "JOB_ID": "41"}
    done = subprocess.run(
        ["bash", "-eu", "-c", script],
        env={
            "PATH": f"{tmp_path}:{os.environ['PATH']}",
            "RUNS": str(tmp_path / "runs"),
            "NAME": "deep",
            **{f"SLURM_{name}": value for name, value in slurm.items()},
        },
        check=True,
        capture_output=True,
        text=True,
    )
    threads, *words = done.stdout.splitlines()
    assert threads == "8"
    assert words[0] == "torchrun"
    assert words[words.index("--rdzv-endpoint") + 1] == "node7:29500"
    assert (words[words.index("--resume") + 1] == "deep") if goes_on else ("--name" in words)
    assert _launch(words)
