"""How long a text takes is known early, and said on a terminal and elsewhere."""

import io
import re

import pytest

from nexus_tui.console_wait import Wait

CHUNK = 512


class Output(io.StringIO):
    def __init__(self, terminal: bool) -> None:
        super().__init__()
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal


def waited(tokens: int, a: float, b: float, terminal: bool = False) -> list[str]:
    """What is said while `n` tokens take a n + b n² seconds."""
    output, now = Output(terminal), 0.0
    wait = Wait(output, lambda: now)
    for done in [*range(0, tokens, CHUNK), tokens]:
        now = a * done + b * done**2
        wait(done, tokens)
    return re.split(r"\n|\r\x1b\[K", output.getvalue())


def test_elsewhere_a_line_comes_with_every_tenth():
    """Of 104 s in all, told to the second before a tenth has passed."""
    lines = waited(102_400, 2e-4, 8e-9)
    assert lines[0] == "10% of 102,400 tokens, about 101 s to go"
    assert [line[:2] for line in lines[1:-1]] == ["20", "30", "40", "50", "60", "70", "80", "90"]
    assert lines[-2].endswith("about 18 s to go")


def test_longer_waits_are_told_in_minutes():
    assert waited(400_000, 2e-4, 8e-9)[0].endswith(" of 400,000 tokens, about 23 min to go")


def test_chunks_that_take_ever_less_are_no_reason_to_expect_less_than_none():
    lines = waited(102_400, 4e-4, -1e-9)
    assert all(0 < int(line.split("about ")[1].split()[0]) < 40 for line in lines[:-1])


@pytest.mark.parametrize("terminal", [True, False])
def test_a_short_wait_is_not_worth_a_word(terminal: bool):
    assert waited(20_000, 2e-4, 0, terminal) == [""]


def test_a_terminals_line_is_cleared_at_the_end():
    lines = waited(102_400, 2e-4, 8e-9, terminal=True)
    assert len(lines) > 100
    assert lines[-1] == ""
