"""Kernels are compiled once on a machine, and it is said when they are."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch

import nexus_tui
from nexus_tui.lm.compiling import announced
from nexus_tui.lm.config import JambaConfig
from nexus_tui.lm.hybrid import HybridLM
from nexus_tui.lm.layers import Dropout
from nexus_tui.lm.selective_scan import warm_up

LOAD = """
import nexus_tui
from nexus_tui.lm import compiling
from nexus_tui.lm.selective_scan import warm_up
background = []
with compiling.announced(lambda: background.append(compiling.for_sampling())):
    warm_up()
    if not background:
        compiling.main()
for process in background:
    assert process.wait() == 0
print(nexus_tui.__file__, len(background))
"""


def test_a_second_process_finds_them_though_the_packages_folder_is_read_only(tmp_path: Path) -> None:
    installed, package = Path(nexus_tui.__file__).parent, tmp_path / "site" / "nexus_tui"
    shutil.copytree(installed / "lm", package / "lm", ignore=shutil.ignore_patterns("__pycache__"))
    for module in ("__init__.py", "jit.py"):
        shutil.copy(installed / module, package)
    files = set(package.rglob("*"))
    for path in (package, *files):
        path.chmod(0o555 if path.is_dir() else 0o444)
    environment = {k: v for k, v in os.environ.items() if k != "NUMBA_CACHE_DIR"} | {
        "PYTHONPATH": str(package.parent),
        "PYTHONDONTWRITEBYTECODE": "1",
        "HOME": str(tmp_path / "home"),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }

    def announcements() -> int:
        done = subprocess.run(
            [sys.executable, "-c", LOAD],
            cwd=tmp_path,
            env=environment,
            check=True,
            capture_output=True,
            text=True,
        )
        file, said = done.stdout.split()
        assert Path(file).parent == package
        return int(said)

    assert announcements() == 1
    assert list((tmp_path / "cache").rglob("*.nbc")) or list((tmp_path / "home").rglob("*.nbc"))
    assert announcements() == 0
    assert set(package.rglob("*")) == files  # root may write anywhere, and must not have
    for path in (package, *files):  # or pytest could not remove it
        path.chmod(0o755)


def test_warming_up_leaves_a_training_step_nothing_to_compile() -> None:
    """Whatever the sizes: what is padded takes other ways through torch than what fits."""
    warm_up()
    said: list[int] = []
    for width in (16, 64):
        config = JambaConfig(
            hidden_size=width,
            intermediate_size=3 * width,
            num_hidden_layers=2,
            num_attention_heads=2,
            attn_layer_period=2,
            attn_layer_offset=1,
            mamba_d_state=6,
            mamba_dt_rank=3,
        )
        model = HybridLM(config)
        ids = torch.zeros(2, 33, dtype=torch.int64)
        with announced(lambda: said.append(1)):
            model.loss(ids, ids, dropout=Dropout(0.1, np.random.default_rng(0))).backward()
            with torch.inference_mode():
                model.loss(ids, ids)
    assert not said
