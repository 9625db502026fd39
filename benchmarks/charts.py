"""Line charts beside and under one another, in the terminal and as one SVG picture."""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from html import escape

COLUMNS, WIDTH, HEIGHT = 2, 480, 300
LEFT, RIGHT, TOP, BOTTOM = 66, 18, 62, 46
"""Of a chart, in the picture's units; around what is drawn."""
INK, PALE, GRID = "#1f2937", "#6b7280", "#e5e7eb"


@dataclass(frozen=True)
class Series:
    """A line through points (x, y)."""

    name: str
    points: Sequence[tuple[float, float]]
    colour: str
    dashed: bool = False


@dataclass(frozen=True)
class Chart:
    """Lines over x, which doubles from tick to tick; y begins at 0, or is logarithmic."""

    title: str
    across: str
    unit: str
    lines: list[Series] = field(default_factory=list)
    log: bool = False


def svg(charts: Sequence[Chart]) -> str:
    """All charts as one picture on white."""
    rows = -(-len(charts) // COLUMNS)
    size = (COLUMNS * WIDTH, rows * HEIGHT)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size[0]} {size[1]}" width="{size[0]}" '
        f'height="{size[1]}" font-family="DejaVu Sans, Verdana, sans-serif" font-size="13" fill="{INK}">',
        f'<rect width="{size[0]}" height="{size[1]}" fill="#ffffff"/>',
    ]
    for number, chart in enumerate(charts):
        row, column = divmod(number, COLUMNS)
        parts += [f'<g transform="translate({column * WIDTH} {row * HEIGHT})">', *_drawn(chart), "</g>"]
    return "\n".join([*parts, "</svg>\n"])


def terminal(chart: Chart, width: int = 78, height: int = 18) -> str:
    """One chart in characters, without colours."""
    import plotext

    plotext.clear_figure()
    plotext.plot_size(width, height)
    plotext.theme("clear")
    for marker, line in zip("●○+×", chart.lines, strict=False):
        x, y = [math.log2(x) for x, _ in line.points], [y for _, y in line.points]
        plotext.plot(
            x, [math.log10(value) for value in y] if chart.log else y, label=line.name, marker=marker
        )
    across = sorted({x for line in chart.lines for x, _ in line.points})
    plotext.xticks([math.log2(x) for x in across], [f"{x:g}" for x in across])
    top, low, ticks = _scale(chart)
    plotext.yticks([math.log10(y) for y in ticks] if chart.log else ticks, [short(y) for y in ticks])
    plotext.ylim(*((math.log10(low), math.log10(top)) if chart.log else (low, top)))
    plotext.title(f"{chart.title}, {chart.unit}")
    plotext.xlabel(chart.across)
    return re.sub(r"\x1b\[\d*m", "", plotext.build())


def short(value: float) -> str:
    """512, 2k, 1.5M: few characters."""
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"


def _scale(chart: Chart) -> tuple[float, float, list[float]]:
    """Top and bottom of y, and its ticks."""
    values = [y for line in chart.lines for _, y in line.points]
    if chart.log:
        low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
        return 10.0**high, 10.0**low, [10.0**power for power in range(low, high + 1)]
    step = 10 ** math.floor(math.log10(max(values) / 2))
    step *= next(factor for factor in (1, 2, 5, 10) if max(values) / (step * factor) <= 5)
    count = math.ceil(max(values) * 1.02 / step)
    return step * count, 0.0, [step * number for number in range(count + 1)]


def _drawn(chart: Chart) -> Iterator[str]:
    top, low, ticks = _scale(chart)
    across = sorted({x for line in chart.lines for x, _ in line.points})
    right, floor = WIDTH - RIGHT, HEIGHT - BOTTOM

    def at_x(x: float) -> float:
        share = math.log(x / across[0]) / math.log(across[-1] / across[0])
        return LEFT + 8 + share * (right - LEFT - 16)

    def at_y(y: float) -> float:
        share = math.log(y / low) / math.log(top / low) if chart.log else y / top
        return floor - share * (floor - TOP)

    yield (
        f'<text x="{LEFT}" y="24" font-size="15" font-weight="bold">{escape(chart.title)}'
        f'<tspan font-weight="normal" fill="{PALE}">&#160;· {escape(chart.unit)}</tspan></text>'
    )
    for y in ticks:
        yield f'<path d="M{LEFT} {at_y(y):.1f}H{right}" stroke="{GRID}"/>'
        yield f'<text x="{LEFT - 8}" y="{at_y(y) + 4:.1f}" text-anchor="end" fill="{PALE}">{short(y)}</text>'
    for x in across:
        yield f'<path d="M{at_x(x):.1f} {floor}v5" stroke="{PALE}"/>'
        yield f'<text x="{at_x(x):.1f}" y="{floor + 19}" text-anchor="middle" fill="{PALE}">{x:g}</text>'
    yield f'<path d="M{LEFT} {floor}H{right}" stroke="{PALE}"/>'
    middle = (LEFT + right) / 2
    yield f'<text x="{middle:.0f}" y="{floor + 38}" text-anchor="middle">{escape(chart.across)}</text>'
    place = float(LEFT)
    for line in chart.lines:
        dashes = ' stroke-dasharray="5 4"' if line.dashed else ""
        path = "L".join(f"{at_x(x):.1f} {at_y(y):.1f}" for x, y in line.points)
        yield f'<path d="M{path}" fill="none" stroke="{line.colour}" stroke-width="2.2"{dashes}/>'
        for x, y in () if line.dashed else line.points:
            yield f'<circle cx="{at_x(x):.1f}" cy="{at_y(y):.1f}" r="3.4" fill="{line.colour}"/>'
        yield f'<path d="M{place:.0f} 42h20" stroke="{line.colour}" stroke-width="2.2"{dashes}/>'
        yield f'<text x="{place + 26:.0f}" y="46">{escape(line.name)}</text>'
        place += 26 + 7.6 * len(line.name) + 18
