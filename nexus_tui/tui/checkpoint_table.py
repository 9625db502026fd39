"""The list of checkpoints: its columns, and what each of them says of a row."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from rich.cells import cell_len
from rich.style import Style
from textual.strip import Strip

from nexus_tui.tui import format, theme
from nexus_tui.tui.checkpoint_rows import Row
from nexus_tui.tui.lines import Span
from nexus_tui.tui.listing import MARGIN, Cell, Column, Listing, with_room
from nexus_tui.tui.listing import Row as Line

COLUMNS = (
    Column("step", "step", 9, right=True, priority=0),
    Column("train", "train", 7, right=True, priority=7),
    Column("val", "val", 7, right=True, priority=1),
    Column("stderr", "±", 6, right=True, priority=10),
    Column("ppl", "ppl", 6, right=True, priority=4),
    Column("bpb", "bits/byte", 9, right=True, priority=5),
    Column("delta", "Δ best", 7, right=True, priority=2),
    Column("tie", "tie", 3, priority=3),
    Column("weights", "weights", 7, priority=6, grow=2),
    Column("lineage", "lineage", 15, priority=6, grow=4),
    Column("age", "saved", 6, right=True, priority=8),
    Column("size", "size", 7, right=True, priority=9),
)
"""All of them; the ones with high priorities go first where there is no room."""

_ON_CURSOR = {"faint": "muted", "muted": "text"}
_NONE: Cell = ("", "text")


def cells(row: Row, now: float, mark: Span | None = None) -> dict[str, Cell]:
    """What a row shows, by column: text and role. `now` in epoch seconds; `mark` stands for its weights."""
    evaluation = row.evaluation
    first, second = ("faint", "faint") if row.abandoned else ("text", "muted")
    missing = format.MISSING
    star = f"{theme.glyphs().star} " if row.best else ""
    shown: dict[str, Cell] = {
        "step": (f"{star}{row.short}", "best" if row.best else first),
        "weights": mark or _weights(row, second),
        "lineage": (row.lineage, second),
        "age": (_age(now - row.saved.time.timestamp()) if row.saved else missing, second),
        "size": (format.size(row.saved.bytes) if row.saved and row.saved.bytes else missing, second),
        "delta": ("best", "best") if row.best else (format.delta(row.delta), second),
        "tie": (_tie(row), "val"),
    }
    if evaluation is None:
        shown |= dict.fromkeys(("train", "val", "stderr", "ppl", "bpb"), (missing, "faint"))
    else:
        # Figures under another protocol stand there, but do not look comparable.
        measured = first if row.ranked else "faint"
        shown |= {
            "train": (format.loss(evaluation.train_loss), second),
            "val": (format.loss(evaluation.loss), "best" if row.best else measured),
            "stderr": (format.loss(evaluation.stderr), second),
            "ppl": (format.perplexity(evaluation.perplexity), measured),
            "bpb": (format.loss(evaluation.bits_per_byte), measured),
        }
    return shown


def _weights(row: Row, role: str) -> Cell:
    roles = {"kept": role, "elsewhere": role, "gone": "faint", "damaged": "error"}
    return (row.weights, roles[row.weights]) if row.weights else (format.MISSING, "faint")


def _tie(row: Row) -> str:
    if row.best or not row.ranked or math.isnan(row.delta):
        return ""
    return "?" if row.tied is None else "≈" if row.tied else ""


def _age(seconds: float) -> str:
    """How long ago, to the minute: a count of seconds would repaint its row every second."""
    return "<1 min" if seconds < 60 else format.age(seconds)


class CheckpointTable(Listing):
    """Checkpoints as a list. Until the user moves the cursor it stands on the best."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(_columns(lineage=False, named=0), id=id)
        self._followed: str | None = None

    def show_checkpoints(
        self,
        rows: Sequence[Row],
        now: float,
        marks: Mapping[str, Span],
        marked: Mapping[str, Span] | None = None,
    ) -> None:
        """Take new rows; `now` in epoch seconds.

        By checkpoint name, `marks` stand in place of the weights, and `marked` are the letters of those that
        are to be compared.
        """
        named = max((cell_len(row.short) for row in rows if row.averaged), default=0)
        self.show_columns(_columns(any(row.lineage for row in rows), named))
        following = self.current == self._followed
        letters = marked or {}
        self.show(
            [
                Line(row.name, cells(row, now, marks.get(row.name)) | {MARGIN: letters.get(row.name, _NONE)})
                for row in rows
            ]
        )
        if following:
            best = next((row.name for row in rows if row.best), rows[-1].name if rows else None)
            if best is not None:
                self.go_to(best)
            self._followed = self.current

    def _strip(self, cells: Mapping[str, Cell], palette: theme.Palette, under: Style) -> Strip:
        # What is faint could not be read on the cursor's background; reversed, every role would be a block.
        if under:
            lifted = {role: "text" for _, role in cells.values()} if under.reverse else _ON_CURSOR
            cells = {key: (text, lifted.get(role, role)) for key, (text, role) in cells.items()}
        return super()._strip(cells, palette, under)

    def forget(self) -> None:
        """Other rows come, of another run: the cursor follows their best again."""
        self.show([])
        self._followed = None


def _columns(lineage: bool, named: int) -> tuple[Column, ...]:
    """Those of a list whose averages have names of up to `named` cells: a star and the name find room."""
    columns = tuple(column for column in COLUMNS if lineage or column.key != "lineage")
    return with_room(columns, named + 2 if named else 0)
