"""A screen as text that one can read and a snapshot can keep: its characters, and its styles by letter."""

from itertools import groupby, product
from string import ascii_letters

from rich.cells import cell_len
from rich.style import Style
from textual.app import App
from textual.color import Color

_LETTERS = (*ascii_letters, *("".join(pair) for pair in product(ascii_letters, repeat=2)))


def written_picture(app: App[str]) -> str:
    """What the terminal shows: lines, then for each line how many cells have which style, then the styles."""
    width, height = app.size
    names: dict[str, str] = {}
    lines, looks = [], []
    for strip in app.screen._compositor.render_strips()[:height]:
        for line_filter in app.get_line_filters():
            strip = strip.apply_filter(line_filter, Color(0, 0, 0))
        strip = strip.crop(0, width)
        lines.append(strip.text.rstrip())
        cells = [(_named(segment.style), cell_len(segment.text)) for segment in strip if segment.text]
        runs = [
            (style, sum(count for _, count in run)) for style, run in groupby(cells, lambda cell: cell[0])
        ]
        for style, _ in runs:
            names.setdefault(style, _LETTERS[len(names)])
        looks.append(" ".join(f"{names[style]}{count}" for style, count in runs))
    told = [f"{name} {style}" for style, name in names.items()]
    return "\n".join([f"{width}×{height}", *lines, "", *looks, "", *told, ""])


def _named(style: Style | None) -> str:
    """A style without what no terminal shows."""
    return str(style.without_color + Style(color=style.color, bgcolor=style.bgcolor)) if style else "none"
