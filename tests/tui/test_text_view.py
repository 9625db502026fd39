"""A text that grows at its end: wrapped, followed, and safe to show."""

import unicodedata
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from textual.geometry import Region

from nexus_tui.tui.app import NexusApp
from nexus_tui.tui.text_view import TextView, wrap
from nexus_tui.untrusted import visible
from tests.tui.playground import show
from tests.tui.screens import press, text
from tests.tui.trained import Trained

Make = Callable[..., NexusApp]


async def test_text_that_fits_lays_nothing_out_and_repaints_only_what_is_new(
    make_app: Make, trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app(trained)
    async with app.run_test(size=(80, 40)) as pilot:
        screen = await show(pilot)
        view = screen.query_one(TextView)
        view.begin("The king")
        await pilot.pause()
        layouts: list[object] = []
        monkeypatch.setattr(screen, "_refresh_layout", lambda *_, **__: layouts.append(1))
        painted: list[Region] = []
        monkeypatch.setattr(view, "refresh", lambda *regions, **_: painted.extend(regions))
        view.append(" is")
        view.append("\ngone")
        assert painted == [Region(8, 0, 4, 1), Region(11, 0, 1, 1), Region(0, 1, 5, 1)]
        assert layouts == []


async def test_a_text_longer_than_the_screen_is_followed_until_somebody_scrolls(
    make_app: Make, trained: Trained
) -> None:
    app = make_app(trained)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await show(pilot)
        view = screen.query_one(TextView)
        view.begin("")
        for number in range(60):
            view.append(f"line {number}\n")
            await pilot.pause()
        assert "line 59" in text(app)
        view.focus()
        await press(pilot, "home")
        view.append("more\nand more\n")
        await pilot.pause()
        assert "line 0" in text(app) and "more" not in text(app)
        await press(pilot, "end")
        assert "and more" in text(app)


# The text ----------------------------------------------------------------------------------------------


@given(st.text(alphabet="ab  日\n", max_size=80), st.integers(2, 20))
def test_wrapping_loses_nothing_and_fits(words: str, width: int) -> None:
    for paragraph in words.split("\n"):
        lines = [paragraph[a:b] for a, b in wrap(paragraph, 0, len(paragraph), width)]
        assert all(cell_len(part) <= width for part in lines)
        assert "".join(lines).replace(" ", "") == paragraph.replace(" ", "")
        assert sum(len(part) for part in lines) >= len(paragraph) - len(lines)  # a space an edge at most


@given(st.lists(st.text(alphabet="ab  日\n\x1b", max_size=9), max_size=12))
def test_text_that_comes_in_pieces_is_wrapped_as_if_it_came_at_once(parts: list[str]) -> None:
    view, whole = TextView(), TextView()
    for part in ["", *parts]:
        view._text += visible(part)
        view._wrap_to(10)
    whole._text = visible("".join(parts))
    whole._wrap_to(10)
    assert view._lines == whole._lines


@given(st.text())
def test_nothing_that_steers_a_terminal_is_shown(words: str) -> None:
    shown = visible(words)
    spaces = {"\n", *(character for character in shown if unicodedata.category(character) == "Zs")}
    assert all(character in spaces or character.isprintable() for character in shown)
    assert all(character == "\n" or " " <= character <= "~" for character in visible(words, ascii=True))


def test_control_characters_are_symbols() -> None:
    assert visible("a\x1b[31m\x00\x7f\x9b\u202eé\n") == "a␛[31m␀␡��é\n"
    assert visible("\x1b\x7f\u202eé\n", ascii=True) == "^[^??" + "?\n"
