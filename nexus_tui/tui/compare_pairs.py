"""Every pair's verdict: a matrix where there are three or more, then each with its interval."""

from __future__ import annotations

import math
from typing import ClassVar

from nexus_tui.runs.comparison import CONFIDENCE, WIDER, Pair
from nexus_tui.tui import format, theme
from nexus_tui.tui.compare_section import Section
from nexus_tui.tui.comparing import Comparing
from nexus_tui.tui.flow import flow
from nexus_tui.tui.lines import Line, Span
from nexus_tui.tui.safe import fit, plain

WORDS = {"better": "better", "worse": "worse", "same": "same", "undecided": "≈", "incomparable": "–"}
SIGNS = {"better": "<", "worse": ">", "same": "=", "undecided": "≈", "incomparable": "–"}
ROLES = {"better": "good", "worse": "warn", "same": "muted", "undecided": "val", "incomparable": "faint"}
_WIDE, _NARROW = 16, 9
"""Cells of a verdict in words, and as a sign."""


class PairsSection(Section):
    """Who is better than whom."""

    NAME: ClassVar[str] = "pairs"
    LETTER: ClassVar[str] = "p"

    def lines(self, c: Comparing, width: int) -> list[Line]:
        """Matrix, then list."""
        matrix = [*_matrix(c, width), ()] if len(c.rows) > 2 else []
        return [*matrix, *_list(c, width)]


def _matrix(c: Comparing, width: int) -> list[Line]:
    """The row against the column: its loss less the column's, and what the test says."""
    cell = _WIDE if 7 + _WIDE * len(c.rows) <= width else _NARROW
    words = WORDS if cell == _WIDE else SIGNS
    legend = "row against column, " + c.unit
    if words is SIGNS:
        legend += ": < better, > worse, ≈ cannot be told, = same"
    head: list[Span] = [(" " * 6, "text")]
    head += [(fit(row.title[0], cell, right=True), row.title[1]) for row in c.rows]
    lines: list[Line] = [*flow([(legend, "muted")], width), tuple(head)]
    for a, row in enumerate(c.rows):
        spans: list[Span] = [row.title, (" " * 3, "text")]
        spans += [_cell(c.against(b, a) if a != b else None, words, cell) for b in range(len(c.rows))]
        lines.append(tuple(spans))
    return lines


def _cell(pair: Pair | None, words: dict[str, str], width: int) -> Span:
    if pair is None:
        return (fit("·", width, right=True), "faint")
    word, role = words[pair.verdict], ROLES[pair.verdict]
    if pair.verdict == "undecided" and not pair.blocks:
        word, role = "?", "muted"
    if pair.verdict in ("same", "incomparable"):
        return (fit(word, width, right=True), role)
    number = format.delta(pair.mean)
    if words is WORDS:
        return (fit(f"{word} {number}", width, right=True), role)
    return (fit(f"{word}{number}", width, right=True), role)


def _list(c: Comparing, width: int) -> list[Line]:
    """A line a pair, those of the best first, the better one at the left: verdict, difference, interval."""
    first = sorted(c.comparison.pairs, key=lambda pair: c.best not in (pair.a, pair.b))
    pairs = [_ordered(pair) for pair in first]
    tested = [pair for pair in pairs if pair.blocks]
    lines: list[Line] = []
    if tested:
        basis = f"{100 * CONFIDENCE:.0f} % intervals for all pairs at once, {c.unit}{_basis(tested)}"
        lines += flow([(basis, "muted")], width)
    low = min((pair.low for pair in tested), default=0.0)
    high = max((pair.high for pair in tested), default=0.0)
    room = min(60, width - 43 - max((len(_said(pair)) for pair in tested), default=0))
    column = max((len(_said(pair)) for pair in tested), default=0)
    for pair in pairs:
        lines += _line(c, pair, width, column)
        if pair.blocks and room >= 12:
            lines[-1] = (*lines[-1], ("  ", "text"), *_picture(pair, min(low, 0.0), max(high, 0.0), room))
    if tested:
        lines += [(), *flow([(WIDER, "muted")], min(width, 110))]
    return lines


def _ordered(pair: Pair) -> Pair:
    """The pair as seen from the one with the lower loss: its difference is not negative."""
    return pair.mirrored() if pair.mean < 0 else pair


def _basis(tested: list[Pair]) -> str:
    windows, stretches = {pair.windows for pair in tested}, {pair.blocks for pair in tested}
    if len(windows) == len(stretches) == 1 and max(windows):
        return f"; {format.count(max(windows))} windows in {max(stretches)} blocks"
    return ""


def _said(pair: Pair) -> str:
    return "better than" if pair.verdict == "worse" else "cannot be told from"


def _line(c: Comparing, pair: Pair, width: int, column: int) -> list[Line]:
    a, b = c.rows[pair.a], c.rows[pair.b]
    if pair.verdict == "same":
        return [(a.title, (" and ", "muted"), b.title, ("  same weights, bit for bit", "muted"))]
    if not pair.blocks:
        reason = plain(pair.reason).rstrip(".")
        for row in c.rows:
            reason = reason.replace(plain(row.subject.label), row.letter)
        word = "not comparable" if pair.verdict == "incomparable" else f"{format.delta(pair.mean)}, no test"
        text: list[Span] = [(" and ", "muted"), b.title, (f"  {word}: {reason}", "warn")]
        return flow([a.title, *text], width)
    better = pair.verdict == "worse"
    number = f"by {abs(pair.mean):.4f}" if better else f"   {format.loss(abs(pair.mean))}"
    interval = f"   {format.delta(pair.low)} to {format.delta(pair.high)}"
    return [
        (
            a.title,
            (" ", "text"),
            (_said(pair), "good!" if better else "val"),
            (" ", "text"),
            b.title,
            (" " * (column - len(_said(pair)) + 3), "text"),
            (number, "text"),
            (interval, "muted"),
        )
    ]


def _picture(pair: Pair, low: float, high: float, width: int) -> Line:
    """The interval on a scale that all pairs share, the zero marked."""
    span = (high - low) or 1.0
    glyphs = theme.glyphs()

    def at(value: float) -> int:
        return min(width - 1, max(0, round((value - low) / span * (width - 1))))

    cells = [" "] * width
    for place in range(at(pair.low), at(pair.high) + 1):
        cells[place] = glyphs.line
    cells[at(0.0)] = glyphs.vertical
    cells[at(pair.mean)] = glyphs.dot
    role = "good" if pair.verdict != "undecided" else "val"
    zero = at(0.0)
    text = "".join(cells)
    if zero == at(pair.mean) or not math.isfinite(span):
        return ((text, role),)
    return ((text[:zero], role), (text[zero], "muted"), (text[zero + 1 :], role))
