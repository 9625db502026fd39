"""The runs folder: which runs there are, and what a name such as `shakespeare:best` means."""

import contextlib
import os
from pathlib import Path

from nexus_tui.runs import truth
from nexus_tui.runs.checkpoints import Checkpoint
from nexus_tui.runs.run import Run, RunError


def runs_folder(folder: Path | None = None) -> Path:
    """The folder given, else $NEXUS_RUNS, else ./runs."""
    return folder or Path(os.environ.get("NEXUS_RUNS") or "runs")


class Runs:
    """All runs of a folder, opened once and kept; `refresh` notices new and deleted ones."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._open: dict[str, Run] = {}

    def refresh(self) -> list[Run]:
        """Every run, up to date, the one with the newest journal first."""
        found: dict[str, float] = {}
        with contextlib.suppress(OSError):
            for entry in os.scandir(self.folder):
                with contextlib.suppress(OSError):
                    found[entry.name] = Path(entry.path, "journal.jsonl").stat().st_mtime
        self._open = {name: run for name, run in self._open.items() if name in found}
        for name in found:
            if name in self._open:
                self._open[name].refresh()
            else:
                self._open[name] = Run(self.folder / name)
        return [self._open[name] for name in sorted(found, key=lambda name: -found[name])]

    def find(self, name: str) -> Run:
        """A run by its name here, or by a folder's path. Raises RunError."""
        for folder in (self.folder / name, Path(name)):
            if (folder / "journal.jsonl").is_file():
                return Run(folder)
        known = ", ".join(run.name for run in self.refresh()) or "none"
        raise RunError(f"there is no run {name} in {self.folder}; it has: {known}.")


def resolve(runs: Runs, reference: str) -> tuple[Run, Checkpoint]:
    """RUN, RUN:STEP, RUN:best or RUN:last as a run and a checkpoint; plain RUN means its best.

    Raises RunError if there is no such run or checkpoint.
    """
    name, _, which = reference.partition(":")
    run = runs.find(name)
    if which == "last":
        newest = run.newest_checkpoint()
        if newest is None:
            raise RunError(f"{run.name} has no checkpoint yet.")
        return run, newest
    if which in ("", "best"):
        ranked = truth.best(run)
        if ranked is None or ranked.checkpoint is None:
            raise RunError(
                f"{run.name} has no evaluated checkpoint with weights; name one, as in {run.name}:last."
            )
        return run, ranked.checkpoint
    return run, run.checkpoint(which)
