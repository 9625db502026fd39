"""What goes to the terminal is less, and draws the same."""

import random

import pyte
import pytest
from rich.console import Console
from rich.segment import Segment
from textual.strip import Strip

from nexus_tui.tui.thrift import CroppedUpdate, thrifty

STYLES = (
    "1", "2", "1;38;2;1;2;3", "38;2;1;2;3;48;2;9;9;9", "4;31;42", "7;38;5;17", "48;2;9;9;9",
    "2;38;2;7;7;7;48;2;9;9;9", "9;92", "3;104", "1;4;7;38;2;1;2;3;48;2;9;9;9",
)  # fmt: skip


def drawn(data: str) -> list[list[pyte.screens.Char]]:
    """Every cell of a terminal that was sent this."""
    screen = pyte.Screen(40, 8)
    stream = pyte.Stream(screen)
    stream.feed("\x1b[0m")
    stream.feed(data)
    stream.feed("\x1b[8;1Hend")  # whatever is drawn next has the terminal's own colours
    return [[screen.buffer[y][x] for x in range(40)] for y in range(8)]


@pytest.mark.parametrize("seed", range(30))
def test_it_draws_the_same(seed: int) -> None:
    choose = random.Random(seed)
    data = ""
    for _ in range(40):
        what = choose.random()
        if what < 0.25:
            data += f"\x1b[{choose.randint(1, 8)};{choose.randint(1, 30)}H"
        elif what < 0.3:
            data += "plain"
        elif what < 0.33:
            data += "\x1b[?25l"
        else:
            data += f"\x1b[{choose.choice(STYLES)}m{choose.choice(('a', 'bc ', '─★', '  '))}\x1b[0m"
    assert drawn(thrifty(data)) == drawn(data)
    assert len(thrifty(data)) <= len(data)


def test_colours_that_are_set_are_not_set_again() -> None:
    base = "38;2;1;2;3;48;2;9;9;9"
    data = f"\x1b[{base}mab\x1b[0m\x1b[2;5H\x1b[1;{base}mc\x1b[0m\x1b[{base}md\x1b[0m"
    assert thrifty(data) == f"\x1b[{base}mab\x1b[2;5H\x1b[1mc\x1b[22md\x1b[0m"


def test_spans_are_cut_at_both_ends() -> None:
    chops = [{0: Strip([Segment("abcdef")]), 6: None, 8: Strip([Segment("ijkl")])}] * 2
    update = CroppedUpdate(chops, [(0, 2, 10), (1, 5, 6), (1, 9, 20)], [[6, 8, 12]] * 2)
    sent = update.render_segments(Console(color_system=None))
    assert sent == "\x1b[1;3Hcdef\x1b[1;9Hij\x1b[2;6Hf\x1b[2;10Hjkl"


def test_what_has_no_colours_is_as_it_was() -> None:
    for data in ("", "text", "\x1b[?1049h\x1b[?1003h", "\x1b]52;c;Zm9v\x07"):
        assert thrifty(data) == data
