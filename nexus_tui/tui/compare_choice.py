"""Which checkpoints are compared: the marked ones, or what is worth comparing while too few are marked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nexus_tui.runs.run import Run
from nexus_tui.tui.derived import checkpoints
from nexus_tui.tui.lines import Span
from nexus_tui.tui.marks import MOST, Marked


def chosen(marked: Sequence[Marked], run: Run | None) -> tuple[list[Marked], int]:
    """The marked ones; of fewer than two, also the true best and the newest evaluated of the run
    that is open.

    Returns them, and how many were added.
    """
    found = list(marked)
    candidates = _worth_comparing(run) if run else iter(())
    while len(found) < 2 and (name := next(candidates, None)) is not None and run:
        if all((one.run.folder, one.name) != (run.folder, name) for one in found):
            taken = {one.place for one in found}
            found.append(Marked(run, name, next(place for place in range(MOST) if place not in taken)))
    return found, len(found) - len(marked)


def _worth_comparing(run: Run) -> Iterator[str]:
    rows = [row for row in checkpoints(run) if row.evaluation and row.ranked]
    yield from (row.name for row in rows if row.best)
    yield from (row.name for row in reversed(rows))


def nothing_to_compare(run: Run | None) -> list[Span]:
    """What to do where there are not two."""
    name = "No run is open" if run is None else "There are not two evaluated checkpoints here"
    return [
        (f"{name}: nothing to compare yet.\n", "text!"),
        ("Mark two to eight checkpoints with space in 3 (those of other runs too, through 1),", "muted"),
        (" then press c.", "muted"),
    ]
