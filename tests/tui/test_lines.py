"""Lines of text: what of them is painted again."""

from nexus_tui.tui.lines import Line, _changes

STEP: Line = (
    (" step ", "muted"),
    ("1,412", "text!"),
    (" / 2,000  ", "muted"),
    ("━" * 20, "live"),
    (" 10:38", "text"),
)


def test_only_cells_that_differ_are_painted_again() -> None:
    after: Line = (STEP[0], ("1,413", "text!"), *STEP[2:4], (" 10:37", "text"))
    assert _changes(STEP, STEP, 60) == []
    assert _changes(STEP, after, 60) == [(10, 11), (46, 47)]
    assert _changes(STEP, after, 30) == [(10, 11)]


def test_a_role_is_a_difference_and_what_ends_sooner_leaves_blanks() -> None:
    assert _changes((("abc", "text"),), (("abc", "warn"),), 10) == [(0, 3)]
    assert _changes((("abcdef", "text"),), (("ab", "text"),), 10) == [(2, 6)]
    assert _changes((), (("ab", "text"),), 10) == [(0, 2)]


def test_wide_characters_have_two_cells() -> None:
    assert _changes((("日a", "text"),), (("日b", "text"),), 10) == [(2, 3)]
    assert _changes((("日", "text"),), (("本", "text"),), 10) == [(0, 2)]
