"""The list beside an overlay: how each run stands; at a crosshair, what each says there, lowest first."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from nexus_tui.runs.settings import ConfigDifference
from nexus_tui.tui import format as fmt
from nexus_tui.tui.chart import Reading
from nexus_tui.tui.chart.curves import Format
from nexus_tui.tui.lines import Line, Span, width_of
from nexus_tui.tui.listing import MARGIN, Cell, Column, Row
from nexus_tui.tui.metrics import Metric
from nexus_tui.tui.overlay_curves import POINTS, Member
from nexus_tui.tui.safe import fit, plain
from nexus_tui.tui.story import state

_NAME = Column("name", " run", 12, grow=40)
STANDING = (
    _NAME,
    Column("state", "state", 8, priority=3),
    Column("best", "best val", 8, right=True, priority=1),
    Column("bits", "bits/byte", 9, right=True, priority=2),
)
"""Columns while there is no crosshair."""
STANDING_IN_BITS = tuple(column for column in STANDING if column.key != "best")
"""Those of runs with different tokens, whose losses are not laid side by side."""


@dataclass(frozen=True)
class At:
    """What the curves of one metric say at a crosshair."""

    metric: Metric
    place: float
    near: float
    """How far from the place an evaluation may be that is of it: a cell of the chart."""
    readings: Sequence[Reading]

    def line(self, name: str) -> Reading | None:
        """What a run's line says here; None where it has none, or not yet, or no longer."""
        return next((reading for reading in self.readings if reading.name == name), None)

    def points(self, name: str) -> Reading | None:
        """The nearest evaluation of a run."""
        return next((reading for reading in self.readings if reading.name == name + POINTS), None)

    @property
    def lines(self) -> bool:
        """Whether any run has a line here."""
        return any(not reading.name.endswith(POINTS) for reading in self.readings)

    @property
    def smoothed(self) -> bool:
        """Whether any line is smoothed."""
        return any(reading.smooth is not None for reading in self.readings)


def reading_columns(at: At, places: str) -> tuple[Column, ...]:
    """Columns at a crosshair, as far as this metric has them; `places` is what is counted."""
    lines = at.lines
    points = any(reading.name.endswith(POINTS) for reading in at.readings)
    columns = [replace(_NAME, title=f" {at.metric.title}")]
    if lines and at.smoothed:
        columns += [
            Column("smooth", "smoothed", 8, right=True),
            Column("raw", "raw", 8, right=True, priority=1),
        ]
    elif lines:
        columns.append(Column("raw", "value", 8, right=True))
    if points:
        name = "val" if lines else "value"
        columns += [
            Column("val", name, 8, right=True, priority=2),
            Column("at", f"at {places}", 8, right=True, priority=3),
        ]
    return tuple(columns)


def standing(member: Member, hidden: bool) -> Row:
    """How a run stands: its state, and its true best checkpoint."""
    _, word, role = state(member.run)
    summary = member.run.summary
    cells = {
        "state": ("hidden", "faint") if hidden else (word, role),
        "best": (fmt.loss(summary.best_loss), "text"),
        "bits": (fmt.loss(summary.best_bits), "text"),
    }
    return _row(member, cells, hidden)


def read(members: Sequence[Member], hidden: Collection[str], at: At, written: Format) -> list[Row]:
    """What each run says at the crosshair, the lowest value first; those without one come last.

    `written` writes a place.
    """
    ordered = sorted(members, key=lambda member: _rank(member, hidden, at))
    return [_reading(member, member.name in hidden, at, written) for member in ordered]


def _rank(member: Member, hidden: Collection[str], at: At) -> tuple[bool, float]:
    line, points = at.line(member.name), at.points(member.name)
    value = math.nan
    if line:
        value = line.raw if line.smooth is None else line.smooth
    elif points and not at.lines:
        value = points.raw
    missing = member.name in hidden or math.isnan(value)
    return missing, 0.0 if missing else value


def _reading(member: Member, hidden: bool, at: At, written: Format) -> Row:
    line, points = (None, None) if hidden else (at.line(member.name), at.points(member.name))
    value = at.metric.format
    # The nearest evaluation stands back unless it is of this very place.
    here = points is not None and abs(points.x - at.place) <= at.near
    cells: dict[str, Cell] = {
        "smooth": (value(line.smooth if line else None), "text!" if line else "faint"),
        "raw": (value(line.raw if line else None), "text" if line else "faint"),
        "val": (value(points.raw if points else None), "text" if here else "muted" if points else "faint"),
        "at": (written(points.x) if points else fmt.MISSING, "muted" if points else "faint"),
    }
    return _row(member, cells, hidden)


def _row(member: Member, cells: dict[str, Cell], hidden: bool) -> Row:
    look = member.look
    # The sign stands before the columns, in a cell of its own; the name keeps off it.
    named: dict[str, Cell] = {
        MARGIN: (look.sign, "faint" if hidden else f"{look.color}!"),
        "name": (f" {plain(member.name)}", "faint" if hidden else "text"),
    }
    dimmed = {key: (text, "faint") for key, (text, _) in cells.items()} if hidden else cells
    return Row(member.name, {**named, **dimmed})


def differing(
    members: Sequence[Member], differences: Sequence[ConfigDifference], width: int, height: int
) -> list[Line]:
    """What is configured otherwise from run to run, each value behind the signs of those that have it.

    In `height` lines of `width` cells; the last one says how many settings there is no room for. What is only
    missing from a record is no difference here.
    """
    rows = [row for row in differences if len({repr(value) for value in row.values if value is not None}) > 1]
    if len(members) < 2 or height < 2:
        return []
    if not rows:
        known = all(member.run.config for member in members)
        return [(("No setting differs." if known else "Not all settings are on record.", "muted"),)]
    lines: list[Line] = [(("what differs", "text!"),)]
    keys = min(max(len(row.key) for row in rows), width // 2)
    for number, row in enumerate(rows):
        told = _difference(members, row, keys, width)
        if len(lines) + len(told) > height - (number < len(rows) - 1):
            return [*lines, ((f"… and {len(rows) - number} more", "muted"),)]
        lines += told
    return lines


def _difference(members: Sequence[Member], row: ConfigDifference, keys: int, width: int) -> list[Line]:
    """One setting: behind its name, `keys` cells wide, the values, in further lines if they need them."""
    owners: dict[str, list[Member]] = {}
    for member, value in zip(members, row.values, strict=True):
        if value is not None:
            owners.setdefault(_written(row.key, value), []).append(member)
    lines: list[list[Span]] = [[(fit(plain(row.key), keys), "muted")]]
    for value, having in owners.items():
        room = max(4, width - keys - 3 - len(having))
        spans: list[Span] = [("  ", "text"), *((m.look.sign, f"{m.look.color}!") for m in having)]
        spans.append((f" {fit(value, min(len(value), room))}", "text"))
        if len(lines[-1]) > 1 and width_of(lines[-1]) + width_of(spans) > width:
            lines.append([(" " * keys, "text")])
        lines[-1] += spans
    return [tuple(line) for line in lines]


def _written(key: str, value: object) -> str:
    text = f"{value:g}" if isinstance(value, float) else plain(str(value))
    return text[:12] if key.endswith("SHA-256") else text
