"""Reduction of a curve to the pixel columns of a chart: first, lowest, highest and last value of each.

What is appended is all that is read, so a live curve costs what is new, not what is old, and the envelope of
a column keeps every spike. Nothing assumes that x grows: where it steps back (a resume), a new line starts.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Hashable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from nexus_tui.tui.chart.curves import Column

Floats = NDArray[np.float64]

_SAMPLES = 8
"""Old points looked at to see that a longer column still begins with the one already read."""

_MAX_RESTARTS = 4096
"""More backward steps than this are jitter of a clock, not resumes: smoothing runs on through them."""


@dataclass(frozen=True, slots=True)
class Window:
    """The part of x that is on screen, cut in pixel columns."""

    low: float
    high: float
    pixels: int
    log: bool = False
    """y is reduced as log10(y); values ≤ 0 are then gaps."""

    def position(self, x: Floats) -> Floats:
        """Horizontal place [n] in pixels: `low` at the centre of column 0, `high` at that of the last."""
        return (x - self.low) * ((self.pixels - 1) / (self.high - self.low))

    def column(self, position: Floats) -> Floats:
        """Pixel column [n] of a position; -1 is all that lies before the window, `pixels` all behind it."""
        return np.clip(np.floor(position + 0.5), -1, self.pixels)


class Reduction:
    """Strokes of one curve: a record per visit of a pixel column, in the order of the points.

    A record joins the one before it when its column lies further right and no gap is between them.
    """

    _FIELDS = ("column", "enter", "first", "leave", "last", "low", "high", "gap")

    def __init__(self, window: Window) -> None:
        self.window = window
        self._table: Floats = np.empty((len(self._FIELDS), 64))
        self._used = 0
        self._pending_gap = False
        self.drawn: tuple[object, object] | None = None
        """What was last drawn of this, with the axis that it was drawn on; whoever draws keeps it here."""
        self.bad: NDArray[np.bool_] = np.zeros(window.pixels, dtype=np.bool_)
        """Pixel columns [pixels] that hold a NaN or infinite value (log axis: also ≤ 0)."""

    def append(self, x: Floats, y: Floats) -> None:
        """Read the points x, y [n] that follow those already read."""
        self.drawn = None
        window = self.window
        if window.log:
            with np.errstate(divide="ignore", invalid="ignore"):
                y = np.where(y > 0, np.log10(y), np.nan)
        good = np.isfinite(y) & np.isfinite(x)
        gap: NDArray[np.bool_] | None = None
        if not good.all():
            at = window.column(window.position(x[~good & np.isfinite(x)]))
            at = at[(at >= 0) & (at < window.pixels)].astype(np.intp)
            self.bad[at] = True
            kept = np.flatnonzero(good)
            if not kept.size:
                self._pending_gap = True
                return
            gap = np.diff(kept, prepend=-1) > 1
            gap[0] |= self._pending_gap
            self._pending_gap = bool(kept[-1] != x.size - 1)
            x, y = x[kept], y[kept]
        elif not x.size:
            return
        position = window.position(x)
        column = window.column(position)
        starts = np.flatnonzero(column[1:] != column[:-1]) + 1
        starts = np.concatenate(([0], starts))
        ends = np.append(starts[1:], x.size) - 1
        fresh = np.empty((len(self._FIELDS), starts.size))
        fresh[0] = column[starts]
        fresh[1] = position[starts]
        fresh[2] = y[starts]
        fresh[3] = position[ends]
        fresh[4] = y[ends]
        fresh[5] = np.minimum.reduceat(y, starts)
        fresh[6] = np.maximum.reduceat(y, starts)
        if gap is None:
            fresh[7] = 0.0
            fresh[7, 0] = self._pending_gap
            self._pending_gap = False
        else:
            fresh[7] = gap[starts]
        self._join(fresh)

    def _join(self, fresh: Floats) -> None:
        table, used = self._table, self._used
        if used and table[0, used - 1] == fresh[0, 0]:
            held = table[:, used - 1]
            held[3:5] = fresh[3:5, 0]
            held[5] = min(held[5], fresh[5, 0])
            held[6] = max(held[6], fresh[6, 0])
            fresh = fresh[:, 1:]
        need = used + fresh.shape[1]
        if need > table.shape[1]:
            grown = np.empty((table.shape[0], max(need, 2 * table.shape[1])))
            grown[:, :used] = table[:, :used]
            self._table = table = grown
        table[:, used:need] = fresh
        self._used = need

    def __len__(self) -> int:
        return self._used

    def _field(self, name: str) -> Floats:
        return self._table[self._FIELDS.index(name), : self._used]

    @property
    def column(self) -> Floats:
        """Pixel column of each record; -1 and `pixels` lie outside the window."""
        return self._field("column")

    @property
    def enter(self) -> Floats:
        """Position, in pixels, of the first point of each record."""
        return self._field("enter")

    @property
    def first(self) -> Floats:
        """First value of each record."""
        return self._field("first")

    @property
    def leave(self) -> Floats:
        """Position, in pixels, of the last point of each record."""
        return self._field("leave")

    @property
    def last(self) -> Floats:
        """Last value of each record."""
        return self._field("last")

    @property
    def low(self) -> Floats:
        """Lowest value of each record."""
        return self._field("low")

    @property
    def high(self) -> Floats:
        """Highest value of each record."""
        return self._field("high")

    @property
    def visible(self) -> NDArray[np.bool_]:
        """Records inside the window."""
        return (self.column >= 0) & (self.column < self.window.pixels)

    @property
    def linked(self) -> NDArray[np.bool_]:
        """Records that a stroke joins to the record before them."""
        linked = np.zeros(self._used, dtype=np.bool_)
        if self._used > 1:
            column = self.column
            linked[1:] = (column[1:] > column[:-1]) & (self._field("gap")[1:] == 0)
        return linked


class Smoother:
    """Exponential moving average, bias-corrected (Kingma and Ba 2015, section 3), one value a point.

    Unusable values leave the average as it is and give NaN in their place.
    """

    def __init__(self, beta: float) -> None:
        self.beta = beta
        self._sum = 0.0
        self._count = 0.0

    def restart(self, value: float, count: float) -> None:
        """Go on as if `count` points had averaged to `value` (nan: as if there were none)."""
        usable = np.isfinite(value)
        self._count = count if usable else 0.0
        self._sum = value * (1 - self.beta**count) if usable else 0.0

    def extend(self, y: Floats) -> Floats:
        """Averages [n] after each of the values y [n], in any cutting into calls."""
        good = np.isfinite(y)
        if good.all():
            return self._extend(y)
        out: Floats = np.full(y.shape, np.nan)
        out[good] = self._extend(y[good])
        return out

    def _extend(self, y: Floats) -> Floats:
        out: Floats = np.empty_like(y)
        # Pieces that stay in the processor's cache.
        for start in range(0, y.size, 16384):
            out[start : start + 16384] = self._piece(y[start : start + 16384])
        return out

    def _piece(self, y: Floats) -> Floats:
        beta = self.beta
        total: Floats = (1 - beta) * y
        total[0] += beta * self._sum
        # Recursive doubling: after k rounds every entry holds the weighted sum of the 2^k values up to it.
        shift, factor = 1, beta
        while shift < y.size and factor > 1e-17:
            total[shift:] += factor * total[:-shift]
            shift, factor = 2 * shift, factor * factor
        self._sum = float(total[-1])
        weight = 1 - beta ** (self._count + np.arange(1, y.size + 1))
        self._count += y.size
        return total / weight


class CurveReader:
    """One curve as far as it has been read: raw and smoothed reductions, kept up to date by `update`."""

    def __init__(self) -> None:
        self._forget(None)

    def _forget(self, version: Hashable) -> None:
        self.x: Column = np.empty(0)
        self.y: Column = np.empty(0)
        self.raw: Reduction | None = None
        self.smooth: Reduction | None = None
        self.breaks: list[int] = []
        """Indices where x is less than at the point before."""
        self._version = version
        self._smoother: Smoother | None = None
        self._smoothed: Floats = np.empty(0)
        self._seen = 0
        self._sample: tuple[NDArray[np.intp], bytes] | None = None

    @property
    def smoothed(self) -> Floats:
        """Smoothed values [n], empty without smoothing."""
        return self._smoothed[: self._seen] if self._smoother else self._smoothed[:0]

    def update(
        self,
        x: Column,
        y: Column,
        window: Window,
        beta: float,
        version: Hashable = None,
    ) -> bool:
        """Take whole columns x, y [n]; read only what is new in them. Tells whether anything was.

        Args:
            x: places; y: values. Their beginning is what the last call gave, or everything is read again.
            window: what is on screen.
            beta: smoothing in [0, 1); 0 draws raw values alone.
            version: another value says that old points were rewritten.
        """
        if version != self._version or not self._continues(x, y):
            self._forget(version)
        begin = self._seen
        fresh = slice(begin, len(x))
        new_x, new_y = np.asarray(x[fresh], np.float64), np.asarray(y[fresh], np.float64)
        self.x, self.y = x, y
        if new_x.size:
            joint = np.concatenate((np.asarray(x[begin - 1 : begin], np.float64), new_x)) if begin else new_x
            back = np.flatnonzero(np.diff(joint) < 0) + 1 + max(begin - 1, 0)
            self.breaks.extend(back.tolist())
            self._remember(x, y)
        changed = bool(new_x.size)
        changed |= self._smooth(new_y, begin, beta)
        self._seen = len(x)
        if self.raw is None or self.raw.window != window:
            self.raw, self.smooth = Reduction(window), None
            self.raw.append(np.asarray(x, np.float64), np.asarray(y, np.float64))
            changed = True
        elif new_x.size:
            self.raw.append(new_x, new_y)
        if self._smoother is None:
            self.smooth = None
        elif self.smooth is None:
            self.smooth = Reduction(window)
            self.smooth.append(np.asarray(x, np.float64), self.smoothed)
        elif new_x.size:
            self.smooth.append(new_x, self._smoothed[fresh])
        return changed

    def holds(self, x: Column, y: Column, version: Hashable) -> bool:
        """Whether these columns [n] are what has been read, to the last point."""
        return version == self._version and len(x) == self._seen and self._continues(x, y)

    def _continues(self, x: Column, y: Column) -> bool:
        if self._sample is None or len(x) < self._seen:
            return not self._seen
        at, old = self._sample
        return _bytes_at(x, y, at) == old

    def _remember(self, x: Column, y: Column) -> None:
        at = np.arange(_SAMPLES) * (len(x) - 1) // (_SAMPLES - 1)
        self._sample = (at, _bytes_at(x, y, at))

    def _smooth(self, new: Floats, begin: int, beta: float) -> bool:
        """Bring the smoothed column to the length of the curve; True if its old part changed."""
        old = self._smoother
        if beta <= 0:
            self._smoother, self._smoothed = None, np.empty(0)
            return old is not None
        again = old is None or old.beta != beta
        if again:
            self._smoother, begin = Smoother(beta), 0
            new = np.asarray(self.y, np.float64)
        end = begin + new.size
        if end > self._smoothed.size:
            # An eighth of slack: at most 9 bytes a point, and copying stays amortised.
            grown: Floats = np.empty(end + (end // 8 if begin else 0))
            grown[:begin] = self._smoothed[:begin]
            self._smoothed = grown
        assert self._smoother is not None
        first = bisect_right(self.breaks, begin - 1)
        cuts = self.breaks[first:] if len(self.breaks) <= _MAX_RESTARTS else []
        for start, stop in pairwise(sorted({begin, *cuts, end})):
            if start in cuts:
                self._restart(start)
            self._smoothed[start:stop] = self._smoother.extend(new[start - begin : stop - begin])
        return again

    def _restart(self, index: int) -> None:
        """Give the average the state it had where x steps back to: a branch is not led by what it left."""
        assert self._smoother is not None
        before = self.before(float(self.x[index]), index)
        value = float(self._smoothed[before]) if before is not None else np.nan
        self._smoother.restart(value, (before or 0) + 1)

    def before(self, x: float, end: int) -> int | None:
        """Index of the newest point left of `x` among the first `end`, None if there is none."""
        stop = end
        for start in [*reversed(self.breaks[: bisect_right(self.breaks, end - 1)]), 0]:
            found = int(np.searchsorted(self.x[start:stop], x)) - 1
            if found >= 0:
                return start + found
            stop = start
        return None

    def nearest(self, x: float) -> int | None:
        """Index of the point nearest to `x`, of the newest stroke that spans it; None without points."""
        best: tuple[float, int] | None = None
        stop = len(self.x)
        strokes = [*reversed(self.breaks), 0] if len(self.breaks) <= _MAX_RESTARTS else [0]
        for start in strokes:
            part = self.x[start:stop]
            after = int(np.searchsorted(part, x))
            for index in (after - 1, after):
                if 0 <= index < len(part):
                    distance = abs(float(part[index]) - x)
                    if best is None or distance < best[0]:
                        best = (distance, start + index)
            if len(part) and float(part[0]) <= x <= float(part[-1]):
                break
            stop = start
        return best[1] if best else None


def _bytes_at(x: Column, y: Column, at: NDArray[np.intp]) -> bytes:
    """The points at these indices [n], as something that is quickly compared; NaN is like NaN."""
    return x[at].tobytes() + y[at].tobytes()
