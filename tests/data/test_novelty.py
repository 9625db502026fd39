"""What of a sample is copied, repeated and known: against definitions that try everything."""

import math
import statistics
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nexus_tui.data import longest_copy as module
from nexus_tui.data.corpus import load_corpus
from nexus_tui.data.longest_copy import Copy, longest_copy
from nexus_tui.data.novelty import Originals
from nexus_tui.data.windows import split

PLAY = b"""KING RICHARD:
The king's name is a tower of strength, which they upon
the adverse party want.
KING RICHARD:
The king is but a man.
"""


def plain_longest(short: bytes, long: bytes) -> int:
    spans = (short[i:j] for i in range(len(short)) for j in range(i + 1, len(short) + 1))
    return max((len(span) for span in spans if span in long), default=0)


@settings(max_examples=300, deadline=None)
@given(
    # few letters, so that spans are long and overlap themselves
    short=st.one_of(st.text("ab", max_size=25), st.text("abc\xff", max_size=25)).map(str.encode),
    long=st.text("ab\xffd", max_size=120).map(str.encode),
)
def test_the_longest_copy_is_that_of_trying_every_span(short: bytes, long: bytes):
    length, here, there = longest_copy(short, long)
    assert length == plain_longest(short, long)
    assert short[here : here + length] == long[there : there + length]
    if length:
        assert there == min(
            place for i in range(len(short) - length + 1) if (place := long.find(short[i : i + length])) >= 0
        )


@given(st.binary(max_size=60))
def test_any_bytes_are_a_copy_of_themselves(data: bytes):
    assert longest_copy(data, b"\x00" + data + b"\x00") == Copy(
        len(data), 0, (b"\x00" + data + b"\x00").find(data) if data else 0
    )


def test_a_long_text_is_taken_in_parts_that_overlap(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "AT_ONCE", 64)
    sample = b"." * 300 + PLAY[20:50] + b"." * 77
    for shift in range(64):
        assert longest_copy(sample[shift:], PLAY) == Copy(30, 300 - shift, 20)


def test_where_a_copied_span_stands():
    sample = b"\nYork: the king is but a mouse.\n"
    figures = Originals(PLAY).figures(sample)
    start, end = figures.span
    assert sample[start:end] == b"he king is but a m"
    assert figures.longest == end - start == 18
    assert PLAY[figures.offset :].startswith(b"he king is but a m")
    assert PLAY.splitlines()[figures.line - 1] == b"The king is but a man."


def test_repetition_is_that_of_word_4_grams():
    originals = Originals(PLAY)
    # 7 grams; "a b c d", "b c d a", "c d a b", "d a b c" come twice but for the last: 4 distinct
    assert originals.figures(b"a b c d, A B C D, a b").repetition == pytest.approx(1 - 4 / 7)
    assert originals.figures(b"one two three four five six").repetition == 0
    assert originals.figures(b"da " * 103).repetition == pytest.approx(0.99)
    assert math.isnan(originals.figures(b"one two three").repetition)


def test_known_words_are_whole_words_in_any_case():
    originals = Originals(PLAY)
    assert originals.figures(b" king, STRENGTH; zounds party ").known_words == 0.75
    # "ki" and "par" are cut off by the ends of the sample, and count neither way
    assert originals.figures(b"ki name tower par").known_words == 1
    assert originals.figures(b" king's kings ").known_words == 0.5
    assert math.isnan(originals.figures(b"king").known_words)


@pytest.mark.parametrize("sample", [b"", b"\xff\xfe\xc3", b"\x1b[31m \x00", "…é\u0301".encode()])
def test_samples_that_are_hardly_text(sample: bytes):
    figures = Originals(PLAY).figures(sample)
    assert 0 <= figures.longest <= 1
    assert math.isnan(figures.repetition)
    empty = Originals(b"").figures(sample)
    assert (empty.longest, empty.span, empty.offset, empty.line) == (0, (0, 0), 0, 1)


def test_on_the_real_corpus_it_is_quick_and_true():
    parts = split(load_corpus("tinyshakespeare").data)
    originals = Originals(parts.train)
    copied = parts.train[500_000:501_000]
    figures = originals.figures(copied)
    assert (figures.longest, figures.span, figures.offset) == (1000, (0, 1000), 500_000)
    assert figures.line == parts.train[:500_000].count(b"\n") + 1
    assert figures.known_words == 1
    own = originals.figures(parts.validation[:1000])
    assert own.longest < 60
    seconds = []
    for _ in range(7):
        started = time.thread_time()
        originals.figures(copied)
        seconds.append(time.thread_time() - started)
    assert statistics.median(seconds) < 0.05


def test_threads_ask_at_once():
    originals = Originals(PLAY)
    samples = [PLAY[i : i + 30] for i in range(0, 120, 10)]
    alone = [originals.figures(sample) for sample in samples]
    together: dict[int, object] = {}
    threads = [
        threading.Thread(target=lambda i=i: together.update({i: originals.figures(samples[i])}))
        for i in range(len(samples))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [together[i] for i in range(len(samples))] == alone
