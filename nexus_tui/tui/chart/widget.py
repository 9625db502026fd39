"""The chart as a Textual widget: repaints the cells that changed and nothing else."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from typing import Any, ClassVar

import numpy as np
from rich.style import Style
from textual import events
from textual.geometry import Region
from textual.message import Message
from textual.reactive import reactive
from textual.strip import Strip
from textual.widget import Widget

from nexus_tui.tui import format as fmt
from nexus_tui.tui import theme
from nexus_tui.tui.chart.axis import XKind
from nexus_tui.tui.chart.curves import Band, Curve, Format, Legend, Mark, Reading
from nexus_tui.tui.chart.frame import Frame, Styles
from nexus_tui.tui.chart.plot import Plot

SMOOTHING_LEVELS = (0.0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995)
"""What `+` and `-` step through."""


class Chart(Widget):
    """A live chart of curves over steps, tokens or time.

    Give it whole columns with `show` on each refresh; it reads what is new in them and repaints the cells
    that differ.

    Args:
        title: what is drawn; unit: of its values, in words.
        format: how values are written in the title.
        smoothing: EMA coefficient in [0, 1).
        log_y: logarithmic y axis.
        x_kind: how places are written.
        x_format: how a place is written in the title (default: as a count).
    """

    DEFAULT_CSS: ClassVar[str] = """
    Chart { width: 1fr; height: 1fr; min-width: 18; min-height: 4; }
    """

    smoothing: reactive[float] = reactive(0.0, repaint=False)
    """EMA coefficient in [0, 1); raw values stay behind, dimmed."""
    log_y: reactive[bool] = reactive(False, repaint=False)
    """Logarithmic y axis; values ≤ 0 become gaps."""
    x_kind: reactive[XKind] = reactive("step", repaint=False)
    """How places are written."""
    crosshair: reactive[float | None] = reactive(None, repaint=False)
    """Place read in the title, None for the legend."""

    class Pointed(Message):
        """The mouse chose a place on the chart."""

        def __init__(self, chart: Chart, x: float) -> None:
            super().__init__()
            self.chart, self.x = chart, x

        @property
        def control(self) -> Chart:
            """The chart."""
            return self.chart

    class Dragged(Message):
        """The mouse drew the chart along by so many `cells`, and stands at a place now."""

        def __init__(self, chart: Chart, x: float, cells: int) -> None:
            super().__init__()
            self.chart, self.x, self.cells = chart, x, cells

        @property
        def control(self) -> Chart:
            """The chart."""
            return self.chart

    class Zoomed(Message):
        """The wheel asks to zoom around a place: `steps` > 0 in, < 0 out."""

        def __init__(self, chart: Chart, x: float, steps: int) -> None:
            super().__init__()
            self.chart, self.x, self.steps = chart, x, steps

        @property
        def control(self) -> Chart:
            """The chart."""
            return self.chart

    def __init__(
        self,
        title: str = "",
        unit: str = "",
        *,
        format: Format = fmt.value,
        smoothing: float = 0.0,
        log_y: bool = False,
        x_kind: XKind = "step",
        x_format: Format | None = None,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        super().__init__(id=id, classes=classes)
        self._plot = Plot()
        self._frame: Frame | None = None
        self._strips: dict[int, Strip] = {}
        self._stale = True
        self._shown: Hashable = None
        self._dragged = False
        request = self._plot.request
        request.title, request.unit, request.format, request.x_format = title, unit, format, x_format
        self.set_reactive(Chart.smoothing, smoothing)
        self.set_reactive(Chart.log_y, log_y)
        self.set_reactive(Chart.x_kind, x_kind)

    def show(
        self,
        curves: Sequence[Curve],
        *,
        x_range: tuple[float, float] | None = None,
        marks: Sequence[Mark] = (),
        band: Band | None = None,
        legend: Sequence[Legend | tuple[str, str, str]] | None = None,
        title: str | None = None,
        unit: str | None = None,
        sentence: str = "",
        placed: bool = True,
        labelled: bool = True,
    ) -> None:
        """Show these curves from now on; repaints what differs, nothing if nothing does.

        Args:
            curves: from the lowest to the topmost; the name says which is which from call to call.
            x_range: places at both ends (planned steps, or a zoom); None follows the data by leaps.
            marks: places worth a vertical line.
            band: forecast.
            legend: entries of the title line; None: every curve with its last value.
            title: another title than before; unit: another unit.
            sentence: why nothing is drawn, in the place of the curves.
            placed: say in the title where the crosshair stands.
            labelled: write the labels of marks beside them.
        """
        request = self._plot.request
        request.curves, request.x_range, request.marks, request.band = curves, x_range, marks, band
        request.sentence, request.placed, request.labelled = sentence, placed, labelled
        request.title = request.title if title is None else title
        request.unit = request.unit if unit is None else unit
        request.legend = None if legend is None else [Legend(*entry) for entry in legend]
        asked = (
            (x_range, tuple(marks), request.title, request.unit, legend and tuple(request.legend or ())),
            (sentence, placed, labelled, self.smoothing, self.log_y, self.x_kind, self.crosshair),
        )
        shown = (*asked, _print(band), tuple(_print_curve(curve) for curve in curves))
        if self._stale or shown != self._shown or not self._plot.knows(curves):
            self._shown = shown
            self._redraw()

    def point(self, x: float | None, called: str = "", entry: Legend | None = None) -> None:
        """Put the crosshair at `x`; the title tells `entry` of the point called so, not of others there."""
        pointed = (called, entry) if entry is not None else None
        news = pointed != self._plot.request.pointed
        self._plot.request.pointed = pointed
        if x == self.crosshair and news:
            self._redraw()
        self.crosshair = x

    def readings(self) -> list[Reading]:
        """What every curve says at the crosshair; empty without one."""
        return self._plot.readings()

    @property
    def plot(self) -> Plot:
        """What draws the frames, and remembers what it has read; another one may be put in its place."""
        return self._plot

    @plot.setter
    def plot(self, plot: Plot) -> None:
        if plot is not self._plot:
            self._plot, self._shown = plot, None

    @property
    def x_view(self) -> tuple[float, float] | None:
        """Range of x on screen; None before the first drawing."""
        axis = self._plot.x
        return (axis.low, axis.high) if axis else None

    def x_at(self, cell: int) -> float | None:
        """Place under a column of the widget; None outside the frame."""
        axis = self._plot.x
        inside = axis is not None and self._plot.left <= cell < self._plot.left + axis.width
        return axis.place(cell - self._plot.left) if axis is not None and inside else None

    def column(self, x: float) -> int | None:
        """Column of the widget in which a place lies; None before the first drawing."""
        axis = self._plot.x
        return self._plot.left + math.floor(axis.cell(x)) if axis else None

    def x_step(self) -> float:
        """How far one cell is: a step of the crosshair."""
        axis = self._plot.x
        return (axis.high - axis.low) / max(1, axis.width - 1) if axis else 1.0

    def smoother(self, direction: int) -> float:
        """Smooth more (+1), less (-1) or not at all (0); gives the new coefficient."""
        levels = SMOOTHING_LEVELS
        nearest = min(range(len(levels)), key=lambda i: abs(levels[i] - self.smoothing))
        self.smoothing = levels[min(max(nearest + direction, 0), len(levels) - 1)] if direction else 0.0
        return self.smoothing

    # -- drawing ------------------------------------------------------------------------------------------

    def _redraw(self) -> None:
        """Draw now and repaint the difference, if the widget is on screen; else when it comes into view."""
        if not self.is_attached or not self.size or not self.is_on_screen:
            self._stale = True
            self.refresh()
            return
        old = self._frame
        frame = self._draw()
        regions = []
        for y, start, stop in frame.changes(old):
            self._strips.pop(y, None)
            regions.append(Region(start, y, stop - start, 1))
        if regions:
            self.refresh(*regions)

    def _draw(self) -> Frame:
        request = self._plot.request
        request.smoothing, request.log_y = self.smoothing, self.log_y
        request.x_kind, request.crosshair = self.x_kind, self.crosshair
        palette = theme.palette(self.app)
        base = Style(bgcolor=self.background_colors[1].rich_color)
        styles = self._frame.styles if self._frame else None
        if styles is None or styles.palette is not palette or styles.base != base:
            styles = Styles(palette, base)
        width, height = self.size
        frame = self._plot.draw(width, height, styles)
        self._frame, self._stale = frame, False
        return frame

    def render_line(self, y: int) -> Strip:
        """Row `y` of the widget."""
        width, height = self.size
        if self._stale or self._frame is None or (self._frame.width, self._frame.height) != (width, height):
            self._draw()
            self._strips.clear()
        assert self._frame is not None
        if not 0 <= y < self._frame.height:
            return Strip.blank(width)
        strip = self._strips.get(y)
        if strip is None:
            strip = self._strips[y] = self._frame.strip(y)
        return strip

    def _repaint_all(self) -> None:
        self._stale = True
        self._frame = None
        self.refresh()

    def on_mount(self) -> None:
        """Follow changes of the theme."""
        self.app.theme_changed_signal.subscribe(self, lambda _theme: self._repaint_all())

    def on_resize(self, _event: events.Resize) -> None:
        """Draw anew in the new size."""
        self._stale = True

    def watch_smoothing(self) -> None:
        """Redraw."""
        self._redraw()

    def watch_log_y(self) -> None:
        """Redraw."""
        self._redraw()

    def watch_x_kind(self) -> None:
        """Redraw."""
        self._redraw()

    def watch_crosshair(self) -> None:
        """Redraw."""
        self._redraw()

    # -- mouse --------------------------------------------------------------------------------------------

    def on_mouse_down(self, _event: events.MouseDown) -> None:
        """A click, or the beginning of a drag."""
        self._dragged = False

    def on_click(self, event: events.Click) -> None:
        """A click sets the crosshair (by way of the screen, which moves that of every chart)."""
        if not self._dragged:
            self._tell(event, lambda x: self.Pointed(self, x))

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """Dragging draws the chart along; merely passing over costs nothing."""
        if event.button and event.delta_x:
            self._dragged = True
            self._tell(event, lambda x: self.Dragged(self, x, event.delta_x))

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """The wheel zooms in."""
        self._tell(event, lambda x: self.Zoomed(self, x, 1))

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """The wheel zooms out."""
        self._tell(event, lambda x: self.Zoomed(self, x, -1))

    def _tell(self, event: events.MouseEvent, message: Any) -> None:
        at = event.get_content_offset(self)
        x = self.x_at(at.x) if at is not None else None
        if x is not None:
            event.stop()
            self.post_message(message(x))


def _print_curve(curve: Curve) -> Hashable:
    """What decides how a curve looks, besides its points."""
    looks = (
        curve.color,
        curve.marker,
        curve.joined,
        curve.dim,
        curve.smooth,
        curve.sign,
        curve.label,
        curve.front,
    )
    return (curve.name, len(curve.x), *looks)


def _print(band: Band | None) -> Hashable:
    """A forecast as something to compare."""
    if band is None:
        return None
    return (band.color, *(np.asarray(column).tobytes() for column in (band.x, band.low, band.high)))
