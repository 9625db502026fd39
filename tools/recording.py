"""The README's recording: the real program in a terminal, by a script of keys, as one animated SVG.

    python tools/recording.py docs/pictures/recording.svg

trains nexus-tiny in a folder of its own. Every frame is what the terminal showed. Where nothing happens for
long, time runs faster, and the picture says how much.
"""

import html
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyte

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.terminal import Piece, Program

COLUMNS, ROWS = 100, 30
WIDTH, HEIGHT = 8.43, 18.0
"""Of a cell, in units of the picture."""
FRAME = 0.2
"""Seconds between two frames at most."""
LAST = 2.5
"""Seconds for which the last frame stands before it begins again."""
TEXT, GROUND = "#d8dce2", "#0f1217"
ENTER, ESC, GENERATE = "\r", "\x1b", "\x12"
UP, DOWN, RIGHT, LEFT, HOME = "\x1b[A", "\x1b[B", "\x1b[C", "\x1b[D", "\x1b[H"


@dataclass(frozen=True)
class Act:
    """Keys, then a wait until `pattern` stands on the screen, then `rest` seconds; `speed` times as fast."""

    keys: str
    pattern: str = ""
    rest: float = 1.0
    speed: float = 1.0


STORY = (
    Act("", "new run", 1.5),
    Act("n", "name +nexus", 1.0),
    Act(DOWN * 4, "name +nexus-tiny", 0.8),
    Act(ENTER * 2, r"step +[1-9]\d* /", 0.5, 4.0),
    Act("", r"✓ finished", 1.5, 12.0),
    Act(LEFT * 10, "step 1", 1.2),
    Act(HOME + "3", "is the best of", 1.5),
    Act(f" {UP} {UP} c", "better than", 2.5),
    Act("5", "generate", 0.8),
    Act(GENERATE, r"200 tokens", 2.0, 1.5),
    Act(ESC + RIGHT * 5, "rank", 2.5),
)
Row = tuple[tuple[int, str, str, str, bool], ...]
"""Spans of a line: where it begins, its text, colours of text and ground, and whether it is bold."""


@dataclass(frozen=True)
class Frame:
    """What stood on the screen from `at` seconds of the recording on."""

    at: float
    rows: tuple[Row, ...]
    speed: float


def record(runs: Path) -> tuple[list[Piece], list[tuple[float, float]], float]:
    """Play the story. What the program sent; from when on which speed holds; when it was over."""
    speeds = []
    state = {"XDG_STATE_HOME": str(runs / "state"), "NEXUS_RUNS": str(runs / "runs")}
    with Program([sys.executable, "-m", "nexus_tui"], COLUMNS, ROWS, state) as program:
        for act in STORY:
            speeds.append((now(program), act.speed))
            for key in keys_of(act.keys):
                program.press(key)
                pause(program, 0.25)
            if act.pattern:
                program.wait(act.pattern, 900)
            speeds.append((now(program), 1.0))
            pause(program, act.rest)
        return list(program.pieces), speeds, now(program)


def now(program: Program) -> float:
    """Draw what has come, and say when the last of it came, or what time it is."""
    while program.step():
        pass
    return time.perf_counter()


def pause(program: Program, seconds: float) -> None:
    """Let so much time go by."""
    time.sleep(seconds)
    while program.step():
        pass


def keys_of(text: str) -> Iterable[str]:
    """Keys one by one; an escape sequence is one."""
    while text:
        length = 3 if text.startswith("\x1b[") else 1
        yield text[:length]
        text = text[length:]


def frames(pieces: Sequence[Piece], speeds: Sequence[tuple[float, float]], end: float) -> list[Frame]:
    """The screens that differ, at most one in FRAME seconds of the recording."""
    screen = pyte.Screen(COLUMNS, ROWS)
    stream = pyte.ByteStream(screen)
    found: list[Frame] = []
    begun = pieces[0].at
    for index, piece in enumerate(pieces):
        stream.feed(piece.data)
        shown, until = (_shown(at, begun, speeds) for at in (piece.at, _next(pieces, index, end)))
        if until - (found[-1].at if found else -1) < FRAME and index < len(pieces) - 1:
            continue
        rows = tuple(_row(screen, y) for y in range(ROWS))
        if not found or rows != found[-1].rows:
            found.append(Frame(shown, rows, _speed(piece.at, speeds)))
    return [*found, Frame(_shown(end, begun, speeds) + LAST, (), 1.0)]


def _next(pieces: Sequence[Piece], index: int, end: float) -> float:
    return pieces[index + 1].at if index + 1 < len(pieces) else end


def _speed(at: float, speeds: Sequence[tuple[float, float]]) -> float:
    return next((speed for since, speed in reversed(speeds) if since <= at), 1.0)


def _shown(at: float, begun: float, speeds: Sequence[tuple[float, float]]) -> float:
    """Seconds of the recording that have gone by at a moment."""
    marks = [*(max(begun, since) for since, _ in speeds), max(begun, at)]
    total = 0.0
    for (_, speed), since, until in zip(speeds, marks, marks[1:], strict=False):
        total += max(0.0, min(until, at) - since) / speed
    return total


def _row(screen: pyte.Screen, y: int) -> Row:
    """A line as spans of one look."""
    spans: list[tuple[int, str, str, str, bool]] = []
    for x in range(COLUMNS):
        cell = screen.buffer[y][x]
        look = _look(cell)
        if spans and spans[-1][2:] == look and cell.data:
            spans[-1] = (spans[-1][0], spans[-1][1] + cell.data, *look)
        elif cell.data:
            spans.append((x, cell.data, *look))
    return tuple(span for span in spans if span[1].strip() or span[3] != GROUND)


def _look(cell: pyte.screens.Char) -> tuple[str, str, bool]:
    front = f"#{cell.fg}" if len(cell.fg) == 6 else TEXT
    ground = f"#{cell.bg}" if len(cell.bg) == 6 else GROUND
    return (ground, front, cell.bold) if cell.reverse else (front, ground, cell.bold)


def svg(shown: Sequence[Frame]) -> str:
    """The frames as one picture. A line that comes again is drawn once; it is seen while it stands."""
    total = shown[-1].at
    drawn: dict[Row, int] = {}
    uses = []
    for y in range(ROWS):
        standing = [(frame.rows[y] if frame.rows else ()) for frame in shown]
        for row, since, until in _stretches(shown, standing):
            if row:
                number = drawn.setdefault(row, len(drawn))
                uses.append(_seen(f'<use href="#r{number}" y="{y * HEIGHT:.0f}"', since, until, "</use>"))
    for speed, since, until in _stretches(shown, [frame.speed for frame in shown]):
        if speed != 1.0:
            place = f'<text x="{COLUMNS * WIDTH - 8:.0f}" y="-8" text-anchor="end" fill="#87909c"'
            uses.append(_seen(place, since, until, f"{speed:g} × as fast</text>"))
    lines = [f'<g id="r{number}">{"".join(map(_span, row))}</g>' for row, number in drawn.items()]
    width, height = COLUMNS * WIDTH, ROWS * HEIGHT
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="-16 -28 {width + 32:.0f} {height + 44:.0f}" '
        f'font-family="DejaVu Sans Mono, Menlo, Consolas, monospace" font-size="14">'
        f'<rect x="-16" y="-28" width="100%" height="100%" rx="8" fill="{GROUND}"/>'
        f'<rect width="0" height="0"><animate id="t" attributeName="x" from="0" to="0" begin="0;t.end" '
        f'dur="{total:.2f}s"/></rect><defs>{"".join(lines)}</defs>{"".join(uses)}</svg>\n'
    )


def _stretches(shown: Sequence[Frame], what: Sequence[Any]) -> Iterable[tuple[Any, float, float]]:
    """What holds from when to when, where it is the same over several frames."""
    since = 0
    for index in range(1, len(shown)):
        if index == len(shown) - 1 or what[index] != what[since]:
            if shown[index].at - shown[since].at >= 0.01:  # what lasts for no time would last for ever
                yield what[since], shown[since].at, shown[index].at
            since = index


def _seen(element: str, since: float, until: float, end: str) -> str:
    """An element that is seen between two moments of each round."""
    during = f'begin="t.begin+{since:.2f}s" dur="{until - since:.2f}s"'
    return f'{element} visibility="hidden"><set attributeName="visibility" to="visible" {during}/>{end}'


def _span(span: tuple[int, str, str, str, bool]) -> str:
    x, text, front, ground, bold = span
    width = len(text) * WIDTH
    box = f'<rect x="{x * WIDTH:.1f}" width="{width:.1f}" height="{HEIGHT}" fill="{ground}"/>'
    weight = ' font-weight="bold"' if bold else ""
    words = (
        f'<text x="{x * WIDTH:.1f}" y="13.5" textLength="{width:.1f}" lengthAdjust="spacingAndGlyphs" '
        f'fill="{front}"{weight} xml:space="preserve">{html.escape(text)}</text>'
    )
    return (box if ground != GROUND else "") + (words if text.strip() else "")


def main() -> None:
    """Record, and write the picture."""
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with tempfile.TemporaryDirectory() as folder:
        shown = frames(*record(Path(folder)))
    Path(sys.argv[1]).write_text(svg(shown), "utf-8")
    print(f"{sys.argv[1]}: {shown[-1].at:.1f} s, {len(shown) - 1} frames")


if __name__ == "__main__":
    main()
