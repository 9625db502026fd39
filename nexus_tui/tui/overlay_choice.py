"""Which runs are laid over each other. The list of runs asks before anything that draws is imported."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nexus_tui.runs.run import Run
    from nexus_tui.tui.app import NexusApp


def chosen(app: NexusApp, under: Run | None) -> list[Run]:
    """Which runs are laid over each other: the marked ones; of fewer than two, also those at hand."""
    by_name = {run.name: run for run in [*app.shipped, *app.runs]}
    marked = {name: by_name[name] for name in app.view.marked if name in by_name}
    for run in (under, app.current):
        if run is not None and len(marked) < 2:
            marked.setdefault(run.name, run)
    return list(marked.values())
