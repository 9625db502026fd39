"""A board of charts with one crosshair and one window over all of them.

What is drawn comes from `Curves`: one run (`RunCurves`) or several. How it is drawn (smoothing, axes, which
chart is large) is in the app's `View`, so that every board looks the same and is as it was left.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from textual import events, on
from textual.app import ComposeResult
from textual.geometry import NULL_OFFSET, NULL_SPACING, Region, Size
from textual.layout import ArrangeResult, Layout, WidgetPlacement
from textual.message import Message
from textual.widget import Widget

from nexus_tui.tui.board_line import said_at, settings_line
from nexus_tui.tui.chart import SMOOTHING_LEVELS, Chart, Curve, Reading
from nexus_tui.tui.chart.axis import least_span, steady_x
from nexus_tui.tui.chart.plot import Plot
from nexus_tui.tui.curves import Curves, Shower
from nexus_tui.tui.lines import Line, Lines, spread, width_of
from nexus_tui.tui.metric_chart import MetricChart, MetricPlot, Settings
from nexus_tui.tui.metrics import Array, Metric
from nexus_tui.tui.panes import panes
from nexus_tui.tui.sight import Field, Sight
from nexus_tui.tui.view import Axis, View

LINE_FROM = 24
"""Rows that a board needs before one of them says where the crosshair stands; else its screen may."""
WHEEL = 0.5
"""How far a notch of the wheel zooms, in steps of the keys, each of which halves the window."""


class _Panes(Layout):
    """The line above, and the charts where `panes` says; a chart that there is no room for is not placed."""

    name = "panes"

    def arrange(
        self,
        parent: Widget,
        children: list[Widget],
        size: Size,
        greedy: bool = True,  # noqa: ARG002
    ) -> ArrangeResult:
        assert isinstance(parent, Board)
        line, *charts = children
        regions = parent.regions(size)
        places = list(zip(charts, regions, strict=False))
        if parent.has_line(size):
            places.append((line, Region(0, 0, size.width, 1)))
        return [WidgetPlacement(region, NULL_OFFSET, NULL_SPACING, widget) for widget, region in places]


class Board(Widget, can_focus=False):
    """Charts of what it is shown, as many as there is room for.

    Keys reach it by way of its screen: see `BoardScreen`.

    Args:
        view: how things are drawn; the board changes it.
    """

    DEFAULT_CSS: ClassVar[str] = "Board { width: 1fr; height: 1fr; }"

    class Moved(Message):
        """The crosshair stands elsewhere or is gone, or another part of the axis is shown."""

    def __init__(self, view: View, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._view = view
        self._panes = _Panes()
        self._charts: list[MetricChart] = []
        self._plots: dict[str, Plot] = {}
        self._curves: Curves | None = None
        self._page = 0
        self._regions: list[Region] = []
        self._places: tuple[object, Array] = (None, np.empty(0))
        self._sight = Sight()
        self._all: tuple[float, float] | None = None
        self.full = False
        """Whether the large chart is alone."""

    @property
    def layout(self) -> Layout:
        """Where the charts go."""
        return self._panes

    def compose(self) -> ComposeResult:
        """The line above the charts, and the large chart; others come as there is room."""
        yield Lines(id="where")
        self._charts = [MetricChart()]
        yield self._charts[0]

    # -- what is shown ------------------------------------------------------------------------------------

    def show(self, curves: Curves | None) -> None:
        """Show these from now on; repaints what differs."""
        old, self._curves = self._curves, curves
        if old is not None and curves is not None and old.axis != curves.axis:
            self._sight.carry_over(lambda x: _moved(x, old, curves))
            self._all = None
        self.redraw()

    def forget(self) -> None:
        """What is shown next is another thing: no crosshair, all of it, the first page."""
        self._sight.live()
        self._page = 0
        self._plots = {}
        self._all = None

    @property
    def axis(self) -> Axis:
        """What is counted along the charts."""
        return self._curves.axis if self._curves else "step"

    @property
    def axes(self) -> Sequence[Axis]:
        """What could be counted."""
        return self._curves.axes if self._curves else ("step",)

    @property
    def large(self) -> Metric | None:
        """The metric in the large chart."""
        shown = self._order()
        return shown[0] if shown else None

    @property
    def shown(self) -> list[Metric]:
        """The metrics that are drawn now, the large one first."""
        order, room = self._order(), len(self._regions) or 1
        if room == 1 or len(order) < 2:
            return order[:1]
        small, each = order[1:], room - 1
        start = max(0, min(self._page * each, len(small) - each))
        return [order[0], *small[start : start + each]]

    @property
    def charts(self) -> list[MetricChart]:
        """The charts that are seen, the large one first."""
        return self._charts[: len(self._regions)]

    def readings(self) -> list[tuple[Metric, list[Reading]]]:
        """What every curve that is seen says at the crosshair, chart by chart."""
        return [(metric, chart.readings()) for metric, chart in zip(self.shown, self.charts, strict=False)]

    def _order(self) -> list[Metric]:
        """All metrics, the large one first."""
        metrics = list(self._curves.metrics) if self._curves else []
        large = next((metric for metric in metrics if metric.id == self._view.large), None)
        return [large, *(metric for metric in metrics if metric is not large)] if large else metrics

    # -- where it goes ------------------------------------------------------------------------------------

    def has_line(self, size: Size) -> bool:
        """Whether there is a line above the charts."""
        return size.height >= LINE_FROM

    def regions(self, size: Size) -> list[Region]:
        """Where the charts go in so many cells."""
        top = 1 if self.has_line(size) else 0
        alone = self.full or "lower" in self._view.closed
        count = 1 if alone or self._curves is None else len(self._curves.metrics)
        return [region.translate((0, top)) for region in panes(size.width, size.height - top, count)]

    def on_resize(self, _event: events.Resize) -> None:
        """Another size has room for other charts."""
        self.redraw()

    def redraw(self) -> None:
        """Draw everything that is seen; repaints what differs."""
        curves = self._curves
        if curves is None or not self.size or not self._charts:
            return
        if curves.stale and isinstance(self.screen, Shower):
            self.screen.show_curves()
            return
        regions = self.regions(self.size)
        if regions != self._regions:
            self._regions = regions
            missing = [MetricChart() for _ in range(len(regions) - len(self._charts))]
            self._charts += missing
            self.mount_all(missing)
            self._charts[0].refresh(layout=True)  # a child's wish has its parent arrange anew
        self._sight.follow(curves.end)
        shown = self.shown
        self._plots = {metric.id: self._plots.get(metric.id) or MetricPlot() for metric in shown}
        drawn = [[] if curves.refused(metric) else curves.of(metric) for metric in shown]
        window = self.window or curves.x_range() or self._all_of(drawn)
        for place, (metric, chart) in enumerate(zip(shown, self.charts, strict=True)):
            settings = Settings(
                self._view.smoothing,
                metric.id in self._view.log,
                window,
                self.at,
                placed=not self.has_line(self.size),
                labelled=not place,
            )
            chart.draw(curves, metric, settings, drawn=drawn[place], plot=self._plots[metric.id])
        if self.has_line(self.size):
            self.query_one("#where", Lines).show([self.told(self.size.width)])

    def _all_of(self, drawn: list[list[Curve]]) -> tuple[float, float]:
        """One range of the axis for all charts, where no end is planned; it grows by leaps."""
        columns = {id(curve.x): curve.x for curves in drawn for curve in curves if len(curve.x)}
        ends = [(np.nanmin(x), np.nanmax(x)) for x in columns.values() if np.isfinite(x).any()]
        low = min((float(end[0]) for end in ends), default=math.nan)
        high = max((float(end[1]) for end in ends), default=math.nan)
        kind = self._curves.x_kind if self._curves else "step"
        self._all = steady_x(low, high, self._all, least_span(kind, low))
        return self._all

    def told(self, width: int) -> Line:
        """Where the crosshair stands, and how the charts are drawn; what the line above them says."""
        curves = self._curves
        if curves is None:
            return ()
        each, small = len(self._regions) - 1, len(curves.metrics) - 1
        first = max(0, min(self._page * each, small - each))
        page = (first + 2, first + each + 1, small + 1) if 0 < each < small else None
        right = settings_line(self.smoothing or 0.0, self.window, curves.x_kind, page)
        marks = [mark for mark in curves.marks() if mark.text and self._is_at(mark.x)]
        room = width - width_of(right) - 3
        left = said_at(curves.where(self.at), marks, room) if self.at is not None else ()
        return spread(left, right, width)

    def _is_at(self, x: float) -> bool:
        """Whether a place is in the cell in which the crosshair stands."""
        chart = self._charts[0]
        return self.at is not None and chart.column(x) == chart.column(self.at)

    # -- where one looks ----------------------------------------------------------------------------------

    @property
    def at(self) -> float | None:
        """Where the crosshair stands; None without one."""
        return self._sight.at

    @property
    def window(self) -> tuple[float, float] | None:
        """The part of the axis that is shown; None: all of it."""
        return self._sight.window

    @property
    def note_step(self) -> int | None:
        """The step at the crosshair; None without one."""
        return self._curves.step_at(self.at) if self._curves and self.at is not None else None

    def read(self, cells: int) -> None:
        """Move the crosshair by so many cells, from point to point; it begins at the newest one."""
        if field := self._field():
            self._sight.read(cells, field)
            self._looked()

    def point(self, x: float | None) -> None:
        """Put the crosshair at a place; None takes it away."""
        self._sight.point(x)
        self._looked()

    def snap(self, x: float) -> None:
        """Put the crosshair at the point nearest to a place."""
        if field := self._field():
            self._sight.snap(x, field)
            self._looked()

    def live(self) -> None:
        """No crosshair, and all of it."""
        self._sight.live()
        self._looked()

    def zoom(self, steps: float, around: float | None = None) -> None:
        """Show half as much for each step (twice as much if negative), around a place or the crosshair."""
        if field := self._field():
            self._sight.zoom(steps, field, around)
            self._looked()

    def pan(self, share: float) -> None:
        """Move the window by a share of its width."""
        if (field := self._field()) and self.window:
            self._sight.pan(share * (self.window[1] - self.window[0]), field)
            self._looked()

    def _looked(self) -> None:
        self.redraw()
        self.post_message(self.Moved())

    def _field(self) -> Field | None:
        """What there is to look at; None before anything was drawn."""
        chart, curves = self._charts[0], self._curves
        view, places = chart.x_view, self._points()
        if view is None or curves is None or not len(places):
            return None
        whole = curves.x_range() or (float(places[0]), float(places[-1]))
        return Field(places, view, whole, curves.end, chart.x_step())

    def _points(self) -> Array:
        """Every place of any curve that is seen, [n], rising."""
        key = (self._curves, [metric.id for metric in self.shown])
        if self._places[0] != key:
            columns = {
                id(curve.x): curve.x
                for chart in self.charts
                for curve in chart.drawn
                if not curve.dim and curve.marker != "star"
            }
            together = np.concatenate([np.empty(0), *columns.values()])
            self._places = (key, np.unique(together[np.isfinite(together)]))
        return self._places[1]

    # -- how it is drawn ----------------------------------------------------------------------------------

    @property
    def smoothing(self) -> float | None:
        """The coefficient of the first noisy curve that is seen; None if there is none."""
        return next((chart.smoothing for chart in self.charts if chart.noisy), None)

    def smooth(self, direction: int) -> None:
        """More, less, or as usual (0); nothing changes where no noisy curve is seen."""
        levels, now = SMOOTHING_LEVELS, self.smoothing
        if now is None:
            return
        nearest = min(range(len(levels)), key=lambda index: abs(levels[index] - now))
        place = min(max(nearest + direction, 0), len(levels) - 1)
        self._view.smoothing = levels[place] if direction else None
        self.redraw()

    def turn_log(self) -> bool:
        """Logarithmic or linear values in the large chart; tells which."""
        large, log = self.large, self._view.log
        if large is None:
            return False
        self._view.log = [one for one in log if one != large.id] if large.id in log else [*log, large.id]
        self.redraw()
        return large.id in self._view.log

    def choose(self, direction: int) -> None:
        """Put the next metric into the large chart, or the one before."""
        if self._curves is None or self.large is None:
            return
        ids = [metric.id for metric in self._curves.metrics]
        self._view.large = ids[(ids.index(self.large.id) + direction) % len(ids)]
        self.redraw()

    def turn_page(self, direction: int) -> bool:
        """Other small charts, where there are more than fit; after the last page comes the first.

        Returns whether there are any.
        """
        each, small = len(self._regions) - 1, len(self._order()) - 1
        if not 0 < each < small:
            return False
        self._page = (self._page + direction) % -(-small // each)
        self.redraw()
        return True

    def turn_full(self) -> None:
        """The large chart alone, or everything."""
        self.full = not self.full
        self.redraw()

    def turn_lower(self) -> None:
        """Show or hide the small charts."""
        closed = self._view.closed
        hidden = "lower" in closed
        self._view.closed = [one for one in closed if one != "lower"] if hidden else [*closed, "lower"]
        self.redraw()

    # -- mouse --------------------------------------------------------------------------------------------

    @on(Chart.Pointed)
    def _pointed(self, event: Chart.Pointed) -> None:
        event.stop()
        self.snap(event.x)

    @on(Chart.Dragged)
    def _dragged(self, event: Chart.Dragged) -> None:
        """A window is drawn along; where all of it is shown, the crosshair is."""
        event.stop()
        field = self._field()
        if self.window is None or field is None:
            self.snap(event.x)
        else:
            self._sight.pan(-event.cells * field.cell, field)
            self._looked()

    @on(Chart.Zoomed)
    def _zoomed(self, event: Chart.Zoomed) -> None:
        event.stop()
        self.zoom(WHEEL * event.steps, event.x)


def _moved(x: float, old: Curves, new: Curves) -> float | None:
    """Where a place stands on another axis; None if that is not on record."""
    step = old.step_at(x)
    place = new.place_of(step) if step is not None else math.nan
    return place if math.isfinite(place) else None
