"""The picture of a chart: curves, axes and title as a frame of cells. Knows no widget."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

import numpy as np

from nexus_tui.tui import format as fmt
from nexus_tui.tui import theme
from nexus_tui.tui.chart.axis import XAxis, XKind, YAxis, least_span, steady_x, x_axis, y_axis
from nexus_tui.tui.chart.curves import Band, Curve, Format, Legend, Mark, Reading
from nexus_tui.tui.chart.frame import Frame, Styles
from nexus_tui.tui.chart.legend import place_format, reading_entries, write_title
from nexus_tui.tui.chart.paint import Layer, Painter
from nexus_tui.tui.chart.series import CurveReader, Window
from nexus_tui.tui.chart.yrange import y_range

_GUTTER = 4
"""Cells of the y labels, at least; more only when labels need it, and then until size or x change."""

_NARROWEST = 4
"""Cells that curves need, at least, for a chart to be drawn."""


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
    x_format: Format | None = None
    crosshair: float | None = None
    pointed: tuple[str, Legend] | None = None
    """What the title says at the crosshair, and of which place, where points share one; else readings."""
    placed: bool = True
    """Whether the title says where the crosshair stands."""
    labelled: bool = True
    """Whether marks have their labels beside them."""
    sentence: str = ""
    """Why nothing is drawn, in the place of the curves."""


@dataclass
class Plot:
    """Draws requests; remembers reductions and axes, so that little is read again and little moves."""

    request: Request = field(default_factory=Request)
    x: XAxis | None = None
    y: YAxis | None = None
    left: int = 0
    empty: bool = True
    _readers: dict[str, CurveReader] = field(default_factory=dict)
    _gutter: int = _GUTTER
    _size: tuple[int, int] = (0, 0)
    _kind: XKind = "step"
    _auto_x: tuple[float, float] | None = None
    _axes: tuple[Hashable, Frame] | None = None

    top = 1
    """The first row belongs to the title."""

    def draw(self, width: int, height: int, styles: Styles) -> Frame:
        """The frame of the present request, `width` × `height` cells."""
        request = self.request
        if (width, height) != self._size:
            self._size, self._gutter = (width, height), _GUTTER
        below = 2 if height >= 7 else 1 if height >= 4 else 0
        rows = height - self.top - below
        if rows >= 1 and width > _GUTTER + _NARROWEST:
            frame = self._picture(width, height, rows, below, styles)
        else:
            frame = Frame(width, height, styles)
        write_title(frame, request, self._entries(), at_crosshair=request.crosshair is not None)
        return frame

    def _picture(self, width: int, height: int, rows: int, below: int, styles: Styles) -> Frame:
        request = self.request
        layers, x, y = self._scale(width, rows)
        # Axes seldom move: they are kept and copied.
        scale = (x, None if self.empty else y, self.left, width, height)
        key = (*scale, request.sentence, id(styles), theme.glyphs().ascii)
        if self._axes is None or self._axes[0] != key:
            ground = Frame(width, height, styles)
            painter = Painter(ground, x, y, self.left, self.top)
            painter.axes(below, values=not self.empty)
            if self.empty:
                painter.say(request.sentence or "no values yet")
            self._axes = (key, ground)
        frame = self._axes[1].copy()
        painter = Painter(frame, x, y, self.left, self.top)
        if request.band is not None:
            painter.band(request.band, request.log_y)
        if not self.empty:
            painter.marks(request.marks, labelled=request.labelled)
        painter.curves(layers)
        if request.crosshair is not None and x.low <= request.crosshair <= x.high:
            painter.crosshair(request.crosshair)
        painter.points(layers)
        painter.bad(layers, below)
        return frame

    def knows(self, curves: Sequence[Curve]) -> bool:
        """Whether every point of these curves has been read."""
        readers = (self._readers.get(curve.name) for curve in curves)
        return all(
            reader is not None and reader.holds(curve.x, curve.y, curve.version)
            for curve, reader in zip(curves, readers, strict=True)
        )

    # -- scales -------------------------------------------------------------------------------------------

    def _scale(self, width: int, rows: int) -> tuple[list[Layer], XAxis, YAxis]:
        """Read what is new and set both axes; where labels need room, curves are read again into less."""
        request = self.request
        low, high = self._x_range()
        stays = self.x is not None and (self.x.low, self.x.high) == (low, high)
        previous = self.y if stays else None
        self._gutter = self._gutter if stays else _GUTTER  # another part of x is as if drawn first
        while True:
            self.left = self._gutter + 1
            cells = width - self.left
            window = Window(low, high, 2 * cells, request.log_y)
            layers = self._read(window)
            bounds = y_range(layers, request.band, window)
            self.empty = math.isnan(bounds[0])
            self.y = y_axis(*bounds, rows, log=request.log_y, previous=previous)
            widest = min(max((len(label) for _, label in self.y.ticks), default=0), width - 1 - _NARROWEST)
            if widest <= self._gutter:
                break
            self._gutter = widest
        known = self.x is not None and (self.x.low, self.x.high, self.x.width) == (low, high, cells)
        if self.x is None or not known or self._kind != request.x_kind:
            self.x, self._kind = x_axis(low, high, cells, request.x_kind), request.x_kind
        return layers, self.x, self.y

    def _x_range(self) -> tuple[float, float]:
        wanted = self.request.x_range
        if wanted and all(map(math.isfinite, wanted)) and wanted[1] > wanted[0]:
            self._auto_x = None
            return float(wanted[0]), float(wanted[1])
        ends = [_ends(curve, self._readers.get(curve.name)) for curve in self.request.curves if len(curve.x)]
        band = self.request.band
        if band is not None and len(band.x):
            ends.append((float(band.x[0]), float(band.x[-1])))
        ends = [end for end in ends if math.isfinite(end[0])]
        low = min((end[0] for end in ends), default=math.nan)
        high = max((end[1] for end in ends), default=math.nan)
        self._auto_x = steady_x(low, high, self._auto_x, least_span(self.request.x_kind, low))
        return self._auto_x

    def _read(self, window: Window) -> list[Layer]:
        """Bring every curve's reductions up to date."""
        curves, readers = self.request.curves, self._readers
        for gone in readers.keys() - {curve.name for curve in curves}:
            del readers[gone]
        layers = []
        for curve in curves:
            reader = readers.get(curve.name)
            if reader is None:
                reader = readers[curve.name] = CurveReader()
            beta = self.request.smoothing if curve.smooth and curve.marker == "line" else 0.0
            reader.update(curve.x, curve.y, window, beta, curve.version)
            if reader.raw is not None:
                layers.append(Layer(curve, reader.raw, reader.smooth))
        return sorted(layers, key=lambda layer: layer.curve.front)

    # -- title --------------------------------------------------------------------------------------------

    def readings(self) -> list[Reading]:
        """What every curve says at the crosshair."""
        at = self.request.crosshair
        found = []
        for curve in self.request.curves:
            reader = self._readers.get(curve.name)
            index = reader.nearest(at) if reader and at is not None else None
            if reader is None or index is None:
                continue
            smooth = float(reader.smoothed[index]) if len(reader.smoothed) else None
            found.append(Reading(curve.name, float(curve.x[index]), float(curve.y[index]), smooth))
        return found

    def _entries(self) -> list[Legend]:
        """What the title tells of each curve."""
        request = self.request
        if request.crosshair is not None and request.pointed is not None:
            return [request.pointed[1]]
        if request.crosshair is not None:
            places = request.x_format or place_format(request.x_kind)
            quiet = {curve.name for curve in request.curves if curve.quiet}
            told = [reading for reading in self.readings() if reading.name not in quiet]
            return reading_entries(request.curves, told, request.format, places)
        if request.legend is not None:
            return list(request.legend)
        return [self._entry(curve) for curve in request.curves if not curve.dim and len(curve.y)]

    def _entry(self, curve: Curve) -> Legend:
        reader = self._readers.get(curve.name)
        newest = reader.smoothed[-1] if reader is not None and len(reader.smoothed) else curve.y[-1]
        label = curve.name if curve.label is None else curve.label
        return Legend(curve.sign or curve.marker, curve.color, self.request.format(float(newest)), label)


def _ends(curve: Curve, reader: CurveReader | None) -> tuple[float, float]:
    """Least and greatest finite x (nan if there is none); of a column known to grow, its ends."""
    x = curve.x
    growing = reader is not None and len(reader.x) and not reader.breaks
    if growing and math.isfinite(x[0]) and math.isfinite(x[-1]) and x[-1] >= x[0]:
        return float(x[0]), float(x[-1])
    finite = x[np.isfinite(x)]
    return (float(finite.min()), float(finite.max())) if finite.size else (math.nan, math.nan)
