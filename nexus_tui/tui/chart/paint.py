"""Painting of a chart's parts into a frame: axes, curves, points, bands, marks, crosshair."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nexus_tui.tui import theme
from nexus_tui.tui.chart import raster
from nexus_tui.tui.chart.axis import XAxis, YAxis
from nexus_tui.tui.chart.curves import Band, Curve, Mark
from nexus_tui.tui.chart.frame import BLANK, Frame, Look
from nexus_tui.tui.chart.raster import Bits, Codes
from nexus_tui.tui.chart.series import Floats, Reduction, Window

_RAW_BEHIND = 2
"""Smoothed curves that may have their raw values behind them; those of more would hide one another."""

_MARK_LABEL = 17
"""Cells that the label of a mark may take."""


@dataclass(frozen=True, slots=True)
class Layer:
    """A curve and its reductions."""

    curve: Curve
    raw: Reduction
    smooth: Reduction | None

    @property
    def best(self) -> Reduction:
        """Smoothed values if there are any."""
        return self.smooth or self.raw


@dataclass(frozen=True, slots=True)
class Painter:
    """Paints into the cells right of and above the axes, from column `left` and row `top` on."""

    frame: Frame
    x: XAxis
    y: YAxis
    left: int
    top: int

    @property
    def pixels(self) -> int:
        """Pixel columns of the frame."""
        return 2 * self.x.width

    # -- axes ---------------------------------------------------------------------------------------------

    def axes(self, below: int, *, values: bool = True) -> None:
        """Both axes, with labels of `values`; `below` rows under the curves: labels, with a line above."""
        glyphs, frame, rows = theme.glyphs(), self.frame, self.y.rows
        faint, muted = Look("faint"), Look("muted")
        edge = self.left - 1
        frame.put(np.arange(self.top, self.top + rows), edge, glyphs.rule, faint)
        for row, label in self.y.ticks if values else ():
            frame.write(self.top + row, max(0, edge - len(label)), label, muted, edge)
            frame.write(self.top + row, edge, glyphs.left_tick, faint)
        line = self.top + rows
        if below == 2:
            frame.write(line, edge, glyphs.corner + glyphs.axis * self.x.width, faint)
            for cell, _, _ in self.x.ticks:
                frame.write(line, self.left + cell, glyphs.tick, faint)
        if below:
            for _, start, text in self.x.ticks:
                frame.write(line + below - 1, self.left + start, text, muted)

    def say(self, text: str) -> None:
        """A quiet word in the middle, or a few lines of them."""
        lines = textwrap.wrap(text, max(8, self.x.width - 4))[: self.y.rows]
        first = self.top + max(0, (self.y.rows - len(lines)) // 2)
        for row, line in enumerate(lines):
            column = self.left + max(0, (self.x.width - len(line)) // 2)
            self.frame.write(first + row, column, line, Look("muted"))

    def bad(self, layers: Sequence[Layer], below: int) -> None:
        """A cross on the x axis wherever a curve has unusable values."""
        bad = np.zeros(self.pixels, np.bool_)
        for layer in layers:
            bad |= layer.raw.bad
        row = self.top + self.y.rows - (below != 2)
        cells = np.flatnonzero(bad[::2] | bad[1::2])
        self.frame.put(row, self.left + cells, theme.glyphs().cross, Look("warn", bold=True))

    # -- curves -------------------------------------------------------------------------------------------

    def curves(self, layers: Sequence[Layer]) -> None:
        """Strokes from the lowest to the topmost: dimmed curves, raw values, joints of dots, smoothed values.

        A cell has one colour: a smoothed line takes its cells from raw values behind it, and stays a line.
        """
        lines = [layer for layer in layers if layer.curve.marker == "line"]
        for layer in lines:
            if layer.curve.dim:
                self.stroke(layer.best, Look(layer.curve.color, dim=True))
        noisy = [layer for layer in lines if layer.smooth is not None and not layer.curve.dim]
        for layer in noisy if len(noisy) <= _RAW_BEHIND else ():
            self.stroke(layer.raw, Look(layer.curve.color, dim=True))
        for layer in layers:
            if layer.curve.marker == "dots" and layer.curve.joined:
                # Where points are all that a series has, their joint is its line.
                self.stroke(layer.raw, Look(layer.curve.color, dim=layer.curve.sign is None))
        for layer in lines:
            if not layer.curve.dim:
                self.stroke(layer.best, Look(layer.curve.color))

    def points(self, layers: Sequence[Layer]) -> None:
        """What lies over the strokes: signs of series, dots, the star."""
        for layer in layers:
            if layer.curve.sign and layer.curve.marker == "line":
                self._end_sign(layer)
        stars = [layer for layer in layers if layer.curve.marker == "star"]
        taken = [_places(layer.raw) for layer in stars]
        for layer in layers:
            if layer.curve.marker == "dots":
                self._dots(layer, np.concatenate([np.empty((0, 2)), *taken]))
        for layer in stars:
            self._dots(layer, np.empty((0, 2)))

    def stroke(self, reduction: Reduction, look: Look) -> None:
        """One line."""
        drawn = raster.stroke(reduction, self.y)
        self._ink(drawn.codes, look)
        self._leaving(drawn.above, drawn.below, look)

    def _ink(self, codes: Codes, look: Look) -> None:
        """Put dots into the frame; a cell belongs to the last that draws in it, for it has one colour."""
        rows = slice(self.top, self.top + self.y.rows)
        table = raster.ASCII if theme.glyphs().ascii else raster.BRAILLE
        inked = codes != 0
        self.frame.glyphs[rows, self.left :][inked] = table[codes[inked]]
        self.frame.looks[rows, self.left :][inked] = self.frame.styles.number(look)

    def _leaving(self, above: Bits, below: Bits, look: Look) -> None:
        """Say in which cells [width] values lie outside the frame."""
        signs, faded = theme.glyphs(), look._replace(dim=True, bold=False)
        for cells, row, sign in ((above, 0, signs.up), (below, self.y.rows - 1, signs.down)):
            self.frame.put(self.top + row, self.left + np.flatnonzero(cells), sign, faded)

    def _cells(self, places: Floats) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Rows and columns [n] of the cells of places (position, value) [n, 2]; rows may lie outside."""
        rows = np.floor(self.y.dot(places[:, 1]) / 4)
        cells = np.clip(np.floor((places[:, 0] + 0.5) / 2), 0, self.x.width - 1)
        return np.clip(rows, -1, self.y.rows).astype(np.intp), cells.astype(np.intp)

    def _dots(self, layer: Layer, hidden: Floats) -> None:
        """Single values: a square of dots, exact to the dot, or a sign; no square at `hidden` [n, 2]."""
        curve, signs = layer.curve, theme.glyphs()
        star = curve.marker == "star"
        look = Look(curve.color, dim=curve.dim, bold=star)
        places = _places(layer.raw)
        if not len(places):
            return
        rows, cells = self._cells(places)
        above, below = np.zeros(self.x.width, np.bool_), np.zeros(self.x.width, np.bool_)
        above[cells[rows < 0]] = True
        below[cells[rows >= self.y.rows]] = True
        inside = (rows >= 0) & (rows < self.y.rows)
        sign = curve.sign or (signs.star if star else signs.dot if signs.ascii else None)
        if sign is not None:
            self.frame.put(self.top + rows[inside], self.left + cells[inside], sign, look)
        else:
            inside &= ~(places[:, None, :] == hidden[None, :, :]).all(2).any(1)
            shown = places[inside]
            self._ink(raster.squares(shown[:, 0], shown[:, 1], self.y, self.pixels), look)
        self._leaving(above, below, look)

    def _end_sign(self, layer: Layer) -> None:
        """The second sign of a series, at its newest visible value."""
        shown = np.flatnonzero(layer.best.visible)[-1:]
        places = np.stack((layer.best.leave[shown], layer.best.last[shown]), axis=1)
        rows, cells = self._cells(places)
        inside = (rows >= 0) & (rows < self.y.rows)
        look = Look(layer.curve.color, dim=layer.curve.dim, bold=not layer.curve.dim)
        self.frame.put(self.top + rows[inside], self.left + cells[inside], layer.curve.sign or "", look)

    # -- the rest -----------------------------------------------------------------------------------------

    def band(self, band: Band, log: bool) -> None:
        """A shade between two curves: every other dot, as exact as dots are."""
        if len(band.x) < 1:
            return
        pixels = np.arange(self.pixels)
        position = Window(self.x.low, self.x.high, self.pixels).position(np.asarray(band.x, np.float64))
        inside = (pixels >= position[0] - 0.5) & (pixels <= position[-1] + 0.5)
        ends = [np.asarray(end, np.float64) for end in (band.low, band.high)]
        if log:
            ends = [np.log10(np.maximum(end, 1e-300)) for end in ends]
        bottom, top = (self.y.dot(np.interp(pixels, position, end)) for end in ends)
        dots = np.arange(4 * self.y.rows)
        bits = (dots >= np.minimum(top, bottom - 1)[:, None]) & (dots <= bottom[:, None]) & inside[:, None]
        if theme.glyphs().ascii:
            rows, cells = np.nonzero(raster.pack(bits))
            self.frame.put(self.top + rows, self.left + cells, theme.glyphs().shade, Look(band.color))
        else:
            self._ink(raster.pack(bits & ((dots + pixels[:, None]) % 2 == 0)), Look(band.color))

    def marks(self, marks: Sequence[Mark], *, labelled: bool = True) -> None:
        """Vertical lines with their signs; with labels, where they are wanted and there is room."""
        signs, frame = theme.glyphs(), self.frame
        kinds = {
            "resume": (signs.resume, "muted"),
            "note": (signs.note, "note"),
            "warn": (signs.warn, "warn"),
        }
        rows = np.arange(self.top, self.top + self.y.rows)
        shown = [mark for mark in sorted(marks) if self.x.low <= mark.x <= self.x.high]
        columns = [self.column(mark.x) for mark in shown]
        for mark, column, after in zip(shown, columns, [*columns[1:], frame.width], strict=False):
            sign, role = kinds[mark.kind]
            frame.put(rows, column, signs.vertical, Look("faint"))
            frame.write(self.top, column, sign, Look(role))
            if mark.label and labelled:
                room = min(_MARK_LABEL - 1, after - column - 3)
                frame.write(self.top, column + 2, _cut(mark.label, room), Look("muted"))

    def column(self, x: float) -> int:
        """Column of the frame in which a place lies."""
        return self.left + min(max(math.floor(self.x.cell(x)), 0), self.x.width - 1)

    def crosshair(self, x: float) -> None:
        """A line through empty cells and those of marks, and a tint behind all of its column."""
        frame, column = self.frame, self.column(x)
        rows = np.arange(self.top, self.top + self.y.rows)
        empty = rows[np.isin(frame.glyphs[rows, column], (BLANK, ord(theme.glyphs().vertical)))]
        frame.put(empty, column, theme.glyphs().rule, Look("cursor"))
        for row in rows.tolist():
            held = frame.styles.looks[frame.looks[row, column]]
            frame.looks[row, column] = frame.styles.number(held._replace(on="ghost"))


def _places(reduction: Reduction) -> Floats:
    """Positions and values [n, 2] of single points; of several in a column the last and the extremes."""
    shown = reduction.visible
    position, last = reduction.leave[shown], reduction.last[shown]
    low, high = reduction.low[shown], reduction.high[shown]
    under, over = low < last, high > last
    positions = np.concatenate((position, position[under], position[over]))
    return np.stack((positions, np.concatenate((last, low[under], high[over]))), axis=1)


def _cut(text: str, cells: int) -> str:
    """Text shortened to `cells`, with an ellipsis if that cuts it; nothing where little would remain."""
    if len(text) <= cells:
        return text
    return text[: cells - 1] + theme.glyphs().ellipsis if cells >= 8 else ""
