"""Saving an average as a checkpoint: what will happen is said first."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from nexus_tui.runs.checkpoints import CheckpointError
from nexus_tui.runs.lock import RunLockedError
from nexus_tui.runs.run import Run, RunError
from nexus_tui.tui import format
from nexus_tui.tui.comparing import Comparing
from nexus_tui.tui.dialogs import LineDialog

if TYPE_CHECKING:
    from nexus_tui.analysis.average import Average


def home(c: Comparing) -> Run:
    """The run that an average is saved into: that of the best of its parents."""
    return c.rows[c.best or 0].subject.run


def why_not_save(c: Comparing | None, average: Average | None) -> str:
    """Why no average can be saved now, in one sentence; empty if one can."""
    if c is None or average is None:
        return "There is no average to save yet; a works one out."
    run = home(c)
    return f"{run.name} is being trained; save into it once that has ended." if run.holder else ""


def save_dialog(c: Comparing, average: Average, *others: Average) -> LineDialog:
    """Ask for a name, and say what will be written where, and what could be saved instead."""
    letters = ", ".join(row.letter for row in c.rows)
    said = "".join(
        f" The {other.method} average ({format.loss(other.loss)}) is saved with the cursor on it."
        for other in others
    )
    return LineDialog(
        f"Save the {average.method} average, {format.loss(average.loss)} nats/token",
        f"Writes its weights into {home(c).name} as a checkpoint that can be compared, ranked and sampled, "
        f"but not resumed. Its parents ({letters}) stand on record. Without a name it gets one.{said}",
        placeholder="a name of its own, such as soup",
    )


async def save(run: Run, average: Average, name: str) -> tuple[str, str]:
    """Save it. Returns the checkpoint's name, or an empty one and why it was not saved."""
    from nexus_tui.analysis.average import save_average

    try:
        saved = await asyncio.to_thread(save_average, Run(run.folder), average, name)
    except (RunError, RunLockedError, CheckpointError, OSError, ValueError) as error:
        return "", str(error)
    except MemoryError:
        return "", "There is not enough memory to average them; close something else first."
    except Exception as error:  # who waits for it is told nothing else
        return "", f"{type(error).__name__}: {error}"
    return saved.name, ""
