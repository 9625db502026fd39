"""Where the loss lives, on losses made up so that the answer is known."""

import numpy as np
import pytest

from nexus_tui.analysis.breakdown import (
    by_class,
    by_position,
    by_token,
    most_different,
    window_text,
)
from nexus_tui.runs.token_losses import TokenLosses

TEXT = b"Now, is the winter\nof our 2 'tis don't \xc3\xa9t\xc3\xa9s\t\x01"
EXPECTED = "Cii._fi_fii_fiiiiinfi_fii_2_.iii_fii.i_bbibbi_?"
NAMES = {
    "i": "letter inside a word",
    "f": "first letter of a word",
    "C": "capital",
    "_": "space",
    "n": "line break",
    ".": "punctuation",
    "2": "digit",
    "b": "beyond ASCII",
    "?": "other",
}


def of_tokens(tokens: list[bytes], length: int, losses: np.ndarray | None = None) -> TokenLosses:
    vocabulary = sorted(set(tokens))
    ids = np.array([vocabulary.index(token) for token in tokens])
    count = (len(ids) - 1) // length
    kept = count * length
    made = np.arange(kept, dtype=np.float32) if losses is None else losses.astype(np.float32)
    return TokenLosses(
        losses=made.reshape(count, length),
        inputs=ids[:kept].reshape(count, length),
        targets=ids[1 : kept + 1].reshape(count, length),
        token_bytes=vocabulary,
        protocol="p",
    )


def as_bytes(text: bytes) -> list[bytes]:
    return [bytes([byte]) for byte in text]


def test_every_byte_has_the_class_it_is_said_to_have() -> None:
    # One token at a time: its loss is 1 and all others' 0, so its class is the one with a loss.
    tokens = as_bytes(b"\n" + TEXT)
    assert len(EXPECTED) == len(TEXT)
    for place, expected in enumerate(EXPECTED):
        losses = np.zeros(len(TEXT))
        losses[place] = 1
        rows = by_class(of_tokens(tokens, len(TEXT), losses))
        assert rows[0].name == NAMES[expected], TEXT[place : place + 1]


def test_contributions_sum_to_the_loss_and_shares_to_one() -> None:
    t = of_tokens(as_bytes(b"\n" + TEXT), 9)
    rows = by_class(t)
    assert sum(row.contribution for row in rows) == pytest.approx(t.loss)
    assert sum(row.share for row in rows) == pytest.approx(1)
    assert sum(row.count for row in rows) == t.losses.size
    assert all(row.contribution == pytest.approx(row.share * row.loss) for row in rows)
    assert [row.contribution for row in rows] == sorted((row.contribution for row in rows), reverse=True)
    assert all(row.count for row in rows)


def test_a_token_of_several_bytes_is_of_its_first_letters_class() -> None:
    tokens = [
        b"\n",
        b"The",
        b" k",
        b"ing",
        b" King",
        b"'",
        b"s",
        b" 'tis",
        b" 12",
        b"  ",
        b"\n\n",
        b" \xc3\xa9",
    ]
    expected = [
        "capital", "first letter of a word", "letter inside a word", "capital", "punctuation",
        "letter inside a word", "punctuation", "digit", "space", "line break", "beyond ASCII",
    ]  # fmt: skip
    for place, name in enumerate(expected):
        losses = np.zeros(len(expected))
        losses[place] = 1
        assert by_class(of_tokens(tokens, len(expected), losses))[0].name == name, tokens[place + 1]


def test_a_word_begins_across_the_edge_of_a_window_as_within() -> None:
    # "ab|cd": c is the first target of its window, and inside a word, for its input is b.
    losses = np.zeros(4)
    losses[2] = 1
    assert by_class(of_tokens(as_bytes(b" abcd"), 2, losses))[0].name == "letter inside a word"


def test_positions_are_means_and_errors_over_windows() -> None:
    losses = np.random.default_rng(0).normal(2, 1, (30, 8))
    t = of_tokens([b"a"] * 241, 8, losses)
    found = by_position(t)
    assert found.mean == pytest.approx(losses.mean(axis=0), abs=1e-6)
    assert found.stderr == pytest.approx(losses.std(axis=0, ddof=1) / 30**0.5, abs=1e-6)
    assert found.mean.mean() == pytest.approx(t.loss)
    assert by_position(of_tokens([b"a"] * 9, 8)).stderr.tolist() == [0] * 8


def test_tokens_by_what_they_contribute() -> None:
    t = of_tokens(as_bytes(b"xabac"), 4, np.array([1.0, 5.0, 2.0, 0.5]))
    rows = by_token(t, 2)
    assert [(row.token, row.count, row.loss) for row in rows] == [(b"b", 1, 5.0), (b"a", 2, 1.5)]
    assert rows[1].contribution == pytest.approx(3 / 4)
    assert {row.token for row in by_token(t)} == {b"a", b"b", b"c"}  # x is no target


def test_the_most_different_windows_are_found_both_ways() -> None:
    a = of_tokens([b"a"] * 61, 6, np.full(60, 2.0))
    apart = np.array([0.1, -0.5, 0, 0.3, -0.2, 0, 0, 0.05, 0, -0.01])
    b = of_tokens([b"a"] * 61, 6, 2.0 + np.repeat(apart, 6))
    rows = most_different(a, b, 2)
    assert [row.window for row in rows] == [1, 3, 4, 0]
    assert [round(row.difference, 5) for row in rows] == [-0.5, 0.3, -0.2, 0.1]
    assert rows[0].loss_a == 2 and rows[0].loss_b == pytest.approx(1.5)
    assert [row.window for row in most_different(b, a, 1)] == [1, 3]
    assert most_different(a, a, 3) == []


def test_windows_of_other_protocols_are_not_compared() -> None:
    a, b = of_tokens([b"a"] * 9, 4), of_tokens([b"a"] * 13, 4)
    with pytest.raises(ValueError, match="over the same windows"):
        most_different(a, b)


def test_a_window_is_shown_token_by_token() -> None:
    t = of_tokens(as_bytes(b"xab\xc3\xa9"), 2)
    assert window_text(t, 1) == [(b"\xc3", 2.0), (b"\xa9", 3.0)]
    assert b"".join(token for window in (0, 1) for token, _ in window_text(t, window)) == b"ab\xc3\xa9"
