"""How surprised a model was by a token, as a shade of its background and as a digit: bits, 0 to 9 or more.

Colour is never the only sign: the digit says the same, and stands alone where colours cannot be mixed.
"""

from __future__ import annotations

import math
from functools import lru_cache

from rich.style import Style

from nexus_tui.tui.theme import Palette, color_of

LEVELS = 10
LEGEND = "shade and digit: bits lost on a token, 0 to 9 or more"
SHORT_LEGEND = "bits, 0 to 9"

_STRENGTH = (0.0, 0.07, 0.14, 0.22, 0.31, 0.41, 0.52, 0.64, 0.78, 0.92)
"""How much of the colour each level's background has."""
_TURNS = 7
"""From this level on the text is of the background's colour, where that is dark."""


def level(loss: float) -> int:
    """The shade of a loss in nats: whole bits, at most 9; of a loss that is no number, 9."""
    if not math.isfinite(loss):
        return LEVELS - 1
    return max(0, min(LEVELS - 1, int(loss / math.log(2))))


def digit(loss: float) -> str:
    """The same as a digit."""
    return str(level(loss))


def shaded(palette: Palette) -> bool:
    """Whether this palette has shades; without them, show digits."""
    return palette.blends


@lru_cache(64)
def shade(palette: Palette, level: int, *, cursor: bool = False) -> Style:
    """Style of a token's text; the cursor's is underlined and bold as well."""
    if not palette.blends:
        return Style(reverse=cursor or None, bold=level >= _TURNS or None)
    ground, color = color_of(palette, "background"), color_of(palette, "val")
    background = ground.blend(color, _STRENGTH[level])
    text = ground if palette.dark and level >= _TURNS else color_of(palette, "text")
    if cursor:
        return Style(color=background.rich_color, bgcolor=color_of(palette, "text").rich_color, bold=True)
    return Style(color=text.rich_color, bgcolor=background.rich_color if level else None)
