"""Stop texts: found wherever the pieces end, and never shown in part."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus_tui.lm.drawing import SamplingError
from nexus_tui.training.stopping import StopTexts, read_escapes


def shown(texts: list[str], pieces: list[str]) -> tuple[str, bool]:
    stops, out = StopTexts(texts), ""
    for piece in pieces:
        text, stopped = stops.push(piece)
        out += text
        if stopped:
            return out, True
    return out + stops.finish(), False


def plain(texts: list[str], text: str) -> tuple[str, bool]:
    """The definition: the first place at which some stop text is complete."""
    for end in range(1, len(text) + 1):
        found = [stop for stop in texts if text[:end].endswith(stop)]
        if found:
            return text[: end - max(map(len, found))], True
    return text, False


@given(
    texts=st.lists(st.text("abé", min_size=1, max_size=4), max_size=3),
    pieces=st.lists(st.text("abé", max_size=3), max_size=12),
)
def test_any_cut_into_pieces_stops_in_the_same_place(texts: list[str], pieces: list[str]):
    expected = plain(texts, "".join(pieces))
    assert shown(texts, pieces) == expected
    assert shown(texts, list("".join(pieces))) == expected


@given(
    texts=st.lists(st.text("ab", min_size=1, max_size=4), min_size=1, max_size=3),
    pieces=st.lists(st.text("ab", max_size=3), max_size=12),
)
def test_no_part_of_a_stop_text_is_shown_before_it_is_known_to_be_none(texts: list[str], pieces: list[str]):
    stops, out, whole = StopTexts(texts), "", ""
    for piece in pieces:
        text, stopped = stops.push(piece)
        out, whole = out + text, whole + piece
        if stopped:
            break
        held = whole[len(out) :]
        assert whole.startswith(out)
        assert not held or any(stop.startswith(held) and held != stop for stop in texts)


def test_without_stop_texts_all_is_passed_on_at_once():
    assert StopTexts([]).push("abc") == ("abc", False)


def test_an_empty_stop_text_is_refused():
    with pytest.raises(SamplingError, match=r"^A stop text is empty;"):
        StopTexts(["a", ""])


@pytest.mark.parametrize(
    ("written", "text"),
    [
        (r"\n\n", "\n\n"),
        (r"a\tb", "a\tb"),
        (r"\\n", r"\n"),
        (r"\\\n", "\\\n"),
        ("é\\x", "é\\x"),
        ("\\", "\\"),
    ],
)
def test_escapes(written: str, text: str):
    assert read_escapes(written) == text
