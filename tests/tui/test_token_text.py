"""Which characters of a text belong to which of its tokens."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus_tui.tui.token_text import TokenText
from nexus_tui.untrusted import visible


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """Bytes cut into tokens at some places."""
    ends = [*sorted({place % (len(data) + 1) for place in places}), len(data)]
    starts = [0, *ends[:-1]]
    return [data[a:b] for a, b in zip(starts, ends, strict=True) if b > a]


texts = st.text(alphabet="ab \n\x1b日é😀\u202e", max_size=20).map(str.encode) | st.binary(max_size=20)


@given(texts, st.lists(st.integers(0, 100)), st.booleans())
def test_however_it_is_cut_the_text_is_the_same_and_every_character_has_a_token(
    data: bytes, places: list[int], ascii: bool
) -> None:
    text = TokenText("«", ascii)
    tokens = cut(data, places)
    for token in tokens:
        text.add(token)
    whole = visible("«" + data.decode(errors="replace"), ascii)
    rest = text._show(1)  # what is not whole at the end
    assert text.shown == whole and rest in ("", "�", "?")
    spans = [text.span(index) for index in range(len(text))]
    assert [start for start, _ in spans] == sorted(start for start, _ in spans)
    assert all(text.head <= start < end for start, end in spans)
    assert {place for start, end in spans for place in range(start, end)} == set(range(text.head, len(whole)))
    for place in range(text.head, len(whole)):
        first = text.at(place)
        assert first is not None and spans[first][0] <= place < spans[first][1]
        assert first in text.tokens(place, place + 1)
    assert text.at(0) is None


def test_a_character_spread_over_tokens_belongs_to_each_and_a_stray_byte_to_its_own() -> None:
    text = TokenText()
    assert [text.add(token) for token in (b"a", b"\xe6", b"\x97", b"\xa5b", b"\xe6", b"c")] == [
        "a", "", "", "日b", "", "�c",
    ]  # fmt: skip
    assert [text.span(i) for i in range(6)] == [(0, 1), (1, 2), (1, 2), (1, 3), (3, 4), (4, 5)]


def test_what_is_held_back_is_not_shown_but_has_its_tokens() -> None:
    text = TokenText("> ")
    assert [text.add(b"E", ""), text.add(b"N", ""), text.add(b"d", "ENd")] == ["", "", "ENd"]
    assert text.shown == "> ENd"
    assert text.add(b"END", "") == ""
    assert text.span(3) == (5, 5)
    assert list(text.tokens(0, 99)) == [0, 1, 2, 3]


def test_a_prompt_that_ends_within_a_character_is_completed_by_the_first_token() -> None:
    text = TokenText("é日".encode()[:-1])
    assert (text.shown, text.head) == ("é", 1)
    assert text.add("日".encode()[-1:]) == "日"
    assert text.span(0) == (1, 2)


@pytest.mark.parametrize("ascii", [False, True])
def test_escape_sequences_are_shown(ascii: bool) -> None:
    text = TokenText("\x1b[2J", ascii)
    text.add(b"\x1b[31m\x07\x9b")
    assert text.shown == ("^[[2J^[[31m^G?" if ascii else "␛[2J␛[31m␇�")
