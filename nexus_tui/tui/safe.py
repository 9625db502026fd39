"""Text in an exact number of cells; what comes from a run (names, samples, notes) goes through `plain`."""

from rich.cells import cell_len, set_cell_size

from nexus_tui.tui.glyphs import glyphs
from nexus_tui.untrusted import visible


def plain(text: str, newline: str = " ") -> str:
    """Text that cannot steer the terminal, its line ends and tabs replaced."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").replace("\t", " ")
    return visible(lines, glyphs().ascii).replace("\n", newline)


def fit(text: str, width: int, right: bool = False) -> str:
    """Text in exactly `width` cells: cut with an ellipsis or padded; `right` pads on the left."""
    length = cell_len(text)
    if length > width:
        return set_cell_size(text, max(width - 1, 0)) + glyphs().ellipsis if width > 0 else ""
    return " " * (width - length) + text if right else text + " " * (width - length)
