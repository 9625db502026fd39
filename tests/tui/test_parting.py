"""Where two texts part, whatever tokens they are made of."""

from hypothesis import given
from hypothesis import strategies as st

from nexus_tui.data.tokenizer import StreamDecoder, byte_tokenizer
from nexus_tui.tui.parting import Relation, characters, relation, token_at

short = st.binary(max_size=12)


@given(short, short, short)
def test_the_first_byte_that_differs_is_found(start: bytes, a: bytes, b: bytes) -> None:
    one, other = start + a, start + b
    found = relation(one, other, ended=True)
    assert one[: found.at] == other[: found.at]
    if found.kind == "parts":
        assert one[found.at] != other[found.at]
    else:
        assert found.at == min(len(one), len(other))
        assert (found.kind == "same") == (one == other)


def test_while_one_is_written_equal_means_equal_until_now() -> None:
    assert relation(b"to be", b"to be", ended=False) == Relation("open", 5)
    assert relation(b"to be or", b"to be", ended=False) == Relation("open", 5)
    assert relation(b"to be or", b"to be, ", ended=False) == Relation("parts", 5)
    assert relation(b"", b"", ended=True) == Relation("same", 0)


def test_texts_of_different_tokenizers_part_at_a_byte_and_mark_tokens_of_their_own() -> None:
    letters, words = b"the king", b"the kind"
    at = relation(letters, words, ended=True).at
    assert at == 7
    assert token_at(range(1, 9), at) == (7, 8)  # a byte each
    assert token_at([3, 8], at) == (3, 8)  # "the", " kind"
    assert token_at([3], at) is None
    assert token_at([], 0) is None


def test_half_a_character_marks_the_whole_of_it() -> None:
    text = "aé日".encode()
    assert characters(text, 0, 1) == (0, 1)
    assert characters(text, 1, 2) == (1, 2)
    assert characters(text, 2, 3) == (1, 2)
    assert characters(text, 3, 4) == characters(text, 5, 6) == (2, 3)


@given(st.binary(max_size=10), st.integers(0, 9), st.integers(1, 4))
def test_characters_are_those_that_are_shown(text: bytes, start: int, length: int) -> None:
    decoder = StreamDecoder(byte_tokenizer())
    shown = "".join(decoder.push(byte) for byte in text) + decoder.finish()
    start = min(start, len(text))
    first, last = characters(text, start, min(start + length, len(text)))
    assert 0 <= first < last <= len(shown) + 1
    if start + length <= len(text):
        assert first < len(shown)
