"""A frame of cells: one character and one style each, and what changed since the frame before."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from rich.cells import get_character_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from nexus_tui.tui import theme

Index = int | NDArray[np.intp]

BLANK = ord(" ")

CONTINUED = 0
"""Right half of a wide character."""


class Look(NamedTuple):
    """What a style is made of; the palette turns it into colours."""

    role: str
    dim: bool = False
    bold: bool = False
    on: str | None = None


class Styles:
    """Styles by number, so that a frame is an array."""

    def __init__(self, palette: theme.Palette, base: Style | None = None) -> None:
        self.palette = palette
        self.base = base or Style()
        self._number: dict[Look, int] = {}
        self.looks: list[Look] = []
        self.tinted: NDArray[np.bool_] = np.zeros(64, np.bool_)
        """Which styles [64 or more] show on blanks too."""
        self.styles: list[Style] = []
        self.number(Look("text"))

    def number(self, look: Look) -> int:
        """Number of a style, always the same for the same look."""
        found = self._number.get(look)
        if found is None:
            found = self._number[look] = len(self.looks)
            self.looks.append(look)
            style = theme.style(self.palette, look.role, dim=look.dim, bold=look.bold, on=look.on)
            self.styles.append(self.base + style)
            if found >= self.tinted.size:
                self.tinted = np.concatenate((self.tinted, np.zeros_like(self.tinted)))
            self.tinted[found] = look.on is not None
        return found


class Frame:
    """Characters and styles of a widget's cells, [height, width] each."""

    def __init__(self, width: int, height: int, styles: Styles) -> None:
        self.width, self.height, self.styles = width, height, styles
        self.glyphs: NDArray[np.int32] = np.full((height, width), BLANK, np.int32)
        self.looks: NDArray[np.int16] = np.zeros((height, width), np.int16)

    def write(self, y: int, x: int, text: str, look: Look, stop: int | None = None) -> int:
        """Write text from (x, y) up to column `stop`; the column after it is returned."""
        stop = self.width if stop is None else min(stop, self.width)
        if not 0 <= y < self.height:
            return x
        number, text = self.styles.number(look), theme.spell(text)
        if text.isascii():  # one cell a character
            text = text[max(0, -x) : max(0, stop - x)]
            start, x = max(x, 0), max(x, 0) + len(text)
            self.glyphs[y, start:x] = np.frombuffer(text.encode("utf-32-le"), np.int32)
            self.looks[y, start:x] = number
            return x
        for character in text:
            cells = get_character_cell_size(character)
            if cells == 0:
                continue
            if x + cells > stop:
                break
            if x >= 0:
                self.glyphs[y, x] = ord(character)
                self.glyphs[y, x + 1 : x + cells] = CONTINUED
                self.looks[y, x : x + cells] = number
            x += cells
        return x

    def put(self, y: Index, x: Index, sign: str, look: Look) -> None:
        """The same one-cell sign at every (y, x), rows and columns inside the frame."""
        self.glyphs[y, x] = ord(sign)
        self.looks[y, x] = self.styles.number(look)

    def copy(self) -> Frame:
        """The same cells, to be painted over."""
        twin = Frame.__new__(Frame)
        twin.width, twin.height, twin.styles = self.width, self.height, self.styles
        twin.glyphs, twin.looks = self.glyphs.copy(), self.looks.copy()
        return twin

    def changes(self, old: Frame | None) -> list[tuple[int, int, int]]:
        """Spans (row, first column, column after the last) that differ from `old`; all rows if sizes do."""
        if old is None or old.glyphs.shape != self.glyphs.shape or old.styles is not self.styles:
            return [(y, 0, self.width) for y in range(self.height)]
        differs = (self.glyphs != old.glyphs) | (self.looks != old.looks)
        spans = []
        for y in np.flatnonzero(differs.any(axis=1)).tolist():
            columns = np.flatnonzero(differs[y])
            spans.append((y, int(columns[0]), int(columns[-1]) + 1))
        return spans

    def strip(self, y: int) -> Strip:
        """Row `y` as Textual draws it, in as few pieces as colours allow: blanks look like what is before."""
        glyphs = self.glyphs[y]
        tinted = self.styles.tinted[self.looks[y]]
        inked = (glyphs != BLANK) | tinted
        inked[1:] |= tinted[:-1]
        looks = self.looks[y][np.maximum.accumulate(np.where(inked, np.arange(self.width), 0))]
        cuts = [0, *(np.flatnonzero(looks[1:] != looks[:-1]) + 1).tolist(), self.width]
        styles = self.styles.styles
        segments = []
        for start, stop in pairwise(cuts):
            text = glyphs[start:stop].tobytes().decode("utf-32-le")
            segments.append(Segment(text.replace("\0", ""), styles[looks[start]]))
        return Strip(segments, self.width)

    def text(self) -> str:
        """The frame as plain text, for tests and files."""
        rows = (row.tobytes().decode("utf-32-le").replace("\0", "").rstrip() for row in self.glyphs)
        return "\n".join(rows)
