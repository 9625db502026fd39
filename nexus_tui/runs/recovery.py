"""What to do with a run that stopped before a harmful update: where to go on, at which rate, and how."""

import shlex

from nexus_tui.runs.journal import DivergedEvent
from nexus_tui.runs.run import Run
from nexus_tui.runs.store import runs_folder

LOWER = 0.5
"""Times the factor that was on the learning rate: what is offered."""


def lower_rate(diverged: DivergedEvent) -> float:
    """The factor on the planned learning rate to go on with."""
    return LOWER * diverged.rate_scale


def where(diverged: DivergedEvent) -> str:
    """Where to go on, in words."""
    return f"step {diverged.checkpoint.removeprefix('step_')}" if diverged.checkpoint else "the start"


def commands(run: Run, diverged: DivergedEvent) -> tuple[str, str]:
    """What to type to go on, and to see the batch."""
    named = f"{run.name}:{diverged.checkpoint.removeprefix('step_')}" if diverged.checkpoint else run.name
    resume = f"nexus-tui train --resume {shlex.quote(named)} --rate-scale {lower_rate(diverged):g}"
    look, here = f"nexus-tui batch {shlex.quote(run.name)} {diverged.step}", run.folder.parent
    folder = "" if here.resolve() == runs_folder().resolve() else f" --runs {shlex.quote(str(here))}"
    return f"{resume}{folder}", f"{look}{folder}"
