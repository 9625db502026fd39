"""The thread that writes: it waits for nobody, and nobody for it."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from nexus_tui.data.novelty import Originals
from nexus_tui.lm.generation import Sampling
from nexus_tui.runs.checkpoints import Checkpoint
from nexus_tui.training.sampling import Piece
from nexus_tui.tui.writer import Figures, Reader, Writer
from tests.tui.playground import Fast


def _writer(tokens: int, **how: object) -> Writer:
    return Writer(Checkpoint(Path("x"), 1, {}), "", {}, lambda _: Fast(tokens), **how)  # type: ignore[arg-type]


def test_the_thread_never_waits_for_a_reader() -> None:
    writer = _writer(50_000)
    writer.start()
    writer.join(30)
    assert writer.state == "done"
    assert len(writer.take()) == 50_000
    assert writer.take() == []


def test_nothing_is_lost_or_doubled_between_takes() -> None:
    writer, found = _writer(20_000), []
    writer.start()
    while True:
        live = writer.live
        found += writer.take()
        if not live:
            break
        time.sleep(0.001)
    assert "".join(piece.text for piece in found) == "".join(chr(97 + i % 26) for i in range(20_000))


def test_figures_are_those_of_the_text() -> None:
    figures = Figures(tokens=11, bytes=22, nats=5.5, seconds=2.0)
    assert figures.speed == 5.0
    assert figures.loss == 0.5
    assert figures.bits_per_byte == pytest.approx(0.25 / 0.6931471805599453)


def test_the_wait_for_the_first_token_is_no_part_of_the_speed() -> None:
    writer = _writer(11)
    fast = Fast(11, wait=0.5)
    writer._opener = lambda _: fast
    began = time.perf_counter()
    writer.start()
    writer.join(30)
    assert writer.figures.wait >= 0.5
    assert writer.figures.wait + writer.figures.seconds <= time.perf_counter() - began
    assert writer.figures.speed == 10 / writer.figures.seconds


def test_who_leaves_does_not_wait_for_the_training_text() -> None:
    """Reading that takes a while, and the program would not end before."""
    asked: list[bool] = []

    def originals() -> Originals:
        asked.append(True)
        return Originals(b"abc")

    for leave in (False, True):
        writer = _writer(2_000_000, originals=originals)
        writer.start()
        while not writer.figures.tokens:
            time.sleep(0.001)
        (writer.leave if leave else writer.stop)()
        writer.join(60)
        assert (writer.state, writer.busy) == ("stopped", False)
        assert (writer.novelty is None) is leave
    assert asked == [True]


def test_a_long_prompt_is_left_at_once() -> None:
    writer = Writer(Checkpoint(Path("x"), 1, {}), "", {}, lambda _: Fast(10, chunks=10_000))
    writer.start()
    while writer.progress[0] < 5:
        time.sleep(0.001)
    writer.stop()
    writer.join(60)
    assert (writer.state, writer.busy, writer.take()) == ("stopped", False, [])
    assert writer.progress[0] < writer.progress[1] == 10_000


def test_what_was_written_is_held_against_the_training_text_with_what_stood_before() -> None:
    asked: list[int] = []

    def originals() -> Originals:
        asked.append(threading.get_ident())
        return Originals(b"one\nto be abc to be\n")

    writer = _writer(3, first_ids=(1,), first_bytes=b"to be ", originals=originals)
    writer.start()
    writer.join(30)
    assert writer.novelty is not None
    assert (writer.novelty.longest, writer.novelty.span, writer.novelty.line) == (9, (0, 9), 2)
    assert asked != [threading.get_ident()]


def test_without_the_training_text_the_text_stands_and_says_why() -> None:
    def originals() -> Originals:
        raise ValueError("The text is not there.")

    writer = _writer(3, originals=originals)
    writer.start()
    writer.join(30)
    assert (writer.state, writer.novelty, writer.no_novelty) == ("done", None, "The text is not there.")


def test_whatever_goes_wrong_is_one_sentence() -> None:
    class Broken(Fast):
        def stream(self, prompt: str | bytes, sampling: Sampling, **how: object) -> Iterator[Piece]:
            yield from super().stream(prompt, sampling, **how)
            raise FloatingPointError("The model gives no finite number.")

    writer = _writer(3)
    writer._opener = lambda _: Broken(3)
    writer.start()
    writer.join(30)
    assert (writer.state, writer.error) == ("failed", "The model gives no finite number.")
    assert len(writer.take()) == 3


def test_a_reader_gives_the_text_back_piece_by_piece() -> None:
    reader = Reader(Checkpoint(Path("x"), 1, {}), "abc", lambda _: Fast(0))
    reader.start()
    reader.join(30)
    assert (reader.state, "".join(piece.text for piece in reader.take())) == ("done", "abc")
