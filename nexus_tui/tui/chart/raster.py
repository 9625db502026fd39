"""Braille canvas: strokes as spans of dots, spans as a bitmap, bitmaps as characters, all of it in numpy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from nexus_tui.tui.chart.axis import YAxis
from nexus_tui.tui.chart.frame import BLANK
from nexus_tui.tui.chart.series import Floats, Reduction

Bits = NDArray[np.bool_]
Codes = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Stroke:
    """One drawn layer of a curve."""

    codes: Codes
    """Dots of every cell [rows, width], the low byte of its braille character."""
    above: Bits
    """Cells [width] in whose columns values lie above the frame."""
    below: Bits
    """Cells [width] in whose columns values lie below the frame."""


def stroke(curve: Reduction, axis: YAxis) -> Stroke:
    """Draw a reduced curve: the envelope of every pixel column, and a line from each column to the next.

    The stroke is kept with the reduction, for as long as neither it nor the axis changes.
    """
    kept = curve.drawn
    if kept is not None and kept[0] is axis:
        return cast(Stroke, kept[1])
    bits, above, below = bitmap(curve, axis)
    drawn = Stroke(pack(bits), above[::2] | above[1::2], below[::2] | below[1::2])
    curve.drawn = (axis, drawn)
    return drawn


def bitmap(curve: Reduction, axis: YAxis) -> tuple[Bits, Bits, Bits]:
    """Dots [pixels, 4 × rows] of a reduced curve; columns [pixels] that leave the frame above, and below."""
    height, pixels = 4 * axis.rows, curve.window.pixels
    above, below = np.zeros(pixels, np.bool_), np.zeros(pixels, np.bool_)
    if not len(curve):
        return np.zeros((pixels, height), np.bool_), above, below
    inside = curve.visible
    column = curve.column[inside].astype(np.intp)
    top, bottom = axis.dot(curve.high[inside]), axis.dot(curve.low[inside])
    above[column[top < 0]] = True
    below[column[bottom >= height]] = True
    link_column, link_top, link_bottom = _links(curve, axis)
    columns = np.concatenate((column, link_column))
    tops, bottoms = np.concatenate((top, link_top)), np.concatenate((bottom, link_bottom))
    return _fill(columns, tops, bottoms, height, pixels), above, below


def _links(
    curve: Reduction, axis: YAxis
) -> tuple[NDArray[np.intp], NDArray[np.float64], NDArray[np.float64]]:
    """Spans (column, upper dot, lower dot) of the lines between neighbouring records, one a column."""
    pixels = curve.window.pixels
    end = np.flatnonzero(curve.linked)
    x0, x1 = curve.leave[end - 1], curve.enter[end]
    y0, y1 = curve.last[end - 1], curve.first[end]
    first = np.clip(curve.column[end - 1], 0, pixels - 1).astype(np.intp)
    last = np.clip(curve.column[end], 0, pixels - 1).astype(np.intp)
    counts = last - first + 1
    link = np.repeat(np.arange(end.size), counts)
    offset = np.arange(link.size) - np.repeat(np.cumsum(counts) - counts, counts)
    column = first[link] + offset
    # Each column takes the part of the line between its edges; neighbours share an edge, so no gap shows.
    x0, x1, y0, y1 = x0[link], x1[link], y0[link], y1[link]
    left, right = np.maximum(x0, column - 0.5), np.minimum(x1, column + 0.5)
    span = np.maximum(x1 - x0, 1e-12)
    slope = (y1 - y0) / span
    a, b = axis.dot(y0 + slope * (left - x0)), axis.dot(y0 + slope * (right - x0))
    # Rounding must not carry a line past its own ends.
    ends = axis.dot(y0), axis.dot(y1)
    upper, lower = np.minimum(*ends), np.maximum(*ends)
    return column, np.maximum(np.minimum(a, b), upper), np.minimum(np.maximum(a, b), lower)


def _fill(
    column: NDArray[np.intp], top: NDArray[np.float64], bottom: NDArray[np.float64], height: int, pixels: int
) -> Bits:
    """Dots [pixels, height] covered by vertical spans; what lies beyond the frame is cut off."""
    seen = (bottom >= 0) & (top < height)
    column = column[seen]
    upper = np.maximum(top[seen], 0).astype(np.intp)
    lower = np.minimum(bottom[seen], height - 1).astype(np.intp)
    size = pixels * (height + 1)
    start = column * (height + 1)
    edges = np.bincount(start + upper, minlength=size) - np.bincount(start + lower + 1, minlength=size)
    depth = np.cumsum(edges.reshape(pixels, height + 1)[:, :height], axis=1)
    return depth > 0


def squares(position: Floats, value: Floats, axis: YAxis, pixels: int) -> Codes:
    """Cells [rows, width] with a square of 2 × 2 dots around each point, as near to its value as dots are."""
    height = 4 * axis.rows
    bits = np.zeros((pixels, height), np.bool_)
    row = np.floor((axis.high - value) * (height / axis.span) - 0.5).astype(np.intp)
    column = np.floor(position).astype(np.intp)
    for x in (column, column + 1):
        for y in (row, row + 1):
            bits[np.clip(x, 0, pixels - 1), np.clip(y, 0, height - 1)] = True
    return pack(bits)


# Bits of a braille character, by row from above, in the left and the right column of its dots.
_LEFT, _RIGHT = (0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80)


def _nibbles(bits: tuple[int, ...]) -> Codes:
    """Braille bits [16] of the four dots of one column, their first on top in the lowest bit."""
    return np.array([sum(bits[k] for k in range(4) if n >> k & 1) for n in range(16)], np.uint8)


_LEFT_CODES, _RIGHT_CODES = _nibbles(_LEFT), _nibbles(_RIGHT)


def pack(bits: Bits) -> Codes:
    """Cells [rows, width] of dots [2 × width, 4 × rows]."""
    pixels, height = bits.shape
    pairs = np.packbits(bits, bitorder="little")  # each byte: two groups of four dots, one below the other
    columns = np.stack((pairs & 15, pairs >> 4), axis=1).reshape(pixels, height // 4)
    return (_LEFT_CODES[columns[::2]] | _RIGHT_CODES[columns[1::2]]).T


def _ascii_table() -> NDArray[np.int32]:
    """The ASCII character that looks most like each of the 256 dot patterns."""
    table = np.full(256, BLANK, np.int32)
    for code in range(1, 256):
        rows = [bool(code & (_LEFT[y] | _RIGHT[y])) for y in range(4)]
        tall = sum(rows)
        columns = [bool(code & sum(side)) for side in (_LEFT, _RIGHT)]
        if tall >= 3:
            sign = "#" if all(columns) and code.bit_count() > 5 else "|"
        elif rows[0] and not rows[2] and not rows[3]:
            sign = "'"
        elif rows[3] and not rows[0] and not rows[1]:
            sign = "." if not rows[2] or not all(columns) else "_"
        else:
            sign = "-" if tall == 1 or code.bit_count() > 2 else ":"
        table[code] = ord(sign)
    return table


BRAILLE: NDArray[np.int32] = np.where(np.arange(256) == 0, BLANK, 0x2800 + np.arange(256)).astype(np.int32)
ASCII: NDArray[np.int32] = _ascii_table()
