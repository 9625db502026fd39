"""Going on with a run: at once; where it stopped before a harmful update, at a rate that is asked for; with a
record that has weights, in a new run, to a step that is asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from nexus_tui.tui.dialogs import ErrorDialog, branch_dialog, lower_rate_dialog, memory_dialog
from nexus_tui.tui.launcher import Launcher, LaunchError, TooLarge, TrainingSession

if TYPE_CHECKING:
    from nexus_tui.runs.journal import DivergedEvent
    from nexus_tui.runs.run import Run
    from nexus_tui.tui.app import NexusApp


async def resume(app: NexusApp, launcher: Launcher, run: Run, which: str | int | None) -> None:
    """Go on training from a checkpoint (None: the newest, or the last good one), or say why not."""
    if reason := app.why_no_resume(run):
        _refuse(app, run, reason)
        return
    if run.kind == "recorded":
        _ask_how_far(app, launcher, run, which)
        return
    diverged = await _diverged(run)
    if diverged is None:
        await _begin(app, run, partial(launcher.resume, run.folder, which))
        return
    checkpoint = diverged.checkpoint if which is None else str(which)

    def answer(text: str | None) -> None:
        if text:
            scale = float(text.replace(",", "."))
            begin = partial(launcher.resume, run.folder, checkpoint or None, scale)
            app.run_worker(_begin(app, run, begin))

    app.push_screen(lower_rate_dialog(run.name, diverged, checkpoint), answer)


async def _diverged(run: Run) -> DivergedEvent | None:
    """Why it stopped, if that was before a harmful update. What is long to read is read in a thread."""
    if run.state != "failed":
        return None
    if not run.is_read:
        from nexus_tui.runs.run import Run as Reader

        return await asyncio.to_thread(lambda: Reader(run.folder).diverged)
    return run.diverged


def _ask_how_far(app: NexusApp, launcher: Launcher, run: Run, which: str | int | None) -> None:
    checkpoint = run.newest_checkpoint() if which is None else run.checkpoint(which)
    assert checkpoint is not None  # or there is no resuming it

    def answer(text: str | None) -> None:
        if text:
            steps = int(text.replace(",", ""))
            app.run_worker(
                _begin(app, run, partial(launcher.branch, run.folder, app.runs_folder, name, steps))
            )

    name = checkpoint.name
    app.push_screen(branch_dialog(run.name, checkpoint.step), answer)


async def _begin(app: NexusApp, run: Run, begin: Callable[..., TrainingSession]) -> None:
    """Begin and show it; `begin` takes what is chosen where memory will not do."""
    try:
        if reason := app.why_no_resume(run):  # it may have been begun elsewhere, while a dialog stood
            raise LaunchError(reason)
        app.session = await asyncio.to_thread(begin)
        if app.is_running:  # else its screens are being taken down
            app.show_session()
    except TooLarge as error:
        app.push_screen(memory_dialog(run.name, error), partial(_answer, app, run, begin, error.micro_batch))
    except LaunchError as error:
        _refuse(app, run, str(error))


def _answer(
    app: NexusApp, run: Run, begin: Callable[..., TrainingSession], micro_batch: int, key: str | None
) -> None:
    """What was chosen where memory will not do."""
    if key == "m":
        app.run_worker(_begin(app, run, partial(begin, micro_batch=micro_batch)))
    elif key == "t":
        app.run_worker(_begin(app, run, partial(begin, force=True)))


def _refuse(app: NexusApp, run: Run, reason: str) -> None:
    app.push_screen(ErrorDialog(f"{run.name} was not resumed", reason))
