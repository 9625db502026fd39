"""Validation loss over the checkpoints of a run, the one under the cursor read out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nexus_tui.tui import format
from nexus_tui.tui.chart import Chart, Curve, Legend
from nexus_tui.tui.checkpoint_rows import Row


class CheckpointChart(Chart):
    """Dots for the checkpoints, faint ones for those that a resume abandoned, a star on the true best."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__("validation", "nats/token", format=format.loss, id=id)

    def show_checkpoints(self, rows: Sequence[Row]) -> None:
        """Draw the checkpoints that can be compared."""
        ranked = [row for row in rows if row.ranked and row.evaluation]
        trained = [row for row in ranked if not row.averaged]
        groups = {
            "abandoned": ([row for row in trained if row.abandoned], "val", "dots"),
            "average": ([row for row in ranked if row.averaged], "note", "dots"),
            "val": ([row for row in trained if not row.abandoned], "val", "dots"),
            "best": ([row for row in ranked if row.best], "best", "star"),
        }
        curves, legend = [], []
        for name, (members, color, marker) in groups.items():
            if not members:
                continue
            x = np.array([float(row.step) for row in members])
            y = np.array([row.evaluation.loss for row in members if row.evaluation])
            dim = name == "abandoned"
            curves.append(
                Curve(
                    name,
                    x,
                    y,
                    color,
                    marker,  # type: ignore[arg-type]
                    joined=name != "average",
                    sign="m" if name == "average" else None,
                    dim=dim,
                    version=(tuple(x), tuple(y)),
                )
            )
            if not dim:
                legend.append(Legend(marker, color, format.loss(float(y[-1])), name))
        self.show(curves, legend=legend)

    def point_at(self, row: Row | None) -> None:
        """Let the crosshair stand where a checkpoint is, and the title tell its loss."""
        if row is None or not row.ranked or row.evaluation is None:
            self.point(None)
            return
        name, color, sign = "val", "val", "dots"
        if row.best:
            name, color, sign = "best", "best", "star"
        elif row.averaged:
            name, color, sign = "average", "note", "m"
        elif row.abandoned:
            name = "abandoned"
        entry = Legend(sign, color, format.loss(row.evaluation.loss), name)
        self.point(float(row.step), row.short, entry)
