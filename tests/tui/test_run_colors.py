"""Colours and signs of several runs: each keeps its own, and any two stay apart for any eyes."""

from itertools import combinations

import pytest

from nexus_tui.tui import theme
from nexus_tui.tui.run_colors import places
from tests.tui.color_vision import SEEN, ciede2000, difference

APART = 14.0
"""CIEDE2000 of any two colours of a palette, at least."""
OFF_GROUND = 25.0
"""And of each and the background."""


def test_a_run_keeps_its_place_and_a_new_one_takes_the_lowest_that_is_free() -> None:
    assert places(["a", "b", "c"], {}) == {"a": 0, "b": 1, "c": 2}
    assert places(["c", "d", "a"], {"a": 0, "b": 1, "c": 2}) == {"c": 2, "d": 1, "a": 0}
    assert list(places(["c", "a"], {"a": 0})) == ["c", "a"]


def test_there_are_places_for_any_number() -> None:
    many = [f"run {number}" for number in range(40)]
    found = places(many, {"run 39": 17})
    assert sorted(found.values()) == list(range(40)) and found["run 39"] == 17
    looks = {theme.series(theme.DARK, place) for place in range(64)}
    assert len(looks) == 64, "colour and sign together tell as many apart"
    assert len({look.color for look in looks}) == len({look.sign for look in looks}) == 8


@pytest.mark.parametrize("kept", [{"a": -3}, {"a": 1, "b": 1}, {"elsewhere": 0}])
def test_what_a_view_cannot_mean_is_given_anew(kept: dict[str, int]) -> None:
    found = places(["a", "b"], kept)
    assert sorted(found.values()) == [0, 1]


@pytest.mark.parametrize("eyes", SEEN)
@pytest.mark.parametrize("palette", [theme.DARK, theme.LIGHT], ids=lambda palette: palette.name)
def test_colours_stay_apart_for_these_eyes(palette: theme.Palette, eyes: str) -> None:
    for first, second in combinations(palette.series, 2):
        assert difference(first, second, eyes) >= APART, (first, second)
    for color in palette.series:
        assert difference(color, palette.roles["background"], eyes) >= OFF_GROUND, color


def test_sixteen_colours_and_none_have_eight_series_too() -> None:
    assert len(set(theme.ANSI.series)) == 8
    assert len({theme.series(theme.PLAIN, place).sign for place in range(8)}) == 8


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ((50.0, 2.6772, -79.7751), (50.0, 0.0, -82.7485), 2.0425),
        ((50.0, 2.49, -0.001), (50.0, -2.49, 0.0009), 7.1792),
        ((50.0, 2.5, 0.0), (61.0, -5.0, 29.0), 22.8977),
        ((2.0776, 0.0795, -1.1350), (0.9033, -0.0636, -0.5514), 0.9082),
    ],
)
def test_the_measure_is_right(
    first: tuple[float, float, float], second: tuple[float, float, float], expected: float
) -> None:
    """Pairs of Sharma, Wu and Dalal, The CIEDE2000 color-difference formula (2005)."""
    assert ciede2000(first, second) == pytest.approx(expected, abs=1e-4)
