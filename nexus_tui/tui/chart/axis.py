"""Axes that stay where they are: round ticks on whole rows, and a range that moves only when it must."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from nexus_tui.tui import format as fmt

XKind = Literal["step", "tokens", "time", "clock"]

_STEPS = (1.0, 2.0, 2.5, 5.0)
_HUGE = 1e300
"""Beyond, differences of values overflow; nearer to zero than its inverse, they lose their digits."""

_KEEP = 0.6
"""A range is kept while the data fill this much of it."""


@dataclass(frozen=True)
class YAxis:
    """Vertical scale: `low` at the lower edge, `high` at the upper, as drawn (log10 on a log axis)."""

    low: float
    high: float
    rows: int
    log: bool
    ticks: tuple[tuple[int, str], ...]
    """Row (0 on top) and label."""

    @property
    def span(self) -> float:
        """Height of the frame, in the unit drawn."""
        return self.high - self.low

    def dot(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Dot row [n] of values [n], 0 on top, four to a cell; beyond the frame it is < 0 or ≥ 4 × rows."""
        return np.floor((self.high - values) * (4 * self.rows / self.span))


@dataclass(frozen=True)
class XAxis:
    """Horizontal scale over `width` cells, two pixel columns each."""

    low: float
    high: float
    width: int
    ticks: tuple[tuple[int, int, str], ...]
    """Cell of the tick, cell where its label begins, label."""

    def cell(self, x: float) -> float:
        """Cell (a fraction) of a place."""
        return ((x - self.low) / (self.high - self.low) * (2 * self.width - 1) + 0.5) / 2

    def place(self, cell: float) -> float:
        """Place under the middle of a cell."""
        return self.low + (2 * cell + 0.5) / (2 * self.width - 1) * (self.high - self.low)


def y_axis(low: float, high: float, rows: int, *, log: bool = False, previous: YAxis | None = None) -> YAxis:
    """Axis that shows `low`…`high` on `rows` rows; `previous` is kept while it fits well.

    Args:
        low: lowest value to show, in the unit drawn (log10 on a log axis); high: highest.
        rows: rows of the frame, at least 1.
        log: values are powers of ten.
        previous: the axis drawn last.
    """
    if not (math.isfinite(low) and math.isfinite(high)):
        low, high = (0.0, 1.0)
    low, high = max(min(low, high), -_HUGE), min(max(low, high), _HUGE)
    if max(abs(low), abs(high)) < 1 / _HUGE:
        low = high = 0.0
    # A range thinner than a thousandth of its values has no readable ticks.
    thin = (0.02 if log else 1e-3 * max(abs(low), abs(high)) or 1.0) - (high - low)
    if thin > 0:
        below = min(thin / 2, low) if low >= 0 else thin / 2  # what is never negative stays so
        low, high = low - below, high + thin - below
    alike = previous is not None and (previous.rows, previous.log) == (rows, log)
    if previous is not None and alike and previous.low <= low and high <= previous.high:
        if high - low >= _KEEP * previous.span:
            return previous
        fresh = _log_axis(low, high, rows) if log else _linear_axis(low, high, rows)
        return fresh if fresh.span < 0.85 * previous.span else previous
    return _log_axis(low, high, rows) if log else _linear_axis(low, high, rows)


def _linear_axis(low: float, high: float, rows: int) -> YAxis:
    """Smallest round scale in which every tick falls on the middle of a row."""
    if low >= 0 and low < 0.08 * (high - low):
        low = 0.0  # nearly zero is shown as zero
    room = 0.03 * (high - low)
    bottom, top = (low if low == 0 else low - room), high + room
    if rows < 2:
        return YAxis(bottom, top, rows, False, ((0, _labels([(bottom + top) / 2], (top - bottom) / 4)[0]),))
    # Rows between ticks: close enough for two labels at least, far enough apart to be calm.
    fewest = 1 if rows < 4 else 2 if rows < 10 else 3 if rows < 24 else 4
    apart = range(fewest, max(1, min(rows // 2, 6)) + 1)
    least = (top - bottom) / rows
    best: tuple[float, int, float] | None = None
    exponent = math.floor(math.log10(least))
    for power in range(exponent - 1, exponent + 3):
        for mantissa in _STEPS:
            step = mantissa * 10.0**power
            for every in apart:
                unit = step / every
                if unit < least * (1 - 1e-9):
                    continue
                rows_used = _row(top, unit) - _row(bottom, unit) + 1
                if rows_used <= rows and (best is None or unit < best[0] * (1 - 1e-9)):
                    best = (unit, every, step)
    assert best is not None, "a step ten times the range always fits"
    unit, every, step = best
    first, last = _row(bottom, unit), _row(top, unit)
    # Spare rows go half below, half above, but never below zero for data that are not.
    first -= (rows - (last - first + 1)) // 2
    if low >= 0:
        first = max(first, 0)
    marked = [row for row in range(first, first + rows) if row % every == 0]
    labels = _labels([row // every * step for row in marked], step)
    ticks = tuple((first + rows - 1 - row, label) for row, label in zip(marked, labels, strict=True))
    return YAxis((first - 0.5) * unit, (first + rows - 0.5) * unit, rows, False, ticks)


def _row(value: float, unit: float) -> int:
    return math.floor(value / unit + 0.5)


def _labels(values: list[float], step: float) -> list[str]:
    """Equally precise texts of tick values `step` apart."""
    largest = max(abs(value) for value in values)
    if largest == 0:
        return ["0" for _ in values]
    decimals = _decimals(step)
    if largest < 1e-3:
        power = math.floor(math.log10(largest) + 1e-9)
        digits = _decimals(step / 10.0**power)
        return [f"{value / 10.0**power:.{digits}f}e{power}" if value else "0" for value in values]
    if largest >= 1e4:
        power = min(5, math.floor(math.log10(largest) + 1e-9) // 3)
        suffix = ("", "k", "M", "G", "T", "P")[power]
        digits = _decimals(step / 1000.0**power)
        return [f"{value / 1000.0**power:,.{digits}f}{suffix}" if value else "0" for value in values]
    return [f"{value:,.{decimals}f}" for value in values]


def _decimals(step: float) -> int:
    """Decimals that write a multiple of `step` exactly."""
    power = math.floor(math.log10(step) + 1e-9)
    mantissa = step / 10.0**power
    return max(0, -power + (1 if abs(mantissa - round(mantissa)) > 1e-6 else 0))


_MULTIPLES = ((1, 2, 3, 4, 5, 6, 7, 8, 9), (1, 2, 3, 5, 7), (1, 2, 5), (1, 3), (1,))


def _log_axis(low: float, high: float, rows: int) -> YAxis:
    room = 0.03 * (high - low)
    low, high = low - room, high + room

    def place(value: float) -> int:
        return int((high - math.log10(value)) / (high - low) * rows)

    apart = 2 if rows >= 6 else 1
    decades = range(math.floor(low), math.ceil(high) + 1)
    wide = [[float(f"{m}e{d}") for d in decades for m in multiples] for multiples in _MULTIPLES]
    sparse = [[float(f"1e{d}") for d in decades if d % every == 0] for every in (2, 3, 5, 10, 25, 50, 100)]
    # Within a decade evenly spaced values read better than 1, 2, 5.
    counts = (rows // 4, rows // 3, rows // 2, rows)
    within = [_round_values(10**low, 10**high, count) for count in counts] if high - low < 1 else []
    for values in [*within, *wide, *sparse]:
        shown = [value for value in values if low <= math.log10(value) <= high]
        at = [place(value) for value in shown]
        if len(at) >= 2 and min(a - b for a, b in pairwise(at)) >= apart:
            even = values in within
            labels = _labels(shown, shown[1] - shown[0]) if even else [_short(value) for value in shown]
            ticks = tuple(zip(at, labels, strict=True))
            return YAxis(low, high, rows, True, ticks)
    # Too few rows for round values: name what the outer rows stand for.
    middle = [10 ** (high - (row + 0.5) * (high - low) / rows) for row in (0, rows - 1)]
    labels = [_short(float(f"{value:.3g}")) for value in middle]
    return YAxis(low, high, rows, True, tuple(dict(zip((0, rows - 1), labels, strict=True)).items()))


def _round_values(low: float, high: float, count: int) -> list[float]:
    """About `count` equally spaced round values from `low` to `high`."""
    least = (high - low) / max(1, count)
    power = 10.0 ** math.floor(math.log10(least))
    step = next(m * power for m in (*_STEPS, 10.0) if m * power >= least)
    return [k * step for k in range(max(1, math.ceil(low / step)), math.floor(high / step) + 1)]


def _short(value: float) -> str:
    """Tick label of a log axis."""
    if value < 1e-3 or value >= 1e15:
        mantissa, power = f"{value:.2e}".split("e")
        return f"{mantissa.rstrip('0').rstrip('.')}e{int(power)}"
    if value >= 1e4:
        text = fmt.short(value)
        number, unit = text[:-1], text[-1]
        return f"{number.rstrip('0').rstrip('.') if '.' in number else number}{unit}"
    return f"{value:,.6g}" if value < 1e3 else f"{value:,.0f}"


_SECONDS = (1, 2, 5, 10, 15, 30)
_MINUTES = tuple(60 * n for n in _SECONDS)
_HOURS = tuple(3600 * n for n in (1, 2, 3, 6, 12))
_DAYS = tuple(86400 * m * 10**p for p in range(6) for m in (1, 2, 5))


def x_axis(low: float, high: float, width: int, kind: XKind = "step") -> XAxis:
    """Axis over `low`…`high` on `width` cells, with as many round labels as read calmly and two at least.

    Args:
        low: place at the left; high: at the right.
        width: cells, at least 2.
        kind: how places are written: counts, tokens, seconds since the start or (local time) since 1970.
    """
    bare = XAxis(low, high, width, ())
    apart = 4 if width < 45 else 7
    previous: XAxis | None = None
    for step in _x_steps(low, high, kind):
        axis = _ticked(bare, step, kind, apart)
        if axis is None:
            continue
        if _even(low, high, step):
            return axis
        # A step that divides the range evenly, if there is one not much coarser, puts a label at both ends.
        for coarser in _x_steps(low, high, kind):
            even = _ticked(bare, coarser, kind, apart) if step < coarser <= 2.6 * step else None
            if even and len(even.ticks) > 2 and _even(low, high, coarser):
                return even
        previous = axis
        break
    if previous and len(previous.ticks) >= 2:
        return previous
    return _ends(bare, kind)


def _even(low: float, high: float, step: float) -> bool:
    parts = (low / step, high / step)
    return all(abs(part - round(part)) < 1e-6 for part in parts)


def _x_steps(low: float, high: float, kind: XKind) -> list[float]:
    span = high - low
    if kind in ("time", "clock") and span >= 2:
        times = (*_SECONDS, *_MINUTES, *_HOURS, *_DAYS)
        return [float(step) for step in times if span / 100 <= step <= span]
    power = math.floor(math.log10(span))
    steps = [m * 10.0**p for p in range(power - 2, power + 1) for m in (1, 2, 2.5, 4, 5)]
    if kind in ("step", "tokens") and span >= 2:
        steps = [step for step in steps if step >= 1 and step % 1 == 0]
    return [step for step in steps if span / 100 <= step <= span]


def _ticked(axis: XAxis, step: float, kind: XKind, apart: int) -> XAxis | None:
    """The axis with ticks every `step`; None with fewer than two labels or some nearer than `apart` cells."""
    shift = time.localtime(axis.low).tm_gmtoff if kind == "clock" and abs(axis.low) < 1e11 else 0
    first = math.ceil((axis.low + shift) / step - 1e-9)
    last = math.floor((axis.high + shift) / step + 1e-9)
    if not 1 <= last - first <= 60:
        return None
    places = [k * step - shift for k in range(first, last + 1)]
    texts = [_x_label(place, kind, step) for place in places]
    ticks: list[tuple[int, int, str]] = []
    edge = -apart
    for place, text in zip(places, texts, strict=True):
        cell = min(max(math.floor(axis.cell(place)), 0), axis.width - 1)
        start = max(0, min(cell - len(text) // 2, axis.width - len(text)))
        if start - edge < apart:
            return None
        ticks.append((cell, start, text))
        edge = start + len(text)
    return XAxis(axis.low, axis.high, axis.width, tuple(ticks)) if edge <= axis.width else None


def _ends(axis: XAxis, kind: XKind) -> XAxis:
    """The ends of the range as the labels, as exactly as there is room."""
    span = axis.high - axis.low
    for step in (span / 1000, span / 10):
        left, right = _x_label(axis.low, kind, step), _x_label(axis.high, kind, step)
        if len(left) + 1 + len(right) <= axis.width:
            break
    else:
        left, right = fmt.short(axis.low), fmt.short(axis.high)
    right = right[: max(0, axis.width - len(left) - 1)]
    return XAxis(
        axis.low, axis.high, axis.width, ((0, 0, left), (axis.width - 1, axis.width - len(right), right))
    )


def _x_label(place: float, kind: XKind, step: float) -> str:
    if kind == "time":
        return fmt.duration(place) if place >= 0 else f"-{fmt.duration(-place)}"
    if kind == "clock":
        if abs(place) >= 1e11:
            return fmt.short(place)
        form = "%m-%d" if step >= 86400 else "%H:%M" if step >= 60 else "%H:%M:%S"
        return time.strftime(form, time.localtime(place))
    if abs(place) >= 1e5 or kind == "tokens":
        text = fmt.short(place)
        # As many decimals as multiples of the step have: 1M, 1.25M.
        unit = text[-1] if text[-1].isalpha() else ""
        scale = 1000.0 ** ("kMGTP".index(unit) + 1) if unit else 1.0
        return f"{place / scale:,.{min(4, _decimals(step / scale))}f}{unit}" if place else "0"
    if step >= 1:
        return f"{place:,.0f}"
    return f"{place:,.{min(6, _decimals(step))}f}" if abs(place) >= 1e-6 or place == 0 else f"{place:.1e}"


def steady_x(
    low: float, high: float, previous: tuple[float, float] | None, least: float = 1.0
) -> tuple[float, float]:
    """Range of x where no end is planned: grows by leaps from `least`, so that most points move nothing."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return previous or (0.0, 1.0)
    if (
        previous
        and previous[0] <= low
        and high <= previous[1]
        and high - low > 0.2 * (previous[1] - previous[0])
    ):
        return previous
    span = high - low
    if 0 <= low < 0.1 * high:
        low, span = 0.0, high
    target = max(1.02 * span, least, abs(low) * 1e-9)
    power = 10.0 ** math.floor(math.log10(target))
    room = next(
        m * power for m in (1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0) if m * power >= target
    )
    return low, low + room


def least_span(kind: XKind, low: float) -> float:
    """What an axis that begins at `low` spans at least: labels of great counts need a difference to show."""
    least = 1.0 if kind == "tokens" else 10.0
    return least if kind == "clock" or not math.isfinite(low) else max(least, abs(low) * 1e-6)
