"""The range of values worth a chart's rows: what happens now, not the fall from the first step."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nexus_tui.tui.chart.curves import Band
from nexus_tui.tui.chart.paint import Layer
from nexus_tui.tui.chart.series import Window

ENOUGH = 24
"""Pixel columns with values before any of them may be left outside."""

OUTSIDE = 0.1
"""Share of columns whose extreme may be left outside the frame, at each end."""

GAIN = 1.9
"""Nothing is left outside unless the frame would otherwise be so many times higher."""


def y_range(layers: Sequence[Layer], band: Band | None, window: Window) -> tuple[float, float]:
    """Lowest and highest value to show, in the unit drawn; (nan, nan) if there is none.

    Extremes of a few columns are left outside (where the chart marks them) when they would crush all others.
    Newest values, the best and the forecast are always inside.
    """
    lows: list[NDArray[np.float64]] = []
    highs: list[NDArray[np.float64]] = []
    needed: list[float] = []
    for layer in layers:
        curve, raw = layer.curve, layer.raw
        shown = raw.visible
        if not shown.any():
            continue
        if curve.marker == "star":
            needed.extend(raw.last[shown].tolist())
            continue
        lows.append(raw.low[shown])
        highs.append(raw.high[shown])
        newest = layer.best
        if not curve.dim and newest.visible.any():
            needed.append(float(newest.last[newest.visible][-1]))
    if band is not None:
        needed.extend(_band_ends(band, window))
    if not lows:
        return (min(needed), max(needed)) if needed else (np.nan, np.nan)
    low, high = _robust(np.concatenate(lows), np.concatenate(highs))
    return min([low, *needed]), max([high, *needed])


def _robust(lows: NDArray[np.float64], highs: NDArray[np.float64]) -> tuple[float, float]:
    low, high = float(lows.min()), float(highs.max())
    if lows.size < ENOUGH:
        return low, high
    core_low, core_high = float(np.quantile(lows, OUTSIDE)), float(np.quantile(highs, 1 - OUTSIDE))
    core = core_high - core_low
    room = 0.15 * core
    if high - core_low > GAIN * (core + room):
        high = core_high + room
    if core_high - low > GAIN * (core + room):
        low = core_low - room
    return low, high


def _band_ends(band: Band, window: Window) -> list[float]:
    x = np.asarray(band.x, np.float64)
    inside = (x >= window.low) & (x <= window.high)
    values = np.concatenate(
        (np.asarray(band.low, np.float64)[inside], np.asarray(band.high, np.float64)[inside])
    )
    if window.log:
        values = np.log10(values[values > 0])
    values = values[np.isfinite(values)]
    return [float(values.min()), float(values.max())] if values.size else []
