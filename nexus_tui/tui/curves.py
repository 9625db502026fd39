"""What a board of charts is shown: one run's curves, or those of several."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from nexus_tui.tui.chart import Band, Curve, Legend, Mark
from nexus_tui.tui.chart.axis import XKind
from nexus_tui.tui.metrics import Metric
from nexus_tui.tui.view import Axis


class Curves(Protocol):
    """What a board draws, at one revision of its record. Made anew when the record has changed."""

    @property
    def stale(self) -> bool:
        """Whether the record has changed since: places and values would no longer fit each other."""

    @property
    def axis(self) -> Axis:
        """What is counted along the charts."""

    @property
    def axes(self) -> Sequence[Axis]:
        """What could be counted."""

    @property
    def x_kind(self) -> XKind:
        """How places are written."""

    @property
    def metrics(self) -> Sequence[Metric]:
        """What there is to draw, in the usual order; at least one."""

    @property
    def end(self) -> float | None:
        """The newest place; None before there is any."""

    def x_range(self) -> tuple[float, float] | None:
        """Both ends of the axis; None: it follows the data."""

    def of(self, metric: Metric) -> list[Curve]:
        """The curves of a metric, the topmost last."""

    def band(self, metric: Metric) -> Band | None:
        """A forecast."""

    def legend(self, metric: Metric) -> list[Legend] | None:
        """What the title says while there is no crosshair; None: every curve with its last value."""

    def unit(self, metric: Metric) -> str:
        """The metric's unit, here."""

    def refused(self, metric: Metric) -> str:
        """Why a metric cannot be drawn, in one sentence; empty if it can."""

    def marks(self) -> list[Mark]:
        """Places worth knowing."""

    def where(self, x: float) -> list[str]:
        """What is counted at a place, in words, most important first."""

    def step_at(self, x: float) -> int | None:
        """The step at a place, to find it again on another axis; None if that means nothing."""

    def place_of(self, step: int) -> float:
        """The place of a step; NaN if it has none."""


@runtime_checkable
class Shower(Protocol):
    """A screen that can show a board its curves anew."""

    def show_curves(self) -> None:
        """Give the board the curves as they are on record now."""
