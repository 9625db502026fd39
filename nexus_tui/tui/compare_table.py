"""The overview: a row a checkpoint, what is known of each, and how it stands against the best."""

from __future__ import annotations

import math

from rich.cells import cell_len

from nexus_tui.runs import averages
from nexus_tui.runs.subject import Subject
from nexus_tui.tui import format, theme
from nexus_tui.tui.comparing import METHODS, Comparing
from nexus_tui.tui.listing import Cell, Column, Listing, Row, with_room
from nexus_tui.tui.safe import plain

COLUMNS = (
    Column("letter", "", 3),
    Column("run", "run", 12, priority=3, grow=14),
    Column("step", "step", 9, right=True, priority=0, grow=4),
    Column("loss", "loss", 7, right=True, priority=1),
    Column("stderr", "±", 6, right=True, priority=4),
    Column("bpb", "bits/byte", 9, right=True, priority=2),
    Column("verdict", "against best", 16, priority=1),
    Column("ppl", "ppl", 6, right=True, priority=5),
    Column("gap", "val−train", 9, right=True, priority=6),
    Column("tokens", "tokens", 6, right=True, priority=7),
    Column("size", "size", 7, right=True, priority=8),
    Column("lineage", "lineage", 15, priority=9, grow=16),
)
"""All of them; the ones with high priorities go first where there is no room."""

_SHORT = {"uniform": "avg", "ema": "ema"}


def method_of(row: str | None) -> str:
    """The method of the average that a row is of; empty for a checkpoint."""
    return next((method for method, short in _SHORT.items() if short == row), "")


class CompareTable(Listing):
    """The overview as a list. Below its last row the cursor goes on into the section."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(COLUMNS, id=id)

    def show_rows(self, c: Comparing) -> None:
        """Draw these; the column of runs only where there are several."""
        several = len({row.subject.run.folder for row in c.rows}) > 1
        columns = tuple(column for column in COLUMNS if several or column.key != "run")
        self.show_columns(with_room(columns, max(cell_len(step(c, at)) for at in range(len(c.rows)))))
        self.show([*(Row(row.letter, _cells(c, place)) for place, row in enumerate(c.rows)), *_averages(c)])

    def left_out(self) -> list[tuple[str, str]]:
        """What had no column of the row under the cursor, as label and value."""
        row = next((row for row in self.rows if row.id == self.current), None)
        shown = {column.key for column in self.columns}
        titles = {column.key: column.title for column in self._all[1:] if column.key not in shown}
        return [(titles[key], row.cells[key][0]) for key in titles if key in row.cells] if row else []

    def action_scroll_left(self) -> None:
        """The pair before."""
        self.screen.action_pair(-1)  # type: ignore[attr-defined]

    def action_scroll_right(self) -> None:
        """The next pair."""
        self.screen.action_pair(1)  # type: ignore[attr-defined]

    def action_down(self) -> None:
        """Next row; after the last one, the section."""
        if self.cursor >= len(self.rows) - 1:
            self.screen.action_into()  # type: ignore[attr-defined]
        else:
            super().action_down()


def _cells(c: Comparing, place: int) -> dict[str, Cell]:
    row, subject = c.rows[place], c.comparison.subjects[place]
    best = place == c.best
    first, second = ("best", "muted") if best else ("text", "muted")
    refused = c.mixed
    missing: Cell = (format.MISSING, "faint")
    return {
        "letter": row.title,
        "run": (plain(subject.run.name), "text"),
        "step": (step(c, place), first),
        "loss": missing if refused else (format.loss(subject.loss), first),
        "stderr": missing if refused else (format.loss(subject.stderr), second),
        "ppl": missing if refused else (format.perplexity(subject.perplexity), "text"),
        "bpb": (format.loss(subject.bits_per_byte), first if refused else "text"),
        "verdict": against_best(c, place),
        "gap": missing if refused else (format.delta(subject.gap), second),
        "tokens": (format.short(subject.tokens), second),
        "size": (format.size(subject.bytes), second),
        "lineage": (_lineage(subject), second),
    }


def _lineage(subject: Subject) -> str:
    """That of a column: how an average was made stands before what is cut off first."""
    if subject.parents:
        return plain(averages.brief(subject.run.saved[subject.name], subject.run.name))
    return lineage(subject.lineage)


def lineage(words: str) -> str:
    """A lineage made safe to show; its arrows are ours."""
    return " → ".join(plain(part) for part in words.split(" → "))


def step(c: Comparing, place: int) -> str:
    """Its step; its name if it is an average, or another one of the run has that step."""
    subject = c.rows[place].subject
    if subject.parents:
        return plain(subject.name)
    twin = any(
        other.subject.step == subject.step and other.subject.run is subject.run
        for at, other in enumerate(c.rows)
        if at != place
    )
    return plain(subject.name.removeprefix("step_")) if twin else format.count(subject.step)


def against_best(c: Comparing, place: int) -> Cell:
    """How a checkpoint stands against the best, with a sign or word besides the colour."""
    if c.best is None or not math.isfinite(c.values[place]):
        return ("no bits/byte" if math.isfinite(c.comparison.subjects[place].loss) else "no loss", "faint")
    if place == c.best:
        if len(c.rows) == 2:
            only = c.against(0, 1)
            if (
                only.verdict == "undecided" and only.blocks
            ):  # neither is the best of two that are not told apart
                return ("≈", "val")
        return (f"{theme.glyphs().star} best", "best")
    pair = c.against(c.best, place)
    if pair.verdict == "same":
        return ("= same weights", "muted")
    if pair.verdict == "incomparable":
        return ("not comparable", "warn")
    mean = format.delta(pair.mean)
    if pair.verdict == "undecided":
        return (f"≈ {mean}", "val") if pair.blocks else (f"? {mean}", "muted")
    return (f"{pair.verdict} {mean}", "text")


def _averages(c: Comparing) -> list[Row]:
    """The averages that were worked out, as contenders."""
    rows = []
    for method in METHODS:
        average = c.average(method)
        if average is None:
            continue
        cells: dict[str, Cell] = {
            "letter": (_SHORT[method], "live!"),
            "run": (f"{method} average", "muted"),
            "step": (f"of {len(c.rows)}", "muted"),
            "loss": (format.loss(average.loss), "text"),
            "stderr": (format.loss(average.stderr), "muted"),
            "ppl": (format.perplexity(math.exp(min(average.loss, 700.0))), "text"),
            "bpb": (format.loss(average.bits_per_byte), "text"),
            "verdict": average_against_best(c, method),
        }
        rows.append(Row(_SHORT[method], cells))
    return rows


def average_against_best(c: Comparing, method: str) -> Cell:
    """How an average stands against the best of its parents."""
    average = c.average(method)
    if average is None or c.best is None:
        return (format.MISSING, "faint")
    pair = average.pairs[c.best]
    mean = format.delta(pair.mean)
    if pair.verdict == "undecided":
        return (f"≈ {mean}", "val") if pair.blocks else (f"? {mean}", "muted")
    return (f"{pair.verdict} {mean}", "good" if pair.verdict == "better" else "text")
