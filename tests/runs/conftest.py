"""Runs written event by event, as a trainer would write them."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from nexus_tui.runs import journal as j
from nexus_tui.runs.checkpoints import save_checkpoint
from nexus_tui.runs.run import Run

PROTOCOL = "p"


class Writer:
    """Writes a run's folder; losses are whatever a test wants them to be."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self.journal = j.Journal(folder / "journal.jsonl")

    def step(self, step: int, loss: float = 1.0) -> None:
        self.journal.append(
            j.StepEvent(step=step, loss=loss, lr=1e-3, grad_norm=0.5, tokens=step * 100, seconds=0.1)
        )

    def steps(self, first: int, last: int) -> None:
        for step in range(first, last + 1):
            self.step(step)

    def save(self, step: int, name: str = "") -> None:
        name = name or f"step_{step}"

        def write(folder: Path) -> None:
            (folder / "model.safetensors").write_bytes(f"weights {name}".encode())
            (folder / "optimizer.safetensors").write_bytes(b"state")

        saved = save_checkpoint(self.folder / "checkpoints" / name, step, write)
        self.journal.append(j.SavedEvent(step=step, checkpoint=name, sha256=saved.sha256, bytes=saved.bytes))

    def average(self, names: list[str], loss: float, name: str = "", method: str = "uniform") -> str:
        """An average of checkpoints saved before, as if they were of this run; returns its name."""
        run = Run(self.folder)
        step = run.saved[names[-1]].step
        name = name or f"average_{step}"

        def write(folder: Path) -> None:
            (folder / "model.safetensors").write_bytes(f"weights {name}".encode())

        saved = save_checkpoint(self.folder / "checkpoints" / name, step, write)
        parents = tuple(f"{run.name}:{parent}@{run.saved[parent].sha256[:12]}" for parent in names)
        self.journal.append(
            j.SavedEvent(
                step=step, checkpoint=name, sha256=saved.sha256, bytes=saved.bytes, parents=parents,
                method=method,
            )
        )  # fmt: skip
        self.evaluate(step, loss, name)
        return name

    def evaluate(
        self,
        step: int,
        loss: float,
        name: str = "",
        windows: "np.ndarray | None" = None,
        protocol: str = PROTOCOL,
    ) -> None:
        name = name or f"step_{step}"
        if windows is not None:
            folder = self.folder / "evaluations"
            folder.mkdir(exist_ok=True)
            np.save(folder / f"{name}.npy", windows.astype(np.float32))
        self.journal.append(
            j.EvaluatedEvent(
                step=step, checkpoint=name, loss=loss, stderr=0.01, bits_per_byte=loss / math.log(2),
                windows=0 if windows is None else len(windows), protocol=protocol,
            )
        )  # fmt: skip

    def resume(self, step: int, name: str = "") -> None:
        self.journal.append(j.ResumedEvent(step=step, checkpoint=name or f"step_{step}"))


@pytest.fixture
def writer(tmp_path: Path) -> Callable[..., Writer]:
    def make(name: str = "run") -> Writer:
        return Writer(tmp_path / name)

    return make


LOG = {
    600: 2.8293,
    800: 2.7930,
    1000: 2.7724,
    1200: 2.7097,
    1400: 2.6312,
    1600: 2.6600,
    1800: 2.6523,
    2000: 2.6472,
}
"""The reference log's validation losses; it resumed at step 1400."""


@pytest.fixture
def reference_run(writer: Callable[..., Writer]) -> Writer:
    run = writer("reference")
    for step, loss in LOG.items():
        run.step(step, loss - 0.3)
        run.save(step)
        run.evaluate(step, loss)
        if step == 1400:
            run.resume(1400)
    return run
