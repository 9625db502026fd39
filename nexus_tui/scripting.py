"""Training from a script or a notebook."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nexus_tui.config import RunConfig
from nexus_tui.runs.run import Run
from nexus_tui.runs.run_toml import toml_value
from nexus_tui.runs.store import Runs, runs_folder
from nexus_tui.training.session import Session


class TrainingError(Exception):
    """Training ended by an error; the message is what the journal says of it."""


def train(
    model: str = "nexus-byte",
    *,
    runs: Path | str | None = None,
    name: str = "",
    settings: Mapping[str, Any] | None = None,
    resume: str = "",
    step: int | None = None,
    steps: int = 0,
) -> Run:
    """Train a run to its end in this process, and give it back. Nothing is printed.

    `model` is one of `nexus-tui models` or a .toml file; `settings` are keys of the configuration, such as
    `{"optimizer.lr": 1e-3, "data.corpus": "texts/"}`. With `resume`, a run's name, it goes on from that run's
    newest checkpoint, or that of `step`; a run that came with the program goes on in a new one. `steps` says
    how far to go instead of what is planned. `runs` is the runs folder (default: $NEXUS_RUNS, else ./runs).
    Ctrl-C, or a notebook's interrupt, saves and stops; it is raised on when the run has ended. Meanwhile the
    app shows and steers the run like any other.
    Raises ConfigError, SessionError, RunError and RunLockedError before training, TrainingError after it.
    """
    session = start(model, runs=runs, name=name, settings=settings, resume=resume, step=step, steps=steps)
    try:
        session.join()
    except KeyboardInterrupt:
        session.stop()
        session.join()
        raise
    run = Run.open(session.folder)
    if run.state == "failed" and run.ended:
        raise TrainingError(f"{run.name}: {run.ended.message}") from session.error
    return run


def start(
    model: str = "nexus-byte",
    *,
    runs: Path | str | None = None,
    name: str = "",
    settings: Mapping[str, Any] | None = None,
    resume: str = "",
    step: int | None = None,
    steps: int = 0,
) -> Session:
    """Begin what `train` does, and come back at once: it trains in a thread.

    `Run.open(session.folder)` reads it, `session.stop()` saves and stops, `session.join()` waits.
    Raises what `train` raises before training.
    """
    folder = runs_folder(Path(runs) if runs else None)
    if resume:
        run = Runs(folder).find(resume)
        if run.kind == "recorded":
            return Session.branch(run, folder, step, steps, name)
        return Session.resume(run.folder, step, steps)
    wanted = dict(settings or {}) | ({"budget.steps": steps} if steps else {})
    return Session.start(
        folder, RunConfig.load(model, [f"{k}={toml_value(v)}" for k, v in wanted.items()]), name
    )
