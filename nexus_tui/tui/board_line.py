"""The line above the charts: where the crosshair stands, and whatever is not as usual."""

from __future__ import annotations

from collections.abc import Sequence

from nexus_tui.tui.chart import Mark
from nexus_tui.tui.chart.axis import XKind
from nexus_tui.tui.chart.legend import place_format
from nexus_tui.tui.lines import Line, width_of
from nexus_tui.tui.safe import fit
from nexus_tui.tui.theme import glyphs


def said_at(words: Sequence[str], marks: Sequence[Mark], width: int) -> Line:
    """What is counted at the crosshair and what was noted there, in `width` cells; drops from the end."""
    signs = {"note": glyphs().note, "resume": glyphs().resume, "warn": glyphs().warn}
    roles = {"note": "note", "resume": "muted", "warn": "warn"}
    line: Line = ((words[0], "cursor!"),) if words else ()
    for mark in marks:
        room = width - width_of(line) - 5
        if room > 12:
            text = fit(mark.text, min(room, len(mark.text)))
            line = (*line, (f"   {signs[mark.kind]} ", roles[mark.kind]), (text, "text"))
    for word in words[1:]:
        if width_of(line) + 3 + len(word) <= width:
            line = (*line, (f" · {word}", "muted"))
    return line


def settings_line(
    smoothing: float, window: tuple[float, float] | None, kind: XKind, page: tuple[int, int, int] | None
) -> Line:
    """The window, the smoothing, and which charts of how many are seen; empty where all is as usual."""
    parts: list[tuple[str, str]] = []
    if window:
        write = place_format(kind)
        parts.append((f"{write(window[0])} – {write(window[1])}", "live"))
    if smoothing:
        parts.append((f"smoothing {smoothing:g}", "faint"))
    if page:
        parts.append((f"charts {page[0]}–{page[1]} of {page[2]}", "faint"))
    line: Line = ()
    for number, part in enumerate(parts):
        line = (*line, (" · " if number else "", "faint"), part)
    return line
