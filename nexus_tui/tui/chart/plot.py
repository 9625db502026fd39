"""The picture of a chart: curves, axes and title as a frame of cells. Knows no widget."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from nexus_tui.tui import format as fmt
from nexus_tui.tui import theme
from nexus_tui.tui.chart import raster
from nexus_tui.tui.chart.axis import XAxis, XKind, YAxis, steady_x, x_axis, y_axis
from nexus_tui.tui.chart.curves import Band, Curve, Format, Legend, Mark, Reading
from nexus_tui.tui.chart.frame import Frame, Look, Styles
from nexus_tui.tui.chart.legend import reading_entries, write_title
from nexus_tui.tui.chart.series import Curve2Pixels, Reduction, Window
from nexus_tui.tui.chart.yrange import y_range

_GUTTER = 4
"""Cells of the y labels, at least; more only when labels need it, and then for good."""


@dataclass
class Request:
    """Everything that decides what a chart looks like, besides its size."""

    title: str = ""
    unit: str = ""
    format: Format = fmt.value
    curves: Sequence[Curve] = ()
    x_range: tuple[float, float] | None = None
    marks: Sequence[Mark] = ()
    band: Band | None = None
    legend: Sequence[Legend] | None = None
    smoothing: float = 0.0
    log_y: bool = False
    x_kind: XKind = "step"
    crosshair: float | None = None
    x_format: Format | None = None


@dataclass
class Plot:
    """Draws requests; remembers reductions and axes, so that little is read again and little moves."""

    request: Request = field(default_factory=Request)
    x: XAxis | None = None
    y: YAxis | None = None
    top: int = 1
    left: int = 0
    rows: int = 0
    _read: dict[str, Curve2Pixels] = field(default_factory=dict)
    _gutter: int = _GUTTER
    _size: tuple[int, int] = (0, 0)
    _auto_x: tuple[float, float] | None = None

    def draw(self, width: int, height: int, styles: Styles) -> Frame:
        """The frame of the present request."""
        request = self.request
        frame = Frame(width, height, styles)
        if (width, height) != self._size:
            self._size, self._gutter = (width, height), _GUTTER
        below = 2 if height >= 7 else 1 if height >= 4 else 0
        self.rows = height - self.top - below
        if self.rows >= 1 and width >= _GUTTER + 4:
            self._scale(width)
            self._axes(frame, below)
            self._curves(frame)
        write_title(frame, request, self._entries(), at_crosshair=request.crosshair is not None)
        return frame

    def _entries(self) -> list[Legend]:
        """What the title tells of each curve."""
        request = self.request
        if request.crosshair is not None:
            return reading_entries(request.curves, self.readings(), request.format, request.x_format)
        if request.legend is not None:
            return [Legend(*entry) for entry in request.legend]
        return [self._entry(curve) for curve in request.curves if not curve.dim and len(curve.y)]

    def _entry(self, curve: Curve) -> Legend:
        state = self._read.get(curve.name)
        newest = state.smoothed[-1] if state is not None and len(state.smoothed) else curve.y[-1]
        label = curve.name if curve.label is None else curve.label
        return Legend(curve.sign or curve.marker, curve.color, self.request.format(float(newest)), label)

    def _scale(self, width: int) -> None:
        request = self.request
        low, high = self._x_range()
        for _ in range(3):
            self.left = self._gutter + 1
            cells = width - self.left
            window = Window(low, high, 2 * cells, request.log_y)
            self._reduce(window)
            bounds = y_range(self._reductions(), request.band, window)
            self.y = y_axis(*bounds, self.rows, log=request.log_y, previous=self.y)
            widest = max((len(label) for _, label in self.y.ticks), default=0)
            if widest <= self._gutter or width - widest - 1 < 4:
                break
            self._gutter = widest
        if (
            self.x is None
            or (self.x.low, self.x.high, self.x.width) != (low, high, cells)
            or self._kind != request.x_kind
        ):
            self.x, self._kind = x_axis(low, high, cells, request.x_kind), request.x_kind

    _kind: XKind = "step"

    def _x_range(self) -> tuple[float, float]:
        wanted = self.request.x_range
        if wanted and all(map(math.isfinite, wanted)) and wanted[1] > wanted[0]:
            self._auto_x = None
            return float(wanted[0]), float(wanted[1])
        ends = [_ends(curve, self._read.get(curve.name)) for curve in self.request.curves if len(curve.x)]
        if self.request.band is not None and len(self.request.band.x):
            ends.append((float(self.request.band.x[0]), float(self.request.band.x[-1])))
        low = min((end[0] for end in ends), default=math.nan)
        high = max((end[1] for end in ends), default=math.nan)
        self._auto_x = steady_x(low, high, self._auto_x)
        return self._auto_x

    def _reduce(self, window: Window) -> None:
        names = {curve.name for curve in self.request.curves}
        for gone in self._read.keys() - names:
            del self._read[gone]
        for curve in self.request.curves:
            beta = self.request.smoothing if curve.smooth and curve.marker == "line" else 0.0
            self._read.setdefault(curve.name, Curve2Pixels()).update(
                curve.x, curve.y, window, beta, curve.version
            )

    def _reductions(self) -> list[tuple[Curve, Reduction, Reduction | None]]:
        read = ((curve, self._read[curve.name]) for curve in self.request.curves)
        return [(curve, state.raw, state.smooth) for curve, state in read if state.raw is not None]

    def readings(self) -> list[Reading]:
        """What every curve says at the crosshair."""
        at = self.request.crosshair
        found = []
        for curve in self.request.curves:
            state = self._read.get(curve.name)
            index = state.nearest(at) if state and at is not None else None
            if state is None or index is None:
                continue
            smooth = float(state.smoothed[index]) if len(state.smoothed) else None
            found.append(Reading(curve.name, float(curve.x[index]), float(curve.y[index]), smooth))
        return found

    # -- axes ---------------------------------------------------------------------------------------------

    def _axes(self, frame: Frame, below: int) -> None:
        assert self.x is not None and self.y is not None
        glyphs = theme.glyphs()
        faint, muted = Look("faint"), Look("muted")
        rule, tick = ("|", "+") if glyphs.ascii else ("│", "┤")
        for row in range(self.rows):
            frame.write(self.top + row, self.left - 1, rule, faint)
        for row, label in self.y.ticks:
            frame.write(self.top + row, max(0, self._gutter - len(label)), label, muted, self._gutter)
            frame.write(self.top + row, self.left - 1, tick, faint)
        line, labels = self.top + self.rows, frame.height - 1
        if below == 2:
            frame.write(line, self.left - 1, glyphs.corner + glyphs.axis * self.x.width, faint)
            for cell, _, _ in self.x.ticks:
                frame.write(line, self.left + cell, glyphs.tick, faint)
        if below:
            for _, start, text in self.x.ticks:
                frame.write(labels, self.left + start, text, muted)
        bad = np.zeros(2 * self.x.width, np.bool_)
        for _, raw, _ in self._reductions():
            bad |= raw.bad
        if bad.any():
            edge = line if below == 2 else line - 1
            for cell in np.flatnonzero(bad.reshape(-1, 2).any(1)).tolist():
                frame.write(edge, self.left + cell, glyphs.cross, Look("warn", bold=True))

    # -- curves -------------------------------------------------------------------------------------------

    def _curves(self, frame: Frame) -> None:
        assert self.y is not None
        self._band(frame)
        self._marks(frame)
        layers = self._reductions()
        lines = [layer for layer in layers if layer[0].marker == "line"]
        for curve, raw, smooth in lines:
            if curve.dim:
                self._stroke(frame, smooth or raw, Look(curve.color, dim=True))
        for curve, raw, smooth in lines:
            if smooth is not None and not curve.dim:
                self._stroke(frame, raw, Look(curve.color, dim=True))
        for curve, raw, smooth in lines:
            if not curve.dim:
                self._stroke(frame, smooth or raw, Look(curve.color))
        self._crosshair(frame)
        for curve, raw, smooth in lines:
            if curve.sign:
                self._sign(frame, curve, smooth or raw)
        for marker in ("dots", "star"):
            for curve, raw, _ in layers:
                if curve.marker == marker:
                    self._points(frame, curve, raw)

    def _stroke(self, frame: Frame, reduction: Reduction, look: Look) -> None:
        assert self.y is not None
        drawn = raster.stroke(reduction, self.y)
        table = raster.ASCII if theme.glyphs().ascii else raster.BRAILLE
        rows = slice(self.top, self.top + self.rows)
        glyphs, looks = frame.glyphs[rows, self.left :], frame.looks[rows, self.left :]
        inked = drawn.codes != 0
        glyphs[inked] = table[drawn.codes[inked]]
        looks[inked] = frame.styles.number(look)
        self._leaving(frame, drawn.above, drawn.below, look)

    def _leaving(self, frame: Frame, above: NDArray[np.bool_], below: NDArray[np.bool_], look: Look) -> None:
        """Say where values lie outside the frame."""
        signs = theme.glyphs()
        for cells, row, sign in ((above, 0, signs.up), (below, self.rows - 1, signs.down)):
            for cell in np.flatnonzero(cells).tolist():
                frame.write(self.top + row, self.left + cell, sign, look)

    def _cell(self, position: float, value: float) -> tuple[int, int]:
        """Row and column of the cell of a point: pixels across, the unit drawn upwards."""
        assert self.y is not None
        dot = float(self.y.dot(np.array([value]))[0])
        return math.floor(dot / 4), math.floor((position + 0.5) / 2)

    def _points(self, frame: Frame, curve: Curve, reduction: Reduction) -> None:
        assert self.y is not None and self.x is not None
        signs = theme.glyphs()
        sign = curve.sign or (signs.star if curve.marker == "star" else signs.dot)
        look = Look(curve.color, dim=curve.dim, bold=curve.marker == "star")
        shown = reduction.visible
        places = zip(reduction.leave[shown], reduction.last[shown], strict=True)
        above, below = np.zeros(self.x.width, np.bool_), np.zeros(self.x.width, np.bool_)
        for position, value in places:
            row, cell = self._cell(position, value)
            cell = min(max(cell, 0), self.x.width - 1)
            if row < 0:
                above[cell] = True
            elif row >= self.rows:
                below[cell] = True
            else:
                frame.write(self.top + row, self.left + cell, sign, look)
        self._leaving(frame, above, below, look)

    def _sign(self, frame: Frame, curve: Curve, reduction: Reduction) -> None:
        """The second sign of a series, at its newest visible value."""
        shown = np.flatnonzero(reduction.visible)
        if not shown.size or curve.sign is None:
            return
        row, cell = self._cell(float(reduction.leave[shown[-1]]), float(reduction.last[shown[-1]]))
        if 0 <= row < self.rows:
            frame.write(
                self.top + row,
                self.left + cell,
                curve.sign,
                Look(curve.color, dim=curve.dim, bold=not curve.dim),
            )

    def _band(self, frame: Frame) -> None:
        band = self.request.band
        assert self.x is not None and self.y is not None
        if band is None or len(band.x) < 1:
            return
        cells = np.arange(2 * self.x.width)
        window = Window(self.x.low, self.x.high, 2 * self.x.width)
        position = window.position(np.asarray(band.x, np.float64))
        inside = (cells >= position[0] - 0.5) & (cells <= position[-1] + 0.5)
        ends = [np.asarray(end, np.float64) for end in (band.low, band.high)]
        if self.request.log_y:
            ends = [np.log10(np.maximum(end, 1e-300)) for end in ends]
        low, high = (np.interp(cells, position, end) for end in ends)
        bits = np.zeros((4 * self.rows, cells.size), np.bool_)
        dots = np.arange(4 * self.rows)[:, None]
        bits |= inside & (dots >= self.y.dot(high)) & (dots <= self.y.dot(low))
        look = frame.styles.number(Look(band.color))
        region = (slice(self.top, self.top + self.rows), slice(self.left, None))
        if theme.glyphs().ascii:
            inked = raster.pack(bits) != 0
            frame.glyphs[region][inked] = ord(theme.glyphs().shade)
        else:
            bits &= (dots + cells) % 2 == 0  # every other dot: a shade that keeps the precision of dots
            codes = raster.pack(bits)
            inked = codes != 0
            frame.glyphs[region][inked] = raster.BRAILLE[codes[inked]]
        frame.looks[region][inked] = look

    def _marks(self, frame: Frame) -> None:
        assert self.x is not None
        signs = theme.glyphs()
        kinds = {
            "resume": (signs.resume, "muted"),
            "note": (signs.note, "note"),
            "warn": (signs.warn, "warn"),
        }
        taken = -1
        for mark in sorted(self.request.marks):
            if not self.x.low <= mark.x <= self.x.high:
                continue
            cell = self.left + min(math.floor(self.x.cell(mark.x)), self.x.width - 1)
            sign, role = kinds[mark.kind]
            for row in range(self.rows):
                frame.write(self.top + row, cell, signs.vertical, Look("faint"))
            frame.write(self.top, cell, sign, Look(role))
            if mark.label and cell > taken:
                taken = frame.write(
                    self.top, cell + 1, f" {mark.label}", Look("muted"), min(frame.width, cell + 18)
                )

    def _crosshair(self, frame: Frame) -> None:
        at = self.request.crosshair
        assert self.x is not None
        if at is None or not self.x.low <= at <= self.x.high:
            return
        column = self.left + min(math.floor(self.x.cell(at)), self.x.width - 1)
        rule = theme.glyphs().rule
        for y in range(self.top, self.top + self.rows):
            if frame.glyphs[y, column] == raster.BLANK:
                frame.write(y, column, rule, Look("cursor"))


def _ends(curve: Curve, state: Curve2Pixels | None) -> tuple[float, float]:
    """Least and greatest finite x; of a column known to grow, its ends."""
    x = curve.x
    if (
        state is not None
        and not state.breaks
        and len(state.x)
        and math.isfinite(x[0])
        and math.isfinite(x[-1])
    ):
        return float(x[0]), float(x[-1])
    finite = x[np.isfinite(x)]
    return (float(finite.min()), float(finite.max())) if finite.size else (math.nan, math.nan)
