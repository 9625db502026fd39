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

GAIN = 2.0
"""Nothing is left outside unless the frame would otherwise be so many times as high as most columns need."""

NEAR = 1.5
"""Then all is shown that lies within so many times that height, if nothing more lies beyond."""

ROOM = 1.25
"""And this much of what falls from far above, as a loss does from its first step."""


def y_range(layers: Sequence[Layer], band: Band | None, window: Window) -> tuple[float, float]:
    """Lowest and highest value to show, in the unit drawn; (nan, nan) if there is none.

    Extremes of a few columns are left outside (where the chart marks them) when they would crush all others.
    The newest column of every curve, the best and the forecast are never wholly outside.
    """
    lows: list[NDArray[np.float64]] = []
    highs: list[NDArray[np.float64]] = []
    needed: list[tuple[float, float]] = []
    for layer in layers:
        shown = layer.raw.visible
        if not shown.any():
            continue
        if layer.curve.marker == "star":
            needed.extend((value, value) for value in layer.raw.last[shown].tolist())
            continue
        lows.append(layer.raw.low[shown])
        highs.append(layer.raw.high[shown])
        if not layer.curve.smooth:
            needed.extend((value, value) for value in (float(lows[-1].min()), float(highs[-1].max())))
        newest = np.flatnonzero(layer.best.visible)[-1:]
        if not layer.curve.dim and newest.size:
            needed.append((float(layer.best.low[newest[0]]), float(layer.best.high[newest[0]])))
    if band is not None:
        needed.extend((value, value) for value in _band_ends(band, window))
    if lows:
        low, high = _robust(np.concatenate(lows), np.concatenate(highs))
    elif needed:
        low, high = needed[0]
    else:
        return np.nan, np.nan
    return min([low, *(top for _, top in needed)]), max([high, *(bottom for bottom, _ in needed)])


def _robust(lows: NDArray[np.float64], highs: NDArray[np.float64]) -> tuple[float, float]:
    if lows.size < ENOUGH:
        return float(lows.min()), float(highs.max())
    few = int(OUTSIDE * lows.size)
    core_low, core_high = float(np.sort(lows)[few]), float(np.sort(highs)[-1 - few])
    core = core_high - core_low
    return core_high - _reach(core_high - lows, core), core_low + _reach(highs - core_low, core)


def _reach(heights: NDArray[np.float64], core: float) -> float:
    """How far from the other end of the core [0, `core`] to show, of extremes `heights` [n] away from it."""
    if heights.max() <= GAIN * core:
        return float(heights.max())
    # Spikes stand alone: what is left without them is near. A fall comes all the way down.
    near = heights[heights <= GAIN * core].max()
    return float(near if near <= NEAR * core else heights[heights <= ROOM * core].max())


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
