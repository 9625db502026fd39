"""The title line: name, unit and legend with current values, or what the crosshair reads.

When it is too long it drops, in this order: the unit, notes (`@1,200`), labels, entries from the last one on,
and last the end of the title. An entry whose note is bound to it drops its label before that: a forecast
without its step would read like the next value.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.cells import cell_len

from nexus_tui.tui import format as fmt
from nexus_tui.tui import theme
from nexus_tui.tui.chart.axis import XKind
from nexus_tui.tui.chart.curves import Curve, Format, Legend, Reading
from nexus_tui.tui.chart.frame import Frame, Look

if TYPE_CHECKING:
    from nexus_tui.tui.chart.plot import Request

Piece = tuple[str, Look]


def write_title(frame: Frame, request: Request, entries: Sequence[Legend], *, at_crosshair: bool) -> None:
    """Write the title line of a chart onto row 0.

    Args:
        frame: what to write on.
        request: title, unit, crosshair.
        entries: what to tell of each curve.
        at_crosshair: say which place the entries are of.
    """
    where = ""
    if at_crosshair and request.pointed is not None:
        where = f"@{request.pointed[0]}"
    elif at_crosshair and request.crosshair is not None and request.placed:
        where = f"@{(request.x_format or place_format(request.x_kind))(request.crosshair)}"
    x = 0
    for text, look in fit(request.title, request.unit, where, entries, frame.width):
        x = frame.write(0, x, text, look)


def place_format(kind: XKind) -> Format:
    """How a place on an x axis is written in full."""
    if kind == "time":
        return fmt.duration
    if kind == "clock":
        return _clock
    return fmt.count


def _clock(place: float | None) -> str:
    return time.strftime("%m-%d %H:%M:%S", time.localtime(place)) if place is not None else fmt.MISSING


def reading_entries(
    curves: Sequence[Curve], readings: Sequence[Reading], form: Format, x_form: Format
) -> list[Legend]:
    """Entries that tell the values at the crosshair: smoothed beside raw, points with their place."""
    named = {curve.name: curve for curve in curves}
    entries = []
    for reading in readings:
        curve = named[reading.name]
        value, note = reading.raw, ""
        if reading.smooth is not None:
            value, note = reading.smooth, f"raw {form(reading.raw)}"
        elif curve.marker != "line":
            note = f"@{x_form(reading.x)}"
        label = curve.name if curve.label is None else curve.label
        entries.append(Legend(curve.sign or curve.marker, curve.color, form(value), label, note))
    return entries


def fit(title: str, unit: str, where: str, entries: Sequence[Legend], width: int) -> list[Piece]:
    """Pieces of the title line that fit `width` cells."""
    for dropped in range(4 + len(entries)):
        kept = entries if dropped <= 3 else entries[: 3 - dropped]
        pieces = _pieces(
            title, unit if dropped < 1 else "", where, kept, notes=dropped < 2, labels=dropped < 3
        )
        if sum(cell_len(text) for text, _ in pieces) <= width:
            return pieces
    return [(title, Look("text", bold=True))]


def _pieces(
    title: str, unit: str, where: str, entries: Sequence[Legend], *, notes: bool, labels: bool
) -> list[Piece]:
    glyphs = theme.glyphs()
    signs = {"line": glyphs.line, "dots": glyphs.dot, "star": glyphs.star, "band": glyphs.shade}
    pieces: list[Piece] = [(title, Look("text", bold=True))]
    if unit:
        pieces.append((f" {unit}", Look("muted")))
    if where:
        pieces.append((f"  {where}", Look("cursor", bold=True)))
    gap = "   " if labels else "  "
    for entry in entries:
        pieces.append((gap + signs.get(entry.marker, entry.marker), Look(entry.color)))
        if (notes if entry.bound else labels) and entry.label:
            pieces.append((f" {entry.label}", Look(entry.color)))
        if entry.text:
            pieces.append((f" {entry.text}", Look("text")))
        if (notes or entry.bound) and entry.note:
            pieces.append((f" {entry.note}", Look("muted")))
    return pieces
