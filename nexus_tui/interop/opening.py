"""Opening whatever it is: a run of ours, or the first other tool's format that fits."""

from pathlib import Path

from nexus_tui.interop.snapshot import Snapshot
from nexus_tui.interop.table import DOCUMENTS, ENDINGS, Table
from nexus_tui.interop.tensorboard import Logs, event_files
from nexus_tui.interop.trainer_state import STATE
from nexus_tui.interop.transformers import TrainerRun, checkpoint_folders
from nexus_tui.runs.run import Run, RunError
from nexus_tui.runs.store import Runs
from nexus_tui.runs.summaries import Summaries


def open_run(path: Path) -> Run:
    """A run of ours, or another tool's folder or file, read in place. Raises RunError, in one sentence."""
    if (path / "journal.jsonl").is_file():
        return Run(path)
    if not path.exists():
        raise RunError(f"{path} does not exist.")
    run = open_foreign(path)
    if run is None:
        raise RunError(
            f"{path} is no run: it has neither a journal.jsonl nor a trainer_state.json, TensorBoard event "
            f"files or a table ({', '.join(ENDINGS)}) with a step and a loss."
        )
    return run


def reader_for(path: Path) -> type[Snapshot] | None:
    """What can read a path, by its looks; None for nothing. Opens no file."""
    if path.is_dir():
        states = (path / STATE, *(place / STATE for place in checkpoint_folders(path).values()))
        if any(state.is_file() for state in states):
            return TrainerRun
        if event_files(path) or (path / "metrics.csv").is_file():
            return Logs
        return None
    if not path.is_file():
        return None
    if path.suffix == ".json":
        return TrainerRun
    return Table if path.suffix.lower() in ENDINGS else None


def open_foreign(path: Path) -> Run | None:
    """Another tool's run at a path; None for what looks like none. Raises RunError if it is damaged."""
    reader = reader_for(path)
    return Run(path, reader(path)) if reader else None


def all_runs(folder: Path, named: str = "", summaries: Summaries | None = None) -> Runs:
    """The runs of a folder, other tools' among them; with `summaries`, as `Runs` uses them.

    Documents with tables in them are runs only where somebody says so, as with `named`.
    """

    def wanted(name: str) -> bool:
        return name == named or not name.lower().endswith(DOCUMENTS)

    return Runs(folder, open_foreign, wanted, summaries)
