"""Starts training in this process. What is slow to import (pydantic, torch) is imported here, in a thread."""

import gc
import json
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from nexus_tui.training.control import Control


class LaunchError(Exception):
    """Training cannot begin; the message is one sentence that says why and what to do."""


class TooLarge(LaunchError):  # noqa: N818 (an answer more than an error: there are ways on)
    """Memory will not do; with `micro_batch` windows at once, if that is not 0, `needs` are enough."""

    def __init__(self, said: str, micro_batch: int, needs: str) -> None:
        super().__init__(f"{said}.")
        self.micro_batch, self.needs = micro_batch, needs


class TrainingSession(Protocol):
    """A thread that trains a run; `nexus_tui.training.session.Session` is one."""

    folder: Path
    control: Control

    @property
    def alive(self) -> bool:
        """Whether it still trains."""

    @property
    def taken(self) -> str:
        """Why it ended without a word in the journal; empty if it did not."""

    def stop(self) -> None:
        """Ask it to save and end."""

    def save(self) -> None:
        """Ask it to save and go on."""

    def join(self, timeout: float | None = None) -> None:
        """Wait until it has ended."""


class Launcher:
    """Starts and resumes runs. Every method blocks: call it in a thread."""

    def warm(self) -> None:
        """Import what training and sampling will need, so that they begin at once later."""
        import nexus_tui.training.session  # the thread that trains imports torch
        import nexus_tui.training.trainer  # noqa: F401

        gc.freeze()  # looking for garbage among all that would hold up the screen for 0.1 s

    def start(
        self, runs_folder: Path, model: str, overrides: list[str], name: str, *, force: bool = False
    ) -> TrainingSession:
        """Begin a new run of a preset, with `table.key=value` overrides; `force` it where memory will not do.

        Raises LaunchError, TooLarge.
        """
        from nexus_tui.config import RunConfig
        from nexus_tui.training.session import Session

        return _sentence(
            lambda: Session.start(runs_folder, RunConfig.load(model, overrides), name, force=force)
        )

    def resume(
        self,
        folder: Path,
        which: str | int | None = None,
        rate_scale: float | None = None,
        *,
        micro_batch: int = 0,
        force: bool = False,
    ) -> TrainingSession:
        """Go on with a run from a checkpoint, by default the newest.

        With `rate_scale`, at the planned learning rate times that; with `micro_batch`, so many windows at
        once; with `force` also where memory will not do. Raises LaunchError, TooLarge.
        """
        from nexus_tui.training.session import Session

        return _sentence(
            lambda: Session.resume(folder, which, rate_scale=rate_scale, micro_batch=micro_batch, force=force)
        )

    def branch(
        self,
        run: Path,
        runs_folder: Path,
        which: str | int | None,
        steps: int,
        *,
        micro_batch: int = 0,
        force: bool = False,
    ) -> TrainingSession:
        """Go on with a recorded run, up to so many steps, in a new run. Raises LaunchError, TooLarge."""
        from nexus_tui.runs.run import Run
        from nexus_tui.training.session import Session

        return _sentence(
            lambda: Session.branch(Run(run), runs_folder, which, steps, micro_batch=micro_batch, force=force)
        )


def override(key: str, value: str | int) -> str:
    """One `table.key=value` with the value as TOML."""
    return f"{key}={json.dumps(value, ensure_ascii=False)}"


def _sentence(begin: Callable[[], TrainingSession]) -> TrainingSession:
    from nexus_tui.config import ConfigError
    from nexus_tui.runs.lock import RunLockedError
    from nexus_tui.runs.run import RunError
    from nexus_tui.training.footprint import TooLargeError
    from nexus_tui.training.session import SessionError

    try:
        return begin()
    except TooLargeError as error:
        raise TooLarge(error.said, error.micro_batch, error.needs) from error
    except (ConfigError, RunError, RunLockedError, SessionError, OSError) as error:
        raise LaunchError(str(error)) from error
